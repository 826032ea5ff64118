package sample

import (
	"math"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
)

// promise is a number of outcomes against their probabilities.
type promise struct{ came, promised, variance float64 }

func (x *promise) add(y, p float64) {
	x.came, x.promised, x.variance = x.came+y, x.promised+p, x.variance+p*(1-p)
}

// off is how many standard deviations more came than were promised.
func (x *promise) off() float64 { return (x.came - x.promised) / math.Sqrt(x.variance) }

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

func text(t *datasets.Table, column string, i int) string { return t.Column(column).At(i).Text }

func TestChannelsDiffer(t *testing.T) {
	c := company()
	p, y := truthOf(t, c, "conversion", c.Conversion), c.Conversion.Column("converted").Numbers
	var by, even [len(channels)]promise
	for i := range y {
		k := slices.Index(channels[:], text(c.Conversion, "channel", i))
		by[k].add(y[i], p[i])
		even[k].add(y[i], sigmoid(logit(p[i])-channelPull[k]))
	}
	for k := range channels {
		if math.Abs(by[k].off()) > 3.5 {
			t.Errorf("%s: %v converted, %.1f promised", channels[k], by[k].came, by[k].promised)
		}
	}
	for _, k := range []int{1, referral, partner} { // paid search draws down, these up
		if even[k].off()*channelPull[k] < 3*math.Abs(channelPull[k]) {
			t.Errorf("%s: without its effect %.1f would be promised, %v came: no difference", channels[k], even[k].promised, even[k].came)
		}
	}
}

// TestAha looks for the aha in the raw events.
func TestAha(t *testing.T) {
	c := company()
	p, y := truthOf(t, c, "conversion", c.Conversion), c.Conversion.Column("converted").Numbers
	var with, forgotten promise
	n := 0
	for i := range y {
		moment := c.Conversion.Column("moment").Times[i]
		seen := map[string]bool{}
		count := map[string]int{}
		for _, e := range exported()[text(c.Conversion, "account_id", i)].events {
			if e.occurred < moment && !seen[e.id] {
				seen[e.id] = true
				count[e.event]++
			}
		}
		if count["user_invited"] >= 3 && count["integration_connected"] >= 1 {
			n++
			with.add(y[i], p[i])
			forgotten.add(y[i], sigmoid(logit(p[i])-c.Laws().Aha.Effect))
		}
	}
	if math.Abs(with.off()) > 3.5 || forgotten.off() < 8 {
		t.Errorf("%d with the aha: %v converted, %.1f promised, %.1f without its effect", n, with.came, with.promised, forgotten.promised)
	}
	if share := float64(n) / float64(len(y)); share < 0.05 || share > 0.3 {
		t.Errorf("the share with the aha is %.3f", share)
	}
	if told := c.Laws().Aha.Accounts; told < n || told > n+c.Accounts.Rows()/50 { // those of the last week are no row
		t.Errorf("%d accounts are told to have had the aha, the rows show %d", told, n)
	}
}

// hazards are the shares of monthly contracts left in each month of theirs, of 30
// days, from 1 on.
func hazards(c *Company) (hazard, reached [13]float64) {
	for _, a := range exported() {
		for i, s := range a.subscriptions {
			if s.billing == "annual" || s.movement != "new" && s.movement != "winback" {
				continue
			}
			end := c.AsOf
			left := false
			for _, s := range a.subscriptions[i:] {
				if s.contract == a.subscriptions[i].contract && s.reason != "" {
					end, left = s.end, true
				}
			}
			for m := 1; m < len(reached); m++ {
				from, to := s.start+int64(m-1)*month, s.start+int64(m)*month
				if to > c.AsOf || from >= end {
					break
				}
				reached[m]++
				if left && end < to {
					hazard[m]++
				}
			}
		}
	}
	for m := range hazard {
		hazard[m] /= reached[m]
	}
	return hazard, reached
}

func TestContractsAreLeftMostInTheirKeyPeriod(t *testing.T) {
	hazard, reached := hazards(company())
	// The law counts months of the calendar after the first; by days they blur.
	key := (hazard[2] + hazard[3] + hazard[4]) / 3
	later := mean(hazard[6:13])
	if key < 1.5*later || key < 1.5*hazard[1] {
		t.Errorf("hazards by month %.3f, of %v contracts", hazard[1:], reached[1:])
	}
}

