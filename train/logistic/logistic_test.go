package logistic

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"
	"pgregory.net/rapid"

	"propensity/features"
	"propensity/models"
)

// matrixOf is a matrix of features a, b, c ...; levels 0 is a number.
func matrixOf(levels []int, label []float64, columns ...[]float64) features.Matrix {
	m := features.Matrix{Columns: columns, Label: label}
	for j, n := range levels {
		m.Features = append(m.Features, features.Feature{Name: string(rune('a' + j)), Levels: n})
	}
	return m
}

// mixed is a table of numbers and categories, with missing and unseen values, whose
// label depends on them.
func mixed(rng *rand.Rand, rows int, levels []int) features.Matrix {
	columns, label := make([][]float64, len(levels)), make([]float64, rows)
	for j, n := range levels {
		columns[j] = make([]float64, rows)
		for i := range rows {
			x := rng.NormFloat64() * float64(j+1)
			if n > 0 {
				x = float64(rng.IntN(n))
			}
			switch u := rng.Float64(); {
			case u < 0.1 && j%2 == 0:
				x = math.NaN()
			case u < 0.15 && n > 0:
				x = -1
			}
			columns[j][i] = x
		}
	}
	for i := range label {
		raw := -0.5 + rng.NormFloat64()
		for j, n := range levels {
			if x := columns[j][i]; math.IsNaN(x) {
				raw += 0.5
			} else if n == 0 {
				raw += 0.3 * x / float64(j+1)
			} else if x == 1 {
				raw--
			}
		}
		if raw > 0 {
			label[i] = 1
		}
	}
	return matrixOf(levels, label, columns...)
}

// expand is the slow twin of design: the whole matrix, one row a slice.
func expand(m *features.Matrix, d *design) [][]float64 {
	out := make([][]float64, m.Rows())
	for i := range out {
		row := make([]float64, d.width())
		row[0] = 1
		for j, c := range d.columns {
			x := m.Columns[j][i]
			if math.IsNaN(x) && c.missing >= 0 {
				row[d.numbers+int(c.missing)] = 1
			}
			if m.Features[j].Levels == 0 {
				if math.IsNaN(x) {
					x = c.fill
				}
				if c.number > 0 {
					row[c.number] = (x - c.center) / c.scale
				}
			} else if x >= 0 && c.levels[int(x)] >= 0 {
				row[d.numbers+int(c.levels[int(x)])] = 1
			}
		}
		out[i] = row
	}
	return out
}

func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*max(1, math.Abs(a), math.Abs(b))
}

