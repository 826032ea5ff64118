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
	"slices"

	"propensity/datasets"
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
	MinGain    float64 // a split must take more than this off the deviance (twice the log loss, summed), 0 or more
	MinHessian float64 // least sum of p(1-p) in a leaf, 0 or more

	Bins        int     // most bins of a feature, without missing values, 2 to 255
	ColumnShare float64 // share of the features that each tree may use (4 at least), above 0, to 1
	RowShare    float64 // share of the rows that each tree is grown on, above 0, to 1
	RowsMax     int     // most rows that a tree is grown on, about, 1 or more: drawn anew for each, of many rows few tell as much

	CategoryOneHot int     // a leaf with at most so many categories of a feature tries each against the rest
	CategoryMax    int     // most categories on the smaller side of any other split, 1 or more
	CategoryRows   int     // categories with fewer rows in a leaf stay with the rest there, 0 or more
	CategorySmooth float64 // added to the hessian of each category when they are sorted, 0 or more
	CategoryL2     float64 // added to L2 in splits of sorted categories, 0 or more

	CategoryRates int     // a feature of more categories than so many is split by their rates instead, 0 or more
	CategoryPrior float64 // rows of the overall rate that are added to each category, above 0
	CategoryFolds int     // parts of the rows that are left out of their own rates, 2 or more
	CategoryBins  int     // most bins of the rates, 2 to 255

	Patience int    // rounds without a better validation loss after which to stop, 1 or more
	Seed     uint64 // of the sampling of rows and features

	// Monotone is, per feature, 1 where the model must never fall as that number
	// rises and all others stay, -1 where it must never rise, 0 where it is free;
	// nil: all are. It holds of numbers that are there: a missing value has a place
	// of its own, whose score nothing binds. A category cannot have one.
	Monotone []int8
	// Groups are the features, by their places, that may act together: the features
	// on a path from the root to a leaf are all in one group, at least. Groups may
	// overlap. A feature in no group is alone (as in XGBoost; LightGBM leaves it out
	// of the model). nil: all may act together.
	Groups [][]int
	// Additive makes a model of main effects: each tree uses one feature alone, so
	// that the model is a sum of functions of one feature each (see
	// tree.Ensemble.Shapes). It has no Groups. Start from AdditiveDefaults.
	Additive bool
}

// Defaults suit tables of some thousand to some ten thousand rows: small trees
// and a low rate, for as many rounds as validation supports.
func Defaults() Options {
	return Options{
		Trees: 2000, Leaves: 16, Rate: 0.04, L2: 1,
		MinRows: 20, MinGain: 0, MinHessian: 1e-3,
		Bins: 255, ColumnShare: 0.35, RowShare: 0.8, RowsMax: 300_000,
		CategoryOneHot: 4, CategoryMax: 32, CategoryRows: 20, CategorySmooth: 20, CategoryL2: 1,
		CategoryRates: 30, CategoryPrior: 10, CategoryFolds: 5, CategoryBins: 32,
		Patience: 50, Seed: 1,
	}
}

// AdditiveDefaults suit models of main effects: trees of three leaves, of one
// feature each, of few features that are tried.
func AdditiveDefaults() Options {
	o := Defaults()
	o.Additive = true
	o.Trees, o.Leaves, o.Rate, o.ColumnShare = 4000, 3, 0.08, 0.25
	return o
}

// Validate lists every fault of the options that can be told without a matrix; each wraps ErrOptions.
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
	check(number(o.MinGain, 0), "MinGain", o.MinGain, "0 or more")
	check(number(o.MinHessian, 0), "MinHessian", o.MinHessian, "0 or more")
	check(o.Bins >= 2 && o.Bins < maxBins, "Bins", o.Bins, "2 to 255")
	check(share(o.ColumnShare), "ColumnShare", o.ColumnShare, "above 0, to 1")
	check(share(o.RowShare), "RowShare", o.RowShare, "above 0, to 1")
	check(o.RowsMax >= 1, "RowsMax", o.RowsMax, "1 or more")
	check(o.CategoryOneHot >= 0, "CategoryOneHot", o.CategoryOneHot, "0 or more")
	check(o.CategoryMax >= 1, "CategoryMax", o.CategoryMax, "1 or more")
	check(o.CategoryRows >= 0, "CategoryRows", o.CategoryRows, "0 or more")
	check(number(o.CategorySmooth, 0), "CategorySmooth", o.CategorySmooth, "0 or more")
	check(number(o.CategoryL2, 0), "CategoryL2", o.CategoryL2, "0 or more")
	check(o.CategoryRates >= 0, "CategoryRates", o.CategoryRates, "0 or more")
	check(o.CategoryPrior > 0 && !math.IsInf(o.CategoryPrior, 1), "CategoryPrior", o.CategoryPrior, "above 0")
	check(o.CategoryFolds >= 2, "CategoryFolds", o.CategoryFolds, "2 or more")
	check(o.CategoryBins >= 2 && o.CategoryBins < maxBins, "CategoryBins", o.CategoryBins, "2 to 255")
	check(o.Patience >= 1, "Patience", o.Patience, "1 or more")
	check(!slices.ContainsFunc(o.Monotone, func(d int8) bool { return d < -1 || d > 1 }), "Monotone", o.Monotone, "-1, 0 or 1 a feature")
	below := func(j int) bool { return j < 0 }
	check(!slices.ContainsFunc(o.Groups, func(g []int) bool { return slices.ContainsFunc(g, below) }), "Groups", o.Groups, "places of features, 0 or more")
	check(!o.Additive || o.Groups == nil, "Additive", o.Additive, "false where there are Groups: an additive model has none")
	return errors.Join(faults...)
}

