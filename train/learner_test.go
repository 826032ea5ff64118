package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/tree"
)

// spy is a learner whose model scores a row by how often it was learnt from.
type spy struct{ fits *[][]float64 }

func (s spy) Fit(_ context.Context, train, _ features.Matrix) (models.Model, error) {
	*s.fits = append(*s.fits, slices.Clone(train.Columns[0]))
	return memory(train.Columns[0]), nil
}

// memory scores 1 where it has seen the value of the first column, else 0.
type memory []float64

func (m memory) Raw(x []float64) float64 {
	if slices.Contains(m, x[0]) {
		return 1
	}
	return 0
}

func (m memory) Explain(phi, x []float64) float64 { clear(phi); return m.Raw(x) }

// No row is scored by a model that learnt from it, and none is forgotten.
func TestOutOfFold(t *testing.T) {
	const n = 23
	m := &features.Matrix{Features: []features.Feature{{Name: "row"}}, Columns: [][]float64{make([]float64, n)}, Label: make([]float64, n), Group: make([]int, n)}
	for i := range n {
		m.Columns[0][i], m.Label[i] = float64(i), float64(i%2)
	}
	folds := datasets.FoldsOf(datasets.FoldsRule(m.Label, 5), 5)
	folds[4].Test = folds[4].Test[1:] // a row that no fold predicts
	var fits [][]float64
	raw, _, err := outOfFold(context.Background(), spy{&fits}, m, folds, func(int, int) {})
	if err != nil || len(fits) != 5 {
		t.Fatalf("%d fits, %v", len(fits), err)
	}
	unscored := 0
	for i, r := range raw {
		switch {
		case math.IsNaN(r):
			unscored++
		case r != 0:
			t.Errorf("row %d was scored by a model that learnt from it", i)
		}
	}
	if unscored != 1 {
		t.Errorf("%d rows without a score", unscored)
	}
}

func TestSettleUnknown(t *testing.T) {
	if _, err := settle(context.Background(), "magic", &encoded{}, nil, Spec{}, nil); !errors.Is(err, ErrSpec) {
		t.Error(err)
	}
}

// encodeAll encodes every labelled row, by an encoder that saw them all.
func encodeAll(t *testing.T, p *prepared) (rows []int, e *encoded) {
	t.Helper()
	rows = make([]int, len(p.label))
	for i := range rows {
		rows[i] = i
	}
	e, err := p.encode(rows)
	if err != nil {
		t.Fatal(err)
	}
	return rows, e
}

// Trees given by hand are the trees that are grown; otherwise held-out rows say
// how many. Leaves and rate hold either way.
func TestBoostingByHand(t *testing.T) {
	p, s := prepared1(t, known(900, 5), Spec{ID: "who"})
	_, e := encodeAll(t, p)
	rounds := datasets.FoldsOf(datasets.FoldsRule(p.label, 3), 3)
	for _, c := range []struct {
		set   BoostingSettings
		trees func(rounds float64) bool
	}{
		{BoostingSettings{Trees: 7, Leaves: 3, Rate: 0.5}, func(n float64) bool { return n == 7 }},
		{BoostingSettings{Leaves: 3, Rate: 0.5}, func(n float64) bool { return n > 0 && n < 500 }},
	} {
		s.Boosting = c.set
		f, err := fitLearner(context.Background(), boosting, e, foldSet{rounds: rounds}, s, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		m := f.model.(*tree.Ensemble)
		if !c.trees(f.settings["trees"]) || m.Trees() == 0 || float64(m.Trees()) > f.settings["trees"] || f.settings["leaves"] != 3 || f.settings["rate"] != 0.5 {
			t.Errorf("%+v: %d trees, settings %v", c.set, m.Trees(), f.settings)
		}
		for k := range m.Trees() {
			if nodes := m.Tree(k); len(nodes) > 5 {
				t.Errorf("%+v: tree %d has %d nodes", c.set, k, len(nodes))
			}
		}
		if len(finite(f.raw)) != 900 {
			t.Errorf("%+v: %d rows scored out of fold", c.set, len(finite(f.raw)))
		}
	}
}
