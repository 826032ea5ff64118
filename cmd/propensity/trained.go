package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"propensity/models"
	"propensity/models/evaluate"
)

// trained is what a training run tells.
type trained struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Hash    string `json:"hash"`
	// Identical says that the version was there before, the same to the bit.
	Identical bool `json:"identical"`
	Promoted  bool `json:"promoted"`
	// Kept says that it was not to become champion (--promote never).
	Kept     bool             `json:"kept,omitempty"`
	Gate     models.Gate      `json:"gate"`
	Seconds  float64          `json:"seconds"`
	Manifest *models.Manifest `json:"manifest"`
	Metrics  *models.Metrics  `json:"metrics"`
}

// whatToScore is how to name the rows that a version is to score.
func (a *app) whatToScore(m *models.Manifest) string {
	if !slices.ContainsFunc(m.Files, func(f models.FileHash) bool { return f.Name == models.FeaturesFile }) {
		return "--in new.csv"
	}
	if a.config != defaultConfig {
		return "--facts --config " + a.config
	}
	return "--facts"
}

// showTrained tells people how the training went.
func (a *app) showTrained(t *trained) {
	m := t.Manifest
	a.print("")
	a.print("%s: is %s = %s? %d rows of %d accounts, %.1f %% positive", t.Name, m.Label.Column, m.Label.Positive,
		m.Data.Rows, m.Data.Accounts, 100*float64(m.Data.Positives)/float64(m.Data.Rows))
	for _, note := range m.Notes {
		a.print("  %s", note)
	}
	for _, l := range m.LeftOut {
		a.print("  left out %s: %s", l.Column, l.Reason)
	}
	a.print("")
	a.showMetrics(m, t.Metrics)
	showGate(a, t.Gate)
	a.print("")
	if t.Identical {
		a.print("the same to the bit as %s@%d: not published again", t.Name, t.Version)
	}
	switch {
	case t.Promoted:
		a.print("%s@%d is champion: %s", t.Name, t.Version, filepath.Join(a.registry, t.Name, "v"+strconv.Itoa(t.Version)))
		a.print("next: propensity score %s@champion%s %s --out scores.csv", t.Name, a.registryFlag(), a.whatToScore(m))
	case t.Kept:
		a.print("%s@%d is published, and not promoted, as asked: %s", t.Name, t.Version, filepath.Join(a.registry, t.Name, "v"+strconv.Itoa(t.Version)))
		a.print("next: propensity models promote %s@%d%s", t.Name, t.Version, a.registryFlag())
	default:
		a.print("%s@%d is NOT champion: %s", t.Name, t.Version, filepath.Join(a.registry, t.Name, "v"+strconv.Itoa(t.Version)))
		a.print("next: propensity models promote %s@%d%s   # if you know better than the gate", t.Name, t.Version, a.registryFlag())
	}
}

// registryFlag is what a command to copy needs where the registry is not the default.
func (a *app) registryFlag() string {
	if a.registry == defaultRegistry {
		return ""
	}
	return " --registry " + a.registry
}

// showMetrics prints the evidence for a version.
func (a *app) showMetrics(m *models.Manifest, e *models.Metrics) {
	rows := [][]string{{"judged on rows nothing learnt from", "ROC AUC", "PR AUC", "log loss", "Brier", "calibration error", "precision top 10 %"}}
	for _, c := range e.Candidates {
		name := c.Learner
		if c.Learner == e.Chosen {
			name += " (chosen)"
		}
		r := &c.Report
		rows = append(rows, []string{"  " + name, interval(r.ROCAUC), interval(r.PRAUC), interval(r.LogLoss), interval(r.Brier), interval(r.CalibrationError), interval(r.PrecisionTop10)})
	}
	chosen := e.Candidate(e.Chosen).Report
	rows = append(rows, []string{"  base rate for everyone", "0.500", fmt.Sprintf("%.3f", chosen.BaseRate.Value), fmt.Sprintf("%.3f", chosen.BaseLogLoss), fmt.Sprintf("%.3f", chosen.BaseBrier), "", fmt.Sprintf("%.3f", chosen.BaseRate.Value)})
	a.table(rows)
	a.print("")
	a.print("calibration: %s (Brier out of fold: %s)%s", e.Calibration.Kind, brierText(e.Calibration.Brier), shiftText(&e.Calibration))
	a.showDeciles(&chosen)
	a.print("")
	rows = [][]string{{"band", "from", "rows", "observed"}}
	for _, b := range m.Bands {
		observed := "no rows"
		if b.Rows > 0 {
			observed = percent(b.Rate.Value, b.Rate.Low, b.Rate.High)
		}
		rows = append(rows, []string{b.Name, fmt.Sprintf("%.1f %%", 100*b.From), strconv.Itoa(b.Rows), observed})
	}
	a.table(rows)
	a.print("")
	a.print("looks at: %s", importanceText(e.Importance, 6))
}

func showGate(a *app, g models.Gate) {
	for _, c := range g.Checks {
		a.print("%s %s: %s", map[bool]string{true: "pass", false: "FAIL"}[c.Passed], c.Name, c.Detail)
	}
}

// showDeciles prints what working down the list gives.
func (a *app) showDeciles(r *evaluate.Report) {
	head := []string{"work down to", "precision", "lift", "of all positives"}
	if r.Value != nil {
		head = append(head, "of the money")
	}
	rows := [][]string{head}
	for _, k := range []int{0, 1, 2, 4} {
		if k >= len(r.Deciles) {
			break
		}
		d := r.Deciles[k]
		row := []string{fmt.Sprintf("%.0f %%", 100*d.Depth), fmt.Sprintf("%.1f %%", 100*d.Precision), fmt.Sprintf("%.2f", d.Lift), fmt.Sprintf("%.1f %%", 100*d.CapturedPositives)}
		if d.CapturedValue != nil {
			row = append(row, fmt.Sprintf("%.1f %%", 100**d.CapturedValue))
		}
		rows = append(rows, row)
	}
	a.print("")
	a.table(rows)
}

func interval(v evaluate.Interval) string {
	return fmt.Sprintf("%.3f (%.3f-%.3f)", v.Value, v.Low, v.High)
}

// shiftText tells by how much the odds of all were moved.
func shiftText(c *models.CalibrationChoice) string {
	switch {
	case c.Shift == 0:
		return ""
	case c.Newest != nil:
		return fmt.Sprintf("; log-odds moved by %+.3f, to where the newest training rows are", c.Shift)
	}
	return fmt.Sprintf("; log-odds moved by %+.3f, to the prior", c.Shift)
}

func brierText(brier map[string]float64) string {
	var parts []string
	for _, kind := range []string{"none", "platt", "beta", "isotonic"} {
		if v, ok := brier[kind]; ok {
			parts = append(parts, fmt.Sprintf("%s %.5f", kind, v))
		}
	}
	return strings.Join(parts, ", ")
}

func importanceText(all []models.Importance, most int) string {
	var parts []string
	for _, f := range all[:min(len(all), most)] {
		parts = append(parts, fmt.Sprintf("%s %.0f %%", f.Feature, 100*f.Share))
	}
	if len(all) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(all)-most))
	}
	return strings.Join(parts, ", ")
}
