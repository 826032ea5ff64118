package evaluate

import "gonum.org/v1/gonum/mathext"

// Promise is how well the share of positives fits the probabilities p that were
// promised.
type Promise struct {
	Observed Interval // that of Rate
	Promised float64  // the mean of p
	Accounts int
	// P is the chance of a share at least so far from Promised, on either side, if
	// the promise held: the exact binomial test by Clopper and Pearson (1934), for
	// the effective number of rows of Korn and Graubard (1998), as Rate has it. For
	// probabilities that differ from row to row it errs to the safe side
	// (Hoeffding 1956, theorem 5).
	P float64
}

// JudgePromise compares labels y (0 or 1) with probabilities p. A nil group makes
// every row an account. Errors are *InputError. With one account only, P is 1.
func JudgePromise(y, p []float64, group []int) (Promise, error) {
	if err := checkLabels(y); err != nil {
		return Promise{}, err
	}
	if err := checkProbabilities("p", p, len(y)); err != nil {
		return Promise{}, err
	}
	c, err := newClusters(group, len(y))
	if err != nil {
		return Promise{}, err
	}
	out := Promise{Observed: usual().rate(y, c), Promised: mean(p), Accounts: c.count, P: 1}
	if n := usual().effectiveRows(y, c); n > 0 {
		out.P = binomialTest(out.Observed.Value, out.Promised, n)
	}
	return out, nil
}

// binomialTest is twice the smaller tail of a binomial at the share observed of n
// rows, which need not be whole.
func binomialTest(observed, p, n float64) float64 {
	k := observed * n
	atLeast, atMost := 1.0, 1.0
	switch {
	case p <= 0 && k > 0:
		return 0
	case p >= 1 && k < n:
		return 0
	case p <= 0 || p >= 1:
		return 1
	}
	if k > 0 {
		atLeast = mathext.RegIncBeta(k, n-k+1, p)
	}
	if k < n {
		atMost = mathext.RegIncBeta(n-k, k+1, 1-p)
	}
	return min(1, 2*min(atLeast, atMost))
}