func TestOutreachHasItsEffect(t *testing.T) {
	c := company()
	raw := exported()
	truth := c.OutreachTruth
	var by [2]promise
	var count [2]float64
	var uplift, treated float64
	for i := range truth.Rows() {
		id, moment := text(truth, "account_id", i), truth.Column("moment").Times[i]
		if id != text(c.Outreach, "account_id", i) || text(truth, "arm", i) != text(c.Outreach, "arm", i) {
			t.Fatalf("row %d is of another account than its truth", i)
		}
		if at := c.Outreach.Column("assigned_at").Times[i]; at < moment-day || at >= moment || raw[id].active(at) == nil {
			t.Fatalf("row %d: assigned at %d, the month begins at %d", i, at, moment)
		}
		k := 0
		if text(truth, "arm", i) == "treated" {
			k = 1
			treated++
		}
		if moment+90*day > c.AsOf {
			continue
		}
		left := 0.0
		if raw[id].left(moment, moment+90*day) {
			left = 1
		}
		column := [...]string{"churn_if_control", "churn_if_treated"}[k]
		count[k]++
		by[k].add(left, truth.Column(column).Numbers[i])
		uplift += truth.Column("uplift").Numbers[i]
	}
	n := float64(truth.Rows())
	if coin := (treated - n/2) / math.Sqrt(n/4); math.Abs(coin) > 3.5 {
		t.Errorf("%v of %v are treated", treated, n)
	}
	for k, x := range by {
		if math.Abs(x.off()) > 3.5 {
			t.Errorf("%s: %v left, %.1f promised", arms[k+1], x.came, x.promised)
		}
	}
	// What an analyst would find, who knows nothing but the coin.
	control, called := by[0].came/count[0], by[1].came/count[1]
	sd := math.Sqrt(control*(1-control)/count[0] + called*(1-called)/count[1])
	if found, want := control-called, uplift/(count[0]+count[1]); math.Abs(found-want) > 3.5*sd {
		t.Errorf("the uplift found is %.4f, the true one %.4f, standard deviation %.4f", found, want, sd)
	}
	if mean := c.Laws().Outreach.MeanUplift; mean < 0.02 || mean > 0.06 {
		t.Errorf("the mean uplift is %.4f", mean)
	}
	// The truth of the churn table is that of the arm that the coin gave.
	chance := map[string]float64{}
	p := truthOf(t, c, "churn", c.Churn)
	for i := range c.Churn.Rows() {
		chance[text(c.Churn, "account_id", i)+c.Churn.Column("moment").At(i).String()] = p[i]
	}
	for i := range truth.Rows() {
		want := truth.Column("churn_if_" + text(truth, "arm", i)).Numbers[i]
		got, ok := chance[text(truth, "account_id", i)+truth.Column("moment").At(i).String()]
		if ok && got != want {
			t.Fatalf("outreach, row %d: churn is told as %v and %v", i, want, got)
		}
	}
}

func TestSharesOfEvents(t *testing.T) {
	c := company()
	var n, days, again, exports, corrected float64
	first := map[string]float64{} // quantity
	for i := range c.Events.Rows() {
		id, q := text(c.Events, "event_id", i), c.Events.Column("quantity").Numbers[i]
		before, known := first[id]
		if known {
			if same(before, q) {
				again++
			} else {
				corrected++
			}
			continue
		}
		first[id] = q
		n++
		if text(c.Events, "event", i) == "export_made" {
			exports++
		}
		if delay := c.Events.Column("received_at").Times[i] - c.Events.Column("occurred_at").Times[i]; delay > 10*60*second {
			days++
		}
	}
	told := c.Laws().Events
	for _, x := range []struct {
		what        string
		count, of   float64
		share, lack float64 // the share of them that cannot be told
	}{
		{"late", days, n, told.Late, math.Exp(-1 / 144.0)}, // more than ten minutes
		{"repeated", again, n, told.Repeated, 1},
		{"corrected", corrected, exports, told.Corrected * (1 - told.Repeated), 1},
	} {
		want := x.of * x.share * x.lack
		if math.Abs(x.count-want) > 4*math.Sqrt(want)+2 {
			t.Errorf("%s: %v of %v, want about %.1f", x.what, x.count, x.of, want)
		}
	}
}

