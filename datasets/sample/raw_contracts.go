package sample

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"propensity/datasets"
)

// subscription is one row of the subscriptions table: a stretch of a contract with
// the same seats, in one year if it is annual.
type subscription struct {
	*account
	*customer
	term
	number, contract int // within the account
	movement         int
	reason           int // to leave, -1 but at the end
}

var (
	billings  = [...]string{"monthly", "annual"}
	movements = [...]string{"new", "expansion", "contraction", "renewal", "winback"}
	reasons   = [...]string{"price", "missing feature", "support", "not used"}
)

const newContract, expansion, contraction, renewed, winback = 0, 1, 2, 3, 4

func (c *customer) billing() int {
	if c.annual {
		return 1
	}
	return 0
}

// subscriptions of an account, in order.
func (a *account) subscriptions(seed uint64) []subscription {
	var out []subscription
	r := streamFor(seed, uint64(a.number), forReasons)
	for i := range a.lives {
		c := &a.lives[i]
		for k, t := range c.terms {
			s := subscription{account: a, customer: c, term: t, contract: i + 1, reason: -1}
			switch {
			case k > 0 && t.seats > c.terms[k-1].seats:
				s.movement = expansion
			case k > 0:
				s.movement = contraction
			case i > 0:
				s.movement = winback
			}
			for c.annual {
				at := c.nextRenewal(s.term.start)
				if at >= historyEnd || t.end != datasets.MissingTime && at >= t.end {
					break
				}
				s.term.end = at
				out = append(out, s)
				s.term, s.movement = term{at, t.end, t.seats}, renewed
			}
			out = append(out, s)
		}
		if c.end() != datasets.MissingTime {
			last := choose(r, 3, 2, 1, 2)
			switch c.lived[len(c.lived)-1].health {
			case fading:
				last = choose(r, 2, 1, 0, 7)
			case troubled:
				last = choose(r, 1, 2, 7, 0)
			}
			out[len(out)-1].reason = last
		}
	}
	for i := range out {
		out[i].number = i + 1
	}
	return out
}

func subscriptionsTable(w *world, accounts []account) *datasets.Table {
	var rows []subscription
	for i := range accounts {
		rows = append(rows, accounts[i].subscriptions(w.seed)...)
	}
	sortByTime(rows, func(s *subscription) int64 { return s.term.start })
	c := columnsOf[subscription]{records: rows}
	c.label("subscription_id", func(s *subscription) string {
		return "s-" + digits(s.account.number) + "-" + strconv.Itoa(s.number)
	})
	c.text("account_id", len(accounts), func(s *subscription) int { return s.account.number - 1 }, func(s *subscription) string { return s.id() })
	c.number("contract", func(s *subscription) float64 { return float64(s.contract) })
	c.category("movement", movements[:], func(s *subscription) int { return s.movement })
	c.category("plan", plans[:], func(s *subscription) int { return s.plan })
	c.number("seats", func(s *subscription) float64 { return float64(s.term.seats) })
	c.number("mrr", func(s *subscription) float64 { return s.mrr(s.term.seats) })
	c.category("billing", billings[:], func(s *subscription) int { return s.billing() })
	c.time("started_at", func(s *subscription) int64 { return s.term.start })
	c.time("ended_at", func(s *subscription) int64 { return s.term.end })
	c.time("renews_at", func(s *subscription) int64 {
		if !s.annual {
			return datasets.MissingTime
		}
		return s.nextRenewal(s.term.start)
	})
	c.category("cancel_reason", reasons[:], func(s *subscription) int { return s.reason })
	return c.table()
}

// survey is one row of the table of surveys: how likely are you to recommend us?
type survey struct {
	*account
	number   int
	sent     int64
	answered int64   // missing if it was not
	score    float64 // 0 to 10
}

const (
	firstSurvey, surveyEvery = 45 * day, 90 * day // after the start of a contract
)

// Who answers a survey, and how, goes with health: not to answer tells something.
var (
	surveyAnswered = [healths]float64{growing: 0.55, steady: 0.4, fading: 0.08, troubled: 0.2}
	surveyScore    = [healths]float64{growing: 9.2, steady: 8, fading: 6.2, troubled: 3.8}
)

func (a *account) surveys(seed uint64) []survey {
	var out []survey
	r := streamFor(seed, uint64(a.number), forSurveys)
	for i := range a.lives {
		c := &a.lives[i]
		for at := c.start() + firstSurvey; at < c.until(); at += surveyEvery {
			h := c.lived[monthOf(at)-c.firstMonth+1].health
			s := survey{a, len(out) + 1, at, datasets.MissingTime, math.NaN()}
			when := at + second*(60+int64(r.ExpFloat64()*36*60*60))
			score := max(0, min(10, math.Round(surveyScore[h]+1.4*r.NormFloat64())))
			if chance(r, surveyAnswered[h]) && when < historyEnd {
				s.answered, s.score = when, score
			}
			out = append(out, s)
		}
	}
	return out
}

