package gbdt

import (
	"math"

	"propensity/datasets"
)

// chunk is the number of rows that one goroutine takes at a time; sums are made
// per chunk and then in the order of the chunks.
const chunk = 4096

// chunks calls do on consecutive ranges of n rows.
func chunks(crew *crew, n int, do func(c, from, to int)) {
	crew.parallel((n+chunk-1)/chunk, func(c int) { do(c, c*chunk, min(n, (c+1)*chunk)) })
}

// fillWords gives the given rows their words, in order: the derivatives of the log
// loss at their log-odds, rounded up or down by chance, so that nothing is lost in
// the mean. The draw of a row depends on nothing but key and row.
func fillWords(crew *crew, words []uint64, rows []int32, raw, label []float64, table *sigmoid, key uint64) {
	chunks(crew, len(rows), func(_, from, to int) {
		words := words[from:to]
		for k, r := range rows[from:to] {
			p := table.at(raw[r])
			draw := datasets.Mix(key + uint64(r))
			// 1 more than the gradient is not negative, so that cutting off rounds down.
			g := float64((p-label[r]+1)*gradientUnits) + float64(float64(draw>>32)*0x1p-32)
			h := float64(p*(1-p)*hessianUnits) + float64(float64(draw&math.MaxUint32)*0x1p-32)
			words[k] = word(int64(g)-gradientUnits, int64(h))
		}
	})
}

// sigmoid gives probabilities for log-odds by straight lines between the points
// of a table. They are within 8e-6 of themselves, where a gradient is rounded by 5e-4.
type sigmoid [2*sigmoidReach*sigmoidSteps + 2]float64

const (
	sigmoidReach = 20 // log-odds; further out, the table's ends
	sigmoidSteps = 128
)

func newSigmoid() *sigmoid {
	s := new(sigmoid)
	for i := range s {
		s[i] = 1 / (1 + math.Exp(sigmoidReach-float64(i)/sigmoidSteps))
	}
	return s
}

func (s *sigmoid) at(raw float64) float64 {
	x := (min(max(raw, -sigmoidReach), sigmoidReach) + sigmoidReach) * sigmoidSteps
	i := int(x)
	return s[i] + float64((s[i+1]-s[i])*(x-float64(i)))
}

// lossOf is the log loss of one row: -log of the probability given to its label.
func lossOf(raw, label float64) float64 {
	if label == 1 {
		raw = -raw
	}
	return max(raw, 0) + math.Log1p(math.Exp(-math.Abs(raw)))
}

// totalLoss is the sum of the log losses of the given rows, each times its weight
// where there are weights.
func totalLoss(crew *crew, rows []int32, raw, label, weight []float64) float64 {
	parts := make([]float64, (len(rows)+chunk-1)/chunk)
	chunks(crew, len(rows), func(c, from, to int) {
		if weight != nil {
			for _, r := range rows[from:to] {
				parts[c] += float64(weight[r] * lossOf(raw[r], label[r]))
			}
			return
		}
		for _, r := range rows[from:to] {
			parts[c] += lossOf(raw[r], label[r])
		}
	})
	total := 0.0
	for _, part := range parts {
		total += part
	}
	return total
}

// baseOf is the log-odds of the rate of positive labels; false if all are equal.
func baseOf(label, weight []float64, rows []int32) (float64, bool) {
	var of [2]float64 // the weight of each label
	for _, r := range rows {
		w := 1.0
		if weight != nil {
			w = weight[r]
		}
		of[int(label[r])] += w
	}
	return math.Log(of[1] / of[0]), of[0] > 0 && of[1] > 0
}
