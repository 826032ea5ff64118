package logistic

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"propensity/features"
	"propensity/models"
)

var (
	// ErrOneClass is training data whose label is always the same, or that has no rows.
	ErrOneClass = errors.New("training needs both label values")
	// ErrNoOptimum is a logistic regression without one finite optimum.
	ErrNoOptimum = errors.New("logistic regression has no single optimum")
)

// Learner learns a *models.Linear by logistic regression with an L2 penalty. It
// minimises the log loss summed over the rows plus L2/2 times the squared norm of
// the weights; the intercept is not penalised. Numbers are standardised by the mean
// and population standard deviation of the column after its missing values took the
// median, with an indicator beside them if there were any; every category that
// occurs has an indicator of its own, missing included, with none dropped. A
// column that is constant weighs nothing.
//
// The optimum is found by Newton's method (Hastie, Tibshirani, Friedman, The
// Elements of Statistical Learning, 2nd ed., 4.4.1), halving steps that do not lower
// the objective (Nocedal and Wright, Numerical Optimization, 2nd ed., 3.1). The
// system of each step is solved by Cholesky decomposition, or from 500 weights on
// by preconditioned conjugate gradients without forming it (ibid., 7.1).
type Learner struct {
	// L2 is the weight of the penalty; 0 stands for 1, a negative one for none, which
	// takes fewer than 500 weights that do not follow from each other: no category
	// without unseen values, since its indicators add up to 1.
	L2 float64
	// Tolerance ends the search: the last Newton step changed no weight by more
	// than this, relative to the largest weight if that is above 1; 0 stands for
	// 1e-8. Convergence is quadratic: the error left is far smaller.
	Tolerance float64
	// MaxSteps bounds the Newton steps; 0 stands for 100. Five to ten are usual.
	MaxSteps int
}

// wideDesign is the number of weights from which conjugate gradients take over.
const wideDesign = 500

