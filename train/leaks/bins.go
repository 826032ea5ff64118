package leaks

import (
	"slices"
	"sort"

	"propensity/datasets"
)

const (
	mostBins   = 64     // of the numbers of a column
	sampleRows = 20_000 // that their bounds come from
)

// binned is a column as a few values: bin 0 is missing.
type binned struct {
	of   []int32
	bins int
}

// bin gives every row its bin: a category's value, each number of a column that has
// few, or one of mostBins bins of about as many rows. A time is how long before the
// moment it was, where there are moments.
func (c *court) bin(column *datasets.Column) binned {
	b := binned{of: make([]int32, column.Len())}
	switch column.Kind {
	case datasets.Category, datasets.Text:
		for i, k := range column.Codes {
			b.of[i] = k + 1
		}
		b.bins = len(column.Values) + 1
		return b
	case datasets.Time:
		numbers := make([]float64, len(column.Times))
		for i, t := range column.Times {
			switch {
			case t == datasets.MissingTime:
				b.of[i] = -1
			case c.Moments != nil && i < len(c.Moments):
				numbers[i] = float64(c.Moments[i] - t)
			default:
				numbers[i] = float64(t)
			}
		}
		b.cut(numbers)
	default:
		for i, x := range column.Numbers {
			if x != x {
				b.of[i] = -1
			}
		}
		b.cut(column.Numbers)
	}
	return b
}

// cut numbers the bins of rows that are not missing (-1).
func (b *binned) cut(numbers []float64) {
	filled := 0
	few := make(map[float64]bool, mostBins+1)
	for i, x := range numbers {
		if b.of[i] == 0 {
			filled++
			if len(few) <= mostBins {
				few[x] = true
			}
		}
	}
	var bounds []float64
	if len(few) <= mostBins {
		for x := range few {
			bounds = append(bounds, x)
		}
		slices.Sort(bounds)
	} else {
		bounds = quantiles(numbers, b.of, filled)
	}
	for i, x := range numbers {
		if b.of[i] == 0 {
			b.of[i] = 1 + int32(sort.SearchFloat64s(bounds, x))
		} else {
			b.of[i] = 0
		}
	}
	b.bins = len(bounds) + 2 // missing, and above all bounds
}

// quantiles are bounds that leave about as many rows in each bin, by evenly spaced
// rows of those with a value.
func quantiles(numbers []float64, of []int32, filled int) []float64 {
	step := max(1, filled/sampleRows)
	sample := make([]float64, 0, filled/step+1)
	k := 0
	for i, x := range numbers {
		if of[i] == 0 {
			if k%step == 0 {
				sample = append(sample, x)
			}
			k++
		}
	}
	slices.Sort(sample)
	var bounds []float64
	for b := 1; b < mostBins; b++ {
		bounds = append(bounds, sample[b*len(sample)/mostBins])
	}
	return slices.Compact(bounds)
}
