package sample

import (
	"math"
	"sync"
	"testing"

	"propensity/datasets"
)

// The twin below makes rows again, slowly, from the raw tables alone and by the
// definitions in the documentation of Company.

type rawEvent struct {
	id, user, event    string
	occurred, received int64
}

type rawTerm struct {
	plan, billing, movement, reason string
	seats, mrr, contract            float64
	start, end, renews              int64
}

type rawAccount struct {
	row           int // of the accounts table
	answer        int // row of the answers table, -1 if none
	created       int64
	events        []rawEvent // and tickets
	subscriptions []rawTerm
}

// exported is what the raw tables of the company say of each account.
var exported = sync.OnceValue(func() map[string]*rawAccount { return readRaw(company()) })

func readRaw(c *Company) map[string]*rawAccount {
	out := make(map[string]*rawAccount)
	for i := range c.Accounts.Rows() {
		out[c.Accounts.Column("account_id").At(i).Text] = &rawAccount{
			row: i, answer: -1, created: c.Accounts.Column("created_at").Times[i],
		}
	}
	for i := range c.Answers.Rows() {
		out[c.Answers.Column("account_id").At(i).Text].answer = i
	}
	for i := range c.Events.Rows() {
		text := func(name string) string { return c.Events.Column(name).At(i).Text }
		instant := func(name string) int64 { return c.Events.Column(name).Times[i] }
		a := out[text("account_id")]
		name := text("event")
		if name == "report_opened" { // as it is called later
			name = "report_viewed"
		}
		a.events = append(a.events, rawEvent{text("event_id"), text("user_id"), name, instant("occurred_at"), instant("received_at")})
	}
	for i := range c.Tickets.Rows() {
		a, at := out[c.Tickets.Column("account_id").At(i).Text], c.Tickets.Column("opened_at").Times[i]
		a.events = append(a.events, rawEvent{id: c.Tickets.Column("ticket_id").At(i).Text, user: "", event: "ticket_opened", occurred: at, received: at})
	}
	for i := range c.Subscriptions.Rows() {
		s := c.Subscriptions
		a := out[s.Column("account_id").At(i).Text]
		a.subscriptions = append(a.subscriptions, rawTerm{
			s.Column("plan").At(i).Text, s.Column("billing").At(i).Text, s.Column("movement").At(i).Text, s.Column("cancel_reason").At(i).Text,
			s.Column("seats").Numbers[i], s.Column("mrr").Numbers[i], s.Column("contract").Numbers[i],
			s.Column("started_at").Times[i], s.Column("ended_at").Times[i], s.Column("renews_at").Times[i]})
	}
	return out
}

// known lists the distinct events that occurred and arrived before the moment,
// in the days before it.
func (a *rawAccount) known(moment, days int64) []rawEvent {
	var out []rawEvent
	seen := map[string]bool{}
	for _, e := range a.events {
		if e.occurred >= moment-days*day && e.occurred < moment && e.received < moment && !seen[e.id] {
			seen[e.id] = true
			out = append(out, e)
		}
	}
	return out
}

func (a *rawAccount) count(name string, moment, days int64) (n float64) {
	for _, e := range a.known(moment, days) {
		if e.event == name {
			n++
		}
	}
	return n
}

// before counts the events of the same number of days before the window.
func (a *rawAccount) before(name string, moment, days int64) (n float64) {
	for _, e := range a.known(moment, 2*days) {
		if e.event == name && e.occurred < moment-days*day {
			n++
		}
	}
	return n
}

func (a *rawAccount) trend(name string, moment, days int64) float64 {
	return math.Log((1 + a.count(name, moment, days)) / (1 + a.before(name, moment, days)))
}

func (a *rawAccount) users(moment, days int64) float64 {
	who := map[string]bool{}
	for _, e := range a.known(moment, days) {
		who[e.user] = true
	}
	delete(who, "") // of tickets
	return float64(len(who))
}

func (a *rawAccount) activeDays(moment, days int64) (n float64) {
	for d := range days {
		for _, e := range a.known(moment, days) {
			if e.event == "login" && e.occurred >= moment-(d+1)*day && e.occurred < moment-d*day {
				n++
				break
			}
		}
	}
	return n
}

func (a *rawAccount) sinceLogin(moment int64) float64 {
	best := math.NaN()
	for _, e := range a.known(moment, 90) {
		if ago := float64(moment-e.occurred) / float64(day); e.event == "login" && !(ago >= best) {
			best = ago
		}
	}
	return best
}

func (a *rawAccount) active(at int64) *rawTerm {
	for i := range a.subscriptions {
		if t := &a.subscriptions[i]; t.start <= at && (t.end == datasets.MissingTime || at < t.end) {
			return t
		}
	}
	return nil
}

// trialNumbers and customerNumbers are the numeric features by name.
func (a *rawAccount) trialNumbers(moment int64) map[string]float64 {
	return map[string]float64{
		"logins_2d": a.count("login", moment, 2), "logins_7d": a.count("login", moment, 7),
		"active_days_7d": a.activeDays(moment, 7), "users_7d": a.users(moment, 7),
		"reports_7d": a.count("report_viewed", moment, 7), "invites_7d": a.count("user_invited", moment, 7),
		"integrations_7d": a.count("integration_connected", moment, 7), "tickets_7d": a.count("ticket_opened", moment, 7),
		"days_since_login": a.sinceLogin(moment),
	}
}

