package features

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// kinds of columns to sort: few values, many, of every size, sorted already.
func columnsToSort(n int, seed uint64) map[string][]float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := map[string][]float64{}
	for name, draw := range map[string]func(i int) float64{
		"counts":   func(int) float64 { return float64(rng.IntN(30) * rng.IntN(2)) },
		"normal":   func(int) float64 { return rng.NormFloat64() },
		"any bits": func(int) float64 { return math.Float64frombits(rng.Uint64()&^(1<<62) | 1) },
		"infinite": func(i int) float64 { return []float64{math.Inf(1), math.Inf(-1), -1, 1}[i%4] },
		"sorted":   func(i int) float64 { return float64(i) - 1e3 },
		"backward": func(i int) float64 { return -float64(i) },
		"constant": func(int) float64 { return 7 },
	} {
		for i := range n {
			out[name] = append(out[name], draw(i))
		}
	}
	return out
}

func TestSortNumbers(t *testing.T) {
	for name, xs := range columnsToSort(3*radixRows, 1) {
		want := slices.Clone(xs)
		slices.Sort(want)
		if SortNumbers(xs); !slices.Equal(xs, want) {
			t.Errorf("%s: not as slices.Sort", name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64(), 0, 50).Draw(t, "xs")
		long := slices.Repeat(append(xs, 1), radixRows)
		want := slices.Clone(long)
		slices.Sort(want)
		if SortNumbers(long); !slices.Equal(long, want) {
			t.Fatal("not as slices.Sort")
		}
	})
}

func BenchmarkSortNumbers(b *testing.B) {
	for name, xs := range columnsToSort(800_000, 1) {
		for _, sort := range []struct {
			name string
			f    func([]float64)
		}{{"digits", SortNumbers}, {"comparison", slices.Sort[[]float64]}} {
			b.Run(fmt.Sprintf("%s/%s", name, sort.name), func(b *testing.B) {
				at := make([]float64, len(xs))
				for b.Loop() {
					copy(at, xs)
					sort.f(at)
				}
			})
		}
	}
}
