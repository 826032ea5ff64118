package sample

import (
	"math"
	"math/rand/v2"
	"slices"
)

// PlantedLeak is a column that knows the outcome, and what is to be found of it:
// evidence of this kind and this verdict, in the words of train/leaks.
type PlantedLeak struct{ Column, Kind, Verdict string }

// RowOrder stands for the column of the leak that Sorted is.
const RowOrder = "(row order)"

const (
	nearCopyErrors = 0.002 // share of the rows in which a near-copy is not the label
	reviewedAfter  = 120 * day
	// proxyShift is by how many standard deviations the proxy of positives is
	// higher: its ROC AUC is that share of a normal below proxyShift/sqrt(2), 0.97.
	proxyShift = 2.66
)

// plant adds columns that know the outcome, each drawn from a stream of its own.
func plant(c *columnsOf[signUp], seed uint64) (leaks []PlantedLeak) {
	const proven, suspect = "proven", "suspect"
	var r *rand.Rand
	leak := func(column, kind, verdict string) string {
		leaks = append(leaks, PlantedLeak{column, kind, verdict})
		r = stream(seed, uint64(100+len(leaks)))
		return column
	}
	outcome := func(s *signUp) float64 {
		if s.converted {
			return 1
		}
		return 0
	}
	// The label by another name, and nearly.
	c.category(leak("stage", "copy", proven), []string{"trial", "customer"}, func(s *signUp) int { return int(outcome(s)) })
	c.boolean(leak("active_contract", "copy", proven), func(s *signUp) bool { return s.converted != chance(r, nearCopyErrors) })
	// Given to customers only, when they sign.
	c.number(leak("discount", "filled_for_one_class", suspect), func(s *signUp) float64 {
		if percent := 5 * float64(r.IntN(7)); chance(r, 0.8) && s.converted {
			return percent
		}
		return math.NaN()
	})
	// Given to customers when they are reviewed: the newest have none yet.
	reviewed := int64(historyStart + signUpMonths*month - reviewedAfter)
	c.category(leak("review", "filled_after_outcome", proven), []string{"small", "standard", "key"}, func(s *signUp) int {
		if grade := choose(r, 5, 4, 1); chance(r, 0.9) && s.converted && s.moment < reviewed {
			return grade
		}
		return -1
	})
	// Overwritten by every contact until the table was made.
	c.time(leak("last_contact_at", "dated_after", proven), func(s *signUp) int64 { return s.moment + second*r.Int64N(20*day/second) - 5*day })
	// What sellers note last: one entry gives most customers away.
	c.category(leak("last_note", "one_sided", suspect), []string{"no answer", "call back", "sent prices", "sent contract"}, func(s *signUp) int {
		note := choose(r, 45, 25, 30)
		if signs := 0.01 + 0.59*outcome(s); chance(r, signs) && (s.converted || chance(r, 0.3)) {
			return 3
		}
		return note
	})
	// Known by their names.
	c.boolean(leak("cancel_at_period_end", "named", proven), func(s *signUp) bool { return chance(r, 0.15) && s.converted })
	c.number(leak("call_duration", "named", proven), func(s *signUp) float64 {
		return math.Round(math.Exp(4.5 + 0.8*r.NormFloat64() + 0.7*outcome(s)))
	})
	// A score made with knowledge of the outcome.
	c.number(leak("fit_score", "alone", suspect), func(s *signUp) float64 {
		return math.Round(100*(50+10*(r.NormFloat64()+proxyShift*outcome(s)))) / 100
	})
	return leaks
}

// sortByOutcome puts the converted first, each part in order of time.
func sortByOutcome(rows []signUp) PlantedLeak {
	slices.SortStableFunc(rows, func(a, b signUp) int {
		switch {
		case a.converted == b.converted:
			return 0
		case a.converted:
			return -1
		}
		return 1
	})
	return PlantedLeak{RowOrder, "order", "suspect"}
}
