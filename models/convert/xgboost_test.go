package convert

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every row reaches XGBoost's leaf in every tree: the leaves' values summed as
// float64 agree to 1e-12, XGBoost's own sum of float32 to its rounding.
func TestReadXGBoost(t *testing.T) {
	const ulp = 0x1p-23
	for _, name := range []string{"xgboost", "xgboost_dart", "xgboost_constant", "xgboost_extreme", "xgboost_pandas"} {
		m, r := readModel(t, name+".json"), readReference(t, name)
		worst, worstRaw, worstPhi := 0.0, 0.0, 0.0
		for i := range r.Rows {
			x := r.row(i)
			raw := m.Ensemble.Raw(x)
			worst = max(worst, far(raw, r.Exact[i]))
			if !(far(raw, r.Exact[i]) <= 1e-12) {
				t.Errorf("%s, row %d, %v: raw %v, want %v", name, i, x, raw, r.Exact[i])
			}
			worstRaw = max(worstRaw, far(raw, r.Raw[i]))
			if !(far(raw, r.Raw[i]) <= float64(m.Ensemble.Trees())*ulp) {
				t.Errorf("%s, row %d: raw %v, XGBoost's %v", name, i, raw, r.Raw[i])
			}
			phi := make([]float64, len(x))
			base := m.Ensemble.Explain(phi, x)
			for j, want := range r.Contributions[i] {
				got := base
				if j < len(phi) {
					got = phi[j]
				}
				worstPhi = max(worstPhi, far(got, want))
				if !(far(got, want) <= 16*ulp) {
					t.Errorf("%s, row %d: contribution %d is %v, want %v", name, i, j, got, want)
				}
			}
		}
		t.Logf("%s: leaves within %.2g, raw within %.2g, contributions within %.2g", name, worst, worstRaw, worstPhi)
	}
}

// below against its definition, for thresholds of all kinds and numbers around them.
func TestBelow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	thresholds := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 1.5, math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, 0x1p-126 - 0x1p-149, -0x1p-126, 16777216, 16777217,
	}
	for len(thresholds) < 100000 {
		if f := math.Float32frombits(rng.Uint32()); f-f == 0 {
			thresholds = append(thresholds, f)
		}
	}
	for _, f := range thresholds {
		b := below(f)
		if b-b != 0 {
			t.Fatalf("below(%v) is %v", f, b)
		}
		if !(float32(b) < f) {
			t.Errorf("below(%v) is %v, which rounds to %v", f, b, float32(b))
		}
		if next := math.Nextafter(b, math.Inf(1)); float32(next) < f {
			t.Errorf("below(%v) is %v, but %v is below too", f, b, next)
		}
	}
}

// A tree of dart counts by its weight.
func TestXGBoostWeights(t *testing.T) {
	m := readModel(t, "xgboost_dart.json")
	weighted := 0
	for i := range m.Ensemble.Trees() {
		for _, n := range m.Ensemble.Tree(i) {
			if n.Value != float64(float32(n.Value)) { // the product of two float32
				weighted++
			}
		}
	}
	if weighted == 0 {
		t.Error("no leaf has been weighted")
	}
}
