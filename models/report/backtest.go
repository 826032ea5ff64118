package report

import (
	"fmt"

	"propensity/models"
	"propensity/models/evaluate"
)

// timeline is a backtest read for one learner.
type timeline struct {
	names []string            // of the windows, by their starts
	rates []evaluate.Interval // of positives, one a window
	areas []evaluate.Interval // ROC AUC of the learner
	// judged counts the windows in which the learner has a score, best those in
	// which none had a lower log loss, missed those whose base rate's interval its
	// mean probability is outside of.
	judged, best, missed int
}

func readBacktest(b *models.Backtest, learner string) timeline {
	var t timeline
	var from []string
	for _, w := range b.Windows {
		from = append(from, w.From)
		t.rates = append(t.rates, w.BaseRate)
		for _, s := range w.Scores {
			if s.Learner != learner {
				continue
			}
			t.judged++
			t.areas = append(t.areas, s.ROCAUC)
			if s.MeanProbability < w.BaseRate.Low || s.MeanProbability > w.BaseRate.High {
				t.missed++
			}
			beaten := false
			for _, other := range w.Scores {
				beaten = beaten || other.LogLoss.Value < s.LogLoss.Value
			}
			if !beaten {
				t.best++
			}
		}
	}
	t.names = starts(from)
	return t
}

// maxSeries is how many lines a chart can tell apart, mostMarks how many intervals
// one of half the width has room for.
const (
	maxSeries = 6
	mostMarks = 30
)

func (r *reporter) backtestSection() (section, error) {
	s := section{ID: "backtest", Title: "How it would have done over time"}
	b := r.e.Backtest
	if b == nil || len(b.Windows) == 0 {
		return s, nil
	}
	line := readBacktest(b, r.e.Chosen)
	s.Text = []string{"Each window is judged by models that learnt only from what was over before it; the last one judged this version."}
	for _, note := range b.Notes {
		s.Text = append(s.Text, sentence(note))
	}
	learners := r.learners()
	width := half
	if len(b.Windows)*len(learners) > mostMarks {
		width = whole
	}
	windows := axis{label: "window, by its start", names: line.names, sparse: true, low: -0.4, high: float64(len(line.names)) - 0.6}
	for _, of := range []struct {
		title, unit string
		value       func(*models.BacktestScore) evaluate.Interval
		digits      int
		better      string
	}{
		{"ROC AUC of each window", "ROC AUC", func(s *models.BacktestScore) evaluate.Interval { return s.ROCAUC }, 3, "Higher is better."},
		{"Log loss of each window", "log loss (nats a row)", func(s *models.BacktestScore) evaluate.Interval { return s.LogLoss }, 4, "Lower is better."},
	} {
		var all []*series
		var legend []key
		caption := of.better
		for k, learner := range learners {
			line := &series{ink: series1 + ink(k), ends: true}
			for i := range b.Windows {
				if score := scoreOf(&b.Windows[i], learner); score != nil {
					// Side by side, so that one interval does not hide another.
					line.add(float64(i)+0.12*(float64(k)-float64(len(learners)-1)/2), of.value(score))
				}
			}
			if len(line.x) == 0 {
				continue
			}
			all = append(all, line)
			legend = append(legend, key{line.ink.sign(), fmt.Sprintf("s%d", k+1), learner})
			caption += fmt.Sprintf(" %s: %s at first, %s at last.", learner, decimal(line.y[0].Value, of.digits), decimal(line.y[len(line.y)-1].Value, of.digits))
		}
		if len(all) == 0 {
			continue
		}
		chart, err := lines(width, windows, axis{label: of.unit}, of.title+". "+caption, all...)
		if err != nil {
			return s, err
		}
		f := figure(of.title, caption+" Bars are 95 % intervals.", chart, nil)
		f.Legend, f.Half = legend, width == half
		s.Blocks = append(s.Blocks, f)
	}
	f, err := r.ratesOverTime(b, line, windows)
	if err != nil {
		return s, err
	}
	s.Blocks = append(s.Blocks, f, block{Table: windowTable(b), Folded: true})
	return s, nil
}

// ratesOverTime is what came in each window beside what was known and promised.
func (r *reporter) ratesOverTime(b *models.Backtest, line timeline, windows axis) (block, error) {
	came, known, promised := &series{ink: series1, ends: true}, &series{ink: text2, plain: true, dashed: true}, &series{ink: series2}
	for i, w := range b.Windows {
		came.add(float64(i), clamped(w.BaseRate))
		known.add(float64(i), point(w.TrainedRate))
		if s := scoreOf(&b.Windows[i], r.e.Chosen); s != nil {
			promised.add(float64(i)+0.12, point(s.MeanProbability))
		}
	}
	last := b.Windows[len(b.Windows)-1]
	caption := fmt.Sprintf("In the first window %s had the outcome, in the last %s; the models of the last knew %s.", rate(b.Windows[0].BaseRate), rate(last.BaseRate), percent(last.TrainedRate))
	chart, err := lines(half, windows, percentAxis("had the outcome"), "Share of positives of each window. "+caption, known, came, promised)
	f := figure("Share of positives of each window", caption, chart, nil)
	f.Half = true
	f.Legend = []key{{came.ink.sign(), "s1", "came, 95 % interval"}, {promised.ink.sign(), "s2", "promised by " + r.e.Chosen}, {"┄", "muted", "known to the models"}}
	return f, err
}

func scoreOf(w *models.BacktestWindow, learner string) *models.BacktestScore {
	for i := range w.Scores {
		if w.Scores[i].Learner == learner {
			return &w.Scores[i]
		}
	}
	return nil
}

// learners are those of the candidates, then others of the backtest.
func (r *reporter) learners() (names []string) {
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] && len(names) < maxSeries {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, c := range r.e.Candidates {
		add(c.Learner)
	}
	for _, w := range r.e.Backtest.Windows {
		for _, s := range w.Scores {
			add(s.Learner)
		}
	}
	return names
}

func windowTable(b *models.Backtest) *table {
	t := &table{Head: []string{"from", "to", "learner", "learnt from", "judged", "had the outcome", "promised", "ROC AUC", "log loss", "calibration error"}, Left: 3}
	for _, w := range b.Windows {
		if len(w.Scores) == 0 {
			t.add("", day(w.From), day(w.To), "–", count(w.Trained), count(w.Judged), rate(w.BaseRate), "", "", "", "")
		}
		for _, s := range w.Scores {
			t.add("", day(w.From), day(w.To), s.Learner, count(w.Trained), count(w.Judged), rate(w.BaseRate), percent(s.MeanProbability), ranged(s.ROCAUC, 3), ranged(s.LogLoss, 4), ranged(s.CalibrationError, 4))
		}
	}
	return t
}

func (r *reporter) shiftSection() (section, error) {
	s := section{ID: "shift", Title: "Has the share of positives moved?"}
	x := r.e.Shift
	if x == nil {
		return s, nil
	}
	answer := "It has not moved beyond chance"
	if x.Moved {
		answer = "It has moved"
	}
	s.Text = []string{fmt.Sprintf("%s: %s among the rows learnt from, %s among those that judge.", answer, rate(x.Trained), rate(x.Judged)), sentence(x.Detail)}
	if x.Prior != nil {
		s.Text = append(s.Text, fmt.Sprintf("The calibration was set to a base rate of %s.", percent(*x.Prior)))
	}
	return s, nil
}
