package gbdt

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// crew is goroutines that share out work in pieces of a few microseconds. A tree
// has a hundred of them, and to wake a goroutine takes longer than most, so
// the helpers of a crew look out for the next for a while before they sleep.
// Nobody waits for one that sleeps: who is awake does the work.
type crew struct {
	job    atomic.Pointer[job] // the latest
	asleep atomic.Int32
	wake   chan struct{} // closed when there is no more work
}

// job is to call do once for each i below n.
type job struct {
	n      int
	do     func(i int)
	next   atomic.Int64
	active atomic.Int32 // helpers at it
}

// lookout is how many times a helper looks for work before it sleeps, a tenth of
// a millisecond or so.
const lookout = 1 << 12

// newCrew has as many goroutines as can run, the caller's among them.
func newCrew() *crew {
	c := &crew{wake: make(chan struct{}, runtime.GOMAXPROCS(0))}
	for range runtime.GOMAXPROCS(0) - 1 {
		go c.help()
	}
	return c
}

// dismiss ends the helpers.
func (c *crew) dismiss() { close(c.wake) }

// parallel calls do once for each i below n. One goroutine at a time may call it.
// Without a crew new goroutines are started for it.
func (c *crew) parallel(n int, do func(i int)) {
	if c == nil {
		parallel(n, do)
		return
	}
	if n <= 1 || cap(c.wake) == 1 {
		for i := range n {
			do(i)
		}
		return
	}
	j := &job{n: n, do: do}
	c.job.Store(j)
	for range c.asleep.Load() {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	j.work()
	for j.active.Load() > 0 {
		runtime.Gosched()
	}
}

func (j *job) work() {
	for i := int(j.next.Add(1)) - 1; i < j.n; i = int(j.next.Add(1)) - 1 {
		j.do(i)
	}
}

func (c *crew) help() {
	var done *job
	for looked := 0; ; looked++ {
		j := c.job.Load()
		if j != done {
			j.active.Add(1) // before a look at what is left, so that nobody leaves while it is done
			j.work()
			j.active.Add(-1)
			done, looked = j, 0
			continue
		}
		if looked < lookout {
			runtime.Gosched()
			continue
		}
		c.asleep.Add(1)
		if c.job.Load() == done {
			if _, open := <-c.wake; !open {
				return
			}
		}
		c.asleep.Add(-1)
		looked = 0
	}
}

// parallel calls do once for each i below n, on as many goroutines as can run.
func parallel(n int, do func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	j := &job{n: n, do: do}
	var wait sync.WaitGroup
	for range workers - 1 {
		wait.Go(j.work)
	}
	j.work()
	wait.Wait()
}
