package gbdt

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/features"
	"propensity/models/tree"
)

// against counts the steps of a model against the order along feature j: rows of m
// are scored at all values of a grid, in ascending order.
func against(model *tree.Ensemble, m *features.Matrix, j int, rising int8, rows int) (wrong int) {
	var grid []float64
	for _, x := range m.Columns[j] {
		if !math.IsNaN(x) {
			grid = append(grid, x, math.Nextafter(x, math.Inf(-1)))
		}
	}
	grid = append(grid, -math.MaxFloat64, math.MaxFloat64)
	slices.Sort(grid)
	grid = slices.Compact(grid)
	if every := len(grid)/150 + 1; every > 1 {
		thin := grid[:0]
		for k := 0; k < len(grid); k += every {
			thin = append(thin, grid[k])
		}
		grid = thin
	}
	x := make([]float64, len(m.Features))
	for i := range rows {
		m.Row(x, i)
		last := 0.0
		for k, v := range grid {
			x[j] = v
			raw := model.Raw(x)
			if k > 0 && (rising > 0 && raw < last || rising < 0 && raw > last) {
				wrong++
			}
			last = raw
		}
	}
	return wrong
}

// Scores never step against the order, along any of the features that have one, of
// trees with categories, rates, missing values, samples, pruning, weights and
// groups; without the option they do.
func TestMonotone(t *testing.T) {
	for seed := range uint64(4) {
		m := mixedMatrix(2000, 30+seed)
		// The label falls with wide where the plan is 1, and rises elsewhere.
		o := Defaults()
		o.Trees, o.Rate, o.Leaves, o.L2 = 25, 0.3, 20, 0.1
		o.CategoryRates = []int{1, 30, 1000}[seed%3]
		if seed == 1 {
			o.MinGain = 1.5
		}
		if seed == 2 {
			m.Weight = make([]float64, m.Rows())
			for i := range m.Weight {
				m.Weight[i] = 0.2 + float64(i%7)
			}
			o.CategoryOneHot = 0
		}
		if seed == 3 {
			o.Groups = [][]int{{0, 1, 2}, {2, 3}}
		}
		free := fit(t, m, nil, o).Model
		for _, directions := range [][]int8{{1, 1, 0, 0, 0, 0}, {-1, 0, 0, 0, 0, 1}, {0, -1, 0, 0, 1, 0}} {
			o.Monotone = directions
			model := fit(t, m, nil, o).Model
			freely := 0
			for j, rising := range directions {
				if rising == 0 {
					continue
				}
				if wrong := against(model, m, j, rising, 50); wrong > 0 {
					t.Errorf("seed %d, %v: %d steps against the order of feature %d", seed, directions, wrong, j)
				}
				freely += against(free, m, j, rising, 50)
			}
			if freely == 0 {
				t.Errorf("seed %d, %v: the model keeps to the order by itself", seed, directions)
			}
			if model.Trees() == 0 {
				t.Errorf("seed %d, %v: nothing was learnt", seed, directions)
			}
		}
	}
}

// A step that rises is learnt, one that falls is left out, and the missing keep
// the score of theirs, whatever the order.
func TestMonotoneLearnsWhatItMay(t *testing.T) {
	m := &features.Matrix{Features: []features.Feature{{Name: "x"}}, Columns: make([][]float64, 1)}
	rate := map[float64]int{1: 4, 2: 10, 3: 6, 4: 16, -1: 1} // of 20; -1 is missing
	for _, x := range []float64{1, 2, 3, 4, -1} {
		for k := range 400 {
			label := 0.0
			if k%20 < rate[x] {
				label = 1
			}
			v := x
			if x < 0 {
				v = math.NaN()
			}
			m.Columns[0], m.Label = append(m.Columns[0], v), append(m.Label, label)
		}
	}
	o := plain()
	o.Trees, o.Rate, o.MinGain = 80, 0.3, 1e-3
	for _, c := range []struct {
		rising int8
		want   [5]float64 // at 1 to 4, and missing
	}{
		{1, [5]float64{0.2, 0.4, 0.4, 0.8, 0.05}},
		{-1, [5]float64{0.45, 0.45, 0.45, 0.45, 0.05}},
		{0, [5]float64{0.2, 0.5, 0.3, 0.8, 0.05}},
	} {
		o.Monotone = []int8{c.rising}
		model := fit(t, m, nil, o).Model
		at := func(x float64) float64 { return 1 / (1 + math.Exp(-model.Raw([]float64{x}))) }
		for k, x := range []float64{1, 2, 3, 4, math.NaN()} {
			if got := at(x); math.Abs(got-c.want[k]) > 0.01 {
				t.Errorf("order %d: %v has a probability of %v, want %v", c.rising, x, got, c.want[k])
			}
		}
	}
}

