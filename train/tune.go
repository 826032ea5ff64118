package train

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/train/gbdt"
)

// Trials is the number of settings that tuning tries unless told otherwise;
// mostTrials is the most there are to try.
const (
	Trials     = mostTrials
	mostTrials = 8
)

// Tuning is successive halving (Jamieson and Talwalkar 2016) with rows for
// resource: every trial learns from a quarter of the rows and is judged by the
// others, then the best quarter of the trials from all but the held-out rows. The
// defaults are one of the trials and always among the last, so that luck with few
// rows cannot lose what they are known to give. Eight trials cost as much as four
// fits of all rows, and the model itself is a fifth.
const (
	tuneQuarter  = 4   // trials to one that goes on; the share of rows is its inverse
	tuneLeast    = 50  // rows of either label that a quarter needs, or else
	tuneWithout  = 4   // no more trials than these are tried, on all rows
	tuneFitTicks = 100 // steps of the progress display for each fit
)

// tuned are the options that tuning chooses.
func tuned(o *gbdt.Options) map[string]float64 {
	return map[string]float64{"column_share": o.ColumnShare, "row_share": o.RowShare, "min_rows": float64(o.MinRows),
		"min_gain": o.MinGain, "l2": o.L2, "category_smooth": o.CategorySmooth, "category_one_hot": float64(o.CategoryOneHot)}
}

// trials are the settings to try, the given ones first. The others change the
// defaults, from trees of few leaves, which suit few rows and little signal, to
// trees of many leaves over few columns and careful with categories. What was set
// by hand stays.
func trials(n int, base gbdt.Options, hand BoostingSettings) []gbdt.Options {
	out := []gbdt.Options{base}
	for _, change := range [mostTrials - 1]func(o *gbdt.Options){
		func(o *gbdt.Options) { o.Leaves, o.Rate, o.L2 = 5, 0.03, 5 },
		func(o *gbdt.Options) { o.Leaves, o.Rate, o.L2 = 8, 0.03, 5 },
		func(o *gbdt.Options) { o.Leaves, o.Rate, o.L2 = 12, 0.03, 5 },
		func(o *gbdt.Options) { o.L2, o.Rate = 5, 0.03 },
		func(o *gbdt.Options) { o.Rate, o.ColumnShare = 0.03, .25 },
		func(o *gbdt.Options) { o.Leaves, o.ColumnShare, o.CategorySmooth = 24, 0.25, 60 },
		func(o *gbdt.Options) { o.Leaves, o.ColumnShare, o.CategorySmooth, o.L2 = 40, 0.2, 60, 5 },
	} {
		o := base
		o.CategoryOneHot = 30 // a category against the rest fits less noise than a set of them
		change(&o)
		o.Leaves, o.Rate = cmp.Or(hand.Leaves, o.Leaves), cmp.Or(hand.Rate, o.Rate)
		out = append(out, o)
	}
	return out[:n]
}

// trial is one of the settings with what it gave.
type trial struct {
	gbdt.Options
	number int
	loss   float64 // mean log loss of the held-out rows
	fit    *gbdt.Result
}

// tuneBoosting chooses settings and rounds by the held-out rows of the last fold.
// With several folds the model is then fitted on all rows; a single one gives the
// model itself.
func tuneBoosting(ctx context.Context, m *features.Matrix, folds []datasets.Fold, s Spec, tick func(done, total int)) (out settled, err error) {
	fold := folds[len(folds)-1] // the newest rows, where the split is by time or order
	quarter, others := quarterOf(m, s.Seed)
	n := s.Tune
	if quarter == nil {
		n = min(n, tuneWithout)
	}
	var field []*trial
	for i, o := range trials(n, s.boostingOptions(boosting, m), s.Boosting) {
		field = append(field, &trial{Options: o, number: i})
	}
	last := n
	fits := n
	if quarter != nil {
		last = max(1, n/tuneQuarter)
		fits += max(last, min(2, n))
	}
	done := 0
	run := func(t *trial, rows, held []int) error {
		train, valid := m.Take(rows), m.Take(held)
		t.fit, err = gbdt.Fit(ctx, &train, &valid, t.Options, func(round, rounds int) {
			tick(done*tuneFitTicks+tuneFitTicks*round/rounds, (fits+1)*tuneFitTicks)
		})
		if err != nil {
			return fmt.Errorf("trial %d: %w", t.number+1, err)
		}
		done++
		t.loss = t.fit.ValidLoss[t.fit.Best-1]
		return nil
	}
	if quarter != nil {
		for _, t := range field {
			if err := run(t, quarter, others); err != nil {
				return out, err
			}
		}
		field = finalists(field, last)
	}
	for _, t := range field {
		if err := run(t, fold.Train, fold.Test); err != nil {
			return out, err
		}
	}
	best := slices.MinFunc(field, byLoss)
	o := best.Options
	o.Trees = best.fit.Best * m.Rows() / len(fold.Train)
	by := make([]models.Model, len(folds))
	by[len(folds)-1] = best.fit.Model
	if out.raw, err = scoreFolds(m, folds, by); err != nil {
		return out, err
	}
	if len(folds) == 1 {
		out.model = best.fit.Model
	}
	out.Learner, out.settings = Boosting{o, tick}, boostingSettings(&o)
	for name, x := range tuned(&o) {
		out.settings[name] = x
	}
	out.settings["trials"] = float64(n)
	return out, nil
}

// byLoss orders trials by their loss, the earlier first among equals.
func byLoss(a, b *trial) int { return cmp.Or(cmp.Compare(a.loss, b.loss), a.number-b.number) }

// finalists are the best n, with the defaults in the place of the last of them if
// they are not there; two at least, if there were two.
func finalists(field []*trial, n int) []*trial {
	defaults := field[0]
	sorted := slices.SortedFunc(slices.Values(field), byLoss)
	out := sorted[:min(max(n, 2), len(sorted))]
	if !slices.Contains(out, defaults) {
		out[len(out)-1] = defaults
	}
	return out
}

// quarterOf parts the rows into those of a quarter of the accounts, to learn from,
// and the others, which judge a trial of few rows; nil if that leaves too few rows
// of either label.
func quarterOf(m *features.Matrix, seed uint64) (quarter, others []int) {
	positive := 0
	for i := range m.Rows() {
		if datasets.Mix(datasets.Mix(seed)^uint64(m.Group[i]))%tuneQuarter == 0 {
			quarter = append(quarter, i)
			positive += int(m.Label[i])
		} else {
			others = append(others, i)
		}
	}
	if min(positive, len(quarter)-positive) < tuneLeast {
		return nil, nil
	}
	return quarter, others
}
