package diff_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/diff"
	"propensity/models/evaluate"
)

const encoderBefore = `{"columns": [
	{"name": "logins", "kind": "number", "rows": 100, "missing": 0, "min": 0, "median": 10, "mean": 10, "max": 20},
	{"name": "plan", "kind": "category", "levels": ["free", "pro"], "counts": [60, 40], "rows": 100, "missing": 0, "min": 0, "median": 0, "mean": 0, "max": 0},
	{"name": "seats", "kind": "number", "rows": 100, "missing": 0, "min": 1, "median": 1, "mean": 1, "max": 1}]}`

const encoderAfter = `{"columns": [
	{"name": "logins", "kind": "number", "rows": 100, "missing": 5, "min": 0, "median": 10, "mean": 10, "max": 25},
	{"name": "plan", "kind": "category", "levels": ["free", "team"], "counts": [30, 70], "rows": 100, "missing": 0, "min": 0, "median": 0, "mean": 0, "max": 0},
	{"name": "annual", "kind": "boolean", "rows": 100, "missing": 0, "min": 0, "median": 0, "mean": 0.5, "max": 1}]}`

// version is an artifact whose log-odds are 0.1 a login, and 1 on the second plan.
func version(t *testing.T, encoder, spec string, change func(*models.Artifact)) *models.Scorer {
	t.Helper()
	e, err := features.ParseEncoder([]byte(encoder))
	if err != nil {
		t.Fatal(err)
	}
	ranking, err := evaluate.NewRanking([]float64{-1, 1})
	if err != nil {
		t.Fatal(err)
	}
	a := &models.Artifact{
		Encoder: e, Ranking: ranking, Calibration: models.Calibration{Kind: models.CalibrationNone}, Spec: []byte(spec),
		Model: &models.Linear{Intercept: -1, Terms: []models.Term{
			{Scale: 1, Weight: 0.1, Mean: 1, Spread: 3},
			{Levels: []float64{0, 1}, Mean: 0.4, Spread: 1},
			{Scale: 1},
		}},
		Manifest: models.Manifest{
			Name: "churn", Learner: "logistic", Account: "id", Label: models.Label{Column: "left", Positive: "Yes"},
			Data: models.Data{Fingerprint: "one", Rows: 100, Positives: 30}, BaseRate: 0.3,
			Bands: []models.Band{{Name: "A", From: 0.5, Rows: 10, Positives: 6, Rate: evaluate.Wilson(6, 10)}, {Name: "B", From: 0}},
		},
		Metrics: models.Metrics{Chosen: "logistic", Candidates: []models.Candidate{{Learner: "logistic", Report: evaluate.Report{
			Rows: 20, Positives: 6, ROCAUC: evaluate.Interval{Value: 0.7, Low: 0.6, High: 0.8}, LogLoss: evaluate.Interval{Value: 0.5, Low: 0.4, High: 0.6},
		}}}},
	}
	if change != nil {
		change(a)
	}
	files, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	s, err := models.NewScorer(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const spec = "name: churn\nlearners:\n- logistic\nboosting:\n  trees: 20\nbands: [0.5, 0]\nseed: 1\n"

func later(t *testing.T) *models.Scorer {
	return version(t, encoderAfter, "seed: 2\nbands: [0.5, 0]\nlearners: [logistic, boosting]\nname: churn\ndrop: [seats]\n", func(a *models.Artifact) {
		a.Manifest.Data = models.Data{Fingerprint: "two", Rows: 120, Positives: 30}
		a.Manifest.LeftOut = []features.LeftOut{{Column: "seats", Reason: "it was dropped by the spec"}}
		a.Manifest.Bands = []models.Band{{Name: "A", From: 0.6}, {Name: "B", From: 0.2}, {Name: "C", From: 0}}
		a.Model.(*models.Linear).Terms[2] = models.Term{Scale: 1, Weight: 2, Mean: 1, Spread: 1}
		a.Metrics.Candidates[0].Report.ROCAUC = evaluate.Interval{Value: 0.9, Low: 0.85, High: 0.95}
		a.Metrics.Gate.Passed = true
	})
}

func TestCompare(t *testing.T) {
	before, after := version(t, encoderBefore, spec, nil).Artifact(), later(t).Artifact()
	d := diff.Compare(before, after)
	want := &diff.Diff{
		Data: []diff.Field{{Name: "fingerprint", Before: "one", After: "two"}, {Name: "rows", Before: "100", After: "120"}},
		Columns: []diff.Column{
			{Name: "logins", Change: diff.Changed, Fields: []diff.Field{{Name: "missing", Before: "0.0 %", After: "5.0 %"}, {Name: "max", Before: "20", After: "25"}}},
			{Name: "plan", Change: diff.Changed, Fields: []diff.Field{{Name: "most frequent", Before: "free", After: "team"}}, LevelsAdded: []string{"team"}, LevelsRemoved: []string{"pro"}},
			{Name: "annual", Change: diff.Added},
			{Name: "seats", Change: diff.Removed, Reason: "it was dropped by the spec"},
		},
		Spec: []diff.Field{
			{Name: "boosting.trees", Before: "20"}, {Name: "learners", Before: "logistic", After: "logistic, boosting"}, {Name: "seed", Before: "1", After: "2"},
			{Name: "drop", After: "seats"},
		},
		Quality: d.Quality, Gate: diff.Gates{After: models.Gate{Passed: true}},
		Drivers: []diff.Driver{{Feature: "annual", After: 0.2}, {Feature: "logins", Before: 0.75, After: 0.6}, {Feature: "plan", Before: 0.25, After: 0.2}},
		Bands: []diff.Band{
			{Name: "A", Before: &before.Manifest.Bands[0], After: &after.Manifest.Bands[0]},
			{Name: "B", Before: &before.Manifest.Bands[1], After: &after.Manifest.Bands[1]},
			{Name: "C", After: &after.Manifest.Bands[2]},
		},
	}
	if s := cmp.Diff(want, d); s != "" {
		t.Error(s)
	}
	if f := d.Quality[0]; f.Name != "ROC AUC" || f.Before.Value != 0.7 || f.After.Value != 0.9 || !f.Apart {
		t.Errorf("%+v", f)
	}
	if f := d.Quality[2]; f.Name != "log loss" || f.Apart {
		t.Errorf("%+v", f)
	}
	again := diff.Compare(before, after)
	if s := cmp.Diff(d, again); s != "" {
		t.Errorf("the same again is not the same: %s", s)
	}
}

func TestCompareTheSame(t *testing.T) {
	a := version(t, encoderBefore, spec, nil).Artifact()
	d := diff.Compare(a, version(t, encoderBefore, spec, nil).Artifact())
	if !d.Identical || !d.SameData || !d.SameRows || len(d.Data)+len(d.Columns)+len(d.Spec)+len(d.Quality)+len(d.Drivers)+len(d.Bands) > 0 {
		t.Errorf("%+v", d)
	}
	// The order of a spec's fields says nothing.
	d = diff.Compare(a, version(t, encoderBefore, "seed: 1\nboosting: {trees: 20}\nbands:\n- 0.5\n- 0\nlearners: [logistic]\nname: churn\n", nil).Artifact())
	if d.Identical || !d.SameData || !d.SameRows || len(d.Spec)+len(d.Data)+len(d.Columns)+len(d.Drivers) > 0 {
		t.Errorf("%+v", d)
	}
}

func TestCompareOddSpecs(t *testing.T) {
	a := version(t, encoderBefore, spec, nil).Artifact()
	for text, want := range map[string]string{
		"{":                                "{",
		"just words":                       "just words",
		"leaks: [{column: tags}, {x: 1}]":  "tags",
		"label: {column: left, within: 3}": "left",
	} {
		d := diff.Compare(a, version(t, encoderBefore, text, nil).Artifact())
		if !slices.ContainsFunc(d.Spec, func(f diff.Field) bool { return f.After == want }) {
			t.Errorf("%q: %+v", text, d.Spec)
		}
	}
}

func table(logins []float64, plans []int32, annual []float64) *datasets.Table {
	seats := make([]float64, len(logins))
	for i := range seats {
		seats[i] = 1
	}
	return &datasets.Table{Columns: []datasets.Column{
		{Name: "logins", Kind: datasets.Number, Numbers: logins},
		{Name: "plan", Kind: datasets.Category, Codes: plans, Values: []string{"free", "pro", "team"}},
		{Name: "seats", Kind: datasets.Number, Numbers: seats},
		{Name: "annual", Kind: datasets.Boolean, Numbers: annual},
	}}
}

// By hand: before, log-odds are -1 + logins/10 + 1 for pro; after, with 1 for team
// and 2 for annual.
func TestCompareScores(t *testing.T) {
	in := table([]float64{0, 10, 10, 20}, []int32{0, 1, 2, 0}, []float64{0, 0, 1, 1})
	moments := make([]int64, 4)
	s, err := diff.CompareScores(
		diff.Side{Scorer: version(t, encoderBefore, spec, nil), Table: in, Moments: moments},
		diff.Side{Scorer: later(t), Table: in, Moments: moments}, []string{"a", "b", "c", "d"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	p := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	before, after := []float64{p(-1), p(1), p(0), p(1)}, []float64{p(-1), p(0), p(3), p(3)}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	mean, move := 0.0, 0.0
	for i := range before {
		mean, move = mean+after[i]/4, move+math.Abs(after[i]-before[i])/4
	}
	near("mean", s.MeanAfter, mean)
	near("move", s.MeanMove, move)
	if s.Rows != 4 || s.Same != 1 || len(s.Moved) != 2 {
		t.Fatalf("%+v", s)
	}
	// A from 0.5 and B; then A from 0.6, B from 0.2, C. Rows: B to B, A to B, A to A, A to A.
	if want := [][]int{{2, 1, 0}, {0, 1, 0}}; cmp.Diff(want, s.Bands) != "" {
		t.Errorf("%v, want %v", s.Bands, want)
	}
	first := s.Moved[0]
	if first.Account != "c" || first.Row != 3 || first.BandBefore != "A" || first.BandAfter != "A" || s.Moved[1].Account != "b" {
		t.Errorf("%+v", s.Moved)
	}
	near("before", first.Before, before[2])
	near("after", first.After, after[2])
	// logins say nothing of it by either; annual adds 1 of the 1.6 from base to raw.
	if len(first.Why) != 2 || first.Why[0].Feature != "plan" || first.Why[1].Feature != "annual" || first.Why[1].Before != 0 {
		t.Fatalf("%+v", first.Why)
	}
	near("annual", first.Why[1].After, 100*(p(3)-p(1.4))/1.6)
}

func TestCompareScoresRefuses(t *testing.T) {
	in := table([]float64{0, 1}, []int32{0, 0}, []float64{0, 0})
	side := diff.Side{Scorer: version(t, encoderBefore, spec, nil), Table: in, Moments: make([]int64, 2)}
	short := side
	short.Moments = nil
	wrong := side
	wrong.Table = &datasets.Table{Columns: []datasets.Column{{Name: "logins", Kind: datasets.Boolean, Numbers: []float64{0, 1}}}}
	if _, err := diff.CompareScores(side, short, nil, 1); err == nil || !strings.Contains(err.Error(), "as many of each") {
		t.Error(err)
	}
	if _, err := diff.CompareScores(side, wrong, nil, 1); !errors.Is(err, features.ErrType) || !strings.Contains(err.Error(), "row 1") {
		t.Error(err)
	}
	none := diff.Side{Scorer: side.Scorer, Table: &datasets.Table{}, Moments: nil}
	if s, err := diff.CompareScores(none, none, nil, 5); err != nil || s.Rows != 0 || s.MeanMove != 0 || len(s.Moved) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := diff.CompareScores(side, side, nil, 5); err != nil || s.Same != 2 || len(s.Moved) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
