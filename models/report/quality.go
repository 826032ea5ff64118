package report

import (
	"fmt"
	"math"

	"gonum.org/v1/plot/vg"

	"propensity/models/evaluate"
)

func percentAxis(label string) axis {
	return axis{label: label + " (%)", share: true}
}

func (r *reporter) calibrationSection() (section, error) {
	s := section{ID: "calibration", Title: "Does a probability keep its word?"}
	all := r.chosen.Report.Calibration
	if len(all) == 0 {
		return s, nil
	}
	t := &table{Head: []string{"mean probability", "had the outcome", "95 % interval", "rows"}}
	held := 0
	for _, b := range all {
		t.add("", percent(b.Probability), percent(b.Observed.Value), within(b.Observed), count(b.Rows))
		if b.Observed.Low <= b.Probability && b.Probability <= b.Observed.High {
			held++
		}
	}
	first, last := all[0], all[len(all)-1]
	caption := fmt.Sprintf("Rows in %d groups of equal size by probability. In %d the probability lies within the interval of what came. Lowest group: %s promised, %s came; highest: %s promised, %s came.",
		len(all), held, percent(first.Probability), percent(first.Observed.Value), percent(last.Probability), percent(last.Observed.Value))
	f, err := calibrationFigure("Promised and observed", caption, whole, all)
	if err != nil {
		return s, err
	}
	// Where few are probable, most groups crowd into one corner.
	if near := lowerGroups(all); near != nil {
		if f, err = calibrationFigure("Promised and observed", caption, half, all); err != nil {
			return s, err
		}
		title := fmt.Sprintf("The lower %d groups, closer", len(near))
		closer, err := calibrationFigure(title, fmt.Sprintf("Up to a probability of %s.", percent(near[len(near)-1].Probability)), half, near)
		if err != nil {
			return s, err
		}
		s.Blocks = []block{f, closer, {Table: t, Folded: true}}
	} else {
		f.Table, f.Folded = t, true
		s.Blocks = []block{f}
	}
	s.Text = []string{fmt.Sprintf("On rows that the model never saw, probabilities miss by %s points in the mean (%s to %s). Calibration: %s.",
		decimal(100*r.chosen.Report.CalibrationError.Value, 1), decimal(100*r.chosen.Report.CalibrationError.Low, 1), decimal(100*r.chosen.Report.CalibrationError.High, 1), r.calibration.Kind)}
	return s, nil
}

func calibrationFigure(title, caption string, width vg.Length, groups []evaluate.Bin) (block, error) {
	points, even, top := &series{ink: series1, ends: true, still: true}, &series{ink: text2, plain: true, dashed: true}, 0.0
	for _, b := range groups {
		points.add(b.Probability, b.Observed)
		top = max(top, b.Probability, b.Observed.High)
	}
	even.add(0, point(0))
	even.add(top, point(top))
	chart, err := lines(width, percentAxis("mean probability"), percentAxis("had the outcome"), title+". "+caption, even, points)
	f := figure(title, caption, chart, nil)
	f.Half = width == half
	f.Legend = []key{{series1.sign(), "s1", "this model, 95 % interval"}, {"┄", "muted", "exactly as promised"}}
	return f, err
}

// lowerGroups are those that a chart of all would crowd together; nil if it does not.
func lowerGroups(all []evaluate.Bin) []evaluate.Bin {
	n := 0
	for n < len(all) && 4*all[n].Probability < all[len(all)-1].Probability {
		n++
	}
	if 2*n < len(all) || n < 3 {
		return nil
	}
	return all[:n]
}

