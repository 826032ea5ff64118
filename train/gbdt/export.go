package gbdt

import (
	"math"

	"propensity/models/tree"
)

// export writes a tree in terms of values instead of bins.
func export(nodes []node, columns []column) []tree.Node {
	out := make([]tree.Node, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		if n.yes == 0 {
			out[i] = tree.Node{Feature: -1, Value: n.value, Cover: n.cover}
			continue
		}
		c := &columns[n.column]
		out[i] = tree.Node{Feature: c.feature, Yes: n.yes, No: n.no, Cover: n.cover}
		c.describe(&out[i], &n.split)
	}
	return out
}

// describe writes what goes to yes.
func (c *column) describe(n *tree.Node, s *split) {
	if c.rates != nil {
		n.Set = []int32{}
		for code := range c.rates.levels {
			if s.yes.has(c.rates.of(code)) {
				n.Set = append(n.Set, int32(code))
			}
		}
		n.MissingYes, n.UnseenYes = s.yes.has(c.rates.of(c.rates.levels)), s.yes.has(c.rates.of(c.rates.levels+1))
		return
	}
	b := c.binner
	n.MissingYes = s.yes.has(b.missing)
	if b.levels == 0 {
		n.Threshold = math.MaxFloat64 // missing against all values
		if s.cut < len(b.thresholds) {
			n.Threshold = b.thresholds[s.cut]
		}
		return
	}
	n.UnseenYes = s.yes.has(b.other)
	n.Set = []int32{}
	for code, bin := range b.codes {
		if s.yes.has(bin) {
			n.Set = append(n.Set, int32(code))
		}
	}
}
