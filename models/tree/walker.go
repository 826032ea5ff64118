package tree

// walker explains without tables. It holds the edges from a root down to where it
// is, by level; level 0 stands for the root itself.
type walker struct {
	e      *Ensemble
	tabled []bool // per node: nothing is left to do at and below it
	rule   rule
	phi, x []float64
	edges  []edge
}

// edge holds, for each point of the quadrature, what its name says.
type edge struct {
	one     bool      // x takes all edges of this feature down to here
	product []float64 // of all factors down to here, and of the weight
	inverse []float64 // 1 / the factor of this feature, if one
	slope   []float64 // (one - zero) / the factor of this feature
	sum     []float64 // of value x product over the leaves below
}

func newWalker(x *explainer) *walker {
	e := x.e
	w := &walker{e: e, tabled: x.tabled, edges: make([]edge, e.depth+1)}
	points := len(e.rules) - 1
	all := make([]float64, 4*points*len(w.edges))
	for i := range w.edges {
		part := all[4*points*i : 4*points*(i+1)]
		w.edges[i] = edge{
			product: part[:points], inverse: part[points : 2*points],
			slope: part[2*points : 3*points], sum: part[3*points:],
		}
	}
	return w
}

// walk sums the leaves below a node and charges the edges on the way.
func (w *walker) walk(at int32, level int) {
	n := &w.e.nodes[at]
	k := len(w.rule.at)
	here := &w.edges[level]
	sum, product := here.sum[:k], here.product[:k]
	if w.tabled[at] {
		clear(sum)
		return
	}
	if n.feature < 0 {
		for i := range sum {
			sum[i] = n.number * product[i]
		}
		return
	}
	taken, other := n.no, n.yes
	if w.e.goesYes(n, w.x[n.feature]) {
		taken, other = other, taken
	}
	above := w.e.paths[at].above
	if above > 0 && !w.edges[above].one {
		// The feature is off the row's way already: it can only grow rarer, in
		// proportion, and its slope stays.
		w.pass(taken, level)
		copy(sum, w.edges[level+1].sum)
		w.pass(other, level)
		for i, s := range w.edges[level+1].sum[:k] {
			sum[i] += s
		}
		return
	}
	inverse, slope := w.rule.ones[:k], w.rule.zeros[:k] // of the feature before this edge
	if above > 0 {
		inverse, slope = w.edges[above].inverse[:k], w.edges[above].slope[:k]
	}
	below := &w.edges[level+1]
	child, childSlope, childSum := below.product[:k], below.slope[:k], below.sum[:k]

	below.one = true
	zero := w.e.paths[taken].zero
	for i, t := range w.rule.at {
		factor := zero + t*(1-zero)
		below.inverse[i] = 1 / factor
		childSlope[i] = (1 - zero) * below.inverse[i]
		child[i] = product[i] * factor * inverse[i]
	}
	w.walk(taken, level+1)
	charge := 0.0
	for i, s := range childSum {
		sum[i] = s
		charge += s * (childSlope[i] - slope[i])
	}

	below.one = false
	zero = w.e.paths[other].zero
	for i, rest := range w.rule.rest {
		child[i] = product[i] * zero * rest * inverse[i]
	}
	w.walk(other, level+1)
	for i, s := range childSum {
		sum[i] += s
		charge += s * (w.rule.off[i] - slope[i])
	}
	w.phi[n.feature] += charge
}

// pass walks on to a child whose edge changes no feature's slope.
func (w *walker) pass(child int32, level int) {
	k := len(w.rule.at)
	share := w.e.paths[child].share
	below := &w.edges[level+1]
	below.one = false
	for i, p := range w.edges[level].product[:k] {
		below.product[i] = p * share
	}
	w.walk(child, level+1)
}
