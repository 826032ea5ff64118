package tree

import "math"

// Importance is, per feature, how much its splits move the ensemble on the
// training rows, in log-odds: the square root of the variance that they explain,
// summed over the trees. A split explains the variance, by cover, between the
// means of its two sides, so that in one tree the squares of all features sum to
// the variance of its leaves (the decrease of impurity of Breiman et al. 1984,
// Classification and Regression Trees, taken of the tree's own output). A
// feature without a split has 0.
func (e *Ensemble) Importance() []float64 {
	out := make([]float64, len(e.levels))
	var mean, weight []float64
	for i := range e.roots {
		first, end := e.span(i)
		nodes, paths := e.nodes[first:end], e.paths[first:end]
		mean, weight = append(mean[:0], make([]float64, len(nodes))...), append(weight[:0], make([]float64, len(nodes))...)
		for k := len(nodes) - 1; k >= 0; k-- { // children come after their parent
			n := &nodes[k]
			if n.feature < 0 {
				mean[k] = n.number
				continue
			}
			yes, no := int(n.yes)-first, int(n.no)-first
			mean[k] = paths[yes].share*mean[yes] + paths[no].share*mean[no]
		}
		weight[0] = 1
		for k := range nodes {
			n := &nodes[k]
			if n.feature < 0 {
				continue
			}
			yes, no := int(n.yes)-first, int(n.no)-first
			weight[yes], weight[no] = weight[k]*paths[yes].share, weight[k]*paths[no].share
			apart := mean[yes] - mean[no]
			out[n.feature] += weight[k] * paths[yes].share * paths[no].share * apart * apart
		}
	}
	for j := range out {
		out[j] = math.Sqrt(out[j])
	}
	return out
}