func (a *rawAccount) customerNumbers(moment int64) map[string]float64 {
	now := a.active(moment)
	var first int64 // start of the contract
	for _, s := range a.subscriptions {
		if s.start <= moment && (s.movement == "new" || s.movement == "winback") {
			first = s.start
		}
	}
	renewal := math.NaN()
	if now.billing == "annual" {
		at := first
		for at <= moment {
			at += 365 * day
		}
		renewal = float64(at-moment) / float64(day)
	}
	return map[string]float64{
		"seats": now.seats, "mrr": now.mrr, "tenure_days": float64(moment-first) / float64(day), "days_to_renewal": renewal,
		"logins_7d": a.count("login", moment, 7), "logins_28d": a.count("login", moment, 28), "logins_90d": a.count("login", moment, 90),
		"logins_28d_trend": a.trend("login", moment, 28), "active_days_28d": a.activeDays(moment, 28),
		"users_28d": a.users(moment, 28), "seat_utilisation": a.users(moment, 28) / now.seats,
		"reports_28d": a.count("report_viewed", moment, 28), "reports_28d_trend": a.trend("report_viewed", moment, 28),
		"exports_28d": a.count("export_made", moment, 28), "invites_28d": a.count("user_invited", moment, 28),
		"invites_90d": a.count("user_invited", moment, 90), "integrations_90d": a.count("integration_connected", moment, 90),
		"tickets_28d": a.count("ticket_opened", moment, 28), "tickets_90d": a.count("ticket_opened", moment, 90),
		"days_since_login": a.sinceLogin(moment),
	}
}

// left says that there is an instant of [moment, end) without an active
// subscription: the first such instant is the end of one.
func (a *rawAccount) left(moment, end int64) bool {
	for _, t := range a.subscriptions {
		if t.end != datasets.MissingTime && t.end >= moment && t.end < end && a.active(t.end) == nil {
			return true
		}
	}
	return false
}

func (a *rawAccount) paysMore(moment, end int64) bool {
	then := a.active(end)
	return then != nil && then.mrr >= 1.1*a.active(moment).mrr
}

