package learnt

import (
	"context"
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// errNoOptimum says that Newton's method did not end, which a ridge rules out on
// finite numbers.
var errNoOptimum = errors.New("the regression for the effects of levels has no optimum")

// regression is a logistic regression on indicators and linear splines: a column
// gives a row one coefficient, or two neighbouring ones in shares, so that a number
// may act by any broken line. Coefficient 0 is the intercept.
type regression struct {
	label, weight []float64 // a nil weight is 1
	slots         []slot
	width         int

	at      []float64 // the coefficients
	raw     []float64 // log-odds of the rows there
	inverse *mat.SymDense
}

// slot is one column's place in the design.
type slot struct {
	first []int32   // a row's coefficient; -1: none
	share []float64 // of the coefficient after it; nil: 0 everywhere
}

// ridge keeps the indicators of a column, which add up to the intercept, apart. It
// is worth a fifth of a row in the middle, too little to move a level that is tested.
const ridge = 0.05

// numberSlot lays a broken line over a column with its bends at quantiles: constant
// beyond the outer two, which keeps a long tail from bending it all. Missing values
// have a coefficient of their own.
func (r *regression) numberSlot(xs []float64, bends int) {
	known := slices.DeleteFunc(slices.Clone(xs), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(known) == 0 {
		return
	}
	slices.Sort(known)
	knots := quantiles(known, bends)
	if len(knots) < bends { // a value that many rows have takes several
		knots = quantiles(slices.Compact(known), bends)
	}
	missing := slices.ContainsFunc(xs, math.IsNaN)
	if len(knots) < 2 && !missing {
		return
	}
	s := slot{first: make([]int32, len(xs)), share: make([]float64, len(xs))}
	base := int32(r.width) + 1 // the coefficient of missing values comes before
	for i, v := range xs {
		if math.IsNaN(v) {
			s.first[i] = int32(r.width)
			continue
		}
		k, exact := slices.BinarySearch(knots, v)
		switch {
		case exact || k == 0:
			s.first[i] = base + int32(k)
		case k == len(knots):
			s.first[i] = base + int32(k-1)
		default:
			s.first[i] = base + int32(k-1)
			s.share[i] = (v - knots[k-1]) / (knots[k] - knots[k-1])
		}
	}
	r.width += 1 + len(knots)
	r.slots = append(r.slots, s)
}

// quantiles are so many values of a sorted list, evenly apart by rank from its
// first to its last percent, without repetition.
func quantiles(sorted []float64, n int) []float64 {
	var out []float64
	for k := range n {
		q := 0.01 + 0.98*float64(k)/float64(n-1)
		out = append(out, sorted[int(math.Round(q*float64(len(sorted)-1)))])
	}
	return slices.Compact(out)
}

// sums are what rows add up to.
type sums struct {
	loss     float64
	gradient []float64
	hessian  []float64 // its upper triangle
}

// fit finds the optimum by Newton's method with halved steps.
func (r *regression) fit(ctx context.Context) error {
	r.at, r.raw = make([]float64, r.width), make([]float64, len(r.label))
	total, positive := 0.0, 0.0
	for i, y := range r.label {
		total += r.weightOf(i)
		positive += r.weightOf(i) * y
	}
	r.at[0] = math.Log(positive / (total - positive))
	now := r.pass(r.at)
	for range 50 {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := mat.NewSymDense(r.width, now.hessian)
		var c mat.Cholesky
		if !c.Factorize(h) {
			return errNoOptimum
		}
		step := mat.NewVecDense(r.width, nil)
		if c.SolveVecTo(step, mat.NewVecDense(r.width, now.gradient)) != nil {
			return errNoOptimum
		}
		largest := mat.Norm(step, math.Inf(1))
		next := make([]float64, r.width)
		for t := 1.0; ; t /= 2 {
			if t < 1e-6 {
				return errNoOptimum
			}
			for k := range next {
				next[k] = r.at[k] - t*step.AtVec(k)
			}
			if then := r.pass(next); then.loss <= now.loss+1e-12*math.Abs(now.loss) {
				r.at, now = next, then
				break
			}
		}
		if largest < 1e-6 {
			if !c.Factorize(mat.NewSymDense(r.width, now.hessian)) {
				return errNoOptimum
			}
			r.inverse = mat.NewSymDense(r.width, nil)
			if c.InverseTo(r.inverse) != nil {
				return errNoOptimum
			}
			return nil
		}
	}
	return errNoOptimum
}

func (r *regression) weightOf(i int) float64 {
	if r.weight == nil {
		return 1
	}
	return r.weight[i]
}

// pass sums up the loss at v, in parts cut by the number of rows alone and added
// in order: the same bits on any number of processors.
func (r *regression) pass(v []float64) *sums {
	n := len(r.label)
	parts := min(8, 1+n/4096)
	partial := make([]*sums, parts)
	parallel(parts, func(k int) {
		s := &sums{gradient: make([]float64, r.width), hessian: make([]float64, r.width*r.width)}
		r.part(s, v, n*k/parts, n*(k+1)/parts)
		partial[k] = s
	})
	out := partial[0]
	for _, s := range partial[1:] {
		out.loss += s.loss
		for k, x := range s.gradient {
			out.gradient[k] += x
		}
		for k, x := range s.hessian {
			out.hessian[k] += x
		}
	}
	for k := 1; k < r.width; k++ {
		out.loss += ridge / 2 * v[k] * v[k]
		out.gradient[k] += ridge * v[k]
		out.hessian[k*r.width+k] += ridge
	}
	return out
}

func (r *regression) part(s *sums, v []float64, first, end int) {
	var places []int32
	var values []float64
	for i := first; i < end; i++ {
		places, values = r.row(places[:0], values[:0], i)
		raw := 0.0
		for k, at := range places {
			raw += values[k] * v[at]
		}
		r.raw[i] = raw
		w := r.weightOf(i)
		p := logistic(raw)
		s.loss += w * lossAt(r.label[i], raw)
		for k, at := range places {
			s.gradient[at] += w * (p - r.label[i]) * values[k]
		}
		curvature := w * p * (1 - p)
		for k, at := range places {
			line := s.hessian[int(at)*r.width:]
			c := curvature * values[k]
			for l := k; l < len(places); l++ { // ascending: the upper triangle
				line[places[l]] += c * values[l]
			}
		}
	}
}

// row lists the coefficients of row i that are not 0 times something.
func (r *regression) row(places []int32, values []float64, i int) ([]int32, []float64) {
	places, values = append(places, 0), append(values, 1)
	for k := range r.slots {
		s := &r.slots[k]
		at := s.first[i]
		if at < 0 {
			continue
		}
		share := 0.0
		if s.share != nil {
			share = s.share[i]
		}
		places, values = append(places, at), append(values, 1-share)
		if share > 0 {
			places, values = append(places, at+1), append(values, share)
		}
	}
	return places, values
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// lossAt is the log loss of a label at log-odds.
func lossAt(y, raw float64) float64 {
	margin := (2*y - 1) * raw
	return math.Log1p(math.Exp(-math.Abs(margin))) + max(0, -margin)
}
