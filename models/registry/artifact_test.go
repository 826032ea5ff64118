package registry

import (
	"fmt"
	"testing"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

// smallArtifact is a whole artifact that differs by k in its model: its hash,
// its size and its scores do too.
func smallArtifact(name string, k int) (models.Files, error) {
	t := &datasets.Table{Columns: []datasets.Column{
		{Name: "logins", Kind: datasets.Number, Numbers: []float64{0, 1, 2, 3, 5, 8}},
		{Name: "plan", Kind: datasets.Category, Codes: []int32{0, 1, 0, 1, 1, 0}, Values: []string{"free", "pro"}},
	}}
	e, _, err := features.FitEncoder(t, nil)
	if err != nil {
		return nil, err
	}
	r, err := evaluate.NewRanking([]float64{-2, -1, 0, 1})
	if err != nil {
		return nil, err
	}
	a := &models.Artifact{
		Manifest: models.Manifest{Name: name, Learner: "logistic", BaseRate: 0.5, Bands: []models.Band{{Name: "A", From: 0.5}, {Name: "B"}}},
		Encoder:  e,
		Model: &models.Linear{Intercept: float64(k) / 1000, Terms: []models.Term{
			{Scale: 1, Weight: -0.5},
			{Levels: []float64{0.25, -0.25}},
		}},
		Calibration: models.Calibration{Kind: "none"},
		Ranking:     r,
		Spec:        fmt.Appendf(nil, "version: 1 # %d\n", k),
		Card:        []byte("# Small\n"),
		Report:      []byte("<!DOCTYPE html>\n"),
	}
	return a.Files()
}

func mustArtifact(t testing.TB, name string, k int) models.Files {
	t.Helper()
	f, err := smallArtifact(name, k)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
