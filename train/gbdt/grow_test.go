package gbdt

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"propensity/features"
)

// A partition keeps the rows of each side in their order.
func TestPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bins, _ := anyLeaf(t, 9)
		if rapid.Bool().Draw(t, "many") {
			bins = slices.Repeat(bins, 1+3*partitionRows/len(bins))
		}
		var yes set
		for bin := range 9 {
			if rapid.Bool().Draw(t, "yes") {
				yes.add(bin)
			}
		}
		n := len(bins)
		start := rapid.IntRange(0, n).Draw(t, "start")
		end := rapid.IntRange(start, n).Draw(t, "end")
		rows := allRows(n)
		want := slices.Clone(rows[:start])
		for _, side := range []bool{true, false} {
			for _, r := range rows[start:end] {
				if yes.has(bins[r]) == side {
					want = append(want, r)
				}
			}
		}
		want = append(want, rows[end:]...)
		o := Defaults()
		g := grower{Options: &o, table: tableOf([]int{9}, [][]uint8{bins}), sample: rows, used: []int{0}, counters: make([]counter, rapid.IntRange(1, 3).Draw(t, "goroutines"))}
		g.found = [2][]split{make([]split, 1), make([]split, 1)}
		g.reset()
		rows = g.rows
		left, right := g.partition(span{start, end}, &split{yes: yes})
		if !slices.Equal(rows, want) {
			t.Fatalf("rows %v, want %v", rows, want)
		}
		for k := start; k < end; k++ {
			if yes.has(bins[rows[k]]) != (k < left.end) {
				t.Fatalf("no starts at %d, but row %d at %d is on the wrong side", left.end, rows[k], k)
			}
		}
		if left.start != start || left.end != right.start || right.end != end {
			t.Fatalf("%v and %v of %d to %d", left, right, start, end)
		}
	})
}

// A tree drawn by hand is learnt back from the labels it makes: x <= 2.5, then
// the plan on one side and the missing of y on the other.
func TestLearnsATreeDrawnByHand(t *testing.T) {
	nan := math.NaN()
	m := &features.Matrix{
		Features: []features.Feature{{Name: "x"}, {Name: "y"}, {Name: "plan", Levels: 5}},
		Columns:  make([][]float64, 3),
	}
	positives := func(x, y, plan float64) int { // of 20 rows
		switch {
		case x <= 2.5 && (plan == 1 || plan == 3):
			return 19
		case x <= 2.5:
			return 13
		case math.IsNaN(y):
			return 8
		}
		return 1
	}
	for _, x := range []float64{1, 2, 3, 4} {
		for _, y := range []float64{0, 1, nan} {
			for plan := range 5 {
				for k := range 20 {
					for j, v := range []float64{x, y, float64(plan)} {
						m.Columns[j] = append(m.Columns[j], v)
					}
					label := 0.0
					if k < positives(x, y, float64(plan)) {
						label = 1
					}
					m.Label = append(m.Label, label)
				}
			}
		}
	}
	o := plain()
	o.Leaves = 4
	b := boosterOf(t, m, o)
	b.step(0)
	nodes := b.trees[0].nodes
	if len(nodes) != 7 {
		t.Fatalf("%d nodes, want 7: %+v", len(nodes), nodes)
	}
	root := nodes[0]
	if root.Feature != 0 || root.Threshold != 2.5 || root.Cover != 1200 || root.MissingYes != true {
		t.Errorf("root %+v, want x <= 2.5, with missing to yes as both sides have 600 rows", root)
	}
	low, high := nodes[root.Yes], nodes[root.No]
	if low.Feature != 2 || fmt.Sprint(low.Set) != "[1 3]" && fmt.Sprint(low.Set) != "[0 2 4]" || low.Cover != 600 {
		t.Errorf("x <= 2.5 splits %+v, want plans 1 and 3 from 0, 2 and 4", low)
	}
	if common := len(low.Set) == 3; low.UnseenYes != common || low.MissingYes != common {
		t.Errorf("x <= 2.5: unseen and missing plans go with the fewer rows: %+v", low)
	}
	if high.Feature != 1 || high.Threshold != math.MaxFloat64 || high.MissingYes {
		t.Errorf("x > 2.5 splits %+v, want the missing y from the others", high)
	}
	// The Newton step from the base rate: the leaf's mean label less the base
	// rate, over p(1-p).
	base := 0.0
	for _, y := range m.Label {
		base += y / float64(m.Rows())
	}
	for i, want := range map[int]float64{high.Yes: 1.0 / 20, high.No: 8.0 / 20} {
		want = (want - base) / (base * (1 - base))
		if got := nodes[i].Value; math.Abs(got-want) > 2e-3 {
			t.Errorf("leaf %d is worth %v, want %v", i, got, want)
		}
	}
}

