package learnt

import (
	"context"
	"math"
	"testing"

	"propensity/features"
	"propensity/models"
	"propensity/models/tree"
	"propensity/train/gbdt"
)

func ensemble(t *testing.T, levels []int, trees ...[]tree.Node) *tree.Ensemble {
	t.Helper()
	b := tree.NewBuilder(levels, 0.5)
	for _, nodes := range trees {
		if err := b.Add(nodes); err != nil {
			t.Fatal(err)
		}
	}
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func leaf(value, cover float64) tree.Node { return tree.Node{Feature: -1, Value: value, Cover: cover} }

// mixedMatrix has two numbers, one with missing values, and a category.
func mixedMatrix(n int) features.Matrix {
	m := numbers(n, 3, 5, func(x []float64) float64 { return x[0] * x[1] })
	m.Features[2].Levels = 30
	for i := range n {
		m.Columns[2][i] = float64(i * i % 29)
		if i%7 == 0 {
			m.Columns[1][i] = math.NaN()
		}
		if i%11 == 0 {
			m.Columns[2][i] = -1
		}
	}
	return m
}

func boosted(t *testing.T, m features.Matrix, leaves int) *tree.Ensemble {
	t.Helper()
	o := gbdt.Defaults()
	o.Trees, o.Leaves = 30, leaves
	r, err := gbdt.Fit(context.Background(), &m, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Model
}

func TestShapesByBruteForce(t *testing.T) {
	m := mixedMatrix(400)
	e := boosted(t, m, 8)
	calibration := models.Calibration{Kind: models.CalibrationPlatt, Slope: 0.8, Intercept: 0.1}
	out := examine(t, Input{Model: e, Rows: m, Calibration: calibration})
	if len(out.Shapes) != 3 {
		t.Fatalf("%d shapes", len(out.Shapes))
	}
	x := make([]float64, 3)
	overall := 0.0
	for i := range 400 {
		m.Row(x, i)
		overall += e.Raw(x) / 400
	}
	for _, s := range out.Shapes {
		j := int(s.Feature[0] - 'a')
		rows := 0
		for _, p := range s.Points {
			rows += p.Rows
			raw, probability := 0.0, 0.0
			for i := range 400 {
				m.Row(x, i)
				x[j] = p.X
				if p.Missing {
					x[j] = math.NaN()
				}
				raw += e.Raw(x) / 400
				probability += calibration.Probability(e.Raw(x)) / 400
			}
			if math.Abs(p.LogOdds-(raw-overall)) > 1e-12 || math.Abs(p.Probability-probability) > 1e-12 {
				t.Errorf("%s at %+v: want %v, %v", s.Feature, p, raw-overall, probability)
			}
		}
		if s.Exact {
			t.Errorf("%s is said to be exact", s.Feature)
		}
		switch last := s.Points[len(s.Points)-1]; s.Feature {
		case "a":
			if len(s.Points) != numberKnots || rows != 400 || last.Missing {
				t.Errorf("a: %d points of %d rows", len(s.Points), rows)
			}
		case "b":
			if len(s.Points) != numberKnots+1 || rows != 400 || !last.Missing || last.Rows != 58 {
				t.Errorf("b: %d points of %d rows, last %+v", len(s.Points), rows, last)
			}
		case "c":
			// The squares modulo 29 take 15 values; the unseen ones are no point.
			if len(s.Points) != 15 || last.Level != "28" || rows != 400-37 {
				t.Errorf("c: %d points of %d rows, last %+v", len(s.Points), rows, last)
			}
		}
	}
}

// Where no features act together the curve is the model's own term, centred.
func TestExactShapes(t *testing.T) {
	m := mixedMatrix(400)
	l := &models.Linear{Intercept: 1, Terms: []models.Term{
		{Center: 0.5, Scale: 2, Weight: 3, Mean: -0.25}, {Scale: 1, Weight: -1, Missing: 0.75, Mean: 0.125},
		{Levels: make([]float64, 30)},
	}}
	for k := range l.Terms[2].Levels {
		l.Terms[2].Levels[k] = float64(k) / 10
	}
	probability := func(m models.Model, rows features.Matrix, j int, v float64) (p float64) {
		x := make([]float64, 3)
		for i := range 400 {
			rows.Row(x, i)
			x[j] = v
			p += logistic(m.Raw(x)) / 400
		}
		return p
	}
	for _, s := range examine(t, Input{Model: l, Rows: m}).Shapes {
		j := int(s.Feature[0] - 'a')
		term := &l.Terms[j]
		for _, p := range s.Points {
			v := p.X
			if p.Missing {
				v = math.NaN()
			}
			if !s.Exact || math.Abs(p.LogOdds-(term.At(v)-term.Mean)) > 1e-12 || math.Abs(p.Probability-probability(l, m, j, v)) > 1e-12 {
				t.Errorf("%s: %+v, want %v and %v", s.Feature, p, term.At(v)-term.Mean, probability(l, m, j, v))
			}
		}
	}
	// One split each of a (3 of 10 rows at 4, 7 at -1: mean 0.5) and b.
	e := ensemble(t, []int{0, 0, 30},
		[]tree.Node{{Feature: 0, Threshold: 0.2, Yes: 1, No: 2, Cover: 10}, leaf(4, 3), leaf(-1, 7)},
		[]tree.Node{{Feature: 1, Threshold: 0, Yes: 1, No: 2, Cover: 10, MissingYes: true}, leaf(1, 5), leaf(-1, 5)})
	out := examine(t, Input{Model: e, Rows: m})
	if len(out.Shapes) != 2 || len(out.Pairs) != 0 {
		t.Fatalf("%d shapes, %d pairs", len(out.Shapes), len(out.Pairs))
	}
	for _, p := range out.Shapes[0].Points {
		want := -1.5
		if p.X <= 0.2 {
			want = 3.5
		}
		if !out.Shapes[0].Exact || math.Abs(p.LogOdds-want) > 1e-12 || math.Abs(p.Probability-probability(e, m, 0, p.X)) > 1e-12 {
			t.Errorf("%+v, want %v and %v", p, want, probability(e, m, 0, p.X))
		}
	}
}

func TestLevelsByName(t *testing.T) {
	m := counted([]int{50, 60, 40}, []int{5, 30, 4}, 1)
	l := &models.Linear{Terms: []models.Term{{Levels: []float64{0, 2, 0}}}}
	out := examine(t, Input{Model: l, Rows: m, Training: m, Levels: [][]string{{"x", "y", "z"}}})
	if p := out.Shapes[0].Points; p[0].Level != "x" || p[2].Level != "z" || p[1].Rows != 60 {
		t.Errorf("%+v", p)
	}
	if len(out.Effects) != 1 || out.Effects[0].Level != "y" {
		t.Errorf("%+v", out.Effects)
	}
}
