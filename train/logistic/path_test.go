package logistic

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
)

func foldsOf(rows, k int) []datasets.Fold {
	folds := make([]datasets.Fold, k)
	for i := range rows {
		for f := range folds {
			if i%k == f {
				folds[f].Test = append(folds[f].Test, i)
			} else {
				folds[f].Train = append(folds[f].Train, i)
			}
		}
	}
	return folds
}

func TestChoosePath(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 1))
	m := mixed(rng, 400, []int{0, 0, 3, 0, 0, 0, 0, 0, 0, 0})
	for i := range m.Label {
		m.Label[i] = 0
		if 1.5*m.Columns[1][i]/2+rng.NormFloat64() > 0.5 {
			m.Label[i] = 1
		}
	}
	folds := foldsOf(400, 3)
	ticks := 0
	o := ChooseOptions{Alphas: []float64{1, 0.3}, Path: PathOptions{Count: 15, Ratio: 1e-2}, Progress: func(int, int) { ticks++ }}
	chosen, raw, err := ChoosePath(t.Context(), &m, folds, o)
	if err != nil {
		t.Fatal(err)
	}
	loss := func(raw []float64) (sum float64) {
		for i, x := range raw {
			sum += math.Log1p(math.Exp((1 - 2*m.Label[i]) * x))
		}
		return sum
	}
	best, x := loss(raw), make([]float64, len(m.Columns))
	for _, alpha := range o.Alphas {
		points, err := Path(t.Context(), &m, PathOptions{Alpha: alpha, Count: 15, Ratio: 1e-2})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			out := make([]float64, m.Rows())
			for _, f := range folds {
				train := m.Take(f.Train)
				r, err := Fit(t.Context(), &train, Options{Lambda: p.Lambda, Alpha: alpha})
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range f.Test {
					m.Row(x, i)
					out[i] = r.Model.Raw(x)
				}
			}
			got := loss(out)
			if got < best-1e-4 {
				t.Errorf("alpha %v, Lambda %v: loss %v, the chosen one's %v", alpha, p.Lambda, got, best)
			}
			if alpha == chosen.Alpha && p.Lambda == chosen.Lambda && !allNear(out, raw, 1e-4) {
				t.Error("other log-odds than those of the chosen settings")
			}
		}
	}
	r, err := Fit(t.Context(), &m, chosen)
	if err != nil {
		t.Fatal(err)
	}
	if w := r.Model.Terms[1].Weight; w < 0.5 || ticks != 6 {
		t.Errorf("weight of the column that matters %v; told of progress %d times, want 6", w, ticks)
	}
	folds[1].Train = slices.DeleteFunc(folds[1].Train, func(i int) bool { return m.Label[i] == 1 })
	if _, _, err := ChoosePath(t.Context(), &m, folds, o); !errors.Is(err, ErrOneClass) || !strings.Contains(err.Error(), "fold 1") {
		t.Errorf("a class that vanishes in a fold: %v", err)
	}
	if _, _, err := ChoosePath(t.Context(), &m, nil, o); err == nil {
		t.Error("no folds: no error")
	}
}

func TestOptimumOfPath(t *testing.T) {
	m := mixed(rand.New(rand.NewPCG(71, 1)), 300, []int{0, 7, 0, 4, 0, 0})
	for i := range m.Label {
		m.Weight = append(m.Weight, 0.5+float64(i%3))
	}
	for _, alpha := range []float64{0, 0.4, 1} {
		d, points, err := path(t.Context(), &m, PathOptions{Alpha: alpha, Count: 12, Ratio: 1e-3})
		if err != nil {
			t.Fatal(err)
		}
		rows, last := expand(&m, d), math.Inf(1)
		objective := func(w []float64, lambda float64) float64 {
			sum, total := 0.0, 0.0
			for i, row := range rows {
				raw := 0.0
				for k, x := range row {
					raw += x * w[k]
				}
				sum += m.Weight[i] * math.Log1p(math.Exp((1-2*m.Label[i])*raw))
				total += m.Weight[i]
			}
			sum /= total
			for _, x := range w[1:] {
				sum += lambda * (alpha*math.Abs(x) + (1-alpha)/2*x*x)
			}
			return sum
		}
		for n, p := range points {
			if n == 0 && alpha == 1 && p.Nonzero != 0 {
				t.Errorf("%d weights at the largest Lambda", p.Nonzero)
			}
			if !(p.Lambda < last) || (n > 0 && p.Deviance < points[n-1].Deviance) {
				t.Errorf("Lambda %v, deviance %v after %v, %v", p.Lambda, p.Deviance, last, points[max(0, n-1)].Deviance)
			}
			last = p.Lambda
			at := objective(p.weights, p.Lambda)
			for k := range p.weights {
				for _, h := range []float64{1e-3, -1e-3} {
					w := slices.Clone(p.weights)
					if w[k] += h; objective(w, p.Lambda) < at-1e-9 {
						t.Errorf("alpha %v, Lambda %v: moving weight %d by %v lowers %v to %v", alpha, p.Lambda, k, h, at, objective(w, p.Lambda))
					}
				}
			}
		}
	}
}
