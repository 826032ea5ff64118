package datasets

import (
	"fmt"
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

// The column of a column's cells is that column.
func TestColumnOfCells(t *testing.T) {
	for _, c := range []Column{
		{Name: "n", Kind: Number, Numbers: []float64{1.5, math.NaN(), -3}},
		{Name: "b", Kind: Boolean, Numbers: []float64{1, 0, math.NaN()}},
		{Name: "t", Kind: Time, Times: []int64{-1, MissingTime, 7}},
		{Name: "c", Kind: Category, Codes: []int32{0, 1, -1, 0}, Values: []string{"b", ""}},
		{Name: "x", Kind: Text, Codes: []int32{-1, 0}, Values: []string{"a"}},
		{Name: "none", Kind: Category},
	} {
		var cells []Value
		for i := range c.Len() {
			cells = append(cells, c.At(i))
		}
		got := ColumnOf(c.Name, c.Kind, cells)
		if fmt.Sprint(got) != fmt.Sprint(c) {
			t.Errorf("%+v, want %+v", got, c)
		}
	}
}
