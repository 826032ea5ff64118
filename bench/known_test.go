package main

import (
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"propensity/models/evaluate"
)

// TestTruthOf compares with the figures of rows written out: ten of each, as many
// positive as the probability says.
func TestTruthOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var raw, p, probability, y, scores, ps []float64
	for i := range 200 {
		z := float64(i)/50 - 2 + rng.Float64()/100
		raw, p = append(raw, z), append(p, 1/(1+math.Exp(-z)))
		k := rng.IntN(11)
		probability = append(probability, float64(k)/10)
		for copies := range 10 {
			label := 0.0
			if copies < k {
				label = 1
			}
			y, scores, ps = append(y, label), append(scores, raw[i]), append(ps, p[i])
		}
	}
	positives := 0.0
	for _, v := range y {
		positives += v
	}
	got := truthOf(raw, p, probability)
	for what, want := range map[string]float64{
		"base rate": positives / 2000, "log loss": evaluate.LogLoss(y, ps), "Brier score": evaluate.Brier(y, ps),
		"ROC AUC": evaluate.ROCAUC(y, scores), "PR AUC": evaluate.PRAUC(y, scores),
	} {
		if math.Abs(got[what]-want) > 1e-12 {
			t.Errorf("%s: %v, of the rows written out %v", what, got[what], want)
		}
	}
}

func TestMeanGap(t *testing.T) {
	var p, truth []float64
	for i := range 20 { // in bins of two: off by 0.1 up, then 0.3 up and 0.1 down, in turn
		x := float64(i) / 100
		p = append(p, x)
		switch {
		case i/2%2 == 0:
			truth = append(truth, x+0.1)
		case i%2 == 0:
			truth = append(truth, x+0.3)
		default:
			truth = append(truth, x-0.1)
		}
	}
	if got := meanGap(p, truth); math.Abs(got-0.1) > 1e-12 {
		t.Errorf("calibration error %v, want 0.1", got)
	}
	if got := distance(p, truth); math.Abs(got-0.15) > 1e-12 {
		t.Errorf("distance %v, want 0.15", got)
	}
}

// TestCover ends a run that cannot come back into the bounds, and no other.
func TestCover(t *testing.T) {
	for _, c := range []struct {
		misses int // the first so many, of 500
		at     int // the repetition that ends it, 0: none
	}{{70, 0}, {71, 71}, {30, 0}, {29, 500}, {0, 471}} {
		r := &run{n: 500, log: io.Discard, state: state{Tally: map[string]int{}}}
		end := 0
		for k := 1; k <= 500 && end == 0; k++ {
			found := hits{}
			truth := 1.0
			if k <= c.misses {
				truth = 3
			}
			found.count("it", 0, truth, 2)
			if r.cover(k, found) != nil {
				end = k
			}
		}
		if end != c.at {
			t.Errorf("%d of 500 miss: it ends at %d, want %d", c.misses, end, c.at)
		}
	}
}
