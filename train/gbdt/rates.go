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
// trained on, and the model, use the rate of all training rows. Where rows have
// weights, these are counted instead; the bins hold rows still.
//
// A cut of the rates is a set of categories, which is what a tree holds.
type rates struct {
	levels          int
	folds           int
	bin             []uint8 // by fold (the last: of all rows) and code
	size            int     // bins
	lowest, highest int     // bins of the rates of all rows
}

// newRates counts the training rows; fold is that of a row, weight nil where
// each counts 1.
func newRates(codes []int32, levels int, label, weight []float64, train []int32, fold func(row int32) int, o *Options) rates {
	width := levels + 2 // missing and unseen
	s := rates{levels: levels, folds: o.CategoryFolds}
	all := s.folds * width
	rows := make([]int32, all+width)
	counts := make([]tally, all+width) // whole numbers, and exact, without weights
	var total tally
	for _, r := range train {
		at := fold(r)*width + int(codes[r])
		w := 1.0
		if weight != nil {
			w = weight[r]
		}
		one := tally{w, float64(w * label[r])}
		rows[at]++
		counts[at] = counts[at].plus(one)
		total = total.plus(one)
	}
	rate := total.positive / total.weight
	values := make([]float64, len(rows))
	for c := range width {
		for f := range s.folds {
			counts[all+c] = counts[all+c].plus(counts[f*width+c])
		}
		for f := range s.folds + 1 {
			// Summed anew for each fold: what is left after taking off a heavy fold would
			// be rounding.
			n := counts[all+c]
			if f < s.folds {
				n = tally{}
				for other := range s.folds {
					if other != f {
						n = n.plus(counts[other*width+c])
					}
				}
			}
			values[f*width+c] = (n.positive + float64(o.CategoryPrior*rate)) / (n.weight + o.CategoryPrior)
		}
	}
	thresholds := weightedCuts(values, rows, o.CategoryBins)
	s.bin = make([]uint8, len(values))
	for at, v := range values {
		s.bin[at] = uint8(sort.SearchFloat64s(thresholds, v))
	}
	s.size = len(thresholds) + 1
	full := s.bin[all : all+levels]
	s.lowest, s.highest = int(slices.Min(full)), int(slices.Max(full))
	return s
}

// tally is the weight of some rows, and of the positive ones among them.
type tally struct{ weight, positive float64 }

func (t tally) plus(u tally) tally { return tally{t.weight + u.weight, t.positive + u.positive} }

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
