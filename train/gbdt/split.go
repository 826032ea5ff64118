package gbdt

import (
	"cmp"
	"math"
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
	column int     // place among table.columns
	gain   float64 // above 0; 0 is no split
	cut    int     // numeric: the last value bin that goes to yes
	yes    set     // the bins that go to yes
	left   sums    // the rows that go to yes
	l2     float64 // that the values of the two sides are found with
}

// better is the fixed rule between two candidates: the higher gain, and among
// equals the one found first (lower feature, then lower bin).
func (s *split) better(than *split) bool { return s.gain > than.gain }

// search looks for the best split of one leaf.
type search struct {
	*Options
	total     sums
	base      float64 // gain of the leaf unsplit
	curvature int64   // MinHessian in units
	bounds            // of the values below the leaf
	bounded   bool    // there are any
	late      bool    // bins without a row are placed when the leaf is split
}

func newSearch(o *Options, total sums) search {
	return search{
		Options: o, total: total, base: total.gain(o.L2),
		curvature: int64(math.Ceil(min(o.MinHessian*hessianUnits, 1<<62))), bounds: unbounded(),
	}
}

// gainOf is what the split takes off the loss, 0 if it is not allowed: both
// sides must have rows and curvature enough.
func (s *search) gainOf(left sums, l2 float64) float64 {
	right := s.total.minus(left)
	if least := int64(s.MinRows); left.n < least || right.n < least || left.h < s.curvature || right.h < s.curvature {
		return 0
	}
	if s.bounded {
		return s.gainWithin(left, right, l2, 0)
	}
	lg, lh := left.gradient(), left.hessian()+l2
	rg, rh := right.gradient(), right.hessian()+l2
	if lh <= 0 || rh <= 0 {
		return left.gain(l2) + right.gain(l2) - s.base
	}
	return (float64(lg*lg*rh)+float64(rg*rg*lh))/(lh*rh) - s.base // one division for two
}

// find is the best split on one column; its gain is 0 if there is none.
func (s *search) find(place int, c *column, h []sums) split {
	var best split
	switch {
	case c.rising != 0:
		best = s.monotone(c, h)
	case c.ordered():
		best = s.numeric(c, h)
	default:
		best = s.categorical(c.binner, h)
	}
	best.column = place
	if best.gain > 0 && !s.late && 2*best.left.n >= s.total.n {
		best.placeEmpty(c, h)
	}
	return best
}

// placeEmpty sends the bins without a row in the leaf (categories, missing,
// unseen) to yes: with the side of more rows, of more weight where rows have
// weights, yes if both have as many. Bins that have an order keep it.
func (s *split) placeEmpty(c *column, h []sums) {
	from := 0
	if c.ordered() {
		from = c.values()
	}
	for bin := from; bin < c.size; bin++ {
		if h[bin].n == 0 {
			s.yes.add(bin)
		}
	}
}

// numeric tries every cut of the bins that have an order, with the missing rows
// on either side, and the missing rows against all others.
func (s *search) numeric(c *column, h []sums) split {
	best := split{l2: s.L2}
	values := c.values()
	var missing sums
	if values < c.size {
		missing = h[values]
	}
	firstCut, lastCut, withMissing := 0, values-2, false
	if missing.n > 0 {
		lastCut = values - 1
	}
	if c.rates != nil {
		// Rates of parts of the rows reach further than those of all, which the model
		// goes by: past them a cut would part nothing.
		firstCut, lastCut = c.rates.lowest, c.rates.highest-1
	}
	var left sums
	for cut := range h[:lastCut+1] {
		if h[cut].n == 0 && cut != firstCut {
			continue // the same rows as the cut before
		}
		left.g += h[cut].g
		left.h += h[cut].h
		left.n += h[cut].n
		if cut < firstCut {
			continue
		}
		if gain := s.gainOf(left, s.L2); gain > best.gain {
			best.gain, best.cut, best.left, withMissing = gain, cut, left, false
		}
		if missing.n > 0 {
			if gain := s.gainOf(left.plus(missing), s.L2); gain > best.gain {
				best.gain, best.cut, best.left, withMissing = gain, cut, left.plus(missing), true
			}
		}
	}
	for cut := 0; cut <= best.cut; cut++ {
		best.yes.add(cut)
	}
	if withMissing {
		best.yes.add(values)
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
func (s *search) categorical(b *binner, h []sums) split {
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
		key[bin] = h[bin].gradient() / (h[bin].hessian() + s.CategorySmooth)
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

func (s *search) oneAgainstRest(order []uint8, h []sums) split {
	best := split{l2: s.L2}
	for _, bin := range order {
		if gain := s.gainOf(h[bin], best.l2); gain > best.gain {
			best.gain, best.left, best.yes = gain, h[bin], set{}
			best.yes.add(int(bin))
		}
	}
	return best
}
