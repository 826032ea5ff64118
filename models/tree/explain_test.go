package tree

import (
	"math"
	"math/bits"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// expected is the value of a tree when only the features of the set are known:
// algorithm 1 of Lundberg et al. 2020.
func expected(nodes []Node, levels []int, i int, x []float64, known uint) float64 {
	n := nodes[i]
	if n.Feature < 0 {
		return n.Value
	}
	if known>>n.Feature&1 != 0 {
		if slowYes(n, levels, x[n.Feature]) {
			return expected(nodes, levels, n.Yes, x, known)
		}
		return expected(nodes, levels, n.No, x, known)
	}
	yes, no := nodes[n.Yes].Cover, nodes[n.No].Cover
	return (yes*expected(nodes, levels, n.Yes, x, known) + no*expected(nodes, levels, n.No, x, known)) / (yes + no)
}

// shapley is the definition: over all sets of features.
func shapley(trees [][]Node, levels []int, base float64, x []float64) (phi []float64, empty float64) {
	n := len(levels)
	value := make([]float64, 1<<n)
	for set := range value {
		value[set] = base
		for _, nodes := range trees {
			value[set] += expected(nodes, levels, 0, x, uint(set))
		}
	}
	factorial := []float64{1}
	for k := 1; k <= n; k++ {
		factorial = append(factorial, float64(k)*factorial[k-1])
	}
	phi = make([]float64, n)
	for set := range value {
		size := bits.OnesCount(uint(set))
		for j := range phi {
			if set>>j&1 == 0 {
				phi[j] += factorial[size] * factorial[n-size-1] / factorial[n] * (value[set|1<<j] - value[set])
			}
		}
	}
	return phi, value[0]
}

func TestExplainAgainstDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := fromRapid(t)
		levels := randomLevels(draw, 8)
		b := NewBuilder(levels, -0.7)
		var trees [][]Node
		for range 1 + draw(3) {
			trees = append(trees, randomTree(draw, levels, 1+draw(16)))
			if err := b.Add(trees[len(trees)-1]); err != nil {
				t.Fatal(err)
			}
		}
		e, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		x := randomRow(draw, levels)
		want, wantBase := shapley(trees, levels, -0.7, x)
		got := make([]float64, len(levels))
		base := e.Explain(got, x)
		if math.Abs(base-wantBase) > 1e-12 {
			t.Fatalf("base %v, want %v", base, wantBase)
		}
		for j := range want {
			if math.Abs(got[j]-want[j]) > 1e-12 {
				t.Fatalf("phi of feature %d is %v, want %v", j, got[j], want[j])
			}
		}
	})
}

// Thirteen features and paths of eleven of them, most met twice: what the small
// random trees do not reach.
func TestExplainLongPathsAgainstDefinition(t *testing.T) {
	levels := make([]int, 13)
	levels[4], levels[9] = 4, 4
	draw := fromSeed(5)
	var nodes []Node
	for range 22 {
		at := len(nodes)
		n := Node{Feature: draw(13), MissingYes: draw(2) == 1, Yes: at + 1, No: at + 2}
		if levels[n.Feature] > 0 {
			n.Set = []int32{int32(draw(4))}
		} else {
			n.Threshold = float64(draw(5) - 2)
		}
		if draw(2) == 1 {
			n.Yes, n.No = n.No, n.Yes
		}
		nodes = append(nodes, n, Node{Feature: -1, Value: float64(draw(100)), Cover: float64(1 + draw(9))})
	}
	nodes = append(nodes, leaf(7, 2))
	for i := len(nodes) - 1; i >= 0; i-- {
		if n := &nodes[i]; n.Feature >= 0 {
			n.Cover = nodes[n.Yes].Cover + nodes[n.No].Cover
		}
	}
	e := build(t, levels, 0, nodes)
	if e.shapes[0].points < 5 {
		t.Fatalf("only %d points", e.shapes[0].points)
	}
	phi := make([]float64, 13)
	for range 5 {
		x := randomRow(draw, levels)
		want, _ := shapley([][]Node{nodes}, levels, 0, x)
		e.Explain(phi, x)
		for j := range want {
			if math.Abs(phi[j]-want[j]) > 1e-11 {
				t.Fatalf("phi of feature %d is %v, want %v", j, phi[j], want[j])
			}
		}
	}
}

func TestExplainByHand(t *testing.T) {
	// 4 of 10 rows have feature 0 <= 0; of the others 3 of 6 have category 1 in
	// feature 1. Known sets for x = (1, 1): {} 0.4*0 + 0.3*10 + 0.3*20 = 9,
	// {0} 15, {1} 0.6*10 = 6, {0, 1} 10. Feature 2 is never asked for.
	e := build(t, []int{0, 2, 0}, 1, []Node{
		{Feature: 0, Yes: 1, No: 2, Cover: 10}, leaf(0, 4),
		{Feature: 1, Set: []int32{1}, UnseenYes: true, Yes: 3, No: 4, Cover: 6}, leaf(10, 3), leaf(20, 3),
	})
	phi := []float64{99, 99, 99}
	for _, category := range []float64{1, -1} { // unseen goes with 1
		if base := e.Explain(phi, []float64{1, category, 5}); math.Abs(base-10) > 1e-14 {
			t.Errorf("base %v, want 10", base)
		}
		want := []float64{(6.0 + 4) / 2, (-3.0 - 5) / 2, 0}
		for j := range want {
			if math.Abs(phi[j]-want[j]) > 1e-14 || want[j] == 0 && phi[j] != 0 {
				t.Errorf("phi of feature %d is %v, want %v", j, phi[j], want[j])
			}
		}
	}
}

