package logistic

import (
	"math/rand/v2"
	"testing"

	"propensity/features"
	"propensity/models"
)

func TestBoundsByResampledAccounts(t *testing.T) {
	m := mixed(rand.New(rand.NewPCG(51, 1)), 1500, []int{0, 0, 0})
	free, err := Fit(t.Context(), &m, Options{L2: -1})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"a", "b", "c"}
	if free.Coefficients(names, nil)[0].SE == nil {
		t.Fatal("no standard errors")
	}
	bounds := func(m features.Matrix) []models.Coefficient {
		r, err := Fit(t.Context(), &m, Options{L2: 1e-6, Replicates: 400, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		return r.Coefficients(names, nil)
	}
	var rows, group []int
	for i := range m.Label {
		for range 4 {
			rows, group = append(rows, i), append(group, i)
		}
	}
	fourfold := m.Take(rows)
	fourfold.Group = group
	once, four := bounds(m), bounds(fourfold)
	for k, c := range free.Coefficients(names, nil) {
		wide := c.High - c.Low
		for name, b := range map[string]models.Coefficient{"rows": once[k], "accounts": four[k]} {
			if ratio := (b.High - b.Low) / wide; ratio < 0.85 || ratio > 1.18 || b.Low > c.Estimate || b.High < c.Estimate || b.SE != nil {
				t.Errorf("%s, %s: %v to %v, by standard errors %v to %v", c.Feature, name, b.Low, b.High, c.Low, c.High)
			}
		}
	}
	if r, err := Fit(t.Context(), &m, Options{}); err != nil || r.Coefficients(names, nil) != nil || r.PerUnit(names, nil) != nil {
		t.Errorf("bounds without replicates: %v", err)
	}
}