func TestLogisticAgreesWithScikitLearn(t *testing.T) {
	var want struct {
		Levels       []int
		Train, Score [][]*float64
		Label        []float64
		Fits         []struct {
			L2, Intercept float64
			Coefficients  []struct {
				Feature int
				Part    string
				Value   float64
			}
			Probabilities []float64
		}
	}
	b, err := os.ReadFile("testdata/l2.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	train := matrixOf(want.Levels, want.Label, numbers(want.Train)...)
	score := matrixOf(want.Levels, make([]float64, len(want.Score[0])), numbers(want.Score)...)
	d, err := newDesign(t.Context(), &train, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, fit := range want.Fits {
		for name, from := range map[string]int{"cholesky": math.MaxInt, "conjugate gradients": 0} {
			m, err := Learner{L2: fit.L2, MaxSteps: 10}.fit(t.Context(), &train, from)
			if err != nil {
				t.Fatal(err)
			}
			if !near(m.Intercept, fit.Intercept, 1e-8) {
				t.Errorf("%s, L2 %v: intercept %v, want %v", name, fit.L2, m.Intercept, fit.Intercept)
			}
			for _, c := range fit.Coefficients {
				got := weightOf(m, d, c.Feature, c.Part)
				if !near(got, c.Value, 1e-8) {
					t.Errorf("%s, L2 %v: feature %d, %s: %v, want %v", name, fit.L2, c.Feature, c.Part, got, c.Value)
				}
			}
			x := make([]float64, len(want.Levels))
			for i, p := range fit.Probabilities {
				score.Row(x, i)
				if got := 1 / (1 + math.Exp(-m.Raw(x))); math.Abs(got-p) > 1e-8 {
					t.Errorf("%s, L2 %v: row %d: probability %v, want %v", name, fit.L2, i, got, p)
				}
			}
		}
	}
}

// TestDesignSums compares every sum of a pass with its definition on the expanded
// matrix.
func TestDesignSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		levels := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 6).Draw(t, "levels")
		m := mixed(rng, rapid.OneOf(rapid.IntRange(1, 300), rapid.Just(9000)).Draw(t, "rows"), levels)
		dropped := rapid.Bool().Draw(t, "dropped")
		d, err := newDesign(t.Context(), &m, dropped)
		if err != nil {
			t.Fatal(err)
		}
		n := d.width()
		v := make([]float64, n)
		for k := range v {
			v[k] = rng.NormFloat64()
		}
		at := func(i int, raw float64) (loss, slope, curvature float64) {
			return raw * raw, raw + float64(i%3), 1 + math.Abs(raw)
		}
		loss, grad, hess := 0.0, make([]float64, n), make([]float64, n*n)
		for i, row := range expand(&m, d) {
			l, s, c := at(i, floats.Dot(row, v))
			loss += l
			for a, x := range row {
				grad[a] += s * x
				for b, y := range row {
					hess[a*n+b] += c * x * y
				}
			}
		}
		curvature := make([]float64, m.Rows())
		gotLoss, gotGrad, err := d.pass(t.Context(), v, func(first int, raw, slope []float64) (sum float64) {
			for r, x := range raw {
				l, s, c := at(first+r, x)
				slope[r], curvature[first+r] = s, c
				sum += l
			}
			return sum
		})
		if err != nil {
			t.Fatal(err)
		}
		if !near(gotLoss, loss, 1e-10) || !floats.EqualFunc(gotGrad, grad, func(a, b float64) bool { return near(a, b, 1e-9) }) {
			t.Fatalf("loss %v, gradient %v; want %v, %v", gotLoss, gotGrad, loss, grad)
		}
		diagonal, err := d.diagonal(t.Context(), curvature)
		if err != nil {
			t.Fatal(err)
		}
		h, err := d.hessian(t.Context(), curvature, 1)
		if err != nil {
			t.Fatal(err)
		}
		for a := range n {
			if !near(diagonal[a], hess[a*n+a], 1e-10) {
				t.Fatalf("diagonal %d: %v, want %v", a, diagonal[a], hess[a*n+a])
			}
			for b := a; b < n; b++ {
				if !near(h[a*n+b], hess[a*n+b], 1e-9) {
					t.Fatalf("Hessian %d, %d: %v, want %v", a, b, h[a*n+b], hess[a*n+b])
				}
			}
		}
		in := make([]bool, n)
		for k := range in {
			in[k] = k == 0 || rng.IntN(2) == 0
		}
		sub, places := d.restrict(in)
		h, err = sub.hessian(t.Context(), curvature, 1)
		if err != nil {
			t.Fatal(err)
		}
		for a, from := range places {
			for b := a; b < len(places); b++ {
				if got, want := h[a*len(places)+b], hess[from*n+places[b]]; !near(got, want, 1e-9) {
					t.Fatalf("restricted Hessian %d, %d: %v, want %v", a, b, got, want)
				}
			}
		}
	})
}

// TestLogisticGradientIsZero moves each number of the model by itself: by finite
// differences of the objective, written here anew, none of them may lower it.
func TestLogisticGradientIsZero(t *testing.T) {
	m := mixed(rand.New(rand.NewPCG(1, 2)), 400, []int{0, 3, 0, 0, 6})
	const l2 = 0.7
	model, err := Learner{L2: l2}.Fit(t.Context(), m, features.Matrix{})
	if err != nil {
		t.Fatal(err)
	}
	linear := model.(*models.Linear)
	fills := make([]float64, len(m.Columns))
	for j, xs := range m.Columns {
		xs = slices.DeleteFunc(slices.Clone(xs), math.IsNaN)
		slices.Sort(xs)
		fills[j] = (xs[(len(xs)-1)/2] + xs[len(xs)/2]) / 2
	}
	x := make([]float64, len(m.Columns))
	objective := func() float64 {
		sum := 0.0
		for i, y := range m.Label {
			m.Row(x, i)
			sum += math.Log1p(math.Exp((1 - 2*y) * linear.Raw(x)))
		}
		for j := range linear.Terms {
			term := &linear.Terms[j]
			missing := term.Missing
			if len(term.Levels) == 0 {
				missing -= term.At(fills[j])
			}
			sum += l2 / 2 * (term.Weight*term.Weight + missing*missing + floats.Dot(term.Levels, term.Levels))
		}
		return sum
	}
	// A weight of a number moves the missing value's contribution along.
	moves := []func(h float64){func(h float64) { linear.Intercept += h }}
	for j := range linear.Terms {
		term := &linear.Terms[j]
		if len(term.Levels) == 0 {
			moves = append(moves, func(h float64) {
				before := term.At(fills[j])
				term.Weight += h
				term.Missing += term.At(fills[j]) - before
			})
		}
		if j%2 == 0 { // had missing values
			moves = append(moves, func(h float64) { term.Missing += h })
		}
		for k := range term.Levels {
			moves = append(moves, func(h float64) { term.Levels[k] += h })
		}
	}
	const h = 1e-4
	for k, move := range moves {
		move(h)
		up := objective()
		move(-2 * h)
		down := objective()
		move(h)
		if slope := (up - down) / (2 * h); math.Abs(slope) > 1e-6 { // third differences and rounding
			t.Errorf("number %d of the model: slope %v at the optimum", k, slope)
		}
	}
}

