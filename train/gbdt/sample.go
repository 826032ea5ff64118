package gbdt

import (
	"cmp"
	"slices"
)

// uniform is a number from 0 to below 1 that depends on nothing but its key, so
// that a draw is the same whoever makes it and in whatever order.
func uniform(seed, stream, i uint64) float64 {
	return float64(mix(mix(mix(seed)+stream)+i)>>11) / (1 << 53)
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood, Fast Splittable
// Pseudorandom Number Generators, OOPSLA 2014) after one step of its counter.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
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
