package gbdt

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"

	"propensity/features"
)

// maxBins is the number of values a one-byte bin can take.
const maxBins = 256

// binner maps the values of one feature to one-byte bins. The bins 0 to
// values-1 hold values; the bin missing holds NaN; the bin other, of categorical
// features only, holds the categories that have no bin of their own: the rare
// ones, those that training has no row of, and the unseen (-1).
type binner struct {
	levels     int       // as in features.Feature
	thresholds []float64 // numeric: bin b holds thresholds[b-1] < x <= thresholds[b], the last bin the rest
	codes      []uint8   // categorical: the bin of each code
	values     int
	missing    uint8
	other      uint8 // categorical only
}

// size is the number of bins, whether training rows fall into them or not.
func (b *binner) size() int {
	if b.levels > 0 {
		return b.values + 2
	}
	return b.values + 1
}

// bin is the bin of one value.
func (b *binner) bin(x float64) uint8 {
	switch {
	case math.IsNaN(x):
		return b.missing
	case b.levels == 0:
		return uint8(sort.SearchFloat64s(b.thresholds, x))
	case x < 0:
		return b.other
	}
	return b.codes[int(x)]
}

// binAll bins a column.
func (b *binner) binAll(dst []uint8, column []float64) {
	if b.levels > 0 {
		for i, x := range column {
			dst[i] = b.bin(x)
		}
		return
	}
	// A binary search without a branch, one step of many values after the other, so
	// that none waits for the step before. Past the last threshold is above everything.
	var above [maxBins]float64
	for k := range above {
		above[k] = math.Inf(1)
	}
	copy(above[1:], b.thresholds)
	const together = 64
	for from := 0; from < len(column); from += together {
		values := column[from:min(from+together, len(column))]
		to := dst[from:][:len(values)]
		clear(to)
		for half := 1 << bits.Len(uint(len(b.thresholds))) >> 1; half > 0; half >>= 1 {
			for k, x := range values {
				higher := uint8(0)
				if above[to[k]|uint8(half)] < x {
					higher = 1
				}
				to[k] |= uint8(half) & -higher
			}
		}
		for k, x := range values {
			if x != x {
				to[k] = b.missing
			}
		}
	}
}

// fitBinner learns the bins of one column, whose values checkColumn accepts.
func fitBinner(column []float64, levels, limit int) binner {
	if levels > 0 {
		return fitCategories(column, levels, limit)
	}
	b := binner{thresholds: cuts(column, limit)}
	b.values = len(b.thresholds) + 1
	b.missing = uint8(b.values)
	return b
}

// cuts are the at most limit-1 thresholds that part a column into bins of about
// equal rows: each halfway between two neighbouring distinct values, at or above
// the lower and below the upper, so that the bin of x is at most b exactly when
// x <= thresholds[b].
func cuts(column []float64, limit int) []float64 {
	sorted := slices.DeleteFunc(slices.Clone(sampled(column)), math.IsNaN)
	slices.Sort(sorted)
	values, counts := runs(sorted)
	return evenCuts(values, counts, len(sorted), limit)
}

// evenCuts are thresholds between ascending values, of which there are counts,
// left in all.
func evenCuts(values []float64, counts []int, left, limit int) []float64 {
	var out []float64
	if len(values) <= limit {
		for k := 1; k < len(values); k++ {
			out = append(out, between(values[k-1], values[k]))
		}
		return out
	}
	held := 0 // rows in the open bin; left are those in no closed one
	for k, n := range counts {
		bins := limit - len(out) // still to be filled, the open one included
		if bins == 1 {
			break
		}
		// The bin closes before a value that would overshoot its share of what is
		// left by more than it falls short of it now.
		if held > 0 && (2*held+n)*bins > 2*left {
			out = append(out, between(values[k-1], values[k]))
			left, held = left-held, 0
		}
		held += n
	}
	return out
}

// runs are the distinct values of a sorted slice and how often each occurs.
func runs(sorted []float64) (values []float64, counts []int) {
	for i, x := range sorted {
		if i == 0 || x != sorted[i-1] {
			values, counts = append(values, x), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return values, counts
}

// between is halfway from a to b > a, rounded to a if rounding would reach b.
func between(a, b float64) float64 {
	mid := a/2 + b/2 // b-a might overflow
	if mid >= b || mid < a {
		return a
	}
	return mid
}

// fitCategories gives the most frequent categories a bin each, the lower code
// first among equals; the bins are in the order of the codes.
func fitCategories(column []float64, levels, limit int) binner {
	counts := make([]int, levels)
	for _, x := range column {
		if x >= 0 {
			counts[int(x)]++
		}
	}
	order := make([]int, 0, levels)
	for code, n := range counts {
		if n > 0 {
			order = append(order, code)
		}
	}
	if limit = min(limit, maxBins-2); len(order) > limit {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
		order = order[:limit]
		slices.Sort(order)
	}
	b := binner{levels: levels, values: len(order), codes: make([]uint8, levels)}
	b.missing, b.other = uint8(b.values), uint8(b.values+1)
	for code := range b.codes {
		b.codes[code] = b.other
	}
	for bin, code := range order {
		b.codes[code] = uint8(bin)
	}
	return b
}

// ValueError is a value that cannot be learnt from.
type ValueError struct {
	Feature string // or "label"
	Row     int    // counted from 0
	Value   float64
	Want    string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("%s, row %d: %v, want %s", e.Feature, e.Row, e.Value, e.Want)
}

// Unwrap makes errors.Is(err, ErrMatrix) true.
func (e *ValueError) Unwrap() error { return ErrMatrix }

func checkColumn(f features.Feature, column []float64) error {
	for i, x := range column {
		switch {
		case math.IsInf(x, 0):
			return &ValueError{f.Name, i, x, "a finite number, or NaN where it is missing"}
		case f.Levels > 0 && !math.IsNaN(x) && (x < -1 || x >= float64(f.Levels) || x != math.Trunc(x)):
			return &ValueError{f.Name, i, x, fmt.Sprintf("a category from -1 to %d, or NaN where it is missing", f.Levels-1)}
		}
	}
	return nil
}
