package gbdt

import (
	"math"
	"slices"

	"propensity/models/tree"
)

// node is a node of a tree over bins. A leaf has no children (yes is 0: the root
// is no one's child).
type node struct {
	split
	parent  int
	yes, no int
	value   float64 // of a leaf: the rate is in it
	cover   float64 // training rows that reach it, sampled or not
}

// leaf is a leaf that might still be split; its rows are grower.rows[start:end].
type leaf struct {
	node, start, end int
	total            sums
	histograms       []histogram // by place in grower.used
	best             split
}

// grower grows trees leaf by leaf, the leaf of most gain first (Shi, Best-first
// Decision Tree Learning, 2007). Its buffers are reused from tree to tree.
type grower struct {
	*Options
	binners   []binner
	columns   bins
	gradients []gradient // of every row

	used     []int   // the features of this tree, ascending
	rows     []int32 // the rows of this tree, those of each leaf together, ascending
	spare    []int32
	ordered  []gradient // of the rows of one leaf
	found    [2][]split // of two leaves, by place in used
	pool     [][]histogram
	leaves   []leaf
	nodes    []node
	features int // the pool's histograms are for as many
}

// grow grows a tree on the rows and features given, ascending. A tree without a
// split is nil. The nodes are good until the next call; those in leaves tell
// which rows of g.rows each leaf holds.
func (g *grower) grow(rows []int32, used []int) []node {
	g.rows, g.used = append(g.rows[:0], rows...), used
	g.reset()
	var total sums
	for _, r := range g.rows {
		total.g += int64(g.gradients[r].g)
		total.h += int64(g.gradients[r].h)
	}
	total.n = int64(len(g.rows))
	g.nodes = append(g.nodes, node{parent: -1})
	root := leaf{end: len(g.rows), total: total, histograms: g.take()}
	g.searchRoot(&root)
	g.leaves = append(g.leaves, root)
	for len(g.leaves) < g.Leaves {
		best := 0
		for i := range g.leaves {
			if g.leaves[i].best.better(&g.leaves[best].best) {
				best = i
			}
		}
		if g.leaves[best].best.gain <= 0 {
			break
		}
		g.divide(best)
	}
	if len(g.nodes) == 1 {
		return nil
	}
	for _, l := range g.leaves {
		l2 := g.L2
		if l.node > 0 {
			l2 = g.nodes[g.nodes[l.node].parent].l2
		}
		g.nodes[l.node].value = g.Rate * l.total.value(l2)
	}
	return g.nodes
}

// reset readies the buffers for the next tree.
func (g *grower) reset() {
	for _, l := range g.leaves {
		g.give(l.histograms)
	}
	g.leaves, g.nodes = g.leaves[:0], g.nodes[:0]
	if len(g.used) > g.features {
		g.features, g.pool = len(g.used), nil
		g.found = [2][]split{make([]split, g.features), make([]split, g.features)}
	}
	g.ordered = slices.Grow(g.ordered[:0], len(g.rows))[:len(g.rows)]
	g.spare = slices.Grow(g.spare[:0], len(g.rows))[:len(g.rows)]
}

func (g *grower) take() []histogram {
	if n := len(g.pool); n > 0 {
		h := g.pool[n-1]
		g.pool = g.pool[:n-1]
		return h
	}
	return make([]histogram, g.features)
}

func (g *grower) give(h []histogram) {
	if len(h) == g.features && h != nil {
		g.pool = append(g.pool, h)
	}
}

// splittable says whether a leaf has rows enough for two.
func (g *grower) splittable(l *leaf) bool { return l.end-l.start >= 2*g.MinRows }

func (g *grower) searchRoot(root *leaf) {
	if !g.splittable(root) {
		return
	}
	rows, ordered := g.gather(root)
	s := newSearch(g.Options, root.total)
	g.eachFeature(len(rows), func(k, j int) {
		h := &root.histograms[k]
		h.build(g.binners[j].size(), g.columns[j], rows, ordered)
		g.found[0][k] = s.find(j, &g.binners[j], h)
	})
	root.best = bestOf(g.found[0][:len(g.used)])
}