func surveysTable(w *world, accounts []account) *datasets.Table {
	var rows []survey
	for i := range accounts {
		rows = append(rows, accounts[i].surveys(w.seed)...)
	}
	sortByTime(rows, func(s *survey) int64 { return s.sent })
	c := columnsOf[survey]{records: rows}
	c.label("survey_id", func(s *survey) string { return "n-" + digits(s.account.number) + "-" + strconv.Itoa(s.number) })
	c.text("account_id", len(accounts), func(s *survey) int { return s.account.number - 1 }, func(s *survey) string { return s.id() })
	c.time("sent_at", func(s *survey) int64 { return s.sent })
	c.time("answered_at", func(s *survey) int64 { return s.answered })
	c.number("score", func(s *survey) float64 { return s.score })
	return c.table()
}

// call is one customer drawn for the outreach, and what is true of it.
type call struct {
	*account
	month  int
	at     int64 // on the day before
	arm    arm
	chance [2]float64 // to leave within the horizon: not called, called
	over   bool       // the horizon, by the end of the history
}

func (a *account) calls(w *world) []call {
	var out []call
	r := streamFor(w.seed, uint64(a.number), forCalls)
	for i := range a.lives {
		c := &a.lives[i]
		for k, l := range c.lived {
			m := c.firstMonth - 1 + k
			if !campaign(m) || l.arm == none {
				continue
			}
			moment := monthStart(m)
			x := call{account: a, month: m, arm: l.arm, over: moment+customerHorizon <= historyEnd}
			x.at = moment - day + second*(9*60*60+r.Int64N(8*60*60))
			for t := range x.chance {
				x.chance[t], _ = c.chancesIn(w, &a.profile, k, moment+customerHorizon, armOf(t))
			}
			out = append(out, x)
		}
	}
	return out
}

func calls(w *world, accounts []account) []call {
	var out []call
	for i := range accounts {
		out = append(out, accounts[i].calls(w)...)
	}
	sortByTime(out, func(x *call) int64 { return x.at })
	return out
}

func outreachTable(calls []call, accounts int) *datasets.Table {
	c := columnsOf[call]{records: calls}
	c.label("outreach_id", func(x *call) string { return "o-" + digits(x.number) + "-" + strconv.Itoa(x.month+1) })
	c.text("account_id", accounts, func(x *call) int { return x.number - 1 }, func(x *call) string { return x.id() })
	c.time("assigned_at", func(x *call) int64 { return x.at })
	c.category("arm", arms[:], func(x *call) int { return int(x.arm) })
	return c.table()
}

func outreachTruthTable(calls []call, accounts int) *datasets.Table {
	c := columnsOf[call]{records: calls}
	c.text("account_id", accounts, func(x *call) int { return x.number - 1 }, func(x *call) string { return x.id() })
	c.time("moment", func(x *call) int64 { return monthStart(x.month) })
	c.category("arm", arms[:], func(x *call) int { return int(x.arm) })
	c.number("churn_if_control", func(x *call) float64 { return x.chance[0] })
	c.number("churn_if_treated", func(x *call) float64 { return x.chance[1] })
	c.number("uplift", func(x *call) float64 { return x.chance[0] - x.chance[1] })
	return c.table()
}

func outagesTable(w *world) *datasets.Table {
	c := columnsOf[outage]{records: w.outages}
	c.time("started_at", func(o *outage) int64 { return o.start })
	c.time("ended_at", func(o *outage) int64 { return o.end })
	return c.table()
}

func mergesTable(accounts []account) *datasets.Table {
	var rows []*account
	for i := range accounts {
		if accounts[i].mergedAt != datasets.MissingTime {
			rows = append(rows, &accounts[i])
		}
	}
	slices.SortStableFunc(rows, func(a, b *account) int { return cmp.Compare(a.mergedAt, b.mergedAt) })
	c := columnsOf[*account]{records: rows}
	c.label("from_account", func(a **account) string { return (*a).id() })
	c.text("into_account", len(accounts), func(a **account) int { return (*a).twin - 1 }, func(a **account) string { return accounts[(*a).twin-1].id() })
	c.time("merged_at", func(a **account) int64 { return (*a).mergedAt })
	return c.table()
}

// sortByTime sorts rows that are in order of account.
func sortByTime[T any](rows []T, at func(*T) int64) {
	slices.SortStableFunc(rows, func(a, b T) int { return cmp.Compare(at(&a), at(&b)) })
}
