package learnt

import (
	"math"
	"testing"

	"propensity/features"
)

// counted makes a matrix of one category out of the rows and positives of its
// levels, each row an account, repeated so many times within it.
func counted(rows, positives []int, times int) features.Matrix {
	m := features.Matrix{Features: []features.Feature{{Name: "c", Levels: len(rows)}}, Columns: make([][]float64, 1)}
	account := 0
	for k, n := range rows {
		for i := range n {
			y := 0.0
			if i < positives[k] {
				y = 1
			}
			for range times {
				m.Columns[0] = append(m.Columns[0], float64(k))
				m.Label = append(m.Label, y)
				m.Group = append(m.Group, account)
			}
			account++
		}
	}
	return m
}

// With one column the regression gives each level its own rate: 100 of 1000 in
// three levels, which are the middle, and 200 of 1000 in the fourth.
func TestEffectByHand(t *testing.T) {
	out := effectsOf(t, counted([]int{1000, 1000, 1000, 1000}, []int{100, 100, 100, 200}, 1))
	if out.Tested != 4 || len(out.Effects) != 1 {
		t.Fatalf("%d tested, effects %+v", out.Tested, out.Effects)
	}
	e := out.Effects[0]
	want := math.Log(0.2/0.8) - math.Log(0.1/0.9)
	if e.Level != "3" || e.Rows != 1000 || math.Abs(e.LogOdds.Value-want) > 2e-3 { // the ridge takes some
		t.Errorf("%+v, want level 3 at %v", e, want)
	}
	// 2 x log likelihood of 0.2 against 0.1, over variance x information of the
	// contrast: 1/160 for the level and 1/270 for the three others together.
	ratio := 2 * (200*math.Log(0.2/0.1) + 800*math.Log(0.8/0.9))
	z := math.Sqrt(ratio / (1 + 160.0/270))
	if p := 4 * math.Erfc(z/math.Sqrt2); math.Abs(math.Log(e.P/p)) > 0.05 {
		t.Errorf("p %v, want about %v", e.P, p)
	}
	if half := 1.96 * want / z; math.Abs(e.LogOdds.Low-(want-half)) > 5e-3 || math.Abs(e.LogOdds.High-(want+half)) > 5e-3 {
		t.Errorf("interval %+v, want %v ± %v", e.LogOdds, want, half)
	}
}

// The very rows given again in the same accounts say no more.
func TestRowsOfOneAccountCountOnce(t *testing.T) {
	rows, positives := []int{400, 400, 400, 400}, []int{40, 41, 42, 84}
	once, fivefold := effectsOf(t, counted(rows, positives, 1)), effectsOf(t, counted(rows, positives, 5))
	if len(once.Effects) != 1 || len(fivefold.Effects) != 1 {
		t.Fatalf("named %+v, and with rows given five times %+v", once.Effects, fivefold.Effects)
	}
	if a, b := once.Effects[0].P, fivefold.Effects[0].P; b < 0.8*a {
		t.Errorf("p %v, and %v where the rows are given five times", a, b)
	}
}

// A level without any positive has no finite estimate, and yet differs.
func TestLevelThatDecidesIsNamed(t *testing.T) {
	out := effectsOf(t, counted([]int{300, 300, 300, 300, 300}, []int{30, 33, 28, 31, 0}, 1))
	if len(out.Effects) != 1 || out.Effects[0].Level != "4" || !(out.Effects[0].LogOdds.High < 0) {
		t.Errorf("effects %+v", out.Effects)
	}
	// Three accounts of a hundred rows are three, not 300.
	m := counted([]int{300, 300, 300, 300, 300}, []int{30, 33, 28, 31, 0}, 1)
	for i := 1200; i < 1500; i++ {
		m.Group[i] = 1200 + i%3
	}
	if out := effectsOf(t, m); len(out.Effects) != 0 || out.Tested != 4 {
		t.Errorf("%d tested, effects %+v", out.Tested, out.Effects)
	}
}

// Of three equal levels one is different, not the two others.
func TestMiddleStaysWithTheMany(t *testing.T) {
	out := effectsOf(t, counted([]int{20_000, 20_000, 20_000}, []int{2000, 2010, 4000}, 1))
	if len(out.Effects) != 1 || out.Effects[0].Level != "2" {
		t.Errorf("effects %+v", out.Effects)
	}
	// Nor does one large level make the others different from themselves.
	out = effectsOf(t, counted([]int{60_000, 5_000, 5_000, 5_000}, []int{6000, 505, 498, 1000}, 1))
	if len(out.Effects) != 1 || out.Effects[0].Level != "3" {
		t.Errorf("effects %+v", out.Effects)
	}
}

func TestHolmByHand(t *testing.T) {
	levels := []*level{{p: 0.02}, {p: 0.001}, {p: 0.004}, {p: 0.9}}
	holm(levels)
	for k, want := range []float64{0.04, 0.004, 0.012, 0.9} {
		if math.Abs(levels[k].p-want) > 1e-15 {
			t.Errorf("p %d is %v, want %v", k, levels[k].p, want)
		}
	}
	levels = []*level{{p: 0.5}, {p: 0.4}, {p: 0.3}} // 0.9, then 0.8 and 0.5 that may not be below it
	holm(levels)
	for _, l := range levels {
		if math.Abs(l.p-0.9) > 1e-15 {
			t.Errorf("p %v, want 0.9", l.p)
		}
	}
}

// A weight of 3 is a row given three times, as far as the estimates go, whatever
// weights are counted in.
func TestWeightsMoveTheEstimates(t *testing.T) {
	weighted := counted([]int{1000, 1000, 1000, 2000}, []int{100, 100, 100, 200}, 1)
	for i := range weighted.Label {
		w := 1.0
		if i >= 3000 && weighted.Label[i] == 1 {
			w = 3 // 600 against 1800: a rate of a quarter
		}
		weighted.Weight = append(weighted.Weight, w)
	}
	for i := range weighted.Weight {
		weighted.Weight[i] *= 1e200
	}
	out := effectsOf(t, weighted)
	want := math.Log(0.25/0.75) - math.Log(0.1/0.9)
	if len(out.Effects) != 1 || math.Abs(out.Effects[0].LogOdds.Value-want) > 3e-3 {
		t.Errorf("effects %+v, want %v", out.Effects, want)
	}
}

// A p of many zeros is still told apart from 0.
func TestFarTails(t *testing.T) {
	for _, l := range []*level{{rows: 900, squares: 900, accounts: 900}, {rows: 900, squares: 2700, accounts: 300}} {
		l.information, l.ratio, l.logOdds = 1, 400, 1
		l.settle(1)
		if l.z != 20 || !(l.p > 0 && l.p < 1e-50) {
			t.Errorf("%d accounts: z %v, p %v", l.accounts, l.z, l.p)
		}
	}
}
