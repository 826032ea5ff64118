package online

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Hurry says that an answer about an account is waited for, until done is called: where
// there are not processors enough for both, a store of this package whose writing would
// hold it up lets it pass.
func (a *Accounts) Hurry() (done func()) {
	s, ok := a.store.(*sqliteStore)
	if !ok {
		return func() {}
	}
	waited := &s.writer.way.waited
	waited.Add(1)
	return func() { waited.Add(-1) }
}

// way lets answers pass before a transaction that is being written: a transaction is
// long, an answer wants little, and a kernel may change between the threads of the two
// only every few milliseconds, whatever their priorities.
type way struct {
	waited atomic.Int64 // answers that are waited for
	// Only the writer touches these.
	beside int64     // answers that have a processor beside the writer's
	last   time.Time // when it gave way
	pauses int       // that are left in this transaction
	yield  func()    // lets threads run that want the processor
	pause  func()
}

const (
	// wayEvery is how long the writer works, at least, before it looks again.
	wayEvery = 200 * time.Microsecond
	// wayPause is how long it waits before it looks again, and wayPauses how often, at
	// most, in a transaction: it is held up for some 10 ms and not longer.
	wayPause  = 50 * time.Microsecond
	wayPauses = 100
)

func newWay() *way {
	return &way{beside: int64(max(1, runtime.GOMAXPROCS(0)-1)), yield: yieldThread, pause: pauseThread}
}

// begin begins a transaction.
func (w *way) begin() { w.pauses = wayPauses }

// pass is called by the writer where it can be interrupted.
func (w *way) pass() {
	if time.Since(w.last) < wayEvery {
		return
	}
	w.yield() // so that requests that have come are known
	for ; w.pauses > 0 && w.waited.Load() >= w.beside; w.pauses-- {
		w.pause()
	}
	w.last = time.Now()
}