// A path as long as the limit: the value of the last leaf needs all of a
// thousand features, each worth the same.
func TestExplainDeepest(t *testing.T) {
	chain := func(depth int) []Node {
		var nodes []Node
		for i := range depth {
			cover := math.Pow(2, float64(40-i)/8)
			share := cover * math.Pow(2, -1.0/8)
			nodes = append(nodes, Node{Feature: i, Yes: 2*i + 2, No: 2*i + 1, Cover: cover}, leaf(0, cover-share))
		}
		return append(nodes, leaf(1, math.Pow(2, float64(40-depth)/8)))
	}
	e := build(t, make([]int, maxDepth), 0, chain(maxDepth))
	phi := make([]float64, maxDepth)
	base := e.Explain(phi, make([]float64, maxDepth))
	sum := 0.0
	for j := range phi {
		if math.Abs(phi[j]-(1-base)/maxDepth) > 1e-13 {
			t.Fatalf("phi of feature %d is %v, want %v", j, phi[j], (1-base)/maxDepth)
		}
		sum += phi[j]
	}
	if math.Abs(base+sum-1) > 1e-11 {
		t.Errorf("base + sum(phi) is %v", base+sum)
	}
	if err := NewBuilder(make([]int, maxDepth+1), 0).Add(chain(maxDepth + 1)); err == nil {
		t.Error("a deeper one is taken")
	}
}

// Covers that sum up but for rounding still weigh as shares of one.
func TestExplainRoundedCover(t *testing.T) {
	e := build(t, []int{0}, 0, []Node{
		{Feature: 0, Yes: 1, No: 2, Cover: 10 * (1 + 0.9*coverTolerance)}, leaf(5, 4), leaf(5, 6),
	})
	phi := []float64{1}
	if base := e.Explain(phi, []float64{0}); math.Abs(base-5) > 1e-15 || math.Abs(phi[0]) > 1e-15 {
		t.Errorf("base %v, phi %v of a tree that is 5 everywhere", base, phi)
	}
}

// Shares of cover too small for a float64 to multiply leave every value finite.
func TestExplainVanishingCover(t *testing.T) {
	var nodes []Node
	for i := range 8 { // all of one feature: zero falls below the least float64
		cover := 1e100 * math.Pow(1e-25, float64(i))
		nodes = append(nodes, Node{Feature: i % 2, Yes: 2*i + 2, No: 2*i + 1, Cover: cover}, leaf(float64(i), cover))
	}
	nodes = append(nodes, leaf(50, 1e-100))
	e := build(t, []int{0, 0}, 0, nodes)
	phi := make([]float64, 2)
	for _, x := range [][]float64{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
		base := e.Explain(phi, x)
		if got, want := base+phi[0]+phi[1], e.Raw(x); !(math.Abs(got-want) <= 1e-12) {
			t.Errorf("base %v + phi %v, want %v", base, phi, want)
		}
	}
}

func TestExplainSumsToRaw(t *testing.T) {
	e, rows := big(t, 1000, 31)
	phi := make([]float64, e.Features())
	worst := 0.0
	for _, x := range rows[:100] {
		sum := e.Explain(phi, x)
		for _, p := range phi {
			sum += p
		}
		if far := math.Abs(sum - e.Raw(x)); !(far <= 1e-9) {
			t.Fatalf("base + sum(phi) is %v off", far)
		} else {
			worst = max(worst, far)
		}
	}
	t.Logf("at most %.2g off", worst)
}

func TestExplainConcurrently(t *testing.T) {
	e, rows := big(t, 20, 31)
	want := make([][]float64, len(rows))
	for i, x := range rows {
		want[i] = make([]float64, e.Features())
		e.Explain(want[i], x)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			phi := make([]float64, e.Features())
			for i, x := range rows {
				e.Explain(phi, x)
				for j := range phi {
					if phi[j] != want[i][j] {
						t.Errorf("row %d, feature %d: %v, want %v", i, j, phi[j], want[i][j])
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestRuleIsExact(t *testing.T) {
	for _, points := range []int{1, 2, 3, 4, 5, 8, 13, 50, 500} {
		r := newRule(points)
		for degree := range 2 * points {
			sum := 0.0
			for i, at := range r.at {
				sum += r.weight[i] * math.Pow(at, float64(degree))
			}
			if want := 1 / float64(degree+1); math.Abs(sum-want) > 1e-14 {
				t.Errorf("%d points, t^%d: %v, want %v", points, degree, sum, want)
			}
		}
	}
}
