package tree

import (
	"math"
	"testing"
)

func TestImportanceByHand(t *testing.T) {
	nodes := []Node{
		{Feature: 0, Yes: 1, No: 2, Cover: 4}, leaf(0, 2),
		{Feature: 1, Yes: 3, No: 4, Cover: 2}, leaf(4, 1), leaf(8, 1),
	}
	// The root parts 0 from 6: 1/4 of 36. The other parts 4 from 8 in half of
	// the rows: 1/2 of 1/4 of 16.
	got := build(t, []int{0, 0, 0}, 3, nodes, nodes).Importance()
	for j, want := range []float64{math.Sqrt(18), math.Sqrt(4), 0} {
		if math.Abs(got[j]-want) > 1e-15 {
			t.Errorf("feature %d: %v, want %v", j, got[j], want)
		}
	}
}

func TestImportanceSumsToVarianceOfLeaves(t *testing.T) {
	levels := []int{0, 0, 5, 0}
	for seed := range uint64(20) {
		nodes := randomTree(fromSeed(seed), levels, 20)
		mean, square := 0.0, 0.0
		for _, n := range nodes {
			if n.Feature < 0 {
				mean += n.Value * n.Cover / nodes[0].Cover
				square += n.Value * n.Value * n.Cover / nodes[0].Cover
			}
		}
		sum := 0.0
		for _, x := range build(t, levels, 0, nodes).Importance() {
			sum += x * x
		}
		if want := square - mean*mean; math.Abs(sum-want) > 1e-12*want {
			t.Errorf("squares sum to %v, want %v", sum, want)
		}
	}
}
