package tree

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// A LightGBM model, translated by testdata/reference.py, gives LightGBM's scores
// and explanations.
func TestAgainstLightGBM(t *testing.T) {
	b, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Levels        []int
		Trees         [][]Node
		Rows          [][]*float64
		Raw           []float64
		Contributions [][]float64
	}
	if err := json.Unmarshal(b, &reference); err != nil {
		t.Fatal(err)
	}
	e := build(t, reference.Levels, 0, reference.Trees...)
	sets := 0
	for _, nodes := range reference.Trees {
		for _, n := range nodes {
			if len(n.Set) > 0 {
				sets++
			}
		}
	}
	if e.Trees() < 10 || sets < 10 || len(reference.Rows) < 20 {
		t.Fatalf("a reference of %d trees, %d sets, %d rows", e.Trees(), sets, len(reference.Rows))
	}
	width := e.Features()
	x, phi := make([]float64, width), make([]float64, width)
	worstRaw, worst := 0.0, 0.0
	for i, row := range reference.Rows {
		for j, v := range row {
			if x[j] = math.NaN(); v != nil {
				x[j] = *v
			}
		}
		far := math.Abs(e.Raw(x)-reference.Raw[i]) / math.Abs(reference.Raw[i])
		worstRaw = max(worstRaw, far)
		if !(far <= 1e-12) {
			t.Errorf("row %d: raw %v, want %v", i, e.Raw(x), reference.Raw[i])
		}
		base := e.Explain(phi, x)
		for j, want := range reference.Contributions[i] {
			got := base
			if j < width {
				got = phi[j]
			}
			worst = max(worst, math.Abs(got-want))
			if !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("row %d: contribution %d is %v, want %v", i, j, got, want)
			}
		}
	}
	t.Logf("raw within %.2g relative, contributions within %.2g", worstRaw, worst)
}
