package online

import (
	"sync/atomic"
	"time"
)

// clock tells the time in microseconds since 1970 UTC, each time a later one: facts
// that arrive one after the other have arrivals that differ, and a clock that is set
// back stands still instead.
type clock struct {
	last atomic.Int64
	wall func() time.Time // nil: time.Now
}

// setClock is called before the clock is looked at.
func (c *clock) setClock(now func() time.Time) { c.wall = now }

func (c *clock) now() int64 {
	wall := c.wall
	if wall == nil {
		wall = time.Now
	}
	for {
		last := c.last.Load()
		now := max(wall().UnixMicro(), last+1)
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// SetClock has moments and the arrivals of facts come from now instead of time.Now, those
// of a store of this package, too. It is called before anything is added or read.
func (a *Accounts) SetClock(now func() time.Time) {
	a.clock.setClock(now)
	if c, ok := a.store.(interface{ setClock(func() time.Time) }); ok {
		c.setClock(now)
	}
}
