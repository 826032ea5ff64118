package spec_test

import (
	"strconv"
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

// A hostile file is refused before it costs much.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"large":     {"version: 1 #" + strings.Repeat(" ", 256<<10), "line 1: the file has"},
		"not UTF-8": {"version: 1\naccount: \xff\n", "not UTF-8"},
		"many columns": {"version: 1\naccount: a\nsources: {e: {time: t}}\nfeatures:\n  - {name: f, from: e, by: b, values: [" + numbers(1, 2000) + "], windows: [" + windows(1, 100) + "]}\n",
			"line 5: feature f: with it the row has 200000 columns, of at most 10000"},
		"many faults":  {"version: 1\nfeatures:\n" + strings.Repeat("  - {}\n", 300), "faults more"},
		"many aliases": {"version: 1\naccount: a\nsources: {e: {time: t, missing: &m [" + numbers(1, 2000) + "]}}\nfeatures:\n" + strings.Repeat("  - {name: f, from: e, values: *m}\n", 300), "aliases make this file too large"},
	} {
		_, err := spec.Parse([]byte(c.text))
		says(t, err, c.want)
		if lines := strings.Count(err.Error(), "\n"); lines > 110 {
			t.Errorf("%s: %d lines", name, lines)
		}
	}
}

func numbers(from, to int) string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return strings.Join(out, ", ")
}

func windows(from, to int) string {
	return strings.ReplaceAll(numbers(from, to), ",", "d,") + "d"
}
