package tree

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func leaf(value, cover float64) Node { return Node{Feature: -1, Value: value, Cover: cover} }

func build(t rapid.TB, levels []int, base float64, trees ...[]Node) *Ensemble {
	t.Helper()
	b := NewBuilder(levels, base)
	for _, nodes := range trees {
		if err := b.Add(nodes); err != nil {
			t.Fatal(err)
		}
	}
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// drawn gives a number from 0 to n-1, by rapid or by a generator.
type drawn func(n int) int

func fromRapid(t *rapid.T) drawn {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }
}

func fromSeed(seed uint64) drawn { return rand.New(rand.NewPCG(seed, 1)).IntN }

// randomTree grows a tree by splitting leaves at random; thresholds and codes
// come from few values, so that features repeat on a path and values tie.
func randomTree(draw drawn, levels []int, leaves int) []Node {
	nodes := []Node{{Feature: -1}}
	for range leaves - 1 {
		var open []int
		for i, n := range nodes {
			if n.Feature < 0 {
				open = append(open, i)
			}
		}
		i := open[draw(len(open))]
		j := draw(len(levels))
		n := Node{Feature: j, MissingYes: draw(2) == 1, Yes: len(nodes), No: len(nodes) + 1}
		if levels[j] == 0 {
			n.Threshold = float64(draw(7)-3) / 2
		} else {
			n.UnseenYes = draw(2) == 1
			for code := range levels[j] {
				if draw(2) == 1 {
					n.Set = append(n.Set, int32(code))
				}
			}
			if len(n.Set) == 0 || len(n.Set) == levels[j] {
				n.Set = []int32{int32(draw(levels[j]))}
				n.UnseenYes = levels[j] > 1 && n.UnseenYes
			}
		}
		nodes[i] = n
		nodes = append(nodes, Node{Feature: -1}, Node{Feature: -1})
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		if n := &nodes[i]; n.Feature < 0 {
			n.Value, n.Cover = float64(draw(2001)-1000)/100, float64(1+draw(30))
		} else {
			n.Cover = nodes[n.Yes].Cover + nodes[n.No].Cover
		}
	}
	return nodes
}

func randomRow(draw drawn, levels []int) []float64 {
	x := make([]float64, len(levels))
	for j, n := range levels {
		odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, float64(n), 0.5, 1e300}
		if k := draw(3 * len(odd)); k < len(odd) {
			x[j] = odd[k]
		} else if n == 0 {
			x[j] = float64(draw(9)-4) / 2
		} else {
			x[j] = float64(draw(n))
		}
	}
	return x
}

func randomLevels(draw drawn, most int) []int {
	levels := make([]int, 1+draw(most))
	for j := range levels {
		levels[j] = []int{0, 0, 0, 1, 2, 5, 62, 63, 130}[draw(9)]
	}
	return levels
}

// slowYes says which side a value takes, straight from the words of Node.
func slowYes(n Node, levels []int, v float64) bool {
	switch {
	case math.IsNaN(v):
		return n.MissingYes
	case levels[n.Feature] == 0:
		return v <= n.Threshold
	}
	for code := range levels[n.Feature] {
		if v == float64(code) {
			return slices.Contains(n.Set, int32(code))
		}
	}
	return n.UnseenYes
}

func slowLeaf(nodes []Node, levels []int, i int, x []float64) float64 {
	n := nodes[i]
	switch {
	case n.Feature < 0:
		return n.Value
	case slowYes(n, levels, x[n.Feature]):
		return slowLeaf(nodes, levels, n.Yes, x)
	}
	return slowLeaf(nodes, levels, n.No, x)
}

func TestRawByHand(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	levels := []int{0, 3}
	numeric := []Node{{Feature: 0, Threshold: 2, Yes: 1, No: 2, Cover: 4}, leaf(-1, 1), leaf(10, 3)}
	numericMissing := slices.Clone(numeric)
	numericMissing[0].MissingYes = true
	categorical := []Node{{Feature: 1, Set: []int32{0, 2}, Yes: 1, No: 2, Cover: 4}, leaf(-1, 1), leaf(10, 3)}
	categoricalMissing := slices.Clone(categorical)
	categoricalMissing[0].MissingYes = true
	categoricalUnseen := slices.Clone(categorical)
	categoricalUnseen[0].UnseenYes = true
	for name, c := range map[string]struct {
		nodes []Node
		x     []float64
		want  float64
	}{
		"below":                      {numeric, []float64{1.9, nan}, -1},
		"equal":                      {numeric, []float64{2, nan}, -1},
		"just above":                 {numeric, []float64{math.Nextafter(2, 3), nan}, 10},
		"-inf":                       {numeric, []float64{-inf, nan}, -1},
		"+inf":                       {numeric, []float64{inf, nan}, 10},
		"missing number":             {numeric, []float64{nan, 0}, 10},
		"missing number to yes":      {numericMissing, []float64{nan, 0}, -1},
		"-1 is a number":             {numeric, []float64{-1, 0}, -1},
		"in the set":                 {categorical, []float64{nan, 0}, -1},
		"minus zero":                 {categorical, []float64{nan, math.Copysign(0, -1)}, -1},
		"not in the set":             {categorical, []float64{nan, 1}, 10},
		"last of the set":            {categorical, []float64{nan, 2}, -1},
		"missing category":           {categorical, []float64{0, nan}, 10},
		"missing category to yes":    {categoricalMissing, []float64{0, nan}, -1},
		"unseen":                     {categorical, []float64{0, -1}, 10},
		"unseen, missing to yes":     {categoricalMissing, []float64{0, -1}, 10},
		"unseen to yes":              {categoricalUnseen, []float64{0, -1}, -1},
		"missing, unseen to yes":     {categoricalUnseen, []float64{0, nan}, 10},
		"beyond the levels":          {categoricalUnseen, []float64{0, 3}, -1},
		"between two codes":          {categoricalUnseen, []float64{0, 1.5}, -1},
		"infinite category":          {categoricalUnseen, []float64{0, inf}, -1},
		"minus infinite category":    {categoricalUnseen, []float64{0, -inf}, -1},
		"category beyond any int":    {categoricalUnseen, []float64{0, 1e300}, -1},
		"category a little below 0":  {categoricalUnseen, []float64{0, -1e-300}, -1},
		"category of the other side": {categoricalUnseen, []float64{0, 1}, 10},
	} {
		if got := build(t, levels, 0.5, c.nodes).Raw(c.x); got != 0.5+c.want {
			t.Errorf("%s: %v, want %v", name, got, 0.5+c.want)
		}
	}
}

