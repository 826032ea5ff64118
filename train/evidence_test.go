package train

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/tree"
	regression "propensity/train/logistic"
	cards "propensity/train/scorecard"
)

func run1(t *testing.T, table *datasets.Table, s Spec) *Result {
	t.Helper()
	r, err := Run(context.Background(), table, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// leaky is known with a copy of the label under a harmless name, a trap by its
// name and a column that nearly gives the label away.
func leaky(accounts int, seed uint64) *datasets.Table {
	table := known(accounts, seed)
	y := table.Column("y").Numbers
	copied, named, near := make([]string, accounts), make([]float64, accounts), make([]float64, accounts)
	for i := range y {
		copied[i] = map[float64]string{1: "won", 0: "open"}[y[i]]
		named[i], near[i] = float64(i%3), y[i]*3+math.Mod(float64(i)*0.6180339887, 4)
	}
	table.Columns = append(table.Columns, categories("stage", copied...), numbers("days_since_cancel", named...), numbers("near", near...))
	return table
}

// Proven leaks are left out and told, suspects learnt from and told; a verdict that
// the spec overrules is recorded with its reason.
func TestCourt(t *testing.T) {
	table := leaky(2000, 5)
	r := run1(t, table, mSpec)
	verdicts := map[string]models.Leak{}
	for _, l := range r.Artifact.Metrics.Leaks {
		verdicts[l.Column] = l
	}
	for column, want := range map[string]string{"stage": models.LeakProven, "days_since_cancel": models.LeakProven, "near": models.LeakSuspect} {
		l := verdicts[column]
		used := r.Artifact.Encoder.Find(column) >= 0
		if l.Verdict != want || l.Kept != (want == models.LeakSuspect) || used != l.Kept || len(l.Evidence) == 0 {
			t.Errorf("%s: %+v, learnt from %t", column, l, used)
		}
	}
	if len(verdicts) != 3 {
		t.Errorf("%d columns are named: %+v", len(verdicts), r.Artifact.Metrics.Leaks)
	}
	if notes := strings.Join(r.Artifact.Manifest.Notes, "\n"); !strings.Contains(notes, "may know the outcome and are learnt from all the same: near") {
		t.Errorf("notes %q", notes)
	}
	for _, text := range []string{string(r.Artifact.Card), string(r.Artifact.Report)} {
		for column := range verdicts {
			if !strings.Contains(text, column) {
				t.Errorf("%s is not told", column)
			}
		}
	}
	s := mSpec
	s.Leaks = map[string]string{"days_since_cancel": "of an earlier contract", "stage": "for the sake of the test"}
	s.Learners = []string{boosting}
	r = run1(t, table, s)
	for column, reason := range s.Leaks {
		i := slices.IndexFunc(r.Artifact.Metrics.Leaks, func(l models.Leak) bool { return l.Column == column })
		if i < 0 || !r.Artifact.Metrics.Leaks[i].Kept || r.Artifact.Metrics.Leaks[i].Cleared != reason || r.Artifact.Encoder.Find(column) < 0 {
			t.Errorf("%s was cleared: %+v", column, r.Artifact.Metrics.Leaks)
		}
	}
}

// Weights of whole numbers are as many equal rows, to a logistic regression.
func TestWeights(t *testing.T) {
	table := known(900, 5)
	weight := make([]float64, 900)
	var repeated []int
	for i := range weight {
		weight[i] = float64(1 + i%3)
		for range 1 + i%3 {
			repeated = append(repeated, i)
		}
	}
	weighed := tableOf(append(slices.Clone(table.Columns), numbers("w", weight...))...)
	s := mSpec
	s.Weight = "w"
	p, s := prepared1(t, weighed, s)
	_, e := encodeAll(t, p)
	if e.encoder.Find("w") >= 0 {
		t.Fatal("the weight is learnt from")
	}
	again, _ := prepared1(t, table.Take(repeated), mSpec)
	_, f := encodeAll(t, again)
	one, err := fitLearner(context.Background(), logistic, e, foldSet{rounds: datasets.FoldsOf(datasets.FoldsRule(p.label, 3), 3)}, s, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	two, err := fitLearner(context.Background(), logistic, f, foldSet{rounds: datasets.FoldsOf(datasets.FoldsRule(again.label, 3), 3)}, s, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	a, b := one.model.(*models.Linear), two.model.(*models.Linear)
	x := []float64{0.3, -1, 1}
	if math.Abs(a.Raw(x)-b.Raw(x)) > 1e-6 {
		t.Errorf("%v by weights, %v by rows", a.Raw(x), b.Raw(x))
	}
	for _, bad := range []struct {
		w     float64
		words string
	}{{-1, "is -1"}, {0, "is 0"}, {math.NaN(), "is missing"}, {math.Inf(1), "row 8"}} {
		w := slices.Clone(weight)
		w[7] = bad.w
		_, err := Run(context.Background(), tableOf(append(slices.Clone(table.Columns), numbers("w", w...))...), s, nil, nil)
		says(t, err, ErrTable, `"w", row 8`, bad.words)
	}
}

// What a model must not do it does not: fall where it is to rise, or let columns
// act together that are to act alone.
func TestConstraints(t *testing.T) {
	table := known(2500, 5)
	s := mSpec
	s.Quick, s.Learners, s.Monotone = false, []string{boosting}, map[string]string{"x": falling, "noise": rising}
	m := run1(t, table, s).Artifact
	at := func(x, noise float64) float64 { return m.Model.Raw([]float64{x, noise, 1}) }
	for k := -30; k < 30; k++ {
		x := float64(k) / 10
		if at(x, 0) < at(x+0.1, 0) || at(0, x) > at(0, x+0.1) {
			t.Fatalf("at %v the order is broken", x)
		}
	}
	s = mSpec
	s.Learners, s.Together = []string{boosting}, [][]string{{"noise", "plan"}}
	for _, together := range pathsOf(run1(t, table, s).Artifact.Model.(*tree.Ensemble)) {
		if together[0] && (together[1] || together[2]) {
			t.Fatal("x acts together with another column")
		}
	}
	s.Together, s.Learners = nil, []string{additive}
	if _, _, err := run1(t, table, s).Artifact.Model.(*tree.Ensemble).Shapes(); err != nil {
		t.Error(err)
	}
	s = mSpec
	s.Learners, s.Monotone = []string{boosting}, map[string]string{"plan": rising}
	_, err := Run(context.Background(), table, s, nil, nil)
	says(t, err, ErrSpec, "plan")
}

// pathsOf are the features that each tree asks about.
func pathsOf(e *tree.Ensemble) (out []map[int]bool) {
	t := e.Table()
	number, feature := t.Column("tree").Numbers, t.Column("feature").Numbers
	for i := range number {
		if number[i] < 0 {
			continue
		}
		for len(out) <= int(number[i]) {
			out = append(out, map[int]bool{})
		}
		if !math.IsNaN(feature[i]) {
			out[int(number[i])][int(feature[i])] = true
		}
	}
	return out
}

// Working so many accounts from the top: counted by hand from the scores.
func TestCapacity(t *testing.T) {
	s := mSpec
	s.Capacity, s.Learners = 100, []string{logistic}
	table := known(1000, 5)
	r := run1(t, table, s)
	c := r.Artifact.Metrics.Capacity
	if len(c) != 1 || c[0].Accounts != 100 || c[0].Of != 1000 {
		t.Fatalf("%+v", c)
	}
	p, scorer := reload(t, table, s, r)
	cut, _, err := p.parts(s.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	m := p.encodeRows(scorer.Encoder(), cut.Test)
	dense, err := m.Dense()
	if err != nil {
		t.Fatal(err)
	}
	_, probability := scorer.ScoreColumns(dense.Columns, dense.Rows())
	rows, hits := 0, 0
	for i, q := range probability {
		if q >= c[0].From {
			rows, hits = rows+1, hits+int(dense.Label[i])
		}
	}
	if want := int(math.Round(float64(len(cut.Test)) / 10)); rows != want || math.Abs(c[0].Precision.Value-float64(hits)/float64(rows)) > 1e-12 ||
		math.Abs(c[0].CapturedPositives-float64(hits)/float64(positives(dense.Label))) > 1e-12 {
		t.Errorf("%+v; by hand %d rows (want %d), %d positive", c[0], rows, want, hits)
	}
}

// Everything that a version is asked for is there, and a card has points that lead
// back to the same model when they are learnt from again.
func TestEvidence(t *testing.T) {
	table := known(3000, 5)
	s := mSpec
	s.Quick, s.Learners, s.Surrogate = false, []string{logistic}, true
	e := run1(t, table, s).Artifact.Metrics
	if e.Learnt == nil || e.Learnt.Drivers[0].Question != "x" || !e.Learnt.Drivers[0].Worth || len(e.Learnt.Effects) != 1 || e.Learnt.Effects[0].Level != "pro" || e.Learnt.Stability == nil {
		t.Errorf("learnt %+v", e.Learnt)
	}
	if e.Surrogate == nil || e.Surrogate.Fidelity < 0.5 || len(e.Segments) != 3 || e.Shift == nil || e.Shift.Moved {
		t.Errorf("surrogate %+v, segments %+v, shift %+v", e.Surrogate, e.Segments, e.Shift)
	}
	for _, c := range e.Coefficients {
		if c.Feature == "x" && !(c.Low < 1.6 && c.High > 1.6 && c.Low > 1) {
			t.Errorf("x is 1.6 in truth: %+v", c) // its standard deviation is 1
		}
	}
	if len(e.Coefficients) < 6 {
		t.Errorf("%d coefficients", len(e.Coefficients))
	}
	s.Learners, s.Surrogate = []string{scorecard}, false
	one := run1(t, table, s)
	card := one.Artifact.Metrics.Scorecard
	if card == nil || len(card.Rows) < 6 || !strings.HasPrefix(card.Table, "feature,kind,from,to") {
		t.Fatalf("%+v", card)
	}
	s.Scorecard.Table = readCard(t, card.Table)
	two := run1(t, table, s)
	x := []float64{0.4, 0, 2}
	if a, b := one.Artifact.Model.Raw(x), two.Artifact.Model.Raw(x); a != b {
		t.Errorf("%v, by its own table %v", a, b)
	}
}

// Questions gather what several columns of one source tell.
func TestQuestions(t *testing.T) {
	s := mSpec
	s.Quick, s.Learners, s.Questions = false, []string{logistic}, map[string][]string{"form": {"noise", "plan"}}
	drivers := run1(t, known(2000, 5), s).Artifact.Metrics.Learnt.Drivers
	if len(drivers) != 2 || drivers[1].Question != "form" || !slices.Equal(drivers[1].Features, []string{"noise", "plan"}) {
		t.Errorf("%+v", drivers)
	}
}

func readCard(t *testing.T, text string) cards.Table {
	t.Helper()
	table, err := cards.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Without a penalty the coefficients have standard errors, and columns that
// separate the outcomes are named.
func TestPenalty(t *testing.T) {
	s := mSpec
	s.Quick, s.Learners, s.Penalty = false, []string{logistic}, "none"
	table := known(1500, 5)
	e := run1(t, table, s).Artifact.Metrics
	for _, c := range e.Coefficients {
		if c.SE == nil || !(*c.SE > 0) || c.Feature == "x" && math.Abs(c.Estimate-1.6) > 4**c.SE {
			t.Errorf("%+v", c)
		}
	}
	if len(e.Coefficients) < 5 {
		t.Errorf("%d coefficients", len(e.Coefficients))
	}
	y, sure := table.Column("y").Numbers, make([]string, table.Rows())
	for i := range sure { // in every row of one level there is the outcome
		sure[i] = []string{"calm", "busy"}[i%2]
		if y[i] == 1 && i%5 == 0 {
			sure[i] = "gone"
		}
	}
	table.Columns = append(table.Columns, categories("state", sure...))
	s.Leaks = map[string]string{"state": "for the sake of the test"}
	_, err := Run(context.Background(), table, s, nil, nil)
	says(t, err, regression.ErrNoOptimum, `"state"`, `"gone"`, "penalty")
}

// What would be ignored is refused or told.
func TestNothingIsIgnored(t *testing.T) {
	for words, change := range map[string]func(s *Spec){
		"is for the learner scorecard": func(s *Spec) { s.Scorecard.Prior = "churn" },
		"a backtest follows time":      func(s *Spec) { s.Backtest = 3 },
		"neither none nor a number":    func(s *Spec) { s.Penalty = "some" },
		"penalty is of the learner":    func(s *Spec) { s.Penalty, s.Learners = "none", []string{boosting} },
		"together is for the learner":  func(s *Spec) { s.Together, s.Learners = [][]string{{"x", "noise"}}, []string{logistic} },
		"monotone is for the learners": func(s *Spec) { s.Monotone, s.Learners = map[string]string{"x": rising}, []string{logistic} },
		"say why column":               func(s *Spec) { s.Leaks = map[string]string{"x": " "} },
		`"x" is "up"`:                  func(s *Spec) { s.Monotone = map[string]string{"x": "up"} },
		"is of \"a\" and of \"b\"":     func(s *Spec) { s.Questions = map[string][]string{"a": {"x"}, "b": {"x"}} },
		"prior 2 is not":               func(s *Spec) { s.Prior = 2 },
		"capacity -1 is negative":      func(s *Spec) { s.Capacity = -1 },
	} {
		s := mSpec
		change(&s)
		says(t, s.Validate(), ErrSpec, words)
	}
	s := mSpec
	s.Monotone = map[string]string{"x": rising}
	r := run1(t, known(1500, 5), s)
	told := strings.Contains(strings.Join(r.Artifact.Manifest.Notes, "\n"), "monotone and together bind")
	if r.Artifact.Manifest.Learner != logistic || !told {
		t.Errorf("%s was chosen, notes %q", r.Artifact.Manifest.Learner, r.Artifact.Manifest.Notes)
	}
	s = mSpec
	s.Learners, s.Leaks = []string{boosting}, map[string]string{"days_since_cancel": "of an earlier contract"}
	notes := strings.Join(run1(t, leaky(1500, 5), s).Artifact.Manifest.Notes, "\n")
	if !strings.Contains(notes, "days_since_cancel may know the outcome") || !strings.Contains(notes, "learnt from because: of an earlier contract") {
		t.Errorf("notes %q", notes)
	}
}
