package notify

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"propensity/serve/database"
)

// An event goes out once to those that want it, in the form of the specification.
func TestDelivered(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		n := newNotifier(db, c)
		all, some, other := newReceiver(t, c), newReceiver(t, c), newReceiver(t, c)
		e := all.add(t, n, Endpoint{})
		some.add(t, n, Endpoint{Types: []string{TypeBandChanged}, Models: []string{"churn"}})
		other.add(t, n, Endpoint{Types: []string{TypeAliasMoved}})
		before := bandChanged("A", "churn") // there was no webhook yet
		before.At--
		tell(t, n, before, bandChanged("A <&> Ü", "churn"), bandChanged("B", "upsell"), Event{Type: TypeTest, At: start})
		runs(t, n)
		eventually(t, "delivered", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 2 && some.count() == 1 })
		if all.count() != 2 || some.count() != 1 || other.count() != 0 {
			t.Errorf("%d, %d, %d requests", all.count(), some.count(), other.count())
		}
		const want = `{"type":"account.band_changed","timestamp":"2026-03-01T09:30:00Z","data":{"account":"A <&> Ü","model":"churn","version":7,"previous_band":"B","band":"A","previous_probability":0.25,"probability":0.5}}`
		if got := some.all()[0]; got.body != want {
			t.Errorf("%s\nwant %s", got.body, want)
		}
		same := 0
		for _, d := range all.all() {
			if d == some.all()[0] {
				same++ // with one id for all endpoints
			}
		}
		if same != 1 {
			t.Errorf("%v and %v", all.all(), some.all())
		}
		d, err := n.Delivery(context.Background(), e.ID, some.all()[0].id)
		if err != nil || d.Body != want || d.Status != 200 || d.Attempts != 1 || d.Tried != c.now().UnixMicro() || d.Error != "" {
			t.Errorf("%+v %v", d, err)
		}
	})
}

// All ten attempts, each when the specification says and not before; then it is dead,
// and can be replayed.
func TestWholeSchedule(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		r.answers(status(500))
		e := r.add(t, n, Endpoint{})
		tell(t, n, bandChanged("A", "churn"))
		id := deliveriesOf(t, n, e.ID, "")[0].Event
		runs(t, n)
		for made := 1; made < attempts; made++ {
			recorded := func() bool { return deliveriesOf(t, n, e.ID, "")[0].Attempts == made }
			eventually(t, fmt.Sprintf("attempt %d", made), recorded)
			if d := deliveriesOf(t, n, e.ID, "")[0]; d.State != StateWaiting || d.Status != 500 || d.Error != "status 500" {
				t.Fatalf("%+v", d)
			}
			next, _ := wait(e.ID, id, made)
			c.advance(next - time.Microsecond)
			time.Sleep(3 * time.Millisecond) // several looks at the clock
			if !recorded() || r.count() != made {
				t.Fatalf("attempt %d came early", made+1)
			}
			c.advance(time.Microsecond)
		}
		eventually(t, "dead", func() bool { return len(deliveriesOf(t, n, e.ID, StateDead)) == 1 })
		start := r.all()[0].at
		for i, want := range []string{"0s", "5s", "5m5s", "35m5s", "2h35m5s", "7h35m5s", "17h35m5s", "31h35m5s", "51h35m5s", "75h35m5s"} {
			d := r.all()[i]
			if w, _ := time.ParseDuration(want); d.at.Sub(start) < w || d.at.Sub(start) > w+w/10 || d.id != id {
				t.Errorf("attempt %d of %s after %v, want %s", i+1, d.id, d.at.Sub(start), want)
			}
		}
		c.advance(100 * 24 * time.Hour / 4) // less than it is kept
		if r.count() != attempts {
			t.Fatalf("%d attempts", r.count())
		}
		r.answers(nil)
		if count, err := n.Replay(context.Background(), e.ID); err != nil || count != 1 {
			t.Fatalf("%d %v", count, err)
		}
		eventually(t, "replayed", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 1 })
		if d := r.all()[attempts]; d.id != id || d.body != r.all()[0].body {
			t.Errorf("replayed as %+v", d)
		}
	})
}

