// Package logistic is logistic regression: with an L2 penalty, without any and with
// standard errors, or with an elastic net along a path of penalties. Rows may be
// weighed; categories are never expanded.
//
// Numbers are standardised by the mean and population standard deviation of the
// column after its missing values took the median, with an indicator beside them if
// there were any; every category that occurs has an indicator of its own, missing
// included. Indicators are 0 and 1, not standardised. A column that is constant weighs
// nothing. Weights count as so many equal rows, also in those means.
package logistic

import (
	"context"
	"errors"
	"fmt"
	"math"

	"propensity/features"
	"propensity/models"
)

var (
	// ErrOneClass is training data whose label is always the same, or that has no rows.
	ErrOneClass = errors.New("training needs both label values")
	// ErrNoOptimum is a logistic regression without one finite optimum.
	ErrNoOptimum = errors.New("logistic regression has no single optimum")
)

// Options of a fit. It minimises the log loss summed over the rows, each times its
// weight, plus a penalty on all weights but the intercept.
type Options struct {
	// L2 is the weight of a penalty of L2/2 times the squared norm of the weights. 0
	// stands for 1, a negative one for none. Without a penalty the most frequent level of
	// each category (of two, that of the lower code) has no weight: the others
	// are compared with it, and so is an unseen one. Fewer than 4,000 weights are then
	// possible, with no column that follows from others or separates the labels.
	L2 float64
	// Lambda above 0 asks for an elastic net instead (see Path): the mean loss plus
	// Lambda times (Alpha times the sum of sizes + (1-Alpha)/2 times the squared norm).
	Lambda, Alpha float64
	// Tolerance ends the search: the last step changed no weight by more
	// than this, relative to the largest weight if that is above 1; 0 stands for
	// 1e-8. The error left is smaller.
	Tolerance float64
	// MaxSteps bounds the steps; 0 stands for 100. Five to ten are usual.
	MaxSteps int
	// Replicates are fits of resampled accounts for the bounds of the coefficients;
	// 0: none. Without a penalty there are standard errors instead. Not for an elastic net.
	Replicates int
	// Seed of what is drawn.
	Seed uint64
}

// Learner learns a *models.Linear; it is a train.Learner.
type Learner Options

// Fit learns from train; valid is not used. See the function Fit.
func (l Learner) Fit(ctx context.Context, train, valid features.Matrix) (models.Model, error) {
	r, err := Fit(ctx, &train, Options(l))
	if err != nil {
		return nil, err
	}
	return r.Model, nil
}

const (
	// wideDesign is the number of weights from which conjugate gradients take over.
	wideDesign = 500
	// mostFree is the largest number of weights without a penalty.
	mostFree = 4000
)

// Fit learns from m. The optimum is found by Newton's method (Hastie, Tibshirani,
// Friedman, The Elements of Statistical Learning, 2nd ed., 4.4.1), halving steps that do
// not lower the objective (Nocedal and Wright, Numerical Optimization, 2nd ed., 3.1).
// The system of each step is solved by Cholesky decomposition, or with a penalty from
// 500 weights on by preconditioned conjugate gradients without forming it (ibid., 7.1).
// Many rows start from the optimum of some of them, and a Hessian serves for as long
// as it brings steps down (ibid., 11.1, the chord method): every step has the exact
// gradient, so the optimum is the same.
//
// The result has the same bits at any GOMAXPROCS. Errors: ErrOneClass; *NoOptimumError,
// which names the columns, or another ErrNoOptimum, only without a penalty or when
// MaxSteps do not suffice; a label other than 0 and 1, a weight that is not above 0 and
// finite, an infinite number or an impossible code, naming feature and row (from 0);
// ctx.Err().
func Fit(ctx context.Context, m *features.Matrix, o Options) (*Result, error) {
	return o.fit(ctx, m, wideDesign)
}

func (l Learner) fit(ctx context.Context, m *features.Matrix, wide int) (*models.Linear, error) {
	r, err := Options(l).fit(ctx, m, wide)
	if err != nil {
		return nil, err
	}
	return r.Model, nil
}

