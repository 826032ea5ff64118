package golearn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/trees"
	"pgregory.net/rapid"

	"propensity/features"
)

// golearn's convention: below the threshold left, the threshold itself right.
func TestGolearnThreshold(t *testing.T) {
	data, err := instances([][]float64{{0, 0, 2, 2}}, []float64{5, 5, 9, 9})
	if err != nil {
		t.Fatal(err)
	}
	tree := trees.NewDecisionTreeRegressor(trees.MSE, 1)
	if err := tree.Fit(data); err != nil {
		t.Fatal(err)
	}
	if got := tree.RootNode.Threshold; got != 1 {
		t.Fatalf("threshold %v, want 1", got)
	}
	asked, err := instances([][]float64{{math.Nextafter(1, 0), 1, math.Nextafter(1, 2)}}, make([]float64, 3))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{5, 9, 9}, tree.Predict(asked)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	splits, err := grow([][]float64{{0, 0, 2, 2}}, []float64{5, 5, 9, 9}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]split{{feature: 0, last: 0}}, splits, cmp.AllowUnexported(split{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// drawMatrix draws complete rows: numbers with ties and categories.
func drawMatrix(rt *rapid.T, rows int) *features.Matrix {
	m := &features.Matrix{}
	for j := range rapid.IntRange(1, 4).Draw(rt, "features") {
		levels := rapid.SampledFrom([]int{0, 0, 3, 90}).Draw(rt, "levels")
		value := rapid.OneOf(rapid.Float64Range(-10, 10), rapid.SampledFrom([]float64{-1, 0, 0.5, 2}))
		if levels > 0 {
			value = rapid.Map(rapid.IntRange(0, levels-1), func(k int) float64 { return float64(k) })
		}
		m.Features = append(m.Features, features.Feature{Name: string(rune('a' + j)), Levels: levels})
		m.Columns = append(m.Columns, rapid.SliceOfN(value, rows, rows).Draw(rt, "column"))
	}
	m.Label = rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1}), rows, rows).Draw(rt, "label")
	return m
}

// The tree as served gives every row of the sample what golearn's own Predict
// gives it.
func TestTranslationAgreesWithGolearn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := drawMatrix(rt, rapid.IntRange(2, 120).Draw(rt, "rows"))
		y := m.Label
		if rapid.Bool().Draw(rt, "regression") {
			y = rapid.SliceOfN(rapid.Float64Range(-4, 4), m.Rows(), m.Rows()).Draw(rt, "y")
		}
		all := count(m.Rows())
		o := Options{Depth: rapid.IntRange(1, 5).Draw(rt, "depth"), Rows: 2000, LeafRows: 1}
		mean := objective{y: y, value: func(n, sum float64) float64 { return sum / n }}
		e, err := fit(context.Background(), m, o, mean, all, all)
		if err != nil {
			rt.Fatal(err)
		}
		codes := make([][]float64, len(m.Columns))
		for j, column := range m.Columns {
			c := newCoder(m.Features[j].Levels, column, y, all)
			for _, x := range column {
				codes[j] = append(codes[j], float64(c.code(x)))
			}
		}
		data, err := instances(codes, y)
		if err != nil {
			rt.Fatal(err)
		}
		theirs := trees.NewDecisionTreeRegressor(trees.MSE, int64(o.Depth))
		if err := theirs.Fit(data); err != nil {
			rt.Fatal(err)
		}
		want := theirs.Predict(data)
		if e.Tree(0)[0].Feature < 0 {
			// golearn predicts 0 from a root that it did not split.
			for i := range want {
				want[i] = sum(y, all) / float64(len(all))
			}
		}
		x := make([]float64, len(m.Columns))
		for i := range all {
			m.Row(x, i)
			if got := e.Raw(x); math.Abs(got-want[i]) > 1e-12 {
				rt.Fatalf("row %d: %v, golearn says %v", i, got, want[i])
			}
		}
	})
}

func TestGolearnFailuresAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		codes [][]float64
		y     []float64
	}{
		"no rows":     {[][]float64{{}}, nil},
		"column long": {[][]float64{{1, 2, 3}}, []float64{1, 2}},
		"code beyond": {[][]float64{{0, 1000}}, []float64{1, 2}},
		"no columns":  {nil, nil},
	} {
		splits, err := grow(c.codes, c.y, 2)
		if !errors.Is(err, ErrGolearn) || splits != nil {
			t.Errorf("%s: %v, %v", name, splits, err)
		}
	}
}

// golearn's CART draws nothing at random, reads no map in order and prints
// nothing: a tree is the same in every process, at any GOMAXPROCS.
func TestSameTreeEverywhere(t *testing.T) {
	var printed bytes.Buffer
	base.SetLoggerOut(&printed)
	defer base.SetLoggerOut(os.Stdout)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = write, write
	restore := func() { os.Stdout, os.Stderr = stdout, stderr }
	defer restore()

	m := planted(3000, 4)
	o := Defaults(11)
	o.Rows, o.Depth = 500, 2
	first := fitted(t, m, o)
	before := runtime.GOMAXPROCS(1)
	second := fitted(t, m, o)
	runtime.GOMAXPROCS(before)
	_, failure := grow([][]float64{{}}, nil, 2)

	restore()
	write.Close()
	rest, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	if failure == nil || printed.Len() > 0 || len(rest) > 0 {
		t.Errorf("failure %v, printed %q %q", failure, printed.String(), rest)
	}
	if diff := cmp.Diff(first.Table(), second.Table(), cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("the second time (-first +second):\n%s", diff)
	}
	// Written down from one process; global randomness is seeded anew in each.
	const want = `all: 3000 rows
  x0 <= 3.5: 1193 rows
    c is "c": 271 rows, log-odds 2.085, probability 0.889
    c is "a", "b", "d", missing or unseen: 922 rows, log-odds 2.118, probability 0.893
  x0 > 3.5 or missing: 1807 rows
    c is "a" or "c": 897 rows, log-odds -2.100, probability 0.109
    c is "b", "d", missing or unseen: 910 rows, log-odds 0.755, probability 0.680
`
	if diff := cmp.Diff(want, Describe(first, []string{"x0", "c", "noise"}, [][]string{nil, {"a", "b", "c", "d"}})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
