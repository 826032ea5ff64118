package gbdt

import (
	"runtime"
	"slices"
)

// node is a node of a tree over bins. A leaf has no children (yes is 0: the root
// is no one's child).
type node struct {
	split
	bounds  // of the values of all leaves below it, before the rate
	parent  int
	yes, no int
	value   float64 // of a leaf: the rate is in it
	cover   float64 // weight of the rows that the tree was grown on and that reach it
}

// closed is a node that is no split yet.
func closed(parent int, b bounds) node {
	return node{split: split{column: -1}, bounds: b, parent: parent}
}

// leaf is a leaf that might still be split.
type leaf struct {
	node      int
	rows      span // in grower.rows
	total     sums
	histogram []sums // by the columns' places
	best      split
	open      []uint64 // the groups that hold all features on the way to it; nil: there are none
}

// span is a stretch of row numbers.
type span struct{ start, end int }

func (s span) len() int { return s.end - s.start }

// grower grows trees leaf by leaf, the leaf of most gain first (Shi, Best-first
// Decision Tree Learning, 2007). Its buffers are reused from tree to tree.
type grower struct {
	*Options
	*table
	*crew

	used     []int      // the columns of this tree, ascending
	sample   []int32    // the rows that this tree is grown on, ascending
	nearby              // of the sample
	rows     []int32    // places in the sample, those of each leaf together
	rest     []int32    // the other rows, which go down the tree when it is grown
	weight   []float64  // of all rows; nil: 1
	groups   [][]uint64 // by column, those it is in, a bit each; nil: all columns may act together
	spare    []int32
	bins     int        // a histogram has room for
	found    [2][]split // of two leaves, by column
	pool     [][]sums
	counters []counter // by goroutine
	leaves   []leaf
	nodes    []node
	ways     [][maxBins]uint8 // of each split: see goes
}

// grow grows a tree on g.sample and the given columns, ascending. A tree without
// a split is nil. The nodes are good until the next call; g.leaves then tell which
// of g.rows each leaf holds.
func (g *grower) grow(used []int) []node {
	g.used = used
	g.reset()
	g.nodes = append(g.nodes, closed(-1, unbounded()))
	root := leaf{rows: span{0, len(g.sample)}, histogram: g.take(), open: g.anyGroup()}
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
	g.prune()
	if len(g.nodes) == 1 {
		return nil
	}
	for _, l := range g.leaves {
		l2 := g.L2
		if l.node > 0 {
			l2 = g.nodes[g.nodes[l.node].parent].l2
		}
		n := &g.nodes[l.node]
		n.value, n.cover = g.Rate*n.clip(l.total.value(l2)), g.weightOf(l.rows)
	}
	for i := len(g.nodes) - 1; i > 0; i-- {
		g.nodes[g.nodes[i].parent].cover += g.nodes[i].cover
	}
	return g.nodes
}

// reset readies the buffers for the next tree.
func (g *grower) reset() {
	for _, l := range g.leaves {
		g.keep(l.histogram)
	}
	g.leaves, g.nodes = g.leaves[:0], g.nodes[:0]
	if len(g.counters) == 0 {
		g.counters = make([]counter, runtime.GOMAXPROCS(0))
		g.found = [2][]split{make([]split, len(g.columns)), make([]split, len(g.columns))}
	}
	g.batches = g.batchesOf(g.used)
	bins := 0
	for _, k := range g.used {
		g.columns[k].start = bins
		bins += g.columns[k].size
	}
	if bins > g.bins {
		g.bins, g.pool = bins, nil
		for w := range g.counters {
			g.counters[w].own = nil
		}
	}
	g.gather(g.crew, g.table, g.sample)
	g.rows = slices.Grow(g.rows[:0], len(g.sample))[:len(g.sample)]
	for k := range g.rows {
		g.rows[k] = int32(k)
	}
	g.spare = slices.Grow(g.spare[:0], len(g.sample))[:len(g.sample)]
}