// settled are the options with their defaults; an L2 of 0 is then none.
func (o Options) settled() (Options, error) {
	if math.IsNaN(o.L2) || math.IsInf(o.L2, 0) || !(o.Tolerance >= 0) || math.IsInf(o.Tolerance, 0) || o.MaxSteps < 0 {
		return o, fmt.Errorf("logistic regression: L2 %v, Tolerance %v, MaxSteps %d: want finite, above 0, above 0", o.L2, o.Tolerance, o.MaxSteps)
	}
	if !(o.Lambda >= 0) || math.IsInf(o.Lambda, 0) || !(o.Alpha >= 0 && o.Alpha <= 1) || o.Replicates < 0 || (o.Lambda > 0 && (o.L2 != 0 || o.Replicates > 0)) {
		return o, fmt.Errorf("logistic regression: Lambda %v, Alpha %v, L2 %v, Replicates %d: want Lambda 0 or above 0, Alpha 0 to 1, no negative number; L2 and Replicates not with Lambda", o.Lambda, o.Alpha, o.L2, o.Replicates)
	}
	if o.L2 == 0 {
		o.L2 = 1
	}
	o.L2 = max(0, o.L2)
	if o.Tolerance == 0 {
		o.Tolerance = 1e-8
	}
	if o.MaxSteps == 0 {
		o.MaxSteps = 100
	}
	return o, nil
}

func (o Options) fit(ctx context.Context, m *features.Matrix, wide int) (*Result, error) {
	o, err := o.settled()
	if err != nil {
		return nil, err
	}
	if o.Lambda > 0 {
		return fitElastic(ctx, m, o)
	}
	rate, err := checkRows(m)
	if err != nil {
		return nil, err
	}
	free := o.L2 == 0
	d, err := newDesign(ctx, m, free)
	if err != nil {
		return nil, err
	}
	if free {
		if n := d.width(); n >= mostFree {
			return nil, fmt.Errorf("%w to be sought without a penalty for as many as %d weights: set a penalty", ErrNoOptimum, n)
		}
		if err := d.separatedAlone(ctx); err != nil {
			return nil, err
		}
	}
	s := &newton{design: d, weight: m.Weight, penalty: o.L2, tolerance: o.Tolerance, maxSteps: o.MaxSteps, dense: free || d.width() < wide}
	weights := make([]float64, d.width())
	weights[0] = math.Log(rate / (1 - rate))
	if err := s.warm(ctx, weights, rate); err != nil {
		return nil, err
	}
	if weights, err = s.minimise(ctx, weights); err != nil {
		if free && errors.Is(err, ErrNoOptimum) {
			err = s.diagnose(ctx, err)
		}
		return nil, err
	}
	r := &Result{design: d, weights: weights, LogLikelihood: -s.loss, Rows: m.Rows(), Weight: d.total, Steps: s.steps}
	if r.Model, err = d.model(ctx, weights); err != nil {
		return nil, err
	}
	if free {
		err = s.standardErrors(ctx, r)
	} else if o.Replicates > 0 {
		err = s.resample(ctx, r, o)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// checkRows checks labels and weights and gives the share of positives by weight.
func checkRows(m *features.Matrix) (rate float64, err error) {
	if m.Weight != nil && len(m.Weight) != m.Rows() {
		return 0, fmt.Errorf("%d weights, %d labels: want one a row, or none", len(m.Weight), m.Rows())
	}
	if m.Group != nil && len(m.Group) != m.Rows() {
		return 0, fmt.Errorf("%d accounts, %d labels: want one a row, or none", len(m.Group), m.Rows())
	}
	positives, mass, total := 0, 0.0, 0.0
	for i, y := range m.Label {
		w := weigh(m.Weight, i)
		if !(w > 0) || math.IsInf(w, 0) {
			return 0, fmt.Errorf("row %d: weight %v: want a finite number above 0 (leave the row out to weigh it 0)", i, w)
		}
		if y != 0 && y != 1 {
			return 0, fmt.Errorf("row %d: label %v is neither 0 nor 1", i, y)
		}
		if y == 1 {
			positives++
			mass += w
		}
		total += w
	}
	if positives == 0 || positives == m.Rows() {
		return 0, fmt.Errorf("%w: %d of %d rows are positive", ErrOneClass, positives, m.Rows())
	}
	if rate = mass / total; !(rate > 0 && rate < 1) {
		return 0, fmt.Errorf("weights: positives weigh %v of %v, which is out of the range of numbers", mass, total)
	}
	return rate, nil
}
