package learnt

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"propensity/models/evaluate"
)

// clusters is the account of every row, numbered from 0 in order of appearance.
type clusters struct {
	of    []int32
	count int
}

// number numbers the accounts; a nil group makes every row one of its own.
func number(group []int, rows int) clusters {
	c := clusters{of: make([]int32, rows)}
	if group == nil {
		for i := range c.of {
			c.of[i] = int32(i)
		}
		c.count = rows
		return c
	}
	ids := make(map[int]int32)
	for i, g := range group {
		id, known := ids[g]
		if !known {
			id = int32(len(ids))
			ids[g] = id
		}
		c.of[i] = id
	}
	c.count = len(ids)
	return c
}

// mean is the mean of v over rows with its cluster-robust t interval of one
// degree of freedom less than there are accounts (Cameron and Miller 2015,
// section VI). A single account tells nothing of the spread between accounts:
// then it goes from the least row to the greatest.
func (c clusters) mean(v []float64) evaluate.Interval {
	n := float64(len(v))
	m := 0.0
	for _, x := range v {
		m += x
	}
	m /= n
	if c.count < 2 {
		return evaluate.Interval{Value: m, Low: min(m, slices.Min(v)), High: max(m, slices.Max(v))}
	}
	residual := make([]float64, c.count)
	for i, x := range v {
		residual[c.of[i]] += x - m
	}
	sum := 0.0
	for _, r := range residual {
		sum += r * r
	}
	g := float64(c.count)
	half := distuv.StudentsT{Sigma: 1, Nu: g - 1}.Quantile(0.975) * math.Sqrt(g/(g-1)*sum) / n
	return evaluate.Interval{Value: m, Low: m - half, High: m + half}
}
