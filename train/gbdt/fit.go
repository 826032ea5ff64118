// Package gbdt learns gradient boosted trees for a label of 0 or 1: second-order
// boosting of the log loss (Friedman, Greedy Function Approximation, Annals of
// Statistics 29, 2001; Chen and Guestrin, XGBoost, KDD 2016) over histograms of
// one-byte bins, with categories and missing values taken as they are. The same
// matrix, options and seed give the same model, bit for bit, at any number of
// threads.
package gbdt

import (
	"context"
	"errors"
	"fmt"
	"math"

	"propensity/features"
	"propensity/models/tree"
)

var (
	// ErrMatrix is wrapped by an error about a matrix that cannot be learnt from.
	ErrMatrix = errors.New("unfit matrix")
	// ErrOneClass is wrapped when all training rows have the same label.
	ErrOneClass = errors.New("all training rows have the same label: nothing can be learnt")
	// ErrOptions is wrapped by what Validate finds.
	ErrOptions = errors.New("bad option")
)

// Options are the settings of the learner. The zero value is not usable: start
// from Defaults.
type Options struct {
	Trees  int     // rounds of boosting at most, 1 or more; early stopping may keep fewer
	Leaves int     // most leaves of a tree, 2 or more
	Rate   float64 // share of each leaf's Newton step that is taken, above 0, to 1
	L2     float64 // added to the hessian of every leaf, 0 or more

	MinRows    int     // least training rows in a leaf, 1 or more
	MinHessian float64 // least sum of p(1-p) in a leaf, 0 or more

	Bins        int     // most bins of a feature, without missing values, 2 to 255
	ColumnShare float64 // share of the features that each tree may use (4 at least), above 0, to 1
	RowShare    float64 // share of the rows that each tree is grown on, above 0, to 1

	CategoryOneHot int     // a leaf with at most so many categories of a feature tries each against the rest
	CategoryMax    int     // most categories on the smaller side of any other split, 1 or more
	CategoryRows   int     // categories with fewer rows in a leaf stay with the rest there, 0 or more
	CategorySmooth float64 // added to the hessian of each category when they are sorted, 0 or more
	CategoryL2     float64 // added to L2 in splits of sorted categories, 0 or more

	Patience int    // rounds without a better validation loss after which to stop, 1 or more
	Seed     uint64 // of the sampling of rows and features
}

// Defaults suit tables of some thousand to some ten thousand rows: small trees
// and a low rate, for as many rounds as validation supports.
func Defaults() Options {
	return Options{
		Trees: 2000, Leaves: 16, Rate: 0.04, L2: 1,
		MinRows: 20, MinHessian: 1e-3,
		Bins: 255, ColumnShare: 0.3, RowShare: 0.8,
		CategoryOneHot: 4, CategoryMax: 32, CategoryRows: 20, CategorySmooth: 20, CategoryL2: 1,
		Patience: 50, Seed: 1,
	}
}

// Validate lists every fault of the options; each wraps ErrOptions.
func (o Options) Validate() error {
	var faults []error
	check := func(ok bool, name string, value any, want string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: %s is %v, want %s", ErrOptions, name, value, want))
		}
	}
	number := func(x float64, low float64) bool { return x >= low && !math.IsInf(x, 1) }
	share := func(x float64) bool { return x > 0 && x <= 1 }
	check(o.Trees >= 1, "Trees", o.Trees, "1 or more")
	check(o.Leaves >= 2, "Leaves", o.Leaves, "2 or more")
	check(share(o.Rate), "Rate", o.Rate, "above 0, to 1")
	check(number(o.L2, 0), "L2", o.L2, "0 or more")
	check(o.MinRows >= 1, "MinRows", o.MinRows, "1 or more")
	check(number(o.MinHessian, 0), "MinHessian", o.MinHessian, "0 or more")
	check(o.Bins >= 2 && o.Bins < maxBins, "Bins", o.Bins, "2 to 255")
	check(share(o.ColumnShare), "ColumnShare", o.ColumnShare, "above 0, to 1")
	check(share(o.RowShare), "RowShare", o.RowShare, "above 0, to 1")
	check(o.CategoryOneHot >= 0, "CategoryOneHot", o.CategoryOneHot, "0 or more")
	check(o.CategoryMax >= 1, "CategoryMax", o.CategoryMax, "1 or more")
	check(o.CategoryRows >= 0, "CategoryRows", o.CategoryRows, "0 or more")
	check(number(o.CategorySmooth, 0), "CategorySmooth", o.CategorySmooth, "0 or more")
	check(number(o.CategoryL2, 0), "CategoryL2", o.CategoryL2, "0 or more")
	check(o.Patience >= 1, "Patience", o.Patience, "1 or more")
	return errors.Join(faults...)
}

// Result is what Fit gives.
type Result struct {
	Model *tree.Ensemble
	// ValidLoss is the mean log loss of the validation rows after each round;
	// empty without validation rows.
	ValidLoss []float64
	// Best is the number of rounds kept. A round that finds no split adds no
	// tree, so the model may hold fewer.
	Best int
}

