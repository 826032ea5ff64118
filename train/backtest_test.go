package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
)

// drifting is a table of so many moments, a day apart, some rows each. The log-odds
// are strength(moment) x + level(moment).
func drifting(moments, rows int, seed uint64, strength, level func(day int) float64) *datasets.Table {
	rng := rand.New(rand.NewPCG(seed, 1))
	who := datasets.Column{Name: "who", Kind: datasets.Text}
	when, x, y := datasets.Column{Name: "when", Kind: datasets.Time}, []float64{}, []float64{}
	for day := range moments {
		for k := range rows {
			who.Values, who.Codes = append(who.Values, fmt.Sprintf("a%d-%d", day, k)), append(who.Codes, int32(len(who.Values)))
			when.Times = append(when.Times, int64(day)*24*60*60*1e6)
			x = append(x, rng.NormFloat64())
			label := 0.0
			if rng.Float64() < 1/(1+math.Exp(-strength(day)*x[len(x)-1]-level(day))) {
				label = 1
			}
			y = append(y, label)
		}
	}
	for k := range who.Codes {
		who.Codes[k] = int32(k)
	}
	return tableOf(who, when, numbers("x", x...), numbers("noise", slices.Repeat([]float64{1, 2, 3, 4}, len(x)/4)...), numbers("y", y...))
}

func always(v float64) func(int) float64 { return func(int) float64 { return v } }

// No row that a window learns from has a horizon that reaches into it, no row
// judges twice, and what follows the split is not looked at.
func TestWindows(t *testing.T) {
	for _, s := range []Spec{{ID: "who", Time: "when", Horizon: 3}, {ID: "who", Time: "when"}, {ID: "who", Split: SplitOrder}} {
		p, s := prepared1(t, drifting(60, 40, 3, always(1), always(0)), s)
		cut, _, err := p.parts(s)
		if err != nil {
			t.Fatal(err)
		}
		windows, notes := p.windows(cut.Train, 6)
		if len(windows) != 6 || len(notes) > 0 {
			t.Fatalf("%s: %d windows, %q", s.Split, len(windows), notes)
		}
		judged := map[int]bool{}
		for k, w := range windows {
			if len(w.train)+len(w.test)+w.purged == 0 || len(w.train) == 0 {
				t.Fatalf("%s: window %d of %d and %d rows", s.Split, k, len(w.train), len(w.test))
			}
			first := int64(math.MaxInt64)
			for _, i := range w.test {
				if judged[i] || !slices.Contains(cut.Train, i) {
					t.Fatalf("%s: row %d judges twice, or is not of the rows to learn from", s.Split, i)
				}
				judged[i] = true
				first = min(first, p.moments0(i))
			}
			for _, i := range w.train {
				if p.moments0(i)+p.horizon > first {
					t.Fatalf("%s: window %d learns from row %d, whose horizon reaches into it", s.Split, k, i)
				}
			}
			if s.Horizon > 0 && w.purged == 0 {
				t.Errorf("window %d purges nothing", k)
			}
		}
	}
}

// moments0 is the moment of a row, or its place.
func (p *prepared) moments0(i int) int64 {
	if p.moments == nil {
		return int64(p.place(i))
	}
	return p.moments[i]
}