// Of a receiver that is gone nothing more is asked, and what waited is not lost.
func TestGoneDisables(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx, c := context.Background(), newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		n.cfg.Concurrency = 1
		r.answers(status(http.StatusGone))
		e := r.add(t, n, Endpoint{})
		tell(t, n, bandChanged("A", "churn"), bandChanged("B", "churn"), bandChanged("C", "churn"))
		runs(t, n)
		eventually(t, "dead", func() bool { return len(deliveriesOf(t, n, e.ID, StateDead)) == 3 })
		now, err := n.Endpoint(ctx, e.ID)
		if err != nil || now.Enabled || !strings.Contains(now.Cause, "410") || r.count() != 1 {
			t.Fatalf("%+v %v after %d requests", now, err, r.count())
		}
		tell(t, n, bandChanged("D", "churn"))
		if _, err := n.Replay(ctx, e.ID); err == nil {
			t.Error("replayed to an endpoint that is disabled")
		}
		if _, err := n.Test(ctx, e.ID); err == nil {
			t.Error("tested an endpoint that is disabled")
		}
		r.answers(nil)
		yes := true
		if _, err := n.Change(ctx, e.ID, Patch{Enabled: &yes}); err != nil {
			t.Fatal(err)
		}
		if count, err := n.Replay(ctx, e.ID); err != nil || count != 3 {
			t.Fatalf("%d %v", count, err)
		}
		eventually(t, "replayed", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 3 })
	})
}

// A receiver that has too much to do is spared as a whole, for as long as it asks; then
// it is asked one at a time until it can take more.
func TestSlowDown(t *testing.T) {
	for _, code := range []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusServiceUnavailable} {
		c := newClock()
		n, r, other := newNotifier(sqlite(t), c), newReceiver(t, c), newReceiver(t, c)
		n.cfg.Concurrency = 1
		r.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(code)
		})
		e := r.add(t, n, Endpoint{Models: []string{"churn"}})
		other.add(t, n, Endpoint{Models: []string{"upsell"}})
		tell(t, n, bandChanged("A", "churn"), bandChanged("B", "churn"))
		runs(t, n)
		eventually(t, "slow", func() bool { now, _ := n.Endpoint(context.Background(), e.ID); return now.SlowUntil > 0 })
		c.advance(time.Hour - time.Microsecond)
		tell(t, n, bandChanged("C", "upsell")) // of which nobody is slow
		eventually(t, "the other's", func() bool { return other.count() == 1 })
		if r.count() != 1 {
			t.Fatalf("%d: %d requests within the hour", code, r.count())
		}
		r.answers(nil)
		c.advance(time.Microsecond)
		eventually(t, "done", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 2 })
		if now, _ := n.Endpoint(context.Background(), e.ID); now.SlowUntil != 0 || now.slow != 0 {
			t.Errorf("%d: still slow: %+v", code, now)
		}
	}
}

// What fails, and what is said of it.
func TestFailures(t *testing.T) {
	c := newClock()
	elsewhere := newReceiver(t, c)
	hang := make(chan struct{})
	for _, f := range []struct {
		answer  func(w http.ResponseWriter, r *http.Request)
		timeout time.Duration
		status  int
		failure string
	}{
		{status(404), 0, 404, "status 404"},
		{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.http.URL, http.StatusFound)
		}, 0, 302, "redirects are not followed"},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 0, "EOF"},
		{func(http.ResponseWriter, *http.Request) { <-hang }, 50 * time.Millisecond, 0, "no answer within 50ms"},
	} {
		n, r := New(Config{DB: sqlite(t), Now: c.now, Poll: time.Millisecond, Private: true, Timeout: f.timeout}), newReceiver(t, c)
		r.answers(f.answer)
		e := r.add(t, n, Endpoint{})
		tell(t, n, bandChanged("A", "churn"))
		stop := runs(t, n)
		eventually(t, f.failure, func() bool { return deliveriesOf(t, n, e.ID, "")[0].Attempts == 1 })
		if d := deliveriesOf(t, n, e.ID, "")[0]; d.Status != f.status || !strings.Contains(d.Error, f.failure) || d.State != StateWaiting || strings.Contains(d.Error, "/hook") {
			t.Errorf("%+v, want %s", d, f.failure)
		}
		stop()
	}
	close(hang)
	if elsewhere.count() != 0 {
		t.Error("a redirect was followed")
	}
}

