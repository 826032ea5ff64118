package report

import (
	"fmt"
	"math"
	"slices"

	"propensity/models"
	"propensity/models/evaluate"
)

// Verdict is what a reader must know first, in sentences.
type Verdict struct {
	Headline string `json:"headline"`
	// Good says that the gate was passed.
	Good   bool     `json:"good"`
	Points []string `json:"points"`
	// Care is what speaks against relying on the model; empty: nothing was found.
	Care []string `json:"care,omitempty"`
}

// From here on a verdict warns. Below fewPositives a ROC AUC of 0.8 is known no
// better than to some 0.05 either way; the others are where readers begin to err.
const (
	fewPositives  = 100
	alikeReasons  = 0.8 // mean rank correlation of the drivers of refits
	alikeTopThree = 0.6 // of a row's three largest reasons
	goodFidelity  = 0.8 // of a surrogate
	mostNamed     = 3
	leastWindows  = 3 // to speak of most of them
	checkBaseRate = "base rate"
	checkBestRule = "best rule"
)

func verdict(m *models.Manifest, e *models.Metrics) Verdict {
	chosen := e.Candidate(e.Chosen)
	v := Verdict{Headline: headline(e), Good: e.Gate.Passed}
	add := func(s string) {
		if s != "" {
			v.Points = append(v.Points, s)
		}
	}
	add(topBand(m, &chosen.Report))
	add(topTenth(&chosen.Report))
	add(promise(&chosen.Report))
	add(ranking(&chosen.Report))
	add(matters(e))
	add(learntFrom(m))
	for _, of := range []func(*models.Manifest, *models.Metrics, *evaluate.Report) []string{
		gateCare, shiftCare, fewCare, backtestCare, segmentCare, leakCare, stabilityCare,
	} {
		v.Care = append(v.Care, of(m, e, &chosen.Report)...)
	}
	return v
}

// check is that of a name; nil if it was not made.
func check(e *models.Metrics, name string) *models.Check {
	if i := slices.IndexFunc(e.Gate.Checks, func(c models.Check) bool { return c.Name == name }); i >= 0 {
		return &e.Gate.Checks[i]
	}
	return nil
}

func headline(e *models.Metrics) string {
	base, rule := check(e, checkBaseRate), check(e, checkBestRule)
	switch {
	case base == nil:
		return "This model was not compared with guessing."
	case !base.Passed:
		return "This model is not better than guessing beyond doubt: do not rely on it."
	case rule == nil:
		return "This model is better than guessing."
	case !rule.Passed:
		return "This model is better than guessing, but not better than the best one-line rule beyond doubt."
	}
	return "This model is better than guessing and than the best one-line rule."
}

func topBand(m *models.Manifest, r *evaluate.Report) string {
	for _, b := range m.Bands {
		if b.Rows > 0 {
			s := fmt.Sprintf("Of the %s in band %s, %s had %s = %s", many(b.Rows, "row"), b.Name, rate(b.Rate), m.Label.Column, m.Label.Positive)
			if r.Rows > 0 {
				s += fmt.Sprintf(", against %s of all", percent(r.BaseRate.Value))
			}
			return s + "."
		}
	}
	return ""
}

func topTenth(r *evaluate.Report) string {
	if len(r.Deciles) == 0 {
		return ""
	}
	d := r.Deciles[0]
	s := fmt.Sprintf("The tenth with the highest probabilities holds %s of all positives, %s times as many as a tenth picked at random", percent(d.CapturedPositives), decimal(d.Lift, 1))
	if d.CapturedValue != nil {
		s += fmt.Sprintf(", and %s of the money at stake", percent(*d.CapturedValue))
	}
	return s + "."
}

// promise compares the mean probability with what came.
func promise(r *evaluate.Report) string {
	if r.Rows == 0 || r.MeanProbability < r.BaseRate.Low || r.MeanProbability > r.BaseRate.High {
		return ""
	}
	return fmt.Sprintf("Its probabilities keep their word on average: %s were promised, %s came; they miss by %s points in the mean.",
		percent(r.MeanProbability), percent(r.BaseRate.Value), decimal(100*r.CalibrationError.Value, 1))
}

func ranking(r *evaluate.Report) string {
	if r.Rows == 0 {
		return ""
	}
	return fmt.Sprintf("Of a positive and a negative row it ranks the positive one higher in %s of cases (ROC AUC %s, %s).", percent(r.ROCAUC.Value), decimal(r.ROCAUC.Value, 3), between(r.ROCAUC, 3))
}

