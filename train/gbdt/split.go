package gbdt

import (
	"cmp"
	"slices"
)

// set is a set of bins.
type set [maxBins / 64]uint64

func (s *set) add(b int)        { s[b>>6] |= 1 << (b & 63) }
func (s *set) has(b uint8) bool { return s[b>>6]>>(b&63)&1 != 0 }
func (s *set) addAll(order []uint8) {
	for _, b := range order {
		s.add(int(b))
	}
}

// split parts the rows of a leaf in two.
type split struct {
	feature int
	gain    float64 // above 0; 0 is no split
	cut     int     // numeric: the last value bin that goes to yes
	yes     set     // the bins that go to yes
	left    sums    // the rows that go to yes
	l2      float64 // that the values of the two sides are found with
}

// better is the fixed rule between two candidates: the higher gain, and among
// equals the one found first (lower feature, then lower bin).
func (s *split) better(than *split) bool { return s.gain > than.gain }

// search looks for the best split of one leaf.
type search struct {
	*Options
	total     sums
	base      float64 // gain of the leaf unsplit
	curvature float64 // MinHessian in the units of sums
}

func newSearch(o *Options, total sums) search {
	return search{o, total, total.gain(o.L2), o.MinHessian * fixed}
}

// allowed says whether both sides have rows and curvature enough.
func (s *search) allowed(left sums) bool {
	right := s.total.minus(left)
	least := int64(s.MinRows)
	return left.n >= least && right.n >= least && float64(left.h) >= s.curvature && float64(right.h) >= s.curvature
}

// gainOf is what the split takes off the loss, 0 if it is not allowed.
func (s *search) gainOf(left sums, l2 float64) float64 {
	if !s.allowed(left) {
		return 0
	}
	return left.gain(l2) + s.total.minus(left).gain(l2) - s.base
}

// find is the best split on one feature; its gain is 0 if there is none.
func (s *search) find(feature int, b *binner, h *histogram) split {
	var best split
	if b.levels > 0 {
		best = s.categorical(b, h)
	} else {
		best = s.numeric(b, h)
	}
	best.feature = feature
	if best.gain > 0 {
		s.placeEmpty(b, h, &best)
	}
	return best
}

// placeEmpty sends the bins without a row in this leaf (categories, missing,
// unseen) with the side of more rows, yes if both have as many. The value bins of
// a numeric feature keep their order.
func (s *search) placeEmpty(b *binner, h *histogram, best *split) {
	if 2*best.left.n < s.total.n {
		return
	}
	from := 0
	if b.levels == 0 {
		from = b.values
	}
	for bin := from; bin < b.size(); bin++ {
		if h[bin].n == 0 {
			best.yes.add(bin)
		}
	}
}

// numeric tries every threshold, with the missing rows on either side.
func (s *search) numeric(b *binner, h *histogram) split {
	best := split{l2: s.L2}
	missing := h[b.missing]
	lastCut, sides := b.values-2, 1
	if missing.n > 0 {
		lastCut, sides = b.values-1, 2 // missing alone against all values
	}
	withMissing := false
	for side := range sides {
		var left sums
		if side == 1 {
			left = missing
		}
		for cut := 0; cut <= lastCut; cut++ {
			if h[cut].n == 0 {
				continue // the same rows as the cut before
			}
			left = left.plus(h[cut])
			if gain := s.gainOf(left, s.L2); gain > best.gain {
				best.gain, best.cut, best.left, withMissing = gain, cut, left, side == 1
			}
		}
	}
	for cut := 0; cut <= best.cut; cut++ {
		best.yes.add(cut)
	}
	if withMissing {
		best.yes.add(int(b.missing))
	}
	return best
}

// categorical tries the optimal partitions of the categories; missing and other
// take part as categories do. A few categories are tried one against the rest.
// More are sorted by smoothed gradient over curvature, and every prefix and
// suffix of at most CategoryMax bins is tried against the rest: by W. D. Fisher,
// On Grouping for Maximum Homogeneity (JASA 53, 1958), the best partition in two
// is a cut of that order. Categories of fewer than CategoryRows rows stay with
// the rest.
func (s *search) categorical(b *binner, h *histogram) split {
	var buffer [maxBins]uint8
	order, filled := buffer[:0], 0
	for bin := range b.size() {
		if h[bin].n > 0 {
			filled++
		}
		if h[bin].n > 0 && h[bin].n >= int64(s.CategoryRows) {
			order = append(order, uint8(bin))
		}
	}
	if filled <= s.CategoryOneHot {
		return s.oneAgainstRest(order, h)
	}
	var key [maxBins]float64
	for _, bin := range order {
		key[bin] = float64(h[bin].g) / fixed / (float64(h[bin].h)/fixed + s.CategorySmooth)
	}
	slices.SortFunc(order, func(a, b uint8) int {
		return cmp.Or(cmp.Compare(key[a], key[b]), cmp.Compare(a, b))
	})
	best := split{l2: s.L2 + s.CategoryL2}
	most := min(s.CategoryMax, len(order), filled-1)
	var chosen []uint8
	for direction := range 2 {
		var left sums
		for k := range most {
			at := k
			if direction == 1 {
				at = len(order) - 1 - k
			}
			left = left.plus(h[order[at]])
			if gain := s.gainOf(left, best.l2); gain > best.gain {
				best.gain, best.left = gain, left
				chosen = order[:k+1]
				if direction == 1 {
					chosen = order[at:]
				}
			}
		}
	}
	best.yes.addAll(chosen)
	return best
}

func (s *search) oneAgainstRest(order []uint8, h *histogram) split {
	best := split{l2: s.L2}
	for _, bin := range order {
		if gain := s.gainOf(h[bin], best.l2); gain > best.gain {
			best.gain, best.left, best.yes = gain, h[bin], set{}
			best.yes.add(int(bin))
		}
	}
	return best
}
