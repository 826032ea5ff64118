// Package golearn fits golearn's regression tree (CART: Breiman and others 1984)
// on a sample of the rows and translates it into models/tree, so that it is
// scored, explained and stored like any other model. It is the only package that
// knows golearn, and uses it to train alone.
//
// golearn searches every threshold of every feature anew, which takes seconds
// from a few thousand rows on, and knows neither missing values nor categories.
// So it sees a sample, in which every value is replaced by its place among at
// most 64 cuts of its feature (file code.go); the cuts, the sides of missing and
// unseen values, the covers and the values of the leaves are ours.
package golearn

import (
	"context"
	"errors"
	"fmt"
	"math"

	"propensity/features"
	"propensity/models/tree"
)

// The errors of this package.
var (
	ErrMatrix   = errors.New("unfit matrix")
	ErrOneClass = errors.New("all training rows have the same label: nothing can be learnt")
	ErrOptions  = errors.New("bad option")
	// ErrGolearn says that golearn itself failed or panicked.
	ErrGolearn = errors.New("golearn failed")
)

// Options of a tree.
type Options struct {
	// Depth is the number of questions on the longest way to a leaf, 1 to 8.
	Depth int
	// Rows is the size of the sample golearn sees, 10 to 2000. A matrix with no
	// more rows is its own sample.
	Rows int
	// LeafRows is the least number of rows behind the value of a leaf, at least 1.
	// A split that leaves fewer on one side is dropped.
	LeafRows int
	// Seed keys the drawing of the sample.
	Seed uint64
}

// Defaults are the options of a tree that people can read.
func Defaults(seed uint64) Options {
	return Options{Depth: 4, Rows: 2000, LeafRows: 20, Seed: seed}
}

// Validate names the option that is out of range; the error wraps ErrOptions.
func (o Options) Validate() error {
	switch {
	case o.Depth < 1 || o.Depth > 8:
		return fmt.Errorf("%w: depth %d, want 1 to 8", ErrOptions, o.Depth)
	case o.Rows < 10 || o.Rows > 2000:
		return fmt.Errorf("%w: a sample of %d rows, want 10 to 2000", ErrOptions, o.Rows)
	case o.LeafRows < 1:
		return fmt.Errorf("%w: %d rows a leaf, want at least 1", ErrOptions, o.LeafRows)
	}
	return nil
}

// priorRows is the weight, in rows at the base rate, that draws the rate of a
// leaf and of a category towards the base rate: a leaf of one label alone stays
// finite, a rare category stays near the middle.
const priorRows = 10

// FitCART grows one classification tree. Its base is the log-odds of the label;
// a leaf adds the log-odds of its rate, drawn in by 10 rows at the base rate, less
// the base. Rates and covers are those of all rows, whatever the sample.
//
// The same rows, in the same order, and options give the same tree, bit for bit.
// The search itself cannot be interrupted; ctx is checked before and after it.
// Errors wrap ErrMatrix, ErrOneClass, ErrOptions or ErrGolearn.
func FitCART(ctx context.Context, m *features.Matrix, o Options) (*tree.Ensemble, error) {
	if err := check(m, m.Label, o); err != nil {
		return nil, err
	}
	for i, y := range m.Label {
		if y != 0 && y != 1 {
			return nil, fmt.Errorf("%w: row %d has the label %v, want 0 or 1", ErrMatrix, i, y)
		}
	}
	rows := count(m.Rows())
	positive := sum(m.Label, rows)
	rate := positive / float64(len(rows))
	if rate == 0 || rate == 1 {
		return nil, fmt.Errorf("%w: %d rows of label %v", ErrOneClass, len(rows), rate)
	}
	base := math.Log(positive / (float64(len(rows)) - positive))
	return fit(ctx, m, o, objective{
		y: m.Label, base: base,
		value: func(n, sum float64) float64 {
			return math.Log((sum+priorRows*rate)/(n-sum+priorRows*(1-rate))) - base
		},
	}, sample(m.Label, o.Rows, o.Seed), rows)
}

