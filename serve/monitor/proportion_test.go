package monitor

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// hypergeometric is the chance of k by whole numbers.
func hypergeometric(k, n, hits, all int64) float64 {
	choose := func(n, k int64) *big.Int { return new(big.Int).Binomial(n, k) }
	if k < 0 || k > hits || n-k < 0 || n-k > all-hits {
		return 0
	}
	x := new(big.Int).Mul(choose(hits, k), choose(all-hits, n-k))
	f, _ := new(big.Rat).SetFrac(x, choose(all, n)).Float64()
	return f
}

func TestProportionTestIsFishers(t *testing.T) {
	for _, n := range []int64{1, 7, 35} {
		for _, base := range []int64{1, 5, 40, 100} {
			for hits := int64(1); hits < n+base; hits += 3 {
				for k := max(0, hits-base); k <= min(n, hits); k++ {
					atMost, atLeast := 0.0, 0.0
					for x := int64(0); x <= n; x++ {
						if x <= k {
							atMost += hypergeometric(x, n, hits, n+base)
						}
						if x >= k {
							atLeast += hypergeometric(x, n, hits, n+base)
						}
					}
					got := proportionTest(float64(k), float64(n), float64(hits-k), float64(base))
					// Next to the middle twice either tail may be above 1, and the other tail the smaller.
					want := min(1, 2*min(atMost, atLeast))
					if got < want-1e-9 || got > want+1e-9 && want < 0.7 {
						t.Fatalf("%d of %d against %d of %d: %v, want %v", k, n, hits-k, base, got, want)
					}
				}
			}
		}
	}
}

// Of the p of rows that come from one source, at most a share x is at most x: summed over
// all that can happen, for rows that are few and shares that are rare.
func TestProportionTestHoldsItsLevel(t *testing.T) {
	for _, c := range []struct{ n, base, hits int64 }{{10, 1000, 20}, {35, 300, 40}, {200, 500, 9}, {5, 8, 6}} {
		for _, level := range []float64{0.2, 0.05, 0.01, 0.001} {
			chance := 0.0
			for k := max(0, c.hits-c.base); k <= min(c.n, c.hits); k++ {
				if proportionTest(float64(k), float64(c.n), float64(c.hits-k), float64(c.base)) <= level {
					chance += hypergeometric(k, c.n, c.hits, c.n+c.base)
				}
			}
			if chance > level*(1+1e-9) {
				t.Errorf("%+v: at the level %v it says so with a chance of %v", c, level, chance)
			}
		}
	}
}

// Of large numbers, the normal approximation is right in the middle of the tail.
func TestProportionTestOfManyRows(t *testing.T) {
	const n, base = 1e6, 2e6
	k, ofBase := 101_000., 200_000.
	share := (k + ofBase) / (n + base)
	z := (k/n - ofBase/base) / math.Sqrt(share*(1-share)*(1/n+1/base))
	want := math.Erfc(z / math.Sqrt2)
	if got := proportionTest(k, n, ofBase, base); math.Abs(got/want-1) > 0.02 {
		t.Errorf("%v, normal %v", got, want)
	}
	if got := proportionTest(n, n, 0, base); got != 0 {
		t.Errorf("all against none: %v", got)
	}
}

// Newcombe 1998, table II: 56 of 70 against 48 of 80, and 9 of 10 against 3 of 10, method 10.
func TestDifferenceIsNewcombes(t *testing.T) {
	const z = 1.959963984540054
	for _, c := range []struct{ k, n, ofBase, base, low, high float64 }{
		{56, 70, 48, 80, 0.0524, 0.3339},
		{9, 10, 3, 10, 0.1705, 0.8090},
		{10, 10, 0, 10, 0.6075, 1.0000},
		{0, 10, 0, 10, -0.2775, 0.2775},
	} {
		d := difference(c.k, c.n, c.ofBase, c.base, z)
		if math.Abs(d.Low-c.low) > 5e-5 || math.Abs(d.High-c.high) > 5e-5 {
			t.Errorf("%v of %v against %v of %v: %.4f to %.4f, want %.4f to %.4f", c.k, c.n, c.ofBase, c.base, d.Low, d.High, c.low, c.high)
		}
	}
}

func TestDiscoveriesByHand(t *testing.T) {
	// The factor of three is 1 + 1/2 + 1/3 = 11/6: the limits at 0.055 are 0.01, 0.02, 0.03.
	limit, adjusted := discoveries([]float64{0.02, 0.5, 0.001}, 0.055)
	if math.Abs(limit-0.02) > 1e-12 {
		t.Errorf("limit %v, want 0.02", limit)
	}
	for i, want := range []float64{0.055, 11. / 12, 0.0055} {
		if math.Abs(adjusted[i]-want) > 1e-12 {
			t.Errorf("adjusted %v, want %v", adjusted[i], want)
		}
	}
	if limit, _ := discoveries([]float64{0.9, 0.04}, 0.01); limit != 0 {
		t.Errorf("a discovery at %v", limit)
	}
}

// The estimate of repeated rows is near the truth, and rather too large than too small.
func TestEffectiveRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for _, c := range []struct {
		accounts, repeats int
		named             bool
	}{{5000, 1, true}, {500, 20, true}, {40, 100, true}, {1, 300, true}, {5000, 1, false}} {
		s := tinyShape(t)
		l := NewLive(s)
		a := answerOf(t, s, rng)
		for i := range c.accounts {
			for range c.repeats {
				name := ""
				if c.named {
					name = "A-" + string(rune('a'+i%26)) + number(float64(i))
				}
				l.Count(a, name)
			}
		}
		counts := l.Take()
		got, most := counts.Effective(), float64(c.accounts)
		if got > most*1.1 || got < most*0.7 {
			t.Errorf("%+v are worth %v rows", c, got)
		}
		if !c.named && got != most {
			t.Errorf("%d rows of no account are worth %v", c.accounts, got)
		}
	}
}
