// Package sample holds data to try the product on: a simulated B2B software
// company whose true probabilities are known, and one small real table.
//
// Nothing of the company is real: its accounts (SIM-00001 ...), their usage and
// their subscriptions are drawn by a program. It sells seats of a reporting tool
// after a trial of 14 days. See Company for its tables and what is true of them.
package sample

import (
	"math/rand/v2"
	"slices"
	"time"

	"propensity/datasets"
)

// Options of a simulation; the zero value is a valid one.
type Options struct {
	Accounts int    // that sign up over the history; default 8000
	Seed     uint64 // same seed, same company
}

// Company is a simulated company. All its tables are in order of time. Instants
// are microseconds since 1970 UTC; windows, horizons and the months of the
// simulation (30 days) are exact multiples of a day.
//
// The raw tables are what such a company would export at AsOf: facts that had
// arrived by then. Events arrive seconds after they occur, some of them days
// after, and some arrive twice, under the same event_id. A change of seats ends a
// row of Subscriptions and starts another at the same instant: an account has
// left when it has no row that is active.
//
// The finished tables have one row per account and moment, made from facts that
// occurred and arrived strictly before the moment; a window of w days is
// [moment - w, moment). Labels are Boolean and look at [moment, moment + horizon):
//
//   - Conversion: 7 days after sign-up; converted within 14 days. mrr is what an
//     account of its size would pay a month at the list price of the pro plan.
//   - Churn: every 30 days while the account is active; churned (left) within 90
//     days. mrr is what it pays.
//   - Upsell: the rows of Churn; upsold (mrr up by 10 % or more while it
//     is a customer) within 90 days.
//
// logins_28d_trend is ln((1 + n) / (1 + m)), n logins in the last 28 days and m
// in the 28 days before those. A feature that does not apply (days_to_renewal of
// a monthly contract, the answers of an account that gave none) is missing.
//
// What tells nothing: country, heard_from, newsletter, and 50 of the 55
// industries: software, retail, education, marketing and government matter. What matters together with something else, not only by itself:
// integrations with invites, tickets with logins, team size with use case (to
// convert); billing with the renewal, tenure with the channel, tickets with the
// plan (to leave); seat utilisation with growth (to buy more).
type Company struct {
	Seed uint64
	AsOf int64 // the end of the history

	Accounts, Answers, Events, Subscriptions *datasets.Table
	Conversion, Churn, Upsell                *datasets.Table

	// Truth has one row per row of Conversion, Churn and Upsell, in that order:
	// table, account_id, moment, probability. The probability is exact (computed,
	// not counted) and is that of the label given all that the simulation had
	// settled by the moment. That is more than a row shows: it includes facts
	// that had not arrived, answers not given, and, for customers, the hidden
	// state of health that usage only hints at. So its own log loss is a bound
	// that no honest model can be expected to beat, and that the best come near.
	// Rows of one account share their future where their horizons overlap; each
	// probability is right by itself, but labels of such rows are not independent.
	Truth *datasets.Table

	// Censored counts, by finished table, the rows left out because their
	// horizon was not over at AsOf.
	Censored Censored
}

// Censored counts rows whose outcome was still open.
type Censored struct {
	Conversion, Churn, Upsell int
}

const (
	second = int64(time.Second / time.Microsecond)
	day    = 24 * 60 * 60 * second
	month  = 30 * day
	months = 36

	historyStart = 1680307200 * second // 2023-04-01
	historyEnd   = historyStart + months*month

	defaultAccounts = 8000
)

// monthStart is the first instant of a month of the simulation, 0 to months.
func monthStart(m int) int64 { return historyStart + int64(m)*month }

// Simulate makes a company. On one architecture the result depends on the
// options alone, to the bit.
func Simulate(o Options) *Company {
	if o.Accounts <= 0 {
		o.Accounts = defaultAccounts
	}
	accounts := make([]account, o.Accounts)
	for i, at := range signUps(o) {
		accounts[i] = simulateAccount(stream(o.Seed, uint64(i)+1), i+1, at)
	}
	c := &Company{
		Seed:          o.Seed,
		AsOf:          historyEnd,
		Accounts:      accountsTable(accounts),
		Answers:       answersTable(accounts),
		Events:        eventsTable(accounts),
		Subscriptions: subscriptionsTable(accounts),
	}
	c.finish(accounts)
	for _, t := range []*datasets.Table{
		c.Accounts, c.Answers, c.Events, c.Subscriptions, c.Conversion, c.Churn, c.Upsell, c.Truth,
	} {
		t.Notes = []string{"simulated: no account, person or payment in it is real"}
	}
	return c
}

// account is all there is to know of one account.
type account struct {
	number   int
	signedUp int64
	profile
	trial
	customer
	events []event // in the order of occurrence; those that had arrived by the end
}

func simulateAccount(r *rand.Rand, number int, signedUp int64) account {
	a := account{number: number, signedUp: signedUp, profile: drawProfile(r, signedUp)}
	var log eventLog
	a.trial = runTrial(r, &a.profile, signedUp, &log)
	if a.convertedAt != datasets.MissingTime && a.convertedAt < historyEnd {
		a.customer = becomeCustomer(r, &a.profile, a.convertedAt)
		a.live(r, &log)
	}
	a.events = log.close(r)
	return a
}

// signUps are the instants of all sign-ups, ascending: twice as many a day at
// the end of the history as at its start.
func signUps(o Options) []int64 {
	r := stream(o.Seed, 0)
	out := make([]int64, o.Accounts)
	for i := range out {
		for {
			u := r.Float64()
			if 2*r.Float64() < 1+u {
				out[i] = historyStart + int64(u*float64((historyEnd-historyStart)/second))*second
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// stream is the random stream of one account, or of the company (0).
func stream(seed, number uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(seed), mix(number^0x9e3779b97f4a7c15)))
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighbouring
// numbers become unrelated ones.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chance is true with probability p.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

// choose gives an index with a probability in proportion to its weight.
func choose(r *rand.Rand, weights ...float64) int {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	u := r.Float64() * sum
	for i, w := range weights[:len(weights)-1] {
		if u < w {
			return i
		}
		u -= w
	}
	return len(weights) - 1
}

// instant is a whole second strictly between the two, which are whole seconds.
func instant(r *rand.Rand, from, to int64) int64 {
	return from + second*(1+r.Int64N((to-from)/second-1))
}
