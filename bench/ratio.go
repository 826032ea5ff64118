package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is what several runs of one thing gave.
type spread struct {
	Min, Median, Max float64
	N                int
}

// spreadOf describes the figures; those of nothing are NaN.
func spreadOf(xs []float64) spread {
	if len(xs) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN(), 0}
	}
	s := slices.Sorted(slices.Values(xs))
	n := len(s)
	return spread{s[0], (s[(n-1)/2] + s[n/2]) / 2, s[n-1], n}
}

// ratios are ours over the peer's, round by round: what the machine does to one
// it does to the other, as they run one after the other.
func ratios(ours, peer []float64) []float64 {
	var out []float64
	for i := range min(len(ours), len(peer)) {
		out = append(out, ours[i]/peer[i])
	}
	return out
}

// tie is the difference that single runs on a shared machine do not settle.
const tie = 0.15

// verdict says in a word how ours stands, by the ratio to a peer of something of
// which less is better.
func verdict(ratio float64) string {
	switch {
	case math.IsNaN(ratio):
		return ""
	case ratio < 1-tie:
		return "ahead"
	case ratio > 1+tie:
		return "behind"
	}
	return "tie"
}

// figure spells a number with three digits that count, whole from 100 on.
func figure(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return ""
	case x == 0:
		return "0"
	case a < 1e-3:
		return fmt.Sprintf("%.1e", x)
	case a >= 1e7:
		return fmt.Sprintf("%.3g", x)
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	default:
		return fmt.Sprintf("%.*f", 2-int(math.Floor(math.Log10(a))), x)
	}
}

// fixed spells a number with five places, as the quality of a model is told.
func fixed(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return fmt.Sprintf("%.5f", x)
}
