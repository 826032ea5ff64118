package evaluate

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestPromiseByHand(t *testing.T) {
	promise := func(y []float64, p float64, group []int) Promise {
		t.Helper()
		ps := make([]float64, len(y))
		for i := range ps {
			ps[i] = p
		}
		got, err := JudgePromise(y, ps, group)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	none := make([]float64, 10)
	near(t, "all of three at a half", promise([]float64{1, 1, 1}, 0.5, nil).P, 2*0.125)
	near(t, "none of ten at 30 %", promise(none, 0.3, nil).P, 2*math.Pow(0.7, 10))
	near(t, "none of ten at 0", promise(none, 0, nil).P, 1)
	near(t, "one where none can be", promise([]float64{1, 0}, 0, nil).P, 0)
	near(t, "one less than all", promise([]float64{1, 0}, 1, nil).P, 0)
	near(t, "as promised", promise([]float64{1, 0, 1, 0}, 0.5, nil).P, 1)
	// Ten rows of two accounts, none positive, are worth two rows.
	two := promise(none, 0.3, []int{1, 1, 1, 1, 1, 2, 2, 2, 2, 2})
	near(t, "none of two accounts", two.P, 2*0.49)
	if two.Accounts != 2 {
		t.Errorf("%d accounts", two.Accounts)
	}
	if one := promise([]float64{1, 1, 1}, 0.001, []int{7, 7, 7}); one.P != 1 {
		t.Errorf("one account says %v", one.P)
	}
	if _, err := JudgePromise([]float64{2}, []float64{0.5}, nil); err == nil {
		t.Error("a label of 2")
	}
	if _, err := JudgePromise([]float64{1}, []float64{1.5}, nil); err == nil {
		t.Error("a probability of 1.5")
	}
}

// The tails are sums of binomial probabilities.
func TestPromiseIsTheBinomialTest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		p := rapid.Float64Range(0.001, 0.999).Draw(t, "p")
		y, ps := make([]float64, n), make([]float64, n)
		for i := range y {
			ps[i] = p
			if i < k {
				y[i] = 1
			}
		}
		got, err := JudgePromise(y, ps, nil)
		if err != nil {
			t.Fatal(err)
		}
		atMost, atLeast := 0.0, 0.0
		for j := range n + 1 {
			lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
			mass := math.Exp(lg(n) - lg(j) - lg(n-j) + float64(j)*math.Log(p) + float64(n-j)*math.Log1p(-p))
			if j <= k {
				atMost += mass
			}
			if j >= k {
				atLeast += mass
			}
		}
		if want := min(1, 2*min(atMost, atLeast)); math.Abs(got.P-want) > 1e-10 {
			t.Errorf("%d of %d at %v: %v, want %v", k, n, p, got.P, want)
		}
	})
}
