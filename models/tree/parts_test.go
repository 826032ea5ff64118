package tree

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// atSeveral runs a test on one and on many CPUs.
func atSeveral(t *testing.T, test func(t *testing.T)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, n := range []int{1, 7} {
		runtime.GOMAXPROCS(n)
		test(t)
	}
}

// checkAll checks that all ways to score and to explain rows give the same bits,
// and that the score is the slow twin's.
func checkAll(t rapid.TB, e *Ensemble, trees [][]Node, rows [][]float64) {
	t.Helper()
	width := e.Features()
	columns := columnsOf(rows, width)
	raw, phis, phi := make([]float64, len(rows)), make([]float64, len(rows)*width), make([]float64, width)
	for i := range phis {
		phis[i] = 99
	}
	e.RawAll(raw, columns)
	base := e.ExplainAll(phis, columns)
	for i, x := range rows {
		want := e.Base()
		for _, nodes := range trees {
			want += slowLeaf(nodes, e.Levels(), 0, x)
		}
		if got := e.Raw(x); math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("row %d: raw %v, want %v", i, got, want)
		}
		if math.Float64bits(raw[i]) != math.Float64bits(want) {
			t.Fatalf("row %d of %d: raw %v, want %v", i, len(rows), raw[i], want)
		}
		if got := e.Explain(phi, x); got != base {
			t.Fatalf("row %d: base %v, want %v", i, got, base)
		}
		for j := range phi {
			if got := phis[i*width+j]; math.Float64bits(got) != math.Float64bits(phi[j]) {
				t.Fatalf("row %d of %d, feature %d: %v, alone %v", i, len(rows), j, got, phi[j])
			}
		}
	}
}

func TestAllWaysAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := fromRapid(t)
		levels := randomLevels(draw, 5)
		e, trees := randomEnsemble(t, draw, levels, draw(12), 40)
		rows := make([][]float64, 1+draw(70))
		for i := range rows {
			rows[i] = randomRow(fromSeed(uint64(draw(1000))), levels)
		}
		checkAll(t, e, trees, rows)
	})
}

func TestAllWaysAgreeOnManyRows(t *testing.T) {
	draw := fromSeed(3)
	levels := []int{0, 0, 5, 0, 70, 0}
	e, trees := randomEnsemble(t, draw, levels, 20, 31)
	rows := make([][]float64, 700)
	for i := range rows {
		rows[i] = randomRow(draw, levels)
	}
	atSeveral(t, func(t *testing.T) {
		for _, n := range []int{0, 1, few - 1, few, batch - 1, batch, batch + 1, len(rows)} {
			checkAll(t, e, trees, rows[:n])
		}
	})
}

// More splits than a part takes, and trees wide enough to be parts of their own.
func TestAllWaysAgreeBetweenParts(t *testing.T) {
	draw := fromSeed(4)
	levels := []int{0, 0, 3, 0}
	var trees [][]Node
	for i := range 140 {
		leaves := maxPartLeaves
		if i == 7 || i == 8 || i == 139 {
			leaves++
		}
		trees = append(trees, randomTree(draw, levels, leaves))
	}
	e := build(t, levels, 0.1, trees...)
	var ends []int
	for _, p := range e.cut() {
		ends = append(ends, p.end)
		if alone := p.first == 7 || p.first == 8 || p.first == 139; p.asked == alone || (p.walk == nil) != alone {
			t.Errorf("trees %d to %d: asked %v", p.first, p.end, p.asked)
		}
	}
	if want := []int{7, 8, 9, 137, 139, 140}; !slices.Equal(ends, want) {
		t.Errorf("parts end at %v, want %v", ends, want)
	}
	rows := make([][]float64, 20)
	for i := range rows {
		rows[i] = randomRow(draw, levels)
	}
	checkAll(t, e, trees, rows)
}

// The answers of a category are kept only as far as they fit.
func TestCategoriesBeyondTheBudget(t *testing.T) {
	draw := fromSeed(6)
	levels := []int{0, 3000}
	e, trees := randomEnsemble(t, draw, levels, 10, 31)
	words := 0
	for _, c := range e.cut()[0].categories {
		words += len(c.answers)
	}
	for _, enough := range []bool{true, false} {
		left := words
		if !enough {
			left--
		}
		p := part{first: 0, end: e.Trees()}
		p.ask(e, &left)
		if p.asked != enough || left != words-1 && !enough || left != 0 && enough {
			t.Errorf("asked %v, %d words left of %d", p.asked, left, words)
		}
		if !enough { // a part without conditions serves all the same
			other := build(t, levels, 0.1, trees...)
			other.cutOnce.Do(func() { other.parts = []part{p} })
			checkAll(t, other, trees, [][]float64{randomRow(draw, levels), randomRow(draw, levels)})
		}
	}
}

// A row of very many features, few of them asked for.
func TestAllWaysAgreeOnManyFeatures(t *testing.T) {
	draw := fromSeed(8)
	levels := make([]int, 10000)
	for j := range levels {
		levels[j] = 4 * (j % 2)
	}
	e, trees := randomEnsemble(t, draw, levels, 5, 31)
	rows := [][]float64{randomRow(draw, levels), randomRow(draw, levels), randomRow(draw, levels)}
	checkAll(t, e, trees, rows)
}
