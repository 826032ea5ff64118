package monitor

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"propensity/models/evaluate"
)

// proportionTest is the chance of a difference at least so large, on either side, if k of
// n and of base of all rows came from the same source: Fisher's exact test (1934), twice
// the smaller tail. It holds at any number of rows. All are whole numbers.
func proportionTest(k, n, ofBase, base float64) float64 {
	hits, all := k+ofBase, n+base
	if hits == 0 || hits == all || n == 0 || base == 0 {
		return 1
	}
	low, high := max(0, hits-base), min(n, hits)
	// From where the share is likely, a tail never holds less than a third.
	centre := math.Floor((n + 1) * (hits + 1) / (all + 2))
	if k == centre {
		return 1
	}
	chance := math.Exp(logChoose(hits, k) + logChoose(all-hits, n-k) - logChoose(all, n))
	sum, term := 0.0, chance
	if k < centre {
		for x := k; x >= low && term > sum*1e-17; x-- {
			sum += term
			term *= x * (all - hits - n + x) / ((hits - x + 1) * (n - x + 1))
		}
	} else {
		for x := k; x <= high && term > sum*1e-17; x++ {
			sum += term
			term *= (hits - x) * (n - x) / ((x + 1) * (all - hits - n + x + 1))
		}
	}
	return min(1, 2*sum)
}

func logChoose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}

// difference is the share k/n less the share of the baseline, with the hybrid score
// interval (Newcombe 1998, "Interval estimation for the difference between independent
// proportions", method 10) for so many standard errors.
func difference(k, n, ofBase, base, z float64) evaluate.Interval {
	if n == 0 || base == 0 {
		return evaluate.Interval{Low: -1, High: 1}
	}
	p, q := k/n, ofBase/base
	pl, ph := score(p, n, z)
	ql, qh := score(q, base, z)
	d := p - q
	return evaluate.Interval{
		Value: d,
		Low:   max(-1, d-math.Hypot(p-pl, qh-q)),
		High:  min(1, d+math.Hypot(ph-p, q-ql)),
	}
}

// score is the score interval of a share (Wilson 1927).
func score(p, n, z float64) (low, high float64) {
	centre := (n*p + z*z/2) / (n + z*z)
	half := z * math.Sqrt(n*p*(1-p)+z*z/4) / (n + z*z)
	return min(max(centre-half, 0), p), max(min(centre+half, 1), p)
}

// distance is how far the interval of a difference is from zero.
func distance(d evaluate.Interval) float64 { return max(0, d.Low, -d.High) }

// standardErrors is how many of them leave a share of 1-confidence outside of all of so
// many intervals together, by Bonferroni.
func standardErrors(confidence float64, intervals int) float64 {
	return distuv.UnitNormal.Quantile(1 - (1-confidence)/2/float64(max(1, intervals)))
}

// discoveries is the largest p that is still a discovery at the level, and the adjusted
// p of each: Benjamini and Hochberg (1995), with the factor of Benjamini and Yekutieli
// (2001, theorem 1.3) under which it holds whatever the columns have to do with each
// other. If nothing at all moved, the chance of any discovery is at most the level.
func discoveries(p []float64, level float64) (limit float64, adjusted []float64) {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	factor := 0.0
	for i := range p {
		factor += 1 / float64(i+1)
	}
	adjusted = make([]float64, len(p))
	least := 1.0
	for rank := len(order); rank > 0; rank-- {
		i := order[rank-1]
		least = min(least, p[i]*float64(len(p))*factor/float64(rank))
		adjusted[i] = least
		if least <= level {
			limit = max(limit, float64(rank)*level/(float64(len(p))*factor))
		}
	}
	return limit, adjusted
}
