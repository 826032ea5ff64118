package logistic

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"propensity/features"
)

// designColumn is one feature in the design.
type designColumn struct {
	center, scale, fill float64 // of a number; fill replaces a missing value
	inverse             float64 // 1 / scale, 0 where that overflows
	plain               bool    // sums may be standardised instead of the values: little cancels
	low, high           float64 // of a number, in standard deviations from the center
	number              int     // place of a number among the dense values, 0: it is constant
	slot                int     // where its table begins among those of all categories, -1: it has none
	hole                int     // place in a row's list of missing numbers, -1: it has none
	levels              []int32 // indicator of each code, -1: none
	missing             int32   // indicator of a missing value, -1: none
	reference           int     // the level that others are compared with, -1: none

	holes  []int32   // rows where a number is missing
	before []int     // how many of them are before each block, and in all
	codes  []int32   // of a category, by row; after its levels come missing and unseen
	places []int32   // indicator of each of these codes, -1: none
	mass   float64   // weight of the rows with a missing value
	masses []float64 // weight of the rows of each level
	unseen bool      // some rows are of no level
}

// nearZero is how many standard deviations 0 may be off the mean for sums to be
// standardised: of their 16 digits three may be lost.
const nearZero = 30

// wanted says that an indicator is to be given a place.
const wanted = 0

func scanColumn(f features.Feature, xs, weight []float64) (designColumn, error) {
	if f.Levels > 0 {
		return categoryColumn(f, xs, weight)
	}
	return numberColumn(f, xs, weight)
}

// weigh is the weight of row i; without weights every row counts 1.
func weigh(weight []float64, i int) float64 {
	if weight == nil {
		return 1
	}
	return weight[i]
}

func categoryColumn(f features.Feature, xs, weight []float64) (designColumn, error) {
	c := designColumn{slot: -1, hole: -1, missing: -1, reference: -1, levels: make([]int32, f.Levels), masses: make([]float64, f.Levels), codes: make([]int32, len(xs))}
	counts := make([]int, f.Levels)
	missing, unseen := 0, 0
	for i, x := range xs {
		switch {
		case x >= 0 && x < float64(f.Levels) && x == math.Trunc(x):
			counts[int(x)]++
			c.masses[int(x)] += weigh(weight, i)
			c.codes[i] = int32(x)
		case math.IsNaN(x):
			missing++
			c.mass += weigh(weight, i)
			c.codes[i] = int32(f.Levels)
		case x == -1:
			unseen++
			c.codes[i] = int32(f.Levels + 1)
		default:
			return c, fmt.Errorf("feature %q, row %d: code %v, want -1 to %d", f.Name, i, x, f.Levels-1)
		}
	}
	all := len(xs)
	c.unseen = unseen > 0
	same := missing == all || unseen == all || slices.Contains(counts, all) // no indicators
	for k, n := range counts {
		switch {
		case same || n == 0:
			c.levels[k] = -1
		case c.reference < 0 || c.masses[k] > c.masses[c.reference]:
			c.reference = k
		}
	}
	if missing > 0 && !same {
		c.missing = wanted
	}
	return c, nil
}

func numberColumn(f features.Feature, xs, weight []float64) (designColumn, error) {
	c := designColumn{scale: 1, inverse: 1, slot: -1, hole: -1, missing: -1, reference: -1}
	c.before = make([]int, 0, (len(xs)+block-1)/block+1)
	low, high := math.Inf(1), math.Inf(-1)
	for first := 0; first < len(xs); first += block {
		c.before = append(c.before, len(c.holes))
		for r, x := range xs[first:min(len(xs), first+block)] {
			if x != x {
				c.holes = append(c.holes, int32(first+r))
				continue
			}
			if x < low {
				low = x
			}
			if x > high {
				high = x
			}
		}
	}
	c.before = append(c.before, len(c.holes))
	known := len(xs) - len(c.holes)
	if math.IsInf(low, -1) || (math.IsInf(high, 1) && known > 0) {
		i := slices.IndexFunc(xs, func(x float64) bool { return math.IsInf(x, 0) })
		return c, fmt.Errorf("feature %q, row %d: %v is not finite", f.Name, i, xs[i])
	}
	for _, i := range c.holes {
		c.mass += weigh(weight, int(i))
	}
	total := float64(len(xs))
	if weight != nil {
		total = floats.Sum(weight)
	}
	if known == 0 {
		return c, nil
	}
	if known < len(xs) {
		c.missing = wanted
	}
	if weight == nil {
		c.fill = median(xs, known)
	} else {
		c.fill = weightedMedian(xs, weight)
	}
	// Deviations from the median, in units of the largest, neither overflow nor
	// cancel; a missing value deviates by 0.
	unit := max(c.fill-low, high-c.fill)
	if math.IsInf(unit, 0) {
		return c, fmt.Errorf("feature %q: values from %v to %v are too far apart", f.Name, low, high)
	}
	if unit == 0 {
		c.center = c.fill
		return c, nil
	}
	// Median and mean are within a standard deviation of each other (Hotelling and
	// Solomons 1932), so the difference of squares loses at most a bit.
	mean, squares := 0.0, 0.0
	for i, x := range xs {
		if x == x {
			u := (x - c.fill) / unit
			w := u
			if weight != nil {
				w *= weight[i]
			}
			mean += w
			squares += w * u
		}
	}
	mean /= total
	variance := max(0, squares/total-mean*mean)
	c.center = c.fill + mean*unit
	if scale := unit * math.Sqrt(variance); scale > 0 {
		c.scale, c.number = scale, 1
		if c.inverse = 1 / scale; math.IsInf(c.inverse, 0) {
			c.inverse = 0
		}
		c.low, c.high = (low-c.center)/scale, (high-c.center)/scale
		c.plain = scale > 1e-100 && scale < 1e100 && math.Abs(c.center) < nearZero*scale
	}
	return c, nil
}

