package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/train/logistic"
)

const (
	coverageRows   = 20_000  // that coefficients are learnt from
	coverageJudged = 4_000   // that a model is judged on
	coverageTruth  = 400_000 // that tell what is true of the model

	coverageLevel = 0.90
	coverageLeast = 0.86 // of the repetitions
	coverageMost  = 0.94
	leastRepeated = 100 // repetitions, from which there is something to say
)

// coverageProof repeats intervals of what is known.
func coverageProof() proof {
	return proof{
		name: "coverage",
		what: fmt.Sprintf("Intervals of 90 %% hold the truth in 86 to 94 %% of 500 repetitions: the standard errors of a logistic regression of %d "+
			"sign-ups without a penalty, numbers, industries and levels of other columns each taken together; and on %d fresh sign-ups the "+
			"base rate, ROC AUC, PR AUC, log loss and Brier score of a model.", coverageRows, coverageJudged),
		n:   500,
		run: proveCoverage,
	}
}

// hits counts, by what an interval is of, those that miss the truth and those that hold it.
type hits map[string][2]int

func (h hits) count(what string, low, truth, high float64) {
	n := h[what]
	if low <= truth && truth <= high {
		n[1]++
	} else {
		n[0]++
	}
	h[what] = n
}

func proveCoverage(ctx context.Context, r *run) error {
	if r.n < leastRepeated {
		return fmt.Errorf("%d repetitions cannot tell 86 from 94 %%: ask for %d or more", r.n, leastRepeated)
	}
	known, err := newKnown(ctx, r.seed)
	if err != nil {
		return err
	}
	return r.each(ctx, func(ctx context.Context, i int, rng *rand.Rand) error {
		s := sample.SignUps(sample.SignUpOptions{Rows: coverageRows, Seed: rng.Uint64()})
		found := hits{}
		var separated *logistic.NoOptimumError
		switch err := coverCoefficients(ctx, found, s); {
		case errors.As(err, &separated):
			r.tally("tables without an optimum")
		case err != nil:
			return err
		}
		if err := known.cover(found, s, rng.Uint64()); err != nil {
			return err
		}
		return r.cover(i+1, found)
	})
}

// cover adds what repetition number k found, and fails where what is left of them
// cannot bring the coverage back into its bounds.
func (r *run) cover(k int, found hits) error {
	for _, what := range slices.Sorted(maps.Keys(found)) {
		within, missed := what+" within", what+" missed"
		r.state.Tally[within] += found[what][1]
		r.state.Tally[missed] += found[what][0]
		all := float64(r.state.Tally[within]+r.state.Tally[missed]) / float64(k) * float64(r.n)
		if n := float64(r.state.Tally[within]); n > coverageMost*all {
			return fmt.Errorf("%s: %v of %.0f intervals hold the truth, more than %v %%", what, n, all, 100*coverageMost)
		}
		if n := float64(r.state.Tally[missed]); n > (1-coverageLeast)*all {
			return fmt.Errorf("%s: %v of %.0f intervals miss the truth, which leaves less than %v %%", what, n, all, 100*coverageLeast)
		}
	}
	return nil
}

// coverCoefficients learns from all rows and compares with the effects behind them.
func coverCoefficients(ctx context.Context, found hits, s *sample.SignUpTable) error {
	e, m, err := encodeSignUps(s.Table)
	if err != nil {
		return err
	}
	fit, err := logistic.Fit(ctx, &m, logistic.Options{L2: -1})
	if err != nil {
		return err
	}
	effect := map[[2]string]float64{} // by column and level; "" is missing, or a unit of a number
	for _, x := range s.Effects {
		if c := s.Table.Column(x.Column); c.Kind == datasets.Category || !x.Missing {
			effect[[2]string{x.Column, x.Level}] = x.LogOdds
		}
	}
	var names []string
	var levels [][]string
	reference := map[string]string{}
	for j, k := range fit.References() {
		c := &e.Columns[j]
		names, levels = append(names, c.Name), append(levels, c.Levels)
		if k >= 0 {
			reference[c.Name] = c.Levels[k]
		}
	}
	z := quantile90()
	for _, c := range fit.PerUnit(names, levels) {
		against, level := reference[c.Feature]
		what := "numbers"
		switch {
		case c.Feature == "" || c.Missing && !level:
			continue // these depend on the means of the table
		case c.Feature == "industry":
			what = "industries"
		case level:
			what = "other levels"
		}
		truth := effect[[2]string{c.Feature, c.Level}]
		if level {
			truth -= effect[[2]string{c.Feature, against}]
		}
		found.count(what, c.Estimate-z**c.SE, truth, c.Estimate+z**c.SE)
	}
	return nil
}

