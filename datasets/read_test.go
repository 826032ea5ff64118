package datasets

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// wideTable is a table as companies have them: counts, amounts, rates, categories
// of 3 to 200 levels, booleans, and an id; some numbers are missing.
func wideTable(rows int) *Table {
	r := rand.New(rand.NewPCG(7, 7))
	t := &Table{}
	numbers := func(name string, kind Kind, draw func() float64) {
		c := Column{Name: name, Kind: kind, Numbers: make([]float64, rows)}
		for i := range c.Numbers {
			c.Numbers[i] = draw()
		}
		t.Columns = append(t.Columns, c)
	}
	maybe := func(missing, x float64) float64 {
		if r.Float64() < missing {
			return math.NaN()
		}
		return x
	}
	for k := range 4 {
		numbers(fmt.Sprintf("count%d", k), Number, func() float64 { return math.Floor(r.ExpFloat64() * math.Pow(3, float64(k))) })
		numbers(fmt.Sprintf("amount%d", k), Number, func() float64 { return maybe(0.1, math.Round(100*math.Exp(3*r.NormFloat64()))/100) })
		numbers(fmt.Sprintf("rate%d", k), Number, func() float64 { return math.Round(1e4*r.Float64()) / 1e4 })
	}
	words := func(name string, kind Kind, levels int, form string) {
		var d dictionary
		c := Column{Name: name, Kind: kind, Codes: make([]int32, rows)}
		for i := range c.Codes {
			k := i
			if levels > 0 {
				k = int(float64(levels) * math.Pow(r.Float64(), 2))
			}
			c.Codes[i] = number(&d, fmt.Sprintf(form, k))
		}
		c.Values = d.values
		t.Columns = append(t.Columns, c)
	}
	words("plan", Category, 3, "p%d")
	words("country", Category, 50, "c_%03d")
	words("source", Category, 200, "a longer text %03d")
	words("id", Text, 0, "account-%07d")
	numbers("active", Boolean, func() float64 { return float64(r.IntN(2)) })
	return t
}
