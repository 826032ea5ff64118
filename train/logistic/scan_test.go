package logistic

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for name, at := range map[string]func(i int, rng *rand.Rand) float64{
		"normal":     func(_ int, rng *rand.Rand) float64 { return rng.NormFloat64() },
		"zeros":      func(_ int, rng *rand.Rand) float64 { return float64(rng.IntN(2)) },
		"few values": func(_ int, rng *rand.Rand) float64 { return float64(rng.IntN(5)) },
		"rising":     func(i int, _ *rand.Rand) float64 { return float64(i) },
		"sampled": func(i int, _ *rand.Rand) float64 { // the sample sees large values alone
			if i*1024%20001 < 1024 {
				return 100
			}
			return float64(i % 50)
		},
	} {
		for _, n := range []int{1, 2, 5, 4097, 20000, 20001} {
			rng := rand.New(rand.NewPCG(9, uint64(n)))
			xs := make([]float64, n)
			var known []float64
			for i := range xs {
				if xs[i] = at(i, rng); i > 0 && rng.IntN(9) == 0 {
					xs[i] = math.NaN()
				} else {
					known = append(known, xs[i])
				}
			}
			slices.Sort(known)
			want := (known[(len(known)-1)/2] + known[len(known)/2]) / 2
			if got := median(xs, len(known)); got != want {
				t.Errorf("%s, %d: %v, want %v", name, n, got, want)
			}
		}
	}
}
