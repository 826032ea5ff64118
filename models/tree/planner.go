package tree

import (
	"cmp"
	"slices"
)

// limits bound what an explainer keeps.
type limits struct {
	tableBits  int     // of a pattern that has a table
	leafBits   int     // of a pattern by which a leaf is integrated
	floats     int     // in all
	unitFloats float64 // as many in a table are taken to cost as much as adding one value
	pointCost  float64 // of the walker at a node, for each point and one more
}

// usual takes at most 32 MiB. On 200 trees of 31 leaves it takes 17 MB; half the
// unitFloats take half of that and make an explanation a third slower.
func usual() limits {
	return limits{tableBits: 12, leafBits: maxPattern, floats: 1 << 22, unitFloats: 128, pointCost: 4.5}
}

const (
	// groupFloats is how many values a group has, at least, but for the last.
	groupFloats = 1 << 17
	// answerBytes is how much the answers of the rows taken together may take.
	answerBytes = 1 << 19

	// Costs, in those of adding one value of a line (about 1 ns): of any piece, of
	// a leaf to integrate beside its values, which come from afar, and of a leaf
	// left to the walker.
	pieceCost = 4
	leafCost  = 20
	walkCost  = 500
)

// planner chooses the pieces of trees and works out their values.
type planner struct {
	e      *Ensemble
	limits limits
	plans  []plan // per node
	rules  []rule // by number of points
	floats int    // planned

	// The path to a node: its features in the order of their bits.
	features []int32
	zero     []float64 // per bit: see path
	open     []int32   // per feature: its bit, -1 if it is not on the path
	counted  []int     // per feature: the count that met it last
	counts   int

	// The table in work: its splits, and those on the path below its root.
	inner []int32
	edges []tableEdge

	// The group in work.
	part           *part
	steps          []uint64
	slots          int
	values         []float64
	tables, leaves []planned
}

// plan is what is chosen at a node.
type plan struct {
	kind   pieceKind
	splits int32   // at and below it
	bits   int32   // of its pattern
	width  int32   // the features on the path and below
	cost   float64 // of all below
	floats int32
}

type pieceKind uint8

const (
	apart    pieceKind = iota // a split: its children each have their plan
	tabled                    // one table for all below
	integral                  // a leaf
	walked                    // a leaf, or a whole tree: left to the walker
)

type planned struct {
	piece
	features []int32
}

type tableEdge struct {
	split int // its number in inner
	yes   bool
}

func (e *Ensemble) explainer() *explainer {
	e.explainOnce.Do(func() { e.explain = e.newExplainer(usual()) })
	return e.explain
}

func (e *Ensemble) newExplainer(l limits) *explainer {
	b := planner{e: e, limits: l, plans: make([]plan, len(e.nodes)), rules: make([]rule, (maxPattern+1)/2+1)}
	b.open, b.counted = slices.Repeat([]int32{-1}, len(e.levels)), make([]int, len(e.levels))
	for k := range b.rules[1:] {
		b.rules[k+1] = newRule(k + 1)
	}
	parts := e.cut()
	for {
		b.floats = 0
		for i := range parts {
			for k := parts[i].first; k < parts[i].end && parts[i].asked; k++ {
				b.planTree(k)
				b.floats += b.size(e.roots[k])
			}
		}
		if b.floats <= l.floats || b.limits.unitFloats < 1 {
			break
		}
		b.limits.unitFloats /= 2
	}
	x := &explainer{e: e, tabled: make([]bool, len(e.nodes)), rows: 512}
	rest := l.floats
	for i := range parts {
		p := explainedPart{part: &parts[i]}
		b.part = p.part
		for k := p.first; k < p.end; k++ {
			root := e.roots[k]
			if !p.asked || b.size(root) > rest {
				x.walked = append(x.walked, k)
				continue
			}
			rest -= b.size(root)
			b.slots++
			b.emit(root, b.slots-1)
			if !b.settle(x.tabled, root) {
				x.walked = append(x.walked, k)
			}
			if len(b.values) >= groupFloats {
				p.groups = append(p.groups, b.group())
			}
		}
		if p.asked {
			p.groups = append(p.groups, b.group())
			x.parts = append(x.parts, p)
			x.rows = max(min(x.rows, answerBytes/p.conditions), 16)
		}
	}
	return x
}

// enter makes a split's feature the last on the path, unless it is on it, and
// gives its bit; leave undoes it.
func (b *planner) enter(n *node) (bit int32, fresh bool) {
	if bit = b.open[n.feature]; bit >= 0 {
		return bit, false
	}
	bit = int32(len(b.features))
	b.open[n.feature] = bit
	b.features, b.zero = append(b.features, n.feature), append(b.zero, 1)
	return bit, true
}