// Without leave nothing goes to this machine, also not what was registered when there was leave.
func TestPrivateIsRefusedWhenItIsSent(t *testing.T) {
	c := newClock()
	db := sqlite(t)
	r := newReceiver(t, c)
	e := r.add(t, newNotifier(db, c), Endpoint{})
	n := New(Config{DB: db, Now: c.now, Poll: time.Millisecond})
	if _, _, err := n.Add(context.Background(), Endpoint{URL: r.http.URL}); err == nil {
		t.Error("registered")
	}
	tell(t, n, bandChanged("A", "churn"))
	runs(t, n)
	for made := 1; made <= 3; made++ { // at each attempt
		eventually(t, "tried", func() bool { return deliveriesOf(t, n, e.ID, "")[0].Attempts == made })
		c.advance(time.Hour)
	}
	if d := deliveriesOf(t, n, e.ID, "")[0]; r.count() != 0 || !strings.Contains(d.Error, "--webhook-allow-private") {
		t.Errorf("%+v, %d requests", d, r.count())
	}
}

// A receiver that never answers holds up no other, and has few requests at once.
func TestSlowReceiverHoldsUpNoOther(t *testing.T) {
	c := newClock()
	n, slow, quick := newNotifier(sqlite(t), c), newReceiver(t, c), newReceiver(t, c)
	var now, most atomic.Int64
	release := make(chan struct{})
	slow.answers(func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		<-release
		now.Add(-1)
	})
	s := slow.add(t, n, Endpoint{})
	q := quick.add(t, n, Endpoint{})
	const events = 40
	var list []Event
	for k := range events {
		list = append(list, bandChanged(fmt.Sprint("A-", k), "churn"))
	}
	tell(t, n, list...)
	runs(t, n)
	eventually(t, "the quick one has all", func() bool { return len(deliveriesOf(t, n, q.ID, StateDone)) == events })
	if done := deliveriesOf(t, n, s.ID, StateDone); len(done) != 0 {
		t.Fatalf("%d of the slow one are done", len(done))
	}
	close(release)
	eventually(t, "the slow one has all", func() bool { return len(deliveriesOf(t, n, s.ID, StateDone)) == events })
	if most.Load() > 4 {
		t.Errorf("%d requests at once", most.Load())
	}
}

// What Run does not finish, the next one does: the receiver is down, the process ends and
// starts again, and all of it arrives.
func TestRestart(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		entered, release := make(chan struct{}, 100), make(chan struct{})
		r.answers(func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-release })
		e := r.add(t, n, Endpoint{})
		var list []Event
		for k := range 20 {
			list = append(list, bandChanged(fmt.Sprint("A-", k), "churn"))
		}
		tell(t, n, list...)
		stop := runs(t, n)
		<-entered
		stop() // with requests under way, which is no attempt
		close(release)
		for _, d := range deliveriesOf(t, n, e.ID, "") {
			if d.State != StateWaiting || d.Attempts != 0 || d.Due > c.now().UnixMicro() {
				t.Fatalf("%+v", d)
			}
		}
		again := newNotifier(db, c)
		runs(t, again)
		eventually(t, "all delivered", func() bool { return len(deliveriesOf(t, again, e.ID, StateDone)) == 20 })
		ids := map[string]string{}
		for _, d := range r.all() {
			if body, twice := ids[d.id]; twice && body != d.body {
				t.Errorf("%s is %s and %s", d.id, body, d.body)
			}
			ids[d.id] = d.body
		}
		if len(ids) != 20 {
			t.Errorf("%d events arrived", len(ids))
		}
	})
}

// A request under way when Run is to end may end first.
func TestEndGivesGrace(t *testing.T) {
	c := newClock()
	n, r := newNotifier(sqlite(t), c), newReceiver(t, c)
	n.grace = time.Minute
	entered, release := make(chan struct{}), make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) { close(entered); <-release })
	e := r.add(t, n, Endpoint{})
	tell(t, n, bandChanged("A", "churn"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	<-entered
	cancel()
	close(release)
	<-done
	if d := deliveriesOf(t, n, e.ID, "")[0]; d.State != StateDone {
		t.Errorf("%+v", d)
	}
}

// Two servers on one database send each event once.
func TestTwoServersSendOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		n, other, r := newNotifier(db, c), newNotifier(db, c), newReceiver(t, c)
		e := r.add(t, n, Endpoint{})
		runs(t, n)
		runs(t, other)
		for k := range 30 {
			tell(t, []*Notifier{n, other}[k%2], bandChanged(fmt.Sprint("A-", k), "churn"))
		}
		eventually(t, "all delivered", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 30 })
		if r.count() != 30 {
			t.Errorf("%d requests for 30 events", r.count())
		}
	})
}
