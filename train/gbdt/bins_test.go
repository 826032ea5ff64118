package gbdt

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"propensity/features"
)

// anyNumbers draws columns with ties, gaps of one unit in the last place, huge
// and tiny values, zeros of both signs and missing ones.
func anyNumbers(t *rapid.T) []float64 {
	value := rapid.OneOf(
		rapid.Just(math.NaN()),
		rapid.Map(rapid.IntRange(-3, 3), func(k int) float64 { return float64(k) }),
		rapid.Float64Range(-1, 1),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, math.Nextafter(1, 2), math.Nextafter(1, 0),
			math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64}),
	)
	return rapid.SliceOfN(value, 1, 60).Draw(t, "column")
}

// Comparing bins is comparing with thresholds, for values seen and not.
func TestBinsAgreeWithThresholds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		column := anyNumbers(t)
		limit := rapid.IntRange(2, 20).Draw(t, "limit")
		b := fitBinner(column, 0, limit)
		if b.values > limit {
			t.Fatalf("%d bins, want at most %d", b.values, limit)
		}
		for k := 1; k < len(b.thresholds); k++ {
			if b.thresholds[k] <= b.thresholds[k-1] {
				t.Fatalf("thresholds %v are not ascending", b.thresholds)
			}
		}
		all := append(column, anyNumbers(t)...)
		binned := make([]uint8, len(all))
		b.binAll(binned, all)
		for i, x := range all {
			bin := b.bin(x)
			if binned[i] != bin {
				t.Fatalf("%v is in bin %d alone, in bin %d among others", x, bin, binned[i])
			}
			if math.IsNaN(x) {
				if bin != b.missing {
					t.Fatalf("missing is in bin %d", bin)
				}
				continue
			}
			if int(bin) >= b.values {
				t.Fatalf("%v is in bin %d of %d", x, bin, b.values)
			}
			for cut, threshold := range b.thresholds {
				if (int(bin) <= cut) != (x <= threshold) {
					t.Fatalf("%v in bin %d, but threshold %d is %v", x, bin, cut, threshold)
				}
			}
		}
	})
}

// Few distinct values have a bin each.
func TestEveryValueItsBin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		column := anyNumbers(t)
		b := fitBinner(column, 0, 255)
		values := make(map[uint8]float64)
		for _, x := range column {
			if math.IsNaN(x) {
				continue
			}
			bin := b.bin(x)
			if y, taken := values[bin]; taken && x != y {
				t.Fatalf("%v and %v share bin %d", x, y, bin)
			}
			values[bin] = x
		}
	})
}

func TestCuts(t *testing.T) {
	for _, c := range []struct {
		name   string
		column []float64
		limit  int
		want   []float64
	}{
		{"distinct", []float64{3, 1, 2, math.NaN(), 1}, 255, []float64{1.5, 2.5}},
		{"constant", []float64{7, 7, 7}, 255, nil},
		{"missing", []float64{math.NaN()}, 255, nil},
		{"even", []float64{1, 2, 3, 4, 5, 6, 7, 8}, 4, []float64{2.5, 4.5, 6.5}},
		{"a heavy value has a bin of its own", []float64{1, 2, 3, 3, 3, 3, 3, 3, 4, 5}, 3, []float64{2.5, 3.5}},
		{"neighbours", []float64{1, math.Nextafter(1, 2)}, 2, []float64{1}},
		{"no overflow", []float64{-math.MaxFloat64, math.MaxFloat64}, 2, []float64{0}},
	} {
		if diff := cmp.Diff(c.want, cuts(c.column, c.limit)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

func TestQuantileBinsAreEven(t *testing.T) {
	column := make([]float64, 10000)
	for i := range column {
		column[i] = float64(i * i)
	}
	b := fitBinner(column, 0, 100)
	counts := make([]int, b.values)
	for _, x := range column {
		counts[b.bin(x)]++
	}
	if len(counts) != 100 || slices.Min(counts) != 100 || slices.Max(counts) != 100 {
		t.Errorf("%d bins of %d to %d rows, want 100 of 100", len(counts), slices.Min(counts), slices.Max(counts))
	}
}

func TestCategoryBins(t *testing.T) {
	nan := math.NaN()
	// Code 0 twice, 1 once, 2 three times, 3 never, 4 once; unseen once.
	column := []float64{0, 2, 1, 2, nan, 0, 4, 2, -1}
	for _, c := range []struct {
		limit int
		want  []uint8 // of the codes 0 to 4
		other uint8
	}{
		{255, []uint8{0, 1, 2, 5, 3}, 5},
		{3, []uint8{0, 1, 2, 4, 4}, 4}, // of the two single ones the lower code keeps its bin
		{2, []uint8{0, 3, 1, 3, 3}, 3},
	} {
		b := fitBinner(column, 5, c.limit)
		if diff := cmp.Diff(c.want, b.codes); diff != "" {
			t.Errorf("at most %d (-want +got)\n%s", c.limit, diff)
		}
		if b.other != c.other || b.missing != c.other-1 || b.bin(nan) != b.missing || b.bin(-1) != b.other {
			t.Errorf("at most %d: missing %d, other %d", c.limit, b.missing, b.other)
		}
	}
}

func TestUnfitMatrices(t *testing.T) {
	good := func() *features.Matrix {
		return &features.Matrix{
			Features: []features.Feature{{Name: "x"}, {Name: "c", Levels: 2}},
			Columns:  [][]float64{{1, 2, 3}, {0, 1, -1}}, Label: []float64{0, 1, 1},
		}
	}
	check := func(m *features.Matrix) error {
		o := Defaults()
		_, err := newBinned(context.Background(), &o, m)
		return err
	}
	if err := check(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(m *features.Matrix){
		"infinite number":     func(m *features.Matrix) { m.Columns[0][2] = math.Inf(-1) },
		"category too high":   func(m *features.Matrix) { m.Columns[1][0] = 2 },
		"category below -1":   func(m *features.Matrix) { m.Columns[1][0] = -2 },
		"category a fraction": func(m *features.Matrix) { m.Columns[1][0] = 0.5 },
		"infinite category":   func(m *features.Matrix) { m.Columns[1][0] = math.Inf(1) },
		"missing label":       func(m *features.Matrix) { m.Label[1] = math.NaN() },
		"label 2":             func(m *features.Matrix) { m.Label[1] = 2 },
		"short column":        func(m *features.Matrix) { m.Columns[0] = m.Columns[0][:2] },
		"levels below 0":      func(m *features.Matrix) { m.Features[0].Levels = -1 },
		"no name for columns": func(m *features.Matrix) { m.Features = m.Features[:1] },
	} {
		m := good()
		spoil(m)
		if err := check(m); !errors.Is(err, ErrMatrix) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := good()
	m.Columns[0][2] = math.Inf(1)
	var fault *ValueError
	if err := check(m); !errors.As(err, &fault) || fault.Feature != "x" || fault.Row != 2 {
		t.Errorf("got %v, want the place named", err)
	}
}
