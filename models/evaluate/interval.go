package evaluate

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with its 95 % confidence interval: Low <= Value <= High.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// confidence is what the intervals of a level are made with.
type confidence struct {
	level, tail float64 // tail is (1 + level) / 2
	normal      float64 // that quantile of the normal distribution
}

// usual is the confidence of 95 %.
func usual() confidence { return confidence{0.95, 0.975, 1.959963984540054} }

// confidenceOf takes a level above 0 and below 1.
func confidenceOf(level float64) confidence {
	if q := usual(); level == q.level {
		return q
	}
	tail := (1 + level) / 2
	return confidence{level, tail, distuv.UnitNormal.Quantile(tail)}
}

// student is the quantile of Student's t.
func (q confidence) student(degrees int) float64 {
	// From here on the Cornish-Fisher terms in 1/degrees^2 are below 1e-11.
	if degrees > 1_000_000 {
		return q.normal + (q.normal*q.normal*q.normal+q.normal)/(4*float64(degrees))
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(degrees)}.Quantile(q.tail)
}

// Wilson is the rate k/n of n independent rows with its score interval (Wilson
// 1927). Without rows nothing is known: value 0, from 0 to 1. A k outside of 0
// to n is taken as the nearer end.
func Wilson(k, n int) Interval {
	if n <= 0 {
		return Interval{0, 0, 1}
	}
	return usual().wilson(float64(min(max(k, 0), n))/float64(n), float64(n))
}

// wilson takes the number of rows that the rate is worth, 0 or more.
func (q confidence) wilson(rate, n float64) Interval {
	z2 := q.normal * q.normal
	centre := (n*rate + z2/2) / (n + z2)
	half := q.normal * math.Sqrt(n*rate*(1-rate)+z2/4) / (n + z2)
	return Interval{rate, min(max(centre-half, 0), rate), max(min(centre+half, 1), rate)}
}

// Rate is the share of positives among labels y (0 or 1) with an interval
// clustered by account: Wilson's, with the effective number of rows of Korn and
// Graubard (1998) in place of the rows, never more than the rows. With one row
// an account, or a nil group, it equals Wilson; with one account only, it is 0 to 1.
func Rate(y []float64, group []int) (Interval, error) {
	if err := checkLabels(y); err != nil {
		return Interval{}, err
	}
	c, err := newClusters(group, len(y))
	if err != nil {
		return Interval{}, err
	}
	return usual().rate(y, c), nil
}

func (q confidence) rate(y []float64, c clusters) Interval {
	return q.wilson(mean(y), q.effectiveRows(y, c))
}

// effectiveRows is the number of independent rows that labels are worth.
func (q confidence) effectiveRows(y []float64, c clusters) float64 {
	n := float64(len(y))
	p := mean(y)
	switch {
	case c.count == len(y):
		return n
	case c.count < 2:
		return 0
	case p == 0 || p == 1: // no spread to measure: rows of an account may all be one
		return float64(c.count)
	}
	effect := clusterVariance(y, p, c) / (p * (1 - p) / (n - 1))
	degrees := q.student(len(y)-1) / q.student(c.count-1)
	return min(n/effect*degrees*degrees, n)
}

// clusterVariance is the variance of the mean m over the rows x, a ratio of sums
// over accounts, linearised: G/(G-1) sum((S_g - m n_g)^2) / n^2.
func clusterVariance(x []float64, m float64, c clusters) float64 {
	residual := make([]float64, c.count)
	for i, v := range x {
		residual[c.of[i]] += v - m
	}
	sum := 0.0
	for _, r := range residual {
		sum += r * r
	}
	g, n := float64(c.count), float64(len(x))
	return g / (g - 1) * sum / (n * n)
}

// meanInterval is the mean of x with a cluster-robust t interval of G-1 degrees
// of freedom (Cameron and Miller 2015, section VI); it wants two accounts or more.
func (q confidence) meanInterval(x []float64, c clusters) Interval {
	m := mean(x)
	half := q.student(c.count-1) * math.Sqrt(clusterVariance(x, m, c))
	return Interval{m, m - half, m + half}
}

// Difference is a mean paired difference over rows with its 95 % interval,
// clustered by account. It excludes zero if Low > 0 or High < 0.
type Difference struct {
	Mean     float64 `json:"mean"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Rows     int     `json:"rows"`
	Accounts int     `json:"accounts"`
}

// PairedLogLoss is the mean over rows of loss(B) - loss(A) for the log loss:
// above 0 where A is the better. The interval is cluster-robust by account, t
// with G-1 degrees of freedom (Cameron and Miller 2015, section VI). A nil group
// makes every row an account. Errors are *InputError and ErrFewAccounts.
func PairedLogLoss(y, pA, pB []float64, group []int) (Difference, error) {
	return paired(logLoss, y, pA, pB, group)
}

// PairedBrier is PairedLogLoss for the squared error.
func PairedBrier(y, pA, pB []float64, group []int) (Difference, error) {
	return paired(squaredError, y, pA, pB, group)
}

func paired(loss func(y, p float64) float64, y, pA, pB []float64, group []int) (Difference, error) {
	if err := checkLabels(y); err != nil {
		return Difference{}, err
	}
	if err := checkProbabilities("pA", pA, len(y)); err != nil {
		return Difference{}, err
	}
	if err := checkProbabilities("pB", pB, len(y)); err != nil {
		return Difference{}, err
	}
	c, err := newClusters(group, len(y))
	if err != nil {
		return Difference{}, err
	}
	if c.count < 2 {
		return Difference{}, ErrFewAccounts
	}
	d := losses(loss, y, pB)
	for i := range d {
		d[i] -= loss(y[i], pA[i])
	}
	v := usual().meanInterval(d, c)
	return Difference{v.Value, v.Low, v.High, len(y), c.count}, nil
}