func (r *reporter) gainsSection() (section, error) {
	s := section{ID: "gains", Title: "Whom to work first"}
	report := &r.chosen.Report
	if len(report.Deciles) == 0 {
		return s, nil
	}
	money := report.Deciles[0].CapturedValue != nil
	t := &table{Head: []string{"from the top", "rows", "precision", "lift", "positives captured"}}
	if money {
		t.Head = append(t.Head, "money captured")
	}
	captured, amount, random := &series{name: "positives", ink: series1}, &series{name: "money at stake", ink: series2}, &series{ink: text2, plain: true, dashed: true}
	lift, one := &series{ink: series1}, &series{ink: text2, plain: true, dashed: true}
	captured.add(0, point(0))
	amount.add(0, point(0))
	random.add(0, point(0))
	random.add(1, point(1))
	for _, d := range report.Deciles {
		cells := []string{percent(d.Depth), count(d.Rows), percent(d.Precision), decimal(d.Lift, 2), percent(d.CapturedPositives)}
		captured.add(d.Depth, point(d.CapturedPositives))
		lift.add(d.Depth, point(d.Lift))
		if d.CapturedValue != nil {
			cells = append(cells, percent(*d.CapturedValue))
			amount.add(d.Depth, point(*d.CapturedValue))
		}
		t.add("", cells...)
	}
	one.add(report.Deciles[0].Depth, point(1))
	one.add(1, point(1))
	first, third := report.Deciles[0], report.Deciles[min(2, len(report.Deciles)-1)]
	caption := fmt.Sprintf("The top %s hold %s of all positives, the top %s hold %s.", percent(first.Depth), percent(first.CapturedPositives), percent(third.Depth), percent(third.CapturedPositives))
	x, y := percentAxis("worked from the top"), percentAxis("captured")
	y.high = 1
	all := []*series{random, captured}
	legend := []key{{captured.ink.sign(), "s1", captured.name}, {"┄", "muted", "picked at random"}}
	if money {
		all = append(all, amount)
		legend = append(legend, key{amount.ink.sign(), "s2", amount.name})
	}
	chart, err := lines(half, x, y, "Capture curve. "+caption, all...)
	if err != nil {
		return s, err
	}
	left := figure("Capture", caption, chart, nil)
	left.Legend, left.Half = legend, true
	caption = fmt.Sprintf("Among the top %s the outcome is %s times as frequent as among all; among the top %s, %s times.", percent(first.Depth), decimal(first.Lift, 1), percent(third.Depth), decimal(third.Lift, 1))
	chart, err = lines(half, x, axis{label: "times the base rate", high: 1}, "Lift curve. "+caption, one, lift)
	right := figure("Lift", caption, chart, nil)
	right.Legend, right.Half = []key{{lift.ink.sign(), "s1", "this model"}, {"┄", "muted", "picked at random"}}, true
	s.Blocks = []block{left, right, {Table: t, Folded: true}}
	return s, err
}

func (r *reporter) bandsSection() (section, error) {
	s := section{ID: "bands", Title: "Bands"}
	if len(r.m.Bands) == 0 {
		return s, nil
	}
	t := &table{Head: []string{"band", "probability from", "had the outcome", "95 % interval", "rows", "positives"}, Left: 1}
	var names []string
	var rates []evaluate.Interval
	for _, b := range r.m.Bands {
		if b.Rows == 0 {
			t.add("", b.Name, percent(b.From), "no rows", "", "0", "0")
			continue
		}
		t.add("", b.Name, percent(b.From), percent(b.Rate.Value), within(b.Rate), count(b.Rows), count(b.Positives))
		names, rates = append(names, b.Name), append(rates, b.Rate)
	}
	if len(names) == 0 {
		s.Blocks = []block{{Table: t}}
		return s, nil
	}
	caption := fmt.Sprintf("Of band %s %s had the outcome, of band %s %s.", names[0], rate(rates[0]), names[len(names)-1], rate(rates[len(rates)-1]))
	var levels []level
	if r.chosen.Report.Rows > 0 {
		levels = []level{{r.chosen.Report.BaseRate.Value, text2}}
		caption += fmt.Sprintf(" The dashed line is the base rate, %s.", percent(r.chosen.Report.BaseRate.Value))
	}
	chart, err := dots(whole, percentAxis("had the outcome, 95 % interval"), "Bands. "+caption, names, rates, true, levels...)
	s.Blocks = []block{figure("What was observed in each band", caption, chart, nil), {Table: t}}
	return s, err
}