// prune takes back, from below, the splits that gain no more than MinGain: only
// when the tree is grown it is known that nothing below them does.
func (g *grower) prune() {
	if g.MinGain == 0 {
		return
	}
	leafOf := make([]int, len(g.nodes))
	for i, l := range g.leaves {
		leafOf[l.node] = i
	}
	gone := make([]bool, len(g.nodes))
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := &g.nodes[i]
		if n.yes == 0 || n.gain > g.MinGain || g.nodes[n.yes].yes > 0 || g.nodes[n.no].yes > 0 {
			continue
		}
		yes, no := &g.leaves[leafOf[n.yes]], &g.leaves[leafOf[n.no]]
		gone[n.yes], gone[n.no] = true, true
		yes.rows.end, yes.total = no.rows.end, yes.total.plus(no.total) // the two lie together
		leafOf[i], yes.node, no.node = leafOf[n.yes], i, -1
		*n = closed(n.parent, n.bounds)
	}
	place, kept := make([]int, len(g.nodes)), g.nodes[:0]
	for i := range g.nodes {
		if !gone[i] {
			place[i] = len(kept)
			kept = append(kept, g.nodes[i])
		}
	}
	g.nodes = kept
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.parent >= 0 {
			n.parent = place[n.parent]
		}
		if n.yes > 0 {
			n.yes, n.no = place[n.yes], place[n.no]
		}
	}
	leaves := g.leaves[:0]
	for _, l := range g.leaves {
		if l.node < 0 {
			g.keep(l.histogram)
			continue
		}
		l.node = place[l.node]
		leaves = append(leaves, l)
	}
	g.leaves = leaves
}

func (g *grower) take() []sums {
	if n := len(g.pool); n > 0 {
		h := g.pool[n-1]
		g.pool = g.pool[:n-1]
		return h
	}
	return make([]sums, g.bins)
}

// splittable says whether a leaf has rows enough for two.
func (g *grower) splittable(l *leaf) bool { return l.rows.len() >= 2*g.MinRows }

func (g *grower) searchRoot(root *leaf) {
	if !g.splittable(root) || len(g.used) == 0 {
		return
	}
	g.count(root.histogram, g.rows, func([]int) {})
	first := &g.columns[g.used[0]]
	for _, s := range root.histogram[first.start : first.start+first.size] {
		root.total = root.total.plus(s)
	}
	s := g.searchOf(root)
	g.parallel(len(g.used), func(i int) { g.found[0][g.used[i]] = g.find(&s, g.used[i], root.histogram) })
	root.best = g.bestOf(0)
}

func (g *grower) find(s *search, k int, histogram []sums) split {
	c := &g.columns[k]
	return s.find(k, c, histogram[c.start:c.start+c.size])
}

// divide splits leaf i: it becomes the yes side, the no side is a new last leaf.
func (g *grower) divide(i int) {
	parent := g.leaves[i]
	yes, no := parent, parent
	yes.rows, no.rows = g.partition(parent.rows, &parent.best)
	yes.total, no.total = parent.best.left, parent.total.minus(parent.best.left)
	yes.node, no.node = len(g.nodes), len(g.nodes)+1
	yes.best, no.best = split{}, split{}
	if g.weight != nil && g.weightOf(yes.rows) >= g.weightOf(no.rows) {
		c := &g.columns[parent.best.column]
		parent.best.placeEmpty(c, parent.histogram[c.start:c.start+c.size])
	}
	p := &g.nodes[parent.node]
	p.split, p.yes, p.no = parent.best, yes.node, no.node
	low, high := g.boundsBelow(p, yes.total, no.total)
	g.nodes = append(g.nodes, closed(parent.node, low), closed(parent.node, high))
	if g.groups != nil {
		yes.open = both(parent.open, g.groups[parent.best.column])
		no.open = yes.open
	}

	small, large := &yes, &no
	if no.total.n < yes.total.n {
		small, large = large, small
	}
	small.histogram = nil // the large side inherits
	if len(g.leaves)+1 < g.Leaves && g.splittable(large) {
		small.histogram = g.take()
		g.searchBoth(small, large)
	}
	g.release(&yes)
	g.release(&no)
	g.leaves[i] = yes
	g.leaves = append(g.leaves, no)
}

