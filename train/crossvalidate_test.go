package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/models/evaluate"
)

func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*max(1, math.Abs(a), math.Abs(b))
}

// Worked again step by step for one learner: the figures are the means over the
// folds of models that saw only the other folds.
func TestCrossValidate(t *testing.T) {
	table, s := known(500, 5), mSpec
	s.Learners = []string{"cart", "logistic"}
	folds, err := FoldsFor("rule", table, s)
	if err != nil {
		t.Fatal(err)
	}
	out, err := CrossValidate(context.Background(), table, s, folds, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 2 || out[0].Learner != "logistic" || out[1].Learner != "cart" {
		t.Fatalf("%+v", out)
	}
	p, err := prepare(inMemory{table}, s)
	if err != nil {
		t.Fatal(err)
	}
	var auc, loss float64
	for k, f := range folds {
		e, err := p.encode(f.Train)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := datasets.FoldsGroup(datasets.Take(p.keys, f.Train), e.matrix.Label, foldCount)
		if err != nil {
			t.Fatal(err)
		}
		fit, err := fitLearner(context.Background(), "logistic", e, foldSet{rounds: inner}, s, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		m := p.encodeRows(e.encoder, f.Test)
		raw, probability, err := fit.score(&m)
		if err != nil {
			t.Fatal(err)
		}
		if a := evaluate.ROCAUC(m.Label, raw); a != out[0].ROCAUCByFold[k] {
			t.Errorf("fold %d: %v, told %v", k, a, out[0].ROCAUCByFold[k])
		}
		auc += evaluate.ROCAUC(m.Label, raw) / 5
		loss += evaluate.LogLoss(m.Label, probability) / 5
	}
	c := out[0]
	if !near(c.ROCAUC, auc, 1e-12) || !near(c.LogLoss, loss, 1e-12) || c.Rows != 500 || c.Folds != 5 || len(c.Calibrations) != 5 {
		t.Errorf("%+v, expected %v and %v", c, auc, loss)
	}
	if c.ROCAUC < 0.75 || math.IsNaN(c.PrecisionTop10) {
		t.Errorf("%+v", c)
	}
}

func TestFoldsFor(t *testing.T) {
	table := history(35, 12)
	s := Spec{Name: "m", ID: "who", Label: "y", Drop: []string{"when"}}
	folds, err := FoldsFor("group", table, s)
	if err != nil {
		t.Fatal(err)
	}
	who := table.Column("who")
	for _, f := range folds {
		seen := map[int32]bool{}
		for _, i := range f.Train {
			seen[who.Codes[i]] = true
		}
		if slices.ContainsFunc(f.Test, func(i int) bool { return seen[who.Codes[i]] }) {
			t.Error("an account is on both sides of a fold")
		}
	}
	_, err = FoldsFor("magic", table, s)
	says(t, err, ErrSpec, `"magic"`, "rule or group")
	_, err = FoldsFor("rule", table, Spec{Label: "gone"})
	says(t, err, ErrTable, `"gone"`)
}

func TestCrossValidateStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	table := known(500, 5)
	folds, err := FoldsFor("rule", table, mSpec)
	if err != nil {
		t.Fatal(err)
	}
	_, err = CrossValidate(ctx, table, mSpec, folds, func(stage string, _, _ int) {
		if stage == "boosting, fold 2 of 5" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, err = CrossValidate(context.Background(), table, Spec{Name: "m", Label: "y", Learners: []string{"magic"}}, folds, nil)
	says(t, err, ErrSpec, `"magic"`)
}
