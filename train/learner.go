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
	regression "propensity/train/logistic"
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

// boostingOptions are those of boosting, or of additive, which keep to what the
// spec allows.
func (s Spec) boostingOptions(name string, m *features.Matrix) gbdt.Options {
	o := s.Boosting.options(s.Seed)
	if name == additive {
		o = gbdt.AdditiveDefaults()
		o.Seed = s.Seed
	}
	return s.constrained(o, m)
}

// constrained are options with what the spec allows, by the places that its
// columns have in the matrix.
func (s Spec) constrained(o gbdt.Options, m *features.Matrix) gbdt.Options {
	place := map[string]int{}
	for j, f := range m.Features {
		place[f.Name] = j
	}
	if len(s.Monotone) > 0 {
		o.Monotone = make([]int8, len(m.Features))
		for c, way := range s.Monotone {
			if j, ok := place[c]; ok {
				o.Monotone[j] = map[string]int8{rising: 1, falling: -1}[way]
			}
		}
	}
	if !o.Additive && len(s.Together) > 0 {
		o.Groups = [][]int{}
		for _, columns := range s.Together {
			var group []int
			for _, c := range columns {
				if j, ok := place[c]; ok {
					group = append(group, j)
				}
			}
			o.Groups = append(o.Groups, group)
		}
	}
	return o
}

// CART is golearn's classification tree on a sample (package golearn): small,
// readable, a challenger on request.
type CART struct{ Options golearn.Options }

// Fit grows one tree.
func (c CART) Fit(ctx context.Context, train, _ features.Matrix) (models.Model, error) {
	train, err := train.Dense()
	if err != nil {
		return nil, err
	}
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
	model    models.Model // that of the fold if there is only one
}

// settle chooses a learner's settings by the folds.
func settle(ctx context.Context, name string, e *encoded, folds []datasets.Fold, s Spec, tick func(done, total int)) (settled, error) {
	m := &e.matrix
	switch name {
	case boosting, additive:
		return settleBoosting(ctx, name, m, folds, s, tick)
	case elastic:
		return settleElastic(ctx, m, folds, tick)
	case scorecard:
		l := Scorecard{s.Scorecard.options(e.encoder)}
		raw, model, err := outOfFold(ctx, l, m, folds, tick)
		return settled{l, nil, raw, model}, err
	case logistic:
		penalty, err := parsePenalty(s.Penalty)
		if err != nil {
			return settled{}, err
		}
		l := regression.Learner{L2: penalty}
		raw, model, err := outOfFold(ctx, l, m, folds, tick)
		return settled{l, map[string]float64{"l2": max(0, l.L2)}, raw, model}, err
	case cart:
		l := CART{golearn.Defaults(s.Seed)}
		raw, model, err := outOfFold(ctx, l, m, folds, tick)
		return settled{l, map[string]float64{"depth": float64(l.Options.Depth), "rows": float64(l.Options.Rows)}, raw, model}, err
	}
	return settled{}, fmt.Errorf("%w: unknown learner %q", ErrSpec, name)
}

// settleElastic chooses the penalty of an elastic net.
func settleElastic(ctx context.Context, m *features.Matrix, folds []datasets.Fold, tick func(done, total int)) (out settled, err error) {
	chosen, raw, err := regression.ChoosePath(ctx, m, folds, regression.ChooseOptions{Progress: tick})
	if err != nil {
		return out, err
	}
	l := regression.Learner(chosen)
	out = settled{Learner: l, settings: map[string]float64{"lambda": l.Lambda, "alpha": l.Alpha}, raw: raw}
	if len(folds) == 1 {
		if out.model, err = l.Fit(ctx, m.Take(folds[0].Train), features.Matrix{}); err == nil {
			out.raw, err = scoreFolds(m, folds, []models.Model{out.model})
		}
	}
	return out, err
}

// settleBoosting finds the number of trees, unless it was given by hand.
func settleBoosting(ctx context.Context, name string, m *features.Matrix, folds []datasets.Fold, s Spec, tick func(done, total int)) (out settled, err error) {
	if name == boosting && s.Tune > 0 {
		return tuneBoosting(ctx, m, folds, s, tick)
	}
	o := s.boostingOptions(name, m)
	trees := name == boosting && s.Boosting.Trees > 0
	switch {
	case trees && len(folds) == 1:
		out.raw, out.model, err = outOfFold(ctx, Boosting{o, tick}, m, folds, func(int, int) {})
	case trees:
		out.raw, out.model, err = outOfFold(ctx, Boosting{Options: o}, m, folds, tick)
	case len(folds) == 1:
		train, valid := m.Take(folds[0].Train), m.Take(folds[0].Test)
		var r *gbdt.Result
		if r, err = gbdt.Fit(ctx, &train, &valid, o, tick); err == nil {
			o.Trees, out.model = r.Best, r.Model
			out.raw, err = scoreFolds(m, folds, []models.Model{r.Model})
		}
	default:
		o, out.raw, err = gbdt.CrossFit(ctx, m, folds, o, tick)
	}
	out.Learner = Boosting{o, tick}
	out.settings = boostingSettings(&o)
	return out, err
}

func boostingSettings(o *gbdt.Options) map[string]float64 {
	return map[string]float64{"trees": float64(o.Trees), "leaves": float64(o.Leaves), "rate": o.Rate}
}

// outOfFold scores every row by a model that did not learn from it; only is the
// model of a single fold.
func outOfFold(ctx context.Context, l Learner, m *features.Matrix, folds []datasets.Fold, tick func(done, total int)) (raw []float64, only models.Model, err error) {
	fitted := make([]models.Model, len(folds))
	for k, f := range folds {
		tick(k, len(folds))
		if fitted[k], err = l.Fit(ctx, m.Take(f.Train), features.Matrix{}); err != nil {
			return nil, nil, fmt.Errorf("fold %d: %w", k, err)
		}
	}
	if raw, err = scoreFolds(m, folds, fitted); err != nil {
		return nil, nil, err
	}
	tick(len(folds), len(folds))
	if len(folds) == 1 {
		only = fitted[0]
	}
	return raw, only, nil
}

// scoreFolds scores the rows that each fold tests by its model, if it has one; NaN
// are the others.
func scoreFolds(m *features.Matrix, folds []datasets.Fold, by []models.Model) ([]float64, error) {
	raw := make([]float64, m.Rows())
	for i := range raw {
		raw[i] = math.NaN()
	}
	for k, f := range folds {
		if by[k] == nil {
			continue
		}
		test := m.Take(f.Test)
		scores, err := rawOf(by[k], &test)
		if err != nil {
			return nil, err
		}
		for j, r := range scores {
			raw[f.Test[j]] = r
		}
	}
	return raw, nil
}
