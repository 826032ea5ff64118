package monitor

import (
	"flag"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"propensity/datasets"
)

var long = flag.Bool("long", false, "simulate for minutes")

// Rows of the very company that was learnt from raise no alarm, however few or many: of
// all runs, at most the share Level may.
func TestNothingMovedRaisesNoAlarm(t *testing.T) {
	w := &world{numbers: 29} // 35 columns
	runs, alarms := 0, 0
	sizes := []struct{ rows, times int }{{10, 100}, {35, 80}, {100, 30}, {1000, 5}, {10_000, 1}}
	if *long {
		sizes = []struct{ rows, times int }{{10, 2000}, {35, 2000}, {100, 1000}, {300, 300}, {1000, 100}, {10_000, 20}, {100_000, 3}}
	}
	for seed, base := range []int{300, 10_000} {
		scorer := w.scorer(t, base, uint64(seed+1))
		s := NewShape("churn", 1, scorer)
		for _, c := range sizes {
			for k := range c.times {
				rng := rand.New(rand.NewPCG(uint64(seed), uint64(1000*c.rows+k)))
				counts := w.count(t, scorer, s, c.rows, rng)
				r := s.Judge(counts, Span{}, nil)
				runs++
				for _, col := range r.Columns {
					if col.Drifted {
						alarms++
						t.Logf("%d rows against %d: %s", c.rows, base, findings(r))
						break
					}
				}
				if r.Verdict != Fine && r.Verdict != Wait {
					t.Errorf("%d rows against %d: %s", c.rows, base, findings(r))
				}
			}
		}
	}
	t.Logf("%d alarms in %d runs", alarms, runs)
	if float64(alarms) > Level*float64(runs) {
		t.Errorf("%d of %d runs raised an alarm", alarms, runs)
	}
}

// Planted faults are found, and the column and the cause are named.
func TestPlantedDriftIsFound(t *testing.T) {
	missing := datasets.Value{}
	for _, c := range []struct {
		name            string
		rows            int
		change          func(row map[string]datasets.Value, rng *rand.Rand)
		verdict         string
		column, cause   string
		says            string
		alone, harmless bool
	}{
		{name: "logins are gone", rows: 35, verdict: FixPipe, column: "logins", cause: CauseMissing, says: "100.0 % of values are missing", alone: true,
			change: func(row map[string]datasets.Value, _ *rand.Rand) { row["logins"] = missing }},
		{name: "a third of logins are gone", rows: 500, verdict: FixPipe, column: "logins", cause: CauseMissing, says: "missing", alone: true,
			change: func(row map[string]datasets.Value, rng *rand.Rand) {
				if rng.IntN(3) == 0 {
					row["logins"] = missing
				}
			}},
		{name: "a plan has a new name", rows: 200, verdict: FixPipe, column: "plan", cause: CauseUnseen, says: "unseen", alone: true,
			change: func(row map[string]datasets.Value, _ *rand.Rand) {
				if row["plan"].Text == "pro" {
					row["plan"] = text("Pro")
				}
			}},
		{name: "plans are empty", rows: 200, verdict: FixPipe, column: "plan", cause: CauseEmpty, says: "empty", alone: true,
			change: func(row map[string]datasets.Value, rng *rand.Rand) {
				if rng.IntN(2) == 0 {
					row["plan"] = text("")
				}
			}},
		{name: "money in cents", rows: 300, verdict: FixPipe, column: "mrr", cause: CauseUnit, says: "100 times",
			change: func(row map[string]datasets.Value, _ *rand.Rand) { row["mrr"] = num(row["mrr"].Number * 100) }},
		{name: "money in thousands", rows: 300, verdict: FixPipe, column: "mrr", cause: CauseUnit, says: "0.001 times",
			change: func(row map[string]datasets.Value, _ *rand.Rand) { row["mrr"] = num(row["mrr"].Number / 1000) }},
		{name: "logins a day", rows: 2000, verdict: FixPipe, column: "logins", cause: CauseUnit, says: "times",
			change: func(row map[string]datasets.Value, _ *rand.Rand) { row["logins"] = num(row["logins"].Number / 7) }},
		{name: "seats are constant", rows: 300, verdict: FixPipe, column: "seats", cause: CauseConstant, says: "nearly all values",
			change: func(row map[string]datasets.Value, _ *rand.Rand) { row["seats"] = num(1) }},
		{name: "fewer logins", rows: 1000, verdict: Retrain, column: "logins", cause: CauseShifted, says: "logins: ",
			change: func(row map[string]datasets.Value, _ *rand.Rand) {
				row["logins"] = num(math.Floor(row["logins"].Number * 0.45))
			}},
		{name: "what does not weigh", rows: 3000, verdict: Fine, column: "x0", cause: CauseShifted, harmless: true,
			change: func(row map[string]datasets.Value, _ *rand.Rand) { row["x0"] = num(row["x0"].Number*1.2 + 0.6) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{numbers: 29}
			scorer := w.scorer(t, 3000, 1)
			s := NewShape("churn", 1, scorer)
			w.change = c.change
			r := s.Judge(w.count(t, scorer, s, c.rows, rand.New(rand.NewPCG(1, 1))), Span{}, nil)
			if r.Verdict != c.verdict {
				t.Errorf("verdict %s", findings(r))
			}
			for _, col := range r.Columns {
				if col.Drifted && (col.Name != c.column || col.Cause != c.cause) {
					t.Errorf("%s drifted too: %s", col.Name, col.Detail)
				}
				if col.Name == c.column && (!col.Drifted || col.Matters == c.harmless) {
					t.Errorf("not found: %+v", col)
				}
			}
			if c.harmless {
				return
			}
			if len(r.Findings) == 0 || r.Findings[0].Column != c.column || r.Findings[0].Cause != c.cause || !strings.Contains(r.Findings[0].Detail, c.says) {
				t.Errorf("%s", findings(r))
			}
		})
	}
}