func TestRawWithoutTrees(t *testing.T) {
	e := build(t, nil, -1.25)
	if got := e.Raw(nil); got != -1.25 {
		t.Errorf("raw %v", got)
	}
	if got := e.Explain(nil, nil); got != -1.25 {
		t.Errorf("base %v", got)
	}
}

func TestRawIsTheSumInOrder(t *testing.T) {
	one := func(v float64) []Node { return []Node{leaf(v, 1)} }
	e := build(t, nil, 1, one(1e16), one(-1e16), one(3))
	if got := e.Raw(nil); got != 3 { // 1 is lost in 1e16, then 3 is added
		t.Errorf("raw %v, want 3", got)
	}
}

func TestRawAgainstSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := fromRapid(t)
		levels := randomLevels(draw, 6)
		b := NewBuilder(levels, 0.1)
		var trees [][]Node
		for range 1 + draw(3) {
			trees = append(trees, randomTree(draw, levels, 1+draw(12)))
			if err := b.Add(trees[len(trees)-1]); err != nil {
				t.Fatal(err)
			}
		}
		e, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			x := randomRow(draw, levels)
			want := 0.1
			for _, nodes := range trees {
				want += slowLeaf(nodes, levels, 0, x)
			}
			if got := e.Raw(x); got != want {
				t.Fatalf("raw of %v is %v, want %v", x, got, want)
			}
		}
		for i, nodes := range trees {
			if diff := cmp.Diff(nodes, e.Tree(i)); diff != "" {
				t.Fatalf("tree %d (-added +given back):\n%s", i, diff)
			}
		}
	})
}

// big is an ensemble of random trees over 40 features, a quarter categorical.
func big(t testing.TB, trees, leaves int) (e *Ensemble, rows [][]float64) {
	levels := make([]int, 40)
	for j := range levels {
		if j%4 == 3 {
			levels[j] = 3 + j
		}
	}
	draw := fromSeed(uint64(trees))
	all := make([][]Node, trees)
	for i := range all {
		all[i] = randomTree(draw, levels, leaves)
	}
	rows = make([][]float64, 300)
	for i := range rows {
		rows[i] = randomRow(draw, levels)
	}
	return build(t, levels, -0.3, all...), rows
}

func columnsOf(rows [][]float64, width int) [][]float64 {
	columns := make([][]float64, width)
	for j := range columns {
		for _, x := range rows {
			columns[j] = append(columns[j], x[j])
		}
	}
	return columns
}

func TestRawAndExplainAllocateNothing(t *testing.T) {
	e, rows := big(t, 20, 31)
	if n := testing.AllocsPerRun(100, func() { e.Raw(rows[0]) }); n != 0 {
		t.Errorf("Raw allocates %v times", n)
	}
	phi := make([]float64, e.Features())
	if n := testing.AllocsPerRun(100, func() { e.Explain(phi, rows[0]) }); n >= 1 {
		t.Errorf("Explain allocates %v times", n)
	}
}

func TestTruncate(t *testing.T) {
	e, rows := big(t, 9, 15)
	for n := -1; n <= 10; n++ {
		kept := min(max(n, 0), 9)
		var trees [][]Node
		for i := range kept {
			trees = append(trees, e.Tree(i))
		}
		got, want := e.Truncate(n), build(t, e.Levels(), e.Base(), trees...)
		if got.Trees() != kept {
			t.Fatalf("%d trees of %d", got.Trees(), n)
		}
		same(t, got, want, rows[:20])
	}
	if e.Trees() != 9 {
		t.Errorf("the source has %d trees now", e.Trees())
	}
}

// same checks that two ensembles give the same bits.
func same(t testing.TB, got, want *Ensemble, rows [][]float64) {
	t.Helper()
	a, b := make([]float64, got.Features()), make([]float64, want.Features())
	for _, x := range rows {
		if g, w := got.Raw(x), want.Raw(x); math.Float64bits(g) != math.Float64bits(w) {
			t.Fatalf("raw %v, want %v", g, w)
		}
		if g, w := got.Explain(a, x), want.Explain(b, x); math.Float64bits(g) != math.Float64bits(w) {
			t.Fatalf("base %v, want %v", g, w)
		}
		for j := range a {
			if math.Float64bits(a[j]) != math.Float64bits(b[j]) {
				t.Fatalf("phi %d is %v, want %v", j, a[j], b[j])
			}
		}
	}
}
