package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"propensity/serve/database"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestEndpoints(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx, c := context.Background(), newClock()
		n := newNotifier(db, c)
		e, secret, err := n.Add(ctx, Endpoint{URL: "https://hooks.example.com/in", Description: "CRM", Types: []string{TypeUsageFell, TypeBandChanged, TypeUsageFell}})
		if err != nil {
			t.Fatal(err)
		}
		if key, err := keyOf(secret); err != nil || len(key) != 32 {
			t.Errorf("secret %q: %v", secret, err)
		}
		if !slices.Equal(e.Types, []string{TypeBandChanged, TypeUsageFell}) || !e.Enabled || e.Created != c.now().UnixMicro() {
			t.Errorf("%+v", e)
		}
		url, models := "https://hooks.example.com/other", []string{"churn"}
		if _, err := n.Change(ctx, e.ID, Patch{URL: &url, Models: &models, Types: &[]string{}}); err != nil {
			t.Fatal(err)
		}
		list, err := n.Endpoints(ctx)
		if err != nil || len(list) != 1 || list[0].URL != url || !slices.Equal(list[0].Models, models) || len(list[0].Types) != 0 || list[0].Description != "CRM" {
			t.Errorf("%+v %v", list, err)
		}
		if err := n.Remove(ctx, e.ID); err != nil {
			t.Fatal(err)
		}
		_, err1 := n.Endpoint(ctx, e.ID)
		_, err2 := n.Change(ctx, e.ID, Patch{})
		_, _, err3 := n.Rotate(ctx, e.ID)
		_, err4 := n.Test(ctx, e.ID)
		_, err5 := n.Deliveries(ctx, e.ID, "", "", 10)
		_, err6 := n.Replay(ctx, e.ID)
		for k, err := range []error{err1, err2, err3, err4, err5, err6, n.Remove(ctx, e.ID)} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%d: %v", k, err)
			}
		}
	})
}

// An id that no table can hold is one that is not there.
func TestHostileIDs(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx, c := context.Background(), newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		e := r.add(t, n, Endpoint{})
		for _, id := range []string{"", "\x00", "\xff", "a\x00b", "' OR 1=1 --", strings.Repeat("x", 1<<16)} {
			_, err1 := n.Endpoint(ctx, id)
			_, err2 := n.Delivery(ctx, e.ID, id)
			_, err3 := n.Delivery(ctx, id, id)
			_, err4 := n.Replay(ctx, e.ID, id)
			for k, err := range []error{err1, err2, err3, err4} {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("%d: %.20q: %v", k, id, err)
				}
			}
			if _, err := n.Deliveries(ctx, e.ID, "", id, 10); err != nil {
				t.Errorf("after %.20q: %v", id, err)
			}
		}
		if _, _, err := n.Add(ctx, Endpoint{URL: "https://hooks.example.com", Models: []string{"a\x00b"}}); !errors.Is(err, ErrEndpoint) {
			t.Errorf("%v", err)
		}
	})
}

