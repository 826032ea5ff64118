package leaks_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"propensity/datasets"
	"propensity/train/leaks"
)

// noise is columns of every kind that know nothing, with missing values.
func noise(rows, columns int, seed uint64) leaks.Input {
	r := rand.New(rand.NewPCG(seed, 7))
	in := leaks.Input{Seed: seed, Label: make([]float64, rows)}
	for i := range in.Label {
		if r.Float64() < 0.3 {
			in.Label[i] = 1
		}
	}
	in.Label[0], in.Label[1] = 0, 1
	var out []datasets.Column
	for j := range columns {
		c := datasets.Column{Name: fmt.Sprint("x", j)}
		missing := 0.6 * r.Float64()
		switch j % 4 {
		case 0, 1:
			c.Kind, c.Numbers = datasets.Number, make([]float64, rows)
			few := j%4 == 1
			for i := range c.Numbers {
				switch x := r.NormFloat64(); {
				case r.Float64() < missing:
					c.Numbers[i] = math.NaN()
				case few:
					c.Numbers[i] = math.Round(2 * x)
				default:
					c.Numbers[i] = x
				}
			}
		case 2:
			levels := []int{2, 12, rows}[j/4%3]
			c.Kind, c.Codes = datasets.Category, make([]int32, rows)
			codes := map[int]int32{}
			for i := range c.Codes {
				k := r.IntN(levels)
				if r.Float64() < missing {
					c.Codes[i] = -1
					continue
				}
				if _, ok := codes[k]; !ok {
					codes[k] = int32(len(c.Values))
					c.Values = append(c.Values, fmt.Sprint("v", k))
				}
				c.Codes[i] = codes[k]
			}
		default:
			c.Kind, c.Times = datasets.Time, make([]int64, rows)
			for i := range c.Times {
				c.Times[i] = r.Int64N(1e15)
				if r.Float64() < missing {
					c.Times[i] = datasets.MissingTime
				}
			}
		}
		out = append(out, c)
		in.Names = append(in.Names, c.Name)
	}
	in.Column = columnsOf(out)
	return in
}

func BenchmarkExamine(b *testing.B) {
	for _, rows := range []int{50_000, 1_000_000} {
		in := noise(rows, 40, 1)
		b.Run(fmt.Sprintf("%dx40", rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := leaks.Examine(context.Background(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
