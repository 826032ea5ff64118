package leaks

import (
	"cmp"
	"math"
	"slices"

	"propensity/models/evaluate"
)

const normal = 1.959963984540054 // the 0.975 quantile of the normal distribution

// estimate is a figure with its standard error.
type estimate struct{ value, se float64 }

func (e estimate) known() bool { return !math.IsNaN(e.value) }

// low is what it is at least, z standard errors down.
func (e estimate) low(z float64) float64 { return e.value - z*e.se }

// interval is the 95 % interval of a figure from least to most.
func (e estimate) interval(least, most float64) *evaluate.Interval {
	return &evaluate.Interval{Value: e.value, Low: max(least, e.value-normal*e.se), High: min(most, e.value+normal*e.se)}
}

// area is the ROC AUC of the judging rows by the scores of their bins. Its variance
// is that of DeLong, DeLong and Clarke-Pearson (1988), clustered by account as in
// Obuchowski (1997), and no less than leastVariance.
func (c *court) area(b binned, score []float64, judges [][2]int32) estimate {
	if c.judges[0] == 0 || c.judges[1] == 0 {
		return estimate{math.NaN(), 0}
	}
	var order []int32
	for k, n := range judges {
		if n[0]+n[1] > 0 {
			order = append(order, int32(k))
		}
	}
	slices.SortFunc(order, func(i, j int32) int { return cmp.Or(cmp.Compare(score[i], score[j]), cmp.Compare(i, j)) })
	negatives, positives := float64(c.judges[0]), float64(c.judges[1])
	// The share of the other class that a row of the bin outranks, a tie being half;
	// for a negative, that it is outranked by.
	share := make([][2]float64, len(judges))
	below, above, sum := 0.0, positives, 0.0
	for k := 0; k < len(order); {
		end, tied := k, [2]float64{}
		for ; end < len(order) && score[order[end]] == score[order[k]]; end++ {
			tied[0] += float64(judges[order[end]][0])
			tied[1] += float64(judges[order[end]][1])
		}
		above -= tied[1]
		for _, j := range order[k:end] {
			share[j] = [2]float64{(above + tied[1]/2) / positives, (below + tied[0]/2) / negatives}
		}
		sum += tied[1] * (below + tied[0]/2)
		below += tied[0]
		k = end
	}
	a := sum / negatives / positives
	variance := 0.0
	part := func(k int32, y int) float64 {
		if y == 1 {
			return (share[k][1] - a) / positives
		}
		return (share[k][0] - a) / negatives
	}
	if c.Group == nil {
		for _, k := range order {
			for y := range 2 {
				d := part(k, y)
				variance += float64(judges[k][y]) * d * d
			}
		}
	} else {
		of := make([]float64, len(c.Label))
		for i, g := range c.Group {
			if c.judged[i] {
				of[g] += part(b.of[i], int(c.Label[i]))
			}
		}
		for _, d := range of {
			variance += d * d
		}
	}
	return estimate{a, math.Sqrt(max(variance, leastVariance(a, positives*c.each, negatives*c.each)))}
}

// leastVariance is that of an area which so many rows can tell from 1: their perfect
// order is no certainty. Of three it is that of chance alone, of a hundred that of 0.98.
func leastVariance(a, positives, negatives float64) float64 {
	most := min(0.98, max(0.5, 1-2/min(positives, negatives)))
	return hanleyMcNeil(min(a, most), positives, negatives)
}

// hanleyMcNeil is the variance of an area by theory (Hanley and McNeil 1982).
func hanleyMcNeil(a, positives, negatives float64) float64 {
	q1, q2 := a/(2-a), 2*a*a/(1+a)
	m, n := max(positives, 1), max(negatives, 1)
	return (a*(1-a) + (m-1)*(q1-a*a) + (n-1)*(q2-a*a)) / (m * n)
}

// wilsonLow is the lower end of the score interval of k of n, z standard errors
// down (Wilson 1927).
func wilsonLow(k, n, z float64) float64 {
	if n <= 0 {
		return 0
	}
	p, z2 := k/n, z*z
	return max(0, (n*p+z2/2-z*math.Sqrt(n*p*(1-p)+z2/4))/(n+z2))
}
