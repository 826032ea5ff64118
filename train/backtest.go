package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/evaluate"
	regression "propensity/train/logistic"
)

// backtestWindows is how many windows are looked at unless the spec says
// otherwise, and leastWindow what each of them needs of either label.
const (
	backtestWindows = 6
	leastWindow     = 10
)

// window is a stretch of rows with what could be learnt from before it.
type window struct {
	train, test []int
	purged      int
}

// backtest judges the learners as they would have done window by window: each
// time the encoder, the model, the number of rounds and the calibrator come from
// rows that were over before the window began (a rolling origin; Tashman 2000,
// "Out-of-sample tests of forecasting accuracy", section 3). Settings given by
// hand stay; tuning is not done again. The windows lie within the rows to learn
// from; the judging window, with the figures of the version itself, comes last.
func (r *run) backtest(ctx context.Context, all []*judged, cut datasets.Split) error {
	if r.Split == SplitGroup || r.Backtest < 0 || r.Quick {
		return nil
	}
	n := r.Backtest
	if n == 0 {
		n = backtestWindows
	}
	b := &models.Backtest{}
	windows, notes := r.windows(cut.Train, n)
	b.Notes = notes
	r.progress("backtest", 0, len(windows)+1)
	for k, w := range windows {
		entry, err := r.backtestWindow(ctx, w, all)
		switch {
		case errors.Is(err, ErrTable) || errors.Is(err, regression.ErrOneClass):
			b.Notes = append(b.Notes, fmt.Sprintf("window %d of %d of the backtest is left out: %v", k+1, len(windows), err))
		case err != nil:
			return fmt.Errorf("backtest, window %d of %d: %w", k+1, len(windows), err)
		default:
			b.Windows = append(b.Windows, *entry)
		}
		r.progress("backtest", k+1, len(windows)+1)
	}
	last, err := r.describe(window{cut.Train, cut.Test, len(cut.Purged)})
	if err != nil {
		return err
	}
	for _, j := range all {
		last.Scores = append(last.Scores, scoreOf(j.name, j.report))
	}
	b.Windows = append(b.Windows, *last)
	b.Notes = append(b.Notes, unsteady(b)...)
	r.note(unsteady(b)...)
	r.metrics.Backtest = b
	r.progress("backtest", 1, 1)
	return nil
}

// windows cuts the newer rows to learn from into up to n windows of adjoining
// moments or positions, about as many rows each; the oldest block only trains.
func (p *prepared) windows(rows []int, n int) (out []window, notes []string) {
	position := func(i int) int64 { return int64(p.place(i)) }
	horizon := int64(0)
	if p.byTime {
		position = func(i int) int64 { return p.moments[i] }
		horizon = p.horizon
	}
	order := slices.Clone(rows)
	slices.SortStableFunc(order, func(a, b int) int { return int(min(1, max(-1, position(a)-position(b)))) })
	// The first two blocks' worth of rows only train.
	first := 2 * len(order) / (n + 2)
	edges := []int{}
	for k := 0; k <= n; k++ {
		at := first + k*(len(order)-first)/n
		for at > 0 && at < len(order) && position(order[at]) == position(order[at-1]) {
			at-- // rows of one moment are in one window
		}
		if len(edges) == 0 || at > edges[len(edges)-1] {
			edges = append(edges, at)
		}
	}
	few := 0
	for k := 1; k < len(edges); k++ {
		w := window{test: slices.Clone(order[edges[k-1]:edges[k]])}
		start := position(w.test[0])
		for _, i := range order[:edges[k-1]] {
			if position(i)+horizon <= start {
				w.train = append(w.train, i)
			} else {
				w.purged++
			}
		}
		slices.Sort(w.test)
		slices.Sort(w.train)
		if !p.bothLabels(w.test) || !p.bothLabels(w.train) {
			few++
			continue
		}
		out = append(out, w)
	}
	if few > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d windows of the backtest have fewer than %d rows of a label, to learn from or to judge by, and are left out", few, len(edges)-1, leastWindow))
	}
	return out, notes
}

func (p *prepared) bothLabels(rows []int) bool {
	n := positives(datasets.Take(p.label, rows))
	return n >= leastWindow && len(rows)-n >= leastWindow
}

