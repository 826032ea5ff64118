package logistic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"propensity/features"

	"gonum.org/v1/gonum/floats"
)

// NoOptimumError says which columns leave a regression without a penalty no optimum.
type NoOptimumError struct {
	// Separated: a sum of these parts tells the labels apart for some rows, so that
	// their weights grow without end (Albert and Anderson 1984, "On the existence of maximum
	// likelihood estimates in logistic regression models"). Otherwise the first of
	// the parts is a sum of the others.
	Separated bool
	Parts     []Part
}

func (e *NoOptimumError) Unwrap() error { return ErrNoOptimum }

func (e *NoOptimumError) Error() string {
	const most = 8
	text := make([]string, 0, len(e.Parts))
	for _, p := range e.Parts {
		text = append(text, p.String())
	}
	if n := len(text); n > most {
		text = append(text[:most], fmt.Sprintf("%d more", n-most))
	}
	switch {
	case e.Separated && len(text) == 1:
		return fmt.Sprintf("%v: %s separates the labels: leave it out, or set a penalty", ErrNoOptimum, text[0])
	case e.Separated:
		return fmt.Sprintf("%v: %s separate the labels: leave them out, or set a penalty", ErrNoOptimum, strings.Join(text, ", "))
	case len(text) == 1:
		return fmt.Sprintf("%v: %s hardly varies: leave it out, or set a penalty", ErrNoOptimum, text[0])
	}
	return fmt.Sprintf("%v: %s follows from %s: leave one of them out, or set a penalty", ErrNoOptimum, text[0], strings.Join(text[1:], ", "))
}

// Named is the error with the names of each feature's levels by code.
func (e *NoOptimumError) Named(levels [][]string) *NoOptimumError {
	out := &NoOptimumError{Separated: e.Separated}
	for _, p := range e.Parts {
		out.Parts = append(out.Parts, p.named(nil, levels))
	}
	return out
}

// separatedAlone finds the columns that separate the labels by themselves: a level,
// or missing values, of one label only, and numbers whose labels do not overlap.
func (d *design) separatedAlone(ctx context.Context) error {
	found := make([][]Part, len(d.columns))
	err := features.Parallel(len(d.columns), func(j int) error {
		c, name := &d.columns[j], d.rows.Features[j].Name
		if c.number == 0 && c.missing < 0 && c.slot < 0 {
			return ctx.Err()
		}
		xs, err := d.rows.Column(nil, j)
		if err != nil {
			return err
		}
		missing, levels := [2]int{}, make([][2]int, len(c.levels))
		low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
		for i, x := range xs {
			y := int(d.rows.Label[i])
			switch {
			case x != x:
				missing[y]++
			case c.levels != nil:
				if x >= 0 {
					levels[int(x)][y]++
				}
			default:
				low[y], high[y] = min(low[y], x), max(high[y], x)
			}
		}
		for k, n := range levels {
			if (n[0] == 0) != (n[1] == 0) && (c.levels[k] >= 0 || c.reference == k) {
				found[j] = append(found[j], Part{Feature: j, Name: name, Level: k})
			}
		}
		if c.number > 0 && (high[0] <= low[1] || high[1] <= low[0]) {
			found[j] = append(found[j], Part{Feature: j, Name: name, Level: -1})
		}
		if c.missing >= 0 && (missing[0] == 0) != (missing[1] == 0) {
			found[j] = append(found[j], Part{Feature: j, Name: name, Level: -1, Missing: true})
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	var all []Part
	for _, parts := range found {
		all = append(all, parts...)
	}
	if all != nil {
		return &NoOptimumError{Separated: true, Parts: all}
	}
	return nil
}

// separated says that going on along step raises no row's loss: the labels are
// separated in its direction. Late steps of Newton's method are such directions.
func (s *newton) separated(ctx context.Context, step []float64) error {
	const rounding, counts = 1e-6, 1e-3
	margins := make([]float64, s.rows.Rows())
	if _, _, err := s.pass(ctx, step, func(first int, raw, slope []float64) float64 {
		for r, x := range raw {
			margins[first+r], slope[r] = (2*s.rows.Label[first+r]-1)*x, 0
		}
		return 0
	}); err != nil {
		return err
	}
	if worst, best := floats.Min(margins), floats.Max(margins); worst < -rounding*best {
		return nil
	}
	e := &NoOptimumError{Separated: true}
	most := floats.Norm(step[1:], math.Inf(1))
	for k, p := range s.weighted() {
		if k > 0 && math.Abs(step[k]) > counts*most {
			e.Parts = append(e.Parts, p)
		}
	}
	return e
}

// diagnose says why there is no optimum, if columns follow from each other; err is
// what is known of it otherwise.
func (s *newton) diagnose(ctx context.Context, err error) error {
	if named := (*NoOptimumError)(nil); errors.As(err, &named) {
		return err
	}
	even := make([]float64, s.rows.Rows())
	for i := range even {
		even[i] = weigh(s.weight, i)
	}
	h, failed := s.hessian(ctx, even, 1)
	if failed != nil {
		return failed
	}
	if named := s.dependent(h); named != nil {
		return named
	}
	return err
}

// dependent finds a weight that follows from those before it, by Cholesky
// decomposition of the Hessian scaled to a diagonal of 1: what is left of the
// weight's own place is the share that the others do not explain.
func (s *newton) dependent(h []float64) error {
	const rounding = 1e-12
	n := s.width()
	scale := make([]float64, n)
	for k := range n {
		scale[k] = 1 / math.Sqrt(h[k*n+k])
	}
	l := make([]float64, n*n) // lower triangle by rows
	for j := range n {
		row := l[j*n : j*n+j]
		for k := range row {
			lk := l[k*n : k*n+k+1]
			row[k] = (h[k*n+j]*scale[k]*scale[j] - floats.Dot(row[:k], lk[:k])) / lk[k]
		}
		left := 1 - floats.Dot(row, row)
		if left > rounding {
			l[j*n+j] = math.Sqrt(left)
			continue
		}
		// What the earlier weights contribute to this one: L' x = row.
		e, parts := &NoOptimumError{}, s.weighted()
		e.Parts = append(e.Parts, parts[j])
		x := append([]float64(nil), row...)
		for k := j - 1; k >= 0; k-- {
			x[k] /= l[k*n+k]
			floats.AddScaled(x[:k], -x[k], l[k*n:k*n+k])
		}
		for k := 1; k < j; k++ {
			if math.Abs(x[k]) > 1e-6 {
				e.Parts = append(e.Parts, parts[k])
			}
		}
		return e
	}
	return nil
}
