package online

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/features/facts"
)

// trialFile has the sources and features of the measurement of scores by account while
// facts are posted (bench).
const trialFile = `
version: 1
account: account_id
sources:
  events:        {path: e.csv, time: at, id: id, types: {event: category, seconds: number}}
  subscriptions: {path: s.csv, start: started_at, end: ended_at, id: id, amount: mrr, types: {plan: category, mrr: number}}
features:
  - {name: logins, from: events, where: 'event == "login"', agg: count, windows: [7d, 28d, 90d], trend: true}
  - {name: exports, from: events, where: 'event == "export"', agg: count, windows: [7d, 28d, 90d]}
  - {name: seconds, from: events, agg: sum, value: seconds, windows: [7d, 28d, 90d], trend: true}
  - {name: kinds, from: events, agg: distinct, value: event, windows: [7d, 28d, 90d]}
  - {name: days, from: events, agg: active_days, windows: [7d, 28d, 90d]}
  - {name: since, from: events, agg: days_since, windows: [90d]}
  - {name: plan, from: subscriptions, agg: last, value: plan}
  - {name: mrr, from: subscriptions, agg: active_sum, value: mrr}
models:
  churn: {moments: {every: 1mo}, label: {event: subscriptions.end, within: 90d}}
`

// trialFacts are 300 events and a subscription of an account within the half year before
// an instant.
func trialFacts(rng *rand.Rand, account string, now int64) (list []facts.Fact) {
	for i := range 300 {
		at := now - rng.Int64N(180*24*3600)*1e6 - 1e6
		list = append(list, facts.Fact{Source: "events", Account: account, ID: fmt.Sprint(i), Occurred: at, Arrived: at, End: datasets.MissingTime, Values: map[string]datasets.Value{
			"event": {Kind: datasets.Category, Text: []string{"login", "export", "view"}[rng.IntN(3)]}, "seconds": {Kind: datasets.Number, Number: rng.Float64() * 100},
		}})
	}
	at := now - 200*day
	return append(list, facts.Fact{Source: "subscriptions", Account: account, ID: "1", Occurred: at, Arrived: at, End: datasets.MissingTime, Values: map[string]datasets.Value{
		"plan": {Kind: datasets.Category, Text: "pro"}, "mrr": {Kind: datasets.Number, Number: 49},
	}})
}

// trialStores are an empty store of each kind that needs no server.
func trialStores(b *testing.B) iter.Seq2[string, Store] {
	return func(yield func(string, Store) bool) {
		for _, at := range []string{"memory:", "sqlite:" + filepath.Join(b.TempDir(), "facts.db")} {
			s, err := Open(b.Context(), at)
			if err != nil {
				b.Fatal(err)
			}
			more := yield(at[:6], s)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			if !more {
				return
			}
		}
	}
}

// BenchmarkRow makes the row of an account that is not in memory, from each store.
func BenchmarkRow(b *testing.B) {
	const accounts = 100
	plan := planOf(b, trialFile)
	now := time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for kind, s := range trialStores(b) {
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range accounts {
			if err := s.Append(b.Context(), trialFacts(rng, fmt.Sprint("S-", i), now)); err != nil {
				b.Fatal(err)
			}
		}
		live := NewAccounts(s, 0) // which keeps nothing
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := live.Row(context.Background(), plan, fmt.Sprint("S-", i%accounts), now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAppend adds batches of 200 facts of other accounts.
func BenchmarkAppend(b *testing.B) {
	now := time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for kind, s := range trialStores(b) {
		rng := rand.New(rand.NewPCG(1, 1))
		list := trialFacts(rng, "A", now)[:200]
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				for i := range list {
					list[i].Account, list[i].ID, list[i].Arrived = fmt.Sprint("A-", rng.IntN(20_000)), fmt.Sprint(n, "-", i), datasets.MissingTime
				}
				if err := s.Append(context.Background(), list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
