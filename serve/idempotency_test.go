package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"propensity/serve/database/databasetest"
)

// eachAnswers runs a test with answers of each kind, whose clock is the test's.
func eachAnswers(t *testing.T, test func(t *testing.T, a answers, clock *time.Time)) {
	start := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	t.Run("memory", func(t *testing.T) {
		clock := start
		a := answersFor(nil, time.Now).(*memoryAnswers)
		a.now = func() time.Time { return clock }
		test(t, a, &clock)
	})
	databasetest.Each(t, func(t *testing.T, address string) {
		clock := start
		a := answersFor(databasetest.Open(t, address), time.Now).(*tableAnswers)
		a.now = func() time.Time { return clock }
		test(t, a, &clock)
	})
}

func TestAnswersAreKeptForADay(t *testing.T) {
	eachAnswers(t, func(t *testing.T, a answers, clock *time.Time) {
		ctx := context.Background()
		mine, other := once{"k1", "x"}, once{"k2", "x"}
		one, two := print{1}, print{2}
		claim := func(o once, p print, want error) *keptAnswer {
			t.Helper()
			got, err := a.claim(ctx, o, p)
			if !errors.Is(err, want) {
				t.Fatalf("claim: %v, want %v", err, want)
			}
			return got
		}
		isNew := func(o once, p print) {
			t.Helper()
			if got := claim(o, p, nil); got != nil {
				t.Fatalf("answered before: %+v", got)
			}
		}
		isNew(mine, one)
		claim(mine, one, errInFlight)
		claim(mine, two, errOther)
		isNew(other, two) // another caller's key is another key
		answer := &keptAnswer{202, "application/json", "/v1/jobs/1", []byte("{\"a\":1}\n")}
		if err := a.settle(ctx, mine, answer); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got := claim(mine, one, nil)
			if got == nil || got.status != 202 || got.contentType != answer.contentType || got.location != answer.location || string(got.body) != string(answer.body) {
				t.Fatalf("got %+v, want %+v", got, answer)
			}
		}
		claim(mine, two, errOther)
		if err := a.release(ctx, other); err != nil {
			t.Fatal(err)
		}
		isNew(other, one) // what was not done may be asked for anew, and mended
		*clock = clock.Add(claimKept - time.Second)
		claim(other, one, errInFlight)
		*clock = clock.Add(time.Second)
		isNew(other, one) // its server is no more
		*clock = clock.Add(answersKept - claimKept - time.Second)
		if got := claim(mine, one, nil); got == nil {
			t.Fatal("forgotten before a day was over")
		}
		*clock = clock.Add(time.Second)
		isNew(mine, two)
	})
}