// A finished tree, worked out again row by row: every leaf is worth the step of
// its rows, every split gains what the losses of its sides say, and at each split
// no other open leaf had more to gain.
func TestGrowsTheLeafOfMostGain(t *testing.T) {
	for seed := range uint64(5) {
		m := mixedMatrix(1200, 20+seed)
		o := Defaults()
		o.Leaves, o.RowShare, o.L2, o.CategoryL2 = 12, 1, 3, 7
		b := boosterOf(t, m, o)
		for round := range 5 {
			b.step(round)
			nodes := b.grower.nodes
			total := make([]sums, len(nodes))
			for _, l := range b.grower.leaves {
				for _, r := range b.grower.rows[l.rows.start:l.rows.end] {
					var of sums
					of.add(b.grower.words[r]) // what the tree was grown on
					for at := l.node; at >= 0; at = nodes[at].parent {
						total[at] = total[at].plus(of)
					}
				}
			}
			loss := func(i int, l2 float64) float64 {
				g, h := total[i].gradient(), total[i].hessian()
				return g * g / (h + l2)
			}
			for i, n := range nodes {
				if n.yes > 0 {
					want := loss(n.yes, n.l2) + loss(n.no, n.l2) - loss(i, 3)
					if math.Abs(n.gain-want) > 1e-9*(1+want) {
						t.Errorf("node %d gains %v, want %v", i, n.gain, want)
					}
					for j := range n.yes { // nodes that were there when it was split
						if nodes[j].yes > n.yes && nodes[j].gain > n.gain {
							t.Errorf("node %d was split before node %d of more gain", i, j)
						}
					}
					continue
				}
				l2 := nodes[n.parent].l2
				want := -o.Rate * total[i].gradient() / (total[i].hessian() + l2)
				if math.Abs(n.value-want) > 1e-12 || total[i].n < int64(o.MinRows) {
					t.Errorf("leaf %d of %d rows is worth %v, want %v", i, total[i].n, n.value, want)
				}
				if category := !b.grower.columns[nodes[n.parent].column].ordered(); l2 != 3 && !(category && l2 == 10) {
					t.Errorf("leaf %d was found with L2 %v", i, l2)
				}
			}
		}
	}
}

// What a tree adds to the score of a row, of its sample or not, is what its nodes
// say when they are followed one by one.
func TestAddToTwin(t *testing.T) {
	for seed := range uint64(3) {
		m := mixedMatrix(9000, 40+seed)
		o := Defaults()
		o.RowShare, o.Leaves, o.ColumnShare = 0.4, 20, 0.8
		b := boosterOf(t, m, o)
		want := slices.Clone(b.raw)
		for round := range 5 {
			b.step(round)
			g := &b.grower
			if len(g.sample) < 3000 || len(g.rest) < 3000 {
				t.Fatalf("%d rows of the sample, %d others", len(g.sample), len(g.rest))
			}
			for r := range want {
				at := 0
				for g.nodes[at].yes > 0 {
					n := &g.nodes[at]
					c := &g.columns[n.column]
					bin := g.fields[c.field].rows[r]
					if c.bins != nil {
						bin = c.bins[bin]
					}
					if at = n.no; n.split.yes.has(bin) {
						at = n.yes
					}
				}
				want[r] += g.nodes[at].value
			}
			if !slices.Equal(b.raw, want) {
				t.Fatalf("seed %d, round %d: scores differ", seed, round)
			}
		}
	}
}
