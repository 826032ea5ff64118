package logistic

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"propensity/features"
	"propensity/models"
)

// PathOptions of an elastic-net path. For each Lambda it minimises
//
//	(sum of weight times log loss) / (sum of weights) + Lambda (Alpha |w|_1 + (1-Alpha)/2 |w|_2^2)
//
// over the weights w of the design of the package comment, intercept free: numbers are
// standardised, indicators are not (glmnet with standardize = FALSE on such columns). The
// lasso may leave a category of an even number of levels room to move against the
// intercept: of these optima, which score alike, the one of the least squares is taken.
type PathOptions struct {
	// Alpha mixes the penalties: 1 is the lasso, 0 is ridge.
	Alpha float64
	// Lambdas to fit, falling; nil: Count of them, evenly spaced in their logarithms,
	// from the least one where no weight is left (for Alpha below 0.001, by Alpha
	// 0.001) down to Ratio times it.
	Lambdas []float64
	Count   int     // 0: 100
	Ratio   float64 // 0: 0.0001, or 0.01 with fewer rows than weights
	// Tolerance is the error left in a weight, relative to the largest if that is
	// above 1; 0 stands for 1e-6.
	Tolerance float64
}

// PathPoint is the optimum at one Lambda.
type PathPoint struct {
	Lambda float64
	Model  *models.Linear
	// Nonzero is the number of weights that are not 0, besides the intercept.
	Nonzero int
	// Deviance is the share that the model explains of the deviance of a model with no
	// feature.
	Deviance float64

	weights []float64
	loss    float64
	steps   int
}

// settled are the options with their defaults.
func (o PathOptions) settled(rows, weights int) (PathOptions, error) {
	if o.Count == 0 {
		o.Count = 100
	}
	if o.Ratio == 0 {
		if o.Ratio = 1e-4; rows < weights {
			o.Ratio = 1e-2
		}
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-6
	}
	if !(o.Alpha >= 0 && o.Alpha <= 1) || o.Count < 1 || !(o.Ratio > 0 && o.Ratio < 1) || !(o.Tolerance > 0) {
		return o, fmt.Errorf("elastic net: Alpha %v, Count %d, Ratio %v, Tolerance %v: want 0 to 1, 1 or more, above 0 and below 1, above 0", o.Alpha, o.Count, o.Ratio, o.Tolerance)
	}
	for k, l := range o.Lambdas {
		if !(l > 0) || math.IsInf(l, 0) || (k > 0 && l >= o.Lambdas[k-1]) {
			return o, fmt.Errorf("elastic net: Lambdas %v: want finite ones above 0 that fall", o.Lambdas)
		}
	}
	return o, nil
}

// Path fits an elastic net at each of a falling sequence of penalties, each from
// the optimum of the one before (Friedman, Hastie and Tibshirani 2010, "Regularization
// paths for generalized linear models via coordinate descent"). Only weights that pass
// the sequential strong rule take part, and the optimality of all is checked
// (Tibshirani et al. 2012, "Strong rules for discarding predictors in lasso-type
// problems", section 7). A Hessian serves for as long as it brings steps
// down; every step has the exact gradient.
//
// A sequence of its own ends early, as glmnet's does, where the share of the deviance
// is above 0.999 or rises by less than 1 in 100,000 of itself. The bits are the same at
// any GOMAXPROCS. Errors are those of Fit.
func Path(ctx context.Context, m *features.Matrix, o PathOptions) ([]PathPoint, error) {
	d, points, err := path(ctx, m, o)
	if err != nil {
		return nil, err
	}
	for k := range points {
		if points[k].Model, err = d.model(ctx, points[k].weights); err != nil {
			return nil, err
		}
	}
	return points, nil
}

func path(ctx context.Context, m *features.Matrix, o PathOptions) (*design, []PathPoint, error) {
	p, err := newDescent(ctx, m, o)
	if err != nil {
		return nil, nil, err
	}
	null, before := p.loss, 0.0
	var points []PathPoint
	lambdas := p.lambdas()
	last := p.most()
	for k, lambda := range lambdas {
		if err := p.descend(ctx, lambda, max(last, lambda)); err != nil {
			return nil, nil, fmt.Errorf("elastic net, Lambda %v: %w", lambda, err)
		}
		last = lambda
		at := PathPoint{Lambda: lambda, Deviance: 1 - p.loss/null, weights: p.least(p.now.at), loss: p.loss, steps: p.steps}
		for _, w := range at.weights[1:] {
			if w != 0 {
				at.Nonzero++
			}
		}
		points = append(points, at)
		if o.Lambdas == nil && k > 0 && (at.Deviance > 0.999 || (k >= 5 && at.Deviance-before < 1e-5*at.Deviance)) {
			break
		}
		before = at.Deviance
	}
	return p.design, points, nil
}

