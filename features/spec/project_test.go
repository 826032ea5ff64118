package spec_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/spec"
)

func outputs(p *spec.Project) string {
	var names []string
	for _, o := range p.Outputs() {
		names = append(names, o.Name)
	}
	return strings.Join(names, " ")
}

func columns(p *spec.Project, source string) string {
	var out []string
	for _, c := range p.Uses(source) {
		out = append(out, c.Name+":"+c.Kind.String())
	}
	return strings.Join(out, " ")
}

// What the file leaves open has its default.
func TestDefaults(t *testing.T) {
	p := parse(t, `version: 1
account: account_id
sources:
  accounts: {path: a.csv}
  users: {path: u.csv, user: id}
  events: {path: e.csv, time: at, user: user_id}
  clicks: {path: c.csv, time: at, user: user_id, account: company}
  contracts: {path: s.csv, start: from, end: to}
  moves: {path: m.csv, from_account: old, into: new, time: at}
  nightly: {path: n.csv, kind: snapshots, time: day}
features:
  - {name: n, from: contracts.start}
  - {name: ends, from: contracts.end, windows: 7d}
models:
  m: {moments: {every: 1w}, label: {event: contracts, within: 90d}}
  s: {moments: {every: 1mo}, label: {state: contracts.active, after: 90d}}
`)
	want := []spec.Source{
		{Name: "accounts", Kind: spec.Attributes, Account: "account_id"},
		{Name: "users", Kind: spec.Users, Account: "account_id", User: "id"},
		{Name: "events", Kind: spec.Events, User: "user_id"}, // its account is that of the user
		{Name: "clicks", Kind: spec.Events, User: "user_id", Account: "company"},
		{Name: "contracts", Kind: spec.Intervals, Account: "account_id"},
		{Name: "moves", Kind: spec.Merges},
		{Name: "nightly", Kind: spec.Snapshots, Account: "account_id"},
	}
	for i, s := range p.Sources {
		if w := want[i]; s.Name != w.Name || s.Kind != w.Kind || s.Account != w.Account || s.User != w.User || s.Line != 4+i {
			t.Errorf("%+v", s)
		}
	}
	if p.Timezone != "UTC" || p.Location().String() != "UTC" {
		t.Errorf("%s", p.Timezone)
	}
	if f := p.Features[0]; f.Agg != spec.Count || f.From != "contracts" {
		t.Errorf("%+v", f)
	}
	if f := p.Features[1]; f.From != "contracts.end" || len(f.Windows) != 1 || outputs(p) != "n ends_7d" {
		t.Errorf("%+v, %s", f, outputs(p))
	}
	m, s := p.Models[0], p.Models[1]
	if m.Label.From != "contracts.start" || m.Moments.Every.String() != "7d" || s.Label.From != "contracts" || !s.Label.Is {
		t.Errorf("%+v\n%+v", m, s)
	}
	again(t, p)
}

// A source has the columns that anything names, roles apart, with the kinds that
// follow from their use.
func TestUses(t *testing.T) {
	p := parse(t, `version: 1
account: a
sources:
  events:
    {path: e.csv, time: t, user: u, id: i, where: 'kept != "no"', types: {declared: boolean, listed: text},
     checks: {required: [r], references: {plan: plans.id}, after: [plans.start by plan]}}
  plans: {path: p.csv, start: s, end: e, amount: mrr, currency: c, renews: again, at_end: [reason]}
features:
  - {name: f, from: events, agg: ratio, value: v, over: o, by: b, values: [x], where: 'w > 1'}
  - {name: g, from: events, agg: distinct, value: u}
  - {name: h, from: events, agg: last, value: listed}
models:
  m:
    moments: {before: [30d], of: plans}
    label: {change: plans.mrr, by: -10%, after: 1mo}
    since: 2024-06-01
    until: "2024-07-01T12:00:00+02:00"
`)
	if got, want := columns(p, "events"), "b:category declared:boolean kept: listed:text o:number plan: r: u:text v:number w:"; got != want {
		t.Errorf("%s", got)
	}
	if got, want := columns(p, "plans"), "again:time id: mrr:number plan:"; got != want {
		t.Errorf("%s", got)
	}
	if m := p.Models[0]; m.Label.By != -0.1 || m.Moments.Since != 1717200000e6 || m.Moments.Until != 1719828000e6 {
		t.Errorf("%+v", m)
	}
	again(t, p)
}

