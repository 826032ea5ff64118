package gbdt

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyLeaf draws gradients and bins of one feature for the rows of a leaf.
func anyLeaf(t *rapid.T, size int) (column []uint8, of []sums) {
	n := rapid.IntRange(2, 80).Draw(t, "rows")
	column, of = make([]uint8, n), make([]sums, n)
	for i := range column {
		column[i] = uint8(rapid.IntRange(0, size-1).Draw(t, "bin"))
		g := rapid.IntRange(-8, 8).Draw(t, "g")
		of[i] = sums{int64(g * 127), int64(1023 / (1 + g*g)), 1}
	}
	return column, of
}

// histogramOf adds up row by row.
func histogramOf(size int, column []uint8, of []sums) []sums {
	h := make([]sums, size)
	for i, b := range column {
		h[b] = h[b].plus(of[i])
	}
	return h
}

func allRows(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// twin tries every set of bins that the search may choose, row by row, and keeps
// the first of the highest gain.
type twin struct {
	o      *Options
	column []uint8
	of     []sums
}

func (w twin) sum(in func(bin uint8) bool) (s sums) {
	for i, b := range w.column {
		if in(b) {
			s = s.plus(w.of[i])
		}
	}
	return s
}

// loss is what a leaf at its best value takes off the loss, twice.
func (w twin) loss(s sums, l2 float64) float64 {
	g, h := float64(s.g)/1023, float64(s.h)/4092
	return g * g / (h + l2)
}

func (w twin) gain(yes set, l2 float64) float64 {
	left := w.sum(yes.has)
	right := w.sum(func(b uint8) bool { return !yes.has(b) })
	if min(left.n, right.n) < int64(w.o.MinRows) || float64(min(left.h, right.h)) < w.o.MinHessian*4092 {
		return 0
	}
	total := w.sum(func(uint8) bool { return true })
	return w.loss(left, l2) + w.loss(right, l2) - w.loss(total, w.o.L2)
}

func (w twin) best(candidates []set, l2 float64) float64 {
	best := 0.0
	for _, yes := range candidates {
		best = max(best, w.gain(yes, l2))
	}
	return best
}

// agrees checks a split against the rows: its gain is the highest of all
// candidates, its sums are those of its set, and empty bins go with more rows.
func (w twin) agrees(t *rapid.T, c *column, got split, candidates []set, l2 float64) {
	if want := w.best(candidates, l2); math.Abs(got.gain-want) > 1e-9*(1+want) {
		t.Fatalf("gain %v, want %v", got.gain, want)
	}
	if got.gain == 0 {
		return
	}
	left := w.sum(got.yes.has)
	if got.left != left || got.l2 != l2 || math.Abs(w.gain(got.yes, l2)-got.gain) > 1e-9*(1+got.gain) {
		t.Fatalf("the set holds %v, the split says %v; gain %v and %v", left, got.left, w.gain(got.yes, l2), got.gain)
	}
	from := 0
	if c.ordered() {
		from = c.values()
		for cut := range c.values() {
			if got.yes.has(uint8(cut)) != (cut <= got.cut) {
				t.Fatalf("yes %b is not cut at %d", got.yes[0], got.cut)
			}
		}
	}
	for bin := from; bin < c.size; bin++ {
		if !slices.Contains(w.column, uint8(bin)) && got.yes.has(uint8(bin)) != (2*left.n >= int64(len(w.column))) {
			t.Fatalf("empty bin %d is on the side of fewer rows", bin)
		}
	}
}

func anyOptions(t *rapid.T) *Options {
	o := Defaults()
	o.MinRows = rapid.IntRange(1, 6).Draw(t, "MinRows")
	o.L2 = rapid.SampledFrom([]float64{0.25, 1, 5}).Draw(t, "L2")
	o.MinHessian = rapid.SampledFrom([]float64{0, 0.001, 1}).Draw(t, "MinHessian")
	o.CategoryRows = rapid.IntRange(0, 4).Draw(t, "CategoryRows")
	o.CategoryMax = rapid.IntRange(1, 8).Draw(t, "CategoryMax")
	o.CategorySmooth = rapid.SampledFrom([]float64{0, 1, 20}).Draw(t, "CategorySmooth")
	o.CategoryL2 = rapid.SampledFrom([]float64{0, 10}).Draw(t, "CategoryL2")
	o.CategoryOneHot = rapid.IntRange(0, 6).Draw(t, "CategoryOneHot")
	return &o
}

func TestNumericSplitAgainstEveryThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOptions(t)
		b := binner{values: 6, missing: 6}
		bins, of := anyLeaf(t, rapid.SampledFrom([]int{6, 7}).Draw(t, "bins"))
		w := twin{o, bins, of}
		var candidates []set
		for cut := range b.values {
			for _, missing := range []bool{false, true} {
				var yes set
				for bin := 0; bin <= cut; bin++ {
					yes.add(bin)
				}
				if missing {
					yes.add(int(b.missing))
				}
				candidates = append(candidates, yes)
			}
		}
		c := column{binner: &b, size: b.size()}
		h := histogramOf(c.size, bins, of)
		s := newSearch(o, w.sum(func(uint8) bool { return true }))
		w.agrees(t, &c, s.find(0, &c, h), candidates, o.L2)
	})
}

func TestCategoricalSplitAgainstEveryPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOptions(t)
		b := binner{levels: 7, values: 6, missing: 6, other: 7}
		bins, of := anyLeaf(t, rapid.IntRange(2, 8).Draw(t, "bins"))
		w := twin{o, bins, of}
		only := func(bin int) sums { return w.sum(func(b uint8) bool { return int(b) == bin }) }
		var eligible []int
		filled := 0
		for bin := range b.size() {
			if s := only(bin); s.n > 0 {
				filled++
				if s.n >= int64(o.CategoryRows) {
					eligible = append(eligible, bin)
				}
			}
		}
		l2 := o.L2
		var candidates []set
		if filled <= o.CategoryOneHot {
			for _, bin := range eligible {
				var yes set
				yes.add(bin)
				candidates = append(candidates, yes)
			}
		} else {
			l2 += o.CategoryL2
			key := func(bin int) float64 {
				s := only(bin)
				return s.gradient() / (s.hessian() + o.CategorySmooth)
			}
			slices.SortStableFunc(eligible, func(a, b int) int {
				if ka, kb := key(a), key(b); ka < kb {
					return -1
				} else if ka > kb {
					return 1
				}
				return a - b
			})
			for n := 1; n <= min(o.CategoryMax, len(eligible)); n++ {
				var prefix, suffix set
				for k := range n {
					prefix.add(eligible[k])
					suffix.add(eligible[len(eligible)-1-k])
				}
				candidates = append(candidates, prefix, suffix)
			}
		}
		c := column{binner: &b, size: b.size()}
		h := histogramOf(c.size, bins, of)
		s := newSearch(o, w.sum(func(uint8) bool { return true }))
		w.agrees(t, &c, s.find(0, &c, h), candidates, l2)
	})
}

// Fisher 1958: without smoothing or limits, no set of categories is better than
// the best cut of the sorted ones.
func TestSortedCategoriesAreOptimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Defaults()
		o.MinRows, o.MinHessian, o.L2 = 1, 0, 0
		o.CategoryOneHot, o.CategoryRows, o.CategoryMax, o.CategorySmooth, o.CategoryL2 = 0, 0, 255, 0, 0
		b := binner{levels: 8, values: 8, missing: 8, other: 9}
		bins, of := anyLeaf(t, 8)
		w := twin{&o, bins, of}
		best := 0.0
		for mask := uint64(1); mask < 255; mask++ {
			best = max(best, w.gain(set{mask}, 0))
		}
		c := column{binner: &b, size: b.size()}
		h := histogramOf(c.size, bins, of)
		s := newSearch(&o, w.sum(func(uint8) bool { return true }))
		if got := s.find(0, &c, h); math.Abs(got.gain-best) > 1e-9*(1+best) {
			t.Fatalf("gain %v with %d categories, the best of all sets has %v", got.gain, bits.OnesCount64(got.yes[0]), best)
		}
	})
}

// Rates are cut as numbers are, but only where the rates of all rows, which the
// model goes by, lie on both sides.
func TestRatesSplitAgainstEveryThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOptions(t)
		lowest := rapid.IntRange(0, 4).Draw(t, "lowest")
		c := column{rates: &rates{lowest: lowest, highest: rapid.IntRange(lowest+1, 6).Draw(t, "highest")}, size: 7}
		bins, of := anyLeaf(t, 7)
		w := twin{o, bins, of}
		var candidates []set
		var yes set
		for cut := range c.rates.highest {
			yes.add(cut)
			if cut >= lowest {
				candidates = append(candidates, yes)
			}
		}
		s := newSearch(o, w.sum(func(uint8) bool { return true }))
		w.agrees(t, &c, s.find(0, &c, histogramOf(c.size, bins, of)), candidates, o.L2)
	})
}

// Worked by hand at a probability of 3/4, and at the far ends.
func TestLoss(t *testing.T) {
	raw := math.Log(3) // probability 3/4
	if got, want := lossOf(raw, 0), math.Log(4); math.Abs(got-want) > 1e-15 {
		t.Errorf("loss of a negative %v, want %v", got, want)
	}
	if got, want := lossOf(raw, 1), math.Log(4.0/3); math.Abs(got-want) > 1e-15 {
		t.Errorf("loss of a positive %v, want %v", got, want)
	}
	if got := lossOf(-800, 1); got != 800 {
		t.Errorf("loss of a hopeless positive %v, want 800", got)
	}
}
