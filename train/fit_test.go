package train

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features"
)

// The encoder of a run knows nothing of rows outside of the training part: not
// their categories, ranges or missing cells.
func TestEncodeSeesTrainingRowsOnly(t *testing.T) {
	table := tableOf(numbers("x", 1, 2, 3, 100, math.NaN(), 2), categories("c", "a", "b", "a", "z", "z", "b"), numbers("y", 0, 1, 1, 0, 1, 0))
	p, err := prepare(inMemory{table}, Spec{Name: "m", Label: "y"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.encode([]int{0, 1, 2, 5})
	if err != nil {
		t.Fatal(err)
	}
	x, c := e.encoder.Columns[0], e.encoder.Columns[1]
	if x.Max != 3 || x.Missing != 0 || x.Rows != 4 || !slices.Equal(c.Levels, []string{"a", "b"}) {
		t.Errorf("%+v, %+v", x, c)
	}
	lazy := p.encodeRows(e.encoder, []int{3, 4})
	m, err := lazy.Dense()
	if err != nil {
		t.Fatal(err)
	}
	if m.Columns[0][0] != 100 || !math.IsNaN(m.Columns[0][1]) || m.Columns[1][0] != -1 || !slices.Equal(m.Label, []float64{0, 1}) {
		t.Errorf("%+v", m)
	}
}

func TestFitLearner(t *testing.T) {
	p, s := prepared1(t, known(900, 5), Spec{ID: "who"})
	cut, _, err := p.parts(s)
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.encode(cut.Train)
	if err != nil {
		t.Fatal(err)
	}
	folds, err := p.folds(s, cut.Train, partsOf(len(cut.Train)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range LearnerNames() {
		last := 0
		f, err := fitLearner(context.Background(), name, e, folds, s, func(done, total int) {
			if done > total || total < 1 {
				t.Errorf("%s: %d of %d", name, done, total)
			}
			last = total
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.raw) != len(cut.Train) || len(finite(f.raw)) != len(cut.Train) || last == 0 || len(f.settings) == 0 && name != scorecard {
			t.Errorf("%s: %d out-of-fold scores, settings %v", name, len(finite(f.raw)), f.settings)
		}
		raw, probability, err := f.score(&e.matrix)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			if probability[i] != f.calibration.Probability(raw[i]) {
				t.Fatalf("%s: row %d: %v of %v", name, i, probability[i], raw[i])
			}
		}
		// What is out of fold is not what a model says of the rows it learnt from.
		if slices.Equal(raw, f.raw) {
			t.Errorf("%s: the out-of-fold scores are those of the last model", name)
		}
	}
	if _, err := fitLearner(context.Background(), "magic", e, folds, s, func(int, int) {}); err == nil || !strings.Contains(err.Error(), `"magic"`) {
		t.Error(err)
	}
}

func TestLeftOutText(t *testing.T) {
	if s := leftOutText([]features.LeftOut{{Column: "a", Reason: "one"}, {Column: "b", Reason: "two"}}); s != `"a": one; "b": two` {
		t.Error(s)
	}
}

// With one fold, the model that was calibrated is the model: nothing is fitted twice.
func TestOneFoldOneFit(t *testing.T) {
	p, s := prepared1(t, known(900, 5), Spec{ID: "who"})
	_, e := encodeAll(t, p)
	fold := datasets.FoldsOf(datasets.FoldsRule(p.label, 4), 4)[0]
	for _, name := range LearnerNames() {
		for _, trees := range []int{0, 12} {
			s.Boosting.Trees = trees
			f, err := fitLearner(context.Background(), name, e, foldSet{rounds: []datasets.Fold{fold}}, s, func(int, int) {})
			if err != nil {
				t.Fatal(err)
			}
			raw, _, err := f.score(&e.matrix)
			if err != nil {
				t.Fatal(err)
			}
			if got := finite(f.raw); !slices.Equal(got, fold.Test) || !slices.Equal(datasets.Take(f.raw, got), datasets.Take(raw, got)) {
				t.Errorf("%s: the model that was calibrated is another", name)
			}
			// It learnt from the rows of the fold alone: fitted on them again, it is the same.
			again, err := f.Fit(context.Background(), e.matrix.Take(fold.Train), features.Matrix{})
			if err != nil {
				t.Fatal(err)
			}
			second, err := rawOf(again, &e.matrix)
			if err != nil || !slices.Equal(raw, second) {
				t.Errorf("%s: it learnt from other rows; %v", name, err)
			}
			if name == boosting && trees > 0 && f.settings["trees"] != 12 {
				t.Errorf("%v", f.settings)
			}
		}
	}
}
