package gbdt

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"propensity/datasets"
)

// rates replace the categories of a feature by the rate of positive labels
// among the training rows of the same category, drawn towards the rate of all:
// (positives + prior x rate) / (rows + prior) (Micci-Barreca, A preprocessing
// scheme for high-cardinality categorical attributes, SIGKDD Explorations 3,
// 2001). A training row is left out of its own rate, with all rows of its fold:
// what it tells of its label would not hold for a row to come. Rows that are not
// trained on, and the model, use the rate of all training rows.
//
// A cut of the rates is a set of categories, which is what a tree holds.
type rates struct {
	levels          int
	folds           int
	bin             []uint8 // by fold (the last: of all rows) and code
	size            int     // bins
	lowest, highest int     // bins of the rates of all rows
}

// newRates counts the training rows; fold is that of a row.
func newRates(codes []int32, levels int, label []float64, train []int32, fold func(row int32) int, o *Options) rates {
	width := levels + 2 // missing and unseen
	s := rates{levels: levels, folds: o.CategoryFolds}
	rows, positives := make([]int32, (s.folds+1)*width), make([]int32, (s.folds+1)*width)
	all := s.folds * width
	positive := 0
	for _, r := range train {
		at := fold(r)*width + int(codes[r])
		y := int32(label[r])
		rows[at]++
		positives[at] += y
		positive += int(y)
	}
	for f := range s.folds {
		for c := range width {
			rows[all+c] += rows[f*width+c]
			positives[all+c] += positives[f*width+c]
		}
	}
	rate := float64(positive) / float64(len(train))
	values := make([]float64, len(rows))
	weights := make([]int32, len(rows))
	for f := range s.folds + 1 {
		for c := range width {
			at := f*width + c
			n, p := rows[all+c], positives[all+c]
			if f < s.folds {
				n, p = n-rows[at], p-positives[at]
				weights[at] = rows[at]
			}
			values[at] = (float64(p) + o.CategoryPrior*rate) / (float64(n) + o.CategoryPrior)
		}
	}
	thresholds := weightedCuts(values, weights, o.CategoryBins)
	s.bin = make([]uint8, len(values))
	for at, v := range values {
		s.bin[at] = uint8(sort.SearchFloat64s(thresholds, v))
	}
	s.size = len(thresholds) + 1
	full := s.bin[all : all+levels]
	s.lowest, s.highest = int(slices.Min(full)), int(slices.Max(full))
	return s
}

// of is the bin of a category for rows that are not trained on.
func (s *rates) of(code int) uint8 { return s.bin[s.folds*(s.levels+2)+code] }

// weightedCuts are thresholds between values into bins of about equal weight.
func weightedCuts(values []float64, weights []int32, limit int) []float64 {
	order := make([]int, 0, len(values))
	total := 0
	for i, w := range weights {
		if w > 0 {
			order = append(order, i)
			total += int(w)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(values[a], values[b]), a-b) })
	distinct, counts := []float64{}, []int{}
	for k, i := range order {
		if k == 0 || values[i] != distinct[len(distinct)-1] {
			distinct, counts = append(distinct, values[i]), append(counts, 0)
		}
		counts[len(counts)-1] += int(weights[i])
	}
	return evenCuts(distinct, counts, total, limit)
}

// foldOf gives the fold of each row: rows of one account are in one fold.
func foldOf(o *Options, group []int) func(row int32) int {
	key := datasets.Mix(o.Seed ^ math.MaxUint32)
	return func(row int32) int {
		k := uint64(row)
		if group != nil {
			k = uint64(group[row])
		}
		return int(datasets.Mix(key^k) % uint64(o.CategoryFolds))
	}
}