// Of many that come at once with one key, one is let through.
func TestOneClaimWins(t *testing.T) {
	eachAnswers(t, func(t *testing.T, a answers, _ *time.Time) {
		var group errgroup.Group
		var mu sync.Mutex
		won := 0
		for range 8 {
			group.Go(func() error {
				got, err := a.claim(context.Background(), once{"", "k"}, print{1})
				if err == nil && got == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
				if errors.Is(err, errInFlight) {
					err = nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil || won != 1 {
			t.Fatalf("%d let through, %v", won, err)
		}
	})
}

// Memory holds so many answers and bytes, and no more.
func TestMemoryAnswersAreBounded(t *testing.T) {
	a := answersFor(nil, time.Now).(*memoryAnswers)
	ctx := context.Background()
	big := &keptAnswer{status: 200, body: make([]byte, 1<<20)}
	for i := range 40 {
		o := once{"", fmt.Sprint("big", i)}
		if _, err := a.claim(ctx, o, print{}); err != nil {
			t.Fatal(err)
		}
		if err := a.settle(ctx, o, big); err != nil {
			t.Fatal(err)
		}
	}
	if a.bytes > maxMemoryBytes || len(a.entries) != 32 || a.age.Len() != 32 {
		t.Errorf("%d bytes, %d entries", a.bytes, len(a.entries))
	}
	for i := range maxMemoryAnswers + 10 {
		if _, err := a.claim(ctx, once{"", fmt.Sprint(i)}, print{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.entries) != maxMemoryAnswers || a.age.Len() != maxMemoryAnswers || a.bytes != 0 {
		t.Errorf("%d entries, %d bytes", len(a.entries), a.bytes)
	}
}

// send posts with headers.
func (f *fixture) send(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	q, err := http.NewRequest(method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		q.Header.Add(headers[i], headers[i+1])
	}
	resp, err := f.http.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

// An event is added once, whatever is sent again.
func TestWritesAreDoneOnce(t *testing.T) {
	f := withFacts(t, Config{})
	attributes := `{"properties":{"region":"eu"}}` // each time another fact: of the moment it comes
	first := wantStatus(t, f.send(t, "PUT", "/v1/accounts/A-17", attributes, idempotencyHeader, "a"), 202)
	again := wantStatus(t, f.send(t, "PUT", "/v1/accounts/A-17", attributes, idempotencyHeader, "a"), 202)
	if first.header.Get(replayedHeader) != "" || again.header.Get(replayedHeader) != "true" || string(first.body) != string(again.body) {
		t.Errorf("%v %s, then %v %s", first.header, first.body, again.header, again.body)
	}
	known := func() int {
		var known struct{ Known int }
		if err := json.Unmarshal(wantStatus(t, f.get(t, "/v1/accounts/A-17"), 200).body, &known); err != nil {
			t.Fatal(err)
		}
		return known.Known
	}
	if n := known(); n != 1 {
		t.Errorf("%d facts are known", n)
	}
	checkProblem(t, f.send(t, "PUT", "/v1/accounts/A-18", attributes, idempotencyHeader, "a"), 422)
	checkProblem(t, f.send(t, "PUT", "/v1/accounts/A-17", attributes+" ", idempotencyHeader, "a"), 422)
	wantStatus(t, f.send(t, "PUT", "/v1/accounts/A-17", attributes, idempotencyHeader, "b"), 202)
	wantStatus(t, f.send(t, "PUT", "/v1/accounts/A-17", attributes), 202)
	if n := known(); n != 3 {
		t.Errorf("%d facts are known", n)
	}
	// What was refused was not done, and may be sent again, mended.
	checkProblem(t, f.send(t, "PUT", "/v1/accounts/A-17", `{"properties":5}`, idempotencyHeader, "c"), 422)
	wantStatus(t, f.send(t, "PUT", "/v1/accounts/A-17", attributes, idempotencyHeader, "c"), 202)
	for _, bad := range [][]string{{idempotencyHeader, ""}, {idempotencyHeader, "a b"}, {idempotencyHeader, strings.Repeat("a", 256)}, {idempotencyHeader, "é"}, {idempotencyHeader, "a", idempotencyHeader, "a"}} {
		checkProblem(t, f.send(t, "PUT", "/v1/accounts/A-17", attributes, bad...), 400)
	}
}

// A write that panics is not taken for done; one that is at work is not done beside.
func TestClaimsEnd(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	s := &Server{answers: answersFor(nil, time.Now), log: slog.New(slog.DiscardHandler)}
	e := gin.New()
	e.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, _ any) { c.AbortWithStatus(500) }))
	inside, leave := make(chan bool), make(chan bool)
	fail := true
	e.POST("/", s.idempotent(10), func(c *gin.Context) {
		if fail {
			panic("a fault")
		}
		inside <- true
		<-leave
		c.Header("Location", "/x")
		c.String(201, "done")
	})
	f := &fixture{server: s, http: httptest.NewServer(e)}
	defer f.http.Close()
	defer f.http.Client().CloseIdleConnections()
	wantStatus(t, f.send(t, "POST", "/", "", idempotencyHeader, "k"), 500)
	fail = false
	var group errgroup.Group
	group.Go(func() error {
		r := f.send(t, "POST", "/", "", idempotencyHeader, "k")
		if r.status != 201 || string(r.body) != "done" {
			return fmt.Errorf("%d %s", r.status, r.body)
		}
		return nil
	})
	<-inside
	checkProblem(t, f.send(t, "POST", "/", "", idempotencyHeader, "k"), 409)
	leave <- true
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if r := f.send(t, "POST", "/", "", idempotencyHeader, "k"); r.status != 201 || string(r.body) != "done" || r.header.Get("Location") != "/x" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	checkProblem(t, f.send(t, "POST", "/", "more than ten", idempotencyHeader, "l"), 413)
}