// release gives back the histogram of a leaf that will not be split.
func (g *grower) release(l *leaf) {
	if l.best.gain <= 0 {
		g.keep(l.histogram)
		l.histogram = nil
	}
}

func (g *grower) keep(h []sums) {
	if h != nil {
		g.pool = append(g.pool, h)
	}
}

// searchBoth looks for the best splits of two sides of a leaf. The histograms of
// the small one are built, those of the large one are the leaf's less them.
func (g *grower) searchBoth(small, large *leaf) {
	rows := g.rows[small.rows.start:small.rows.end]
	a, b := g.searchOf(small), g.searchOf(large)
	both := g.splittable(small)
	if k := g.nodes[g.nodes[small.node].parent].column; g.alone(k, small.open) {
		g.deal(k, small, large)
		small.best, large.best = split{}, g.find(&b, k, large.histogram)
		if both {
			small.best = g.find(&a, k, small.histogram)
		}
		return
	}
	g.count(small.histogram, rows, func(columns []int) {
		for _, k := range columns {
			column := &g.columns[k]
			subtract(large.histogram[column.start:column.start+column.size], small.histogram[column.start:column.start+column.size])
			g.found[0][k], g.found[1][k] = split{}, split{}
			if g.groups != nil && !overlap(g.groups[k], small.open) {
				continue
			}
			if both {
				g.found[0][k] = g.find(&a, k, small.histogram)
			}
			g.found[1][k] = g.find(&b, k, large.histogram)
		}
	})
	small.best, large.best = g.bestOf(0), g.bestOf(1)
}

// count fills the histograms of the used columns from the rows of a leaf, then
// calls do with the columns of each batch. Many rows are parted among goroutines,
// so that each is fetched once; of few rows, the fields.
func (g *grower) count(dst []sums, rows []int32, do func(columns []int)) {
	workers := len(g.counters)
	const worthwhile = 1 << 13 // additions below which starting a goroutine takes longer than the work
	switch {
	case workers == 1 || len(rows)*len(g.used)+g.bins < worthwhile:
		g.counters[0].build(g.table, &g.nearby, 0, len(g.batches), dst, rows)
	case len(rows) < workers*segment/2:
		g.parallel(workers, func(w int) {
			first, last := w*len(g.batches)/workers, (w+1)*len(g.batches)/workers
			g.counters[w].build(g.table, &g.nearby, first, last, dst, rows)
			for i := first; i < last; i++ {
				do(g.batches[i].columns)
			}
		})
		return
	default:
		g.parallel(workers, func(w int) {
			c := &g.counters[w]
			if w > 0 && len(c.own) == 0 {
				c.own = make([]sums, g.bins)
			}
			to := dst
			if w > 0 {
				to = c.own
			}
			c.build(g.table, &g.nearby, 0, len(g.batches), to, rows[w*len(rows)/workers:(w+1)*len(rows)/workers])
		})
		g.parallel(len(g.batches), func(i int) {
			for _, k := range g.batches[i].columns {
				from, to := g.columns[k].start, g.columns[k].start+g.columns[k].size
				for w := 1; w < workers; w++ {
					add(dst[from:to], g.counters[w].own[from:to])
				}
			}
			do(g.batches[i].columns)
		})
		return
	}
	for i := range g.batches {
		do(g.batches[i].columns)
	}
}

// bestOf is the best split found for one of two leaves.
func (g *grower) bestOf(side int) split {
	var best split
	for _, k := range g.used {
		if found := &g.found[side][k]; found.better(&best) {
			best = *found
		}
	}
	return best
}

