package report

import (
	"slices"
	"strings"
	"testing"

	"propensity/models"
)

func TestVerdict(t *testing.T) {
	m, e, _ := rich()
	v := verdict(m, e)
	want := Verdict{
		Headline: "This model is better than guessing and than the best one-line rule.",
		Good:     true,
		Points: []string{
			"Of the 312 rows in band A, 31 % (26 to 36 %) had converted = yes, against 5.0 % of all.",
			"The tenth with the highest probabilities holds 48 % of all positives, 4.8 times as many as a tenth picked at random, and 37 % of the money at stake.",
			"Its probabilities keep their word on average: 5.2 % were promised, 5.0 % came; they miss by 0.7 points in the mean.",
			"Of a positive and a negative row it ranks the positive one higher in 86 % of cases (ROC AUC 0.858, 0.840 to 0.876).",
			"It looks most at logins, industry and seats_invited.",
			"It learnt from 12,301 rows up to 31 March 2025 and was judged on 3,075 later rows.",
		},
		Care: []string{
			"It is weak where country = JP.",
			"It learns from invoice_count, which the data show to know the outcome; the spec clears it.",
			"It learns from sales_notes, which may know the outcome: see what was left out and why.",
		},
	}
	if v.Headline != want.Headline || v.Good != want.Good || !slices.Equal(v.Points, want.Points) || !slices.Equal(v.Care, want.Care) {
		t.Errorf("%+v", v)
	}
}

// Each thing that speaks against a model is told, and is not told without it.
func TestVerdictWarns(t *testing.T) {
	for told, of := range map[string]func(*models.Manifest, *models.Metrics){
		"This model is not better than guessing beyond doubt: do not rely on it.": func(_ *models.Manifest, e *models.Metrics) {
			e.Gate.Checks[0].Passed, e.Gate.Passed = false, false
		},
		"This model is better than guessing, but not better than the best one-line rule beyond doubt.": func(_ *models.Manifest, e *models.Metrics) {
			e.Gate.Checks[1].Passed, e.Gate.Passed = false, false
		},
		"This model was not compared with guessing.": func(_ *models.Manifest, e *models.Metrics) { e.Gate = models.Gate{Passed: true} },
		"The gate was not passed.":                   func(_ *models.Manifest, e *models.Metrics) { e.Gate.Passed = false },
		"The gate says no (champion): Boosting loses to version 3.": func(_ *models.Manifest, e *models.Metrics) {
			e.Gate.Passed, e.Gate.Checks = false, append(e.Gate.Checks, models.Check{Name: "champion", Detail: "Boosting loses to version 3"})
		},
		"The share of positives moved from 6.0 % among the rows learnt from to 31 % among those that judge.": func(_ *models.Manifest, e *models.Metrics) {
			e.Shift = &models.Shift{Trained: iv(0.06, 0.01), Judged: iv(0.31, 0.01), Moved: true}
		},
		"From 6 % to 31 %: judge again.": func(_ *models.Manifest, e *models.Metrics) {
			e.Shift = &models.Shift{Moved: true, Detail: "from 6 % to 31 %: judge again"}
		},
		"Its probabilities are off on average: 9.0 % were promised, 5.0 % (4.2 to 5.8 %) came.": func(_ *models.Manifest, e *models.Metrics) {
			e.Candidates[2].Report.MeanProbability = 0.09
		},
		"It is judged by only 34 positives: its figures are rough, see their intervals.": func(_ *models.Manifest, e *models.Metrics) { e.Candidates[2].Report.Positives = 34 },
		"It is judged by only 1 negative: its figures are rough, see their intervals.": func(_ *models.Manifest, e *models.Metrics) {
			e.Candidates[2].Report.Positives = e.Candidates[2].Report.Rows - 1
		},
		"Its ranking is not steady over time: ROC AUC 0.600 in the window from Nov 24, 0.848 in that from Oct 24.": func(_ *models.Manifest, e *models.Metrics) {
			e.Backtest.Windows[3].Scores[2].ROCAUC = iv(0.6, 0.03)
		},
		"The share of positives is not steady over time: 4.4 % in the window from Jan 25, 31 % in that from Mar 25.": func(_ *models.Manifest, e *models.Metrics) {
			e.Backtest.Windows[7].BaseRate = iv(0.31, 0.02)
		},
		"Another learner did better than boosting in 5 of 8 windows.": func(_ *models.Manifest, e *models.Metrics) {
			for i := range 5 {
				e.Backtest.Windows[i].Scores[0].LogLoss = iv(0.1, 0.01)
			}
		},
		"In 5 of 8 windows its mean probability was not what came, beyond chance.": func(_ *models.Manifest, e *models.Metrics) {
			for i := range 5 {
				e.Backtest.Windows[i].Scores[2].MeanProbability = 0.2
			}
		},
		"It is weak where country = JP, plan = pro, plan = a and 1 more.": func(_ *models.Manifest, e *models.Metrics) {
			e.Segments[3].Weak = "it ranks no better than chance"
			e.Segments = append(e.Segments, models.Segment{Column: "plan", Value: "a", Weak: "x"}, models.Segment{Column: "plan", Value: "b", Weak: "x"})
		},
		"Its reasons change when it is fitted again on other accounts of the same kind: only 41 % of a row's three largest reasons come again.": func(_ *models.Manifest, e *models.Metrics) {
			e.Learnt.Stability.TopThree = 0.41
		},
	} {
		m, e, _ := rich()
		before := verdict(m, e)
		of(m, e)
		after := verdict(m, e)
		if all := append(after.Care, after.Headline); !slices.Contains(all, told) {
			t.Errorf("not told: %s\nbut: %s", told, strings.Join(all, "\n"))
		}
		if slices.Contains(append(before.Care, before.Headline), told) {
			t.Errorf("told without reason: %s", told)
		}
	}
	m, e, _ := rich()
	e.Leaks, e.Segments = nil, nil
	if care := verdict(m, e).Care; len(care) > 0 {
		t.Errorf("nothing is wrong, and yet: %q", care)
	}
}

// A split without time is not told as one.
func TestVerdictOfSplits(t *testing.T) {
	for kind, want := range map[string]string{
		"group": "It learnt from 12,301 rows and was judged on 3,075 rows of other accounts.",
		"order": "It learnt from 12,301 rows and was judged on 3,075 rows that follow them.",
	} {
		m, _, _ := rich()
		m.Split.Kind, m.Split.TrainedUntil = kind, ""
		if got := learntFrom(m); got != want {
			t.Error(got)
		}
	}
}
