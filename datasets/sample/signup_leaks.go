package sample

import (
	"math"
	"math/rand/v2"
)

// PlantedLeak is a column that knows the outcome, and what is to be found of it.
type PlantedLeak struct {
	Column  string
	Kind    string // of leak, one of the constants
	Verdict string // proven or suspect
}

// Kinds of leaks.
const (
	LeakCopy        = "copy"                 // the label by another name
	LeakNearCopy    = "near_copy"            // the same but in five rows of a thousand
	LeakOneClass    = "filled_for_one_class" // only where the outcome is positive
	LeakFilledAfter = "filled_after"         // only once the outcome is known
	LeakDatedAfter  = "dated_after"          // a time after the moment
	LeakNamed       = "named"                // known by its name to be filled afterwards
	LeakAlone       = "alone"                // ranks the rows too well by itself: ROC AUC 0.97
)

const (
	proven  = "proven"
	suspect = "suspect"
)

// nearCopyErrors is the share of rows in which a near-copy differs from the label.
const nearCopyErrors = 0.005

// proxyShift is by how many standard deviations a proxy of the label is higher for
// positives: its ROC AUC is the probability that a normal is below proxyShift/sqrt(2).
const proxyShift = 2.66

// plant adds a column of every kind of leak. Each is drawn from a stream of its own.
func plant(c *columnsOf[signUp], seed uint64) (leaks []PlantedLeak) {
	var r *rand.Rand
	add := func(column, kind, verdict string) {
		leaks = append(leaks, PlantedLeak{column, kind, verdict})
		r = stream(seed, uint64(100+len(leaks)))
	}
	add("stage", LeakCopy, proven)
	c.category("stage", []string{"trial", "customer"}, func(s *signUp) int { return oneIf(s.converted) })
	add("forecast", LeakNearCopy, suspect)
	c.category("forecast", []string{"lost", "won"}, func(s *signUp) int {
		return oneIf(s.converted != chance(r, nearCopyErrors))
	})
	add("discount", LeakOneClass, suspect)
	c.number("discount", func(s *signUp) float64 {
		if percent := 5 * float64(r.IntN(7)); s.converted && chance(r, 0.8) {
			return percent
		}
		return math.NaN()
	})
	add("last_contact_at", LeakDatedAfter, proven)
	c.time("last_contact_at", func(s *signUp) int64 {
		return s.moment + instant(r, -5*day, 15*day)
	})
	add("cancel_at_period_end", LeakNamed, proven)
	c.boolean("cancel_at_period_end", func(s *signUp) bool { return chance(r, 0.15) && s.converted })
	add("call_duration", LeakNamed, proven)
	c.number("call_duration", func(s *signUp) float64 {
		return math.Round(math.Exp(4 + 0.8*r.NormFloat64() + 0.8*float64(oneIf(s.converted))))
	})
	add("fit_score", LeakAlone, suspect)
	c.number("fit_score", func(s *signUp) float64 {
		return math.Round(1000*(50+10*(r.NormFloat64()+proxyShift*float64(oneIf(s.converted))))) / 1000
	})
	return leaks
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}
