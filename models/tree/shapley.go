package tree

import (
	"math/bits"
	"slices"
)

// table makes the table of the subtree at a node.
func (b *planner) table(at int32, slot int) {
	p := &b.plans[at]
	above := len(b.features)
	b.inner = b.inner[:0]
	b.split(at, slot)
	features := slices.Clone(b.features)
	for _, i := range b.inner {
		if f := b.e.nodes[i].feature; !slices.Contains(features, f) {
			features = append(features, f)
		}
	}
	from := len(b.values)
	b.values = append(b.values, make([]float64, int(p.floats))...)
	t := table{values: b.values[from:], features: features, above: above}
	next := 0
	b.fill(&t, at, &next)
	b.tables = append(b.tables, planned{piece{slot: uint32(slot), from: uint32(from)}, features})
}

// split makes the steps of the splits of a table.
func (b *planner) split(at int32, slot int) {
	n := &b.e.nodes[at]
	if n.feature < 0 {
		return
	}
	b.step(at, slot, slot, int32(len(b.features)+len(b.inner)))
	b.inner = append(b.inner, at)
	b.split(n.yes, slot)
	b.split(n.no, slot)
}

// table is a table in work.
type table struct {
	values   []float64
	features []int32 // of a line
	above    int     // how many of them lead to the subtree
}

// fill adds the leaves below a node to a table; next is the number of the next split.
func (b *planner) fill(t *table, at int32, next *int) {
	n := &b.e.nodes[at]
	if n.feature < 0 {
		if len(b.features) > 0 {
			b.addLeaf(t, n.number)
		}
		return
	}
	bit, fresh := b.enter(n)
	before := b.zero[bit]
	b.edges = append(b.edges, tableEdge{*next, true})
	*next++
	b.zero[bit] = b.e.paths[n.yes].zero
	b.fill(t, n.yes, next)
	b.edges[len(b.edges)-1].yes = false
	b.zero[bit] = b.e.paths[n.no].zero
	b.fill(t, n.no, next)
	b.edges = b.edges[:len(b.edges)-1]
	b.zero[bit] = before
	b.leave(n, fresh)
}

// addLeaf adds a leaf to all lines of a table.
func (b *planner) addLeaf(t *table, value float64) {
	width := len(b.features)
	own := b.lines(value)
	// Which feature each bit of the pattern stops. For a split that the leaf is
	// on the no side of, the bit does so when it is not set.
	stops := make([]uint16, t.above+len(b.inner))
	flip := 0
	for k := range t.above {
		stops[k] = 1 << k
	}
	for _, edge := range b.edges {
		k := t.above + edge.split
		stops[k] = 1 << b.open[b.e.nodes[b.inner[edge.split]].feature]
		if !edge.yes {
			flip |= 1 << k
		}
	}
	place := make([]int, width)
	for k, f := range b.features {
		place[k] = slices.Index(t.features, f)
	}
	stopped := make([]uint16, 1<<len(stops))
	for pattern := range stopped {
		if pattern > 0 {
			stopped[pattern] = stopped[pattern&(pattern-1)] | stops[bits.TrailingZeros(uint(pattern))]
		}
		line := t.values[(pattern^flip)*len(t.features):][:len(t.features)]
		for k, v := range own[int(stopped[pattern])*width:][:width] {
			line[place[k]] += v
		}
	}
}

// lines are the Shapley values of a leaf at the end of the path, a line for each
// pattern of the features that stop the row; see Explain.
func (b *planner) lines(value float64) []float64 {
	width := len(b.features)
	points := (width + 1) / 2
	r := &b.rules[points]
	product := make([]float64, points<<width) // for each pattern
	for i, weight := range r.weight {
		product[i] = value * weight
	}
	slope := make([]float64, points*width)
	for k, zero := range b.zero {
		half := points << k
		for i := range half {
			product[half+i] = product[i] * (zero * r.rest[i%points])
			product[i] *= zero + r.at[i%points]*(1-zero)
		}
		for i, at := range r.at {
			slope[k*points+i] = (1 - zero) / (zero + at*(1-zero))
		}
	}
	out := make([]float64, width<<width)
	for stopped := range 1 << width {
		product := product[stopped*points:][:points]
		off := dot(product, r.off)
		for k := range width {
			if stopped>>k&1 != 0 {
				out[stopped*width+k] = off
			} else {
				out[stopped*width+k] = dot(product, slope[k*points:])
			}
		}
	}
	return out
}

func dot(x, y []float64) (sum float64) {
	y = y[:len(x)]
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// leaf makes the values that a leaf is integrated from, see addIntegrals.
func (b *planner) leaf(value float64, slot int) {
	r := &b.rules[(len(b.features)+1)/2]
	from := len(b.values)
	for _, weight := range r.weight {
		b.values = append(b.values, value*weight)
	}
	for _, zero := range b.zero {
		for _, at := range r.at {
			b.values = append(b.values, zero+at*(1-zero))
		}
		for _, at := range r.at {
			b.values = append(b.values, (1-zero)/(zero+at*(1-zero)))
		}
		for _, rest := range r.rest {
			b.values = append(b.values, zero*rest)
		}
		b.values = append(b.values, r.off...)
	}
	b.leaves = append(b.leaves, planned{piece{slot: uint32(slot), from: uint32(from)}, slices.Clone(b.features)})
}