func TestDrift(t *testing.T) {
	c := company()
	from := map[string]string{}
	for _, d := range c.Laws().Drift {
		name, _, _ := strings.Cut(d.What, ":")
		from[name] = d.From
	}
	names := map[string]bool{}
	for i := range c.Events.Rows() {
		name := text(c.Events, "event", i)
		if name == "report_viewed" || name == "report_opened" {
			names[name] = true
			if late := c.Events.Column("occurred_at").At(i).String() >= from["tracking"]; late != (name == "report_opened") {
				t.Fatalf("event %d: %s at %v", i, name, c.Events.Column("occurred_at").At(i))
			}
		}
	}
	if len(names) != 2 {
		t.Errorf("reports are called %v", names)
	}
	var paid, all [2]float64
	for i := range c.Accounts.Rows() {
		k := 0
		if c.Accounts.Column("created_at").At(i).String() >= from["channels"] {
			k = 1
		}
		all[k]++
		if text(c.Accounts, "channel", i) == "paid_search" {
			paid[k]++
		}
	}
	for k, want := range []float64{28.0 / 100, 56.0 / 128} {
		if math.Abs(paid[k]-all[k]*want) > 4*math.Sqrt(all[k]*want*(1-want)) {
			t.Errorf("paid search: %v of %v, want a share of %.3f", paid[k], all[k], want)
		}
	}
	before, after := monthOf(monthStart(baseDrift)-1), monthOf(monthStart(baseDrift))
	if got := datasets.FormatTime(monthStart(after)); got != from["base rates"] {
		t.Errorf("the base rates drift from %s, told %s", got, from["base rates"])
	}
	x := customer{plan: pro, firstMonth: 1}
	if d := logit(x.churnHazard(&profile{}, steady, after, none)) - logit(x.churnHazard(&profile{}, steady, before, none)); math.Abs(d-0.2) > 1e-9 {
		t.Errorf("the log-odds to leave change by %v", d)
	}
}

// TestOutages: who saw errors opens more tickets on that day than on the day a week
// before, and is the more likely to leave.
func TestOutages(t *testing.T) {
	c := company()
	chance := map[string]map[int64]float64{}
	p := truthOf(t, c, "churn", c.Churn)
	for i := range c.Churn.Rows() {
		id := text(c.Churn, "account_id", i)
		if chance[id] == nil {
			chance[id] = map[int64]float64{}
		}
		chance[id][c.Churn.Column("moment").Times[i]] = p[i]
	}
	if c.Outages.Rows() != outages {
		t.Fatalf("%d outages", c.Outages.Rows())
	}
	var during, before float64
	var risk, n [2]float64 // of those who saw none, and some
	for i := range outages {
		down, up := c.Outages.Column("started_at").Times[i], c.Outages.Column("ended_at").Times[i]
		next := monthStart(monthOf(down) + 1)
		for id, a := range exported() {
			saw := 0
			for _, e := range a.events {
				switch {
				case e.event == "error_seen" && e.occurred >= down && e.occurred < up:
					saw = 1
				case e.event == "ticket_opened" && e.occurred >= down && e.occurred < up:
					during++
				case e.event == "ticket_opened" && e.occurred >= down-7*day && e.occurred < up-7*day:
					before++
				}
			}
			if q, ok := chance[id][next]; ok && a.active(down) != nil {
				risk[saw] += q
				n[saw]++
			}
		}
	}
	if during < 5*before {
		t.Errorf("%v tickets during outages, %v a week before", during, before)
	}
	if saw, not := risk[1]/n[1], risk[0]/n[0]; saw < 1.2*not {
		t.Errorf("of %v who saw errors %.3f leave, of %v others %.3f", n[1], saw, n[0], not)
	}
}

// TestSilenceTells: those about to leave answer fewer surveys.
func TestSilenceTells(t *testing.T) {
	c := company()
	raw := exported()
	var answered, n [2]float64
	for i := range c.Surveys.Rows() {
		at := c.Surveys.Column("sent_at").Times[i]
		a := raw[text(c.Surveys, "account_id", i)]
		if a.active(at) == nil {
			t.Fatalf("survey %d was sent to nobody's customer", i)
		}
		if at+60*day > c.AsOf {
			continue
		}
		k := 0
		if a.left(at, at+60*day) {
			k = 1
		}
		n[k]++
		when := c.Surveys.Column("answered_at").Times[i]
		if score := c.Surveys.Column("score").Numbers[i]; math.IsNaN(score) != (when == datasets.MissingTime) || score < 0 || score > 10 {
			t.Fatalf("survey %d: answered at %d, %v", i, when, score)
		}
		if when != datasets.MissingTime {
			answered[k]++
		}
	}
	stay, leave := answered[0]/n[0], answered[1]/n[1]
	if sd := math.Sqrt(stay * (1 - stay) / n[1]); leave > stay-3*sd {
		t.Errorf("answered: %.3f of %v who stay, %.3f of %v who leave", stay, n[0], leave, n[1])
	}
}