func TestEndpointsAreChecked(t *testing.T) {
	ctx := context.Background()
	n := New(Config{DB: sqlite(t)})
	const url = "https://hooks.example.com/in"
	for name, e := range map[string]Endpoint{
		"url":         {URL: "http://hooks.example.com"},
		"types":       {URL: url, Types: []string{"account.born"}},
		"test":        {URL: url, Types: []string{TypeTest}},
		"models":      {URL: url, Models: []string{""}},
		"description": {URL: url, Description: strings.Repeat("x", 1001)},
	} {
		if _, _, err := n.Add(ctx, e); !errors.Is(err, ErrEndpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range maxEndpoints {
		if _, _, err := n.Add(ctx, Endpoint{URL: url}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := n.Add(ctx, Endpoint{URL: url}); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
}

// Changes made at once are all kept: none writes what it read over another's.
func TestChangesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx, c := context.Background(), newClock()
		n := newNotifier(db, c)
		e, _, err := n.Add(ctx, Endpoint{URL: "https://hooks.example.com/in"})
		if err != nil {
			t.Fatal(err)
		}
		for round := range 10 {
			description, models := fmt.Sprint(round), []string{fmt.Sprint(round)}
			var secret string
			var wg sync.WaitGroup
			for _, do := range []func() error{
				func() error { _, err := n.Change(ctx, e.ID, Patch{Description: &description}); return err },
				func() error { _, err := n.Change(ctx, e.ID, Patch{Models: &models}); return err },
				func() (err error) { _, secret, err = n.Rotate(ctx, e.ID); return err },
			} {
				wg.Go(func() {
					if err := do(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			now, err := n.Endpoint(ctx, e.ID)
			if err != nil || now.Description != description || !slices.Equal(now.Models, models) || now.secret != secret {
				t.Fatalf("round %d: %+v, %v", round, now, err)
			}
		}
	})
}

// For a day after a rotation both secrets verify, then the new one alone.
func TestRotation(t *testing.T) {
	ctx, c := context.Background(), newClock()
	n, r := newNotifier(sqlite(t), c), newReceiver(t, c)
	headers := make(chan http.Header, 10)
	r.answers(func(_ http.ResponseWriter, q *http.Request) { headers <- q.Header })
	e := r.add(t, n, Endpoint{})
	old := r.secrets[0]
	e, secret, err := n.Rotate(ctx, e.ID)
	if err != nil || secret == old || e.OldUntil != c.now().Add(24*time.Hour).UnixMicro() {
		t.Fatalf("%+v %v", e, err)
	}
	r.secrets = []string{secret, old}
	runs(t, n)
	next := func() (signatures int) {
		t.Helper()
		if _, err := n.Test(ctx, e.ID); err != nil {
			t.Fatal(err)
		}
		h := <-headers
		eventually(t, "recorded", func() bool { return len(deliveriesOf(t, n, e.ID, StateWaiting)) == 0 }) // before the clock moves on
		return len(strings.Fields(h.Get("webhook-signature")))
	}
	if got := next(); got != 2 {
		t.Errorf("%d signatures", got)
	}
	c.advance(24*time.Hour - time.Microsecond)
	if got := next(); got != 2 {
		t.Errorf("%d signatures at the end of the day", got)
	}
	c.advance(time.Microsecond)
	r.mu.Lock()
	r.secrets = []string{secret}
	r.mu.Unlock()
	if got := next(); got != 1 {
		t.Errorf("%d signatures after a day", got)
	}
	last := r.all()[2]
	if hook, err := standardwebhooks.NewWebhook(old); err != nil || hook.VerifyIgnoringTimestamp([]byte(last.body), http.Header{}) == nil {
		t.Errorf("the old secret verifies: %v", err)
	}
}

// What is disabled by hand gets nothing; what waited for it is dead and can be replayed.
func TestDisabledByHand(t *testing.T) {
	ctx, c := context.Background(), newClock()
	n, r := newNotifier(sqlite(t), c), newReceiver(t, c)
	e := r.add(t, n, Endpoint{})
	tell(t, n, bandChanged("A", "churn"))
	no, yes := false, true
	if e, err := n.Change(ctx, e.ID, Patch{Enabled: &no}); err != nil || e.Enabled || e.Cause == "" {
		t.Fatalf("%+v %v", e, err)
	}
	tell(t, n, bandChanged("B", "churn"))
	if list := deliveriesOf(t, n, e.ID, ""); len(list) != 1 || list[0].State != StateDead {
		t.Fatalf("%+v", list)
	}
	if e, err := n.Change(ctx, e.ID, Patch{Enabled: &yes}); err != nil || !e.Enabled || e.Cause != "" {
		t.Fatalf("%+v %v", e, err)
	}
	runs(t, n)
	dead := deliveriesOf(t, n, e.ID, StateDead)[0]
	if count, err := n.Replay(ctx, e.ID, dead.Event); err != nil || count != 1 {
		t.Fatalf("%d %v", count, err)
	}
	eventually(t, "done", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 1 })
	if count, err := n.Replay(ctx, e.ID); err != nil || count != 0 {
		t.Errorf("%d are dead, %v", count, err)
	}
	if count, err := n.Replay(ctx, e.ID, dead.Event); err != nil || count != 1 { // asked for, so sent again
		t.Errorf("%d %v", count, err)
	}
	if _, err := n.Replay(ctx, e.ID, "msg_unknown"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// What cannot be sent is left out and counted, and holds up nothing.
func TestUnfitEvents(t *testing.T) {
	c := newClock()
	results := make(chan string, 10)
	n, r := New(Config{DB: sqlite(t), Now: c.now, Poll: time.Millisecond, Private: true, Tried: func(s string) { results <- s }}), newReceiver(t, c)
	r.add(t, n, Endpoint{})
	tell(t, n, bandChanged(strings.Repeat("x", 20_000), "churn"), Event{Type: TypeDriftFound, At: start, Data: func() {}}, bandChanged("A", "churn"))
	runs(t, n)
	got := []string{<-results, <-results, <-results}
	if !slices.Equal(got, []string{"unfit", "unfit", "done"}) || r.count() != 1 {
		t.Errorf("%v, %d requests", got, r.count())
	}
}

// Old deliveries go, those that wait stay; an account that is forgotten leaves nothing.
func TestSweepAndForget(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx, c := context.Background(), newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		e := r.add(t, n, Endpoint{})
		tell(t, n, bandChanged("A", "churn"))
		stop := runs(t, n)
		eventually(t, "done", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 1 })
		stop()
		tell(t, n, bandChanged("B", "churn"), bandChanged("C", "churn"))
		c.advance(n.cfg.Keep + time.Second)
		if err := n.sweep(ctx, n.now()); err != nil {
			t.Fatal(err)
		}
		count := func(table string) (k int) {
			t.Helper()
			if err := db.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&k); err != nil {
				t.Fatal(err)
			}
			return k
		}
		if d, v := count("notify_deliveries"), count("notify_events"); d != 2 || v != 2 {
			t.Errorf("%d deliveries of %d events are left", d, v)
		}
		if err := n.Used(ctx, []Usage{{Account: "B", Model: "churn", Column: "logins_trend", Threshold: -0.5, Value: 0}}); err != nil {
			t.Fatal(err)
		}
		forget := func(account string) int64 {
			t.Helper()
			k, err := n.Forget(ctx, account)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		if forget("") != 0 || forget("Z") != 0 || forget("B") != 1 {
			t.Error("something else was forgotten")
		}
		list := deliveriesOf(t, n, e.ID, "")
		if len(list) != 1 || count("notify_events") != 1 || count("notify_usage") != 0 {
			t.Errorf("%+v, %d events, %d usages", list, count("notify_events"), count("notify_usage"))
		}
		if waiting, err := n.Waiting(ctx); err != nil || waiting != 1 {
			t.Errorf("%d wait, %v", waiting, err)
		}
	})
}

// Deliveries are given in pages.
func TestPages(t *testing.T) {
	c := newClock()
	n, r := newNotifier(sqlite(t), c), newReceiver(t, c)
	e := r.add(t, n, Endpoint{})
	for k := range 7 {
		tell(t, n, bandChanged(fmt.Sprint(k), "churn"))
		c.advance(time.Millisecond)
	}
	var got []string
	for after := ""; ; {
		page, err := n.Deliveries(context.Background(), e.ID, StateWaiting, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			got, after = append(got, d.Event), d.Event
		}
	}
	if len(got) != 7 || !slices.IsSorted(got) {
		t.Errorf("%v", got)
	}
}