// near is the byte of a column's field in the rows of the sample, every width bytes.
func (g *grower) near(column int) (bytes []uint8, width int) {
	k := g.columns[column].field
	for i := range g.batches {
		if lane := slices.Index(g.batches[i].fields, k); lane >= 0 {
			return g.cells[lanes*i+lane:], g.width
		}
	}
	panic("gbdt: a split on a column that the tree does not use")
}

// goes is 1 for each value of the field of the split's column that goes to yes.
func (g *grower) goes(to *[maxBins]uint8, s *split) {
	bins := g.columns[s.column].bins
	for v := range to {
		b := uint8(v)
		if bins != nil {
			b = bins[min(v, len(bins)-1)]
		}
		to[v] = uint8(s.yes[b>>6] >> (b & 63) & 1)
	}
}

// partition moves the rows that go to yes before those that go to no, each in
// their order.
func (g *grower) partition(within span, s *split) (yes, no span) {
	rows := g.rows[within.start:within.end]
	bytes, width := g.near(s.column)
	var goes [maxBins]uint8
	g.goes(&goes, s)
	at := within.start
	if len(rows) < 2*partitionRows || len(g.counters) == 1 {
		at += part(rows, g.spare[:len(rows)], bytes, width, &goes)
		copy(g.rows[at:within.end], g.spare[:within.end-at])
		return span{within.start, at}, span{at, within.end}
	}
	n := len(g.counters)
	counts := make([]int, n)
	g.parallel(n, func(k int) {
		from, to := k*len(rows)/n, (k+1)*len(rows)/n
		counts[k] = part(rows[from:to], g.spare[from:to], bytes, width, &goes)
	})
	for k, c := range counts {
		from := k * len(rows) / n
		at += copy(g.rows[at:], rows[from:from+c])
	}
	to := at
	for k, c := range counts {
		from, end := k*len(rows)/n, (k+1)*len(rows)/n
		to += copy(g.rows[to:], g.spare[from:end-c])
	}
	return span{within.start, at}, span{at, within.end}
}

// partitionRows is the least number of rows worth a goroutine.
const partitionRows = 1 << 12

// part keeps the rows that go to yes in rows, moves the others to spare, and
// says how many stay.
func part(rows, spare []int32, bytes []uint8, width int, goes *[maxBins]uint8) int {
	yes := 0
	for k, r := range rows {
		rows[yes], spare[k-yes] = r, r // both are written, one place moves on: no branch to mispredict
		yes += int(goes[bytes[int(r)*width]])
	}
	return yes
}

// addTo adds the tree's values to the scores of all rows: those of the sample lie
// by leaf, the others go down the tree, a chunk at a time, which stays in the
// nearest cache meanwhile.
func (g *grower) addTo(raw []float64, nodes []node) {
	g.parallel(len(g.leaves), func(i int) {
		l := &g.leaves[i]
		value := nodes[l.node].value
		for _, k := range g.rows[l.rows.start:l.rows.end] {
			raw[g.sample[k]] += value
		}
	})
	g.ways = slices.Grow(g.ways[:0], len(nodes))[:len(nodes)]
	for i := range nodes {
		if nodes[i].yes > 0 {
			g.goes(&g.ways[i], &nodes[i].split)
		}
	}
	chunks(g.crew, len(g.rest), func(_, from, to int) {
		var spare [chunk]int32
		within := make([][]int32, len(nodes)) // the rows that reach each node; parents come first
		within[0] = g.rest[from:to]
		for i := range nodes {
			n, rows := &nodes[i], within[i]
			if n.yes == 0 {
				for _, r := range rows {
					raw[r] += n.value
				}
				continue
			}
			yes := part(rows, spare[:len(rows)], g.fields[g.columns[n.column].field].rows, 1, &g.ways[i])
			copy(rows[yes:], spare[:len(rows)-yes])
			within[n.yes], within[n.no] = rows[:yes], rows[yes:]
		}
	})
}
