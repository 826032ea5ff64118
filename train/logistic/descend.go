package logistic

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// direction is the step to the optimum of the quadratic model of the loss with the
// penalty, by coordinate descent in the covariance form (Friedman, Hastie and
// Tibshirani 2010, 2.2): rounds over the weights that are not 0 until they rest, then
// over all that take part. Weights that rest slowly, such as those of indicators
// that nearly add up to 1, are solved for at once while none of them changes its sign.
func (p *descent) direction(lambda float64) ([]float64, error) {
	const mostRounds, patience = 100_000, 30
	n := len(p.places)
	at, start := make([]float64, n), make([]float64, n)
	for i, k := range p.places {
		at[i], start[i] = p.now.at[k], p.now.at[k]
		p.slope[i] = p.now.gradient[k]
	}
	all, active := make([]int, n), make([]int, 0, n)
	for i := range all {
		all[i] = i
	}
	tiny := p.options.Tolerance * 1e-2
	for round, waited := 0, 0; round < mostRounds; round++ {
		moved := p.round(at, all, lambda)
		if moved <= tiny {
			step := make([]float64, p.width())
			for i, k := range p.places {
				step[k] = at[i] - start[i]
			}
			return step, nil
		}
		active = active[:0]
		for i, w := range at {
			if i == 0 || w != 0 {
				active = append(active, i)
			}
		}
		for waited = 0; round < mostRounds; round++ {
			if p.round(at, active, lambda) <= tiny {
				break
			}
			if waited++; waited%patience == 0 {
				p.jump(at, active, lambda)
			}
		}
	}
	return nil, fmt.Errorf("%w: coordinate descent does not rest", ErrNoOptimum)
}

// round moves each of the given weights to where it alone is best and returns the
// farthest move, in units in which the loss curves by 1.
func (p *descent) round(at []float64, which []int, lambda float64) (farthest float64) {
	n := len(at)
	sizes, squares := lambda*p.options.Alpha, lambda*(1-p.options.Alpha)
	for _, i := range which {
		w, size := at[i], p.size[i]
		if size <= 0 {
			continue // all its rows are certain: nothing tells where it is best
		}
		pull := size*w - p.slope[i]
		var next float64
		switch {
		case i == 0:
			next = pull / size
		case pull > sizes:
			next = (pull - sizes) / (size + squares)
		case pull < -sizes:
			next = (pull + sizes) / (size + squares)
		}
		if next == w {
			continue
		}
		move := next - w
		at[i] = next
		floats.AddScaled(p.slope, move, p.matrix[i*n:(i+1)*n])
		farthest = max(farthest, math.Abs(move)*math.Sqrt(size))
	}
	return farthest
}

// jump moves the active weights to where they are best together if they keep their
// signs, or as far on the way as they do.
func (p *descent) jump(at []float64, active []int, lambda float64) {
	n, m := len(at), len(active)
	sizes, squares := lambda*p.options.Alpha, lambda*(1-p.options.Alpha)
	system, right := mat.NewSymDense(m, nil), mat.NewVecDense(m, nil)
	for a, i := range active {
		for b := a; b < m; b++ {
			system.SetSym(a, b, p.matrix[i*n+active[b]])
		}
		g := p.slope[i]
		if i > 0 {
			system.SetSym(a, a, system.At(a, a)+squares)
			g += squares*at[i] + math.Copysign(sizes, at[i])
			if at[i] == 0 {
				return // it has just gone: another round tells who is active
			}
		}
		right.SetVec(a, -g)
	}
	var c mat.Cholesky
	step := mat.NewVecDense(m, nil)
	if !c.Factorize(system) || c.SolveVecTo(step, right) != nil {
		return
	}
	far := 1.0
	for a, i := range active {
		if s := step.AtVec(a); i > 0 && at[i]*(at[i]+s) < 0 {
			far = min(far, -at[i]/s)
		}
	}
	for a, i := range active {
		move := far * step.AtVec(a)
		at[i] += move
		floats.AddScaled(p.slope, move, p.matrix[i*n:(i+1)*n])
	}
}