// takeHoles keeps those of the given rows, which rise.
func (c *designColumn) takeHoles(rows []int) {
	old := c.holes
	c.holes, c.before = nil, nil
	for i, row := range rows {
		if i%block == 0 {
			c.before = append(c.before, len(c.holes))
		}
		for len(old) > 0 && int(old[0]) < row {
			old = old[1:]
		}
		if len(old) > 0 && int(old[0]) == row {
			c.holes = append(c.holes, int32(i))
		}
	}
	c.before = append(c.before, len(c.holes))
}

// median is that of the known values of xs, of which there is at least one: the
// mean of the two in the middle.
func median(xs []float64, known int) float64 {
	low, high := middle(xs, known, (known-1)/2, known/2)
	return low/2 + high/2
}

// middle gives the values of two neighbouring ranks among the known values of xs. Of
// many it keeps those between two quantiles of a sample that nearly always surround
// the ranks (Floyd and Rivest 1975, "Expected time bounds for selection").
func middle(xs []float64, known, first, last int) (low, high float64) {
	const sampled = 1024
	if known > 4*sampled {
		sample := make([]float64, 0, sampled)
		for k := range sampled {
			if x := xs[len(xs)*k/sampled]; x == x {
				sample = append(sample, x)
			}
		}
		slices.Sort(sample)
		if n := len(sample); n > 0 {
			at := n * first / known
			from, to := sample[max(0, at-n/16)], sample[min(n-1, at+n/16)]
			below, equal := 0, 0 // to from
			between := make([]float64, 0, known/6)
			var some [256]float64 // sorted out without a branch: none would be foretold
			for rest := xs; len(rest) > 0; rest = rest[min(len(rest), len(some)):] {
				k := 0
				for _, x := range rest[:min(len(rest), len(some))] {
					some[k&255] = x
					k += one(x > from) & one(x < to)
					below += one(x < from)
					equal += one(x == from)
				}
				between = append(between, some[:k]...)
			}
			rank := first - below
			switch next := last - below - equal; {
			case rank < 0 || next >= len(between): // the sample misled
			case next < 0:
				return from, from
			case rank < equal:
				return from, slices.Min(between)
			default:
				return middle(between, len(between), rank-equal, next)
			}
		}
	}
	all := make([]float64, 0, known)
	for _, x := range xs {
		if x == x {
			all = append(all, x)
		}
	}
	slices.Sort(all)
	return all[first], all[last]
}

// one is 1 if it is so.
func one(so bool) int {
	if so {
		return 1
	}
	return 0
}

// weightedMedian is the median if every row stood there as often as it weighs.
func weightedMedian(xs, weight []float64) float64 {
	type point struct{ x, w float64 }
	points, total := make([]point, 0, len(xs)), 0.0
	for i, x := range xs {
		if x == x {
			points = append(points, point{x, weight[i]})
			total += weight[i]
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	last := points[len(points)-1].x
	low, high, found, sum := last, last, false, 0.0
	for _, p := range points {
		sum += p.w
		if !found && sum >= total/2 {
			low, found = p.x, true
		}
		if sum > total/2 {
			high = p.x
			break
		}
	}
	return low/2 + high/2
}