// Kinds found in the data are held against what is done with them.
func TestCheck(t *testing.T) {
	p := parse(t, `version: 1
account: a
sources:
  events: {path: e.csv, time: t}
features:
  - {name: plan, from: events, agg: last, value: plan}
  - {name: pro, from: events, where: 'seats > 3'}
derived:
  - {name: big, expr: 'pro / plan'}
`)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	if got := columns(p, "events"); got != "plan: seats:" {
		t.Fatal(got)
	}
	p.Sources[0].Columns[0].Kind, p.Sources[0].Columns[1].Kind = datasets.Number, datasets.Number
	if err := p.Check(); err != nil || p.Outputs()[0].Kind != datasets.Number || p.Outputs()[2].Kind != datasets.Number {
		t.Errorf("%v, %v", err, p.Outputs())
	}
	again(t, p)
	p.Sources[0].Columns[1].Kind = datasets.Category
	says(t, p.Check(), "line 7: feature pro: where:")
	p.Sources[0].Columns[0].Kind, p.Sources[0].Columns[1].Kind = datasets.Category, datasets.Number
	says(t, p.Check(), "line 9: derived big:")
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %q", err, w)
		}
	}
}

func TestExports(t *testing.T) {
	p := parse(t, `version: 1
sources:
  tracks: {path: t.csv, export: segment}
  groups: {path: g.csv, export: segment, kind: users}
  companies: {path: c.csv, export: segment, kind: attributes, arrived: loaded_at}
  posthog: {path: p.parquet, export: posthog, account: company}
  stripe: {path: s.csv, export: stripe, account: company_id}
  chargebee: {path: b.csv, export: chargebee, at_end: [status]}
features:
  - {name: n, from: tracks}
`)
	for i, want := range []spec.Source{
		{Kind: spec.Events, User: "user_id", ID: "id", Time: "timestamp", Arrived: "received_at"},
		{Kind: spec.Users, Account: "group_id", User: "user_id", ID: "id", Time: "timestamp", Arrived: "received_at"},
		{Kind: spec.Attributes, Account: "group_id", ID: "id", Time: "timestamp", Arrived: "loaded_at"},
		{Kind: spec.Events, Account: "company", User: "distinct_id", ID: "uuid", Time: "timestamp", Arrived: "created_at"},
		{Kind: spec.Intervals, Account: "company_id", ID: "id", Start: "start_date", End: "ended_at", Renews: "current_period_end"},
		{Kind: spec.Intervals, Account: "customer_id", ID: "id", Start: "started_at", End: "cancelled_at", Amount: "mrr", Currency: "currency_code", Renews: "current_term_end"},
	} {
		s := p.Sources[i]
		got := spec.Source{Kind: s.Kind, Account: s.Account, User: s.User, ID: s.ID, Time: s.Time, Arrived: s.Arrived, Start: s.Start, End: s.End,
			Amount: s.Amount, Currency: s.Currency, Renews: s.Renews}
		if got.Name = ""; !equalSource(got, want) {
			t.Errorf("%s: %+v", s.Name, got)
		}
	}
	// What is only known at the end of a subscription is not shown before.
	for _, c := range []string{"status", "canceled_at", "cancel_at_period_end"} {
		if !slices.Contains(p.Source("stripe").AtEnd, c) {
			t.Errorf("stripe shows %s", c)
		}
	}
	if got := p.Source("chargebee").AtEnd; !slices.Equal(got, []string{"status"}) {
		t.Errorf("%v", got)
	}
	again(t, p)
}

