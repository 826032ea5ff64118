package build_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

const companyFile = `version: 1
account: account_id
sources:
  events: {path: e.parquet, time: occurred_at, types: {kind: category, user_id: category, quantity: number, seconds: number}}
  subscriptions: {path: s.parquet, start: started_at, end: ended_at, types: {plan: category, mrr: number}}
features:
  - {name: login, from: events, where: 'kind == "login"', windows: [7d, 28d, 90d], trend: [28d]}
  - {name: invite, from: events, where: 'kind == "invite"', windows: [7d, 28d, 90d]}
  - {name: error, from: events, where: 'kind == "error"', windows: [7d, 28d, 90d]}
  - {name: api_quantity, from: events, where: 'kind == "api_call"', agg: sum, value: quantity, windows: [7d, 28d, 90d]}
  - {name: seconds, from: events, agg: sum, value: seconds, windows: [7d, 28d, 90d]}
  - {name: days, from: events, agg: active_days, windows: [7d, 28d, 90d]}
  - {name: users, from: events, agg: distinct, value: user_id, windows: [7d, 28d, 90d]}
  - {name: since_login, from: events, where: 'kind == "login"', agg: days_since, calendar: true}
  - {name: since_first, from: events, agg: days_since_first, calendar: true}
  - {name: events, from: events}
  - {name: quantity_max, from: events, agg: max, value: quantity, windows: [28d]}
  - {name: seconds_mean, from: events, agg: mean, value: seconds, windows: [28d]}
  - {name: error_share, from: events, agg: share, where: 'kind == "error"', windows: [28d]}
  - {name: n, from: events, by: kind, values: [login, api_call, report, export, error, invite, ticket, comment], windows: [28d]}
  - {name: plan, from: subscriptions, agg: last, value: plan}
  - {name: mrr, from: subscriptions, agg: last, value: mrr}
  - {name: age, from: subscriptions, agg: days_since}
models:
  churn: {moments: {every: 1mo, while: subscriptions.active}, since: 2024-02-01, until: 2026-02-01, label: {event: subscriptions.end, within: 90d}}
`

// busyPart is accounts with about 500 events each over two years.
func busyPart(accounts int) *facts.Part {
	rng := rand.New(rand.NewPCG(1, 1))
	kinds := []string{"login", "api_call", "report", "export", "error", "invite", "ticket", "comment"}
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	p := &facts.Part{Sources: make([]facts.Facts, 2)}
	e, s := &p.Sources[0], &p.Sources[1]
	e.First, s.First = []int{0}, []int{0}
	kind := datasets.Column{Name: "kind", Kind: datasets.Category, Values: kinds}
	user := datasets.Column{Name: "user_id", Kind: datasets.Category}
	quantity, seconds := datasets.Column{Name: "quantity", Kind: datasets.Number}, datasets.Column{Name: "seconds", Kind: datasets.Number}
	plan, mrr := datasets.Column{Name: "plan", Kind: datasets.Category, Values: []string{"a", "b"}}, datasets.Column{Name: "mrr", Kind: datasets.Number}
	for a := range accounts {
		p.Accounts = append(p.Accounts, fmt.Sprint(a))
		var at []int64
		for range 250 + rng.IntN(500) {
			at = append(at, begin+rng.Int64N(730*(24*3600e6)))
		}
		slices.Sort(at)
		users := 1 + rng.IntN(20)
		for u := range users {
			user.Values = append(user.Values, fmt.Sprint(a, "-", u))
		}
		for _, t := range at {
			e.Occurred = append(e.Occurred, t)
			kind.Codes = append(kind.Codes, int32(min(rng.IntN(12), 7)))
			user.Codes = append(user.Codes, int32(len(user.Values)-1-rng.IntN(users)))
			quantity.Numbers = append(quantity.Numbers, float64(rng.IntN(100)))
			seconds.Numbers = append(seconds.Numbers, rng.Float64()*100)
		}
		e.First = append(e.First, len(e.Occurred))
		t := begin + rng.Int64N(100*(24*3600e6))
		for k := range 2 {
			end := t + rng.Int64N(400*(24*3600e6))
			s.Occurred, s.End = append(s.Occurred, t), append(s.End, end)
			plan.Codes, mrr.Numbers = append(plan.Codes, int32(k)), append(mrr.Numbers, 10)
			t = end
		}
		s.First = append(s.First, len(s.Occurred))
	}
	e.Columns, s.Columns = []datasets.Column{kind, quantity, seconds, user}, []datasets.Column{mrr, plan}
	return p
}

// BenchmarkRows is the work of bench/ section H, a part of 2,000 accounts at a time: of
// facts that arrive at once, a day later, and up to two hours later.
func BenchmarkRows(b *testing.B) {
	project, err := spec.Parse([]byte(companyFile))
	if err != nil {
		b.Fatal(err)
	}
	plan, err := build.Compile(project)
	if err != nil {
		b.Fatal(err)
	}
	part := busyPart(2000)
	for i := range project.Sources {
		for k, c := range project.Sources[i].Columns {
			if part.Sources[i].Columns[k].Name != c.Name {
				b.Fatalf("column %d of %s is %s", k, project.Sources[i].Name, c.Name)
			}
		}
	}
	at, err := plan.Moments("churn", part, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for name, lag := range map[string]func() int64{"prompt": nil, "nightly": func() int64 { return 24 * 3600e6 }, "hours": func() int64 { return rng.Int64N(2 * 3600e6) }} {
		b.Run(name, func(b *testing.B) {
			e := &part.Sources[0]
			if e.Arrived = nil; lag != nil {
				for _, t := range e.Occurred {
					e.Arrived = append(e.Arrived, t+lag())
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.Rows(part, at); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(e.Rows()), "ns/event")
		})
	}
}

// BenchmarkOneRow is a live row: one account at one moment.
func BenchmarkOneRow(b *testing.B) {
	project, err := spec.Parse([]byte(companyFile))
	if err != nil {
		b.Fatal(err)
	}
	plan, err := build.Compile(project)
	if err != nil {
		b.Fatal(err)
	}
	part := busyPart(1)
	at := []build.Moment{{At: time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC).UnixMicro()}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.Rows(part, at); err != nil {
			b.Fatal(err)
		}
	}
}