// divide splits leaf i: it becomes the yes side, the no side is a new last leaf.
func (g *grower) divide(i int) {
	parent := g.leaves[i]
	at := g.partition(&parent)
	yes, no := parent, parent
	yes.end, no.start = at, at
	yes.total, no.total = parent.best.left, parent.total.minus(parent.best.left)
	yes.node, no.node = len(g.nodes), len(g.nodes)+1
	yes.best, no.best = split{}, split{}
	g.nodes = append(g.nodes, node{parent: parent.node}, node{parent: parent.node})
	p := &g.nodes[parent.node]
	p.split, p.yes, p.no = parent.best, yes.node, no.node

	small, large := &yes, &no
	if no.total.n < yes.total.n {
		small, large = large, small
	}
	small.histograms = nil // the large side inherits
	if len(g.leaves)+1 < g.Leaves && g.splittable(large) {
		small.histograms = g.take()
		g.searchBoth(small, large)
	}
	g.leaves[i] = yes
	g.leaves = append(g.leaves, no)
}

// searchBoth looks for the best splits of two sides of a leaf. The histograms of
// the small one are built, those of the large one are the leaf's less them.
func (g *grower) searchBoth(small, large *leaf) {
	rows, ordered := g.gather(small)
	a, b := newSearch(g.Options, small.total), newSearch(g.Options, large.total)
	both := g.splittable(small)
	g.eachFeature(len(rows), func(k, j int) {
		size, binner := g.binners[j].size(), &g.binners[j]
		h, rest := &small.histograms[k], &large.histograms[k]
		h.build(size, g.columns[j], rows, ordered)
		rest.subtract(size, h)
		g.found[0][k] = split{}
		if both {
			g.found[0][k] = a.find(j, binner, h)
		}
		g.found[1][k] = b.find(j, binner, rest)
	})
	small.best, large.best = bestOf(g.found[0][:len(g.used)]), bestOf(g.found[1][:len(g.used)])
}

// eachFeature calls do with every used feature and its place.
func (g *grower) eachFeature(rows int, do func(k, j int)) {
	const worthwhile = 1 << 14 // below it, starting goroutines takes longer than the work
	if rows*len(g.used) < worthwhile {
		for k, j := range g.used {
			do(k, j)
		}
		return
	}
	parallel(len(g.used), func(k int) { do(k, g.used[k]) })
}

// gather puts the gradients of a leaf's rows side by side.
func (g *grower) gather(l *leaf) ([]int32, []gradient) {
	rows := g.rows[l.start:l.end]
	ordered := g.ordered[:len(rows)]
	for k, r := range rows {
		ordered[k] = g.gradients[r]
	}
	return rows, ordered
}

func bestOf(found []split) split {
	var best split
	for k := range found {
		if found[k].better(&best) {
			best = found[k]
		}
	}
	return best
}

// partition moves the rows that go to yes before those that go to no, each in
// their order, and returns where no starts.
func (g *grower) partition(l *leaf) int {
	rows, column := g.rows[l.start:l.end], g.columns[l.best.feature]
	var goes [maxBins]bool
	for b := range goes {
		goes[b] = l.best.yes.has(uint8(b))
	}
	yes, no := 0, 0
	for _, r := range rows {
		rows[yes], g.spare[no] = r, r // both are written, one place moves on: no branch to mispredict
		if goes[column[r]] {
			yes++
		} else {
			no++
		}
	}
	copy(rows[yes:], g.spare[:no])
	return l.start + yes
}

// leafOf is the leaf of nodes that row i of binned columns falls into.
func leafOf(nodes []node, columns bins, i int) int {
	at := 0
	for nodes[at].yes > 0 {
		n := &nodes[at]
		if n.split.yes.has(columns[n.feature][i]) {
			at = n.yes
		} else {
			at = n.no
		}
	}
	return at
}

// export writes a tree in terms of values instead of bins.
func export(nodes []node, binners []binner) []tree.Node {
	out := make([]tree.Node, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		if n.yes == 0 {
			out[i] = tree.Node{Feature: -1, Value: n.value, Cover: n.cover}
			continue
		}
		b := &binners[n.feature]
		out[i] = tree.Node{Feature: n.feature, Yes: n.yes, No: n.no, Cover: n.cover, MissingYes: n.split.yes.has(b.missing)}
		if b.levels == 0 {
			out[i].Threshold = math.MaxFloat64 // missing against all values
			if n.cut < len(b.thresholds) {
				out[i].Threshold = b.thresholds[n.cut]
			}
			continue
		}
		out[i].UnseenYes = n.split.yes.has(b.other)
		out[i].Set = []int32{}
		for code, bin := range b.codes {
			if n.split.yes.has(bin) {
				out[i].Set = append(out[i].Set, int32(code))
			}
		}
	}
	return out
}