// lambdas is the sequence of the path.
func (p *descent) lambdas() []float64 {
	if p.options.Lambdas != nil {
		return p.options.Lambdas
	}
	out := make([]float64, p.options.Count)
	for k := range out {
		out[k] = p.most()
		if k > 0 {
			out[k] *= math.Pow(p.options.Ratio, float64(k)/float64(len(out)-1))
		}
	}
	return out
}

// fitElastic is a path down to one Lambda.
func fitElastic(ctx context.Context, m *features.Matrix, o Options) (*Result, error) {
	options := PathOptions{Alpha: o.Alpha, Lambdas: []float64{o.Lambda}, Tolerance: o.Tolerance}
	p, err := newDescent(ctx, m, options)
	if err != nil {
		return nil, err
	}
	p.maxSteps = o.MaxSteps
	last := p.most()
	for lambda := last * 0.7; ; lambda *= 0.7 {
		lambda = max(lambda, o.Lambda)
		if err := p.descend(ctx, lambda, max(last, lambda)); err != nil {
			return nil, fmt.Errorf("elastic net, Lambda %v: %w", lambda, err)
		}
		if last = lambda; lambda == o.Lambda {
			break
		}
	}
	r := &Result{design: p.design, weights: p.least(p.now.at), LogLikelihood: -p.loss, Rows: m.Rows(), Weight: p.total, Steps: p.steps}
	r.Model, err = p.model(ctx, r.weights)
	return r, err
}

// descent is where a path has come to.
type descent struct {
	newton
	options PathOptions
	scale   float64 // 1 / sum of weights
	now     *point  // gradient and value of the mean loss, without the penalty

	in     []bool    // the weights that take part
	places []int     // their places
	matrix []float64 // Hessian of the mean loss over them, by rows
	size   []float64 // its diagonal
	null   []float64 // gradient where all weights are 0
	slope  []float64 // of the quadratic model, over them
}

func newDescent(ctx context.Context, m *features.Matrix, o PathOptions) (*descent, error) {
	rate, err := checkRows(m)
	if err != nil {
		return nil, err
	}
	d, err := newDesign(ctx, m, false)
	if err != nil {
		return nil, err
	}
	if o, err = o.settled(m.Rows(), d.width()); err != nil {
		return nil, err
	}
	p := &descent{newton: newton{design: d, weight: m.Weight, maxSteps: 1000}, options: o, scale: 1 / d.total, in: make([]bool, d.width())}
	p.curvature = make([]float64, m.Rows())
	p.in[0] = true
	at := make([]float64, d.width())
	at[0] = math.Log(rate / (1 - rate))
	if p.now, err = p.mean(ctx, at); err != nil {
		return nil, err
	}
	p.null = p.now.gradient
	return p, nil
}

// most is the least Lambda without a weight.
func (p *descent) most() float64 {
	if len(p.null) == 1 {
		return 1
	}
	if most := floats.Norm(p.null[1:], math.Inf(1)) / max(p.options.Alpha, 1e-3); most > 0 {
		return most
	}
	return 1
}

// mean is the mean loss and its gradient.
func (p *descent) mean(ctx context.Context, at []float64) (*point, error) {
	out, err := p.objective(ctx, at)
	if err == nil {
		out.value *= p.scale
		floats.Scale(p.scale, out.gradient)
	}
	return out, err
}

// charge is the penalty of the weights.
func (p *descent) charge(lambda float64, at []float64) float64 {
	sizes, squares := 0.0, 0.0
	for _, w := range at[1:] {
		sizes += math.Abs(w)
		squares += w * w
	}
	return lambda * (p.options.Alpha*sizes + (1-p.options.Alpha)/2*squares)
}

// admit lets weights take part whose slope is at least so steep, and says whether
// there were new ones.
func (p *descent) admit(steep float64) (grown bool) {
	for k, g := range p.now.gradient {
		if !p.in[k] && math.Abs(g) >= steep {
			p.in[k], grown = true, true
		}
	}
	return grown
}

