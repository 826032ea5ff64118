package evaluate

import (
	"cmp"
	"math"
	"slices"
)

// clip keeps one certain and wrong probability from making a mean log loss infinite.
const clip = 1e-6

func logLoss(y, p float64) float64 {
	p = min(max(p, clip), 1-clip)
	if y == 1 {
		return -math.Log(p)
	}
	return -math.Log1p(-p)
}

func squaredError(y, p float64) float64 { return (p - y) * (p - y) }

// losses is the loss of every row.
func losses(loss func(y, p float64) float64, y, p []float64) []float64 {
	out := make([]float64, len(y))
	for i := range y {
		out[i] = loss(y[i], p[i])
	}
	return out
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// LogLoss is the mean log loss in nats of probabilities p for labels y (0 or 1),
// each p clipped to [1e-6, 1-1e-6]. It is NaN without rows, for differing
// lengths and where a p is NaN.
func LogLoss(y, p []float64) float64 {
	if len(y) != len(p) {
		return math.NaN()
	}
	return mean(losses(logLoss, y, p))
}

// Brier is the mean squared error of probabilities p for labels y (0 or 1), from
// 0 to 1 (Brier 1950). It is NaN without rows, for differing lengths and where a
// p is NaN.
func Brier(y, p []float64) float64 {
	if len(y) != len(p) {
		return math.NaN()
	}
	return mean(losses(squaredError, y, p))
}

// CalibrationError is the expected calibration error over bins of equal count
// (Naeini, Cooper and Hauskrecht 2015): rows sorted by p, ties in file order,
// are cut into bins whose sizes differ by at most one, the larger first, and
// the mean over rows of |observed rate - mean p| of their bin is taken. It lies
// from 0 to 1 and is above 0 by chance even for true probabilities. It is NaN
// without rows or bins, for differing lengths and where a p is NaN.
func CalibrationError(y, p []float64, bins int) float64 {
	if len(y) != len(p) || len(y) == 0 || bins < 1 || slices.ContainsFunc(p, math.IsNaN) {
		return math.NaN()
	}
	order := ascending(p)
	excess := 0.0
	for b := range bins {
		lo, hi := binBounds(len(y), bins, b)
		sum := 0.0
		for _, i := range order[lo:hi] {
			sum += y[i] - p[i]
		}
		excess += math.Abs(sum)
	}
	return excess / float64(len(y))
}

// binBounds is where bin b of n sorted rows starts and ends.
func binBounds(n, bins, b int) (lo, hi int) {
	size, larger := n/bins, n%bins
	lo = b*size + min(b, larger)
	hi = lo + size
	if b < larger {
		hi++
	}
	return lo, hi
}

// ascending is the order of rows from the lowest x to the highest, ties in file order.
func ascending(x []float64) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := cmp.Compare(x[a], x[b]); c != 0 {
			return c
		}
		return a - b
	})
	return order
}
