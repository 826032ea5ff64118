package tree

import (
	"math"
	"sync"
)

// Ensemble is a sum of trees, ready to serve. It never changes and is safe for
// concurrent use. A Builder makes it.
type Ensemble struct {
	levels []int // per feature: 0 a number, n > 0 a category
	base   float64
	roots  []int32 // the place of each tree's root; trees lie one after another
	nodes  []node
	sets   []uint64 // the bits of all category sets, see place

	// What only explanations and Tree need, apart from what Raw touches.
	paths  []path  // per node
	shapes []shape // per tree
	rules  []rule  // by number of points, those that the trees need
	mean   float64 // of the ensemble by cover: the base and the trees' means, in order
	depth  int     // of the deepest tree

	// Made when they are first needed: cut, explainer.
	cutOnce     sync.Once
	parts       []part
	explainOnce sync.Once
	explain     *explainer

	pool sync.Pool // of *work
}

// node is one node as served, 24 bytes.
type node struct {
	number  float64 // the threshold of a numeric split, the value of a leaf
	feature int32   // negative: a leaf
	set     int32   // where a categorical split's bits start, or one of the two below
	yes, no int32   // the children's places among all nodes
}

// What set says of a numeric split: the side of a missing value.
const (
	missingNo  int32 = -1
	missingYes int32 = -2
)

// Trees is the number of trees.
func (e *Ensemble) Trees() int { return len(e.roots) }

// Features is the number of features that Raw expects.
func (e *Ensemble) Features() int { return len(e.levels) }

// Levels are the number of categories per feature, 0 for a number. They are not
// to be changed.
func (e *Ensemble) Levels() []int { return e.levels }

// Base is the log-odds that the trees add to.
func (e *Ensemble) Base() float64 { return e.base }

// Raw is the log-odds of x, which has one value per feature: the base plus one
// leaf of each tree, always summed in the order of the trees. NaN is missing; in
// a categorical feature every value that is no code (negative, too large,
// fractional, infinite) is an unseen category. It allocates nothing.
func (e *Ensemble) Raw(x []float64) float64 {
	x = x[:len(e.levels)]
	sum := e.base
	parts := e.cut()
	for i := range parts {
		p := &parts[i]
		if p.walk == nil {
			for _, root := range e.roots[p.first:p.end] {
				sum += e.leaf(root, x)
			}
			continue
		}
		w := e.worker()
		p.answer(w.answers(), x)
		sum = p.walk.add(sum, w.answers(), &w.steps)
		e.pool.Put(w)
	}
	return sum
}

// batch is how many rows RawAll takes through a tree together; few is how many
// are quicker one by one.
const (
	batch = 64
	few   = 16
)

// RawAll fills dst with the log-odds of len(dst) rows, one column per feature:
// the very bits that Raw gives row by row. The rows are shared out among as many
// goroutines as there are CPUs to use.
func (e *Ensemble) RawAll(dst []float64, columns [][]float64) {
	columns = e.whole(columns, len(dst))
	parts := e.cut()
	inBlocks(len(dst), batch, func(start, rows int) {
		w := e.worker()
		defer e.pool.Put(w)
		dst := dst[start : start+rows]
		if rows < few {
			x := w.rowsOf(columns, start, rows)
			for i := range dst {
				dst[i] = e.Raw(x(i))
			}
			return
		}
		var sums [batch]float64
		for i := range sums {
			sums[i] = e.base
		}
		for i := range parts {
			p := &parts[i]
			if p.slice != nil {
				if w.masks == nil {
					w.masks = new(masks)
				}
				p.answer64(w.masks, columns, start, rows)
				p.slice.add(&sums, w.masks)
				continue
			}
			x := w.rowsOf(columns, start, rows)
			for _, root := range e.roots[p.first:p.end] {
				for i := range dst {
					sums[i] += e.leaf(root, x(i))
				}
			}
		}
		copy(dst, sums[:])
	})
}

// leaf is the value of the leaf that x reaches.
func (e *Ensemble) leaf(at int32, x []float64) float64 {
	for {
		n := &e.nodes[at]
		if n.feature < 0 {
			return n.number
		}
		if e.goesYes(n, x[n.feature]) {
			at = n.yes
		} else {
			at = n.no
		}
	}
}

