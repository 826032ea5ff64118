package tree

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBelowCountsThresholds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := fromRapid(t)
		n := number{threshold: make([]float64, []int{1, 2, 3, 7, 8, 9, 63, 254, 255, 256, 300}[draw(11)])}
		spread := []func(x float64) float64{
			func(x float64) float64 { return x },
			func(x float64) float64 { return math.Exp(5 * x) },
			func(x float64) float64 { return x * math.MaxFloat64 / 8 },
			func(x float64) float64 { return x * math.SmallestNonzeroFloat64 },
		}[draw(4)]
		for k := range n.threshold {
			n.threshold[k] = spread(float64(draw(40)-20) / 4)
		}
		if draw(2) == 0 {
			n.threshold[0] = math.MaxFloat64
		}
		slices.Sort(n.threshold)
		p := part{numbers: []number{{threshold: []float64{1, 2}}, n, {threshold: []float64{-7}}}}
		p.align()
		n = p.numbers[1]
		values := make([]float64, draw(65))
		random := fromSeed(uint64(draw(1 << 20)))
		for k := range values {
			values[k] = [...]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), spread(float64(random(60)-30) / 8)}[min(random(12), 4)]
		}
		if draw(2) == 0 {
			n.buckets = newBuckets(n.threshold)
		}
		var at [64]uint16
		n.below64(&at, values)
		for k, v := range values {
			want := 0
			for _, x := range n.threshold {
				if x < v {
					want++
				}
			}
			if v != v && int(at[k]) == len(n.threshold)+1 {
				at[k] = 0 // NaN is set apart
			}
			if got := n.below(v); got != want || int(at[k]) != want {
				t.Fatalf("%d and %d of %d thresholds below %v, want %d", got, at[k], len(n.threshold), v, want)
			}
		}
	})
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var before, after [64]uint64
	for i := range before {
		before[i] = r.Uint64()
	}
	after = before
	transpose(&after)
	for i := range 64 {
		for j := range 64 {
			if before[i]>>j&1 != after[j]>>i&1 {
				t.Fatalf("bit %d of word %d", j, i)
			}
		}
	}
}

func TestSpread(t *testing.T) {
	for b := range 256 {
		for k := range 8 {
			if got := spread(uint8(b)) >> (8 * k) & 255; got != uint64(b>>k&1) {
				t.Fatalf("byte %d of %d is %d", k, b, got)
			}
		}
	}
}

// What a row answers to each split's condition is the side that the split sends
// it to, asked alone or among others.
func TestAnswersAgainstSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := fromRapid(t)
		levels := randomLevels(draw, 6)
		e, trees := randomEnsemble(t, draw, levels, 1+draw(8), 20)
		p := &e.cut()[0]
		if !p.asked || len(e.parts) != 1 {
			t.Fatalf("%d parts", len(e.parts))
		}
		rows := make([][]float64, 1+draw(64))
		for i := range rows {
			rows[i] = randomRow(draw, levels)
		}
		w := e.worker()
		w.masks = new(masks)
		for k := range w.masks {
			w.masks[k] = ^uint64(0) // what is left from others
		}
		p.answer64(w.masks, columnsOf(rows, len(levels)), 0, len(rows))
		for i, x := range rows {
			for k := range w.asked {
				w.asked[k] = 1
			}
			p.answer(w.answers(), x)
			at := 0
			for _, nodes := range trees {
				for k := range nodes {
					if n := nodes[k]; n.Feature >= 0 {
						want := uint8(bit(slowYes(n, levels, x[n.Feature])))
						c := p.condition[at]
						if got := w.answers()[c]; got != want {
							t.Fatalf("%v answers %d to %+v", x[n.Feature], got, n)
						}
						if got := uint8(w.masks[c] >> i & 1); got != want {
							t.Fatalf("%v answers %d to %+v among %d rows", x[n.Feature], got, n, len(rows))
						}
					}
					at++
				}
			}
			if w.answers()[0] != 0 || w.masks[0] != 0 {
				t.Fatal("condition 0 is true")
			}
		}
	})
}

// randomEnsemble is trees of up to so many leaves with the base 0.1.
func randomEnsemble(t rapid.TB, draw drawn, levels []int, trees, leaves int) (*Ensemble, [][]Node) {
	all := make([][]Node, trees)
	for i := range all {
		all[i] = randomTree(draw, levels, 1+draw(leaves))
	}
	return build(t, levels, 0.1, all...), all
}
