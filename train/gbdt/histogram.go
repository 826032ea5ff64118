package gbdt

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// fixed is the number of units in 1: gradients and hessians are rounded once to
// whole multiples of 2^-30, and every sum after that is exact. So sums do not
// depend on their order, a histogram less that of one child is that of the other
// to the last bit, and the model is the same at any number of threads.
const fixed = 1 << 30

// gradient is the first and second derivative of a row's loss with respect to
// its log-odds, in units of 2^-30; |g| <= 1 and 0 <= h <= 1/4.
type gradient struct{ g, h int32 }

// sums add up the gradients of n rows, in units of 2^-30. Int64 holds 2^33 rows.
type sums struct{ g, h, n int64 }

func (s sums) plus(t sums) sums  { return sums{s.g + t.g, s.h + t.h, s.n + t.n} }
func (s sums) minus(t sums) sums { return sums{s.g - t.g, s.h - t.h, s.n - t.n} }

// gain is what a leaf of these rows takes off the loss, twice, at its best value.
func (s sums) gain(l2 float64) float64 {
	g, h := float64(s.g)/fixed, float64(s.h)/fixed
	if h+l2 <= 0 {
		return 0
	}
	return g * g / (h + l2)
}

// value is the Newton step of a leaf of these rows.
func (s sums) value(l2 float64) float64 {
	g, h := float64(s.g)/fixed, float64(s.h)/fixed
	if h+l2 <= 0 {
		return 0
	}
	return -g / (h + l2)
}

// histogram sums the gradients of a leaf's rows by the bins of one feature. Its
// length is that of a bin's range, so that indexing needs no bounds check.
type histogram [maxBins]sums

// build fills the histogram from the rows of a leaf; of[k] is the gradient of
// rows[k]. Only the first size bins are touched.
func (h *histogram) build(size int, column []uint8, rows []int32, of []gradient) {
	clear(h[:size])
	of = of[:len(rows)]
	for k, r := range rows {
		s := &h[column[r]]
		s.g += int64(of[k].g)
		s.h += int64(of[k].h)
		s.n++
	}
}

// subtract turns the histogram of a leaf into that of one child by taking off
// the other's.
func (h *histogram) subtract(size int, child *histogram) {
	for b := range h[:size] {
		h[b] = h[b].minus(child[b])
	}
}

// parallel calls do once for each i below n, on as many goroutines as can run.
func parallel(n int, do func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wait.Wait()
}
