package golearn

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/evaluation"
	"pgregory.net/rapid"

	"propensity/models/evaluate"
)

// labels is a table of golearn's of 0/1 classes.
func labels(rt *rapid.T, y []float64) *base.DenseInstances {
	data := base.NewDenseInstances()
	class := base.NewCategoricalAttribute()
	class.SetName("y")
	spec := data.AddAttribute(class)
	if err := data.AddClassAttribute(class); err != nil {
		rt.Fatal(err)
	}
	if err := data.Extend(len(y)); err != nil {
		rt.Fatal(err)
	}
	// Both classes are named before any value, so that 0 and 1 have the same codes
	// in every table.
	class.GetSysValFromString("0")
	class.GetSysValFromString("1")
	for i, v := range y {
		data.Set(spec, i, class.GetSysValFromString(strconv.Itoa(int(v))))
	}
	return data
}

func confusion(rt *rapid.T, y, predicted []float64) evaluation.ConfusionMatrix {
	c, err := evaluation.GetConfusionMatrix(labels(rt, y), labels(rt, predicted))
	if err != nil {
		rt.Fatal(err)
	}
	return c
}

// golearn's confusion matrix, precision, recall and accuracy against the metrics
// of models/evaluate, where their definitions meet.
func TestMetricsAgreeWithGolearn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 60).Draw(rt, "rows")
		y := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1}), n, n).Draw(rt, "y")
		y[0], y[1] = 0, 1
		score := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 12), func(k int) float64 { return float64(k) / 4 }), n, n).Draw(rt, "score")
		near := func(what string, got, want float64) {
			if !(math.Abs(got-want) <= 1e-12) {
				rt.Fatalf("%s: %v, golearn says %v", what, got, want)
			}
		}

		// The k rows of highest score predicted positive, ties in file order.
		order := count(n)
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case score[a] > score[b]:
				return -1
			case score[a] < score[b]:
				return 1
			}
			return 0
		})
		k := rapid.IntRange(1, n).Draw(rt, "k")
		predicted := make([]float64, n)
		for _, i := range order[:k] {
			predicted[i] = 1
		}
		c := confusion(rt, y, predicted)
		// A share half a row below k/n is rounded up to k rows.
		near("precision", evaluate.PrecisionAt(y, score, (float64(k)-0.5)/float64(n)), evaluation.GetPrecision("1", c))
		// The squared error of predictions of 0 and 1 counts the wrong ones.
		near("accuracy", 1-evaluate.Brier(y, predicted), evaluation.GetAccuracy(c))

		// The curves, from one confusion matrix a threshold.
		thresholds := slices.Clone(score)
		slices.Sort(thresholds)
		thresholds = slices.Compact(thresholds)
		slices.Reverse(thresholds)
		average, area, recall, falseRate := 0.0, 0.0, 0.0, 0.0
		for _, threshold := range thresholds {
			for i := range predicted {
				predicted[i] = 0
				if score[i] >= threshold {
					predicted[i] = 1
				}
			}
			c := confusion(rt, y, predicted)
			r, f := evaluation.GetRecall("1", c), 1-evaluation.GetRecall("0", c)
			average += (r - recall) * evaluation.GetPrecision("1", c)
			area += (f - falseRate) * (r + recall) / 2
			recall, falseRate = r, f
		}
		near("average precision", evaluate.PRAUC(y, score), average)
		near("ROC AUC", evaluate.ROCAUC(y, score), area)
	})
}
