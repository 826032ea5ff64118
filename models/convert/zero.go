package convert

import (
	"math"

	"propensity/models/tree"
)

// zeroBound is the largest number that LightGBM takes for zero: 1e-35 as a float32.
const zeroBound = float64(float32(1e-35))

// besideZero is the threshold t of a split of LightGBM, which compares 0 in the place
// of every number from -zeroBound to zeroBound: none of them comes between 0 and t.
// LightGBM never splits at 0 itself; we do, and then the numbers right above 0 are
// not 0.
func besideZero(t float64) float64 {
	switch {
	case t >= -zeroBound && t < 0:
		return math.Nextafter(-zeroBound, math.Inf(-1))
	case t > 0 && t < zeroBound:
		return zeroBound
	}
	return t
}

// zeroMissing is LightGBM's split x <= t of a feature where zero, that is -z <= x <= z,
// is missing and goes left or right by default, as NaN does. It is written at place
// at of nodes; where the left side is no single interval, it takes two more nodes.
//
//	default left:  x <= t or -z <= x <= z
//	default right: x < -z and x <= t, or z < x <= t
func zeroMissing(nodes []tree.Node, at, feature int, t float64, defaultLeft bool, left, right int) []tree.Node {
	z, below := zeroBound, math.Nextafter(-zeroBound, math.Inf(-1))
	split := func(threshold float64, missingYes bool, yes, no int) tree.Node {
		return tree.Node{Feature: feature, Threshold: threshold, MissingYes: missingYes, Yes: yes, No: no}
	}
	second, third := len(nodes), len(nodes)+1
	switch {
	case defaultLeft && t >= below:
		nodes[at] = split(max(t, z), true, left, right)
	case !defaultLeft && t <= z:
		nodes[at] = split(min(t, below), false, left, right)
	case defaultLeft: // left, right, zero, right
		nodes[at] = split(t, false, left, second)
		nodes = append(nodes, split(below, false, right, third), split(z, true, left, right))
	default: // left, zero, left, right
		nodes[at] = split(below, false, left, second)
		nodes = append(nodes, split(z, true, right, third), split(t, false, left, right))
	}
	return nodes
}
