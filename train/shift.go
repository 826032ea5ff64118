package train

import (
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/evaluate"
)

// newest finds whether the odds of all move with time: each window of rows in
// turn, the oldest first, is predicted by the calibrator of the windows before it,
// as it is and moved by what the window just before needs. If moving lowers the
// Brier score by a paired 95 % interval that excludes zero, what the newest window
// needs is the shift of the calibration; otherwise it is 0. Window holds the
// window of each row, from 0; raw was not fitted on.
func newest(c models.Calibration, raw, y []float64, group, window []int) (shift float64, gain *evaluate.Difference, err error) {
	last := slices.Max(window)
	fit := map[string]calibrator{models.CalibrationPlatt: fitPlatt, models.CalibrationBeta: fitBeta, models.CalibrationIsotonic: fitIsotonic}[c.Kind]
	var as, moved, label []float64
	var accounts []int
	for k := 1; k <= last; k++ {
		var before, latest, now []int
		for i, w := range window {
			switch {
			case w == k:
				now = append(now, i)
			case w == k-1:
				latest = append(latest, i)
				fallthrough
			case w < k:
				before = append(before, i)
			}
		}
		then := models.Calibration{Kind: models.CalibrationNone}
		if fit != nil {
			if fitted, ok := fit(datasets.Take(raw, before), datasets.Take(y, before)); ok {
				then = fitted
			}
		}
		by, ok := offset(then, datasets.Take(raw, latest), datasets.Take(y, latest))
		if !ok {
			continue
		}
		here := datasets.Take(raw, now)
		as = append(as, probabilities(&then, here)...)
		then.Shift = by
		moved = append(moved, probabilities(&then, here)...)
		label, accounts = append(label, datasets.Take(y, now)...), append(accounts, datasets.Take(group, now)...)
	}
	if len(label) == 0 {
		return 0, nil, nil
	}
	d, err := evaluate.PairedBrier(label, moved, as, accounts)
	if err != nil || d.Low <= 0 {
		return 0, &d, err
	}
	var rows []int
	for i, w := range window {
		if w == last {
			rows = append(rows, i)
		}
	}
	shift, _ = offset(c, datasets.Take(raw, rows), datasets.Take(y, rows))
	return shift, &d, nil
}

// offset is what must be added to the calibrated log-odds for the mean
// probability to be the share of positives, by Newton's method; there is none
// where all rows have one label.
func offset(c models.Calibration, raw, y []float64) (by float64, ok bool) {
	rate := mean(y)
	if len(y) == 0 || rate == 0 || rate == 1 {
		return 0, false
	}
	for range 100 {
		c.Shift = by
		sum, slope := 0.0, 0.0
		for _, x := range raw {
			p := c.Probability(x)
			sum, slope = sum+p, slope+p*(1-p)
		}
		n := float64(len(raw))
		step := (rate - sum/n) / max(slope/n, 1e-12)
		step = max(-2, min(2, step))
		if by += step; math.Abs(step) < 1e-12 {
			break
		}
	}
	return by, math.Abs(by) < 30
}

// The base rate has moved where the two intervals do not touch and the odds
// differ by more than a tenth: less does not change what anybody does.
const movedOdds = 1.1

// compareRates tells how the rows that judge differ in their share of positives.
func compareRates(trained, judged []float64, trainedGroup, judgedGroup []int) (*models.Shift, error) {
	s := &models.Shift{}
	var err error
	if s.Trained, err = evaluate.Rate(trained, trainedGroup); err != nil {
		return nil, err
	}
	if s.Judged, err = evaluate.Rate(judged, judgedGroup); err != nil {
		return nil, err
	}
	ratio := math.Exp(math.Abs(logOdds(s.Judged.Value) - logOdds(s.Trained.Value)))
	s.Moved = ratio > movedOdds && (s.Judged.Low > s.Trained.High || s.Judged.High < s.Trained.Low)
	verb := "is much the same"
	switch {
	case s.Moved && s.Judged.Value > s.Trained.Value:
		verb = "rose"
	case s.Moved:
		verb = "fell"
	}
	s.Detail = fmt.Sprintf("the base rate %s: %.1f %% where the model learnt, %.1f %% in the rows that judge", verb, 100*s.Trained.Value, 100*s.Judged.Value)
	return s, nil
}