// refresh takes the Hessian at the present point.
func (p *descent) refresh(ctx context.Context) error {
	const mostWeights = 8000
	sub, places := p.restrict(p.in)
	if n := len(places); n > mostWeights {
		return fmt.Errorf("%d weights take part, which is too many", n)
	}
	h, err := sub.hessian(ctx, p.curvature, 1)
	if err != nil {
		return err
	}
	n := len(places)
	p.places, p.matrix, p.size = places, h, make([]float64, n)
	p.slope = make([]float64, n)
	for i := range n {
		for j := i; j < n; j++ {
			h[i*n+j] *= p.scale
			h[j*n+i] = h[i*n+j]
		}
		p.size[i] = h[i*n+i]
	}
	return nil
}

// descend moves to the optimum at lambda from that at last.
func (p *descent) descend(ctx context.Context, lambda, last float64) error {
	const stale, rounding, ahead = 0.15, 1e-9, 0.5
	alpha := p.options.Alpha
	grown := p.admit(alpha * (2*lambda - last))
	before, old := 0.0, false
	for p.steps = 1; p.steps <= p.maxSteps; p.steps++ {
		if p.matrix == nil || grown || old {
			p.admit(alpha * lambda * ahead) // those that the next penalties would admit
			if err := p.refresh(ctx); err != nil {
				return err
			}
			old = false
		}
		step, err := p.direction(lambda)
		if err != nil {
			return err
		}
		length := floats.Norm(step, math.Inf(1))
		goal := p.options.Tolerance * max(1, floats.Norm(p.now.at, math.Inf(1)))
		if length > 0 {
			if err := p.walk(ctx, lambda, step); err != nil {
				return err
			}
		}
		grown = p.admit(alpha*lambda*(1+rounding) + 1e-15)
		if !grown && length <= goal {
			return nil
		}
		if before > 0 {
			rate := length / before
			if !grown && rate < 0.5 && length*rate/(1-rate) <= goal { // all the steps to come
				return nil
			}
			old = rate > stale
		}
		before = length
	}
	return fmt.Errorf("%w: %d steps do not reach it", ErrNoOptimum, p.maxSteps)
}

// walk goes along step as far as lowers the objective enough.
func (p *descent) walk(ctx context.Context, lambda float64, step []float64) error {
	const enough = 1e-4
	from, charge := p.now, p.charge(lambda, p.now.at)
	full := floats.AddTo(make([]float64, len(step)), from.at, step)
	slope := floats.Dot(from.gradient, step) + p.charge(lambda, full) - charge
	rounding := 1e-13*(from.value+charge) + 1e-15
	for t := 1.0; t > 1e-12; t /= 2 {
		next := full
		if t < 1 {
			next = floats.AddScaledTo(make([]float64, len(step)), from.at, t, step)
		}
		then, err := p.mean(ctx, next)
		if err != nil {
			return err
		}
		if then.value+p.charge(lambda, next) <= from.value+charge+enough*t*slope+rounding {
			p.now = then
			return nil
		}
	}
	return fmt.Errorf("%w: no step lowers the loss of %v", ErrNoOptimum, from.value)
}

// least is a copy of the weights that is of least squares among those of the same
// loss and sum of sizes. A category whose indicators add up to 1 can move against the
// intercept while as many of its weights rise in size as fall: while 0 stays between
// the two in their middle.
func (p *descent) least(weights []float64) []float64 {
	out := append([]float64(nil), weights...)
	if p.options.Alpha < 1 {
		return out
	}
	for j := range p.columns {
		c := &p.columns[j]
		if c.slot < 0 || c.unseen {
			continue
		}
		var places []int
		for _, k := range append([]int32{c.missing}, c.levels...) {
			if k >= 0 {
				places = append(places, p.numbers+int(k))
			}
		}
		n := len(places)
		if n%2 == 1 {
			continue
		}
		sorted, mean := make([]float64, n), 0.0
		for a, k := range places {
			sorted[a] = out[k]
			mean += out[k] / float64(n)
		}
		slices.Sort(sorted)
		low, high := sorted[n/2-1], sorted[n/2]
		if move := -min(max(mean, low), high); low <= 0 && high >= 0 {
			for _, k := range places {
				out[k] += move
			}
			out[0] -= move
		}
	}
	return out
}