// Result is what Fit gives.
type Result struct {
	Model *tree.Ensemble
	// ValidLoss is the mean log loss of the validation rows after each round, by
	// weight where they have weights; empty without validation rows.
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
//
// A row of weight w counts as w rows in gradients, hessians, covers, the base
// rate, the rates of categories and the validation loss. MinRows, CategoryRows,
// RowShare, RowsMax and the bins go by rows, whatever they weigh.
// Weights are from 1e-90 to 1e90; those of a row to validate on count in the
// loss alone.
func Fit(ctx context.Context, train, valid *features.Matrix, o Options, progress func(done, total int)) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if train.Rows() == 0 || train.Rows() > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d training rows", ErrMatrix, train.Rows())
	}
	matrices := []*features.Matrix{train}
	if valid != nil && valid.Rows() > 0 {
		matrices = append(matrices, valid)
	}
	rows, err := newBinned(ctx, &o, matrices...)
	if err != nil {
		return nil, err
	}
	b, err := newBooster(rows, numbers(0, train.Rows()), numbers(train.Rows(), len(rows.label)), o)
	if err != nil {
		return nil, err
	}
	b.grower.crew = newCrew()
	defer b.grower.dismiss()
	rows.bins, rows.codes, rows.group = nil, nil, nil // the booster has its table: of many rows, these take memory
	result := &Result{Best: o.Trees}
	lowest := math.Inf(1)
	judging := totalWeight(b.others, b.weight)
	for round := range o.Trees {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.step(round)
		if len(b.others) > 0 {
			loss := totalLoss(b.grower.crew, b.others, b.raw, b.label, b.weight) / judging
			result.ValidLoss = append(result.ValidLoss, loss)
			if loss < lowest {
				lowest, result.Best = loss, round+1
			}
		}
		if progress != nil {
			progress(round+1, o.Trees)
		}
		if len(b.others) > 0 && round+1-result.Best >= o.Patience {
			break
		}
	}
	result.Model, err = b.model(result.Best)
	return result, err
}

// numbers are the whole numbers from one to below another.
func numbers(from, to int) []int32 {
	out := make([]int32, to-from)
	for i := range out {
		out[i] = int32(from + i)
	}
	return out
}

// booster holds a model in the making: it learns from some rows, and scores them
// and others as the trees come.
type booster struct {
	Options
	*binned
	train, others []int32
	base          float64
	raw           []float64 // of all rows of binned

	grower  grower
	sigmoid *sigmoid
	unit    float64 // of the weights, see weigh; 0: there are none
	trees   []grown
}

type grown struct {
	round int
	nodes []tree.Node
}

func newBooster(rows *binned, train, others []int32, o Options) (*booster, error) {
	b := &booster{Options: o, binned: rows, train: train, others: others}
	var mixed bool
	if b.base, mixed = baseOf(rows.label, rows.weight, train); !mixed {
		return nil, fmt.Errorf("%w: %d rows of label %v", ErrOneClass, len(train), rows.label[train[0]])
	}
	b.grower = grower{Options: &b.Options, table: newTable(rows, train, &o)}
	b.grower.groups = groupsOf(&o, b.grower.columns)
	if b.uneven() {
		b.weigh()
	}
	b.sigmoid = newSigmoid()
	b.raw = make([]float64, len(rows.label))
	for i := range b.raw {
		b.raw[i] = b.base
	}
	return b, nil
}

// step runs one round: a tree on the gradients at the present scores.
func (b *booster) step(round int) {
	g := &b.grower
	b.sampleRows(round)
	g.words = slices.Grow(g.words[:0], len(g.sample))[:len(g.sample)]
	if key := datasets.Mix(datasets.Mix(b.Seed) + uint64(round)); b.unit == 0 {
		fillWords(g.crew, g.words, g.sample, b.raw, b.label, b.sigmoid, key)
	} else {
		b.fillWide(key)
	}
	nodes := g.grow(b.sampleColumns(round))
	if nodes == nil {
		return
	}
	g.addTo(b.raw, nodes)
	b.trees = append(b.trees, grown{round, export(nodes, g.columns)})
}

// model is the ensemble of the trees of the first rounds.
func (b *booster) model(rounds int) (*tree.Ensemble, error) {
	levels := make([]int, len(b.features))
	for j, f := range b.features {
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