// What the model adds is known exactly for a linear model: the consequence is that.
func TestConsequenceIsTheShiftOfTheMean(t *testing.T) {
	w := &world{numbers: 3}
	scorer := w.scorer(t, 5000, 1)
	s := NewShape("churn", 1, scorer)
	before := s.Judge(w.count(t, scorer, s, 20_000, rand.New(rand.NewPCG(2, 2))), Span{}, nil)
	w.change = func(row map[string]datasets.Value, rng *rand.Rand) {
		if rng.IntN(3) == 0 {
			row["plan"] = text("team")
		}
	}
	after := s.Judge(w.count(t, scorer, s, 20_000, rand.New(rand.NewPCG(2, 2))), Span{}, nil)
	want := after.Answers.MeanProbability - before.Answers.MeanProbability
	for j, c := range after.Columns {
		if c.Name != "plan" {
			continue
		}
		if got := c.Consequence - before.Columns[j].Consequence; math.Abs(got-want) > 0.15*math.Abs(want) {
			t.Errorf("the mean moved by %v, plan is said to move it by %v", want, got)
		}
	}
}

// An account that is scored again and again is not many accounts.
func TestRepeatedAccountsAreNotManyRows(t *testing.T) {
	w := &world{numbers: 9}
	scorer := w.scorer(t, 3000, 1)
	s := NewShape("churn", 1, scorer)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(9, seed))
		l := NewLive(s)
		for i := range 20 {
			a := answerAt(t, w, scorer, rng)
			for range 200 {
				l.Count(a, "A-"+number(float64(i)))
			}
		}
		if r := s.Judge(l.Take(), Span{}, nil); r.Verdict != Wait {
			t.Fatalf("20 accounts, 200 times each: %s", findings(r))
		}
	}
}

// A version of before there were bins is watched by its states.
func TestVersionWithoutBins(t *testing.T) {
	w := &world{numbers: 5, noBins: true}
	scorer := w.scorer(t, 3000, 1)
	s := NewShape("churn", 1, scorer)
	if r := s.Judge(w.count(t, scorer, s, 500, rand.New(rand.NewPCG(1, 1))), Span{}, nil); r.Verdict != Fine {
		t.Errorf("%s", findings(r))
	}
	w.change = func(row map[string]datasets.Value, rng *rand.Rand) {
		if rng.IntN(4) == 0 {
			row["logins"] = datasets.Value{}
		}
	}
	r := s.Judge(w.count(t, scorer, s, 500, rand.New(rand.NewPCG(1, 1))), Span{}, nil)
	if r.Verdict != FixPipe || r.Findings[0].Column != "logins" {
		t.Errorf("%s", findings(r))
	}
}
