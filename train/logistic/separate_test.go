package logistic

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestReferences(t *testing.T) {
	label := []float64{0, 1, 1, 0, 1, 0, 1, 0}
	m := matrixOf([]int{3, 0}, label, []float64{0, 0, 2, 2, 2, 2, 0, 0}, []float64{1, 2, 3, 4, 4, 3, 1, 2})
	r, err := Fit(t.Context(), &m, Options{L2: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.References(); !slices.Equal(got, []int{0, -1}) { // of two equally frequent, the lower code
		t.Errorf("references %v", got)
	}
	if r, err = Fit(t.Context(), &m, Options{}); err != nil || !slices.Equal(r.References(), []int{-1, -1}) {
		t.Errorf("references with a penalty: %v, %v", r.References(), err)
	}
}

func TestSeparatedAndDependentAreNamed(t *testing.T) {
	rng := rand.New(rand.NewPCG(81, 1))
	const n = 200
	x, y, z, plan, label := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		x[i], y[i], z[i], plan[i] = rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64(), float64(rng.IntN(4))
		if rng.Float64() < 0.4 {
			label[i] = 1
		}
	}
	change := func(xs []float64, f func(i int, x float64) float64) []float64 {
		out := slices.Clone(xs)
		for i := range out {
			out[i] = f(i, out[i])
		}
		return out
	}
	sum := change(x, func(i int, x float64) float64 {
		if 2*x-y[i] > 0.3 {
			return 1
		}
		return 0
	})
	nan := math.NaN()
	for name, c := range map[string]struct {
		levels    []int
		label     []float64
		columns   [][]float64
		separated bool
		names     []string
		not       string
	}{
		"number": {[]int{0, 0}, label, [][]float64{y, change(x, func(i int, x float64) float64 { return math.Abs(x) * (2*label[i] - 1) })}, true, []string{`"b" separates`}, `"a"`},
		"number with ties": {[]int{0, 0}, label, [][]float64{y, change(x, func(i int, x float64) float64 {
			return max(0, math.Floor(3*math.Abs(x))-2) * (2*label[i] - 1)
		})}, true, []string{`"b" separates`}, `"a"`},
		"level": {[]int{4, 0}, label, [][]float64{change(plan, func(i int, k float64) float64 {
			if k == 2 && label[i] == 0 {
				return 1
			}
			return k
		}), y}, true, []string{`"a" = "gold" separates`}, `"b"`},
		"the most frequent level": {[]int{2, 0}, label, [][]float64{change(plan, func(i int, k float64) float64 {
			if k > 0 && label[i] == 1 {
				return 1
			}
			return 0
		}), y}, true, []string{`"a" = "silver" separates`}, `"b"`},
		"missing": {[]int{0, 0}, label, [][]float64{change(x, func(i int, x float64) float64 {
			if label[i] == 1 && x > 1 {
				return nan
			}
			return x
		}), y}, true, []string{`"a" missing separates`}, `"b"`},
		"two numbers together": {[]int{0, 0, 0}, sum, [][]float64{x, y, z}, true, []string{`"a"`, `"b"`, "separate the labels"}, ""},
		"sum":                  {[]int{0, 0, 0, 0}, label, [][]float64{x, z, y, change(x, func(i int, x float64) float64 { return 3*x - y[i] + 1e3 })}, false, []string{`"d" follows from`, `"a"`, `"c"`}, `"b"`},
		"same missing": {[]int{0, 0}, label, [][]float64{change(x, func(i int, x float64) float64 {
			if i%7 == 0 {
				return nan
			}
			return x
		}), change(y, func(i int, x float64) float64 {
			if i%7 == 0 {
				return nan
			}
			return x
		})}, false, []string{`"b" missing follows from "a" missing`}, ""},
		"same category": {[]int{4, 0, 4}, label, [][]float64{plan, y, plan}, false, []string{`"c" = `, `follows from "a" = `}, `"b"`},
	} {
		m := matrixOf(c.levels, c.label, c.columns...)
		_, err := Fit(t.Context(), &m, Options{L2: -1})
		var named *NoOptimumError
		if !errors.As(err, &named) || !errors.Is(err, ErrNoOptimum) || named.Separated != c.separated {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := named.Named([][]string{{"basic", "silver", "gold", "none"}, nil, {"basic", "silver", "gold", "none"}}).Error()
		for _, want := range append(c.names, "set a penalty") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s, want %q in it", name, text, want)
			}
		}
		if c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("%s: %s names %s", name, text, c.not)
		}
		if _, err := Fit(t.Context(), &m, Options{}); err != nil {
			t.Errorf("%s, with a penalty: %v", name, err)
		}
		if _, err := Path(t.Context(), &m, PathOptions{Alpha: 1, Count: 20}); err != nil {
			t.Errorf("%s, along a path: %v", name, err)
		}
	}
}
