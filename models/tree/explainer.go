package tree

// explainer holds Shapley values worked out beforehand. What a leaf adds to the
// features on its path depends only on which of them stop the row (after Yang
// 2021, Fast TreeSHAP: Accelerating SHAP Value Computation for Trees, section
// 3.3). So does what all leaves of a subtree add, on the features that lead to
// the subtree and on the answers to its own splits. These are the bits of a
// pattern; the table of a subtree has a line for each pattern and in the line a
// place for each feature. Leaves with many features on their path are integrated
// instead, see Explain, each for itself; those with more than a pattern has bits,
// and trees without conditions, are left to the walker. A planner chooses.
type explainer struct {
	e      *Ensemble
	parts  []explainedPart
	walked []int  // the trees that the walker goes through
	tabled []bool // per node: all leaves at and below it are done without the walker
	rows   int    // that ExplainAll takes together: their answers fit the nearer caches
}

type explainedPart struct {
	*part
	groups []group
}

// group is trees that follow one another, whose values fit the nearer caches.
type group struct {
	steps  []uint64
	slots  int
	tables []run
	leaves []run
	values []float64 // of the tables and of what leaves are integrated from
}

// run is pieces of trees with equally many features.
type run struct {
	width    int // the features of a piece
	pieces   []piece
	features []int32 // of all pieces, one after another
}

type piece struct {
	slot uint32 // of its pattern
	from uint32 // the place of its values
}

// maxPattern is the most bits in a pattern.
const maxPattern = 16

// patterns are the patterns of a row, by slot.
type patterns [1 << 16]uint16

// step says how an answer goes on from the pattern in a slot: to the yes child's
// slot with a bit set if the answer is no, and to the no child's, which is the
// slot it came from, with the bit set if it is yes. For the splits of a table
// both slots are the same, and the bit says no.
func step(condition uint16, from, yes int, bit int32) uint64 {
	return uint64(condition) | uint64(from)<<16 | uint64(yes)<<32 | uint64(bit)<<48
}

// add adds to phi what the group's pieces do.
func (g *group) add(phi []float64, a *answers, w *work) {
	if w.patterns == nil {
		w.patterns = new(patterns)
	}
	s := w.patterns
	clear(s[:g.slots])
	for _, t := range g.steps {
		yes := uint16(a[uint16(t)])
		from, bit := uint16(t>>16), t>>48&(maxPattern-1)
		pattern := s[from]
		s[from] = pattern | yes<<bit
		s[uint16(t>>32)] = pattern | (yes^1)<<bit
	}
	for i := range g.tables {
		g.addLines(&g.tables[i], phi, s)
	}
	for i := range g.leaves {
		g.addIntegrals(&g.leaves[i], phi, s)
	}
}

func (g *group) addLines(r *run, phi []float64, s *patterns) {
	width, features := r.width, r.features
	for _, p := range r.pieces {
		line := g.values[int(p.from)+int(s[uint16(p.slot)])*width:][:width]
		for k, j := range features[:width] {
			phi[j] += line[k]
		}
		features = features[width:]
	}
}

// addIntegrals integrates leaves by quadrature. The values are, point by point,
// the leaf's value times the weight; then for each feature on its path the factor
// if it lets the row pass and the slope over the factor, and the same if it stops it.
func (g *group) addIntegrals(r *run, phi []float64, s *patterns) {
	width, features := r.width, r.features
	points := (width + 1) / 2
	var buffer [(maxPattern + 1) / 2]float64
	product := buffer[:points]
	for _, p := range r.pieces {
		pattern := int(s[uint16(p.slot)])
		values := g.values[p.from:][:points*(1+4*width)]
		copy(product, values)
		values = values[points:]
		for k := range width {
			factor := values[2*points*(2*k+pattern>>k&1):][:points]
			for i := range product {
				product[i] *= factor[i]
			}
		}
		for k, j := range features[:width] {
			slope := values[2*points*(2*k+pattern>>k&1)+points:][:points]
			sum := 0.0
			for i, x := range product {
				sum += x * slope[i]
			}
			phi[j] += sum
		}
		features = features[width:]
	}
}

// walk adds to phi what is left to the walker.
func (x *explainer) walk(w *work, phi, row []float64) {
	if len(x.walked) == 0 {
		return
	}
	if w.walker == nil {
		w.walker = newWalker(x)
	}
	v := w.walker
	v.phi, v.x = phi, row
	for _, i := range x.walked {
		v.rule = x.e.rules[x.e.shapes[i].points]
		copy(v.edges[0].product, v.rule.weight)
		v.walk(x.e.roots[i], 0)
	}
	v.phi, v.x = nil, nil
}
