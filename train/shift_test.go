package train

import (
	"context"
	"math"
	"testing"

	"propensity/datasets"
	"propensity/models"
)

// The offset makes the mean probability the share of positives.
func TestOffset(t *testing.T) {
	raw, y := []float64{-2, -1, 0, 1, 2, 3}, []float64{0, 1, 1, 1, 0, 1}
	c := models.Calibration{Kind: models.CalibrationPlatt, Slope: 0.7, Intercept: -3}
	by, ok := offset(c, raw, y)
	c.Shift = by
	sum := 0.0
	for _, x := range raw {
		sum += c.Probability(x)
	}
	if !ok || math.Abs(sum-4) > 1e-9 {
		t.Errorf("shift %v: %v positives promised of 4", by, sum)
	}
	for _, same := range [][]float64{{0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}} {
		if _, ok := offset(c, raw, same); ok {
			t.Error("one label has no finite offset")
		}
	}
}

// The newest window moves the calibration where the odds drift, and only there:
// the promise for the window to come is nearer than without.
func TestNewest(t *testing.T) {
	for name, c := range map[string]struct {
		level func(day int) float64
		moved bool
	}{
		"still":  {always(-1), false},
		"drifts": {func(day int) float64 { return -3 + float64(day)/15 }, true},
	} {
		table := drifting(60, 80, 7, always(1), c.level)
		r, err := Run(context.Background(), table, Spec{Name: "m", ID: "who", Time: "when", Label: "y", Learners: []string{logistic}, Backtest: -1, Seed: 1}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		choice, report := r.Artifact.Metrics.Calibration, r.Artifact.Metrics.Candidates[0].Report
		if choice.Newest == nil || (choice.Shift != 0) != c.moved || choice.Shift != r.Artifact.Calibration.Shift {
			t.Fatalf("%s: %+v, calibration %+v", name, choice, r.Artifact.Calibration)
		}
		if !c.moved {
			continue
		}
		off := math.Abs(report.MeanProbability - report.BaseRate.Value)
		stale := math.Abs(float64(positives(datasets.Take(table.Column("y").Numbers, sequence(48*80))))/(48*80) - report.BaseRate.Value)
		if off > stale/2 {
			t.Errorf("off by %.3f, by %.3f without moving", off, stale)
		}
		shift := r.Artifact.Metrics.Shift
		if !shift.Moved || shift.Judged.Value <= shift.Trained.Value {
			t.Errorf("the base rate moved: %+v", shift)
		}
	}
}

// A prior that is given is where the mean probability goes.
func TestPrior(t *testing.T) {
	s := mSpec
	s.Prior = 0.7
	table := known(2000, 5)
	r, err := Run(context.Background(), table, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Run(context.Background(), table, mSpec, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rate := plain.Artifact.Manifest.BaseRate
	if got, want := r.Artifact.Calibration.Shift, logOdds(0.7)-logOdds(rate); math.Abs(got-want) > 1e-12 {
		t.Errorf("shift %v, want %v", got, want)
	}
	if a, b := r.Artifact.Metrics.Candidates[0].Report, plain.Artifact.Metrics.Candidates[0].Report; a.MeanProbability < b.MeanProbability+0.2 || a.ROCAUC != b.ROCAUC {
		t.Errorf("mean probability %v after %v; ROC AUC %v after %v", a.MeanProbability, b.MeanProbability, a.ROCAUC, b.ROCAUC)
	}
	if p := r.Artifact.Metrics.Shift.Prior; p == nil || *p != 0.7 {
		t.Errorf("prior %v", p)
	}
}
