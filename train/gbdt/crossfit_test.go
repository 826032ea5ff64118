package gbdt

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"propensity/datasets"
	"propensity/features"
)

// byRow cuts rows into k folds by row number; every tenth row is in no Test.
func byRow(rows, k int) []datasets.Fold {
	folds := make([]datasets.Fold, k)
	for i := range rows {
		for f := range folds {
			if i%k != f {
				folds[f].Train = append(folds[f].Train, i)
			} else if i%10 != 9 {
				folds[f].Test = append(folds[f].Test, i)
			}
		}
	}
	return folds
}

// CrossFit is what a booster on each fold says, summed up row by row.
func TestCrossFitAgainstBoosters(t *testing.T) {
	m := mixedMatrix(900, 11)
	folds := byRow(m.Rows(), 3)
	o := Defaults()
	o.Trees, o.Rate, o.Patience, o.MinGain = 120, 0.3, 8, 0
	settled, raw, err := CrossFit(context.Background(), m, folds, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if settled.Trees >= o.Trees || settled.Trees < 2 {
		t.Fatalf("settled on %d rounds: the test wants an optimum inside", settled.Trees)
	}
	curve := make([]float64, o.Trees)
	rows := 0
	all, err := newBinned(context.Background(), &o, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, fold := range folds {
		b, err := newBooster(all, rows32(fold.Train), rows32(fold.Test), o)
		if err != nil {
			t.Fatal(err)
		}
		test := m.Take(fold.Test)
		rows += test.Rows()
		for round := range curve {
			b.step(round)
			model, err := b.model(round + 1)
			if err != nil {
				t.Fatal(err)
			}
			scores := rawAll(model, &test)
			curve[round] += totalLoss(nil, numbers(0, test.Rows()), scores, test.Label, nil)
			for i, r := range fold.Test {
				if round+1 == settled.Trees && raw[r] != scores[i] {
					t.Fatalf("row %d scores %v, by its fold's model %v", r, raw[r], scores[i])
				}
			}
		}
	}
	best := 0
	for round := range settled.Trees + o.Patience {
		if curve[round] < curve[best] {
			best = round
		}
	}
	if settled.Trees != best+1 {
		t.Errorf("settled on %d rounds, the curve is lowest after %d", settled.Trees, best+1)
	}
	untested := 0
	for _, x := range raw {
		if math.IsNaN(x) {
			untested++
		}
	}
	if rows+untested != m.Rows() || untested != 90 {
		t.Errorf("%d rows without a score, want the 90 in no Test", untested)
	}
	settled.Trees = o.Trees
	if !reflect.DeepEqual(settled, o) {
		t.Errorf("settled on other options too: %+v", settled)
	}
}

func TestUnfitFolds(t *testing.T) {
	m := mixedMatrix(40, 1)
	one := &features.Matrix{Features: m.Features, Columns: m.Columns, Label: make([]float64, 40)}
	for k := 20; k < 40; k++ {
		one.Label[k] = 1
	}
	for name, c := range map[string]struct {
		m     *features.Matrix
		folds []datasets.Fold
		want  error
	}{
		"none":               {m, nil, ErrMatrix},
		"empty train":        {m, []datasets.Fold{{Train: nil, Test: []int{1}}}, ErrMatrix},
		"empty test":         {m, []datasets.Fold{{Train: []int{1}, Test: nil}}, ErrMatrix},
		"train out of range": {m, []datasets.Fold{{Train: []int{40}, Test: []int{1}}}, ErrMatrix},
		"test out of range":  {m, []datasets.Fold{{Train: []int{1}, Test: []int{-1}}}, ErrMatrix},
		"tested twice":       {m, []datasets.Fold{{Train: []int{1, 2}, Test: []int{3}}, {Train: []int{1, 2}, Test: []int{3}}}, ErrMatrix},
		"trained and tested": {m, []datasets.Fold{{Train: []int{1, 2}, Test: []int{2}}}, ErrMatrix},
		"one class":          {one, []datasets.Fold{{Train: []int{0, 1, 2}, Test: []int{30}}}, ErrOneClass},
	} {
		if _, _, err := CrossFit(context.Background(), c.m, c.folds, Defaults(), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
