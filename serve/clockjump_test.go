package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"propensity/datasets"
	"propensity/features/online"
	"propensity/models/registry"
	"propensity/serve/database"
	"propensity/serve/keys"
	"propensity/serve/notify"
)

// jumping is the clock of a machine that is not always right. It is harsher than that: a
// difference of two of its instants has the jump in it, of time.Now's it has not.
type jumping struct {
	tick
	off time.Duration
}

func (c *jumping) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.Add(c.off)
}

// truth is what a clock that is right says.
func (c *jumping) truth() time.Time { return c.tick.now() }

func (c *jumping) passes(d time.Duration) { c.set(c.truth().Add(d)) }

func (c *jumping) jumpTo(off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = off
}

// strict is a receiver of webhooks whose clock is right: it refuses what was signed more
// than five minutes from now, as those who verify signatures do.
type strict struct {
	http   *httptest.Server
	clock  *jumping
	mu     sync.Mutex
	secret string
	tried  int
	taken  map[string]bool // by id
}

func newStrict(t *testing.T, c *jumping) *strict {
	t.Helper()
	h := &strict{clock: c, taken: map[string]bool{}}
	h.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the server stops
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.tried++
		verifier, err := standardwebhooks.NewWebhook(h.secret)
		if err == nil {
			err = verifier.VerifyIgnoringTimestamp(body, r.Header)
		}
		if err != nil {
			t.Error(err)
		}
		signed, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
		if off := c.truth().Sub(time.Unix(signed, 0)).Abs(); off > 5*time.Minute {
			http.Error(w, "too old or too new", http.StatusBadRequest)
			return
		}
		h.taken[r.Header.Get("webhook-id")] = true
	}))
	t.Cleanup(h.http.Close)
	return h
}

func (h *strict) counts() (tried, taken int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tried, len(h.taken)
}

// whole is a server with everything that goes by a clock, and what it has acknowledged.
type whole struct {
	*fixture
	t        *testing.T
	clock    *jumping
	store    online.Store
	db       *database.DB
	running  *running
	admin    string
	limited  string
	facts    []string // ids, in the order in which they were taken
	outcomes []string
	answers  map[string][]byte // to writes, by their Idempotency-Key
	scores   []int64           // moments, in the order in which they were given
	moves    int
	slow     []net.Conn
}

func (w *whole) config(keyFile string) Config {
	return Config{Now: w.clock.now, Store: w.store, Database: w.db, Keys: keyFile, WebhookPrivate: true, LedgerSync: true, LedgerKeep: 24 * time.Hour, ReadTimeout: 3 * time.Second}
}

func (w *whole) ok(method, path, body string, headers ...string) reply {
	w.t.Helper()
	r := w.send(w.t, method, path, body, append(headers, "Authorization", "Bearer "+w.admin)...)
	if r.status/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
	}
	return r
}

