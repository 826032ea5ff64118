package golearn

import (
	"math"

	"propensity/models"
	"propensity/models/tree"
)

// Picture puts an ensemble of one tree, such as Surrogate gives with its
// fidelity, into the form that a version's evidence has: the nodes in the order
// of the tree, the root first and children after their parents. A node asks what
// its yes side answers, in the words of Describe; its probability is that of the
// mean log-odds of the rows that come by, its share theirs of all rows.
//
// names and levels are those of Describe. probability turns log-odds into a
// probability, as calibrated; nil is the logistic function. Of an ensemble of more
// trees, it shows the first; one without trees is a leaf.
func Picture(e *tree.Ensemble, fidelity float64, names []string, levels [][]string, probability func(raw float64) float64) models.Surrogate {
	if probability == nil {
		probability = func(raw float64) float64 { return 1 / (1 + math.Exp(-raw)) }
	}
	if e.Trees() == 0 {
		return models.Surrogate{Fidelity: fidelity, Nodes: []models.SurrogateNode{{Probability: probability(e.Base()), Share: 1}}}
	}
	d := description{e: e, names: names, levels: levels, nodes: e.Tree(0)}
	mean := make([]float64, len(d.nodes))
	nodes := make([]models.SurrogateNode, len(d.nodes))
	for i := len(nodes) - 1; i >= 0; i-- { // children come after their parent
		n, out := d.nodes[i], &nodes[i]
		out.Share = n.Cover / d.nodes[0].Cover
		if mean[i] = n.Value; n.Feature >= 0 {
			out.Text, _ = d.conditions(n)
			out.Yes, out.No = n.Yes, n.No
			yes, no := d.nodes[n.Yes].Cover, d.nodes[n.No].Cover
			mean[i] = (float64(yes*mean[n.Yes]) + float64(no*mean[n.No])) / (yes + no)
		}
		out.Probability = probability(e.Base() + mean[i])
	}
	return models.Surrogate{Fidelity: fidelity, Nodes: nodes}
}
