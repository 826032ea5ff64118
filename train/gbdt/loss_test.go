package gbdt

import (
	"math"
	"testing"
)

func TestSigmoidTable(t *testing.T) {
	s := newSigmoid()
	for raw := -19.9; raw < 20; raw += 0.00137 {
		want := 1 / (1 + math.Exp(-raw))
		if got := s.at(raw); math.Abs(got-want) > 8e-6*want {
			t.Fatalf("%v: %v, want %v", raw, got, want)
		}
	}
	for _, raw := range []float64{20, 21, 800, math.Inf(1)} {
		if p := s.at(raw); p < 1-1e-8 || p > 1 {
			t.Errorf("%v: %v", raw, p)
		}
		if p := s.at(-raw); p > 1e-8 || p < 0 {
			t.Errorf("%v: %v", -raw, p)
		}
	}
}

// A word holds the gradient and the hessian to within a unit; the mean of many
// draws is the gradient itself.
func TestWords(t *testing.T) {
	const draws = 40000
	table := newSigmoid()
	for _, raw := range []float64{-30, -6, -2, 0, 0.3, 5, 30} {
		for _, label := range []float64{0, 1} {
			p := 1 / (1 + math.Exp(-raw))
			words := make([]uint64, draws)
			raws, labels := make([]float64, draws), make([]float64, draws)
			for i := range raws {
				raws[i], labels[i] = raw, label
			}
			fillWords(nil, words, numbers(0, draws), raws, labels, table, 17)
			var total sums
			for _, w := range words {
				var one sums
				one.add(w)
				if g := one.gradient() - (p - label); math.Abs(g) > 1.01/gradientUnits || one.n != 1 {
					t.Fatalf("raw %v, label %v: a gradient of %v", raw, label, one.gradient())
				}
				if h := one.hessian() - p*(1-p); math.Abs(h) > 1.01/hessianUnits || one.h < 0 || one.h > 1023 {
					t.Fatalf("raw %v: a hessian of %v", raw, one.hessian())
				}
				total = total.plus(one)
			}
			// Rounding by chance has a standard deviation of at most half a unit.
			const far = 5 * 0.5
			if g := total.gradient()/draws - (p - label); math.Abs(g) > far/gradientUnits/math.Sqrt(draws)+8e-6 {
				t.Errorf("raw %v, label %v: the mean gradient is off by %v", raw, label, g)
			}
			if h := total.hessian()/draws - p*(1-p); math.Abs(h) > far/hessianUnits/math.Sqrt(draws)+8e-6 {
				t.Errorf("raw %v: the mean hessian is off by %v", raw, h)
			}
		}
	}
}