// quantile90 is how many standard errors an interval of 90 % reaches either way.
func quantile90() float64 { return math.Sqrt2 * math.Erfinv(coverageLevel) }

// known is a model and what is true of it, over all sign-ups there may be.
type known struct {
	model   models.Model
	encoder *features.Encoder
	truth   map[string]float64
}

func newKnown(ctx context.Context, seed uint64) (*known, error) {
	e, m, err := encodeSignUps(sample.SignUps(sample.SignUpOptions{Rows: coverageJudged, Seed: seed}).Table)
	if err != nil {
		return nil, err
	}
	k := &known{encoder: e}
	if k.model, err = (logistic.Learner{}).Fit(ctx, m, features.Matrix{}); err != nil {
		return nil, err
	}
	s := sample.SignUps(sample.SignUpOptions{Rows: coverageTruth, Seed: seed + 1})
	raw, p, err := k.score(s.Table)
	if err != nil {
		return nil, err
	}
	k.truth = truthOf(raw, p, s.Probability)
	return k, nil
}

// score gives the log-odds and probabilities of the model.
func (k *known) score(t *datasets.Table) (raw, p []float64, err error) {
	columns, err := k.encoder.EncodeTable(t, t.Column("moment").Times)
	if err != nil {
		return nil, nil, err
	}
	x := make([]float64, len(columns))
	for i := range t.Rows() {
		for j := range x {
			x[j] = columns[j][i]
		}
		z := k.model.Raw(x)
		raw, p = append(raw, z), append(p, 1/(1+math.Exp(-z)))
	}
	return raw, p, nil
}

// truthOf is what figures of a model expect, over rows whose labels have the given
// probabilities: each row counts as a positive and as a negative, with these weights.
func truthOf(raw, p, probability []float64) map[string]float64 {
	order := make([]int, len(raw))
	var positives, loss, brier float64
	for i, t := range probability {
		order[i] = i
		positives += t
		loss -= t*math.Log(p[i]) + (1-t)*math.Log1p(-p[i])
		brier += t*(1-p[i])*(1-p[i]) + (1-t)*p[i]*p[i]
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(raw[b], raw[a]), cmp.Compare(a, b)) })
	n := float64(len(raw))
	var above, area, precision float64 // positives from the top; a row ties with itself
	for k, i := range order {
		t := probability[i]
		area += (1 - t) * (above + t/2)
		above += t
		precision += t * above / float64(k+1)
	}
	return map[string]float64{
		"base rate": positives / n, "log loss": loss / n, "Brier score": brier / n,
		"ROC AUC": area / positives / (n - positives), "PR AUC": precision / positives,
	}
}

// cover judges the model on some of the rows.
func (k *known) cover(found hits, s *sample.SignUpTable, seed uint64) error {
	rows := make([]int, coverageJudged)
	for i := range rows {
		rows[i] = i
	}
	t := s.Table.Take(rows)
	raw, p, err := k.score(t)
	if err != nil {
		return err
	}
	report, err := evaluate.Judge(t.Column("converted").Numbers, raw, p, nil, nil, evaluate.Options{Seed: seed, Level: coverageLevel})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		what string
		evaluate.Interval
	}{
		{"base rate", report.BaseRate}, {"ROC AUC", report.ROCAUC}, {"PR AUC", report.PRAUC}, {"log loss", report.LogLoss}, {"Brier score", report.Brier},
	} {
		found.count(f.what, f.Low, k.truth[f.what], f.High)
	}
	return nil
}
