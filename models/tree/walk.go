package tree

// walk is the trees of a part for single rows. A node is 32 bits: the number of
// its condition and, above, how far behind it its no child lies; the yes child is
// the next. So a step is add and look up, without a branch, and the processor
// takes the steps of several trees at once. A leaf is 0: steps stay there.
type walk struct {
	nodes  []uint32
	roots  []uint32
	values []float64 // by node, of the leaves
}

func newWalk(e *Ensemble, p *part) *walk {
	w := &walk{}
	offset := e.roots[p.first]
	var queue []int32
	for _, root := range e.roots[p.first:p.end] {
		w.roots = append(w.roots, uint32(len(w.nodes)))
		queue = append(queue[:0], root)
		for k := 0; k < len(queue); k++ { // breadth first: children lie side by side
			n := &e.nodes[queue[k]]
			if n.feature < 0 {
				w.nodes, w.values = append(w.nodes, 0), append(w.values, n.number)
				continue
			}
			w.nodes = append(w.nodes, uint32(len(queue)-k)<<16|uint32(p.condition[queue[k]-offset]))
			w.values = append(w.values, 0)
			queue = append(queue, n.no, n.yes)
		}
	}
	return w
}

// steps is where a row is in each tree, and which trees it is not through yet.
type steps struct {
	at   []uint32
	left []uint32
}

// add adds the leaves that a row reaches to a sum, in the order of the trees.
func (w *walk) add(sum float64, a *answers, s *steps) float64 {
	trees := len(w.roots)
	if len(s.at) < trees {
		s.at, s.left = make([]uint32, trees), make([]uint32, trees+1)
	}
	at, left := s.at[:trees], s.left[:trees+1]
	n := start(w.nodes, w.roots, a, at, left)
	for n > 0 {
		n = goOn(w.nodes, a, at, left, n)
	}
	for _, k := range at {
		sum += w.values[k]
	}
	return sum
}

// start takes the first steps in all trees and lists those that it is not through,
// in left. It is not inlined, to have the registers for itself.
//
//go:noinline
func start(nodes, roots []uint32, a *answers, at, left []uint32) (n int) {
	at = at[:len(roots)]
	for i, k := range roots {
		node := nodes[k]
		k += node>>16 + uint32(a[uint16(node)])
		node = nodes[k]
		k += node>>16 + uint32(a[uint16(node)])
		node = nodes[k]
		k += node>>16 + uint32(a[uint16(node)])
		node = nodes[k]
		k += node>>16 + uint32(a[uint16(node)])
		at[i], left[n] = k, uint32(i)
		n += bit(nodes[k] != 0)
	}
	return n
}

// goOn takes more steps in the first n trees in left and lists the rest.
//
//go:noinline
func goOn(nodes []uint32, a *answers, at, left []uint32, n int) (rest int) {
	for _, i := range left[:n] {
		k := at[i]
		node := nodes[k]
		k += node>>16 + uint32(a[uint16(node)])
		node = nodes[k]
		k += node>>16 + uint32(a[uint16(node)])
		node = nodes[k]
		k += node>>16 + uint32(a[uint16(node)])
		at[i], left[rest] = k, i
		rest += bit(nodes[k] != 0)
	}
	return rest
}
