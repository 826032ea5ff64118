package golearn

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/features"
	"propensity/models/tree"
)

func plantedRaw(m *features.Matrix) []float64 {
	raw := make([]float64, m.Rows())
	for i := range raw {
		p := plantedRate(m.Columns[0][i], m.Columns[1][i])
		raw[i] = math.Log(p / (1 - p))
	}
	return raw
}

func TestSurrogateOfATreeIsThatTree(t *testing.T) {
	m := planted(6000, 1)
	raw := plantedRaw(m)
	e, fidelity, err := Surrogate(context.Background(), m, raw, Options{Depth: 2, Rows: 500, LeafRows: 1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(fidelity-1) > 1e-12 {
		t.Errorf("fidelity %v, want 1", fidelity)
	}
	x := make([]float64, 3)
	for i := range raw {
		if m.Row(x, i); math.Abs(e.Raw(x)-raw[i]) > 1e-12 {
			t.Fatalf("row %d: %v, want %v", i, e.Raw(x), raw[i])
		}
	}
	if nodes := e.Tree(0); len(nodes) != 5 || nodes[0].Cover != 6000 {
		t.Errorf("nodes %+v", nodes)
	}
}

// The fidelity is R² on the rows outside the sample, from whose raw nothing is
// learnt: turning it into noise changes the fidelity and not the tree.
func TestFidelityIsOfOtherRows(t *testing.T) {
	m := planted(4000, 2)
	raw := plantedRaw(m)
	o := Options{Depth: 3, Rows: 800, LeafRows: 5, Seed: 9}
	first, _, err := Surrogate(context.Background(), m, raw, o)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	drawn := map[int]bool{}
	for _, i := range sample(m.Label, o.Rows, o.Seed) {
		drawn[i] = true
	}
	for i := range raw {
		if !drawn[i] {
			raw[i] = random.NormFloat64()
		}
	}
	second, fidelity, err := Surrogate(context.Background(), m, raw, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Tree(0), second.Tree(0)); diff != "" {
		t.Errorf("another tree:\n%s", diff)
	}
	x := make([]float64, 3)
	n, mean, residual, total := 0.0, 0.0, 0.0, 0.0
	for i := range raw {
		if !drawn[i] {
			n++
			mean += raw[i]
		}
	}
	mean /= n
	for i := range raw {
		if !drawn[i] {
			m.Row(x, i)
			residual += math.Pow(raw[i]-second.Raw(x), 2)
			total += math.Pow(raw[i]-mean, 2)
		}
	}
	if want := 1 - residual/total; math.Abs(fidelity-want) > 1e-9 || fidelity > 0 {
		t.Errorf("fidelity %v, want %v", fidelity, want)
	}
}

func TestSurrogateLimits(t *testing.T) {
	m := planted(50, 3)
	constant := make([]float64, 50)
	for i := range constant {
		constant[i] = -1.25
	}
	e, fidelity, err := Surrogate(context.Background(), m, constant, Defaults(1))
	if err != nil || fidelity != 1 || e.Raw([]float64{0, 0, 0}) != -1.25 || len(e.Tree(0)) != 1 {
		t.Errorf("constant: fidelity %v, %v", fidelity, err)
	}
	for name, raw := range map[string][]float64{
		"short":    constant[1:],
		"NaN":      append([]float64{math.NaN()}, constant[1:]...),
		"infinite": append([]float64{math.Inf(1)}, constant[1:]...),
		"huge":     append([]float64{1e200}, constant[1:]...),
	} {
		if _, _, err := Surrogate(context.Background(), m, raw, Defaults(1)); !errors.Is(err, ErrMatrix) {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := m.Take([]int{0})
	if _, _, err := Surrogate(context.Background(), &one, constant[:1], Defaults(1)); !errors.Is(err, ErrMatrix) {
		t.Errorf("one row: %v", err)
	}
}

func TestDescribeByHand(t *testing.T) {
	b := tree.NewBuilder([]int{0, 3, 15}, -0.5)
	err := b.Add([]tree.Node{
		{Feature: 0, Threshold: 1.5, MissingYes: true, Yes: 1, No: 2, Cover: 100},
		{Feature: 1, Set: []int32{0, 2}, UnseenYes: true, Yes: 3, No: 4, Cover: 60},
		{Feature: 2, Set: []int32{14}, MissingYes: true, Yes: 5, No: 6, Cover: 40},
		{Feature: -1, Value: 0.5, Cover: 20}, {Feature: -1, Value: 1.5, Cover: 40},
		{Feature: -1, Value: -0.5, Cover: 10}, {Feature: -1, Value: 0, Cover: 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := `all: 100 rows
  logins <= 1.5 or missing: 60 rows
    plan is "free", "pro" or unseen: 20 rows, log-odds 0.000, probability 0.500
    plan is "gold" or missing: 40 rows, log-odds 1.000, probability 0.731
  logins > 1.5: 40 rows
    feature 2 is 14 or missing: 10 rows, log-odds -1.000, probability 0.269
    feature 2 is 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 or one of 3 more: 30 rows, log-odds -0.500, probability 0.378
`
	if diff := cmp.Diff(want, Describe(e, []string{"logins", "plan"}, [][]string{nil, {"free", "gold", "pro"}})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty, err := tree.NewBuilder(nil, 0).Build()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Describe(empty, nil, nil), "all: log-odds 0.000, probability 0.500\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
