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
	raw, err := outOfFold(context.Background(), spy{&fits}, m, folds, func(int, int) {})
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
	if _, err := settle(context.Background(), "magic", &features.Matrix{}, nil, 1, nil); !errors.Is(err, ErrSpec) {
		t.Error(err)
	}
}
