package spec_test

import (
	"strings"
	"testing"

	"propensity/features/spec"
)

const company = `version: 1
account: account_id
timezone: Europe/Berlin
sources:
  accounts:      {path: accounts.csv, time: created_at, types: {country: category}}
  events:        {path: "events/*.parquet", time: occurred_at, arrived: received_at, id: event_id}
  subscriptions: {path: subscriptions.csv, start: started_at, end: ended_at, amount: mrr, renews: renews_at, types: {plan: category}}
features:
  - {name: logins, from: events, where: 'event == "login"', agg: count, windows: [7d, 28d, 90d], trend: true}
  - {name: seconds, from: events, agg: sum, value: seconds, by: event, values: [login, "live chat"], windows: [28d]}
  - {name: plan,   from: subscriptions, value: plan, agg: last}
  - {from: accounts, columns: [country, industry]}
derived:
  - {name: per_seat, expr: 'logins_28d / seconds_login_28d'}
populations:
  paying: 'plan != "free"'
models:
  churn:
    moments: {every: 1mo, while: subscriptions.active}
    label:   {event: subscriptions.end, within: 90d}
    value:   mrr
  finished:
    data: churn.parquet
    label: {column: Churn, positive: "Yes"}
`

// The columns of the row are named and ordered as Outputs says.
func TestOutputs(t *testing.T) {
	p := parse(t, company)
	var got []string
	for _, o := range p.Outputs() {
		got = append(got, o.Name+" "+o.Kind.String())
	}
	want := `logins_7d number
logins_28d number
logins_90d number
logins_7d_trend number
logins_28d_trend number
logins_90d_trend number
seconds_login_28d number
seconds_live_chat_28d number
plan category
country category
industry ` + `
mrr number
per_seat number`
	if strings.Join(got, "\n") != want {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

func parse(t *testing.T, text string) *spec.Project {
	t.Helper()
	p, err := spec.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
