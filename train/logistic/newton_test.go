package logistic

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"propensity/features"
)

func manyOf(seed uint64, rows int) features.Matrix {
	return mixed(rand.New(rand.NewPCG(seed, 5)), rows, []int{0, 6, 0, 12, 0, 0})
}

func TestManyRowsReachTheSameOptimum(t *testing.T) {
	m := manyOf(31, 8*manyRows+777)
	for _, o := range []Options{{L2: 1}, {L2: -1}} {
		got, err := Fit(t.Context(), &m, o)
		if err != nil {
			t.Fatal(err)
		}
		d := got.design
		s := &newton{design: d, penalty: max(0, o.L2), tolerance: 1e-12, maxSteps: 50, dense: true, curvature: make([]float64, m.Rows())}
		at := make([]float64, d.width()) // Newton's method by the book, from nought
		for range 12 {
			now, err := s.objective(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.factorise(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			for k, x := range s.solve(now.gradient) {
				at[k] += x
			}
		}
		if !allNear(got.weights, at, 1e-8) {
			t.Errorf("%+v: %v, want %v", o, got.weights, at)
		}
	}
}

func TestSameBitsAtAnyGOMAXPROCS(t *testing.T) {
	m := manyOf(41, 4*manyRows+10)
	for i := range m.Label {
		m.Group = append(m.Group, i/3)
	}
	small := mixed(rand.New(rand.NewPCG(42, 1)), 9000, []int{0, 30, 0, 0})
	small.Group = m.Group[:9000]
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	var want [][]float64
	for _, procs := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(procs)
		var got [][]float64
		r, err := Fit(t.Context(), &m, Options{L2: -1})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, coefficientsOf(r.Model), r.errors)
		if r, err = Fit(t.Context(), &small, Options{L2: 1, Replicates: 8, Seed: 3}); err != nil {
			t.Fatal(err)
		}
		got = append(got, coefficientsOf(r.Model), r.low, r.high)
		points, err := Path(t.Context(), &small, PathOptions{Alpha: 0.9, Count: 12})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			got = append(got, coefficientsOf(p.Model))
		}
		if want == nil {
			want = got
		}
		for k := range want {
			if !slices.Equal(got[k], want[k]) {
				t.Errorf("GOMAXPROCS %d: other bits in list %d", procs, k)
			}
		}
	}
}

// TestMadeColumns: columns that the matrix has to make give the same bits as those
// it holds, and with weights both ways to solve for a step the same optimum.
func TestMadeColumns(t *testing.T) {
	m := mixed(rand.New(rand.NewPCG(91, 1)), 3000, []int{0, 5, 0, 0, 9})
	for i := range m.Label {
		m.Weight = append(m.Weight, 0.5+float64(i%4))
	}
	made := m
	made.Columns = nil
	for i := range m.Label {
		made.Index = append(made.Index, i)
	}
	made.Load = func(dst []float64, j int, rows []int) error {
		for k, i := range rows {
			dst[k] = m.Columns[j][i]
		}
		return nil
	}
	for _, o := range []Options{{L2: 3}, {L2: -1}, {Lambda: 0.02, Alpha: 1}} {
		a, err := Fit(t.Context(), &m, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Fit(t.Context(), &made, o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(coefficientsOf(a.Model), coefficientsOf(b.Model)) || !slices.Equal(a.errors, b.errors) {
			t.Errorf("%+v: other bits", o)
		}
		if o.L2 > 0 {
			c, err := Learner(o).fit(t.Context(), &made, 0)
			if err != nil || !allNear(coefficientsOf(a.Model), coefficientsOf(c), 1e-7) {
				t.Errorf("conjugate gradients, %v: %v, want %v", err, coefficientsOf(c), coefficientsOf(a.Model))
			}
		}
	}
}
