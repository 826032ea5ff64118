package learnt

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"propensity/features"
	"propensity/models"
)

// numbers is a matrix of numbers with labels of the given log-odds.
func numbers(n, width int, seed uint64, raw func(x []float64) float64) features.Matrix {
	r := rand.New(rand.NewPCG(seed, 7))
	m := features.Matrix{Label: make([]float64, n), Group: make([]int, n)}
	for j := range width {
		m.Features = append(m.Features, features.Feature{Name: string(rune('a' + j))})
		m.Columns = append(m.Columns, make([]float64, n))
	}
	x := make([]float64, width)
	for i := range n {
		for j := range x {
			x[j] = r.NormFloat64()
			m.Columns[j][i] = x[j]
		}
		if r.Float64() < logistic(raw(x)) {
			m.Label[i] = 1
		}
		m.Group[i] = i
	}
	return m
}

func weights(w ...float64) *models.Linear {
	l := &models.Linear{}
	for _, x := range w {
		l.Terms = append(l.Terms, models.Term{Scale: 1, Weight: x})
	}
	return l
}

func examine(t *testing.T, in Input) *models.Learnt {
	t.Helper()
	out, err := Examine(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Four rows of accounts of one row each, x -1, 1, -3, 3 with weight 2.
func TestShapleySizeByHand(t *testing.T) {
	m := features.Matrix{Features: []features.Feature{{Name: "x"}, {Name: "idle"}},
		Columns: [][]float64{{-1, 1, -3, 3}, {1, 2, 3, 4}}, Label: []float64{0, 1, 0, 1}, Group: []int{0, 1, 2, 3}}
	out := examine(t, Input{Model: weights(2, 0), Rows: m})
	if out.Rows != 4 || len(out.Drivers) != 2 {
		t.Fatalf("%+v", out)
	}
	// |phi| is 2, 2, 6, 6: mean 4, variance 16/3, t of 3 degrees 3.182446305284264.
	d := out.Drivers[0]
	if half := 3.182446305284264 * math.Sqrt(16.0/3/4); d.Question != "x" || d.Share != 1 || d.SHAP.Value != 4 ||
		math.Abs(d.SHAP.Low-(4-half)) > 1e-9 || math.Abs(d.SHAP.High-(4+half)) > 1e-9 {
		t.Errorf("%+v", d)
	}
	if d := out.Drivers[1]; d.Question != "idle" || d.Share != 0 || d.SHAP.Value != 0 || d.Permutation.Value != 0 || d.Worth {
		t.Errorf("%+v", d)
	}
}

// What dealing a column anew costs is, on average over all deals, the mean over
// all pairs of a row and another row's value.
func TestPermutationAgainstAllPairs(t *testing.T) {
	m := numbers(1500, 3, 1, func(x []float64) float64 { return 1.5*x[0] - 0.7*x[1] - 0.4 })
	model := weights(1.5, -0.7, 0)
	model.Intercept = -0.4
	out := examine(t, Input{Model: model, Rows: m})
	for place, j := range []int{0, 1, 2} {
		d := out.Drivers[place]
		if d.Question != m.Features[j].Name {
			t.Fatalf("driver %d is %s", place, d.Question)
		}
		rise, n := 0.0, m.Rows()
		w := model.Terms[j].Weight
		for i, y := range m.Label {
			raw := -0.4 + 1.5*m.Columns[0][i] - 0.7*m.Columns[1][i]
			before := lossAt(y, raw)
			for _, other := range m.Columns[j] {
				rise += lossAt(y, raw+w*(other-m.Columns[j][i])) - before
			}
		}
		rise /= float64(n * n)
		if math.Abs(d.Permutation.Value-rise) > (d.Permutation.High-d.Permutation.Low)/2 {
			t.Errorf("%s: a rise of %+v, by all pairs %v", d.Question, d.Permutation, rise)
		}
		if d.Worth != (w != 0) {
			t.Errorf("%s: worth %v", d.Question, d.Worth)
		}
	}
}

// Columns of one question are dealt together: twins that cancel out say nothing
// together, and much apart.
func TestColumnsOfAQuestionGoTogether(t *testing.T) {
	m := numbers(500, 2, 2, func(x []float64) float64 { return x[0] })
	m.Columns[1] = m.Columns[0]
	apart := examine(t, Input{Model: weights(2, -2), Rows: m})
	if len(apart.Drivers) != 2 || !(apart.Drivers[0].Permutation.Value > 0.5) {
		t.Errorf("apart %+v", apart.Drivers)
	}
	joined := examine(t, Input{Model: weights(2, -2), Rows: m, Questions: []string{"q", "q"}})
	if len(joined.Drivers) != 1 {
		t.Fatalf("%+v", joined.Drivers)
	}
	d := joined.Drivers[0]
	if d.Question != "q" || len(d.Features) != 2 || d.SHAP.Value > 1e-12 || math.Abs(d.Permutation.Value) > 1e-12 {
		t.Errorf("together %+v", d)
	}
}

// The same rows in a tenth of the accounts are a tenth as sure.
func TestIntervalsAreByAccount(t *testing.T) {
	m := numbers(200, 1, 3, func(x []float64) float64 { return x[0] })
	var all []int
	for i := range 200 {
		for range 10 {
			all = append(all, i)
		}
	}
	once, often := number(m.Group, 200), number(m.Take(all).Group, 2000)
	a, b := once.mean(m.Columns[0]), often.mean(m.Take(all).Columns[0])
	if math.Abs(a.Low-b.Low) > 1e-12 || math.Abs(a.High-b.High) > 1e-12 {
		t.Errorf("%+v, repeated %+v", a, b)
	}
}

// A model of trees is scored anew, an additive one is put together: the same.
func TestPermutationPutTogether(t *testing.T) {
	m := mixedMatrix(400)
	e := boosted(t, m, 2) // one split a tree
	x, err := newExaminer(Input{Model: e, Rows: m})
	if err != nil {
		t.Fatal(err)
	}
	if !x.additive {
		t.Fatal("trees of one split are additive")
	}
	var together, scored models.Learnt
	if err := x.drivers(context.Background(), &together); err != nil {
		t.Fatal(err)
	}
	x.additive = false
	if err := x.drivers(context.Background(), &scored); err != nil {
		t.Fatal(err)
	}
	for k, d := range together.Drivers {
		if o := scored.Drivers[k]; d.Question != o.Question || d.SHAP != o.SHAP || math.Abs(d.Permutation.Value-o.Permutation.Value) > 1e-12 ||
			math.Abs(d.Permutation.Low-o.Permutation.Low) > 1e-12 {
			t.Errorf("%+v, scored anew %+v", d, o)
		}
	}
}
