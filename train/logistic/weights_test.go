package logistic

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
	"propensity/models"
)

func coefficientsOf(m *models.Linear) []float64 { return m.Table().Column("value").Numbers }

func allNear(a, b []float64, tolerance float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return near(x, y, tolerance) })
}

func TestWeightsAreRepeatedRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		m := mixed(rng, rapid.IntRange(60, 150).Draw(t, "rows"), []int{0, 3, 0, 2})
		var rows []int
		for i := range m.Rows() {
			k := 1 + rng.IntN(3)
			m.Weight = append(m.Weight, float64(k))
			for range k {
				rows = append(rows, i)
			}
		}
		long := m.Take(rows)
		long.Weight = nil
		for _, o := range []Options{{L2: 2}, {L2: -1}, {Lambda: 0.01, Alpha: 0.5}} {
			a, err := Fit(t.Context(), &m, o)
			b, other := Fit(t.Context(), &long, o)
			if err != nil || other != nil {
				if (err == nil) != (other == nil) {
					t.Fatalf("%+v: %v weighted, %v repeated", o, err, other)
				}
				continue
			}
			if x, y := coefficientsOf(a.Model), coefficientsOf(b.Model); !allNear(x, y, 1e-6) {
				t.Fatalf("%+v: %v weighted, %v repeated", o, x, y)
			}
			if !near(a.LogLikelihood, b.LogLikelihood, 1e-9) || !near(a.Weight, float64(b.Rows), 1e-12) || !allNear(a.errors, b.errors, 1e-6) {
				t.Fatalf("%+v: log-likelihood %v and %v, errors %v and %v", o, a.LogLikelihood, b.LogLikelihood, a.errors, b.errors)
			}
		}
	})
}

func TestMeanAndSpreadWithWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	m := mixed(rng, 400, []int{0, 4, 2, 0, 0})
	m.Columns[4] = make([]float64, 400) // a constant that may be missing
	for i := range m.Label {
		m.Weight = append(m.Weight, 0.1+3*rng.Float64())
		if i%5 == 0 {
			m.Columns[4][i] = math.NaN()
		}
		if i == 0 {
			m.Columns[3][i] = 1e7 // a contribution that might be cut off
		}
	}
	r, err := Fit(t.Context(), &m, Options{L2: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	for j := range r.Model.Terms {
		term, sum, square, total := &r.Model.Terms[j], 0.0, 0.0, 0.0
		for i, x := range m.Columns[j] {
			sum += m.Weight[i] * term.At(x)
			total += m.Weight[i]
		}
		for i, x := range m.Columns[j] {
			u := term.At(x) - sum/total
			square += m.Weight[i] * u * u
		}
		if !near(term.Mean, sum/total, 1e-9) || !near(term.Spread, math.Sqrt(square/total), 1e-9) {
			t.Errorf("feature %d: mean %v, spread %v; want %v, %v", j, term.Mean, term.Spread, sum/total, math.Sqrt(square/total))
		}
	}
}

func TestRefusedWeightsAndOptions(t *testing.T) {
	label, good := []float64{0, 1, 0, 1}, []float64{1, 2, 3, 0.5}
	with := func(w ...float64) features.Matrix {
		m := matrixOf([]int{0}, label, good)
		m.Weight = w
		return m
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		m     features.Matrix
		o     Options
		p     PathOptions
		words string
	}{
		{with(1, -1, 1, 1), Options{}, PathOptions{}, "row 1: weight -1"},
		{with(1, 1, math.NaN(), 1), Options{}, PathOptions{}, "row 2: weight NaN"},
		{with(1, 1, 1, math.Inf(1)), Options{}, PathOptions{}, "row 3: weight +Inf"},
		{with(0, 1, 1, 1), Options{}, PathOptions{}, "row 0: weight 0"},
		{with(1, 1), Options{}, PathOptions{}, "2 weights, 4 labels"},
		{with(1, 1e-320, 1e300, 1e-320), Options{}, PathOptions{}, "weights"},
	} {
		if _, err := Fit(t.Context(), &c.m, c.o); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("Fit: %v, want %q", err, c.words)
		}
		if _, err := Path(t.Context(), &c.m, c.p); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("Path: %v, want %q", err, c.words)
		}
	}
	m := with(1, 1, 1, 1)
	for _, o := range []Options{{Lambda: -1}, {Lambda: math.NaN()}, {Lambda: 1, Alpha: 2}, {Lambda: 1, L2: 1}, {Replicates: -1}, {Lambda: 1, Replicates: 5}} {
		if _, err := Fit(t.Context(), &m, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	for _, p := range []PathOptions{{Alpha: -1}, {Alpha: math.NaN()}, {Count: -1}, {Ratio: 1}, {Lambdas: []float64{1, 2}}, {Lambdas: []float64{0}}, {Tolerance: -1}} {
		if _, err := Path(t.Context(), &m, p); err == nil {
			t.Errorf("%+v: no error", p)
		}
	}
	if _, err := Path(cancelled, &m, PathOptions{Alpha: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, _, err := ChoosePath(cancelled, &m, foldsOf(4, 2), ChooseOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	one := matrixOf([]int{0}, []float64{1, 1, 1, 1}, good)
	if _, err := Path(t.Context(), &one, PathOptions{}); !errors.Is(err, ErrOneClass) {
		t.Errorf("one class: %v", err)
	}
	constant := matrixOf([]int{0, 0, 2}, label, []float64{2, 2, 2, 2}, slices.Repeat([]float64{math.NaN()}, 4), make([]float64, 4))
	for _, o := range []Options{{}, {L2: -1}, {Lambda: 0.1, Alpha: 1}} {
		r, err := Fit(t.Context(), &constant, o)
		if err != nil || math.Abs(r.Model.Raw([]float64{2, math.NaN(), 0})) > 1e-12 {
			t.Errorf("columns that never vary, %+v: %v", o, err)
		}
	}
	if points, err := Path(t.Context(), &constant, PathOptions{Alpha: 1}); err != nil || points[0].Nonzero != 0 {
		t.Errorf("a path of columns that never vary: %v", err)
	}
}
