package gbdt

import (
	"fmt"
	"math"

	"propensity/features"
)

// bounds are what the values of leaves must lie within, so that scores are in
// order along the features of Options.Monotone. Where such a feature is split, no
// leaf below the one side may pass halfway between the values of the two, nor may
// one below the other: the method that LightGBM calls basic.
type bounds struct{ low, high float64 }

func unbounded() bounds { return bounds{math.Inf(-1), math.Inf(1)} }

func (b bounds) clip(value float64) float64 { return min(max(value, b.low), b.high) }

// gainAt is what a leaf of these rows takes off the loss, twice, at a value.
func (s sums) gainAt(value, l2 float64) float64 {
	slope := float64(2*s.gradient()) + float64((s.hessian()+l2)*value)
	return -float64(value * slope)
}

// limit bounds the values of the leaf and of all below it.
func (s *search) limit(b bounds) {
	if b == unbounded() {
		return
	}
	s.bounds, s.bounded = b, true
	s.base = s.total.gainAt(s.clip(s.total.value(s.L2)), s.L2)
}

// gainWithin is what the split takes off the loss, its sides at the best values
// within the bounds; 0 if those are not in the order that rising asks for.
func (s *search) gainWithin(left, right sums, l2 float64, rising int8) float64 {
	yes, no := s.clip(left.value(l2)), s.clip(right.value(l2))
	if rising > 0 && yes > no || rising < 0 && yes < no {
		return 0
	}
	return left.gainAt(yes, l2) + right.gainAt(no, l2) - s.base
}

// monotone tries what numeric does, of a number that scores are to rise or fall
// with. The missing rows against all others are the last cut, whatever the order;
// every other cut has rows with a value on both sides.
func (s *search) monotone(c *column, h []sums) split {
	best := split{l2: s.L2}
	values := c.values()
	missing := h[values]
	least := int64(s.MinRows)
	var left sums // without the missing
	withMissing := false
	try := func(cut int, left sums, rising int8, missing bool) {
		right := s.total.minus(left)
		if left.n < least || right.n < least || left.h < s.curvature || right.h < s.curvature {
			return
		}
		if gain := s.gainWithin(left, right, s.L2, rising); gain > best.gain {
			best.gain, best.cut, best.left, withMissing = gain, cut, left, missing
		}
	}
	for cut := range h[:values] {
		if h[cut].n == 0 {
			continue // the same rows as the cut before
		}
		left = left.plus(h[cut])
		if left.n+missing.n == s.total.n {
			break // no values on the other side
		}
		try(cut, left, c.rising, false)
		if missing.n > 0 {
			try(cut, left.plus(missing), c.rising, true)
		}
	}
	if missing.n > 0 {
		try(values-1, s.total.minus(missing), 0, false)
	}
	for cut := 0; cut <= best.cut; cut++ {
		best.yes.add(cut)
	}
	if withMissing {
		best.yes.add(values)
	}
	return best
}

// boundsBelow are those of the two sides of a node that was split.
func (g *grower) boundsBelow(n *node, left, right sums) (yes, no bounds) {
	yes, no = n.bounds, n.bounds
	c := &g.columns[n.column]
	if c.rising == 0 || n.cut == c.values()-1 { // the missing against all others
		return yes, no
	}
	middle := float64(n.clip(left.value(n.l2))/2) + float64(n.clip(right.value(n.l2))/2)
	if c.rising > 0 {
		yes.high, no.low = middle, middle
	} else {
		yes.low, no.high = middle, middle
	}
	return yes, no
}

// searchOf is the search of the best split of a leaf.
func (g *grower) searchOf(l *leaf) search {
	s := newSearch(g.Options, l.total)
	s.limit(g.nodes[l.node].bounds)
	s.late = g.weight != nil
	return s
}

// checkFeatures holds the options against the features that they are for.
func (o *Options) checkFeatures(of []features.Feature) error {
	if o.Monotone != nil && len(o.Monotone) != len(of) {
		return fmt.Errorf("%w: Monotone has %d places, want one for each of %d features", ErrOptions, len(o.Monotone), len(of))
	}
	for j, rising := range o.Monotone {
		if rising != 0 && of[j].Levels > 0 {
			return fmt.Errorf("%w: Monotone is %d for %s, a category: only scores of numbers can rise or fall with them", ErrOptions, rising, of[j].Name)
		}
	}
	for k, group := range o.Groups {
		for _, j := range group {
			if j >= len(of) {
				return fmt.Errorf("%w: Groups, group %d: feature %d of %d, counted from 0", ErrOptions, k, j, len(of))
			}
		}
	}
	return nil
}