// goesYes reports whether a value of the feature that n splits takes its yes side.
func (e *Ensemble) goesYes(n *node, v float64) bool {
	if n.set >= 0 {
		bit := place(v, e.levels[n.feature])
		return e.sets[int(n.set)+bit>>6]>>(bit&63)&1 != 0
	}
	return v <= n.number || v != v && n.set == missingYes
}

// place is the bit of a value in the set of a feature with so many levels: 0 for
// missing, 1 for unseen, then the codes.
func place(v float64, levels int) int {
	switch {
	case v != v:
		return 0
	case v >= 0 && v < float64(levels) && v == math.Trunc(v):
		return int(v) + 2
	}
	return 1
}

// setWords is the number of words that the set of a feature with so many levels takes.
func setWords(levels int) int { return (levels + 2 + 63) / 64 }

// append adds the nodes of a tree that has been checked.
func (e *Ensemble) append(nodes []Node) {
	first := int32(len(e.nodes))
	for i := range nodes {
		n := &nodes[i]
		e.paths = append(e.paths, path{cover: n.Cover})
		if n.Feature < 0 {
			e.nodes = append(e.nodes, node{number: n.Value + 0, feature: -1}) // -0 + 0 is 0
			continue
		}
		out := node{
			number: n.Threshold + 0, feature: int32(n.Feature), set: missingNo,
			yes: first + int32(n.Yes), no: first + int32(n.No),
		}
		if n.MissingYes {
			out.set = missingYes
		}
		if levels := e.levels[n.Feature]; levels > 0 {
			out.set = int32(len(e.sets))
			e.sets = append(e.sets, make([]uint64, setWords(levels))...)
			bits := e.sets[out.set:]
			if n.MissingYes {
				bits[0] |= 1
			}
			if n.UnseenYes {
				bits[0] |= 2
			}
			for _, code := range n.Set {
				bits[(code+2)>>6] |= 1 << ((code + 2) & 63)
			}
		}
		e.nodes = append(e.nodes, out)
	}
}

// Tree gives tree i back as it was added, but for zeros without a sign and
// leaves whose Feature is -1.
func (e *Ensemble) Tree(i int) []Node {
	first, end := e.span(i)
	out := make([]Node, end-first)
	for k := range out {
		n := &e.nodes[first+k]
		out[k].Cover = e.paths[first+k].cover
		if n.feature < 0 {
			out[k].Feature, out[k].Value = -1, n.number
			continue
		}
		out[k].Feature, out[k].Threshold = int(n.feature), n.number
		out[k].Yes, out[k].No = int(n.yes)-first, int(n.no)-first
		if n.set < 0 {
			out[k].MissingYes = n.set == missingYes
			continue
		}
		bits := e.sets[n.set:]
		out[k].MissingYes, out[k].UnseenYes = bits[0]&1 != 0, bits[0]&2 != 0
		for code := range e.levels[n.feature] {
			if bits[(code+2)>>6]>>((code+2)&63)&1 != 0 {
				out[k].Set = append(out[k].Set, int32(code))
			}
		}
	}
	return out
}

// span is where the nodes of tree i lie.
func (e *Ensemble) span(i int) (first, end int) {
	if i+1 < len(e.roots) {
		return int(e.roots[i]), int(e.roots[i+1])
	}
	return int(e.roots[i]), len(e.nodes)
}

// Truncate is the ensemble of the first n trees, or all if there are fewer. It
// shares their memory.
func (e *Ensemble) Truncate(n int) *Ensemble {
	out := &Ensemble{levels: e.levels, base: e.base, sets: e.sets}
	out.roots, out.nodes, out.paths, out.shapes = e.roots, e.nodes, e.paths, e.shapes
	if n = max(n, 0); n < len(e.roots) {
		end := e.roots[n]
		out.roots, out.nodes, out.paths, out.shapes = e.roots[:n:n], e.nodes[:end:end], e.paths[:end:end], e.shapes[:n:n]
	}
	out.ready()
	return out
}
