package report

import (
	"fmt"
	"strings"

	"propensity/models"
)

// weakShown are the weak segments that are shown at once; the others are folded.
const weakShown = 10

func (r *reporter) segmentsSection() (section, error) {
	s := section{ID: "segments", Title: "Where it is weak"}
	if len(r.e.Segments) == 0 {
		return s, nil
	}
	head := []string{"segment", "what is the matter", "had the outcome", "promised", "ROC AUC", "rows"}
	weak, more, others := &table{Head: head, Left: 2}, &table{Head: head, Left: 2}, &table{Head: head, Left: 2}
	for _, x := range r.e.Segments {
		to, mark, what := others, "", "nothing found"
		switch {
		case x.Weak != "":
			to, mark, what = weak, "bad", sentence(x.Weak)
			if len(weak.Rows) >= weakShown {
				to = more
			}
		case x.Few:
			what = "too few accounts to judge"
		}
		area := "–"
		if x.ROCAUC != nil {
			area = ranged(*x.ROCAUC, 3)
		}
		to.add(mark, x.Column+" = "+x.Value, what, rate(x.Observed), percent(x.MeanProbability), area, count(x.Rows))
	}
	if len(weak.Rows) == 0 {
		s.Text = []string{fmt.Sprintf("In none of %s is it worse than chance explains.", many(len(r.e.Segments), "segment"))}
	} else {
		s.Text = []string{fmt.Sprintf("In %d of %s it does worse than chance explains.", len(weak.Rows)+len(more.Rows), many(len(r.e.Segments), "segment"))}
		s.Blocks = append(s.Blocks, block{Title: "Weak", Table: weak})
	}
	if len(more.Rows) > 0 {
		s.Blocks = append(s.Blocks, block{Title: many(len(more.Rows), "more weak segment"), Table: more, Folded: true})
	}
	if len(others.Rows) > 0 {
		s.Blocks = append(s.Blocks, block{Title: many(len(others.Rows), "other segment"), Table: others, Folded: true})
	}
	return s, nil
}

func (r *reporter) leftOutSection() (section, error) {
	s := section{ID: "left-out", Title: "What was left out, and why"}
	proven, suspect := &table{Head: []string{"column", "decision", "evidence"}, Left: 3}, &table{Head: []string{"column", "decision", "evidence"}, Left: 3}
	court := map[string]bool{}
	for i := range r.e.Leaks {
		l := &r.e.Leaks[i]
		to, mark := suspect, ""
		if l.Verdict == models.LeakProven {
			to = proven
			if l.Kept {
				mark = "bad"
			}
		}
		if !l.Kept {
			court[l.Column] = true
		}
		to.add(mark, l.Column, decision(l), evidenceText(l))
	}
	if len(proven.Rows) > 0 {
		s.Blocks = append(s.Blocks, block{Title: "Know the outcome: proven", Table: proven})
	}
	if len(suspect.Rows) > 0 {
		s.Blocks = append(s.Blocks, block{Title: "May know the outcome: suspect", Table: suspect})
	}
	rest := &table{Head: []string{"column", "why it was left out"}, Left: 2}
	for _, l := range r.m.LeftOut {
		if !court[l.Column] {
			rest.add("", l.Column, sentence(l.Reason))
		}
	}
	if len(rest.Rows) > 0 {
		title := ""
		if len(s.Blocks) > 0 {
			title = "Other columns"
		}
		s.Blocks = append(s.Blocks, block{Title: title, Table: rest})
	}
	if len(r.e.Leaks) > 0 {
		s.Text = []string{"A column that knows the outcome makes a model look good on paper and useless in practice. Proven ones are left out unless the spec clears them; suspects are learnt from, and told here."}
	}
	return s, nil
}

// decision says what was made of a column before the court.
func decision(l *models.Leak) string {
	s := "left out"
	if l.Kept {
		s = "learnt from"
	}
	if l.Cleared != "" {
		s += "; cleared by the spec: " + l.Cleared
	}
	return s
}

func evidenceText(l *models.Leak) string {
	var all []string
	for _, e := range l.Evidence {
		if text := sentence(e.Detail); text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

func (r *reporter) madeSection() (section, error) {
	m := r.m
	t := &table{Head: []string{"", ""}, Left: 2}
	add := func(name, value string) {
		if value != "" {
			t.add("", name, value)
		}
	}
	add("outcome", outcome(m))
	add("account", m.Account)
	add("moment", m.Moment)
	add("money at stake", m.Value)
	data := fmt.Sprintf("%s of %s, %s", many(m.Data.Rows, "row"), many(m.Data.Accounts, "account"), many(m.Data.Positives, "positive"))
	if m.Data.Rows > 0 {
		data += " (" + percent(float64(m.Data.Positives)/float64(m.Data.Rows)) + ")"
	}
	if m.Data.Unlabelled > 0 {
		data += fmt.Sprintf("; %s without a label", many(m.Data.Unlabelled, "row"))
	}
	add("data", data)
	add("fingerprint of the data", m.Data.Fingerprint)
	add("split", splitText(m))
	if m.Split.TrainedUntil != "" {
		add("learnt from rows up to", day(m.Split.TrainedUntil))
	}
	add("horizon", m.Split.Horizon)
	add("base rate of the rows learnt from", percent(m.BaseRate))
	add("learner", m.Learner+settingsText(r.chosen.Settings))
	add("calibration", calibrationText(r.e, r.calibration))
	add("seed", fmt.Sprint(m.Seed))
	for _, note := range m.Notes {
		add("note", sentence(note))
	}
	return section{ID: "made", Title: "How it was made", Blocks: []block{{Table: t}}}, nil
}

func splitText(m *models.Manifest) string {
	s := fmt.Sprintf("by %s: %s to learn from, %s to judge", m.Split.Kind, many(m.Split.Trained, "row"), count(m.Split.Judged))
	if m.Split.Purged > 0 {
		s += fmt.Sprintf(", %s purged because their horizon reaches into the judging window", count(m.Split.Purged))
	}
	if m.Split.Refit {
		s += "; then fitted again on all rows"
	}
	return s
}

func calibrationText(e *models.Metrics, c models.Calibration) string {
	var tried []string
	for _, kind := range calibrationKinds(e) {
		tried = append(tried, fmt.Sprintf("%s %s", kind, decimal(e.Calibration.Brier[kind], 4)))
	}
	if len(tried) == 0 {
		return c.Kind
	}
	return c.Kind + " (Brier score out of fold: " + strings.Join(tried, ", ") + ")"
}

// caveats hold for every model.
func caveats() []string {
	return []string{
		"The reasons tell what the model looked at, not what would change the outcome: they are association, not effect. Whether a call or a discount helps, only a trial with a control group tells.",
		"Figures hold for accounts like those of the table. Where the business, the product or the market changes, judge again.",
		"A probability is right for many accounts together and says little of one alone.",
	}
}

func (r *reporter) caveatsSection() (section, error) {
	return section{ID: "caveats", Title: "Caveats", Text: caveats()}, nil
}
