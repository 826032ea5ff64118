package tree

import (
	"math"
	"math/bits"
)

// buckets part the range of a feature's thresholds evenly, so that the place of a
// value among them tells most of how many thresholds are below it. A later bucket
// never holds a lower value: rounding keeps the order of what is rounded.
type buckets struct {
	low, scale float64
	start      [2 * bucketCount]uint16 // thresholds in the buckets before; from bucketCount on, those of NaN
	steps      int                     // of a binary search within any bucket
	thresholds []float64               // and so many infinities that a step never leaves them
}

const bucketCount = 1 << 9

// newBuckets is nil where a search among all of the ascending thresholds takes
// hardly more steps.
func newBuckets(thresholds []float64) *buckets {
	n := len(thresholds)
	if n < 8 || n > math.MaxUint16/2 {
		return nil
	}
	last := n - 1
	for last > 0 && thresholds[last] == math.MaxFloat64 { // all values against the missing ones
		last--
	}
	b := &buckets{low: thresholds[0]}
	b.scale = bucketCount / (thresholds[last] - b.low)
	if !(b.scale > 0) || math.IsInf(b.scale, 1) {
		return nil
	}
	held, most := 0, 0
	for i, from := 0, 0; i < bucketCount; i++ {
		for from = held; held < n && b.place(thresholds[held]) == i; held++ {
		}
		b.start[i], most = uint16(from), max(most, held-from)
	}
	b.steps = bits.Len(uint(most))
	if b.steps+3 > bits.Len(uint(n)) {
		return nil
	}
	for i := bucketCount; i < len(b.start); i++ {
		b.start[i] = uint16(n + 1)
	}
	b.thresholds = append(b.thresholds, thresholds...)
	for range 1<<b.steps + 1 {
		b.thresholds = append(b.thresholds, math.Inf(1))
	}
	return b
}

// place is the bucket of a value, one of those from bucketCount on for NaN.
func (b *buckets) place(v float64) int {
	return int(min(max((v-b.low)*b.scale, 0), bucketCount-1))&(bucketCount-1) | bucketCount&-bit(v != v)
}

// below64 is the number of thresholds below each of up to 64 values; for NaN it is
// one more than there are thresholds.
func (b *buckets) below64(at *[64]uint16, values []float64) {
	for k, v := range values {
		at[k&63] = b.start[b.place(v)]
	}
	t := b.thresholds
	for half := 1 << b.steps >> 1; half > 0; half >>= 1 {
		for k, v := range values {
			a := at[k&63]
			at[k&63] = a + uint16(half)&uint16(-bit(t[int(a)+half-1] < v))
		}
	}
}