// The best split within bounds, against every threshold and both sides for the
// missing, worked out row by row.
func TestMonotoneSplitAgainstEveryThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyOptions(t)
		b := binner{values: 6, missing: 6}
		bins, of := anyLeaf(t, rapid.SampledFrom([]int{6, 7}).Draw(t, "bins"))
		w := twin{o, bins, of}
		limits := bounds{rapid.SampledFrom([]float64{math.Inf(-1), -1, 0}).Draw(t, "low"), rapid.SampledFrom([]float64{math.Inf(1), 0.5, 0}).Draw(t, "high")}
		rising := int8(rapid.IntRange(-1, 1).Draw(t, "rising"))
		step := func(s sums) float64 {
			return limits.clip(-float64(s.g) / 1023 / (float64(s.h)/4092 + o.L2))
		}
		loss := func(s sums) float64 { // what the leaf takes off, twice, at its step
			g, h, v := float64(s.g)/1023, float64(s.h)/4092+o.L2, step(s)
			return -2*g*v - h*v*v
		}
		total := w.sum(func(uint8) bool { return true })
		best := 0.0
		for cut := range b.values {
			for _, missing := range []bool{false, true} {
				left := w.sum(func(b uint8) bool { return int(b) <= cut || missing && b == 6 })
				above := w.sum(func(b uint8) bool { return int(b) > cut && b != 6 })
				right := total.minus(left)
				if min(left.n, right.n) < int64(o.MinRows) || float64(min(left.h, right.h)) < o.MinHessian*4092 {
					continue
				}
				if missing && left.n == w.sum(func(b uint8) bool { return b == 6 }).n {
					continue // the same as all others against the missing
				}
				// With no value on one side there is no order to keep.
				if a, b := step(left), step(right); above.n > 0 && (rising > 0 && a > b || rising < 0 && a < b) {
					continue
				}
				best = max(best, loss(left)+loss(right)-loss(total))
			}
		}
		c := column{binner: &b, size: b.size(), rising: rising}
		s := newSearch(o, total)
		s.limit(limits)
		got := s.find(0, &c, histogramOf(c.size, bins, of))
		if math.Abs(got.gain-best) > 1e-9*(1+best) {
			t.Fatalf("gain %v, want %v", got.gain, best)
		}
		if got.gain == 0 {
			return
		}
		left := w.sum(got.yes.has)
		if got.left != left || math.Abs(loss(left)+loss(total.minus(left))-loss(total)-got.gain) > 1e-9*(1+best) {
			t.Fatalf("the set holds %v, the split says %v of gain %v", left, got.left, got.gain)
		}
		values := w.sum(func(b uint8) bool { return int(b) > got.cut && b != 6 })
		if a, b := step(left), step(total.minus(left)); rising != 0 && (values.n == 0) != (got.cut == 5) || values.n > 0 && (rising > 0 && a > b || rising < 0 && a < b) {
			t.Fatalf("a cut at %d with %v and %v on its sides", got.cut, a, b)
		}
	})
}

// Without a bound in its way a monotone fit is the free one.
func TestMonotoneWhereNothingIsBound(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	m := &features.Matrix{Features: []features.Feature{{Name: "x"}}, Columns: make([][]float64, 1)}
	for i := range 3000 {
		x := float64(i % 10)
		label := 0.0
		if r.Float64() < 0.05+0.09*x {
			label = 1
		}
		m.Columns[0], m.Label = append(m.Columns[0], x), append(m.Label, label)
	}
	o := plain()
	o.Leaves = 8
	free := fit(t, m, nil, o).Model
	o.Monotone = []int8{1}
	bound := fit(t, m, nil, o).Model
	for x := range 10 {
		if got, want := bound.Raw([]float64{float64(x)}), free.Raw([]float64{float64(x)}); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d: %v, freely %v", x, got, want)
		}
	}
}

func TestBadConstraints(t *testing.T) {
	m := mixedMatrix(200, 1)
	for name, c := range map[string]struct {
		change func(o *Options)
		want   string
	}{
		"too few directions":  {func(o *Options) { o.Monotone = []int8{1} }, "Monotone has 1 places, want one for each of 6 features"},
		"no directions":       {func(o *Options) { o.Monotone = []int8{} }, "Monotone has 0 places"},
		"too many directions": {func(o *Options) { o.Monotone = make([]int8, 7) }, "Monotone has 7 places"},
		"a direction of 2":    {func(o *Options) { o.Monotone = []int8{2, 0, 0, 0, 0, 0} }, "Monotone is [2 0 0 0 0 0], want -1, 0 or 1 a feature"},
		"a category":          {func(o *Options) { o.Monotone = []int8{1, 0, -1, 0, 0, 0} }, "Monotone is -1 for plan, a category"},
		"a feature too far":   {func(o *Options) { o.Groups = [][]int{{0, 1}, {2, 6}} }, "Groups, group 1: feature 6 of 6"},
		"a negative feature":  {func(o *Options) { o.Groups = [][]int{{-1}} }, "Groups is [[-1]]"},
		"additive groups":     {func(o *Options) { o.Groups, o.Additive = [][]int{{0}}, true }, "Additive is true"},
	} {
		o := Defaults()
		o.Trees = 2
		c.change(&o)
		_, err := Fit(context.Background(), m, nil, o, nil)
		_, _, err2 := CrossFit(context.Background(), m, byRow(200, 2), o, nil)
		for _, err := range []error{err, err2} {
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	}
}