// Fit learns from train; valid is not used. Rows are weighed alike. The result has
// the same bits at any GOMAXPROCS. Errors: ErrOneClass; ErrNoOptimum, only without
// a penalty or when MaxSteps do not suffice; a label other than 0 and 1, an infinite
// number or an impossible code, naming feature and row (from 0); ctx.Err().
func (l Learner) Fit(ctx context.Context, train, valid features.Matrix) (models.Model, error) {
	m, err := l.fit(ctx, &train, wideDesign)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (l Learner) fit(ctx context.Context, train *features.Matrix, wide int) (*models.Linear, error) {
	penalty, tolerance, steps := l.L2, l.Tolerance, l.MaxSteps
	if penalty == 0 {
		penalty = 1
	}
	if tolerance == 0 {
		tolerance = 1e-8
	}
	if steps == 0 {
		steps = 100
	}
	if math.IsNaN(penalty) || math.IsInf(penalty, 0) || !(tolerance > 0) || steps < 0 {
		return nil, fmt.Errorf("logistic regression: L2 %v, Tolerance %v, MaxSteps %d: want finite, above 0, above 0", l.L2, l.Tolerance, l.MaxSteps)
	}
	positives, err := checkLabels(train)
	if err != nil {
		return nil, err
	}
	d, err := newDesign(ctx, train)
	if err != nil {
		return nil, err
	}
	s := &newton{design: d, penalty: max(0, penalty), tolerance: tolerance, maxSteps: steps, dense: d.width() < wide}
	start := make([]float64, d.width())
	start[0] = math.Log(float64(positives) / float64(train.Rows()-positives))
	weights, err := s.minimise(ctx, start)
	if err != nil {
		return nil, err
	}
	return d.model(ctx, weights)
}

// checkLabels counts the positive labels.
func checkLabels(m *features.Matrix) (positives int, err error) {
	for i, y := range m.Label {
		if y != 0 && y != 1 {
			return 0, fmt.Errorf("row %d: label %v is neither 0 nor 1", i, y)
		}
		if y == 1 {
			positives++
		}
	}
	if positives == 0 || positives == m.Rows() {
		return 0, fmt.Errorf("%w: %d of %d rows are positive", ErrOneClass, positives, m.Rows())
	}
	return positives, nil
}

// newton minimises the penalised loss of a design.
type newton struct {
	*design
	penalty, tolerance float64
	maxSteps           int
	dense              bool // form the Hessian

	curvature []float64 // p (1 - p) of each row at the last point looked at
}

func (s *newton) minimise(ctx context.Context, at []float64) ([]float64, error) {
	s.curvature = make([]float64, s.rows.Rows())
	now, err := s.objective(ctx, at)
	if err != nil {
		return nil, err
	}
	for range s.maxSteps {
		step, err := s.direction(ctx, now)
		if err != nil {
			return nil, err
		}
		if floats.Norm(step, math.Inf(1)) <= s.tolerance*max(1, floats.Norm(at, math.Inf(1))) {
			floats.Add(at, step)
			return at, nil
		}
		if at, now, err = s.search(ctx, at, now, step); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %d steps do not reach it%s", ErrNoOptimum, s.maxSteps, s.advice())
}

func (s *newton) advice() string {
	if s.penalty > 0 {
		return ""
	}
	return "; without a penalty, columns that follow from each other or that separate the labels leave none: set L2 above 0"
}

// search walks from at along step, as far as lowers the objective enough.
func (s *newton) search(ctx context.Context, at []float64, now *sums, step []float64) ([]float64, *sums, error) {
	const enough = 1e-4
	slope := floats.Dot(now.gradient, step)
	rounding := 1e-12 * math.Abs(now.loss)
	next := make([]float64, len(at))
	for t := 1.0; t > 1e-12; t /= 2 {
		floats.AddScaledTo(next, at, t, step)
		then, err := s.objective(ctx, next)
		if err != nil {
			return nil, nil, err
		}
		if then.loss <= now.loss+enough*t*slope+rounding {
			return next, then, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: no step lowers the loss of %v%s", ErrNoOptimum, now.loss, s.advice())
}

// objective is the penalised loss, its gradient and its curvature.
func (s *newton) objective(ctx context.Context, at []float64) (*sums, error) {
	order := withDiagonal
	if s.dense {
		order = withHessian
	}
	out, err := s.pass(ctx, at, order, func(i int, raw float64) (loss, slope, curvature float64) {
		sign := 2*s.rows.Label[i] - 1
		margin := sign * raw
		e := math.Exp(-math.Abs(margin)) // in (0, 1]: nothing overflows or cancels
		loss, slope = math.Log1p(e), e/(1+e)
		if margin < 0 {
			loss, slope = loss-margin, 1/(1+e)
		}
		s.curvature[i] = e / ((1 + e) * (1 + e))
		return loss, -sign * slope, s.curvature[i]
	})
	if err != nil {
		return nil, err
	}
	for k := 1; k < len(at); k++ {
		out.loss += s.penalty / 2 * at[k] * at[k]
		out.gradient[k] += s.penalty * at[k]
	}
	return out, nil
}

// direction solves (Hessian + penalty) step = -gradient.
func (s *newton) direction(ctx context.Context, now *sums) ([]float64, error) {
	if !s.dense {
		return s.conjugate(ctx, now)
	}
	n := s.width()
	h := mat.NewSymDense(n, now.full(s.design))
	for k := 1; k < n; k++ {
		h.SetSym(k, k, h.At(k, k)+s.penalty)
	}
	step := mat.NewVecDense(n, nil)
	var c mat.Cholesky
	if !c.Factorize(h) || c.SolveVecTo(step, mat.NewVecDense(n, now.gradient)) != nil {
		return nil, fmt.Errorf("%w: the Hessian of %d weights is singular%s", ErrNoOptimum, n, s.advice())
	}
	step.ScaleVec(-1, step)
	return step.RawVector().Data, nil
}

// conjugate solves for the step by conjugate gradients, preconditioned by the
// diagonal: the indicators of rare and frequent categories differ greatly in scale.
func (s *newton) conjugate(ctx context.Context, now *sums) ([]float64, error) {
	n := s.width()
	if s.penalty == 0 {
		return nil, fmt.Errorf("%w to be sought without a penalty for as many as %d weights: set L2 above 0", ErrNoOptimum, n)
	}
	step, r, z, p := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	inverse := make([]float64, n)
	for k := range n {
		inverse[k] = 1 / (now.diagonal[k] + s.penalty)
	}
	floats.SubTo(r, r, now.gradient)
	floats.MulTo(z, inverse, r)
	copy(p, z)
	rz := floats.Dot(r, z)
	goal := rz * 1e-12 // the error in the norm of the Hessian falls to about 1e-6
	for range 10 * n {
		if rz <= goal {
			break
		}
		hp, err := s.pass(ctx, p, firstOrder, func(i int, raw float64) (_, slope, _ float64) {
			return 0, s.curvature[i] * raw, 0
		})
		if err != nil {
			return nil, err
		}
		for k := 1; k < n; k++ {
			hp.gradient[k] += s.penalty * p[k]
		}
		a := rz / floats.Dot(p, hp.gradient)
		floats.AddScaled(step, a, p)
		floats.AddScaled(r, -a, hp.gradient)
		floats.MulTo(z, inverse, r)
		before := rz
		rz = floats.Dot(r, z)
		floats.AddScaledTo(p, z, rz/before, p)
	}
	return step, nil
}