func (r *reporter) capacitySection() (section, error) {
	s := section{ID: "capacity", Title: "How many a team can work"}
	if len(r.e.Capacity) == 0 {
		return s, nil
	}
	t := &table{Head: []string{"worked each time", "of", "probability from", "had the outcome", "95 % interval", "positives captured"}}
	for _, c := range r.e.Capacity {
		t.add("", count(c.Accounts), count(c.Of), percent(c.From), percent(c.Precision.Value), within(c.Precision), percent(c.CapturedPositives))
	}
	c := r.e.Capacity[0]
	s.Text = []string{fmt.Sprintf("A team that works the top %s of %s accounts meets %s with the outcome, and reaches %s of all positives.", count(c.Accounts), count(c.Of), rate(c.Precision), percent(c.CapturedPositives))}
	s.Blocks = []block{{Table: t}}
	return s, nil
}

func (r *reporter) candidatesSection() (section, error) {
	s := section{ID: "candidates", Title: "Why this learner"}
	if len(r.e.Candidates) == 0 {
		return s, nil
	}
	t := &table{Head: []string{"learner", "log loss", "ROC AUC", "PR AUC", "Brier score", "calibration error", "gain"}, Left: 1}
	var names []string
	var losses []evaluate.Interval
	for _, c := range r.e.Candidates {
		q, mark, name := &c.Report, "", c.Learner
		if c.Learner == r.e.Chosen {
			mark, name = "good", c.Learner+" (chosen)"
		}
		gain := "–"
		if c.Gain != nil {
			gain = ranged(evaluate.Interval{Value: c.Gain.Mean, Low: c.Gain.Low, High: c.Gain.High}, 4)
		}
		t.add(mark, name, ranged(q.LogLoss, 4), ranged(q.ROCAUC, 3), ranged(q.PRAUC, 3), ranged(q.Brier, 4), ranged(q.CalibrationError, 4), gain)
		names, losses = append(names, name), append(losses, q.LogLoss)
	}
	s.Text = []string{"All were judged on the same rows, which none of them learnt from; intervals are 95 %, clustered by account. A more complex learner is chosen only if its gain, by which its log loss is lower than the simpler one's, is above 0 beyond doubt."}
	base := r.e.Candidates[0].Report.BaseLogLoss
	caption := fmt.Sprintf("Lower is better. %s has %s.", r.e.Chosen, ranged(r.chosen.Report.LogLoss, 4))
	levels := []level{{base, text2}}
	legend := []key{{"●", "s1", "log loss, 95 % interval"}, {"┄", "muted", "the base rate for everyone: " + decimal(base, 4)}}
	if r.e.Rule != nil {
		levels = append(levels, level{r.e.Rule.LogLoss, series2})
		legend = append(legend, key{"┄", "s2", "the best one-line rule: " + decimal(r.e.Rule.LogLoss, 4)})
		s.Text = append(s.Text, fmt.Sprintf("The best one-line rule: %s: %s, others %s.", r.e.Rule.Text, percent(r.e.Rule.Matched), percent(r.e.Rule.Others)))
	}
	chart, err := dots(whole, axis{label: "log loss (nats a row)"}, "Candidates. "+caption, names, losses, true, levels...)
	f := figure("Log loss of each candidate", caption, chart, nil)
	f.Legend = legend
	s.Blocks = []block{f, {Table: t}}
	return s, err
}

func (r *reporter) gateSection() (section, error) {
	s := section{ID: "gate", Title: "The gate"}
	if len(r.e.Gate.Checks) == 0 {
		return s, nil
	}
	s.Text = []string{map[bool]string{true: "The gate was passed.", false: "The gate was not passed: the version is published, but is not the champion by itself."}[r.e.Gate.Passed]}
	t := &table{Head: []string{"", "check", "what was found"}, Left: 3}
	for _, c := range r.e.Gate.Checks {
		mark, sign := "good", "✓ passed"
		if !c.Passed {
			mark, sign = "bad", "✗ not passed"
		}
		t.add(mark, sign, c.Name, sentence(c.Detail))
	}
	s.Blocks = []block{{Table: t}}
	return s, nil
}

// clamped keeps an interval in the range of a share.
func clamped(i evaluate.Interval) evaluate.Interval {
	return evaluate.Interval{Value: i.Value, Low: math.Max(i.Low, 0), High: math.Min(i.High, 1)}
}