// TestInvitationsSpread: users are those of the events, each of one account, and in
// trials nobody joins who was not invited.
func TestInvitationsSpread(t *testing.T) {
	c := company()
	owner := map[string]string{}
	joined := map[string]int64{}
	for i := range c.Users.Rows() {
		id := text(c.Users, "user_id", i)
		if owner[id] != "" {
			t.Fatalf("user %s is there twice", id)
		}
		owner[id], joined[id] = text(c.Users, "account_id", i), c.Users.Column("joined_at").Times[i]
	}
	for id, a := range exported() {
		users, invites := map[string]bool{}, 0
		for _, e := range a.events {
			if e.event == "ticket_opened" {
				continue
			}
			if owner[e.user] != id || joined[e.user] > e.occurred {
				t.Fatalf("%s, event %s: user %s is of %q since %d", id, e.id, e.user, owner[e.user], joined[e.user])
			}
			if e.occurred < a.created+7*day {
				users[e.user] = true
				if e.event == "user_invited" {
					invites++
				}
			}
		}
		if len(users) > 1+invites {
			t.Fatalf("%s: %d users in the first week after %d invitations", id, len(users), invites)
		}
	}
}

func TestMergedAccountsAreOfOneCompany(t *testing.T) {
	c := Simulate(Options{Accounts: 3000, Seed: 4})
	raw := readRaw(c)
	if n := c.Merges.Rows(); n < 3 {
		t.Fatalf("%d merges", n)
	}
	for i := range c.Merges.Rows() {
		from, into := raw[text(c.Merges, "from_account", i)], raw[text(c.Merges, "into_account", i)]
		at := c.Merges.Column("merged_at").Times[i]
		if len(from.subscriptions) > 0 || into.created > from.created || at < from.created+120*day || at >= c.AsOf {
			t.Errorf("merge %d: %+v into %+v at %d", i, from, into, at)
		}
		for _, name := range []string{"country", "company_size", "industry"} {
			if a, b := text(c.Accounts, name, from.row), text(c.Accounts, name, into.row); a != b {
				t.Errorf("merge %d: %s is %s and %s", i, name, a, b)
			}
		}
	}
}

// TestLeaksKnowTheOutcome: with the columns named as leaks the labels are plain.
func TestLeaksKnowTheOutcome(t *testing.T) {
	c := company()
	leaks := map[string]bool{}
	for _, l := range c.Laws().Leaks {
		leaks[l.File+" "+l.Column] = true
	}
	for _, name := range []string{"accounts.csv lifecycle", "accounts.csv total_paid", "subscriptions.csv cancel_reason"} {
		if !leaks[name] {
			t.Errorf("%s is not told as a leak", name)
		}
	}
	for i := range c.Conversion.Rows() {
		k := exported()[text(c.Conversion, "account_id", i)].row
		paid, bought := c.Accounts.Column("total_paid").Numbers[k] > 0, text(c.Accounts, "lifecycle", k) != "never bought"
		if converted := c.Conversion.Column("converted").Numbers[i] == 1; converted && !bought || paid && !bought {
			t.Fatalf("row %d: converted %t, lifecycle bought %t, paid %t", i, converted, bought, paid)
		}
	}
}

func TestNoiseTellsNothing(t *testing.T) {
	p := profile{channel: partner}
	q := p
	q.country, q.answer.heardFrom, q.answer.newsletter = 5, 3, true
	c := customer{plan: pro, firstMonth: 1}
	if conversionLogit(&p, firstWeek{logins: 3}) != conversionLogit(&q, firstWeek{logins: 3}) ||
		c.churnHazard(&p, steady, 2, none) != c.churnHazard(&q, steady, 2, none) ||
		c.upsellHazard(&p, steady, snug, 2) != c.upsellHazard(&q, steady, snug, 2) {
		t.Error("what is told to be noise tells something")
	}
}

// TestOnboardingStalls: some stop after a step or two, and they seldom buy.
func TestOnboardingStalls(t *testing.T) {
	c := company()
	step := map[string]float64{} // the last of each account's first week
	for i := range c.Events.Rows() {
		id := text(c.Events, "account_id", i)
		if text(c.Events, "event", i) == "onboarding_step" && c.Events.Column("occurred_at").Times[i] < exported()[id].created+7*day {
			step[id] = max(step[id], c.Events.Column("quantity").Numbers[i])
		}
	}
	var bought, n [2]float64
	for i, y := range c.Conversion.Column("converted").Numbers {
		k := 0
		if step[text(c.Conversion, "account_id", i)] == 5 {
			k = 1
		}
		n[k]++
		bought[k] += y
	}
	stalled, done := bought[0]/n[0], bought[1]/n[1]
	if share := n[0] / (n[0] + n[1]); share < 0.15 || share > 0.5 || done < 2*stalled {
		t.Errorf("%.2f did not finish the onboarding, of whom %.3f bought, of the others %.3f", share, stalled, done)
	}
}
