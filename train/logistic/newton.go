package logistic

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// manyRows is the number of rows from which a Hessian costs more than the steps that
// an older one would take, and a start from some of the rows saves steps.
const manyRows = 1 << 15

// newton minimises the penalised loss of a design.
type newton struct {
	*design
	weight             []float64 // of the rows, nil: all 1
	penalty, tolerance float64
	maxSteps           int
	dense              bool // form the Hessian

	curvature []float64 // of each row's loss at the last point looked at
	factor    *mat.Cholesky
	loss      float64 // without the penalty, at the last point looked at
	steps     int
	enough    float64 // end where the Newton decrement is below; 0: by tolerance
}

// point is a place on the objective.
type point struct {
	at, gradient []float64
	value        float64
}

// warm moves at to the optimum of some of many rows, which is close to that of all.
func (s *newton) warm(ctx context.Context, at []float64, rate float64) error {
	n := s.rows.Rows()
	kept := max(manyRows, n/16)
	if n < 4*kept || float64(kept)*min(rate, 1-rate) < 100 {
		return nil
	}
	rows := make([]int, kept)
	for k := range rows {
		rows[k] = n * k / kept
	}
	some := s.take(rows)
	positives := 0.0
	for _, y := range some.rows.Label {
		positives += y
	}
	if positives == 0 || positives == float64(kept) {
		return nil
	}
	// A penalty keeps what these rows do not determine where it is.
	t := &newton{design: some, weight: some.rows.Weight, penalty: max(s.penalty, 1) * some.total / s.total, tolerance: 1e-3, maxSteps: s.maxSteps, dense: s.dense}
	found, err := t.minimise(ctx, append([]float64(nil), at...))
	if err == nil {
		copy(at, found)
	}
	return ctx.Err() // where they have no optimum, nothing was gained
}

