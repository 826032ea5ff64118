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
// its new factor takes the place of the old one. Most of it is done before any
// row comes and looked up, see explainer; the rest is summed as the trees stand.
//
// The first call makes the tables, at most 32 MiB in some 20 ns a value.
func (e *Ensemble) Explain(phi, x []float64) (base float64) {
	x, phi = x[:len(e.levels)], phi[:len(e.levels)]
	known := e.explainer()
	w := e.worker()
	clear(phi)
	for i := range known.parts {
		p := &known.parts[i]
		p.answer(w.answers(), x)
		for k := range p.groups {
			p.groups[k].add(phi, w.answers(), w)
		}
	}
	known.walk(w, phi, x)
	e.pool.Put(w)
	return e.mean
}

// ExplainAll is Explain of many rows, one column per feature, to the very bits.
// It fills phi with the Shapley values row after row: those of row i are
// phi[i*Features() : (i+1)*Features()], and there are len(phi) / Features() rows.
// The rows are shared out among as many goroutines as there are CPUs to use.
func (e *Ensemble) ExplainAll(phi []float64, columns [][]float64) (base float64) {
	width := len(e.levels)
	if width == 0 {
		return e.mean
	}
	columns = e.whole(columns, len(phi)/width)
	known := e.explainer()
	inBlocks(len(phi)/width, known.rows, func(start, rows int) {
		w := e.worker()
		defer e.pool.Put(w)
		clear(phi[start*width : (start+rows)*width])
		row := func(i int) []float64 { return phi[(start+i)*width : (start+i+1)*width] }
		x := w.rowsOf(columns, start, rows)
		for k := range known.parts {
			p := &known.parts[k]
			a := w.answersOf(rows, p.conditions)
			for i := range rows {
				p.answer(a(i), x(i))
			}
			for g := range p.groups { // a group's values stay near while all rows pass
				for i := range rows {
					p.groups[g].add(row(i), a(i), w)
				}
			}
		}
		for i := range rows {
			known.walk(w, row(i), x(i))
		}
	})
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
