// Package sample holds data to try the product on: a simulated B2B software
// company whose true probabilities are known, and one small real table.
//
// Nothing of the company is real: its accounts (SIM-00001 ...), their usage and
// their subscriptions are drawn by a program. It sells seats of a reporting tool
// after a trial of 14 days. See Company for its tables and what is true of them.
package sample

import (
	"cmp"
	"slices"

	"propensity/datasets"
)

// Options of a simulation; the zero value is a valid one.
type Options struct {
	Accounts int    // that sign up over the history; default 8000
	Events   int    // deliveries, about; what is lacking is filled up with page views. Default: without them, some 150 an account
	Seed     uint64 // same seed, same company
}

// Company is a simulated company. All its tables are in order of time, Events in that
// of arrival. Instants are microseconds since 1970 UTC; windows and horizons are exact
// multiples of a day, months those of the calendar, in UTC.
//
// The raw tables are what such a company would export at AsOf: facts that had
// arrived by then. Events arrive seconds after they occur, some of them days
// after; some arrive twice, under the same event_id, and some are corrected: the
// second delivery has another quantity. A change of seats, and the renewal of an
// annual contract, end a row of Subscriptions and start another at the same instant:
// an account has left when it has no row that is active. Some come back, 100 days
// after or later. A few accounts are of one company and are merged.
//
// The finished tables have one row per account and moment, made from facts that
// occurred and arrived strictly before the moment; a window of w days is
// [moment - w, moment). Labels are Boolean and look at [moment, moment + horizon):
//
//   - Conversion: 7 days after sign-up; converted within 14 days. mrr is what an
//     account of its size would pay a month at the list price of the pro plan.
//   - Churn: on the first of every month while the account is active; churned (left)
//     within 90 days. mrr is what it pays.
//   - Upsell: the rows of Churn; upsold (after 90 days it is a customer and its mrr
//     is up by 10 % or more).
//
// They know nothing of merges, surveys, outages and outreach. logins_28d_trend is
// ln((1 + n) / (1 + m)), n logins in the last 28 days and m in the 28 days before
// those. A feature that does not apply (days_to_renewal of a monthly contract, the
// answers of an account that gave none) is missing.
//
// What tells nothing: country, heard_from, newsletter, and 50 of the 55
// industries: software, retail, education, marketing and government matter. What
// matters together with something else, not only by itself: invites with
// integrations (the aha), tickets with logins, team size with use case (to
// convert); billing with the renewal, tenure with the channel, tickets with the
// plan (to leave); seat utilisation with growth (to buy more). Contracts are left most
// in their months 2 to 4. Outages open tickets and trouble customers, who leave
// later. See Laws.
type Company struct {
	Seed uint64
	AsOf int64 // the end of the history

	Accounts, Answers, Users, Events, Subscriptions *datasets.Table
	Tickets, Surveys, Outages, Outreach, Merges     *datasets.Table
	Conversion, Churn, Upsell                       *datasets.Table

	// Truth has one row per row of Conversion, Churn and Upsell, in that order:
	// table, account_id, moment, probability. The probability is exact (computed,
	// not counted) and is that of the label given all that the simulation had
	// settled by the moment, and the days of all outages. That is more than a row
	// shows: it includes facts that had not arrived, answers not given, and, for
	// customers, the hidden state of health that usage only hints at. So its own log
	// loss is a bound that no honest model can be expected to beat, and that the best
	// come near. Rows of one account share their future where their horizons overlap;
	// each probability is right by itself, but labels of such rows are not independent.
	Truth *datasets.Table

	// OutreachTruth has one row per row of Outreach: account_id, moment (the first of
	// the month that begins), arm, churn_if_control and churn_if_treated (the exact
	// probabilities to leave within 90 days of the moment, given what was settled
	// before the coin fell) and uplift, the first less the second.
	OutreachTruth *datasets.Table

	// Censored counts, by finished table, the rows left out because their
	// horizon was not over at AsOf.
	Censored Censored

	world             world
	accounts          []account
	trials, customers []row
}

// Censored counts rows whose outcome was still open.
type Censored struct {
	Conversion, Churn, Upsell int
}

const defaultAccounts = 8000

// Simulate makes a company in memory. On one architecture the result depends on the
// options alone, to the bit. See Export for one of many events.
func Simulate(o Options) *Company {
	c := start(o)
	h := history{world: &c.world, accounts: c.accounts}
	var deliveries []event
	for m := range months {
		deliveries = append(deliveries, h.month(m)...)
	}
	c.Events, c.Tickets, c.Users = h.eventsTable(deliveries), h.ticketsTable(deliveries), h.usersTable()
	for _, e := range deliveries {
		a := &c.accounts[e.account]
		a.events = append(a.events, e)
	}
	for i := range c.accounts { // they came by arrival
		slices.SortStableFunc(c.accounts[i].events, func(a, b event) int { return cmp.Compare(a.occurred, b.occurred) })
	}
	c.Conversion = trialTable(c.trials, len(c.accounts))
	features := customerTable(c.customers, len(c.accounts))
	c.Churn = withLabel(features, "churned", c.customers, func(r *row) bool { return r.churned })
	c.Upsell = withLabel(features, "upsold", c.customers, func(r *row) bool { return r.upsold })
	for _, t := range append(c.tables(), file{table: c.Events}) {
		t.table.Notes = []string{"simulated: no account, person or payment in it is real"}
	}
	return c
}

// start makes all of a company but its events and what is made of them.
func start(o Options) *Company {
	if o.Accounts <= 0 {
		o.Accounts = defaultAccounts
	}
	c := &Company{Seed: o.Seed, AsOf: historyEnd}
	c.world, c.accounts = found(o)
	c.Accounts, c.Answers = accountsTable(c.accounts), answersTable(c.accounts)
	c.Subscriptions, c.Surveys = subscriptionsTable(&c.world, c.accounts), surveysTable(&c.world, c.accounts)
	c.Outages, c.Merges = outagesTable(&c.world), mergesTable(c.accounts)
	c.trials, c.customers, c.Censored = rowsOf(&c.world, c.accounts)
	c.Truth = truthTable(c.trials, c.customers, len(c.accounts))
	drawn := calls(&c.world, c.accounts)
	c.Outreach, c.OutreachTruth = outreachTable(drawn, len(c.accounts)), outreachTruthTable(drawn, len(c.accounts))
	return c
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
