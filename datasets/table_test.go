package datasets

import (
	"math"
	"slices"
	"testing"
)

func TestDistinct(t *testing.T) {
	for _, c := range []Column{
		{Name: "number", Kind: Number, Numbers: []float64{3, math.NaN(), 0, 3, 0}},
		{Name: "boolean", Kind: Boolean, Numbers: []float64{1, math.NaN(), 0, 1, 0}},
		{Name: "time", Kind: Time, Times: []int64{9, MissingTime, 0, 9, 0}},
		{Name: "category", Kind: Category, Codes: []int32{2, -1, 0, 2, 0}, Values: []string{"b", "nobody", "a"}},
	} {
		number, first := c.Distinct()
		if !slices.Equal(number, []int32{0, -1, 1, 0, 1}) || !slices.Equal(first, []int{0, 2}) {
			t.Errorf("%s: %v, first seen in %v", c.Name, number, first)
		}
	}
}