func (b *planner) leave(n *node, fresh bool) {
	if fresh {
		b.open[n.feature] = -1
		b.features, b.zero = b.features[:len(b.features)-1], b.zero[:len(b.zero)-1]
	}
}

// planTree chooses for a tree: pieces, or the walker, who takes time by nodes and
// points, where the tree is too wide for pieces to pay.
func (b *planner) planTree(i int) {
	first, end := b.e.span(i)
	walk := float64(end-first) * float64(b.e.shapes[i].points+1) * b.limits.pointCost
	if p := b.plan(b.e.roots[i]); p.cost > walk {
		*p = plan{kind: walked}
	}
}

// plan chooses at a node and all below.
func (b *planner) plan(at int32) *plan {
	n, p := &b.e.nodes[at], &b.plans[at]
	d := len(b.features)
	*p = plan{bits: int32(d), width: int32(d)}
	switch {
	case n.feature >= 0:
		_, fresh := b.enter(n)
		yes, no := b.plan(n.yes), b.plan(n.no)
		b.leave(n, fresh)
		p.splits, p.cost = 1+yes.splits+no.splits, yes.cost+no.cost
		p.bits += p.splits
	case d <= b.limits.leafBits:
		points := (d + 1) / 2
		p.kind, p.floats = integral, int32(points*(1+4*d))
		p.cost = leafCost + float64(d*points) + float64(p.floats)/2
	default:
		p.kind, p.cost = walked, walkCost
	}
	if int(p.bits) > b.limits.tableBits {
		return p
	}
	b.counts++
	p.width += b.fresh(at)
	floats := p.width << p.bits
	if cost := float64(p.width+pieceCost) + float64(floats)/b.limits.unitFloats; cost <= p.cost {
		p.kind, p.cost, p.floats = tabled, cost, floats
	}
	return p
}

// fresh counts the features at and below a node that are not on the path, each once.
func (b *planner) fresh(at int32) (count int32) {
	n := &b.e.nodes[at]
	if n.feature < 0 {
		return 0
	}
	if b.open[n.feature] < 0 && b.counted[n.feature] != b.counts {
		b.counted[n.feature] = b.counts
		count++
	}
	return count + b.fresh(n.yes) + b.fresh(n.no)
}

// size is the number of values planned at and below a node.
func (b *planner) size(at int32) int {
	if p := &b.plans[at]; p.kind != apart {
		return int(p.floats)
	}
	n := &b.e.nodes[at]
	return b.size(n.yes) + b.size(n.no)
}

// settle marks what needs no walker and reports whether all does not.
func (b *planner) settle(done []bool, at int32) bool {
	n := &b.e.nodes[at]
	if kind := b.plans[at].kind; kind != apart {
		done[at] = kind != walked
	} else {
		yes, no := b.settle(done, n.yes), b.settle(done, n.no)
		done[at] = yes && no
	}
	return done[at]
}

// emit makes the steps and pieces of the trees below a node whose pattern is in a slot.
func (b *planner) emit(at int32, slot int) {
	n := &b.e.nodes[at]
	switch b.plans[at].kind {
	case tabled:
		b.table(at, slot)
	case integral:
		b.leaf(n.number, slot)
	case apart:
		bit, fresh := b.enter(n)
		if bit < maxPattern { // else all leaves below are walked
			yes := b.slots
			b.slots++
			b.step(at, slot, yes, bit)
			before := b.zero[bit]
			b.zero[bit] = b.e.paths[n.yes].zero
			b.emit(n.yes, yes)
			b.zero[bit] = b.e.paths[n.no].zero
			b.emit(n.no, slot)
			b.zero[bit] = before
		}
		b.leave(n, fresh)
	}
}

func (b *planner) step(at int32, from, yes int, bit int32) {
	condition := b.part.condition[at-b.e.roots[b.part.first]]
	b.steps = append(b.steps, step(condition, from, yes, bit))
}

// group closes the group in work.
func (b *planner) group() group {
	g := group{steps: slices.Clone(b.steps), slots: b.slots, values: slices.Clone(b.values)}
	g.tables, g.leaves = runs(b.tables), runs(b.leaves)
	b.steps, b.slots, b.values, b.tables, b.leaves = b.steps[:0], 0, b.values[:0], b.tables[:0], b.leaves[:0]
	return g
}

// runs gathers pieces by their number of features.
func runs(pieces []planned) (out []run) {
	slices.SortStableFunc(pieces, func(x, y planned) int { return cmp.Compare(len(x.features), len(y.features)) })
	for _, p := range pieces {
		width := len(p.features)
		if width == 0 {
			continue // a tree that is one leaf
		}
		if len(out) == 0 || out[len(out)-1].width != width {
			out = append(out, run{width: width})
		}
		r := &out[len(out)-1]
		r.pieces, r.features = append(r.pieces, p.piece), append(r.features, p.features...)
	}
	return out
}
