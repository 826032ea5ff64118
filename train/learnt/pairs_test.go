package learnt

import (
	"context"
	"math"
	"testing"

	"propensity/features"
	"propensity/models"
	"propensity/models/tree"
	"propensity/train/gbdt"
)

// a and b are 0 or 1, as often in all four ways; the tree is 4 where both are 1.
// F_ab is 4ab - 1, F_a is 2a - 1, F_b is 2b - 1: the rest is 1 where a = b and -1
// elsewhere, of size 1; the variance of F_ab is 3. With c each does what it does.
func TestPairByHand(t *testing.T) {
	m := features.Matrix{Features: []features.Feature{{Name: "a"}, {Name: "b"}, {Name: "c"}}, Columns: [][]float64{
		{0, 0, 1, 1, 0, 0, 1, 1}, {0, 1, 0, 1, 0, 1, 0, 1}, {0, 0, 0, 0, 1, 1, 1, 1},
	}, Label: []float64{0, 1, 0, 1, 0, 1, 0, 1}, Group: []int{0, 1, 2, 3, 4, 5, 6, 7}}
	e := ensemble(t, []int{0, 0, 0}, []tree.Node{
		{Feature: 0, Threshold: 0.5, Yes: 1, No: 2, Cover: 8}, leaf(0, 4),
		{Feature: 1, Threshold: 0.5, Yes: 3, No: 4, Cover: 4}, leaf(0, 2), leaf(4, 2),
	}, []tree.Node{{Feature: 2, Threshold: 0.5, Yes: 1, No: 2, Cover: 8}, leaf(-1, 4), leaf(1, 4)})
	out := examine(t, Input{Model: e, Rows: m})
	want := models.Pair{Features: [2]string{"a", "b"}, Strength: 1.0 / 3, Size: 1}
	if len(out.Pairs) != 1 || out.Pairs[0].Features != want.Features ||
		math.Abs(out.Pairs[0].Strength-want.Strength) > 1e-12 || math.Abs(out.Pairs[0].Size-want.Size) > 1e-12 {
		t.Errorf("%+v, want %+v", out.Pairs, want)
	}
}

// The statistic by its definition, row by row.
func TestPairsByDefinition(t *testing.T) {
	m := mixedMatrix(pairRows) // no more than are looked at
	e := boosted(t, m, 8)
	dependence := func(features ...int) []float64 {
		out, x, at, middle := make([]float64, pairRows), make([]float64, 3), make([]float64, 3), 0.0
		for i := range out {
			m.Row(at, i)
			for k := range pairRows {
				m.Row(x, k)
				for _, j := range features {
					x[j] = at[j]
				}
				out[i] += e.Raw(x) / pairRows
			}
			middle += out[i] / pairRows
		}
		for i := range out {
			out[i] -= middle
		}
		return out
	}
	told := examine(t, Input{Model: e, Rows: m}).Pairs
	if len(told) == 0 {
		t.Fatal("no pairs")
	}
	for k, p := range told {
		i, j := int(p.Features[0][0]-'a'), int(p.Features[1][0]-'a')
		both, one, other := dependence(i, j), dependence(i), dependence(j)
		joint, all := 0.0, 0.0
		for r := range both {
			joint += math.Pow(both[r]-one[r]-other[r], 2)
			all += both[r] * both[r]
		}
		if math.Abs(p.Strength-joint/all) > 1e-10 || math.Abs(p.Size-math.Sqrt(joint/pairRows)) > 1e-10 {
			t.Errorf("%+v, by definition %v and %v", p, joint/all, math.Sqrt(joint/pairRows))
		}
		if k > 0 && p.Size > told[k-1].Size {
			t.Errorf("out of order: %+v", told)
		}
	}
}

// The truth is a b + c + d.
func TestPlantedPairIsFirst(t *testing.T) {
	m := numbers(20_000, 5, 11, func(x []float64) float64 { return 1.2*x[0]*x[1] + x[2] + 0.6*x[3] })
	o := gbdt.Defaults()
	o.Trees = 100
	r, err := gbdt.Fit(context.Background(), &m, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	pairs := examine(t, Input{Model: r.Model, Rows: m}).Pairs
	if len(pairs) == 0 || pairs[0].Features != [2]string{"a", "b"} || pairs[0].Strength < 0.8 {
		t.Fatalf("%+v", pairs)
	}
	for _, p := range pairs[1:] {
		if p.Strength > 0.05 || p.Size > pairs[0].Size/4 {
			t.Errorf("%+v beside %+v", p, pairs[0])
		}
	}
}
