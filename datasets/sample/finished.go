package sample

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"propensity/datasets"
)

// row is one account as of one moment.
type row struct {
	*account
	*customer // nil of a trial
	moment    int64
	term      *term // the subscription that is active, if any
	// What the row's tables say of the future, and the truth behind it.
	converted, churned, upsold                  bool
	conversionChance, churnChance, upsoldChance float64
}

const customerHorizon = 90 * day

// trials and customers are the rows of the finished tables, without features, and
// how many are left out as their horizon is not over.
func rowsOf(w *world, accounts []account) (trials, customers []row, left Censored) {
	chunks := make([]struct {
		trials, customers []row
		left              Censored
	}, (len(accounts)+chunk-1)/chunk)
	everyChunk(len(accounts), func(k, from, to int) {
		x := &chunks[k]
		for i := from; i < to; i++ {
			a := &accounts[i]
			moment := a.signedUp + conversionAfter
			switch {
			case moment >= historyEnd: // not a row yet
			case moment+conversionHorizon > historyEnd:
				x.left.Conversion++
			default:
				x.trials = append(x.trials, row{
					account: a, moment: moment,
					converted:        a.convertedAt != datasets.MissingTime && a.convertedAt < moment+conversionHorizon,
					conversionChance: a.trial.conversionChance,
				})
			}
			for l := range a.lives {
				c := &a.lives[l]
				for k := 1; k < len(c.lived); k++ {
					moment := monthStart(c.firstMonth - 1 + k)
					if moment+customerHorizon > historyEnd {
						x.left.Churn++
						x.left.Upsell++
						continue
					}
					r := row{account: a, customer: c, moment: moment, term: c.termAt(moment)}
					r.churned, r.upsold = c.outcome(moment, moment+customerHorizon)
					r.churnChance, r.upsoldChance = c.chances(w, &a.profile, k, moment+customerHorizon)
					x.customers = append(x.customers, r)
				}
			}
		}
	})
	for _, x := range chunks {
		trials, customers = append(trials, x.trials...), append(customers, x.customers...)
		left.Conversion, left.Churn, left.Upsell = left.Conversion+x.left.Conversion, left.Churn+x.left.Churn, left.Upsell+x.left.Upsell
	}
	slices.SortStableFunc(customers, func(a, b row) int { return cmp.Compare(a.moment, b.moment) })
	return trials, customers, left
}

// termAt is the subscription that is active at a moment, nil if none is.
func (c *customer) termAt(moment int64) *term {
	for i := range c.terms {
		t := &c.terms[i]
		if t.start <= moment && (t.end == datasets.MissingTime || moment < t.end) {
			return t
		}
	}
	return nil
}

// outcome says whether a customer, active at moment, leaves before end, and
// whether at the end it pays 10 % more.
func (c *customer) outcome(moment, end int64) (churned, upsold bool) {
	then := c.termAt(end)
	return c.end() != datasets.MissingTime && c.end() < end,
		then != nil && c.mrr(then.seats) >= 1.1*c.mrr(c.termAt(moment).seats)
}

// seen calls f with each event that occurred in the days before the moment and
// had arrived before it, newest first. The second delivery of an event is not
// another one, and tells nothing new: it never comes before the first.
func (r *row) seen(days int64, f func(e *event)) {
	i := sort.Search(len(r.events), func(i int) bool { return r.events[i].occurred >= r.moment })
	for i--; i >= 0 && r.events[i].occurred >= r.moment-days*day; i-- {
		if e := &r.events[i]; e.received < r.moment && !e.again {
			f(e)
		}
	}
}

func count(k kind, days int64) func(*row) float64 {
	return func(r *row) (n float64) {
		r.seen(days, func(e *event) {
			if e.kind == k || k == report && e.kind == reportOpened {
				n++
			}
		})
		return n
	}
}

// trend compares the events of the last days with those of as many days before.
func trend(k kind, days int64) func(*row) float64 {
	return func(r *row) float64 {
		now, both := count(k, days)(r), count(k, 2*days)(r)
		return math.Log((1 + now) / (1 + both - now))
	}
}

// users counts those who did anything but open a ticket.
func users(days int64) func(*row) float64 {
	return func(r *row) (n float64) {
		var who []bool
		r.seen(days, func(e *event) {
			if e.kind == ticket {
				return
			}
			for len(who) <= int(e.user) {
				who = append(who, false)
			}
			if !who[e.user] {
				who[e.user] = true
				n++
			}
		})
		return n
	}
}

// activeDays counts the 24-hour days back from the moment on which anybody
// logged in.
func activeDays(days int64) func(*row) float64 {
	return func(r *row) (n float64) {
		last := int64(-1)
		r.seen(days, func(e *event) {
			if ago := (r.moment - 1 - e.occurred) / day; e.kind == login && ago != last {
				last = ago
				n++
			}
		})
		return n
	}
}

