package online

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// The writer waits for answers as long as there are as many as have a processor beside it,
// and in one transaction not longer than it may.
func TestWay(t *testing.T) {
	var yields, pauses int
	w := newWay()
	w.beside = 2
	w.yield, w.pause = func() { yields++ }, func() { pauses++ }
	pass := func(wantYields, wantPauses int) {
		t.Helper()
		w.pass()
		if yields != wantYields || pauses != wantPauses {
			t.Errorf("gave way %d times with %d pauses, want %d and %d", yields, pauses, wantYields, wantPauses)
		}
		yields, pauses, w.last = 0, 0, time.Time{}
	}
	w.begin()
	pass(1, 0)
	w.waited.Store(1)
	pass(1, 0)
	w.waited.Store(2)
	w.pause = func() {
		if pauses++; pauses == 7 {
			w.waited.Store(1)
		}
	}
	pass(1, 7)
	w.pause = func() { pauses++ }
	w.waited.Store(2)
	pass(1, wayPauses-7) // the rest, whatever goes on
	w.waited.Store(3)
	pass(1, 0)
	w.begin()
	pass(1, wayPauses)
	w.begin()
	w.last = time.Now().Add(time.Hour) // just now
	pass(0, 0)
}

// Whatever answers are waited for, what is added is added; other stores hear of it and
// need not care.
func TestHurry(t *testing.T) {
	ctx := context.Background()
	for _, address := range []string{"memory:", "sqlite:" + filepath.Join(t.TempDir(), "facts.db")} {
		s, err := Open(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		a := NewAccounts(s, 0)
		waited := func() int64 {
			if s, ok := s.(*sqliteStore); ok {
				return s.writer.way.waited.Load()
			}
			return 0
		}
		var all []func()
		for range 1000 {
			all = append(all, a.Hurry())
		}
		if n := waited(); n != 1000 && address != "memory:" {
			t.Errorf("%s: %d answers are waited for", address, n)
		}
		appendTo(t, s, fact("A", "1", 1, 2, "x"))
		wantFacts(t, s, "A", fact("A", "1", 1, 2, "x"))
		for _, done := range all {
			done()
		}
		if n := waited(); n != 0 {
			t.Errorf("%s: %d answers are waited for in the end", address, n)
		}
	}
}