func TestLogisticMeanAndSpread(t *testing.T) {
	m := mixed(rand.New(rand.NewPCG(3, 4)), 500, []int{0, 4, 2})
	model, err := Learner{}.Fit(t.Context(), m, features.Matrix{})
	if err != nil {
		t.Fatal(err)
	}
	x, phi, sum, squares := make([]float64, 3), make([]float64, 3), make([]float64, 3), make([]float64, 3)
	for i := range m.Label {
		m.Row(x, i)
		raw := model.Explain(phi, x) + floats.Sum(phi)
		if math.Abs(raw-model.Raw(x)) > 1e-12 {
			t.Fatalf("row %d: base + sum(phi) %v, Raw %v", i, raw, model.Raw(x))
		}
		for j, p := range phi {
			sum[j] += p
			squares[j] += p * p
		}
	}
	for j, spread := range model.(*models.Linear).Importance() {
		if math.Abs(sum[j]) > 1e-9 || !near(spread, math.Sqrt(squares[j]/500), 1e-12) {
			t.Errorf("feature %d: phi sums to %v over the training rows; spread %v, want %v", j, sum[j], spread, math.Sqrt(squares[j]/500))
		}
	}
}

func TestLogisticSameBitsAtAnyGOMAXPROCS(t *testing.T) {
	m := mixed(rand.New(rand.NewPCG(5, 6)), 9000, []int{0, 300, 0, 40, 0, 0})
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, from := range []int{math.MaxInt, 0} {
		var want []float64
		for _, procs := range []int{1, 2, 4} {
			runtime.GOMAXPROCS(procs)
			model, err := Learner{}.fit(t.Context(), &m, from)
			if err != nil {
				t.Fatal(err)
			}
			got := model.Table().Column("value").Numbers
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("conjugate from %d weights, GOMAXPROCS %d: other bits", from, procs)
			}
		}
	}
}

