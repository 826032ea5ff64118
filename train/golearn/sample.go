package golearn

import (
	"math"
	"math/rand/v2"
	"slices"
)

// sample draws up to limit rows, keyed by seed, with the share of positive
// labels that all rows have (to the nearest row, at least one of each label where
// there is one and limit allows), in the order of the rows.
func sample(label []float64, limit int, seed uint64) []int {
	if len(label) <= limit {
		return count(len(label))
	}
	var strata [2][]int
	for i, y := range label {
		s := 0
		if y == 1 {
			s = 1
		}
		strata[s] = append(strata[s], i)
	}
	wanted := int(math.Round(float64(limit) * float64(len(strata[1])) / float64(len(label))))
	wanted = max(wanted, min(1, len(strata[1]), limit), limit-len(strata[0]))
	wanted = min(wanted, max(limit-min(1, len(strata[0])), 0), len(strata[1]))
	random := rand.New(rand.NewPCG(seed, uint64(len(label))))
	var rows []int
	for s, n := range [2]int{limit - wanted, wanted} {
		// The first n places of a Fisher-Yates shuffle are a sample without replacement.
		stratum := strata[s]
		for k := range n {
			other := k + random.IntN(len(stratum)-k)
			stratum[k], stratum[other] = stratum[other], stratum[k]
		}
		rows = append(rows, stratum[:n]...)
	}
	slices.Sort(rows)
	return rows
}