// describe is a window without scores.
func (p *prepared) describe(w window) (*models.BacktestWindow, error) {
	label := datasets.Take(p.label, w.test)
	rate, err := evaluate.Rate(label, datasets.Take(p.group, w.test))
	if err != nil {
		return nil, wrapTable(err)
	}
	out := &models.BacktestWindow{
		Trained: len(w.train), Judged: len(w.test), Purged: w.purged,
		TrainedRate: mean(datasets.Take(p.label, w.train)), BaseRate: rate,
	}
	out.From, out.To = fmt.Sprintf("row %d", p.place(w.test[0])+1), fmt.Sprintf("row %d", p.place(w.test[len(w.test)-1])+1)
	if p.byTime {
		moments := datasets.Take(p.moments, w.test)
		out.From, out.To = datasets.FormatTime(slices.Min(moments)), datasets.FormatTime(slices.Max(moments))
	}
	return out, nil
}

// backtestWindow learns before a window and judges in it.
func (r *run) backtestWindow(ctx context.Context, w window, all []*judged) (*models.BacktestWindow, error) {
	out, err := r.describe(w)
	if err != nil {
		return nil, err
	}
	e, err := r.encode(w.train)
	if err != nil {
		return nil, err
	}
	s := r.Spec
	s.Tune = 0
	folds, err := r.folds(s, w.train, sliceOf) // the newest rows settle and calibrate
	if err != nil {
		return nil, err
	}
	m := r.encodeRows(e.encoder, w.test)
	for _, j := range all {
		f, err := fitLearner(ctx, j.name, e, folds, s, func(int, int) {})
		if err != nil {
			return nil, err
		}
		now, err := r.judge(f, &m, w.test, r.Seed)
		if err != nil {
			return nil, wrapTable(err)
		}
		out.Scores = append(out.Scores, scoreOf(j.name, now.report))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scoreOf(learner string, r *evaluate.Report) models.BacktestScore {
	return models.BacktestScore{Learner: learner, MeanProbability: r.MeanProbability, ROCAUC: r.ROCAUC, LogLoss: r.LogLoss, Brier: r.Brier, CalibrationError: r.CalibrationError}
}

// A learner is unsteady where its ROC AUC in one window differs from that in
// another by more than so much, and their intervals do not touch.
const unsteadyROCAUC = 0.05

// unsteady says where a backtest shows that tomorrow may not be like yesterday.
// The newest window is not among those compared: the warning could have been
// given before it.
func unsteady(b *models.Backtest) (notes []string) {
	before := b.Windows[:len(b.Windows)-1]
	if len(before) < 2 {
		return nil
	}
	low, high := before[0].BaseRate, before[0].BaseRate
	for _, w := range before {
		if w.BaseRate.Value < low.Value {
			low = w.BaseRate
		}
		if w.BaseRate.Value > high.Value {
			high = w.BaseRate
		}
	}
	if low.High < high.Low && high.Value > 1.5*low.Value {
		notes = append(notes, fmt.Sprintf("the base rate went from %.1f %% to %.1f %% among the windows before the newest: the world that it learnt from does not stand still", 100*low.Value, 100*high.Value))
	}
	for k, first := range before[0].Scores {
		worst, best := first.ROCAUC, first.ROCAUC
		for _, w := range before {
			if a := w.Scores[k].ROCAUC; a.Value < worst.Value {
				worst = a
			} else if a.Value > best.Value {
				best = a
			}
		}
		if best.Value-worst.Value > unsteadyROCAUC && worst.High < best.Low {
			notes = append(notes, fmt.Sprintf("%s ranked unsteadily before the newest window: ROC AUC from %.3f to %.3f", first.Learner, worst.Value, best.Value))
		}
	}
	wins := map[string]int{}
	var names []string
	for _, w := range before {
		best := w.Scores[0]
		for _, sc := range w.Scores[1:] {
			if sc.LogLoss.Value < best.LogLoss.Value {
				best = sc
			}
		}
		if wins[best.Learner]++; wins[best.Learner] == 1 {
			names = append(names, best.Learner)
		}
	}
	if len(names) > 1 {
		slices.Sort(names)
		text := ""
		for i, name := range names {
			if i > 0 {
				text += ", "
			}
			text += fmt.Sprintf("%s in %d", name, wins[name])
		}
		notes = append(notes, fmt.Sprintf("no learner was best in all of the %d windows before the newest: %s", len(before), text))
	}
	return notes
}
