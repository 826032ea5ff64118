package learnt

import (
	"context"
	"math"
	"testing"

	"propensity/features"
	"propensity/models"
)

func TestSpearmanByHand(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{10, 20, 21}, 1},
		{[]float64{1, 2, 3}, []float64{3, 2, 1}, -1},
		// Ranks 0 1 2 3 and 0.5 0.5 2 3: 4.5 / sqrt(5 x 4.5).
		{[]float64{1, 2, 3, 4}, []float64{5, 5, 6, 7}, 4.5 / math.Sqrt(5*4.5)},
		{[]float64{7}, []float64{8}, 1},
		{[]float64{1, 1}, []float64{1, 2}, 0},
	} {
		if got := spearman(c.a, c.b); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%v, %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestSharedReasonsByHand(t *testing.T) {
	ours := [][]float64{{5, 4, 3, 2}, {0, 1, 0, 0}, {0, 0, 0, 0}}
	theirs := [][]float64{{5, 4, 0, 2}, {3, 0, 1, 1}, {1, 1, 1, 1}}
	if got := shared(ours, theirs); math.Abs(got-(2.0/3+0)/2) > 1e-15 {
		t.Errorf("%v", got)
	}
}

func TestStability(t *testing.T) {
	m := numbers(600, 4, 1, func(x []float64) float64 { return x[0] })
	for i := range m.Group {
		m.Group[i] = i / 3
	}
	model := weights(4, 3, 2, 1)
	var calls int
	refit := func(by *models.Linear) func(context.Context, features.Matrix) (models.Model, error) {
		return func(_ context.Context, r features.Matrix) (models.Model, error) {
			calls++
			times := map[int]int{}
			for _, g := range r.Group {
				times[g]++
			}
			for g, n := range times {
				if n%3 != 0 {
					t.Fatalf("account %d has %d rows", g, n)
				}
			}
			if len(times) > 160 || len(times) < 100 { // 63 % of 200 are expected
				t.Fatalf("%d accounts in a resample", len(times))
			}
			return by, nil
		}
	}
	same := examine(t, Input{Model: model, Rows: m, Training: m, Refit: refit(model)}).Stability
	if calls != refits || *same != (models.Stability{Refits: refits, Correlation: 1, TopThree: 1}) {
		t.Errorf("%d calls: %+v", calls, same)
	}
	other := examine(t, Input{Model: model, Rows: m, Training: m, Refit: refit(weights(1, 2, 3, 4))}).Stability
	if math.Abs(other.Correlation+1) > 1e-12 || other.TopThree > 0.9 {
		t.Errorf("%+v", other)
	}
	if out := examine(t, Input{Model: model, Rows: m, Training: m}); out.Stability != nil {
		t.Errorf("%+v without a refit", out.Stability)
	}
	one := m
	one.Label = make([]float64, 600)
	if out := examine(t, Input{Model: model, Rows: m, Training: one, Refit: refit(model)}); out.Stability != nil {
		t.Errorf("%+v of one class", out.Stability)
	}
}
