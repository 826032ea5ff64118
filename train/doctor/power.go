package doctor

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"

	"propensity/datasets"
)

// Power is how well the quality of a model will be known.
type Power struct {
	ROCAUC    float64 `json:"roc_auc"`    // that a model is taken to reach
	Positives int     `json:"positives"`  // accounts that will judge, of a positive outcome
	Negatives int     `json:"negatives"`  // and the others
	HalfWidth float64 `json:"half_width"` // of the 95 % interval of the ROC AUC
	// ToHalve is how many more positive accounts, with negative ones in proportion,
	// would halve that; By is the day when they will be there if positives keep
	// coming as in the newest quarter of the time that the table covers. It is empty
	// if that cannot be told, or is more than ten years off.
	ToHalve int    `json:"to_halve"`
	By      string `json:"by,omitempty"`
}

// taken is the ROC AUC that a useful model of this kind often reaches.
const taken = 0.75

func powerOf(positive, negative int, in Input) Power {
	judged := func(n int) int { return int(math.Round(float64(n) * in.Holdout)) }
	p := Power{ROCAUC: taken, Positives: judged(positive), Negatives: judged(negative)}
	p.HalfWidth = halfWidth(taken, float64(p.Positives), float64(p.Negatives))
	if positive == 0 || negative == 0 {
		return p
	}
	// The width depends on the counts alone: their multiple is found by halving.
	narrow := func(times float64) bool {
		return halfWidth(taken, times*float64(positive)*in.Holdout, times*float64(negative)*in.Holdout) <= p.HalfWidth/2
	}
	low, high := 1.0, 2.0
	for !narrow(high) {
		low, high = high, 2*high
	}
	for range 60 {
		if middle := (low + high) / 2; narrow(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	p.ToHalve = int(math.Ceil((high - 1) * float64(positive)))
	p.By = dayOf(p.ToHalve, in)
	return p
}

// halfWidth is that of the 95 % interval of the ROC AUC a, at most 0.5: the variance
// of a rank sum by Hanley and McNeil (The meaning and use of the area under a ROC
// curve, Radiology 143, 1982, formula 1), with the chance that two positives are
// both above a negative, or one above two, where scores are normal.
func halfWidth(a, positives, negatives float64) float64 {
	if positives < 1 || negatives < 1 {
		return 0.5
	}
	q := bothAbove(a)
	variance := (a*(1-a) + (positives+negatives-2)*(q-a*a)) / (positives * negatives)
	return min(0.5, normal*math.Sqrt(variance))
}

// bothAbove is the chance that two normal variables of correlation 1/2 are both
// below the quantile h of a: a - 2 T(h, 1/sqrt 3), with T the integral of Owen
// (Tables for computing bivariate normal probabilities, 1956).
func bothAbove(a float64) float64 {
	h := distuv.UnitNormal.Quantile(a)
	t := quad.Fixed(func(x float64) float64 { return math.Exp(-h*h*(1+x*x)/2) / (1 + x*x) }, 0, 1/math.Sqrt(3), 20, nil, 0) / (2 * math.Pi)
	return a - 2*t
}

const normal = 1.959963984540054 // the 0.975 quantile of the normal distribution

// dayOf is the day by which so many more positive accounts will have come.
func dayOf(more int, in Input) string {
	if in.Moments == nil {
		return ""
	}
	const day = 24 * 60 * 60 * 1e6
	first, last := float64(slices.Min(in.Moments)), float64(slices.Max(in.Moments))
	since := last - max((last-first)/4, 28*day)
	came := map[int]bool{}
	for i, m := range in.Moments {
		if in.Label[i] == 1 && float64(m) > since {
			came[in.Group[i]] = true
		}
	}
	days := (last - max(since, first)) / day
	if len(came) == 0 || days < 1 {
		return ""
	}
	wait := float64(more) * days / float64(len(came))
	if wait > 3650 {
		return ""
	}
	return datasets.FormatTime(int64(last + math.Ceil(wait)*day))[:len("2006-01-02")]
}