// Surrogate grows one regression tree on the log-odds raw that a model gives the
// rows of m, one each: a picture of that model for people, never its substitute.
// The fidelity is the share of the variance of raw that the tree explains (R²,
// 1 or less) on the rows outside the sample, from which it learnt nothing but
// its covers; the sample is never more than four fifths of the rows.
//
// Determinism, ctx and errors are those of FitCART.
func Surrogate(ctx context.Context, m *features.Matrix, raw []float64, o Options) (e *tree.Ensemble, fidelity float64, err error) {
	if err := check(m, raw, o); err != nil {
		return nil, 0, err
	}
	drawn := sample(m.Label, min(o.Rows, m.Rows()*4/5), o.Seed)
	if len(drawn) == 0 {
		return nil, 0, fmt.Errorf("%w: %d rows, want at least 2 to learn from some and judge on others", ErrMatrix, m.Rows())
	}
	base := sum(raw, drawn) / float64(len(drawn))
	e, err = fit(ctx, m, o, objective{
		y: raw, base: base,
		value: func(n, sum float64) float64 { return sum/n - base },
	}, drawn, drawn)
	if err != nil {
		return nil, 0, err
	}
	return e, explained(e, m, raw, drawn), nil
}

// objective is what a tree is to predict.
type objective struct {
	y    []float64
	base float64
	// value of a leaf whose n rows have this sum of y.
	value func(n, sum float64) float64
}

// fit grows a tree on the sample and values its leaves by the rows of valued.
func fit(ctx context.Context, m *features.Matrix, o Options, target objective, sample, valued []int) (*tree.Ensemble, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	coders := make([]coder, len(m.Columns))
	codes := make([][]float64, len(m.Columns))
	for j, column := range m.Columns {
		coders[j] = newCoder(m.Features[j].Levels, column, target.y, sample)
		codes[j] = make([]float64, len(sample))
		for k, i := range sample {
			codes[j][k] = float64(coders[j].code(column[i]))
		}
	}
	y := make([]float64, len(sample))
	for k, i := range sample {
		y[k] = target.y[i]
	}
	splits, err := grow(codes, y, o.Depth)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return translate(m, o, target, coders, splits, valued)
}

// explained is the share of the variance of raw outside the sample that e explains.
func explained(e *tree.Ensemble, m *features.Matrix, raw []float64, sample []int) float64 {
	drawn := make([]bool, m.Rows())
	for _, i := range sample {
		drawn[i] = true
	}
	var rest []int
	for i := range drawn {
		if !drawn[i] {
			rest = append(rest, i)
		}
	}
	mean := sum(raw, rest) / float64(len(rest))
	x := make([]float64, len(m.Columns))
	residual, total := 0.0, 0.0
	for _, i := range rest {
		m.Row(x, i)
		d := raw[i] - e.Raw(x)
		residual += d * d
		total += (raw[i] - mean) * (raw[i] - mean)
	}
	if total == 0 { // a constant is explained by itself alone
		if residual == 0 {
			return 1
		}
		return 0
	}
	return 1 - residual/total
}

func check(m *features.Matrix, y []float64, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if m.Rows() == 0 || len(y) != m.Rows() {
		return fmt.Errorf("%w: %d rows, and a target of %d", ErrMatrix, m.Rows(), len(y))
	}
	if len(m.Columns) == 0 || len(m.Columns) != len(m.Features) {
		return fmt.Errorf("%w: %d columns for %d features", ErrMatrix, len(m.Columns), len(m.Features))
	}
	for j, column := range m.Columns {
		if len(column) != m.Rows() {
			return fmt.Errorf("%w: column %q has %d rows of %d", ErrMatrix, m.Features[j].Name, len(column), m.Rows())
		}
		for i, x := range column {
			if math.IsInf(x, 0) {
				return fmt.Errorf("%w: column %q, row %d: %v is not finite", ErrMatrix, m.Features[j].Name, i, x)
			}
		}
	}
	for i, t := range y {
		if !(math.Abs(t) <= maxTarget) {
			return fmt.Errorf("%w: row %d has the target %v, want a number within %v", ErrMatrix, i, t, maxTarget)
		}
	}
	return nil
}

// maxTarget keeps squares and sums finite.
const maxTarget = 1e100

func sum(y []float64, rows []int) float64 {
	total := 0.0
	for _, i := range rows {
		total += y[i]
	}
	return total
}

func count(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}
