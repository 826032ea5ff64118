package evaluate

import (
	"fmt"
	"math"
	"slices"
)

// maxPoints is how many distinct values a Ranking keeps at most.
const maxPoints = 20_000

// Ranking places a raw score among those of the rows a model was judged on. It
// is safe for concurrent use.
//
// Up to 20,000 distinct values are kept exactly. Beyond that, neighbours are
// joined at the middle one of them, into groups of about 1/10,000 of the rows;
// values that frequent stay on their own. A percentile is then within 0.02 of
// the exact one.
type Ranking struct {
	values []float64 // strictly increasing
	counts []float64 // rows at a value
	below  []float64 // rows below a value; one place more, for the total
	grid   grid
}

// NewRanking ranks the raw scores of rows. All must be finite, at least one; the
// error is an *InputError.
func NewRanking(raw []float64) (*Ranking, error) {
	if len(raw) == 0 {
		return nil, &InputError{Input: "raw", Row: -1, Detail: "has no rows"}
	}
	if err := checkFinite("raw", raw, len(raw)); err != nil {
		return nil, err
	}
	sorted := slices.Clone(raw)
	slices.Sort(sorted)
	var values, counts []float64
	for _, x := range sorted {
		if k := len(values) - 1; k >= 0 && values[k] == x {
			counts[k]++
			continue
		}
		values, counts = append(values, x+0), append(counts, 1) // -0 + 0 is 0
	}
	if len(values) > maxPoints {
		values, counts = thin(values, counts, float64(len(raw))/(maxPoints/2-1))
	}
	return FromCounts(values, counts)
}

// thin joins neighbours until they count step rows. A value of that many rows
// stays on its own and ends the group before it. As groups of step rows or more
// are at most total/step, and the others each precede such a value or come last,
// twice total/step and one more are left at most.
func thin(values, counts []float64, step float64) (v, c []float64) {
	start, sum := 0, 0.0
	join := func(end int) {
		if start == end {
			return
		}
		middle, below := start, counts[start]
		for below < sum/2 {
			middle++
			below += counts[middle]
		}
		v, c = append(v, values[middle]), append(c, sum)
		start, sum = end, 0
	}
	for i, n := range counts {
		if n >= step {
			join(i)
		}
		if sum += n; sum >= step {
			join(i + 1)
		}
	}
	join(len(counts))
	return v, c
}

// FromCounts is the Ranking with counts[i] rows at values[i], as Values and Counts
// gave them. Values are finite and strictly increasing, counts whole and above 0
// with a sum below 2^53; there are 1 to 20,000 of each. The error is an *InputError.
// The slices are kept, not copied.
func FromCounts(values, counts []float64) (*Ranking, error) {
	if len(values) == 0 || len(values) > maxPoints {
		return nil, &InputError{Input: "values", Row: -1, Detail: fmt.Sprintf("has %d values; 1 to %d are expected", len(values), maxPoints)}
	}
	if err := checkFinite("values", values, len(values)); err != nil {
		return nil, err
	}
	if err := checkLength("counts", len(counts), len(values)); err != nil {
		return nil, err
	}
	r := &Ranking{values: values, counts: counts, below: make([]float64, len(values)+1)}
	for i, n := range counts {
		if i > 0 && values[i] <= values[i-1] {
			return nil, &InputError{Input: "values", Row: i, Value: values[i], Detail: "is not above the value before it"}
		}
		if !(n >= 1 && n < 1<<53) || n != math.Trunc(n) {
			return nil, &InputError{Input: "counts", Row: i, Value: n, Detail: "a whole number above 0 is expected"}
		}
		if r.below[i+1] = r.below[i] + n; r.below[i+1] >= 1<<53 {
			return nil, &InputError{Input: "counts", Row: i, Value: n, Detail: "the sum of counts is 2^53 or more"}
		}
	}
	r.grid = newGrid(values)
	return r, nil
}

// grid cuts the range of sorted values into even cells, about two a value, so
// that a search starts where it ends or close by.
type grid struct {
	low, scale float64
	first      []int32 // the first value in a cell or after it; one place more, for the end
}

func newGrid(values []float64) grid {
	n := 2 * len(values)
	g := grid{low: values[0], first: make([]int32, n+1)}
	g.scale = float64(n) / (values[len(values)-1] - g.low)
	for _, x := range values {
		g.first[g.cell(x)+1]++
	}
	for k := range n {
		g.first[k+1] += g.first[k]
	}
	return g
}

// cell is that of x; it never falls as x rises.
func (g *grid) cell(x float64) int {
	at, n := (x-g.low)*g.scale, len(g.first)-1
	switch {
	case !(at > 0): // also where the values are one, or their range is infinite
		return 0
	case at >= float64(n):
		return n - 1
	}
	return int(at)
}

// search is the place of the first of values that is x or above.
func (g *grid) search(values []float64, x float64) int {
	k := g.cell(x)
	low, high := int(g.first[k]), int(g.first[k+1])
	for low < high {
		if middle := int(uint(low+high) >> 1); values[middle] < x {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// Values are the distinct raw scores, strictly increasing; not to be changed.
func (r *Ranking) Values() []float64 { return r.values }

// Counts are the rows at each of Values; not to be changed.
func (r *Ranking) Counts() []float64 { return r.counts }

// Percentile is the share of rows below raw plus half of those at raw, from 0 to
// 100. It never falls as raw rises; NaN gives NaN.
func (r *Ranking) Percentile(raw float64) float64 {
	if math.IsNaN(raw) {
		return math.NaN()
	}
	i := r.grid.search(r.values, raw)
	rows := r.below[i]
	if i < len(r.values) && r.values[i] == raw {
		rows += r.counts[i] / 2
	}
	return 100 * rows / r.below[len(r.values)]
}
