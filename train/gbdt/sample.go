package gbdt

import (
	"cmp"
	"slices"

	"propensity/datasets"
)

// uniform is a number from 0 to below 1 that depends on nothing but its key, so
// that a draw is the same whoever makes it and in whatever order.
func uniform(seed, stream, i uint64) float64 {
	return float64(datasets.Mix(datasets.Mix(datasets.Mix(seed)+stream)+i)>>11) / (1 << 53)
}

// choose is the n items of the lowest keys, in their order.
func choose(items []int, n int, key func(item int) float64) []int {
	if n >= len(items) {
		return items
	}
	keys := make(map[int]float64, len(items))
	for _, item := range items {
		keys[item] = key(item)
	}
	out := slices.Clone(items)
	slices.SortFunc(out, func(a, b int) int { return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b)) })
	out = out[:n]
	slices.Sort(out)
	return out
}