func TestFinishedTablesAgreeWithRaw(t *testing.T) {
	c := company()
	raw := exported()
	late := 0
	for _, x := range []struct {
		name  string
		table *datasets.Table
		every int // rows between those looked at
		count func(a *rawAccount, moment int64) map[string]float64
		given []string // columns checked otherwise or not from events
	}{
		{"conversion", c.Conversion, 9, (*rawAccount).trialNumbers, []string{"team_size", "mrr"}},
		{"churn", c.Churn, 31, (*rawAccount).customerNumbers, []string{"team_size"}},
	} {
		for i := 0; i < x.table.Rows(); i += x.every {
			a := raw[x.table.Column("account_id").At(i).Text]
			moment := x.table.Column("moment").Times[i]
			want := x.count(a, moment)
			numbers := 0
			for k := range x.table.Columns {
				col := &x.table.Columns[k]
				if col.Kind != datasets.Number {
					continue
				}
				numbers++
				if w, ok := want[col.Name]; ok && !same(col.Numbers[i], w) {
					t.Errorf("%s, row %d: %s is %v, by definition %v", x.name, i, col.Name, col.Numbers[i], w)
				}
			}
			if numbers != len(want)+len(x.given) {
				t.Fatalf("%s has %d numbers, the definitions are %d and %d", x.name, numbers, len(want), len(x.given))
			}
			for _, name := range []string{"country", "company_size", "industry", "channel"} {
				if got, w := x.table.Column(name).At(i), c.Accounts.Column(name).At(a.row); got != w {
					t.Errorf("%s, row %d: %s is %v, the accounts table has %v", x.name, i, name, got, w)
				}
			}
			for _, name := range []string{"role", "team_size", "use_case", "heard_from", "newsletter"} {
				var w datasets.Value
				if a.answer >= 0 && c.Answers.Column("answered_at").Times[a.answer] < moment {
					w = c.Answers.Column(name).At(a.answer)
				}
				if got := x.table.Column(name).At(i); got != w {
					t.Errorf("%s, row %d: %s is %v, want %v", x.name, i, name, got, w)
				}
			}
			for _, e := range a.events {
				if e.occurred < moment && e.received >= moment && e.occurred >= moment-7*day {
					late++
				}
			}
		}
	}
	if late == 0 {
		t.Error("no row of the sample has an event that had occurred but not arrived: the test tells nothing of arrival")
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestLabelsAgreeWithRaw(t *testing.T) {
	c := company()
	raw := exported()
	for i := range c.Conversion.Rows() {
		a := raw[c.Conversion.Column("account_id").At(i).Text]
		moment := c.Conversion.Column("moment").Times[i]
		if moment != a.created+7*day {
			t.Fatalf("conversion, row %d: the moment is not 7 days after sign-up", i)
		}
		if a.active(moment) != nil {
			t.Fatalf("conversion, row %d: a customer already", i)
		}
		want := len(a.subscriptions) > 0 && a.subscriptions[0].start >= moment && a.subscriptions[0].start < moment+14*day
		if got := c.Conversion.Column("converted").Numbers[i] == 1; got != want {
			t.Errorf("conversion, row %d: %t, by definition %t", i, got, want)
		}
	}
	rows := make(map[string]int)
	for i := range c.Churn.Rows() {
		id := c.Churn.Column("account_id").At(i).Text
		rows[id]++
		a := raw[id]
		moment := c.Churn.Column("moment").Times[i]
		now := a.active(moment)
		if now == nil || moment+90*day > c.AsOf {
			t.Fatalf("churn, row %d: not active, or its horizon is not over", i)
		}
		if got, want := c.Churn.Column("churned").Numbers[i] == 1, a.left(moment, moment+90*day); got != want {
			t.Errorf("churn, row %d: %t, by definition %t", i, got, want)
		}
		if got, want := c.Upsell.Column("upsold").Numbers[i] == 1, a.paysMore(moment, moment+90*day); got != want {
			t.Errorf("upsell, row %d: %t, by definition %t", i, got, want)
		}
		if got := c.Churn.Column("plan").At(i).Text; got != now.plan {
			t.Errorf("churn, row %d: plan %s, want %s", i, got, now.plan)
		}
		if got := c.Churn.Column("billing").At(i).Text; got != now.billing {
			t.Errorf("churn, row %d: billing %s, want %s", i, got, now.billing)
		}
	}
	// No row is lacking but those that were counted as censored.
	var censored Censored
	for id, a := range raw {
		if moment := a.created + 7*day; moment < c.AsOf && moment+14*day > c.AsOf {
			censored.Conversion++
		}
		due := 0
		for m := range months {
			moment := monthStart(m)
			switch {
			case a.active(moment) == nil:
			case moment+90*day > c.AsOf:
				censored.Churn++
				censored.Upsell++
			default:
				due++
			}
		}
		if due != rows[id] {
			t.Errorf("%s has %d rows, want %d", id, rows[id], due)
		}
	}
	if censored != c.Censored {
		t.Errorf("censored %+v, by definition %+v", c.Censored, censored)
	}
}

func TestRawTablesHoldTogether(t *testing.T) {
	c := company()
	raw := exported()
	first := make(map[string]rawEvent)
	var days, twice, corrected int
	quantity := map[string]float64{}
	for i := range c.Events.Rows() {
		id, q := c.Events.Column("event_id").At(i).Text, c.Events.Column("quantity").Numbers[i]
		if before, ok := quantity[id]; ok && !same(before, q) {
			corrected++
		}
		quantity[id] = q
	}
	moves := map[string]int{}
	for id, a := range raw {
		for _, e := range a.events {
			if e.occurred < a.created || e.received < e.occurred || e.received == e.occurred && e.event != "ticket_opened" || e.received >= c.AsOf {
				t.Fatalf("%s: event %+v, sign-up %d, end %d", id, e, a.created, c.AsOf)
			}
			if e.received-e.occurred > day {
				days++
			}
			if f, ok := first[e.id]; ok {
				twice++
				if f.user != e.user || f.event != e.event || f.occurred != e.occurred || f.received > e.received {
					t.Fatalf("event %s was delivered as %+v and then as %+v", e.id, f, e)
				}
				continue
			}
			first[e.id] = e
		}
		for i, s := range a.subscriptions {
			moves[s.movement]++
			var before rawTerm
			if i > 0 {
				before = a.subscriptions[i-1]
			}
			follows := before.end == s.start && before.contract == s.contract && before.plan == s.plan && before.reason == ""
			ok := map[string]bool{
				"new":         i == 0 && s.contract == 1,
				"winback":     i > 0 && s.contract == before.contract+1 && s.start >= before.end+100*day && before.reason != "",
				"expansion":   follows && s.seats >= 1.15*before.seats,
				"contraction": follows && s.seats <= 0.85*before.seats && s.seats >= 1,
				"renewal":     follows && s.seats == before.seats && s.billing == "annual" && s.start == before.renews,
			}
			if !ok[s.movement] {
				t.Fatalf("%s: after %+v comes %+v", id, before, s)
			}
			if left := s.end != datasets.MissingTime && a.active(s.end) == nil; left != (s.reason != "") {
				t.Fatalf("%s: a reason to leave, or none: %+v", id, s)
			}
			if s.start < a.created+7*day || s.start >= c.AsOf || s.end != datasets.MissingTime && (s.end <= s.start || s.end >= c.AsOf) {
				t.Fatalf("%s: subscription %+v", id, s)
			}
		}
	}
	if days == 0 || twice == 0 || corrected == 0 || len(moves) != len(movements) {
		t.Errorf("%d events arrived more than a day late, %d twice, %d were corrected, %v", days, twice, corrected, moves)
	}
	if n := len(c.Events.Column("event_id").Values) + c.Tickets.Rows(); n != len(first) {
		t.Errorf("%d events and tickets are spelled, %d are there", n, len(first))
	}
}
