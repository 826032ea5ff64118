package train

import (
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

// judged is a fitted model with its scores on the rows that judge.
type judged struct {
	*fitted
	raw, probability []float64
	report           *evaluate.Report
	gain             *evaluate.Difference
}

// judge scores the rows of the newest window, which nobody learnt from.
func (p *prepared) judge(f *fitted, m *features.Matrix, rows []int, seed uint64) (*judged, error) {
	j := &judged{fitted: f}
	var err error
	if j.raw, j.probability, err = f.score(m); err != nil {
		return nil, err
	}
	j.report, err = evaluate.Judge(m.Label, j.raw, j.probability, datasets.Take(p.value, rows), m.Group, evaluate.Options{Seed: seed})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return j, nil
}

// choose takes the first candidate, and a later, more complex one only where its
// gain in log loss over the one chosen so far has an interval above zero.
func choose(candidates []*judged, m *features.Matrix) (*judged, error) {
	best := candidates[0]
	for _, c := range candidates[1:] {
		gain, err := evaluate.PairedLogLoss(m.Label, c.probability, best.probability, m.Group)
		if err != nil {
			return nil, err
		}
		c.gain = &gain
		if gain.Low > 0 {
			best = c
		}
	}
	return best, nil
}

// bandNames name the bands, the most probable first; bandPercentiles are where
// each starts among the rows that judge.
var (
	bandNames       = [...]string{"A", "B", "C", "D", "E"}
	bandPercentiles = [...]float64{90, 70, 40, 15}
)

// cutBands gives the probabilities from which the bands start. Where two cuts fall
// on one probability they are one.
func cutBands(probability []float64) []float64 {
	sorted := slices.Clone(probability)
	slices.Sort(sorted)
	var out []float64
	for _, percentile := range bandPercentiles {
		from := sorted[int(float64(len(sorted)-1)*percentile/100)]
		if from > 0 && (len(out) == 0 || from < out[len(out)-1]) {
			out = append(out, from)
		}
	}
	return append(out, 0)
}

// observe tells what was observed in each band among the rows that judge.
func observe(from, probability []float64, m *features.Matrix) ([]models.Band, error) {
	out := make([]models.Band, len(from))
	high := 2.0
	for i := range out {
		b := &out[i]
		b.Name, b.From = bandNames[i], from[i]
		var label []float64
		var group []int
		for k, p := range probability {
			if p >= b.From && p < high {
				label, group = append(label, m.Label[k]), append(group, m.Group[k])
			}
		}
		high = b.From
		b.Rows, b.Rate = len(label), evaluate.Wilson(0, 0)
		if len(label) == 0 {
			continue
		}
		b.Positives = positives(label)
		var err error
		if b.Rate, err = evaluate.Rate(label, group); err != nil {
			return nil, err
		}
	}
	return out, nil
}
