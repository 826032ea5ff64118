package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"propensity/serve/database"
	"propensity/serve/database/databasetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// each runs a test with a new database of each kind.
func each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	databasetest.Each(t, func(t *testing.T, address string) { test(t, databasetest.Open(t, address)) })
}

func sqlite(t *testing.T) *database.DB {
	t.Helper()
	return databasetest.Open(t, databasetest.SQLite(t))
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// delivered is a request as a receiver got it.
type delivered struct {
	id   string
	at   time.Time // by the clock of the test
	body string
}

// receiver is a server that webhooks are sent to. Each request must bear the signatures
// of all its secrets, by the official library.
type receiver struct {
	http  *httptest.Server
	clock *clock

	mu      sync.Mutex
	secrets []string
	answer  func(w http.ResponseWriter, r *http.Request)
	got     []delivered
}

func newReceiver(t *testing.T, c *clock) *receiver {
	t.Helper()
	r := &receiver{clock: c}
	r.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return // the process that sent it was stopped
		}
		at := c.now()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, secret := range r.secrets {
			hook, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Error(err)
			} else if err := hook.VerifyIgnoringTimestamp(body, q.Header); err != nil { // the clock is ours
				t.Error(err)
			}
		}
		sent, err := strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
		if d := at.Unix() - sent; err != nil || max(d, -d) > int64(time.Minute/time.Second) { // the clock of a process of its own is not ours
			t.Errorf("webhook-timestamp %q at %d", q.Header.Get("webhook-timestamp"), at.Unix())
		}
		if q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" || !json.Valid(body) {
			t.Errorf("%s %s %s", q.Method, q.Header.Get("Content-Type"), body)
		}
		r.got = append(r.got, delivered{q.Header.Get("webhook-id"), at, string(body)})
		if answer := r.answer; answer != nil {
			r.mu.Unlock()
			defer r.mu.Lock()
			answer(w, q)
		}
	}))
	t.Cleanup(r.http.Close)
	return r
}

// answers sets what is answered from now on; nil is 200.
func (r *receiver) answers(answer func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (r *receiver) all() []delivered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivered(nil), r.got...)
}

func (r *receiver) count() int { return len(r.all()) }

// add registers the receiver.
func (r *receiver) add(t *testing.T, n *Notifier, e Endpoint) Endpoint {
	t.Helper()
	if e.URL == "" {
		e.URL = r.http.URL + "/hook"
	}
	e, secret, err := n.Add(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = []string{secret}
	return e
}

// newNotifier makes one for a test: the clock is the test's, receivers are on this machine.
func newNotifier(db *database.DB, c *clock) *Notifier {
	n := New(Config{DB: db, Now: c.now, Poll: time.Millisecond, Private: true})
	n.grace = 0
	return n
}

// runs has a notifier deliver until the test or what it gives ends.
func runs(t *testing.T, n *Notifier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 10 s: %s", what)
		}
	}
}

// start is when newClock starts.
const start = 1_772_357_400_000_000

// bandChanged is an event of an account.
func bandChanged(account, model string) Event {
	return Event{Type: TypeBandChanged, Model: model, Account: account, At: start,
		Data: BandChanged{Account: account, Model: model, Version: 7, Previous: "B", Band: "A", Was: 0.25, Is: 0.5}}
}

func tell(t *testing.T, n *Notifier, events ...Event) {
	t.Helper()
	if err := n.Tell(context.Background(), events...); err != nil {
		t.Fatal(err)
	}
}

func deliveriesOf(t *testing.T, n *Notifier, endpoint, state string) []Delivery {
	t.Helper()
	list, err := n.Deliveries(context.Background(), endpoint, state, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
