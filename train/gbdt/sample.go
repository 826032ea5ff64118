package gbdt

import (
	"cmp"
	"math"
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

// sampleColumns draws ColumnShare of the columns, rounded up.
func (b *booster) sampleColumns(round int) []int {
	const least = 4 // a tree of fewer features could not tell how they act together
	all := make([]int, len(b.grower.columns))
	for k := range all {
		all[k] = k
	}
	n := max(least, int(math.Ceil(b.ColumnShare*float64(len(all)))))
	return choose(all, n, func(k int) float64 { return uniform(b.Seed, 2*uint64(round)+1, uint64(b.grower.columns[k].feature)) })
}

// sampleRows draws each training row with a chance of RowShare, less where that
// would be more than RowsMax rows; the others go along.
func (b *booster) sampleRows(round int) {
	g := &b.grower
	n := len(b.train)
	g.sample, g.rest = slices.Grow(g.sample[:0], n)[:n], slices.Grow(g.rest[:0], n+len(b.others))[:n]
	share := min(b.RowShare, float64(b.RowsMax)/float64(n))
	if share >= 1 {
		copy(g.sample, b.train)
		g.rest = append(g.rest[:0], b.others...)
		return
	}
	// A draw has 16 bits, and one number gives four.
	const lanes, whole = 4, 1 << 16
	key, below := datasets.Mix(datasets.Mix(b.Seed)+2*uint64(round)), uint64(math.Round(share*whole))
	counts := make([]int, (n+chunk-1)/chunk)
	chunks(g.crew, n, func(c, from, to int) {
		rows, rest := g.sample[from:to], g.rest[from:to]
		in := 0
		for k := range rows {
			i := from + k
			r := b.train[i]
			rows[in], rest[k-in] = r, r // both are written, one place moves on: no branch to mispredict
			draw := datasets.Mix(key+uint64(i/lanes)) >> (i % lanes * 16) % whole
			in += int((draw - below) >> 63)
		}
		counts[c] = in
	})
	in, out := 0, 0
	for c, count := range counts {
		from, to := c*chunk, min(n, (c+1)*chunk)
		copy(g.sample[in:], g.sample[from:from+count])
		copy(g.rest[out:], g.rest[from:to-count])
		in, out = in+count, out+to-from-count
	}
	g.sample, g.rest = g.sample[:in], append(g.rest[:out], b.others...)
}