func equalSource(a, b spec.Source) bool {
	return equal(&spec.Project{Sources: []spec.Source{a}}, &spec.Project{Sources: []spec.Source{b}}) == ""
}

func TestPresets(t *testing.T) {
	p := parse(t, `version: 1
account: a
sources:
  accounts: {path: a.csv, time: created_at}
  events: {path: e.csv, time: at, user: user_id}
  subscriptions: {path: s.csv, start: from, end: to, amount: mrr}
  tickets: {path: t.csv, start: opened, end: closed}
  surveys: {path: n.csv, time: at}
features:
  - {preset: signup_form, columns: [industry, team_size]}
  - {preset: trial_usage, name: use, by: event, values: [login], windows: [7d]}
  - {preset: tickets, value: satisfaction, windows: [28d]}
presets: [subscription, nps]
`)
	want := "industry team_size days_since_signup use_7d use_7d_trend use_login_7d use_days_7d use_users_7d use_since_last use_streak use_to_first" +
		" tickets_28d tickets_28d_trend tickets_since_last tickets_open tickets_satisfaction_28d" +
		" subscriptions_active subscriptions_amount subscriptions_started_90d subscriptions_started_365d subscriptions_ended_90d subscriptions_ended_365d" +
		" subscriptions_tenure subscriptions_since_last surveys_last surveys_mean surveys_min surveys_answers surveys_since_last"
	if got := outputs(p); got != want {
		t.Errorf("%s", got)
	}
	if got := columns(p, "tickets"); got != "satisfaction:number" {
		t.Errorf("%s", got)
	}
	if f := p.Features[0]; f.Agg != spec.First || f.Line != 10 {
		t.Errorf("%+v", f)
	}
	again(t, p)
}

// The resolved form has no paths, and one spelling.
func TestYAML(t *testing.T) {
	p := parse(t, company)
	got, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/company.yaml")
	if os.Getenv("REWRITE") != "" {
		err = os.WriteFile("testdata/company.yaml", got, 0o644)
		want = got
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\n%s", err, got)
	}
	again(t, p)
}

// A model's part has what its rows stand on, and gives the same columns of them.
func TestOf(t *testing.T) {
	p := parse(t, `version: 1
account: a
sources:
  accounts: {path: a.csv, time: created_at, types: {country: category}}
  events: {path: "secret/e.csv", time: t}
  tickets: {path: t.csv, time: t, types: {kind: category}}
  plans: {path: p.csv, start: s, end: e}
features:
  - {name: logins, from: events, windows: [7d, 28d]}
  - {name: seconds, from: events, agg: sum, value: seconds}
  - {name: tickets, from: tickets, agg: last, value: kind}
  - {name: country, from: accounts, agg: last, value: country}
derived:
  - {name: half, expr: 'logins_7d / 2'}
  - {name: other, expr: 'seconds * 2'}
  - {name: quarter, expr: 'half / 2'}
populations:
  known: 'present(tickets)'
  all: 'true'
models:
  some: {moments: {every: 1mo, while: plans.active}, label: {event: plans.end, within: 90d}, features: [quarter, logins_28d], population: known}
  whole: {moments: {every: 1mo}, label: {event: plans.end, within: 90d}}
`)
	some := p.Of("some")
	if got := outputs(some); got != "logins_7d logins_28d tickets half quarter" {
		t.Errorf("%s", got)
	}
	if len(some.Sources) != 4 || len(some.Populations) != 1 || len(some.Models) != 1 || columns(some, "events") != "seconds:number" {
		t.Errorf("%+v", some)
	}
	again(t, some)
	if whole := p.Of("whole"); outputs(whole) != outputs(p) || len(whole.Populations) != 0 {
		t.Errorf("%+v", whole)
	}
	if p.Of("none") != nil {
		t.Error("of a model that is not there")
	}
	if y, err := some.YAML(); err != nil || bytes.Contains(y, []byte("secret")) {
		t.Errorf("%v\n%s", err, y)
	}
}
