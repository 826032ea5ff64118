package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"propensity/train"
)

// With one probability for all, each bin's count is binomial: the mean |count - n p|
// of a binomial is known exactly (de Moivre).
func TestIfTrueOfBinomials(t *testing.T) {
	const rows, p = 400, 0.3 // bins of 40
	const n, k = 40, 13      // k = floor(n p) + 1
	choose := 1.0
	for i := range k {
		choose *= float64(n-i) / float64(k-i)
	}
	each := 2 * k * choose * math.Pow(p, k) * math.Pow(1-p, n-k+1) // of |count - n p|
	want := each / n
	folds := [][]float64{slices.Repeat([]float64{p}, rows), slices.Repeat([]float64{p}, rows)}
	mean, deviation := ifTrue(folds, 3)
	// 200 draws of the mean of twenty bins.
	sd := math.Sqrt(p*(1-p)/n-want*want) / math.Sqrt(20)
	if math.Abs(mean-want) > 4*sd/math.Sqrt(chanceDraws) {
		t.Errorf("mean %v, want %v", mean, want)
	}
	if math.Abs(deviation/sd-1) > 0.25 { // five standard errors of a deviation of 200 draws
		t.Errorf("deviation %v, want %v", deviation, sd)
	}
	if m, d := ifTrue(folds, 3); m != mean || d != deviation {
		t.Error("not the same again")
	}
}

// What chance makes of it does not depend on the order of rows.
func TestIfTrueOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	p := make([]float64, 500)
	for i := range p {
		p[i] = rng.Float64()
	}
	kept := slices.Clone(p)
	first, _ := ifTrue([][]float64{p}, 1)
	if !slices.Equal(p, kept) {
		t.Error("the probabilities were changed")
	}
	slices.Reverse(p)
	if second, _ := ifTrue([][]float64{p}, 1); first != second {
		t.Errorf("%v, then %v", first, second)
	}
}

func TestPromised(t *testing.T) {
	p := peerTable{Table: "t", Peers: map[string]figures{
		"logistic": {Brier: 0.12, CalibrationError: 0.02}, "xgboost": {Brier: 0.11, CalibrationError: 0.05}, "lightgbm_tuned": {Brier: 0.05, CalibrationError: 0.01}}}
	r := train.CrossValidation{Learner: "boosting", Brier: 0.1102, CalibrationError: 0.02,
		Calibrations: []string{"none", "platt", "none"}, Probabilities: [][]float64{slices.Repeat([]float64{0.3}, 400)}}
	q := newPromised(false)
	q.add(p, r)
	cells := strings.Join(q.rows[1], "|")
	if !strings.HasPrefix(cells, "t|boosting|0.1102|0.1100 xgboost|-0.0002|behind|0.0200|0.0200 logistic|+0.0000|tie|") || !strings.HasSuffix(cells, "|none 2, platt 1") {
		t.Error(cells)
	}
	if text := q.legend(); !strings.Contains(text, "lower than logistic by +0.00980 in Brier and +0.00000 in calibration error (1 tables); xgboost by -0.00020 in Brier and +0.03000") {
		t.Error(text)
	}
	r.Learner = "logistic" // beside its twin alone
	q.add(p, r)
	if cells := strings.Join(q.rows[2], "|"); !strings.HasPrefix(cells, "t|logistic|0.1102|0.1200 logistic|+0.0098|ahead|") || q.behind != 1 {
		t.Error(cells, q.behind)
	}
	r.Learner, q = "boosting", newPromised(true)
	q.add(p, r)
	if cells := strings.Join(q.rows[1], "|"); !strings.Contains(cells, "|0.0500 lightgbm_tuned|-0.0602|behind|") {
		t.Error(cells)
	}
	for _, x := range []struct {
		lower float64
		word  string
	}{{0.3, "ahead"}, {0.2, "tie"}, {-0.2, "tie"}, {-0.3, "behind"}, {math.NaN(), "behind"}} {
		if got := q.judge(x.lower, 0.2); got != x.word {
			t.Errorf("%v: %s", x.lower, got)
		}
	}
}

// Every figure of every peer is there, and none is what an absent key would be.
func TestPeerFigures(t *testing.T) {
	_, tables, err := peersKnown()
	if err != nil || len(tables) != 8 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, p := range tables {
		for name, f := range p.Peers {
			if min(f.ROCAUC, f.LogLoss, f.Brier, f.CalibrationError) <= 0 {
				t.Errorf("%s, %s: %+v", p.name(), name, f)
			}
		}
	}
}