// A world that stands still gives no warning; one whose base rate or ranking
// moved before the newest window gives one. The last window is the judging one.
func TestBacktestWarns(t *testing.T) {
	for _, c := range []struct {
		name            string
		strength, level func(int) float64
		words           string
	}{
		{"still", always(1.5), always(-1), ""},
		{"base rate", always(1.5), func(day int) float64 { return -3 + float64(day)/20 }, "the base rate went from"},
		{"ranking", func(day int) float64 { return 2 - float64(day)/20 }, always(-1), "logistic ranked unsteadily before the newest window"},
	} {
		r, err := Run(context.Background(), drifting(60, 60, 5, c.strength, c.level), Spec{Name: "m", ID: "who", Time: "when", Label: "y", Learners: []string{logistic}, Seed: 1}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := r.Artifact.Metrics.Backtest
		if b == nil || len(b.Windows) != 7 {
			t.Fatalf("%s: %+v", c.name, b)
		}
		last, report := b.Windows[6], r.Artifact.Metrics.Candidates[0].Report
		if last.Scores[0].ROCAUC != report.ROCAUC || last.Judged != report.Rows || last.From != "2000-02-18" && !strings.HasPrefix(last.From, "1970-02-18") {
			t.Errorf("%s: the last window %+v is not the one that judged", c.name, last)
		}
		text := strings.Join(r.Artifact.Manifest.Notes, "\n")
		said := strings.Contains(text, "unsteadily") || strings.Contains(text, "stand still")
		if said != (c.words != "") || !strings.Contains(text, c.words) {
			t.Errorf("%s: %q", c.name, text)
		}
	}
}

func TestBacktestOnlyInTime(t *testing.T) {
	for _, c := range []struct {
		change  func(s *Spec)
		windows int
	}{
		{func(s *Spec) { s.Split = SplitGroup }, 0},
		{func(s *Spec) { s.Backtest = -1 }, 0},
		{func(s *Spec) { s.Backtest = 3 }, 4},
	} {
		s := Spec{Name: "m", ID: "who", Time: "when", Label: "y", Learners: []string{logistic}, Seed: 1}
		c.change(&s)
		r, err := Run(context.Background(), drifting(30, 40, 5, always(1), always(0)), s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if b := r.Artifact.Metrics.Backtest; b != nil {
			n = len(b.Windows)
		}
		if n != c.windows {
			t.Errorf("%+v: %d windows, want %d", s, n, c.windows)
		}
	}
}

// On the bank's table in file order, which is that of time, the base rate goes
// from 6 % to 31 % and the ranking of learners turns round: the windows before the
// newest show that it will not stand still, the simpler learner is chosen and does
// better there, and the length of the call is left out.
func TestBankInOrder(t *testing.T) {
	dir := os.Getenv("PROPENSITY_SHARED")
	if dir == "" {
		t.Skip("PROPENSITY_SHARED does not name the public tables")
	}
	dir = filepath.Join(dir, "data", "bank_additional")
	b, err := os.ReadFile(filepath.Join(dir, "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := ParseSchema(b)
	if err != nil {
		t.Fatal(err)
	}
	table, s, err := schema.Read(filepath.Join(dir, "table.csv"), "with_duration", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Split = SplitOrder
	r := run1(t, table, s)
	e := r.Artifact.Metrics
	simple, trees := e.Candidate(logistic).Report.ROCAUC.Value, e.Candidate(boosting).Report.ROCAUC.Value
	if e.Chosen != logistic || !r.Gate.Passed || simple < 0.74 || simple < trees {
		t.Errorf("chosen %s: ROC AUC %.3f, boosting %.3f", e.Chosen, simple, trees)
	}
	if !e.Shift.Moved || e.Shift.Trained.Value > 0.07 || e.Shift.Judged.Value < 0.30 {
		t.Errorf("%+v", e.Shift)
	}
	warned := strings.Join(unsteady(e.Backtest), "\n")
	for _, words := range []string{"the base rate went from", "logistic ranked unsteadily", "boosting ranked unsteadily", "no learner was best in all"} {
		if !strings.Contains(warned, words) {
			t.Errorf("no %q in %s", words, warned)
		}
	}
	for _, words := range []string{"The base rate rose", "not steady over time"} {
		if !bytes.Contains(r.Artifact.Report, []byte(words)) {
			t.Errorf("the report does not warn: %s", words)
		}
	}
	if len(r.Artifact.Manifest.LeftOut) != 1 || r.Artifact.Manifest.LeftOut[0].Column != "duration" {
		t.Errorf("left out %+v", r.Artifact.Manifest.LeftOut)
	}
}