// logins counts by hand the logins that a row of the moment shows, in what the store has.
func (w *whole) logins(moment int64) (n float64) {
	w.t.Helper()
	list, err := w.store.Facts(context.Background(), "A-17", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range list {
		if f := &list[i]; f.Source == "events" && f.Occurred < moment && f.Arrived < moment && f.Occurred >= moment-28*24*3600e6 {
			n++
		}
	}
	return n
}

// use uses everything once, at a phase of the clock.
func (w *whole) use(phase int) {
	w.t.Helper()
	true8601 := w.clock.truth().Format(time.RFC3339) // callers have a clock that is right
	for i := range 2 {
		id := fmt.Sprintf("e%d-%d", phase, i)
		w.ok("POST", "/v1/events", fmt.Sprintf(`{"source": "events", "account": "A-17", "id": %q, "occurred_at": %q, "properties": {"event": "login", "seconds": 1}}`, id, true8601))
		w.facts = append(w.facts, id)
	}
	// A score has the facts that had occurred and arrived by its moment, which is later than
	// that of any score before.
	var got struct {
		AsOf string `json:"as_of"`
	}
	err := json.Unmarshal(w.ok("POST", "/v1/models/renewal/score", `{"account": "A-17"}`).body, &got)
	if err != nil {
		w.t.Fatal(err)
	}
	moment, err := datasets.ParseTime(got.AsOf)
	if err != nil {
		w.t.Fatal(err)
	}
	w.scores = append(w.scores, moment)
	kept := decodeAs[keptScores](w.t, w.ok("GET", "/v1/accounts/A-17/scores?limit=1", "").body)
	if logins := kept.Scores[0].Row["logins_28d"]; kept.Scores[0].AsOf != got.AsOf || logins != w.logins(moment) {
		w.t.Errorf("phase %d: a row of %s has %v logins, and %v were known; the newest score is of %s", phase, got.AsOf, logins, w.logins(moment), kept.Scores[0].AsOf)
	}
	id := fmt.Sprintf("o%d", phase)
	w.ok("POST", "/v1/outcomes", fmt.Sprintf(`{"id": %q, "model": "renewal", "account": "A-17", "positive": true, "occurred_at": %q}`, id, true8601))
	w.outcomes = append(w.outcomes, id)
	// What was written under a key is not written again, whatever the clock says since.
	w.answers[fmt.Sprintf("k%d", phase)] = nil
	for key, before := range w.answers {
		r := w.ok("PUT", "/v1/accounts/B", `{"properties": {"region": "eu"}}`, idempotencyHeader, key)
		if again := r.header.Get(replayedHeader) == "true"; again != (before != nil) || before != nil && !bytes.Equal(before, r.body) {
			w.t.Errorf("phase %d: under key %s replayed: %v, %s, after %s", phase, key, again, r.body, before)
		}
		w.answers[key] = r.body
	}
	w.ok("PUT", "/v1/models/churn/aliases/champion", fmt.Sprintf(`{"version": %d}`, 2-phase%2))
	w.moves++
	w.ok("GET", "/v1/models/renewal/monitor", "")
	w.ok("GET", "/readyz", "")
}

// rates uses up the rate of a key, which comes back in two seconds whatever the clock did
// before, and looks at its day. first is what the first request after the jump meets.
func (w *whole) rates(phase, first, left int) {
	w.t.Helper()
	ask := func(status int) reply {
		w.t.Helper()
		r := w.ask(w.t, "GET", "/v1/models", w.limited, "")
		if r.status != status {
			w.t.Fatalf("phase %d: %d, want %d: %v", phase, r.status, status, r.header)
		}
		return r
	}
	if wait := ask(first).header.Get("Retry-After"); first == 429 && wait != "1" {
		w.t.Errorf("phase %d: to wait %s s after the jump", phase, wait)
	}
	w.clock.passes(2 * time.Second)
	ask(200)
	ask(200)
	if wait := ask(429).header.Get("Retry-After"); wait != "1" {
		w.t.Errorf("phase %d: to wait %s s", phase, wait)
	}
	w.clock.passes(time.Second)
	if limits := ask(200).header.Get("RateLimit"); !strings.Contains(limits, fmt.Sprintf(`"day";r=%d;`, left)) {
		w.t.Errorf("phase %d: %s, and %d of the day should be left", phase, limits, left)
	}
}

// opens begins a request whose body does not come, and one whose body has half come.
func (w *whole) opens() (half net.Conn) {
	w.t.Helper()
	for range 2 {
		c, err := net.Dial("tcp", strings.TrimPrefix(w.running.url, "http://"))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { c.Close() })
		if _, err := fmt.Fprintf(c, "POST /v1/models/churn/score HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", w.admin, len(requestOf("A", wholeRow))); err != nil {
			w.t.Fatal(err)
		}
		if half == nil {
			half = c
		} else {
			w.slow = append(w.slow, c)
		}
	}
	return half
}

// ends sends the rest and wants the answer.
func (w *whole) ends(half net.Conn) {
	w.t.Helper()
	if _, err := io.WriteString(half, requestOf("A", wholeRow)[1:]); err != nil {
		w.t.Fatal(err)
	}
	if b, err := io.ReadAll(half); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
		w.t.Errorf("a request during which the clock jumped: %q %v", b, err)
	}
}

// A whole server whose clock is set back an hour, then ahead by a day, then right again:
// nothing that was acknowledged is lost or done twice, scores go on in order with what was
// known, nobody is shut out, timeouts are as they were, and webhooks arrive once the clock
// is right.
func TestClockJumps(t *testing.T) {
	for _, kind := range []string{"memory", "sqlite"} {
		t.Run(kind, func(t *testing.T) { clockJumps(t, kind) })
	}
}

