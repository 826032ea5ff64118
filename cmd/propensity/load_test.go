package main

import "testing"

const loadProject = `version: 1
account: account_id
sources:
  accounts:      {path: accounts.csv, time: created_at}
  events:        {path: events.csv, time: at, id: event_id, account: account_id, user: user_id}
  subscriptions: {path: subscriptions.csv, start: started_at, end: ended_at, amount: mrr}
  users:         {path: users.csv, user: user_id}
  merges:        {path: merges.csv, kind: merges, time: at, from_account: old, into: account_id}
features:
  - {name: logins, from: events, agg: count, windows: [28d]}
  - {name: mrr, from: subscriptions, agg: active_sum, value: mrr}
models:
  churn: {moments: {every: 1mo, while: subscriptions.active}, label: {event: subscriptions.end, within: 90d}}
`

// The facts of all kinds of sources are in the store, once, however often they are
// loaded; what cannot be used is told.
func TestLoad(t *testing.T) {
	inFolder(t)
	for name, text := range map[string]string{
		"propensity.yaml":   loadProject,
		"accounts.csv":      "account_id,created_at\nA,2025-01-01\nB,2025-01-02\n",
		"events.csv":        "account_id,user_id,event_id,at\nA,,e1,2025-02-01\n,u1,e2,2025-02-02\nB,,e3,2125-02-02\n,,e4,2025-02-02\n",
		"subscriptions.csv": "account_id,started_at,ended_at,mrr\nA,2025-01-05,,10\nA,2025-01-05,,10\n",
		"users.csv":         "account_id,user_id\nA,u1\n",
		"merges.csv":        "account_id,old,at\nA,B,2025-03-01\n",
	} {
		write(t, name, text)
	}
	for range 2 {
		got := must(t, exitDone, "load", "--store", "sqlite:facts.db")
		mentions(t, got.out, "8 facts are in the store")
		mentions(t, got.err, "dated after", "their user is of no account")
	}
	// The events are beyond the only window, of the subscriptions none has ended.
	got := must(t, exitDone, "load", "--store", "sqlite:facts.db", "--trim")
	mentions(t, got.out, "8 facts are in the store")
	mentions(t, got.err, "2 facts that no feature can show any more were taken out")
	mentions(t, must(t, exitUsage, "load").err, "name the store")
	mentions(t, must(t, exitUsage, "load", "--store", "facts.db").err, "no address of a store")
	mentions(t, must(t, exitUsage, "load", "--store", "postgres://${env:PROPENSITY_NOT_THERE}").err, "not there")
	mentions(t, must(t, exitFailed, "load", "--store", "sqlite:no/such/directory").err, "--store")
}
