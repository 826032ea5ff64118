package models

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
)

// Four significant digits, read back and spelt anew.
func slowShort(x float64) string {
	if a := math.Abs(x); a < 1e15 && (a >= 1000 || x == math.Trunc(x)) {
		return datasets.FormatNumber(math.Round(x))
	}
	y, err := strconv.ParseFloat(fmt.Sprintf("%.3e", x), 64)
	if err != nil {
		y = x
	}
	return datasets.FormatNumber(y)
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 6: "6", -6.25: "-6.25", 1.23456: "1.235", 999.96: "1000", 99.996: "100", 9.9996: "10", 0.00099996: "0.001", 0.000099996: "0.0001",
		0.00001234567: "0.00001235", 1234.5: "1235", 123456789.25: "123456789", 1e-9: "1e-09", 1.5e300: "1.5e+300", 999999999999999.4: "999999999999999",
	} {
		if got := short(x); got != want {
			t.Errorf("%v is short as %s, want %s", x, got, want)
		}
	}
	number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-2000, 2000), rapid.Float64Range(-1, 1), rapid.Float64Range(-1e-3, 1e-3),
		rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) / 1000 }))
	rapid.Check(t, func(t *rapid.T) {
		x := number.Draw(t, "x")
		if got, want := short(x), slowShort(x); got != want {
			t.Fatalf("%v is short as %s, want %s", x, got, want)
		}
	})
}

// The few largest, found as sorting all finds them.
func TestAppendOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phi := rapid.SliceOfN(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, 2, -2.5, 0.5, math.Inf(1), math.NaN()}), 0, 40).Draw(t, "phi")
		all := appendOrder(nil, phi, -1)
		for most := range len(phi) + 2 {
			got := appendOrder(nil, phi, most)
			if fmt.Sprint(got) != fmt.Sprint(all[:min(most, len(all))]) {
				t.Fatalf("the first %d are %v, of all %v", most, got, all)
			}
		}
	})
}
