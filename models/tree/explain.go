package tree

// Explain fills phi, one place per feature, with the Shapley values of x in
// log-odds and returns the base they start from, the mean of the ensemble by
// training cover: base + sum(phi) is Raw(x) to 1e-9. A feature that no tree
// splits on gets exactly 0.
//
// The values are those of path-dependent TreeSHAP (Lundberg et al. 2020, From
// local explanations to global understanding with explainable AI for trees,
// algorithms 1 and 2): a feature that is not known sends a row to both children
// in proportion to their training cover.
//
// They are found in another way, in time linear in nodes x depth and without a
// subtraction of nearly equal terms. For one leaf of value v let a feature j on
// its path pass the row through (one = 1) or not (one = 0) when it is known, and
// let zero be the product of the shares of cover along j's edges. Were each
// feature known with probability t, the leaf would give v times the product of
// the factors zero + t (one - zero), and the Shapley value of j is the integral
// over t from 0 to 1 of the derivative by j (Owen 1972, Multilinear extensions
// of games):
//
//	v (one - zero) x product of the factors of the other features on the path
//
// With d features on the path that is a polynomial of degree d-1 in t, for which
// Gauss-Legendre quadrature with d/2 points, rounded up, is exact. All leaves
// below an edge are summed before they are charged to its feature, at each point
// (Yu et al. 2022, Linear TreeShap); where a feature occurs again further down,
// its new factor takes the place of the old one.
func (e *Ensemble) Explain(phi, x []float64) (base float64) {
	w, ok := e.pool.Get().(*walker)
	if !ok {
		w = e.newWalker()
	}
	w.phi, w.x = phi[:len(e.levels)], x[:len(e.levels)]
	clear(w.phi)
	for i, root := range e.roots {
		w.rule = e.rules[e.shapes[i].points]
		copy(w.edges[0].product, w.rule.weight)
		w.walk(root, 0)
	}
	w.phi, w.x = nil, nil
	e.pool.Put(w)
	return e.mean
}

// path is what explanations need of a node besides the node itself.
type path struct {
	cover float64
	share float64 // of the parent's cover that goes to this node
	zero  float64 // the product of the shares so far along the edges of the parent's feature
	above int32   // of a split: the level of the nearest edge above of its feature, 0 if none
}

// shape is what explanations need of a tree.
type shape struct {
	mean   float64 // of the leaves, by cover
	points int32   // of the quadrature that is exact for the tree
	depth  int32
}

// walker holds the state of one Explain: the edges from a root down to where it
// is, by level; level 0 stands for the root itself.
type walker struct {
	e      *Ensemble
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

func (e *Ensemble) newWalker() *walker {
	w := &walker{e: e, edges: make([]edge, e.depth+1)}
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

// tracer follows the paths of a tree once, when it is built.
type tracer struct {
	e        *Ensemble
	open     []int32   // per feature: the level of its nearest edge above, 0 if none
	zero     []float64 // per level: zero of the edge
	features int       // on the path now
	most     int       // features on any path
	depth    int
}

// trace fills in the paths below a node and returns the mean of its leaves.
func (t *tracer) trace(at int32, level int) (mean float64) {
	n := &t.e.nodes[at]
	t.depth = max(t.depth, level)
	if n.feature < 0 {
		t.most = max(t.most, t.features)
		return n.number
	}
	above := t.open[n.feature]
	before := 1.0
	if above > 0 {
		before = t.zero[above]
	} else {
		t.features++
	}
	t.e.paths[at].above = above
	t.open[n.feature] = int32(level + 1)
	cover := t.e.paths[n.yes].cover + t.e.paths[n.no].cover
	for _, c := range [2]int32{n.yes, n.no} {
		p := &t.e.paths[c]
		p.share = p.cover / cover
		p.zero = before * p.share
		t.zero[level+1] = p.zero
		mean += p.share * t.trace(c, level+1)
	}
	t.open[n.feature] = above
	if above == 0 {
		t.features--
	}
	return mean
}

// shape traces the tree of a root.
func (t *tracer) shape(root int32) shape {
	t.most, t.depth = 0, 0
	mean := t.trace(root, 0)
	return shape{mean: mean, points: int32(max(1, (t.most+1)/2)), depth: int32(t.depth)}
}

// ready sums up the trees.
func (e *Ensemble) ready() {
	e.mean = e.base
	most := int32(0)
	for _, s := range e.shapes {
		e.mean += s.mean
		e.depth = max(e.depth, int(s.depth))
		most = max(most, s.points)
	}
	e.rules = make([]rule, most+1)
	for _, s := range e.shapes {
		if e.rules[s.points].at == nil {
			e.rules[s.points] = newRule(int(s.points))
		}
	}
}
