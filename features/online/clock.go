package online

import (
	"sync/atomic"
	"time"
)

// clock tells the time in microseconds since 1970 UTC, each time a later one: facts
// that arrive one after the other have arrivals that differ, and a clock that is set
// back stands still instead.
type clock struct{ last atomic.Int64 }

func (c *clock) now() int64 {
	for {
		last := c.last.Load()
		now := max(time.Now().UnixMicro(), last+1)
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}