// TestLogisticBothSolversAgree on categories so many that some occur once.
func TestLogisticBothSolversAgree(t *testing.T) {
	m := mixed(rand.New(rand.NewPCG(7, 8)), 3000, []int{500, 0, 200, 0})
	for _, l2 := range []float64{0.05, 1, 20} {
		a, err := Learner{L2: l2}.fit(t.Context(), &m, math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Learner{L2: l2}.fit(t.Context(), &m, 0)
		if err != nil {
			t.Fatal(err)
		}
		x, y := a.Table().Column("value").Numbers, b.Table().Column("value").Numbers
		if d := floats.Distance(x, y, math.Inf(1)); d > 1e-7 {
			t.Errorf("L2 %v: coefficients differ by %v", l2, d)
		}
	}
}

func TestLogisticUnusualData(t *testing.T) {
	nan := math.NaN()
	label := []float64{0, 0, 0, 1, 1, 1}
	flat := []float64{0, 1, 0, 1, 0, 1}
	for _, c := range []struct {
		name   string
		levels int
		column []float64
		x      float64
		want   float64 // contribution of x; NaN: any within 10 of 0
	}{
		{"constant number", 0, []float64{5, 5, 5, 5, 5, 5}, 100, 0},
		{"number missing everywhere", 0, []float64{nan, nan, nan, nan, nan, nan}, 3, 0},
		{"missing everywhere, asked for missing", 0, []float64{nan, nan, nan, nan, nan, nan}, nan, 0},
		{"missing where training had none", 0, []float64{1, 2, 3, 3, 2, 1}, nan, 0},
		{"one level", 1, []float64{0, 0, 0, 0, 0, 0}, 0, 0},
		{"category missing everywhere", 2, []float64{nan, nan, nan, nan, nan, nan}, nan, 0},
		{"category unseen everywhere", 2, []float64{-1, -1, -1, -1, -1, -1}, 1, 0},
		{"level that never occurs", 3, []float64{0, 1, 0, 1, 0, 1}, 2, 0},
		{"missing category where training had none", 2, []float64{0, 1, 0, 1, 0, 1}, nan, 0},
		{"values that nearly overflow", 0, []float64{8e307, -8e307, 8e307, 8e307, -8e307, 8e307}, 8e307 / 2, nan},
		{"tiny values", 0, []float64{3e-320, 0, 3e-320, 3e-320, 0, 3e-320}, 3e-320, nan},
	} {
		m := matrixOf([]int{c.levels, 0}, label, c.column, flat)
		model, err := Learner{}.Fit(t.Context(), m, features.Matrix{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		linear := model.(*models.Linear)
		for _, v := range linear.Table().Column("value").Numbers {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s: a coefficient is %v", c.name, v)
			}
		}
		got := linear.Terms[0].At(c.x)
		if ok := math.Abs(got-c.want) <= 1e-12 || (math.IsNaN(c.want) && math.Abs(got) < 10); !ok {
			t.Errorf("%s: contribution of %v is %v, want %v", c.name, c.x, got, c.want)
		}
	}
}

func TestLogisticWithoutFeatures(t *testing.T) {
	model, err := Learner{}.Fit(t.Context(), matrixOf(nil, []float64{1, 0, 0, 0}), features.Matrix{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := model.Raw(nil), math.Log(1.0/3); math.Abs(got-want) > 1e-15 {
		t.Errorf("Raw %v, want the log-odds of 1 in 4, %v", got, want)
	}
}

func TestLogisticSeparatedAndCollinear(t *testing.T) {
	label := []float64{0, 0, 0, 1, 1, 1}
	x := []float64{1, 2, 3, 4, 5, 6}
	overlap := []float64{1, 5, 3, 4, 2, 6}
	separated, collinear := matrixOf([]int{0}, label, x), matrixOf([]int{0, 0}, label, overlap, overlap)
	refused := map[string]features.Matrix{
		"separated": separated, "collinear": collinear,
	}
	for seed := range uint64(20) { // collinear but for rounding
		m := mixed(rand.New(rand.NewPCG(seed, 11)), 60, []int{2, 0, 0, 0})
		m = m.Select([]int{1, 3, 3})
		m.Columns[2] = make([]float64, 60)
		for i := range m.Columns[2] {
			m.Columns[2][i] = 3*m.Columns[0][i] - 0.7*m.Columns[1][i] + 1
		}
		refused["collinear "+string(rune('a'+seed))] = m
	}
	for name, m := range refused {
		if _, err := (Learner{L2: -1}).Fit(t.Context(), m, features.Matrix{}); !errors.Is(err, ErrNoOptimum) || !strings.Contains(err.Error(), "set a penalty") {
			t.Errorf("%s without a penalty: %v", name, err)
		}
	}
	if _, err := (Learner{L2: -1}).fit(t.Context(), &collinear, 0); !errors.Is(err, ErrNoOptimum) {
		t.Errorf("wide without a penalty: %v", err)
	}
	model, err := Learner{}.Fit(t.Context(), separated, features.Matrix{})
	if err != nil {
		t.Fatal(err)
	}
	if low, high := model.Raw([]float64{1}), model.Raw([]float64{6}); !(low < -0.5 && high > 0.5 && high < 10) {
		t.Errorf("separated: %v to %v", low, high)
	}
	if model, err = (Learner{}).Fit(t.Context(), collinear, features.Matrix{}); err != nil {
		t.Fatal(err)
	}
	if terms := model.(*models.Linear).Terms; !near(terms[0].Weight, terms[1].Weight, 1e-9) || terms[0].Weight <= 0 {
		t.Errorf("equal columns weigh %v and %v", terms[0].Weight, terms[1].Weight)
	}
	// Without a penalty one number has the closed form of a 2 by 2 table; columns
	// that are the same in every row do not stand in the way.
	constant, missing := make([]float64, 8), slices.Repeat([]float64{math.NaN()}, 8)
	two := matrixOf([]int{0, 0, 0, 1, 2}, []float64{1, 0, 0, 0, 1, 1, 1, 0}, []float64{0, 0, 0, 0, 1, 1, 1, 1},
		constant, missing, constant, missing)
	if model, err = (Learner{L2: -1}).Fit(t.Context(), two, features.Matrix{}); err != nil {
		t.Fatal(err)
	}
	if a, b := model.Raw([]float64{0, 0, 0, 0, 0}), model.Raw([]float64{1, 0, 0, 0, 0}); !near(a, -math.Log(3), 1e-12) || !near(b, math.Log(3), 1e-12) {
		t.Errorf("two by two: %v and %v, want -ln 3 and ln 3", a, b)
	}
}

// TestLogisticOvershoot fits columns with outliers under a weak penalty, where the
// full Newton step of about one table in fifty raises the objective.
func TestLogisticOvershoot(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 0))
		n := 4 + rng.IntN(30)
		columns := make([][]float64, 1+rng.IntN(3))
		for j := range columns {
			columns[j] = make([]float64, n)
			for i := range n {
				columns[j][i] = math.Exp(3 * rng.NormFloat64())
			}
		}
		label := make([]float64, n)
		for i := range label {
			if rng.Float64() < 0.15 || columns[0][i] > 20 && rng.Float64() < 0.9 {
				label[i] = 1
			}
		}
		m := matrixOf(make([]int, len(columns)), label, columns...)
		if _, err := (Learner{L2: 1e-4}).Fit(t.Context(), m, features.Matrix{}); err != nil && !errors.Is(err, ErrOneClass) {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func TestLogisticRefuses(t *testing.T) {
	label, good := []float64{0, 1, 0, 1}, []float64{1, 2, 3, 5}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name  string
		ctx   context.Context
		l     Learner
		m     features.Matrix
		is    error
		words string
	}{
		{"one class", t.Context(), Learner{}, matrixOf([]int{0}, []float64{1, 1, 1, 1}, good), ErrOneClass, "4 of 4"},
		{"no rows", t.Context(), Learner{}, matrixOf([]int{0}, nil, nil), ErrOneClass, "0 of 0"},
		{"label", t.Context(), Learner{}, matrixOf([]int{0}, []float64{0, 1, 2, 1}, good), nil, "row 2: label 2"},
		{"label missing", t.Context(), Learner{}, matrixOf([]int{0}, []float64{0, 1, math.NaN(), 1}, good), nil, "row 2: label NaN"},
		{"infinity", t.Context(), Learner{}, matrixOf([]int{0, 0}, label, good, []float64{1, math.Inf(-1), 2, 3}), nil, `feature "b", row 1: -Inf`},
		{"range", t.Context(), Learner{}, matrixOf([]int{0}, label, []float64{-1.7e308, 1.7e308, 1.7e308, 1.7e308}), nil, `feature "a"`},
		{"code", t.Context(), Learner{}, matrixOf([]int{2}, label, []float64{0, 1, 2, 0}), nil, `feature "a", row 2: code 2, want -1 to 1`},
		{"half a code", t.Context(), Learner{}, matrixOf([]int{2}, label, []float64{0, 0.5, 1, 0}), nil, "row 1: code 0.5"},
		{"infinite code", t.Context(), Learner{}, matrixOf([]int{2}, label, []float64{0, math.Inf(1), 1, 0}), nil, "row 1: code +Inf"},
		{"short column", t.Context(), Learner{}, matrixOf([]int{0}, label, good[:3]), nil, "3 values, 4 labels"},
		{"no column", t.Context(), Learner{}, matrixOf([]int{0}, label), nil, "0 columns, 1 features"},
		{"L2", t.Context(), Learner{L2: math.NaN()}, matrixOf([]int{0}, label, good), nil, "L2 NaN"},
		{"tolerance", t.Context(), Learner{Tolerance: -1}, matrixOf([]int{0}, label, good), nil, "Tolerance -1"},
		{"steps", t.Context(), Learner{MaxSteps: -1}, matrixOf([]int{0}, label, good), nil, "MaxSteps -1"},
		{"too few steps", t.Context(), Learner{MaxSteps: 1}, matrixOf([]int{0}, label, good), ErrNoOptimum, "1 steps"},
		{"cancelled", cancelled, Learner{}, matrixOf([]int{0}, label, good), context.Canceled, ""},
		{"cancelled, no features", cancelled, Learner{}, matrixOf(nil, label), context.Canceled, ""},
	} {
		m, err := c.l.Fit(c.ctx, c.m, features.Matrix{})
		if m != nil || err == nil || (c.is != nil && !errors.Is(err, c.is)) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: model %v, error %v; want error %v with %q", c.name, m, err, c.is, c.words)
		}
	}
}

// BenchmarkLogistic fits 50,000 rows of 10 numbers and 10 categories.
func BenchmarkLogistic(b *testing.B) {
	m := mixed(rand.New(rand.NewPCG(9, 10)), 50000, []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 8, 8, 16, 16, 32, 50, 2, 2})
	for name, fit := range map[string]func() error{
		"L2":   func() error { _, err := Fit(b.Context(), &m, Options{}); return err },
		"free": func() error { _, err := Fit(b.Context(), &m, Options{L2: -1}); return err },
		"path": func() error { _, err := Path(b.Context(), &m, PathOptions{Alpha: 1}); return err },
		"replicates": func() error {
			_, err := Fit(b.Context(), &m, Options{Replicates: 100})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := fit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
