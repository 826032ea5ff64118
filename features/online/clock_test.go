package online

import (
	"context"
	"testing"
	"time"

	"propensity/features/facts"
	"propensity/features/spec"
)

// A clock that is set back stands still: arrivals go on in order, and what has arrived
// is seen at once.
func TestClockSetBack(t *testing.T) {
	m := NewMemory()
	ahead := time.Now().Add(time.Hour).UnixMicro()
	m.last.Store(ahead) // as it was before
	a := NewAccounts(m, 0)
	p := &spec.Project{Sources: []spec.Source{{Name: "events", Kind: spec.Events}}}
	for i, value := range []string{"x", "y", "x"} {
		f := fact("A", "1", 1, 0, value)
		f.Arrived = -1 << 63
		if err := a.Append(context.Background(), []*spec.Project{p}, []facts.Fact{f}); err != nil {
			t.Fatal(err)
		}
		list := factsIn(t, m, "A")
		if now := a.Now(); len(list) != i+1 || list[i].Values["event"].Text != value || list[i].Arrived <= ahead || list[i].Arrived >= now {
			t.Fatalf("after %s the versions are %v, now is %d", value, list, now)
		}
	}
}

// A clock of one's own is that of the store, too: what arrives at an instant is known
// just after it.
func TestSetClock(t *testing.T) {
	at := time.Date(2031, 5, 1, 9, 30, 0, 0, time.UTC)
	m := NewMemory()
	a := NewAccounts(m, 0)
	a.SetClock(func() time.Time { return at })
	f := fact("A", "1", 1, 0, "x")
	f.Arrived = -1 << 63
	if err := a.Append(context.Background(), nil, []facts.Fact{f}); err != nil {
		t.Fatal(err)
	}
	if list := factsIn(t, m, "A"); len(list) != 1 || list[0].Arrived != at.UnixMicro() || a.Now() != at.UnixMicro()+1 {
		t.Errorf("%v", list)
	}
	own := NewAccounts(struct{ Store }{m}, 0) // of no clock
	own.SetClock(func() time.Time { return at.Add(time.Hour) })
	if own.Now() != at.Add(time.Hour).UnixMicro() {
		t.Error("the clock of accounts")
	}
}
