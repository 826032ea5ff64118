package evaluate

import (
	"cmp"
	"math"
	"slices"
)

// ROCAUC is the area under the ROC curve: the chance that a positive outranks a
// negative, ties counting half (Hanley and McNeil 1982). Scores may be infinite.
// It is NaN if there is one class only, for differing lengths and where a score
// is NaN.
func ROCAUC(y, score []float64) float64 {
	return rankAlone(y, score).area
}

// PRAUC is the average precision: the area under the steps of the
// precision-recall curve, one step for every distinct score, no interpolation.
// A ranking at random reaches the base rate. It is NaN if there is one class
// only, for differing lengths and where a score is NaN.
func PRAUC(y, score []float64) float64 {
	return rankAlone(y, score).precision
}

// PrecisionAt is the share of positives among the ceil(share x n) rows of highest
// score, at least one row; ties at the cut keep file order. It is NaN unless
// share is in (0, 1], without rows, for differing lengths and where a score is NaN.
func PrecisionAt(y, score []float64, share float64) float64 {
	if !rankable(y, score) || !(share > 0 && share <= 1) {
		return math.NaN()
	}
	// A product such as 0.07 x 100 = 7.000000000000001 is not to take an eighth row.
	top := max(int(math.Ceil(share*float64(len(y))-1e-9)), 1)
	positives := 0.0
	for _, i := range descending(score)[:top] {
		positives += y[i]
	}
	return positives / float64(top)
}

func rankable(y, score []float64) bool {
	return len(y) > 0 && len(y) == len(score) && !slices.ContainsFunc(score, math.IsNaN)
}

// descending is the order of rows from the highest score to the lowest, ties in file order.
func descending(score []float64) []int {
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := cmp.Compare(score[b], score[a]); c != 0 {
			return c
		}
		return a - b
	})
	return order
}

// rankedRow is a row in its place of the ranking.
type rankedRow struct {
	account  int32
	positive bool
	last     bool // the last row of its score
}

func rankRows(y, score []float64, of []int32) []rankedRow {
	order := descending(score)
	rows := make([]rankedRow, len(order))
	for k, i := range order {
		rows[k] = rankedRow{
			account:  of[i],
			positive: y[i] == 1,
			last:     k+1 == len(order) || score[order[k+1]] != score[i],
		}
	}
	return rows
}

// ranking is how well rows are ranked: ROC AUC, average precision, and precision
// among the top rows. The first two are NaN where there is one class only.
type ranking struct{ area, precision, top float64 }

// rank judges ranked rows of which each counts weight[account] times; top is how
// many of the so repeated rows are the top ones, at least 1.
func rank(rows []rankedRow, weight []int32, top int) ranking {
	var (
		positives, negatives   int64 // seen so far
		blockPos, blockNeg     int64 // of the score at hand
		lost                   int64 // twice the pairs in which a negative outranks a positive; a tie is half
		precision              float64
		topPositives, topCount = int64(0), int64(top)
	)
	for _, r := range rows {
		w := int64(weight[r.account])
		if r.positive {
			blockPos += w
			topPositives += min(w, topCount)
		} else {
			blockNeg += w
		}
		topCount -= min(w, topCount)
		if !r.last {
			continue
		}
		if blockPos > 0 {
			lost += blockPos * (2*negatives + blockNeg)
			seen := float64(positives + blockPos)
			precision += float64(blockPos) * seen / (seen + float64(negatives+blockNeg))
		}
		positives, negatives = positives+blockPos, negatives+blockNeg
		blockPos, blockNeg = 0, 0
	}
	r := ranking{math.NaN(), math.NaN(), float64(topPositives) / float64(top)}
	if positives > 0 && negatives > 0 {
		r.area = 1 - float64(lost)/(2*float64(positives)*float64(negatives))
		r.precision = precision / float64(positives)
	}
	return r
}

func rankAlone(y, score []float64) ranking {
	if !rankable(y, score) {
		return ranking{math.NaN(), math.NaN(), math.NaN()}
	}
	return rank(rankRows(y, score, make([]int32, len(y))), []int32{1}, 1)
}
