package tree

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is looked up, integrated or left to the walker, the values are those of
// the definition and the same for one row and for many.
func TestEveryWayToExplainAgainstDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := fromRapid(t)
		levels := randomLevels(draw, 8)
		trees := [][]Node{randomTree(draw, levels, 12+draw(12)), randomTree(draw, levels, 1+draw(20))}
		x := randomRow(draw, levels)
		want, wantBase := shapley(trees, levels, 0.1, x)
		dear := math.Inf(1)
		for name, c := range map[string]struct {
			limits                 limits
			table, integral, walks bool // what must be there
		}{
			"usual":     {limits: usual()},
			"tables":    {limits: limits{tableBits: 12, leafBits: -1, floats: 1 << 20, unitFloats: 1e9, pointCost: dear}, table: true},
			"integrals": {limits: limits{tableBits: -1, leafBits: 16, floats: 1 << 20, unitFloats: 1, pointCost: dear}, integral: true},
			"walker":    {limits: limits{tableBits: -1, leafBits: -1, floats: 1 << 20, unitFloats: 1, pointCost: dear}, walks: true},
			"small":     {limits: limits{tableBits: 3, leafBits: 2, floats: 1 << 20, unitFloats: 1e9, pointCost: dear}},
			"smaller":   {limits: limits{tableBits: 1, leafBits: 3, floats: 1 << 20, unitFloats: 1e9, pointCost: dear}},
			"few":       {limits: limits{tableBits: 12, leafBits: 16, floats: 500, unitFloats: 1e9, pointCost: dear}},
			"none":      {limits: limits{tableBits: 12, leafBits: 16, floats: 0, unitFloats: 1e9, pointCost: dear}, walks: true},
		} {
			e := build(t, levels, 0.1, trees...)
			e.explainOnce.Do(func() { e.explain = e.newExplainer(c.limits) })
			floats, tables, leaves := 0, 0, 0
			for _, p := range e.explain.parts {
				for _, g := range p.groups {
					floats, tables, leaves = floats+len(g.values), tables+len(g.tables), leaves+len(g.leaves)
				}
			}
			if floats > c.limits.floats {
				t.Fatalf("%s: %d floats of %d", name, floats, c.limits.floats)
			}
			if c.table && tables == 0 || c.integral && leaves == 0 || c.walks && len(e.explain.walked) == 0 {
				t.Fatalf("%s: %d runs of tables, %d of leaves, trees %v walked", name, tables, leaves, e.explain.walked)
			}
			got := make([]float64, len(levels))
			if base := e.Explain(got, x); math.Abs(base-wantBase) > 1e-12 {
				t.Fatalf("%s: base %v, want %v", name, base, wantBase)
			}
			for j := range want {
				if math.Abs(got[j]-want[j]) > 1e-12 {
					t.Fatalf("%s: phi of feature %d is %v, want %v", name, j, got[j], want[j])
				}
			}
			checkAll(t, e, trees, [][]float64{x, x})
		}
	})
}

// Paths of more features than a pattern has bits.
func TestExplainPathsBeyondPatterns(t *testing.T) {
	levels := make([]int, 40)
	var nodes []Node
	for i := range 30 {
		cover := float64(31 - i)
		nodes = append(nodes, Node{Feature: i, Threshold: 0.5, Yes: 2*i + 1, No: 2*i + 2, Cover: cover}, leaf(float64(i%7), 1))
	}
	nodes = append(nodes, leaf(9, 1))
	small := []Node{{Feature: 35, Yes: 1, No: 2, Cover: 2}, leaf(1, 1), leaf(2, 1)}
	e := build(t, levels, 0.1, nodes, small)
	known := e.explainer()
	if len(known.walked) != 1 || len(known.parts[0].groups) == 0 {
		t.Fatalf("walked %v", known.walked)
	}
	walker := build(t, levels, 0.1, nodes, small)
	walker.explainOnce.Do(func() {
		walker.explain = walker.newExplainer(limits{tableBits: -1, leafBits: -1, pointCost: math.Inf(1)})
	})
	draw := fromSeed(2)
	got, want := make([]float64, len(levels)), make([]float64, len(levels))
	for range 20 {
		x := make([]float64, len(levels))
		for j := range x {
			x[j] = float64(min(draw(4), 1))
		}
		sum := e.Explain(got, x)
		walker.Explain(want, x)
		for j := range got {
			sum += got[j]
			if math.Abs(got[j]-want[j]) > 1e-13 {
				t.Fatalf("phi of feature %d is %v, the walker's %v", j, got[j], want[j])
			}
		}
		if raw := e.Raw(x); math.Abs(sum-raw) > 1e-12 {
			t.Fatalf("base + sum(phi) is %v, raw %v", sum, raw)
		}
	}
}
