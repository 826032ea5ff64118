package serve

import (
	"context"
	"os"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"
)

// heapFloor is what the heap may always grow to.
const heapFloor = 44 << 20

// SteadyHeap spares a process whose heap is small most of its garbage collections, until
// ctx is done: while little is alive, the heap may grow to 44 MB before it is collected,
// and to twice what is alive as ever where that is more. A collection takes a core for
// milliseconds, which answers wait for, and a small heap has ten in a second. It is for a
// program that does nothing but serve; if GOGC is set, that holds.
func SteadyHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	const ordinary = 100 // percent
	// What the collector starts from, its goal being live + GOGC % of all three.
	sizes := []gauges.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	percent := ordinary
	defer func() { debug.SetGCPercent(ordinary) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		gauges.Read(sizes)
		now := ordinary
		if live := int64(sizes[0].Value.Uint64()); live > 0 {
			base := live + int64(sizes[1].Value.Uint64()) + int64(sizes[2].Value.Uint64())
			now = int(max(ordinary, min(1000, (heapFloor-live)*100/base)))
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
