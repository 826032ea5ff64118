package build

import (
	"math"

	"propensity/datasets"
)

// twins are, for each picked fact, the one before it that has the same value in a
// column.
type twins struct {
	column int
	before []int32 // -1 is none
	fresh  []int32 // how many facts before it have none; one more entry than facts
}

// twins finds those of a column, once.
func (s *scratch) twins(l *lane, w *work, column int) *twins {
	for i := range w.twins {
		if w.twins[i].column == column {
			return &w.twins[i]
		}
	}
	if len(w.twins) < cap(w.twins) {
		w.twins = w.twins[:len(w.twins)+1]
	} else {
		w.twins = append(w.twins, twins{})
	}
	t := &w.twins[len(w.twins)-1]
	t.column, t.before, t.fresh = column, t.before[:0], append(t.fresh[:0], 0)
	s.seen.clear(len(w.rows))
	c := &l.facts.Columns[column]
	switch c.Kind {
	case datasets.Number, datasets.Boolean:
		values := c.Numbers[l.base:]
		for k, i := range w.rows {
			t.before = append(t.before, s.seen.swap(math.Float64bits(values[i]+0), int32(k))) // -0 is 0
		}
	case datasets.Time:
		values := c.Times[l.base:]
		for k, i := range w.rows {
			t.before = append(t.before, s.seen.swap(uint64(values[i]), int32(k)))
		}
	default:
		codes := c.Codes[l.base:]
		for k, i := range w.rows {
			t.before = append(t.before, s.seen.swap(uint64(codes[i]), int32(k)))
		}
	}
	fresh := int32(0)
	for _, b := range t.before {
		if b < 0 {
			fresh++
		}
		t.fresh = append(t.fresh, fresh)
	}
	return t
}

// distincts counts the facts of the window that have no twin in it.
func distincts(out []float64, t *twins, x *spanWork, moments []int32) {
	for k, m := range moments {
		lo, hi := x.lo[k], x.hi[k]
		if lo == 0 {
			out[m] = float64(t.fresh[hi])
			continue
		}
		n := int32(0)
		for _, b := range t.before[lo:hi] {
			n += int32(uint32(b-lo) >> 31) // 1 if b < lo
		}
		out[m] = float64(n)
	}
}

// lastMet remembers where a value was last met. It is emptied without being cleared.
type lastMet struct {
	slots []slot
	round uint32
	shift uint
}

type slot struct {
	value uint64
	round uint32
	last  int32
}

// clear makes it empty, with room for n values.
func (t *lastMet) clear(n int) {
	if t.round++; 2*n > len(t.slots) || t.round == 0 {
		size := 64
		t.shift = 64 - 6
		for size < 2*n || size < len(t.slots) {
			size, t.shift = 2*size, t.shift-1
		}
		t.slots, t.round = make([]slot, size), 1
	}
}

// swap gives where the value was last met, -1 if it was not, and puts in i.
func (t *lastMet) swap(value uint64, i int32) int32 {
	for k := value * 0x9e3779b97f4a7c15 >> t.shift; ; k = (k + 1) & uint64(len(t.slots)-1) {
		s := &t.slots[k]
		if s.round != t.round {
			*s = slot{value, t.round, i}
			return -1
		}
		if s.value == value {
			last := s.last
			s.last = i
			return last
		}
	}
}
