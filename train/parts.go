package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/models"
)

// foldCount is the number of folds for settings and calibration. Five is the
// usual compromise of bias and cost (Kohavi 1995).
const foldCount = 5

// parts cuts the labelled rows in two: those to learn from, and the newest
// window, or a share of the accounts, that only judges.
func (p *prepared) parts(s Spec) (datasets.Split, models.Split, error) {
	about := models.Split{Kind: s.Split, Share: s.Holdout}
	var cut datasets.Split
	var err error
	switch s.Split {
	case SplitTime:
		cut, err = datasets.SplitTime(p.moments, s.horizon(), s.Holdout)
	case SplitOrder:
		cut, err = datasets.SplitOrder(len(p.label), s.Holdout)
	default:
		var bound uint64
		cut, bound, err = datasets.SplitGroup(p.keys, p.label, s.Holdout)
		about.KeyBound = strconv.FormatUint(bound, 16)
		about.Keys = p.keyOf(s)
	}
	if err == nil {
		err = cut.CheckLabels(p.label)
	}
	if err != nil {
		return cut, about, fmt.Errorf("%w: %w (in all %d positive of %d rows, %d accounts)", ErrTable, err, positives(p.label), len(p.label), p.accounts)
	}
	about.Trained, about.Judged, about.Purged = len(cut.Train), len(cut.Test), len(cut.Purged)
	if s.Horizon > 0 {
		about.Horizon = fmt.Sprintf("%dd", s.Horizon)
	}
	p.learntFrom(&about, cut.Train)
	return cut, about, nil
}

// learntFrom records the rows that a model learns from.
func (p *prepared) learntFrom(about *models.Split, rows []int) {
	switch about.Kind {
	case SplitTime:
		newest := p.moments[rows[0]]
		for _, i := range rows {
			newest = max(newest, p.moments[i])
		}
		about.TrainedUntil = datasets.FormatTime(newest)
	case SplitOrder:
		about.TrainedRows = p.place(rows[len(rows)-1]) + 1
	}
}

// keyOf names what account keys are made of: keys of another origin cannot be compared.
func (p *prepared) keyOf(s Spec) string {
	if s.ID != "" {
		return fmt.Sprintf("id %s seed %d", s.ID, s.Seed)
	}
	return fmt.Sprintf("rows of %s seed %d", strings.Join(p.kinds, ", "), s.Seed)
}

