package gbdt

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Every piece of every job is done once, before parallel returns, whether the
// helpers are awake or asleep.
func TestCrew(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		before := runtime.NumGoroutine()
		c := newCrew()
		for job := range 2000 {
			if job%500 == 499 {
				time.Sleep(5 * time.Millisecond) // the helpers fall asleep
			}
			n := job % 40
			done := make([]int, n)
			c.parallel(n, func(i int) { done[i]++ })
			for i, times := range done {
				if times != 1 {
					t.Fatalf("%d threads, job %d: piece %d of %d was done %d times", threads, job, i, n, times)
				}
			}
		}
		c.dismiss()
		for range 1000 {
			if runtime.NumGoroutine() <= before {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if left := runtime.NumGoroutine() - before; left > 0 {
			t.Errorf("%d threads: %d helpers are left", threads, left)
		}
	}
}

// The helpers do take part.
func TestCrewShares(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	c := newCrew()
	defer c.dismiss()
	var inside, met atomic.Int32
	c.parallel(2, func(int) {
		inside.Add(1)
		for range 10_000 { // until the other piece is being done too, ten seconds at most
			if inside.Load() == 2 {
				met.Add(1)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	if met.Load() != 2 {
		t.Error("one goroutine did both pieces")
	}
}
