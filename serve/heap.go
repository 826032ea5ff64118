package serve

import (
	"context"
	"os"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"
)

// heapFloor is what the heap may always grow to.
const heapFloor = 48 << 20

// SteadyHeap spares a process whose heap is small most of its garbage collections, until
// ctx is done: while little is alive, the heap may grow to some 48 MB before it is collected,
// and to twice what is alive as ever where that is more. A collection takes a core for
// milliseconds, which answers wait for, and a small heap has ten in a second. It is for a
// program that does nothing but serve; if GOGC is set, that holds.
func SteadyHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	const ordinary = 100 // percent
	live := []gauges.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := ordinary
	defer func() { debug.SetGCPercent(ordinary) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		gauges.Read(live)
		now := ordinary
		if n := int64(live[0].Value.Uint64()); n > 0 {
			now = int(max(ordinary, min(1000, heapFloor*100/n-100)))
		}
		if now != percent {
			percent = now
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
