package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/models"
	"propensity/models/evaluate"
)

// truthOf is the true probability of every row of a finished table of the company.
func truthOf(t *testing.T, c *sample.Company, table string) []float64 {
	t.Helper()
	names, p := c.Truth.Column("table"), c.Truth.Column("probability")
	var out []float64
	for i := range c.Truth.Rows() {
		if names.At(i).String() == table {
			out = append(out, p.Numbers[i])
		}
	}
	return out
}

// The models of a simulated company come near the truth that made its outcomes.
// The truth knows what no row shows (sample.Company): for customers a hidden
// state of health, so that there the best of models stays well behind. The share
// is how much of the way in log loss from the base rate to the truth a model goes.
func TestRunRecoversTheTruth(t *testing.T) {
	company := sample.Simulate(sample.Options{Accounts: 4000, Seed: 3})
	for _, c := range []struct {
		table       *datasets.Table
		name, label string
		horizon     int
		behind      float64 // of the truth's ROC AUC, at most
		share       float64 // at least
	}{
		{company.Conversion, "conversion", "converted", 14, 0.05, 0.7},
		{company.Churn, "churn", "churned", 90, 0.12, 0.25},
	} {
		s := Spec{Name: c.name, ID: "account_id", Time: "moment", Label: c.label, Horizon: c.horizon, Value: "mrr", Seed: 1, Quick: true}
		r, err := Run(context.Background(), c.table, s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Gate.Passed || r.Artifact.Metrics.Candidate("boosting").Report.Value == nil {
			t.Errorf("%s: %+v", c.name, r.Gate)
		}
		p, scorer := reload(t, c.table, s, r)
		cut, about, err := p.parts(s.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if about.Purged == 0 || about != r.Artifact.Manifest.Split {
			t.Errorf("%s: split %+v, told %+v", c.name, about, r.Artifact.Manifest.Split)
		}
		ours, err := p.scoreBy(scorer, cut.Test)
		if err != nil {
			t.Fatal(err)
		}
		truth, label := datasets.Take(truthOf(t, company, c.name), cut.Test), datasets.Take(p.label, cut.Test)
		auc, best := evaluate.ROCAUC(label, ours), evaluate.ROCAUC(label, truth)
		loss, least := evaluate.LogLoss(label, ours), evaluate.LogLoss(label, truth)
		base := evaluate.LogLoss(label, slices.Repeat([]float64{mean(label)}, len(label)))
		t.Logf("%s: %d rows, ROC AUC %.3f of %.3f, log loss %.4f of %.4f (base %.4f), mean %.4f of %.4f", c.name, len(label), auc, best, loss, least, base, mean(ours), mean(truth))
		if auc < best-c.behind || auc > best+0.02 {
			t.Errorf("%s: ROC AUC %v, the truth's %v", c.name, auc, best)
		}
		if loss > base-c.share*(base-least) || loss < least {
			t.Errorf("%s: log loss %v, the truth's %v, of the base rate %v", c.name, loss, least, base)
		}
		if math.Abs(mean(ours)-mean(truth)) > 0.025 {
			t.Errorf("%s: mean probability %v, the truth's %v", c.name, mean(ours), mean(truth))
		}
		// The evidence in the artifact is about these very rows and probabilities.
		if told := r.Artifact.Metrics.Candidate(r.Artifact.Metrics.Chosen).Report; !near(told.LogLoss.Value, loss, 1e-9) || told.Rows != len(label) {
			t.Errorf("%s: told %v of %d rows", c.name, told.LogLoss.Value, told.Rows)
		}
	}
}

func reload(t *testing.T, table *datasets.Table, s Spec, r *Result) (*prepared, *models.Scorer) {
	t.Helper()
	scorer, err := models.NewScorer(r.Files)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prepare(inMemory{table}, s.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return p, scorer
}

// relabelled is a table with other labels in column y.
func relabelled(table *datasets.Table, change func(y []float64)) *datasets.Table {
	out := &datasets.Table{Columns: slices.Clone(table.Columns)}
	y := slices.Clone(table.Column("y").Numbers)
	change(y)
	for i := range out.Columns {
		if out.Columns[i].Name == "y" {
			out.Columns[i].Numbers = y
		}
	}
	return out
}

var mSpec = Spec{Name: "m", ID: "who", Label: "y", Seed: 1, Quick: true}

// Labels dealt anew have nothing to do with the columns: the gate says no.
func TestRunRefusesNoise(t *testing.T) {
	for seed := range uint64(3) {
		noise := relabelled(known(800, 5), func(y []float64) {
			rng := rand.New(rand.NewPCG(seed, 1))
			rng.Shuffle(len(y), func(i, j int) { y[i], y[j] = y[j], y[i] })
		})
		r, err := Run(context.Background(), noise, mSpec, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Gate.Passed {
			t.Errorf("seed %d: %+v", seed, r.Gate)
		}
	}
}

func TestRunIsRepeatable(t *testing.T) {
	table := known(600, 5)
	first, err := Run(context.Background(), table, mSpec, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for n := 1; n <= 3; n += 2 {
		runtime.GOMAXPROCS(n)
		again, err := Run(context.Background(), table, mSpec, nil, func(string, int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range first.Files {
			if !bytes.Equal(b, again.Files[name]) {
				t.Errorf("%s differs with %d processors", name, n)
			}
		}
	}
}

// A champion gives the bands and is compared; what the artifact holds of it is
// only the bands.
func TestRunAgainstChampion(t *testing.T) {
	s := mSpec
	s.Learners = logisticOnly
	table := known(1500, 5)
	champion := championOf(t, table, s)
	var from []float64
	for _, b := range champion.Scorer.Artifact().Manifest.Bands {
		from = append(from, b.From)
	}
	r, err := Run(context.Background(), known(1700, 5), s, champion, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Gate.Checks); n != 3 || !r.Gate.Passed || len(r.Artifact.Metrics.Gate.Checks) != 2 {
		t.Errorf("%+v", r.Gate)
	}
	var got []float64
	for _, b := range r.Artifact.Manifest.Bands {
		got = append(got, b.From)
	}
	if !slices.Equal(got, from) {
		t.Errorf("bands %v, the champion's %v", got, from)
	}
	s.Rebands = true
	if r, err = Run(context.Background(), known(1700, 5), s, champion, nil); err != nil || r.Artifact.Manifest.Bands[0].From == from[0] {
		t.Errorf("bands were not cut anew: %+v, %v", r.Artifact.Manifest.Bands, err)
	}
	s.Rebands, s.Bands = false, []float64{0.6, 0.2, 0}
	if r, err = Run(context.Background(), table, s, champion, nil); err != nil || len(r.Artifact.Manifest.Bands) != 3 || r.Artifact.Manifest.Bands[1].From != 0.2 {
		t.Errorf("bands of the spec: %+v, %v", r.Artifact.Manifest.Bands, err)
	}
}

// Fitted again, the model has learnt from the rows that judged it; the figures
// are still those of the judged one.
func TestRunRefit(t *testing.T) {
	table, s := known(700, 5), mSpec
	s.Learners = logisticOnly
	judged, err := Run(context.Background(), table, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Refit = true
	again, err := Run(context.Background(), table, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := judged.Artifact, again.Artifact
	if a.Metrics.Candidates[0].Report.LogLoss != b.Metrics.Candidates[0].Report.LogLoss {
		t.Error("the figures are not those of the judged model")
	}
	if !b.Manifest.Split.Refit || a.Manifest.Split.Refit || bytes.Equal(judged.Files[models.ModelFile], again.Files[models.ModelFile]) {
		t.Error("nothing was fitted again")
	}
	if a.Encoder.Columns[0].Rows >= 700 || b.Encoder.Columns[0].Rows != 700 || !strings.Contains(strings.Join(b.Manifest.Notes, " "), "fitted again on all rows") {
		t.Errorf("encoder of %d rows, notes %q", b.Encoder.Columns[0].Rows, b.Manifest.Notes)
	}
}

// With few positives a model is made, and it is said how far to trust it.
func TestRunFewPositives(t *testing.T) {
	few := relabelled(known(400, 5), func(y []float64) {
		left := 30
		for i := range y {
			if y[i] == 1 {
				if left--; left < 0 {
					y[i] = 0
				}
			}
		}
	})
	r, err := Run(context.Background(), few, mSpec, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(r.Artifact.Manifest.Notes, "\n"), "only 30 positives") || !bytes.Contains(r.Artifact.Card, []byte("Only 30 positives")) {
		t.Errorf("notes %q", r.Artifact.Manifest.Notes)
	}
}

// Too little to learn from is an error that says so, at every size.
func TestRunTooLittle(t *testing.T) {
	for _, positives := range []int{1, 2, 3, 4} {
		for _, rows := range []int{2, 5, 12, 40} {
			tiny := relabelled(known(rows, 5), func(y []float64) {
				for i := range y {
					if y[i] = 0; i < positives {
						y[i] = 1
					}
				}
			})
			r, err := Run(context.Background(), tiny, mSpec, nil, nil)
			if err == nil {
				if notes := strings.Join(r.Artifact.Manifest.Notes, " "); !strings.Contains(notes, fmt.Sprintf("only %d positives", positives)) || r.Gate.Passed && rows < 40 {
					t.Errorf("%d positives of %d: passed %v, notes %q", positives, rows, r.Gate.Passed, notes)
				}
				continue
			}
			if !errors.Is(err, ErrTable) && !errors.Is(err, ErrLabel) {
				t.Errorf("%d positives of %d: %v", positives, rows, err)
			}
		}
	}
}

func TestRunLeavesOut(t *testing.T) {
	table := known(300, 5)
	n := table.Rows()
	unique, gone := make([]string, n), make([]float64, n)
	for i := range n {
		unique[i], gone[i] = fmt.Sprintf("u%d", i), math.NaN()
	}
	table.Columns = append(table.Columns, numbers("constant", slices.Repeat([]float64{7}, n)...), categories("unique", unique...),
		numbers("gone", gone...), numbers("leak", table.Column("y").Numbers...), ids("note", unique...))
	r, err := Run(context.Background(), table, mSpec, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, l := range r.Artifact.Manifest.LeftOut {
		said[l.Column] = l.Reason
	}
	for column, word := range map[string]string{"constant": "7 in every", "unique": "like an id", "gone": "missing in every", "leak": "copy of the label", "note": "text"} {
		if !strings.Contains(said[column], word) {
			t.Errorf("%s: %q", column, said[column])
		}
	}
	only := tableOf(table.Columns[0], *table.Column("y"), *table.Column("constant"))
	_, err = Run(context.Background(), only, mSpec, nil, nil)
	says(t, err, ErrTable, "no column is left", `"constant"`)
}

// A run that is interrupted ends within a second, at whatever stage, and gives nothing.
func TestRunStops(t *testing.T) {
	table, s := drifting(40, 16, 5, always(1), always(0)), Spec{Name: "m", ID: "who", Time: "when", Label: "y", Seed: 1}
	s.Refit, s.Surrogate, s.Learners, s.Backtest, s.Boosting.Trees = true, true, LearnerNames(), 2, 20
	type place struct {
		stage string
		done  int
	}
	var places []place
	if _, err := Run(context.Background(), table, s, nil, func(stage string, done, _ int) { places = append(places, place{stage, done}) }); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, p := range places {
		if seen[p.stage]++; seen[p.stage] > 1 { // the first of each stage
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		var from time.Time
		r, err := Run(ctx, table, s, nil, func(stage string, done, _ int) {
			if stage == p.stage && done == p.done && from.IsZero() {
				from = time.Now()
				cancel()
			}
		})
		cancel()
		if p.stage == "surrogate" && p.done == 1 { // the last word: nothing is left to stop
			continue
		}
		if !errors.Is(err, context.Canceled) || r != nil {
			t.Errorf("%s %d: %v", p.stage, p.done, err)
		}
		if took := time.Since(from); took > time.Second {
			t.Errorf("%s %d: stopped after %v", p.stage, p.done, took)
		}
	}
	for _, stage := range append([]string{"prepare", "leaks", "backtest", "what it learnt", "surrogate", "refit"}, s.Learners...) {
		if seen[stage] == 0 {
			t.Errorf("stage %s was never told", stage)
		}
	}
}
