package golearn

import (
	"math"

	"propensity/features"
	"propensity/models/tree"
)

// translator turns golearn's splits into nodes.
type translator struct {
	m      *features.Matrix
	o      Options
	target objective
	coders []coder
	splits []split
	valued []bool // rows that count for values and for the sides of missing values
	nodes  []tree.Node
}

func translate(m *features.Matrix, o Options, target objective, coders []coder, splits []split, valued []int) (*tree.Ensemble, error) {
	t := translator{m: m, o: o, target: target, coders: coders, splits: splits, valued: make([]bool, m.Rows())}
	for _, i := range valued {
		t.valued[i] = true
	}
	if rows := count(m.Rows()); len(splits) == 0 {
		t.leaf(rows)
	} else {
		t.node(0, rows)
	}
	levels := make([]int, len(m.Features))
	for j, f := range m.Features {
		levels[j] = f.Levels
	}
	b := tree.NewBuilder(levels, target.base)
	if err := b.Add(t.nodes); err != nil {
		return nil, err
	}
	return b.Build()
}

// node appends split at, reached by rows, with all below it.
func (t *translator) node(at int, rows []int) {
	s := t.splits[at]
	n := t.question(s, rows)
	yes, no := t.part(&n, rows)
	switch {
	case t.tally(yes).rows < float64(t.o.LeafRows):
		t.child(s.right, rows)
		return
	case t.tally(no).rows < float64(t.o.LeafRows):
		t.child(s.left, rows)
		return
	}
	place := len(t.nodes)
	t.nodes = append(t.nodes, n)
	n.Yes = len(t.nodes)
	t.child(s.left, yes)
	n.No = len(t.nodes)
	t.child(s.right, no)
	if a, b := t.nodes[n.Yes], t.nodes[n.No]; a.Feature < 0 && b.Feature < 0 && a.Value == b.Value {
		t.nodes = t.nodes[:place]
		t.leaf(rows)
		return
	}
	t.nodes[place] = n
}

// child appends what split at leads to; 0 is a leaf.
func (t *translator) child(at int, rows []int) {
	if at == 0 {
		t.leaf(rows)
	} else {
		t.node(at, rows)
	}
}

func (t *translator) leaf(rows []int) {
	c := t.tally(rows)
	t.nodes = append(t.nodes, tree.Node{Feature: -1, Value: t.target.value(c.rows, c.sum), Cover: float64(len(rows))})
}

// question is the node of a split, its children still open.
func (t *translator) question(s split, rows []int) tree.Node {
	c := &t.coders[s.feature]
	n := tree.Node{Feature: s.feature, Cover: float64(len(rows))}
	if c.means == nil {
		n.Threshold = c.cuts[s.last]
	} else {
		for k := range c.means {
			if c.code(float64(k)) <= s.last {
				n.Set = append(n.Set, int32(k))
			}
		}
		n.UnseenYes = c.code(-1) <= s.last
	}
	n.MissingYes = t.missingYes(&n, rows)
	return n
}

// missingYes is the side of missing values that leaves the smaller squared error
// among the rows; where none is missing or both are as good, the larger side.
func (t *translator) missingYes(n *tree.Node, rows []int) bool {
	var missing, known []int
	for _, i := range rows {
		if math.IsNaN(t.m.Columns[n.Feature][i]) {
			missing = append(missing, i)
		} else {
			known = append(known, i)
		}
	}
	yesRows, noRows := t.part(n, known)
	yes, no, m := t.tally(yesRows), t.tally(noRows), t.tally(missing)
	with, without := yes.join(m).gain()+no.gain(), yes.gain()+no.join(m).gain()
	if with == without {
		return yes.rows >= no.rows
	}
	return with > without
}

// part parts rows by the question of n.
func (t *translator) part(n *tree.Node, rows []int) (yes, no []int) {
	levels := t.m.Features[n.Feature].Levels
	inSet := make([]bool, levels)
	for _, k := range n.Set {
		inSet[k] = true
	}
	for _, i := range rows {
		x := t.m.Columns[n.Feature][i]
		goesYes := x <= n.Threshold
		if math.IsNaN(x) {
			goesYes = n.MissingYes
		} else if levels > 0 {
			goesYes = n.UnseenYes
			if k := levelOf(x, levels); k >= 0 {
				goesYes = inSet[k]
			}
		}
		if goesYes {
			yes = append(yes, i)
		} else {
			no = append(no, i)
		}
	}
	return yes, no
}

// tally counts the rows that have a say and sums their target.
type tally struct{ rows, sum float64 }

func (t *translator) tally(rows []int) (c tally) {
	for _, i := range rows {
		if t.valued[i] {
			c.rows++
			c.sum += t.target.y[i]
		}
	}
	return c
}

func (c tally) join(d tally) tally { return tally{c.rows + d.rows, c.sum + d.sum} }

// gain is what the rows' own mean takes off their squared error.
func (c tally) gain() float64 {
	if c.rows == 0 {
		return 0
	}
	return c.sum * c.sum / c.rows
}