// sinceLogin is the days since the last login of the last 90 days; missing if
// there is none.
func sinceLogin(r *row) float64 {
	days := math.NaN()
	r.seen(90, func(e *event) {
		if e.kind == login && math.IsNaN(days) {
			days = float64(r.moment-e.occurred) / float64(day)
		}
	})
	return days
}

func newRows(rows []row, accounts int) columnsOf[row] {
	c := columnsOf[row]{records: rows}
	c.text("account_id", accounts, func(r *row) int { return r.number - 1 }, func(r *row) string { return r.id() })
	c.time("moment", func(r *row) int64 { return r.moment })
	addProfile(&c, func(r *row) *account { return r.account })
	addAnswer(&c, func(r *row) *answer {
		if at := r.answer.answeredAt; at == datasets.MissingTime || at >= r.moment {
			return nil
		}
		return &r.answer
	})
	return c
}

func trialTable(rows []row, accounts int) *datasets.Table {
	c := newRows(rows, accounts)
	c.number("logins_2d", count(login, 2))
	c.number("logins_7d", count(login, 7))
	c.number("active_days_7d", activeDays(7))
	c.number("users_7d", users(7))
	c.number("reports_7d", count(report, 7))
	c.number("invites_7d", count(invite, 7))
	c.number("integrations_7d", count(integration, 7))
	c.number("tickets_7d", count(ticket, 7))
	c.number("days_since_login", sinceLogin)
	c.number("mrr", func(r *row) float64 {
		return (&customer{plan: pro}).mrr(typicalSeats[r.size])
	})
	c.boolean("converted", func(r *row) bool { return r.converted })
	return c.table()
}

func customerTable(rows []row, accounts int) *datasets.Table {
	c := newRows(rows, accounts)
	c.category("plan", plans[:], func(r *row) int { return r.plan })
	c.category("billing", billings[:], func(r *row) int { return r.billing() })
	c.number("seats", func(r *row) float64 { return float64(r.term.seats) })
	c.number("tenure_days", func(r *row) float64 { return float64(r.moment-r.customer.start()) / float64(day) })
	c.number("days_to_renewal", func(r *row) float64 {
		if !r.annual {
			return math.NaN()
		}
		return float64(r.nextRenewal(r.moment)-r.moment) / float64(day)
	})
	c.number("logins_7d", count(login, 7))
	c.number("logins_28d", count(login, 28))
	c.number("logins_90d", count(login, 90))
	c.number("logins_28d_trend", trend(login, 28))
	c.number("active_days_28d", activeDays(28))
	c.number("users_28d", users(28))
	c.number("seat_utilisation", func(r *row) float64 { return users(28)(r) / float64(r.term.seats) })
	c.number("reports_28d", count(report, 28))
	c.number("reports_28d_trend", trend(report, 28))
	c.number("exports_28d", count(export, 28))
	c.number("invites_28d", count(invite, 28))
	c.number("invites_90d", count(invite, 90))
	c.number("integrations_90d", count(integration, 90))
	c.number("tickets_28d", count(ticket, 28))
	c.number("tickets_90d", count(ticket, 90))
	c.number("days_since_login", sinceLogin)
	c.number("mrr", func(r *row) float64 { return r.mrr(r.term.seats) })
	return c.table()
}

// withLabel is a table of the same features with a label of its own.
func withLabel(features *datasets.Table, name string, rows []row, label func(*row) bool) *datasets.Table {
	c := columnsOf[row]{records: rows, columns: slices.Clone(features.Columns)}
	c.boolean(name, label)
	return c.table()
}

// chanceOf is one row of the truth.
type chanceOf struct {
	*row
	table       int
	probability float64
}

var finishedNames = [...]string{"conversion", "churn", "upsell"}

func truthTable(trials, customers []row, accounts int) *datasets.Table {
	var rows []chanceOf
	for i := range trials {
		rows = append(rows, chanceOf{&trials[i], 0, trials[i].conversionChance})
	}
	for i := range customers {
		rows = append(rows, chanceOf{&customers[i], 1, customers[i].churnChance})
	}
	for i := range customers {
		rows = append(rows, chanceOf{&customers[i], 2, customers[i].upsoldChance})
	}
	c := columnsOf[chanceOf]{records: rows}
	c.category("table", finishedNames[:], func(r *chanceOf) int { return r.table })
	c.text("account_id", accounts, func(r *chanceOf) int { return r.number - 1 }, func(r *chanceOf) string { return r.id() })
	c.time("moment", func(r *chanceOf) int64 { return r.moment })
	c.number("probability", func(r *chanceOf) float64 { return r.probability })
	return c.table()
}
