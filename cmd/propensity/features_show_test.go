package main

import (
	"encoding/json"
	"testing"
)

const showFile = `version: 1
account: account_id
sources:
  accounts: {path: accounts.csv, time: created}
  events: {path: events.csv, time: at, arrived: seen, id: id, types: {event: category, n: number}}
  subscriptions: {path: subscriptions.csv, start: started, end: ended, at_end: [reason]}
features:
  - {name: logins, from: events, where: 'event == "login"', windows: [7d], trend: true}
  - {name: n, from: events, agg: sum, value: n}
  - {name: reason, from: subscriptions, agg: last, value: reason}
derived:
  - {name: twice, expr: '2 * logins_7d'}
models:
  churn:
    moments: {every: 1mo, while: subscriptions.active}
    label: {event: subscriptions.end, within: 30d}
    features: [logins, twice]
`

// What is behind a value, what is not and why, for people and as JSON.
func TestFeaturesShow(t *testing.T) {
	inFolder(t)
	write(t, "propensity.yaml", showFile)
	write(t, "accounts.csv", "account_id,created\nA-17,2024-01-01\nB,2024-01-01\n")
	write(t, "events.csv", `account_id,id,event,n,at,seen
A-17,1,login,1,2024-02-25,2024-02-25
A-17,2,login,2,2024-02-26,2024-02-26
A-17,3,call,,2024-02-27,2024-02-27
A-17,4,login,4,2024-02-28,2024-03-02
A-17,5,login,8,2024-03-01,2024-03-01
A-17,6,login,16,2024-02-20,2024-02-20
A-17,6,login,32,2024-02-21,2024-02-22
A-17,7,login,64,2023-12-01,2023-12-01
B,8,login,128,2024-02-28,2024-02-28
`)
	write(t, "subscriptions.csv", "account_id,started,ended,reason\nA-17,2024-01-01,2024-03-15,price\n")
	s := must(t, exitDone, "features", "show", "--account", "A-17", "--at", "2024-03-01")
	mentions(t, s.out, "A-17 at 2024-03-01T00:00:00Z",
		"logins_7d = 2   number of events, where `event == \"login\"`, in the 7d before the moment",
		"  2024-02-23T00:00:00Z to 2024-03-01T00:00:00Z: 2 facts",
		"    2024-02-26T00:00:00Z event=login n=2",
		"  without 1: at or after the moment; the newest: 2024-03-01T00:00:00Z event=login n=8",
		"  without 1: had not arrived; the newest: 2024-02-28T00:00:00Z event=login n=4 (arrived 2024-03-02T00:00:00Z)",
		"  without 1: corrected before the moment; the newest: 2024-02-20T00:00:00Z event=login n=16 (corrected 2024-02-22T00:00:00Z)",
		"  without 2: before the window; the newest: 2024-02-21T00:00:00Z event=login n=32 (arrived 2024-02-22T00:00:00Z)",
		"  without 1: not what where or by asks for; the newest: 2024-02-27T00:00:00Z event=call",
		"logins_7d_trend = 2 ", "2 facts, and 1 in the window before",
		"n = 99 ", "  without 1: has no value", // 1 + 2 + 32 + 64
		"reason = missing ", "  without 1: has no value; the newest: 2024-01-01T00:00:00Z\n", // what the end says is not shown before it
		"twice = 4 ", "  logins_7d = 2")

	s = must(t, exitDone, "features", "show", "--account", "A-17", "--at", "2024-03-01", "--model", "churn", "--json")
	shown := decode[struct {
		Columns []struct {
			Name   string
			Value  json.RawMessage
			Facts  int
			First  []struct{ Occurred string }
			Inputs []struct{ Name string }
		}
		Model struct {
			Moment, Kept, Open bool
			Label              *float64
		}
	}](t, s.out)
	if len(shown.Columns) != 3 || shown.Columns[0].Facts != 2 || string(shown.Columns[0].Value) != "2" || len(shown.Columns[0].First) != 2 {
		t.Errorf("%s", s.out)
	}
	if m := shown.Model; !m.Moment || !m.Kept || m.Open || m.Label == nil || *m.Label != 1 {
		t.Errorf("%s", s.out)
	}
	s = must(t, exitDone, "features", "show", "--account", "A-17", "--at", "2024-03-02T00:00:01Z", "--model", "churn", "--column", "n", "--facts", "1")
	mentions(t, s.out, "model churn: not one of its moments; the answer was yes", "n = 111 ", "    ... 4 more")

	mentions(t, must(t, exitUsage, "features", "show").err, "--account A-17")
	mentions(t, must(t, exitUsage, "features", "show", "--account", "A-17", "--at", "May").err, "--at")
	mentions(t, must(t, exitUsage, "features", "show", "--account", "A-17", "--column", "m").err, "--column m", "logins_7d")
	mentions(t, must(t, exitUsage, "features", "show", "--account", "A-17", "--model", "m").err, "--model m", `"churn"`)
	mentions(t, must(t, exitFailed, "features", "show", "--account", "C").err, `"C"`)
}
