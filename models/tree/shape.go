package tree

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// ErrNotAdditive says that an ensemble has a tree of more than one feature: it is
// no sum of functions of one feature each.
var ErrNotAdditive = errors.New("not an additive ensemble")

// Shape is what one feature adds to the log-odds of an additive ensemble,
// whatever the others are. Its mean by training cover is 0: it is the Shapley
// value of the feature too.
type Shape struct {
	// Cuts are those of a number, ascending: Values[k] holds above Cuts[k-1], up to
	// and with Cuts[k], the first and the last without end. A category has none.
	Cuts []float64
	// Values has one place more than Cuts or, of a category, one per code.
	Values []float64
	// Missing and Unseen are what those values add; Unseen of a category only.
	Missing, Unseen float64

	levels int
}

// At is what a value adds: NaN is missing, and of a category every value that is
// no code is unseen.
func (s *Shape) At(x float64) float64 {
	switch {
	case x != x:
		return s.Missing
	case s.levels == 0:
		return s.Values[sort.SearchFloat64s(s.Cuts, x)]
	case place(x, s.levels) == 1:
		return s.Unseen
	}
	return s.Values[int(x)]
}

// Shapes takes an ensemble apart whose every tree splits on one feature at most
// (Lou, Caruana and Gehrke, Intelligible Models for Classification and
// Regression, KDD 2012): base plus what the shapes of all features, one each, add
// is Raw to 1e-9 at all finite and missing values. The base is that of Explain. A
// feature that no tree splits on has a shape of 0. An error wraps ErrNotAdditive and
// names the tree and two of its features, counted from 0.
func (e *Ensemble) Shapes() (base float64, shapes []Shape, err error) {
	shapes = make([]Shape, len(e.levels))
	trees := make([][]int, len(e.levels)) // of each feature
	for i := range e.roots {
		j, err := e.only(i)
		if err != nil {
			return 0, nil, err
		}
		if j >= 0 {
			trees[j] = append(trees[j], i)
		}
	}
	for j, levels := range e.levels {
		shapes[j] = e.shapeOf(j, trees[j])
		shapes[j].levels = levels
	}
	return e.mean, shapes, nil
}

// only is the one feature that tree i splits on, -1 if it is a leaf.
func (e *Ensemble) only(i int) (int, error) {
	feature := -1
	first, end := e.span(i)
	for k := first; k < end; k++ {
		switch j := int(e.nodes[k].feature); {
		case j < 0 || j == feature:
		case feature < 0:
			feature = j
		default:
			return 0, fmt.Errorf("%w: tree %d splits on features %d and %d", ErrNotAdditive, i, feature, j)
		}
	}
	return feature, nil
}

// shapeOf sums up the trees of feature j, in their order.
func (e *Ensemble) shapeOf(j int, trees []int) (s Shape) {
	x := make([]float64, len(e.levels))
	sum := func(v float64) (total float64) {
		x[j] = v
		for _, i := range trees {
			total += e.leaf(e.roots[i], x) - e.shapes[i].mean
		}
		return total
	}
	s.Missing = sum(math.NaN())
	if levels := e.levels[j]; levels > 0 {
		s.Values = make([]float64, levels)
		for code := range s.Values {
			s.Values[code] = sum(float64(code))
		}
		s.Unseen = sum(-1)
		return s
	}
	for _, i := range trees {
		first, end := e.span(i)
		for k := first; k < end; k++ {
			// A threshold that no finite value is above parts the missing from the rest.
			if n := &e.nodes[k]; n.feature >= 0 && n.number < math.MaxFloat64 {
				s.Cuts = append(s.Cuts, n.number)
			}
		}
	}
	slices.Sort(s.Cuts)
	s.Cuts = slices.Compact(s.Cuts)
	s.Values = make([]float64, len(s.Cuts)+1)
	for k, cut := range s.Cuts {
		s.Values[k] = sum(cut)
	}
	s.Values[len(s.Cuts)] = sum(math.MaxFloat64)
	return s
}