func clockJumps(t *testing.T, kind string) {
	dir := t.TempDir()
	address := map[string]string{"memory": "memory:", "sqlite": "sqlite:" + filepath.Join(dir, "facts.db")}[kind]
	open := func() online.Store {
		s, err := online.Open(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	clock := &jumping{tick: tick{at: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)}}
	w := &whole{t: t, clock: clock, store: open(), db: stateDB(t), answers: map[string][]byte{}}
	defer func() { w.store.Close() }()
	keyFile := filepath.Join(dir, "keys.json")
	_, w.admin = makeKey(t, keyFile, keys.Key{Scopes: []string{scopeAdmin}})
	_, w.limited = makeKey(t, keyFile, keys.Key{Scopes: []string{scopeRead}, Rate: 1, Burst: 2, Daily: 20})
	w.fixture = serveRegistry(t, w.config(keyFile), func(f *fixture) {
		publishRenewal(t, f.registry)
		publish(t, f.registry, "churn", 1, registry.Champion)
		publish(t, f.registry, "churn", 2, Challenger)
	})
	w.running = run(t, w.fixture)
	hook := newStrict(t, clock)
	made := decodeAs[webhookAnswer](t, w.ok("POST", "/v1/webhooks", fmt.Sprintf(`{"url": %q, "types": [%q]}`, hook.http.URL, notify.TypeDriftFound)).body)
	hook.secret = made.Secret

	for phase, p := range []struct {
		jump        time.Duration
		first, left int // of the day, which has 20 requests, less 4 of the phase or, if the first is refused, 3
	}{{0, 200, 16}, {-time.Hour, 429, 13}, {24 * time.Hour, 200, 16}, {0, 429, 10}} {
		half := w.opens()
		clock.jumpTo(p.jump)
		w.ends(half)
		w.use(phase)
		w.rates(phase, p.first, p.left)
		tried, _ := hook.counts()
		w.ok("POST", "/v1/webhooks/"+made.ID+"/test", "")
		w.eventually(t, "tried", func() bool { now, _ := hook.counts(); return now > tried })
	}
	// What was refused waits until it is tried again, for half an hour after the third time.
	// Time passes in steps: a request under way must not become too old by one.
	steps := 0
	w.eventually(t, "delivered", func() bool {
		if steps++; steps%100 == 0 {
			clock.passes(time.Minute)
		}
		_, taken := hook.counts()
		return taken == 4
	})
	w.eventually(t, "done", func() bool {
		done, err := w.server.notifier.Deliveries(context.Background(), made.ID, notify.StateDone, "", 100)
		return err == nil && len(done) == 4
	})
	for i, c := range w.slow {
		if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 408 ") {
			t.Errorf("a body that does not come, in phase %d: %q %v", i, b, err)
		}
	}
	w.holds()

	// A process that begins anew knows no more that the clock was ahead: what arrived then
	// is shown when that day has come, and not before.
	if kind == "memory" {
		return
	}
	w.http.Client().CloseIdleConnections()
	w.running.stop()
	if err := errors.Join(<-w.running.done, w.server.Close(), w.store.Close()); err != nil {
		t.Fatal(err)
	}
	w.store = open()
	registered := w.registry
	w.fixture = serveRegistry(t, w.config(keyFile), func(f *fixture) { f.registry = registered })
	w.running = run(t, w.fixture)
	w.scores = nil // of this process
	before := w.logins(clock.now().UnixMicro())
	w.use(4)
	clock.passes(24*time.Hour + time.Minute)
	w.use(5)
	if all := w.logins(w.scores[1]); before >= all || int(all) != len(w.facts) {
		t.Errorf("%v logins are known, then %v, of %d", before, all, len(w.facts))
	}
	w.holds()
}

// holds sees to it that all that was acknowledged is there, in order.
func (w *whole) holds() {
	t := w.t
	t.Helper()
	if !slices.IsSorted(w.scores) || len(slices.Compact(slices.Clone(w.scores))) != len(w.scores) {
		t.Errorf("moments of scores: %v", w.scores)
	}
	list, err := w.store.Facts(context.Background(), "A-17", nil)
	if err != nil {
		t.Fatal(err)
	}
	arrived := map[string]int64{}
	for i := range list {
		arrived[list[i].ID] = list[i].Arrived
	}
	for i, id := range w.facts {
		if arrived[id] == 0 {
			t.Errorf("fact %s was acknowledged and is not there", id)
		}
		if i > 0 && len(w.scores) == i/2+1 && arrived[id] <= arrived[w.facts[i-1]] {
			t.Errorf("fact %s arrived before the one before it", id)
		}
	}
	if all, err := w.server.ledger.Outcomes(context.Background(), "A-17", ""); err != nil || len(all) != len(w.outcomes) {
		t.Errorf("%d outcomes of %d, %v", len(all), len(w.outcomes), err)
	} else {
		for i := range all {
			if all[i].ID != w.outcomes[i] {
				t.Errorf("outcome %d is %s, not %s", i, all[i].ID, w.outcomes[i])
			}
		}
	}
	kept := decodeAs[keptScores](t, w.ok("GET", "/v1/accounts/A-17/scores", "").body).Scores
	slices.Reverse(kept) // the newest come first
	if len(kept) != len(w.outcomes) {
		t.Errorf("%d scores of %d are kept", len(kept), len(w.outcomes))
	}
	for i := range kept {
		at, err := datasets.ParseTime(kept[i].At)
		asOf, err2 := datasets.ParseTime(kept[i].AsOf)
		if err != nil || err2 != nil || at < asOf || i > 0 && kept[i].Number <= kept[i-1].Number {
			t.Errorf("score %d: %+v", i, kept[i].KeptScore)
		}
	}
	if list, err = w.store.Facts(context.Background(), "B", nil); err != nil || len(list) != len(w.answers) {
		t.Errorf("%d facts of %d writes that were sent again and again, %v", len(list), len(w.answers), err)
	}
	acts := decodeAs[auditPage](t, w.ok("GET", "/v1/audit?limit=1000", "").body).Acts
	moves := 0
	for i := range acts {
		if acts[i].Act == "alias.move" {
			moves++
		}
		if i > 0 && acts[i].Number >= acts[i-1].Number {
			t.Errorf("act %d comes after %d", acts[i].Number, acts[i-1].Number)
		}
	}
	if moves != w.moves {
		t.Errorf("%d moves of an alias of %d are in the audit log", moves, w.moves)
	}
}
