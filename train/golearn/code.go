package golearn

import (
	"math"
	"slices"
)

// maxCodes is the number of places that the values of a feature are told apart
// by: golearn's time grows with it, and a sample of 2,000 rows supports no finer
// thresholds.
const maxCodes = 64

// coder turns the values of one feature into codes, whole numbers from 0 to
// len(cuts), in whose order golearn looks for a threshold. Code k holds the
// values above cuts[k-1] up to and with cuts[k].
//
// A number is its own place in the order; a missing one stands at the median. A
// category stands at the mean target of its rows in the sample: of all ways to
// part the categories in two, the one of least squared error is a threshold in
// that order (Fisher 1958; Breiman and others 1984, theorem 4.5). The means are
// drawn towards the mean of all by 10 rows, or rare categories would crowd the
// ends; below the root they stay those of the whole sample. A missing category
// stands at the mean target of its own rows, an unseen one or one outside the
// sample at the mean of all.
type coder struct {
	cuts    []float64
	missing float64   // where missing values stand
	means   []float64 // categories alone: where each stands
	unseen  float64
}

func newCoder(levels int, column, y []float64, sample []int) coder {
	var c coder
	if levels > 0 {
		c.meanTargets(levels, column, y, sample)
	}
	places := make([]float64, 0, len(sample))
	for _, i := range sample {
		if levels > 0 || !math.IsNaN(column[i]) {
			places = append(places, c.place(column[i]))
		}
	}
	slices.Sort(places)
	if levels == 0 && len(places) > 0 {
		c.missing = places[(len(places)-1)/2]
	}
	c.cuts = cut(places)
	return c
}

func (c *coder) meanTargets(levels int, column, y []float64, sample []int) {
	c.means = make([]float64, levels)
	c.unseen = sum(y, sample) / float64(len(sample))
	rows, missing := make([]float64, levels), 0.0
	for _, i := range sample {
		switch k := levelOf(column[i], levels); {
		case k >= 0:
			c.means[k] += y[i] - c.unseen
			rows[k]++
		case math.IsNaN(column[i]):
			c.missing += y[i] - c.unseen
			missing++
		}
	}
	for k := range c.means {
		c.means[k] = c.unseen + c.means[k]/(rows[k]+priorRows)
	}
	c.missing = c.unseen + c.missing/(missing+priorRows)
}

// levelOf is the level that x is the code of, -1 if none.
func levelOf(x float64, levels int) int {
	if x >= 0 && x < float64(levels) && x == math.Trunc(x) {
		return int(x)
	}
	return -1
}

// place is where a value stands in the order of its feature.
func (c *coder) place(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return c.missing
	case c.means == nil:
		return x
	}
	if k := levelOf(x, len(c.means)); k >= 0 {
		return c.means[k]
	}
	return c.unseen
}

func (c *coder) code(x float64) int {
	k, _ := slices.BinarySearch(c.cuts, c.place(x))
	return k
}

// cut puts cuts halfway between neighbours of the sorted places: between all
// of them, or else where one of maxCodes equal parts is full.
func cut(places []float64) []float64 {
	distinct := 0
	for k := range places {
		if k == 0 || places[k] != places[k-1] {
			distinct++
		}
	}
	least := 1
	if distinct > maxCodes {
		least = (len(places) + maxCodes - 1) / maxCodes
	}
	var cuts []float64
	held := 0
	for k := 1; k < len(places); k++ {
		held++
		if low, high := places[k-1], places[k]; low != high && held >= least {
			cuts = append(cuts, between(low, high))
			held = 0
		}
	}
	return cuts
}

// between is a threshold t with low <= t < high, halfway but for rounding.
func between(low, high float64) float64 {
	if t := low/2 + high/2; t >= low && t < high {
		return t
	}
	return low
}
