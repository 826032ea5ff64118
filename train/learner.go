package train

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/train/gbdt"
	"propensity/train/golearn"
)

// Learner fits a model. It learns from train alone; valid, which may be empty,
// may end the fit early. Fit does not change the learner, so that a settled one
// fits any rows again in the same way.
type Learner interface {
	Fit(ctx context.Context, train, valid features.Matrix) (models.Model, error)
}

// Boosting is gradient boosting of trees (package gbdt).
type Boosting struct {
	Options  gbdt.Options
	progress func(done, total int)
}

// Fit grows Options.Trees trees, or fewer if valid says so.
func (b Boosting) Fit(ctx context.Context, train, valid features.Matrix) (models.Model, error) {
	r, err := gbdt.Fit(ctx, &train, &valid, b.Options, b.progress)
	if err != nil {
		return nil, err
	}
	return r.Model, nil
}

// options are the learner's own where nothing was given by hand.
func (b BoostingSettings) options(seed uint64) gbdt.Options {
	o := gbdt.Defaults()
	o.Trees, o.Leaves, o.Rate = cmp.Or(b.Trees, o.Trees), cmp.Or(b.Leaves, o.Leaves), cmp.Or(b.Rate, o.Rate)
	o.Seed = seed
	return o
}

// CART is golearn's classification tree on a sample (package golearn): small,
// readable, a challenger on request.
type CART struct{ Options golearn.Options }

// Fit grows one tree.
func (c CART) Fit(ctx context.Context, train, _ features.Matrix) (models.Model, error) {
	m, err := golearn.FitCART(ctx, &train, c.Options)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// settled is a learner whose settings are chosen, with the out-of-fold log-odds
// of the rows they were chosen on (NaN where a row is in no fold's test).
type settled struct {
	Learner
	settings map[string]float64
	raw      []float64
}

// settle chooses a learner's settings by the folds.
func settle(ctx context.Context, name string, m *features.Matrix, folds []datasets.Fold, s Spec, tick func(done, total int)) (settled, error) {
	switch name {
	case boosting:
		var raw []float64
		var err error
		o := s.Boosting.options(s.Seed)
		if s.Boosting.Trees > 0 {
			raw, err = outOfFold(ctx, Boosting{Options: o}, m, folds, tick)
		} else {
			o, raw, err = gbdt.CrossFit(ctx, m, folds, o, tick)
		}
		return settled{Boosting{o, tick}, map[string]float64{"trees": float64(o.Trees), "leaves": float64(o.Leaves), "rate": o.Rate}, raw}, err
	case logistic:
		l := Logistic{L2: 1}
		raw, err := outOfFold(ctx, l, m, folds, tick)
		return settled{l, map[string]float64{"l2": l.L2}, raw}, err
	case cart:
		l := CART{golearn.Defaults(s.Seed)}
		raw, err := outOfFold(ctx, l, m, folds, tick)
		return settled{l, map[string]float64{"depth": float64(l.Options.Depth), "rows": float64(l.Options.Rows)}, raw}, err
	}
	return settled{}, fmt.Errorf("%w: unknown learner %q", ErrSpec, name)
}

// outOfFold scores every row by a model that did not learn from it.
func outOfFold(ctx context.Context, l Learner, m *features.Matrix, folds []datasets.Fold, tick func(done, total int)) ([]float64, error) {
	raw := make([]float64, m.Rows())
	for i := range raw {
		raw[i] = math.NaN()
	}
	for k, f := range folds {
		tick(k, len(folds))
		model, err := l.Fit(ctx, m.Take(f.Train), features.Matrix{})
		if err != nil {
			return nil, fmt.Errorf("fold %d: %w", k, err)
		}
		test := m.Take(f.Test)
		for j, r := range models.RawAll(model, test.Columns, test.Rows()) {
			raw[f.Test[j]] = r
		}
	}
	tick(len(folds), len(folds))
	return raw, nil
}
