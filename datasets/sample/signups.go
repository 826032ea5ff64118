package sample

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"propensity/datasets"
)

// SignUpOptions of SignUps; the zero value is a valid one.
type SignUpOptions struct {
	Rows int    // one an account; default 20000
	Seed uint64 // same seed, same table
	// Interacting draws the outcomes from a truth with interactions; without, the
	// log-odds are linear. The features are the same.
	Interacting bool
	// Leaks adds columns that know the outcome, at least one of every kind. The
	// other columns stay as they are.
	Leaks bool
	// Sorted puts the converted first: the order of the rows gives the label away.
	Sorted bool
}

// SignUpTable is a finished table of a simulated company, much quicker to make than
// a Company, with no history behind it: one row an account (SIM-000001 ...) as of
// seven days after its sign-up, with the form it filled, its first week and whether
// it converted (one in five do). Rows are in order of time, over 24 months of 30
// days. The probability of each label is a known function of what the row shows.
//
// With x' for a number in standard deviations from its mean, the log-odds are
//
//	-2.20 + 0.60 logins_7d' + 0.25 reports_7d' + 0.35 invites_7d' - 0.25 tickets_7d'
//	  + 0.25 team_size', or -0.35 where it is missing
//	  + 0.60 if integration_connected + 0.45 if work_email
//	  + company_size: 1-10 -0.30, 51-200 0.30, 201-1000 0.20
//	  + channel: paid_search -0.45, referral 0.55, partner 0.45, event 0.20, outbound -0.25
//	  + role: founder 0.40, manager 0.30, student -1.00, missing -0.30
//	  + industry: software 0.95, marketing 0.95, retail 1.05, education -1.15, government -1.25
//
// Levels that are not named add 0: fifty of the 55 industries among them. country,
// use_case, heard_from, device, newsletter and minutes_7d tell nothing that the
// others do not, though minutes_7d goes with logins_7d.
//
// The interacting truth starts at -2.29 and adds 0.388 times each of four products
// of an indicator of usage and one of the form, both standardised: logins_7d of 5
// and more with work_email, integration_connected with a company_size of 51 and
// more, reports_7d of 2 and more with the roles manager and analyst, invites_7d of
// 1 and more with the channels referral and partner. Usage does not depend on the
// form, nor do these answers on each other, so the products are uncorrelated with
// every sum of functions of single columns: the best additive model has nothing of
// their InteractionShare in the variance of the log-odds.
//
// The counts, from 0 to 60, have heavy tails and yet many zeros; one hidden drive
// moves them together with minutes_7d and integration_connected. team_size, from 1
// to 400, goes with company_size. minutes_7d is missing at random, more often on
// a phone; role and team_size are missing completely at random.
type SignUpTable struct {
	Table       *datasets.Table // account_id, moment, features, leaks, converted
	Probability []float64       // of each row's label; labels are independent draws
	Industries  []string        // the five that matter, sorted
	// Effects are the additive part of the log-odds; a column or level that is not
	// among them adds nothing.
	Effects []SignUpEffect
	// InteractionShare is the share of the variance of the log-odds that is due to
	// interactions: a quarter, or 0 where the truth is linear.
	InteractionShare float64
	// Leaks are what was planted: the order of the rows, then the columns in order.
	Leaks []PlantedLeak
}

// SignUpEffect is what something in a row adds to the log-odds: a unit of a number,
// a true, a level, or a missing value, which is against a number at its mean or a
// level that adds nothing.
type SignUpEffect struct {
	Column  string
	Level   string // of a category
	Missing bool
	LogOdds float64
}

const (
	signUpMonths      = 24
	defaultSignUpRows = 20000
)

// signUp is one row.
type signUp struct {
	number int
	moment int64
	form
	usage
	probability float64
	converted   bool
}

// SignUps draws a table. On one architecture it depends on the options alone, to
// the bit; 100,000 rows take a fraction of a second.
func SignUps(o SignUpOptions) *SignUpTable {
	if o.Rows <= 0 {
		o.Rows = defaultSignUpRows
	}
	l := newSignUpLaws()
	moments, features, outcomes := stream(o.Seed, 1), stream(o.Seed, 2), stream(o.Seed, 3)
	rows := make([]signUp, o.Rows)
	for i, at := range signUpMoments(moments, o.Rows) {
		s := signUp{number: i + 1, moment: at, form: l.drawForm(features)}
		s.usage = l.drawUsage(features, s.device)
		s.probability = sigmoid(l.logOdds(&s.form, &s.usage, o.Interacting))
		s.converted = chance(outcomes, s.probability)
		rows[i] = s
	}
	out := &SignUpTable{Probability: make([]float64, len(rows))}
	if o.Sorted {
		out.Leaks = append(out.Leaks, sortByOutcome(rows))
	}
	for i := range rows {
		out.Probability[i] = rows[i].probability
	}
	for k, effect := range industryEffects {
		if effect != 0 {
			out.Industries = append(out.Industries, industries[k])
		}
	}
	slices.Sort(out.Industries)
	out.Effects = l.effects()
	if o.Interacting {
		out.InteractionShare = interactionShare
	}
	c := signUpColumns(rows)
	if o.Leaks {
		out.Leaks = append(out.Leaks, plant(&c, o.Seed)...)
	}
	c.boolean("converted", func(s *signUp) bool { return s.converted })
	out.Table = c.table()
	out.Table.Notes = []string{"simulated: no account, person or payment in it is real"}
	return out
}

// signUpMoments are whole seconds, ascending: twice as many a day at the end as
// at the start.
func signUpMoments(r *rand.Rand, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		u := r.Float64()
		for 2*r.Float64() > 1+u {
			u = r.Float64()
		}
		out[i] = historyStart + int64(u*float64(signUpMonths*month/second))*second
	}
	slices.Sort(out)
	return out
}

func signUpColumns(rows []signUp) columnsOf[signUp] {
	c := columnsOf[signUp]{records: rows}
	c.text("account_id", len(rows), func(s *signUp) int { return s.number - 1 }, func(s *signUp) string { return fmt.Sprintf("SIM-%06d", s.number) })
	c.time("moment", func(s *signUp) int64 { return s.moment })
	c.category("country", countries[:], func(s *signUp) int { return s.country })
	c.category("company_size", sizes[:], func(s *signUp) int { return s.size })
	c.category("industry", industries[:], func(s *signUp) int { return s.industry })
	c.category("channel", channels[:], func(s *signUp) int { return s.channel })
	c.category("role", roles[:], func(s *signUp) int { return s.role })
	c.number("team_size", func(s *signUp) float64 { return s.team })
	c.category("use_case", useCases[:], func(s *signUp) int { return s.useCase })
	c.category("heard_from", heardFroms[:], func(s *signUp) int { return s.heardFrom })
	c.boolean("newsletter", func(s *signUp) bool { return s.newsletter })
	c.boolean("work_email", func(s *signUp) bool { return s.workEmail })
	c.category("device", devices[:], func(s *signUp) int { return s.device })
	c.number("logins_7d", func(s *signUp) float64 { return s.logins })
	c.number("minutes_7d", func(s *signUp) float64 { return s.minutes })
	c.number("reports_7d", func(s *signUp) float64 { return s.reports })
	c.number("invites_7d", func(s *signUp) float64 { return s.invites })
	c.number("tickets_7d", func(s *signUp) float64 { return s.tickets })
	c.boolean("integration_connected", func(s *signUp) bool { return s.integration })
	return c
}
