package gbdt

import "math"

// chunk is the number of rows that one goroutine takes at a time; sums are made
// per chunk and then in the order of the chunks.
const chunk = 4096

// chunks calls do on consecutive ranges of n rows.
func chunks(n int, do func(c, from, to int)) {
	parallel((n+chunk-1)/chunk, func(c int) { do(c, c*chunk, min(n, (c+1)*chunk)) })
}

// fillGradients takes the log loss's derivatives at the log-odds of each row.
func fillGradients(dst []gradient, raw, label []float64) {
	chunks(len(dst), func(_, from, to int) {
		for i := from; i < to; i++ {
			p := 1 / (1 + math.Exp(-raw[i]))
			dst[i] = gradient{int32(math.Round((p - label[i]) * fixed)), int32(math.Round(p * (1 - p) * fixed))}
		}
	})
}

// lossOf is the log loss of one row: -log of the probability given to its label.
func lossOf(raw, label float64) float64 {
	if label == 1 {
		raw = -raw
	}
	return max(raw, 0) + math.Log1p(math.Exp(-math.Abs(raw)))
}

// totalLoss is the sum of the rows' log losses.
func totalLoss(raw, label []float64) float64 {
	parts := make([]float64, (len(raw)+chunk-1)/chunk)
	chunks(len(raw), func(c, from, to int) {
		for i := from; i < to; i++ {
			parts[c] += lossOf(raw[i], label[i])
		}
	})
	total := 0.0
	for _, part := range parts {
		total += part
	}
	return total
}

// baseOf is the log-odds of the rate of positive labels; false if all are equal.
func baseOf(label []float64) (float64, bool) {
	positive := 0.0
	for _, y := range label {
		positive += y
	}
	negative := float64(len(label)) - positive
	return math.Log(positive / negative), positive > 0 && negative > 0
}