func (s *newton) minimise(ctx context.Context, at []float64) ([]float64, error) {
	s.curvature = make([]float64, s.rows.Rows())
	now, err := s.objective(ctx, at)
	if err != nil {
		return nil, err
	}
	before, length := math.Inf(1), math.Inf(1)
	for s.steps = 1; s.steps <= s.maxSteps; s.steps++ {
		step, err := s.direction(ctx, now, before)
		if err != nil {
			return nil, err
		}
		before = math.Sqrt(max(0, -floats.Dot(now.gradient, step)))
		last := length
		length = floats.Norm(step, math.Inf(1))
		if length <= s.tolerance*max(1, floats.Norm(now.at, math.Inf(1))) || before < s.enough {
			floats.Add(now.at, step)
			return now.at, nil
		}
		// Steps that do not shrink are those towards an optimum at infinity.
		if s.penalty == 0 && s.steps > 8 && length > last/2 {
			if err := s.separated(ctx, step); err != nil {
				return nil, err
			}
		}
		if now, err = s.search(ctx, now, step); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %d steps do not reach it%s", ErrNoOptimum, s.maxSteps, s.advice())
}

func (s *newton) advice() string {
	if s.penalty > 0 {
		return ""
	}
	return "; without a penalty, columns that follow from each other or that separate the labels leave none: set a penalty"
}

// search walks along step, as far as lowers the objective enough.
func (s *newton) search(ctx context.Context, now *point, step []float64) (*point, error) {
	const enough = 1e-4
	slope := floats.Dot(now.gradient, step)
	rounding := 1e-12*math.Abs(now.value) + 1e-15*s.total
	for t := 1.0; t > 1e-12; t /= 2 {
		next := make([]float64, len(step))
		then, err := s.objective(ctx, floats.AddScaledTo(next, now.at, t, step))
		if err != nil {
			return nil, err
		}
		if then.value <= now.value+enough*t*slope+rounding {
			return then, nil
		}
	}
	return nil, fmt.Errorf("%w: no step lowers the loss of %v%s", ErrNoOptimum, now.value, s.advice())
}

// objective is the penalised loss and its gradient; it leaves the curvature.
func (s *newton) objective(ctx context.Context, at []float64) (*point, error) {
	label := s.rows.Label
	loss, gradient, err := s.pass(ctx, at, func(first int, raw, slope []float64) float64 {
		// The blocks are short enough for the product not to underflow.
		sum, product := 0.0, 1.0
		for r, x := range raw {
			i := first + r
			part, rest, down, curvature := logLoss(label[i], x)
			if s.weight == nil {
				product *= part
				sum += rest
			} else {
				w := s.weight[i]
				sum += w * (rest - math.Log(part))
				down, curvature = w*down, w*curvature
			}
			slope[r], s.curvature[i] = down, curvature
		}
		return sum - math.Log(product)
	})
	if err != nil {
		return nil, err
	}
	s.loss = loss
	for k := 1; k < len(at); k++ {
		loss += s.penalty / 2 * at[k] * at[k]
		gradient[k] += s.penalty * at[k]
	}
	return &point{at, gradient, loss}, nil
}

// direction solves (Hessian + penalty) step = -gradient. Of many rows, the Hessian
// of an earlier point serves while it makes each step far shorter than the one
// before, whose length in its norm is given; and far from the optimum one of a
// part of the rows does.
func (s *newton) direction(ctx context.Context, now *point, before float64) ([]float64, error) {
	const far, part = 1, 8
	if !s.dense {
		return s.conjugate(ctx, now)
	}
	many, every := s.rows.Rows() >= manyRows, 1
	if s.rows.Rows() >= part*manyRows {
		every = part
	}
	if many && s.factor != nil {
		if step := s.solve(now.gradient); step != nil {
			length := math.Sqrt(max(0, -floats.Dot(now.gradient, step)))
			if length < 0.15*before {
				return step, nil
			}
			if length < far {
				every = 1
			}
		}
	}
	if err := s.factorise(ctx, every); err != nil {
		return nil, err
	}
	step := s.solve(now.gradient)
	if step == nil {
		return nil, s.singular()
	}
	return step, nil
}

func (s *newton) singular() error {
	return fmt.Errorf("%w: the Hessian of %d weights is singular%s", ErrNoOptimum, s.width(), s.advice())
}

// solve is the step to the optimum of the model at hand, nil if it cannot be told.
func (s *newton) solve(gradient []float64) []float64 {
	step := mat.NewVecDense(len(gradient), nil)
	if s.factor.SolveVecTo(step, mat.NewVecDense(len(gradient), gradient)) != nil {
		return nil
	}
	step.ScaleVec(-1, step)
	return step.RawVector().Data
}

// factorise decomposes the Hessian at the last point looked at. With every above 1
// it is estimated from a part of the rows, its diagonal from all: what is rare among
// them would otherwise move too far.
func (s *newton) factorise(ctx context.Context, every int) error {
	data, err := s.hessian(ctx, s.curvature, every)
	if err != nil {
		return err
	}
	n := s.width()
	h := mat.NewSymDense(n, data)
	if every > 1 {
		diagonal, err := s.diagonal(ctx, s.curvature)
		if err != nil {
			return err
		}
		scale := make([]float64, n)
		for k, x := range diagonal {
			if part := data[k*n+k]; part > 0 {
				scale[k] = math.Sqrt(x / part)
			}
		}
		for k := range n {
			floats.Mul(data[k*n+k:(k+1)*n], scale[k:])
			floats.Scale(scale[k], data[k*n+k:(k+1)*n])
			data[k*n+k] = diagonal[k]
		}
	}
	for k := 1; k < n; k++ {
		data[k*n+k] += s.penalty
	}
	s.factor = &mat.Cholesky{}
	if !s.factor.Factorize(h) {
		s.factor = nil
		return s.singular()
	}
	return nil
}

// conjugate solves for the step by conjugate gradients, preconditioned by the
// diagonal: the indicators of rare and frequent categories differ greatly in scale.
func (s *newton) conjugate(ctx context.Context, now *point) ([]float64, error) {
	n := s.width()
	step, r, z, p := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	inverse, err := s.diagonal(ctx, s.curvature)
	if err != nil {
		return nil, err
	}
	for k, x := range inverse {
		inverse[k] = 1 / (x + s.penalty)
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
		_, hp, err := s.pass(ctx, p, func(first int, raw, slope []float64) float64 {
			floats.MulTo(slope, s.curvature[first:first+len(raw)], raw)
			return 0
		})
		if err != nil {
			return nil, err
		}
		for k := 1; k < n; k++ {
			hp[k] += s.penalty * p[k]
		}
		a := rz / floats.Dot(p, hp)
		floats.AddScaled(step, a, p)
		floats.AddScaled(r, -a, hp)
		floats.MulTo(z, inverse, r)
		before := rz
		rz = floats.Dot(r, z)
		floats.AddScaledTo(p, z, rz/before, p)
	}
	return step, nil
}
