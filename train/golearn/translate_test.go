package golearn

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"propensity/features"
)

// rowsOf repeats each of the groups.
func rowsOf(levels int, groups ...struct{ x, positive, negative float64 }) *features.Matrix {
	m := &features.Matrix{Features: []features.Feature{{Name: "x", Levels: levels}}, Columns: [][]float64{nil}}
	for _, g := range groups {
		for k := range int(g.positive + g.negative) {
			m.Columns[0] = append(m.Columns[0], g.x)
			y := 0.0
			if k < int(g.positive) {
				y = 1
			}
			m.Label = append(m.Label, y)
		}
	}
	return m
}

type group = struct{ x, positive, negative float64 }

func TestMissingGoesWhereItFits(t *testing.T) {
	nan := math.NaN()
	o := Options{Depth: 1, Rows: 2000, LeafRows: 1}
	for name, c := range map[string]struct {
		missing group
		want    bool
	}{
		"like the low side":  {group{nan, 1, 19}, true},
		"like the high side": {group{nan, 19, 1}, false},
		"none, low larger":   {group{nan, 0, 0}, true},
	} {
		m := rowsOf(0, group{1, 5, 65}, group{2, 45, 5}, c.missing)
		root := fitted(t, m, o).Tree(0)[0]
		if root.Feature != 0 || root.Threshold != 1.5 || root.MissingYes != c.want {
			t.Errorf("%s: %+v", name, root)
		}
	}
}

// A category's being missing can be all that matters; its levels then share a
// side, unseen ones with them.
func TestMissingCategoryApart(t *testing.T) {
	m := rowsOf(3, group{0, 10, 30}, group{1, 10, 30}, group{2, 10, 30}, group{math.NaN(), 38, 2})
	e := fitted(t, m, Options{Depth: 1, Rows: 2000, LeafRows: 1})
	root := e.Tree(0)[0]
	if !slices.Equal(root.Set, []int32{0, 1, 2}) || root.MissingYes || !root.UnseenYes {
		t.Fatalf("%+v", root)
	}
	if missing, unseen, known := e.Raw([]float64{math.NaN()}), e.Raw([]float64{-1}), e.Raw([]float64{1}); missing <= known || unseen != known {
		t.Errorf("missing %v, unseen %v, known %v", missing, unseen, known)
	}
}

// A split that leaves a side too few rows is dropped; the other side is asked
// further in its stead.
func TestSmallSidesAreDropped(t *testing.T) {
	m := rowsOf(0, group{0, 3, 0}, group{1, 0, 60}, group{2, 30, 30})
	deep := fitted(t, m, Options{Depth: 2, Rows: 2000, LeafRows: 1}).Tree(0)
	if len(deep) != 5 {
		t.Fatalf("unpruned: %+v", deep)
	}
	nodes := fitted(t, m, Options{Depth: 2, Rows: 2000, LeafRows: 10}).Tree(0)
	if len(nodes) != 3 || nodes[0].Threshold != 1.5 || nodes[1].Cover != 63 || nodes[2].Cover != 60 {
		t.Errorf("%+v", nodes)
	}
}

func TestNothingToSplit(t *testing.T) {
	nan := math.NaN()
	for name, x := range map[string]float64{"constant": 3, "all missing": nan} {
		m := rowsOf(0, group{x, 10, 30})
		e := fitted(t, m, Defaults(1))
		if want := math.Log(1.0 / 3); len(e.Tree(0)) != 1 || math.Abs(e.Raw([]float64{5})-want) > 1e-12 {
			t.Errorf("%s: %+v", name, e.Tree(0))
		}
	}
}

func TestExtremeNumbers(t *testing.T) {
	m := rowsOf(0, group{-math.MaxFloat64, 1, 30}, group{5e-324, 30, 1}, group{math.MaxFloat64, 1, 30})
	e := fitted(t, m, Options{Depth: 2, Rows: 2000, LeafRows: 1})
	low, middle, high := e.Raw([]float64{-math.MaxFloat64}), e.Raw([]float64{5e-324}), e.Raw([]float64{math.MaxFloat64})
	if middle < 1 || low > -1 || high > -1 {
		t.Errorf("log-odds %v, %v, %v", low, middle, high)
	}
}

// Whatever the values, missing and unseen ones among them: a tree is built, and
// each of its leaves has the rows and the value that the tree as served sends it.
func TestAnyMatrix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := drawMatrix(rt, rapid.IntRange(2, 150).Draw(rt, "rows"))
		m.Label[0], m.Label[1] = 0, 1
		for range rapid.IntRange(0, 60).Draw(rt, "gaps") {
			column := m.Columns[rapid.IntRange(0, len(m.Columns)-1).Draw(rt, "column")]
			column[rapid.IntRange(0, len(column)-1).Draw(rt, "row")] = rapid.SampledFrom([]float64{math.NaN(), -1, 1e300}).Draw(rt, "gap")
		}
		o := Options{
			Depth: rapid.IntRange(1, 5).Draw(rt, "depth"), Rows: rapid.IntRange(10, 150).Draw(rt, "sample"),
			LeafRows: rapid.IntRange(1, 30).Draw(rt, "leaf"), Seed: rapid.Uint64().Draw(rt, "seed"),
		}
		e, err := FitCART(context.Background(), m, o)
		if err != nil {
			rt.Fatal(err)
		}
		cover, covers := map[float64]float64{}, map[float64]float64{}
		x := make([]float64, len(m.Columns))
		for i := range m.Rows() {
			m.Row(x, i)
			cover[e.Raw(x)]++
		}
		for _, n := range e.Tree(0) {
			if n.Feature < 0 {
				covers[e.Base()+n.Value] += n.Cover
				if len(e.Tree(0)) > 1 && n.Cover < float64(o.LeafRows) {
					rt.Fatalf("a leaf of %v rows, least %d", n.Cover, o.LeafRows)
				}
			}
		}
		for raw, rows := range covers {
			if cover[raw] != rows {
				rt.Fatalf("log-odds %v: cover %v, %v rows", raw, rows, cover[raw])
			}
		}
	})
}
