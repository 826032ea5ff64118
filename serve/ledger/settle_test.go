package ledger_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

func outcome(id, account string, asOf, occurred int64, positive bool) ledger.Outcome {
	return ledger.Outcome{ID: id, Model: "churn", Account: account, AsOf: asOf, Occurred: occurred, Positive: positive, Value: math.NaN()}
}

func add(t failer, l *ledger.Ledger, list ...ledger.Outcome) {
	t.Helper()
	if _, err := l.AddOutcomes(context.Background(), list); err != nil {
		t.Fatal(err)
	}
}

func scores(t testing.TB, l *ledger.Ledger, account string) []ledger.Kept {
	t.Helper()
	flush(t, l)
	list, err := l.Scores(context.Background(), account, ledger.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func label(x float64) string {
	if x != x {
		return "?"
	}
	return fmt.Sprint(x)
}

// The rule, case by case. The score is of start, its horizon 30 days.
func TestSettledByHand(t *testing.T) {
	const never = datasets.MissingTime
	end := start + 30*day
	for name, c := range map[string]struct {
		outcomes []ledger.Outcome
		complete int64
		now      int64
		want     string // label, mature, id
	}{
		"nothing":                       {now: end + day, want: "? true "},
		"nothing yet":                   {now: end - 1, want: "? false "},
		"yes of that moment":            {outcomes: []ledger.Outcome{outcome("a", "A", start, never, true)}, now: end, want: "1 true a"},
		"yes of that moment, early":     {outcomes: []ledger.Outcome{outcome("a", "A", start, start+day, true)}, now: start + 2*day, want: "1 false a"},
		"no of that moment, early":      {outcomes: []ledger.Outcome{outcome("a", "A", start, start+day, false)}, now: end - 1, want: "? false "},
		"no of that moment":             {outcomes: []ledger.Outcome{outcome("a", "A", start, never, false)}, now: end, want: "0 true a"},
		"of another moment":             {outcomes: []ledger.Outcome{outcome("a", "A", start+1, start+day, true)}, now: end, want: "? true "},
		"the newest of that moment":     {outcomes: []ledger.Outcome{outcome("a", "A", start, never, true), outcome("b", "A", start, never, false)}, now: end, want: "0 true b"},
		"that moment before all others": {outcomes: []ledger.Outcome{outcome("a", "A", start, never, false), outcome("b", "A", never, start+day, true)}, now: end, want: "0 true a"},
		"yes at the moment":             {outcomes: []ledger.Outcome{outcome("a", "A", never, start, true)}, now: end, want: "1 true a"},
		"yes before the moment":         {outcomes: []ledger.Outcome{outcome("a", "A", never, start-1, true)}, now: end, want: "? true "},
		"yes at the last instant":       {outcomes: []ledger.Outcome{outcome("a", "A", never, end-1, true)}, now: end, want: "1 true a"},
		"yes at the end":                {outcomes: []ledger.Outcome{outcome("a", "A", never, end, true)}, now: end, want: "? true "},
		"no at the end":                 {outcomes: []ledger.Outcome{outcome("a", "A", never, end, false)}, now: end, want: "0 true a"},
		"no after the end":              {outcomes: []ledger.Outcome{outcome("a", "A", never, end+1, false)}, now: end + day, want: "? true "},
		"no within, early":              {outcomes: []ledger.Outcome{outcome("a", "A", never, start+day, false)}, now: end - 1, want: "? false "},
		"no within":                     {outcomes: []ledger.Outcome{outcome("a", "A", never, start+day, false)}, now: end, want: "0 true a"},
		"no, then yes":                  {outcomes: []ledger.Outcome{outcome("a", "A", never, start+day, false), outcome("b", "A", never, start+2*day, true)}, now: end, want: "1 true b"},
		"corrected to no":               {outcomes: []ledger.Outcome{outcome("a", "A", never, start+day, true), outcome("a", "A", never, start+day, false)}, now: end, want: "0 true a"},
		"corrected to another account":  {outcomes: []ledger.Outcome{outcome("a", "A", never, start+day, true), outcome("a", "B", never, start+day, true)}, now: end, want: "? true "},
		"another account's":             {outcomes: []ledger.Outcome{outcome("a", "B", never, start+day, true)}, now: end, want: "? true "},
		"silence, complete":             {complete: end, now: end, want: "0 true "},
		"silence, not yet complete":     {complete: end - 1, now: end, want: "? true "},
	} {
		t.Run(name, func(t *testing.T) {
			now := start + 1000*day
			l := open(t, "sqlite:"+t.TempDir()+"/l.db", ledger.Options{Now: func() int64 { return now }})
			if err := l.Record(score("A", start, "B", 0.25)); err != nil {
				t.Fatal(err)
			}
			for _, o := range c.outcomes {
				add(t, l, o)
			}
			if c.complete != 0 {
				if err := l.Complete(context.Background(), "churn", c.complete); err != nil {
					t.Fatal(err)
				}
			}
			flush(t, l)
			now = c.now
			s := scores(t, l, "A")[0].Settled
			if got := fmt.Sprint(label(s.Label), " ", s.Mature, " ", s.Outcome); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// Scores and outcomes at random, settled by the ledger and by the words of its
// documentation, taken one after the other.
func TestSettledAsItsTwin(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, address string) {
		now := start
		l := open(t, address, ledger.Options{Now: func() int64 { return now }})
		round := 0
		rapid.Check(t, func(t *rapid.T) {
			round++
			model := fmt.Sprint("m", round)
			accounts := []string{"A", "B"}
			moment := rapid.Int64Range(0, 9)
			var given []ledger.Score
			for range rapid.IntRange(1, 4).Draw(t, "scores") {
				s := *score(rapid.SampledFrom(accounts).Draw(t, "account"), start+moment.Draw(t, "as_of"), "A", 0.5)
				s.Model, s.Version, s.Horizon = model, int(rapid.Int64Range(1, 2).Draw(t, "version")), 4
				if s.Version == 2 {
					s.Horizon = 0
				}
				given = append(given, s)
				if err := l.Record(&s); err != nil {
					t.Fatal(err)
				}
			}
			now = start + 100
			var reported []ledger.Outcome
			for range rapid.IntRange(0, 6).Draw(t, "outcomes") {
				o := outcome(rapid.SampledFrom([]string{"x", "y", "z", "w"}).Draw(t, "id"), rapid.SampledFrom(accounts).Draw(t, "account"),
					datasets.MissingTime, start+rapid.Int64Range(0, 14).Draw(t, "occurred"), rapid.Bool().Draw(t, "positive"))
				o.Model = model
				if rapid.Bool().Draw(t, "exact") {
					o.AsOf = start + moment.Draw(t, "of")
				}
				reported = append(reported, o)
			}
			add(t, l, reported...)
			complete := int64(math.MinInt64)
			if rapid.Bool().Draw(t, "completed") {
				complete = start + rapid.Int64Range(0, 14).Draw(t, "complete")
				if err := l.Complete(context.Background(), model, complete); err != nil {
					t.Fatal(err)
				}
			}
			flush(t, l)
			now = start + rapid.Int64Range(0, 14).Draw(t, "now")
			for _, s := range given {
				want := twin(s, reported, complete, now)
				list, err := l.Scores(context.Background(), s.Account, ledger.Query{Model: model})
				if err != nil {
					t.Fatal(err)
				}
				i := slices.IndexFunc(list, func(k ledger.Kept) bool { return k.AsOf == s.AsOf && k.Version == s.Version })
				if got := fmt.Sprint(label(list[i].Label), list[i].Mature); got != want {
					t.Fatalf("as of %d by version %d at %d, complete %d: %s, want %s", s.AsOf-start, s.Version, now-start, complete-start, got, want)
				}
			}
		})
	})
}

// twin settles one score by walking through every instant of its horizon.
func twin(s ledger.Score, reported []ledger.Outcome, complete, now int64) string {
	// What counts: the last version of each id, if it is of the account.
	type at struct {
		o ledger.Outcome
		n int
	}
	last := map[string]at{}
	for n, o := range reported {
		if was, ok := last[o.ID]; ok && was.o == o || ok && fmt.Sprint(was.o) == fmt.Sprint(o) {
			continue // it was sent again
		}
		last[o.ID] = at{o, n}
	}
	var exact *at
	yes, no := map[int64]bool{}, map[int64]bool{}
	for _, a := range last {
		switch {
		case a.o.Account != s.Account:
		case a.o.AsOf != datasets.MissingTime:
			if a.o.AsOf == s.AsOf && (exact == nil || a.n > exact.n) {
				exact = &a
			}
		case a.o.Positive:
			yes[a.o.Occurred] = true
		default:
			no[a.o.Occurred] = true
		}
	}
	over := now >= s.AsOf+s.Horizon
	if s.Horizon == 0 {
		if exact == nil {
			return "?false"
		}
		return map[bool]string{true: "1true", false: "0true"}[exact.o.Positive]
	}
	answer := "?"
	switch {
	case exact != nil && exact.o.Positive:
		answer = "1"
	case exact != nil:
		answer = "0"
	default:
		if complete >= s.AsOf+s.Horizon {
			answer = "0"
		}
		for instant := s.AsOf; instant <= s.AsOf+s.Horizon; instant++ {
			if no[instant] && answer == "?" {
				answer = "0"
			}
			if yes[instant] && instant < s.AsOf+s.Horizon {
				answer = "1"
			}
		}
	}
	if answer == "0" && !over {
		answer = "?"
	}
	return answer + fmt.Sprint(over)
}