// unseenBy picks, among the given rows, those that a version certainly never
// learnt from; an error says why that cannot be told.
func (p *prepared) unseenBy(about models.Split, s Spec, rows []int) ([]int, error) {
	var unseen func(i int) bool
	switch {
	case about.Kind != s.Split:
		return nil, fmt.Errorf("it was split by %s, this one by %s", about.Kind, s.Split)
	case about.Kind == SplitTime:
		until, err := datasets.ParseTime(about.TrainedUntil)
		if err != nil {
			return nil, err
		}
		// What the newest training labels saw of the future is known to it too.
		days, err := strconv.ParseInt(strings.TrimSuffix(cmp.Or(about.Horizon, "0d"), "d"), 10, 64)
		if err != nil {
			return nil, err
		}
		over := until + days*int64(24*time.Hour/time.Microsecond)
		unseen = func(i int) bool { return p.moments[i] > until && p.moments[i] >= over }
	case about.Kind == SplitOrder:
		unseen = func(i int) bool { return p.place(i) >= about.TrainedRows }
	case about.Refit:
		return nil, errors.New("it was fitted again on all rows")
	case about.Keys != p.keyOf(s):
		return nil, errors.New("its accounts were told apart by another id, seed or set of columns")
	default:
		bound, err := strconv.ParseUint(about.KeyBound, 16, 64)
		if err != nil {
			return nil, err
		}
		unseen = func(i int) bool { return p.keys[i] < bound }
	}
	var out []int
	for _, i := range rows {
		if unseen(i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// From manyRows training rows on, five folds cost more than they tell: what is
// settled, the calibrator included, comes from one slice of the rows, and the
// model is the one that was fitted on the others.
const (
	manyRows   = 100_000
	sliceShare = 0.1
)

// foldSet holds the rounds of predictions out of fold.
type foldSet struct {
	rounds []datasets.Fold
	// inTime says that the rounds test one stretch of time, or of the file, after
	// the other.
	inTime bool
	note   string
}

// cutter cuts rows by the split of the spec.
type cutter func(s Spec, label []float64, keys []uint64, moments []int64) ([]datasets.Fold, error)

// partsOf is how to cut so many rows.
func partsOf(rows int) cutter {
	if rows >= manyRows {
		return sliceOf
	}
	return foldsOf
}

// folds cuts the rows to learn from for predictions out of fold. Places are
// within rows. With too few moments it falls back to accounts, and says so.
func (p *prepared) folds(s Spec, rows []int, cut cutter) (out foldSet, err error) {
	label, keys := datasets.Take(p.label, rows), datasets.Take(p.keys, rows)
	if s.Split != SplitGroup {
		var moments []int64
		if s.Split == SplitTime {
			moments = datasets.Take(p.moments, rows)
		}
		out.rounds, err = cut(s, label, keys, moments)
		if out.inTime = err == nil; err != nil {
			out.note = fmt.Sprintf("settings and calibration come from folds by account, not by %s: %v", s.Split, err)
			s.Split = SplitGroup
		}
	}
	if s.Split == SplitGroup {
		if out.rounds, err = cut(s, label, keys, nil); err != nil {
			return out, wrapTable(err)
		}
	}
	if f := out.rounds; len(f) == 1 {
		which := map[string]string{SplitTime: "the newest", SplitOrder: "the last", SplitGroup: "those of some accounts"}[s.Split]
		one := fmt.Sprintf("settings and calibration come from %d of the %d training rows, %s; the model learnt from %d others", len(f[0].Test), len(rows), which, len(f[0].Train))
		if out.note != "" {
			one = out.note + "; " + one
		}
		out.note = one
	}
	return out, nil
}

// windows numbers the rows by the round that tests them, where the rounds follow
// each other in time; nil elsewhere.
func (f *foldSet) windows(rows int) []int {
	if !f.inTime || len(f.rounds) < 2 {
		return nil
	}
	out := make([]int, rows)
	for k, round := range f.rounds {
		for _, i := range round.Test {
			out[i] = k
		}
	}
	return out
}

// foldsOf cuts rows by the split of the spec into five folds.
func foldsOf(s Spec, label []float64, keys []uint64, moments []int64) (folds []datasets.Fold, err error) {
	switch s.Split {
	case SplitTime:
		folds, err = datasets.FoldsTime(moments, s.horizon(), foldCount)
	case SplitOrder:
		folds, err = datasets.FoldsOrder(len(label), foldCount)
	default:
		return datasets.FoldsGroup(keys, label, foldCount)
	}
	if err == nil {
		err = datasets.CheckFolds(folds, label)
	}
	return folds, err
}

// sliceOf cuts rows by the split of the spec in two, as one fold.
func sliceOf(s Spec, label []float64, keys []uint64, moments []int64) ([]datasets.Fold, error) {
	var cut datasets.Split
	var err error
	switch s.Split {
	case SplitTime:
		cut, err = datasets.SplitTime(moments, s.horizon(), sliceShare)
	case SplitOrder:
		cut, err = datasets.SplitOrder(len(label), sliceShare)
	default:
		cut, _, err = datasets.SplitGroup(keys, label, sliceShare)
	}
	if err == nil {
		err = cut.CheckLabels(label)
	}
	return []datasets.Fold{{Train: cut.Train, Test: cut.Test}}, err
}

func wrapTable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrTable, err)
}

// finite keeps the places whose value is a number.
func finite(xs []float64) []int {
	var out []int
	for i, x := range xs {
		if !math.IsNaN(x) {
			out = append(out, i)
		}
	}
	return out
}
