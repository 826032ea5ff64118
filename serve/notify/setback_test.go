package notify

import (
	"context"
	"net/http"
	"testing"
	"time"

	"propensity/serve/database"
)

// What failed, or was to be sent, while the clock was a day ahead does not wait that day
// once it is put right, and a receiver that asked to be spared is asked again. So it is if
// the notifier was started anew meanwhile, but for a pause, which may be a real one.
func TestClockPutRight(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		for _, restart := range []bool{false, true} {
			c := newClock()
			n, r, slow := newNotifier(db, c), newReceiver(t, c), newReceiver(t, c)
			r.answers(status(500))
			slow.answers(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "60")
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			e, spared := r.add(t, n, Endpoint{Models: []string{"churn"}}), slow.add(t, n, Endpoint{Models: []string{"upsell"}})
			c.advance(24 * time.Hour)
			stop := runs(t, n)
			tell(t, n, bandChanged("A", "churn"), bandChanged("B", "upsell"))
			eventually(t, "failed", func() bool {
				now, _ := n.Endpoint(context.Background(), spared.ID)
				return deliveriesOf(t, n, e.ID, "")[0].Attempts == 1 && now.SlowUntil > 0
			})
			stop()
			// Due a day from now, by the clock as it is put right; nothing has tried it yet.
			tell(t, n, bandChanged("C", "churn"))
			if !restart {
				stop = runs(t, n)
				eventually(t, "both", func() bool {
					return deliveriesOf(t, n, e.ID, "")[0].Attempts+deliveriesOf(t, n, e.ID, "")[1].Attempts == 2
				})
			}
			r.answers(nil)
			slow.answers(nil)
			c.advance(-24 * time.Hour)
			if restart {
				stop = runs(t, n)
			}
			eventually(t, "done", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 2 })
			if restart {
				if now, _ := n.Endpoint(context.Background(), spared.ID); now.SlowUntil > start+maxRetryAfter.Microseconds() {
					t.Errorf("spared until %d", now.SlowUntil)
				}
				c.advance(24*time.Hour + time.Minute)
			}
			eventually(t, "done, of the other", func() bool { return len(deliveriesOf(t, n, spared.ID, StateDone)) == 1 })
			stop()
			for _, id := range []string{e.ID, spared.ID} { // of the other round nothing is told
				if err := n.Remove(context.Background(), id); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// What was under way while the clock was put right does not wait that day either: not if
// its answer came before and is written after, and not if its process ended meanwhile.
func TestClockPutRightUnderWay(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		c := newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		r.answers(status(http.StatusTooManyRequests))
		e := r.add(t, n, Endpoint{})
		begin := func() *runner {
			return &runner{Notifier: n, busy: map[string]int{}, ended: make(chan attempt), swept: n.now(), until: n.now(), sending: ctx}
		}
		turn := func(r *runner, under int) {
			t.Helper()
			if err := r.turn(ctx); err != nil || r.all != under {
				t.Fatalf("%d are under way, want %d: %v", r.all, under, err)
			}
		}
		c.advance(24 * time.Hour)
		tell(t, n, bandChanged("A", "churn"))
		first := begin()
		turn(first, 1)
		answer := <-first.ended
		c.advance(-24 * time.Hour)
		turn(first, 1)
		first.end(answer)
		turn(first, 0)
		soon := n.now() + (6 * time.Second).Microseconds()
		now, err := n.Endpoint(ctx, e.ID)
		if d := deliveriesOf(t, n, e.ID, "")[0]; err != nil || d.Attempts != 1 || d.Due > soon || d.Tried != n.now() || now.SlowUntil > soon {
			t.Errorf("%+v, %+v, %v", d, now, err)
		}

		c.advance(24 * time.Hour)
		turn(first, 1)
		<-first.ended                            // and nothing is written of it
		c.advance(10*time.Second - 24*time.Hour) // its receiver has been spared long enough
		second := begin()
		turn(second, 1)
		second.end(<-second.ended)
		turn(second, 0)
		if d := deliveriesOf(t, n, e.ID, "")[0]; d.Attempts != 2 {
			t.Errorf("%+v", d)
		}
	})
}

// A clock that goes on, and one that is set back by less than a minute, makes nothing due.
func TestClockGoesOn(t *testing.T) {
	c := newClock()
	n, r := newNotifier(sqlite(t), c), newReceiver(t, c)
	r.answers(status(500))
	e := r.add(t, n, Endpoint{})
	tell(t, n, bandChanged("A", "churn"))
	runs(t, n)
	failed := func(times int) {
		t.Helper()
		eventually(t, "failed", func() bool { return deliveriesOf(t, n, e.ID, "")[0].Attempts == times })
	}
	failed(1)
	c.advance(6 * time.Second)
	failed(2)
	tells := func(account string) { // a turn was made, with a look at the clock
		t.Helper()
		tell(t, n, bandChanged(account, "churn"))
		eventually(t, account, func() bool {
			for _, d := range deliveriesOf(t, n, e.ID, "") {
				if d.Attempts == 0 {
					return false
				}
			}
			return true
		})
	}
	tells("B")
	c.advance(-59 * time.Second)
	tells("C")
	for _, d := range deliveriesOf(t, n, e.ID, "") {
		if d.Attempts == 3 {
			t.Errorf("%+v", d)
		}
	}
}

// Of a clock that jumps ten years ahead two hours are believed at each sweep; what is kept
// for thirty days is there when it is put right.
func TestClockAheadTakesNothingAway(t *testing.T) {
	c := newClock()
	n, r := newNotifier(sqlite(t), c), newReceiver(t, c)
	e := r.add(t, n, Endpoint{})
	tell(t, n, bandChanged("A", "churn"))
	runs(t, n)
	eventually(t, "done", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 1 })
	for i, account := range []string{"B", "C", "D"} {
		c.advance(10 * 365 * 24 * time.Hour)
		tell(t, n, bandChanged(account, "churn"))
		eventually(t, account, func() bool { return r.count() == i+2 && len(deliveriesOf(t, n, e.ID, StateDone)) == i+2 })
	}
	c.advance(-30 * 365 * 24 * time.Hour)
	tell(t, n, bandChanged("E", "churn"))
	eventually(t, "all", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 5 })
}

// An endpoint that was made while the clock was ahead is told of what happens once it is
// put right, from the very first event, and of nothing from before it was.
func TestEndpointOfAClockAhead(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		event := func(account string) Event {
			e := bandChanged(account, "churn")
			e.At = n.now()
			return e
		}
		old := event("before")
		c.advance(24 * time.Hour)
		e := r.add(t, n, Endpoint{})
		tell(t, n, old, event("A"))
		c.advance(-24 * time.Hour)
		tell(t, n, event("B")) // nobody has looked at the clock since
		runs(t, n)
		eventually(t, "A and B", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 2 })
		tell(t, n, event("C"))
		c.advance(24*time.Hour + time.Second)
		tell(t, n, event("D"))
		eventually(t, "C and D", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 4 })
		if now, err := n.Endpoint(context.Background(), e.ID); err != nil || now.Created > start {
			t.Errorf("made at %d, %v", now.Created, err)
		}
	})
}
