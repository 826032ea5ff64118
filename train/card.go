package train

import (
	"fmt"
	"strings"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/evaluate"
)

// card writes the model card from the run: sections after Mitchell et al.,
// "Model Cards for Model Reporting" (2019). It holds no time and no machine, for
// it is part of what the artifact's hash covers.
func card(a *models.Artifact, picture string) []byte {
	var b strings.Builder
	m := &a.Manifest
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	chosen := a.Metrics.Candidate(a.Metrics.Chosen)
	p("# %s", m.Name)
	p("")
	p("Gives the probability that `%s` is `%s`, with reasons. Learner: %s%s. Calibration: %s.",
		m.Label.Column, m.Label.Positive, m.Learner, settingsText(chosen.Settings), a.Calibration.Kind)
	p("")
	p("## Data")
	p("")
	p("- %d rows of %d accounts, %d positive (%.2f %%).", m.Data.Rows, m.Data.Accounts, m.Data.Positives, 100*float64(m.Data.Positives)/float64(m.Data.Rows))
	p("- Split by %s: %d rows to learn from, %d to judge%s.", m.Split.Kind, m.Split.Trained, m.Split.Judged, purged(m.Split.Purged))
	p("- Fingerprint of the table: `%s`.", m.Data.Fingerprint)
	for _, note := range m.Notes {
		p("- %s.", strings.TrimSuffix(note, "."))
	}
	p("")
	p("## Quality on rows that no learner saw")
	p("")
	p("95 %% intervals, clustered by account.")
	p("")
	p("| | value | interval |")
	p("|---|---|---|")
	r := &chosen.Report
	for _, f := range []struct {
		name string
		v    evaluate.Interval
	}{{"ROC AUC", r.ROCAUC}, {"PR AUC", r.PRAUC}, {"log loss", r.LogLoss}, {"Brier score", r.Brier},
		{"calibration error", r.CalibrationError}, {"precision in the top tenth", r.PrecisionTop10}, {"base rate", r.BaseRate}} {
		p("| %s | %.4f | %.4f to %.4f |", f.name, f.v.Value, f.v.Low, f.v.High)
	}
	p("")
	p("| down to | rows | precision | lift | positives captured |%s", valueHead(r))
	p("|---|---|---|---|---|%s", map[bool]string{true: "---|"}[r.Value != nil])
	for _, d := range r.Deciles {
		money := ""
		if d.CapturedValue != nil {
			money = fmt.Sprintf(" %.1f %% |", 100**d.CapturedValue)
		}
		p("| %.0f %% | %d | %.1f %% | %.2f | %.1f %% |%s", 100*d.Depth, d.Rows, 100*d.Precision, d.Lift, 100*d.CapturedPositives, money)
	}
	p("")
	p("## Bands")
	p("")
	for _, band := range m.Bands {
		p("- %s: from %.2f %%; %.1f %% were positive (%.1f to %.1f %%, of %d rows).", band.Name, 100*band.From, 100*band.Rate.Value, 100*band.Rate.Low, 100*band.Rate.High, band.Rows)
	}
	p("")
	p("## Why this model")
	p("")
	for _, c := range a.Metrics.Candidates {
		gain := ""
		if c.Gain != nil {
			gain = "; over the simpler one: " + gainText(*c.Gain)
		}
		p("- %s: ROC AUC %.4f, log loss %.4f%s.", c.Learner, c.Report.ROCAUC.Value, c.Report.LogLoss.Value, gain)
	}
	for _, c := range a.Metrics.Gate.Checks {
		p("- %s: %s. %s.", map[bool]string{true: "passed", false: "NOT passed"}[c.Passed], c.Name, c.Detail)
	}
	p("")
	p("## What it looks at")
	p("")
	for k, f := range a.Metrics.Importance {
		if k == 20 {
			p("- and %d more.", len(a.Metrics.Importance)-k)
			break
		}
		p("- %s: %.1f %%.", f.Feature, 100*f.Share)
	}
	if picture != "" {
		p("")
		p("## The model as one tree")
		p("")
		b.WriteString(picture)
	}
	if len(m.LeftOut) > 0 {
		p("")
		p("## What was left out")
		p("")
		for _, l := range m.LeftOut {
			p("- %s: %s.", l.Column, l.Reason)
		}
	}
	p("")
	p("## Caveats")
	p("")
	p("The reasons tell what the model looked at, not what would change the outcome. Figures hold for accounts like those of the table; where the business changes, judge again.")
	return []byte(b.String())
}

func settingsText(s map[string]float64) string {
	var parts []string
	for _, name := range []string{"trees", "leaves", "rate", "l2", "min_rows", "min_gain", "column_share", "row_share", "category_smooth", "category_one_hot", "trials", "depth", "rows"} {
		if v, ok := s[name]; ok {
			parts = append(parts, name+" "+datasets.FormatNumber(v))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func purged(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d purged because their horizon reaches into the judging window", n)
}

func valueHead(r *evaluate.Report) string {
	if r.Value == nil {
		return ""
	}
	return " money captured |"
}