// Fit learns from train. With validation rows it keeps the rounds up to the
// lowest validation loss, and stops once Patience rounds have not lowered it;
// with valid nil or empty it runs exactly o.Trees rounds. Progress, which may be
// nil, is called after each round. Errors wrap ErrOptions, ErrMatrix or
// ErrOneClass, or are ctx.Err().
func Fit(ctx context.Context, train, valid *features.Matrix, o Options, progress func(done, total int)) (*Result, error) {
	b, err := newBooster(ctx, train, valid, o)
	if err != nil {
		return nil, err
	}
	result := &Result{Best: o.Trees}
	lowest := math.Inf(1)
	for round := range o.Trees {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.step(round)
		if rows := len(b.validLabel); rows > 0 {
			loss := totalLoss(b.validRaw, b.validLabel) / float64(rows)
			result.ValidLoss = append(result.ValidLoss, loss)
			if loss < lowest {
				lowest, result.Best = loss, round+1
			}
		}
		if progress != nil {
			progress(round+1, o.Trees)
		}
		if len(b.validLabel) > 0 && round+1-result.Best >= o.Patience {
			break
		}
	}
	result.Model, err = b.model(result.Best)
	return result, err
}

// booster holds a model in the making. Rows are scored as the trees come.
type booster struct {
	Options
	train                *features.Matrix
	base                 float64
	raw                  []float64
	validRaw, validLabel []float64
	validColumns         bins

	grower grower
	usable []int // features with two bins or more that hold training rows
	sample []int32
	inside []bool // is the row in sample
	trees  []grown
}

type grown struct {
	round int
	nodes []tree.Node
}

func newBooster(ctx context.Context, train, valid *features.Matrix, o Options) (*booster, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if train.Rows() == 0 || train.Rows() > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d training rows", ErrMatrix, train.Rows())
	}
	if err := checkMatrix(train); err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	b := &booster{Options: o, train: train}
	var mixed bool
	if b.base, mixed = baseOf(train.Label); !mixed {
		return nil, fmt.Errorf("%w: %d rows of label %v", ErrOneClass, train.Rows(), train.Label[0])
	}
	binners := make([]binner, len(train.Columns))
	parallel(len(binners), func(j int) {
		if ctx.Err() == nil {
			binners[j] = fitBinner(train.Columns[j], train.Features[j].Levels, o.Bins)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.grower = grower{Options: &b.Options, binners: binners, columns: binAll(binners, train), gradients: make([]gradient, train.Rows())}
	for j, column := range b.grower.columns {
		for _, bin := range column {
			if bin != column[0] {
				b.usable = append(b.usable, j)
				break
			}
		}
	}
	b.raw = filled(train.Rows(), b.base)
	b.inside = make([]bool, train.Rows())
	if valid == nil || valid.Rows() == 0 {
		return b, nil
	}
	if err := checkMatrix(valid); err != nil {
		return nil, fmt.Errorf("validation: %w", err)
	}
	if len(valid.Columns) != len(train.Columns) {
		return nil, fmt.Errorf("%w: %d columns to validate on, %d to train on", ErrMatrix, len(valid.Columns), len(train.Columns))
	}
	for j, f := range valid.Features {
		if f.Levels != train.Features[j].Levels {
			return nil, fmt.Errorf("%w: %s has %d levels to validate on, %d to train on", ErrMatrix, f.Name, f.Levels, train.Features[j].Levels)
		}
	}
	b.validColumns, b.validLabel = binAll(binners, valid), valid.Label
	b.validRaw = filled(valid.Rows(), b.base)
	return b, nil
}

func filled(n int, x float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = x
	}
	return out
}

// step runs one round: a tree on the gradients at the present scores.
func (b *booster) step(round int) {
	fillGradients(b.grower.gradients, b.raw, b.train.Label)
	b.sampleRows(round)
	nodes := b.grower.grow(b.sample, b.sampleColumns(round))
	if nodes == nil {
		return
	}
	for _, l := range b.grower.leaves {
		n := &nodes[l.node]
		n.cover = float64(l.end - l.start)
		for _, r := range b.grower.rows[l.start:l.end] {
			b.raw[r] += n.value
		}
	}
	if len(b.sample) < len(b.raw) {
		for i, inside := range b.inside {
			if !inside {
				n := &nodes[leafOf(nodes, b.grower.columns, i)]
				n.cover++
				b.raw[i] += n.value
			}
		}
	}
	for i := len(nodes) - 1; i > 0; i-- {
		nodes[nodes[i].parent].cover += nodes[i].cover
	}
	chunks(len(b.validRaw), func(_, from, to int) {
		for i := from; i < to; i++ {
			b.validRaw[i] += nodes[leafOf(nodes, b.validColumns, i)].value
		}
	})
	b.trees = append(b.trees, grown{round, export(nodes, b.grower.binners)})
}

// sampleRows draws each row with a chance of RowShare.
func (b *booster) sampleRows(round int) {
	b.sample = b.sample[:0]
	for i := range b.inside {
		b.inside[i] = b.RowShare == 1 || uniform(b.Seed, 2*uint64(round), uint64(i)) < b.RowShare
		if b.inside[i] {
			b.sample = append(b.sample, int32(i))
		}
	}
}

// sampleColumns draws ColumnShare of the usable features, rounded up.
func (b *booster) sampleColumns(round int) []int {
	const least = 4 // a tree of fewer features could not tell how they act together
	n := max(least, int(math.Ceil(b.ColumnShare*float64(len(b.usable)))))
	return choose(b.usable, n, func(j int) float64 { return uniform(b.Seed, 2*uint64(round)+1, uint64(j)) })
}

// model is the ensemble of the trees of the first rounds.
func (b *booster) model(rounds int) (*tree.Ensemble, error) {
	levels := make([]int, len(b.train.Features))
	for j, f := range b.train.Features {
		levels[j] = f.Levels
	}
	builder := tree.NewBuilder(levels, b.base)
	for _, t := range b.trees {
		if t.round >= rounds {
			break
		}
		if err := builder.Add(t.nodes); err != nil {
			return nil, fmt.Errorf("tree of round %d: %w", t.round, err)
		}
	}
	return builder.Build()
}
