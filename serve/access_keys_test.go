package serve

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"propensity/serve/database"
	"propensity/serve/keys"
)

// tick is a clock set by the test.
type tick struct {
	mu sync.Mutex
	at time.Time
}

func (c *tick) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *tick) set(at time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.at = at }

// withClock gives a server's keys a clock of the test's.
func (f *keyed) withClock(t *testing.T, c *tick) {
	t.Helper()
	ring, err := keys.Open(f.path, c.now, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.server.keys = ring
}

func TestRateOfAKey(t *testing.T) {
	f := withKeys(t, Config{})
	k, text := makeKey(t, f.path, keys.Key{Scopes: []string{scopeScore}, Rate: 0.5, Burst: 2})
	clock := &tick{at: time.Now()}
	start := clock.at
	f.withClock(t, clock)
	body := requestOf("A", wholeRow)
	for i, c := range []struct {
		after      time.Duration
		status     int
		left, wait string
	}{
		{0, 200, `"rate";r=1;t=2`, ""},
		{0, 200, `"rate";r=0;t=4`, ""},
		{0, 429, `"rate";r=0;t=4`, "2"},
		{1500 * time.Millisecond, 429, `"rate";r=0;t=3`, "1"},
		{2 * time.Second, 200, `"rate";r=0;t=4`, ""},
		{2 * time.Second, 429, `"rate";r=0;t=4`, "2"},
		{time.Hour, 200, `"rate";r=1;t=2`, ""},
	} {
		clock.set(start.Add(c.after))
		got := f.ask(t, "POST", scorePath, text, body)
		if got.status != c.status || got.header.Get("RateLimit") != c.left || got.header.Get("Retry-After") != c.wait || got.header.Get("RateLimit-Policy") != `"rate";q=2;w=4` {
			t.Errorf("request %d: %d %v", i+1, got.status, got.header)
		}
		if got.status == 429 {
			checkProblem(t, got, 429)
			if !strings.Contains(string(got.body), k.ID) {
				t.Errorf("%s", got.body)
			}
		}
	}
	if got := f.ask(t, "POST", scorePath, f.texts[scopeScore], body); got.header.Get("RateLimit") != "" {
		t.Errorf("a key without limits has %s", got.header.Get("RateLimit"))
	}
}

// A batch costs as many of the day as it has scores; what does not fit is refused in place.
func TestDayOfAKey(t *testing.T) {
	f := withKeys(t, Config{})
	_, text := makeKey(t, f.path, keys.Key{Scopes: []string{scopeScore, scopeRead}, Daily: 5})
	clock := &tick{at: time.Date(2026, 3, 1, 23, 59, 50, 0, time.UTC)}
	f.withClock(t, clock)
	body := requestOf("A", wholeRow)
	want := func(got reply, status int, left, wait string) {
		t.Helper()
		if got.status != status || got.header.Get("RateLimit") != left || got.header.Get("Retry-After") != wait || got.header.Get("RateLimit-Policy") != `"day";q=5;w=86400` {
			t.Errorf("%d %v %s", got.status, got.header, got.body)
		}
	}
	want(f.ask(t, "POST", scorePath, text, body), 200, `"day";r=5;t=10`, "") // the score is taken as it goes out
	want(f.ask(t, "GET", "/v1/models", text, ""), 200, `"day";r=3;t=10`, "")
	want(f.ask(t, "POST", scorePath, text, `{"row": {}}`), 422, `"day";r=3;t=10`, "") // no score, no cost
	batch := f.ask(t, "POST", batchPath, text, `{"rows": [`+strings.Repeat(body+",", 4)+body+`]}`)
	want(batch, 200, `"day";r=3;t=10`, "")
	if n := bytes.Count(batch.body, []byte(`"probability"`)); n != 3 || bytes.Count(batch.body, []byte(`"status":429`)) != 2 {
		t.Errorf("%d scores: %s", n, batch.body)
	}
	want(f.ask(t, "POST", scorePath, text, body), 429, `"day";r=0;t=10`, "10")
	want(f.ask(t, "GET", "/v1/models", text, ""), 429, `"day";r=0;t=10`, "10")
	clock.set(clock.at.Add(10 * time.Second))
	want(f.ask(t, "POST", scorePath, text, body), 200, `"day";r=5;t=86400`, "")
}

// The API of keys: made, shown once, used, rotated, revoked; bad ones are named.
func TestKeysOverTheAPI(t *testing.T) {
	f := withKeys(t, Config{})
	admin := f.texts[scopeAdmin]
	got := f.ask(t, "POST", "/v1/keys", admin, `{"name": "crm", "scopes": ["score"], "rate": 100, "daily": 1000, "expires": "2100-01-01T00:00:00Z"}`)
	if got.status != 201 || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	made := decodeAs[keyAnswer](t, got.body)
	if made.Name != "crm" || made.Burst != 200 || made.Expires != "2100-01-01T00:00:00Z" || len(made.Texts) != 1 {
		t.Errorf("%s", got.body)
	}
	body := requestOf("A", wholeRow)
	use := func(text string, want int) {
		t.Helper()
		if got := f.ask(t, "POST", scorePath, text, body); got.status != want {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	use(made.Key, 200)
	list := f.ask(t, "GET", "/v1/keys", admin, "")
	if bytes.Contains(list.body, []byte(made.Key)) || bytes.Contains(list.body, []byte("sha256")) || len(decodeAs[keyList](t, list.body).Keys) != 5 {
		t.Errorf("%s", list.body)
	}
	if last := decodeAs[keyList](t, list.body).Keys[4]; last.Used != 1 || last.ID != made.ID {
		t.Errorf("%+v", last)
	}
	got = f.ask(t, "POST", "/v1/keys/"+made.ID+"/rotate", admin, `{"overlap": 3600}`)
	rotated := decodeAs[keyAnswer](t, got.body)
	if got.status != 200 || rotated.ID != made.ID || len(rotated.Texts) != 2 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	use(made.Key, 200)
	use(rotated.Key, 200)
	if got := f.ask(t, "DELETE", "/v1/keys/"+made.ID, admin, ""); got.status != 200 || !strings.Contains(string(got.body), `"revoked"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	use(made.Key, 401)
	use(rotated.Key, 401)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"DELETE", "/v1/keys/" + made.ID, "", 404, "no such key"},
		{"DELETE", "/v1/keys/..%2f..%2fetc", "", 404, "no such key"},
		{"POST", "/v1/keys/" + made.ID + "/rotate", `{}`, 404, "no such key"},
		{"POST", "/v1/keys/" + f.ids[scopeRead] + "/rotate", `{"overlap": -1}`, 422, "seconds"},
		{"POST", "/v1/keys/" + f.ids[scopeRead] + "/rotate", `{"overlap": 1.5}`, 422, "overlap"},
		{"POST", "/v1/keys", `{"name": "a", "scopes": ["root"]}`, 422, `\"root\" is no scope`},
		{"POST", "/v1/keys", `{"name": "a", "scopes": ["read"], "expires": "2020-01-01T00:00:00Z"}`, 422, "is over"},
		{"POST", "/v1/keys", `{"name": "a", "scopes": ["read"], "admin": true}`, 422, "admin"},
		{"POST", "/v1/keys", `{"name": "a", "scopes": "read"}`, 422, "scopes"},
		{"POST", "/v1/keys", `{"name": "a", "scopes": ["read"]} {}`, 400, "end"},
		{"POST", "/v1/keys", `{`, 400, "ends"},
		{"POST", "/v1/keys", `[]`, 422, "object"},
		{"POST", "/v1/keys", strings.Repeat(`{"a":`, 100), 400, "deeper"},
	} {
		got := f.ask(t, c.method, c.path, admin, c.body)
		if got.status != c.status || !strings.Contains(string(got.body), c.says) {
			t.Errorf("%s %s %.60s: %d %s", c.method, c.path, c.body, got.status, got.body)
		}
		checkProblem(t, got, c.status)
	}
}

// A day is had once, though a server starts anew, and from all servers of a database
// together.
func TestDayOfAllServers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *database.DB) {
		path := filepath.Join(t.TempDir(), "keys.json")
		_, text := makeKey(t, path, keys.Key{Scopes: []string{scopeScore}, Daily: 4})
		body := requestOf("A", wholeRow)
		left := func(f *fixture, want string) {
			t.Helper()
			if err := f.server.days.share(context.Background()); err != nil {
				t.Fatal(err)
			}
			got := f.ask(t, "POST", scorePath, text, body)
			if day, _, _ := strings.Cut(got.header.Get("RateLimit"), ";t="); day != `"day";r=`+want {
				t.Errorf("%d %s, want %s", got.status, day, want)
			}
			if err := f.server.days.share(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		// The servers' own sharing would come between; it is over before the first request.
		start := func() *fixture {
			f := churn(t, Config{Keys: path, Database: db})
			f.server.stop()
			f.server.background.Wait()
			return f
		}
		a, b := start(), start()
		left(a, "4") // as it was before the score went out
		left(b, "3")
		left(a, "2")
		left(start(), "1")
		left(b, "0")
		left(a, "0")
	})
}
