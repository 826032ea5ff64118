package features

import (
	"math"
	"slices"
)

// radixRows is the length from which sorting by digits beats sorting by
// comparison.
const radixRows = 1 << 12

// SortNumbers sorts numbers, none of them NaN, smallest first, as slices.Sort
// does; of -0 and 0, which are equal, -0 goes first. Long slices are sorted by
// digits of 11 bits (Knuth, The Art of Computer Programming 3, 5.2.5), digits
// that all numbers share left out.
func SortNumbers(xs []float64) {
	if len(xs) < radixRows {
		slices.Sort(xs)
		return
	}
	const bits, digits = 11, 6
	var counts [digits][1 << bits]int32
	keys := make([]uint64, len(xs))
	sorted := true
	last := uint64(0)
	for i, x := range xs {
		k := orderedBits(x)
		keys[i] = k
		sorted = sorted && k >= last
		last = k
		for d := range digits {
			counts[d][k>>(d*bits)&(1<<bits-1)]++
		}
	}
	if sorted {
		return
	}
	spare := make([]uint64, len(xs))
	for d := range digits {
		count := &counts[d]
		if int(count[keys[0]>>(d*bits)&(1<<bits-1)]) == len(keys) {
			continue
		}
		at := int32(0)
		for k, n := range count {
			count[k] = at
			at += n
		}
		for _, k := range keys {
			place := &count[k>>(d*bits)&(1<<bits-1)]
			spare[*place] = k
			*place++
		}
		keys, spare = spare, keys
	}
	for i, k := range keys {
		xs[i] = numberOf(k)
	}
}

// orderedBits are bits that ascend as the numbers do.
func orderedBits(x float64) uint64 {
	b := math.Float64bits(x)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// numberOf undoes orderedBits.
func numberOf(k uint64) float64 {
	return math.Float64frombits(k ^ (uint64(int64(^k)>>63) | 1<<63))
}