// matters names what the model looks at most.
func matters(e *models.Metrics) string {
	var names []string
	if e.Learnt != nil && len(e.Learnt.Drivers) > 0 {
		for _, d := range e.Learnt.Drivers {
			if d.Worth {
				names = append(names, d.Question)
			}
		}
	} else {
		for _, i := range e.Importance {
			if i.Share > 0 {
				names = append(names, i.Feature)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "It looks most at " + list(names[:min(mostNamed, len(names))]) + "."
}

func learntFrom(m *models.Manifest) string {
	if m.Split.Trained == 0 {
		return ""
	}
	s := "It learnt from " + many(m.Split.Trained, "row")
	if m.Split.TrainedUntil != "" {
		s += " up to " + day(m.Split.TrainedUntil)
	}
	whose := map[string]string{"time": "later rows", "order": "rows that follow them", "group": "rows of other accounts"}[m.Split.Kind]
	if whose == "" {
		whose = "rows that it never saw"
	}
	s += fmt.Sprintf(" and was judged on %s %s.", count(m.Split.Judged), whose)
	if m.Split.Refit {
		s += " The published model was then fitted again on all rows."
	}
	return s
}

func gateCare(_ *models.Manifest, e *models.Metrics, _ *evaluate.Report) (care []string) {
	for _, c := range e.Gate.Checks {
		if !c.Passed {
			care = append(care, sentence("the gate says no ("+c.Name+"): "+c.Detail))
		}
	}
	if !e.Gate.Passed && len(care) == 0 {
		care = append(care, "The gate was not passed.")
	}
	return care
}

func shiftCare(_ *models.Manifest, e *models.Metrics, r *evaluate.Report) (care []string) {
	if x := e.Shift; x != nil && x.Moved {
		detail := x.Detail
		if detail == "" {
			detail = fmt.Sprintf("the share of positives moved from %s among the rows learnt from to %s among those that judge", percent(x.Trained.Value), percent(x.Judged.Value))
		}
		care = append(care, sentence(detail))
	}
	if r.Rows > 0 && (r.MeanProbability < r.BaseRate.Low || r.MeanProbability > r.BaseRate.High) {
		care = append(care, fmt.Sprintf("Its probabilities are off on average: %s were promised, %s came.", percent(r.MeanProbability), rate(r.BaseRate)))
	}
	return care
}

func fewCare(_ *models.Manifest, _ *models.Metrics, r *evaluate.Report) []string {
	fewer, what := r.Positives, "positive"
	if r.Rows-r.Positives < fewer {
		fewer, what = r.Rows-r.Positives, "negative"
	}
	if r.Rows == 0 || fewer >= fewPositives {
		return nil
	}
	return []string{fmt.Sprintf("It is judged by only %s: its figures are rough, see their intervals.", many(fewer, what))}
}

func backtestCare(_ *models.Manifest, e *models.Metrics, _ *evaluate.Report) (care []string) {
	if e.Backtest == nil {
		return nil
	}
	b := readBacktest(e.Backtest, e.Chosen)
	if low, high, apart := apart(b.areas); apart {
		care = append(care, fmt.Sprintf("Its ranking is not steady over time: ROC AUC %s in the window from %s, %s in that from %s.",
			decimal(b.areas[low].Value, 3), b.names[low], decimal(b.areas[high].Value, 3), b.names[high]))
	}
	if low, high, apart := apart(b.rates); apart {
		care = append(care, fmt.Sprintf("The share of positives is not steady over time: %s in the window from %s, %s in that from %s.",
			percent(b.rates[low].Value), b.names[low], percent(b.rates[high].Value), b.names[high]))
	}
	if b.judged >= leastWindows && 2*b.best < b.judged {
		care = append(care, fmt.Sprintf("Another learner did better than %s in %d of %d windows.", e.Chosen, b.judged-b.best, b.judged))
	}
	if b.judged >= leastWindows && 2*b.missed > b.judged {
		care = append(care, fmt.Sprintf("In %d of %d windows its mean probability was not what came, beyond chance.", b.missed, b.judged))
	}
	return care
}

// apart finds the lowest and the highest interval, and whether they do not meet.
func apart(x []evaluate.Interval) (low, high int, apart bool) {
	if len(x) == 0 {
		return 0, 0, false
	}
	for i, v := range x {
		if v.High < x[low].High {
			low = i
		}
		if v.Low > x[high].Low {
			high = i
		}
	}
	return low, high, x[low].High < x[high].Low
}

func segmentCare(_ *models.Manifest, e *models.Metrics, _ *evaluate.Report) []string {
	var weak []string
	for _, s := range e.Segments {
		if s.Weak != "" {
			weak = append(weak, s.Column+" = "+s.Value)
		}
	}
	if len(weak) == 0 {
		return nil
	}
	return []string{"It is weak where " + someOf(weak, mostNamed) + "."}
}

func leakCare(_ *models.Manifest, e *models.Metrics, _ *evaluate.Report) (care []string) {
	var suspect, cleared []string
	for _, l := range e.Leaks {
		switch {
		case !l.Kept:
		case l.Verdict == models.LeakProven:
			cleared = append(cleared, l.Column)
		case l.Cleared == "":
			suspect = append(suspect, l.Column)
		}
	}
	if len(cleared) > 0 {
		care = append(care, "It learns from "+someOf(cleared, mostNamed)+", which the data show to know the outcome; the spec clears "+map[bool]string{true: "it", false: "them"}[len(cleared) == 1]+".")
	}
	if len(suspect) > 0 {
		care = append(care, "It learns from "+someOf(suspect, mostNamed)+", which may know the outcome: see what was left out and why.")
	}
	return care
}

func stabilityCare(_ *models.Manifest, e *models.Metrics, _ *evaluate.Report) []string {
	if e.Learnt == nil || e.Learnt.Stability == nil {
		return nil
	}
	s := e.Learnt.Stability
	if s.Correlation >= alikeReasons && s.TopThree >= alikeTopThree || math.IsNaN(s.Correlation) {
		return nil
	}
	return []string{fmt.Sprintf("Its reasons change when it is fitted again on other accounts of the same kind: only %s of a row's three largest reasons come again.", percent(s.TopThree))}
}
