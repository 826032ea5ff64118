package serve

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/features/spec"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/registry"
)

// renewalProject is what the model renewal was learnt by.
const renewalProject = `
version: 1
account: account_id
sources:
  accounts:      {path: a.csv, time: created_at, types: {region: category, size: number}}
  events:        {path: e.csv, time: at, id: event_id, user: user_id, types: {event: category, seconds: number, due: time}}
  subscriptions: {path: s.csv, start: started_at, end: ended_at, id: subscription_id, amount: mrr, types: {plan: category, mrr: number}}
  users:         {path: u.csv, user: user_id}
  merges:        {path: m.csv, kind: merges, time: at, from_account: old, into: account_id}
features:
  - {name: logins, from: events, where: 'event == "login"', agg: count, windows: [28d]}
  - {name: seconds, from: events, agg: sum, value: seconds, windows: [28d]}
  - {name: due, from: events, agg: last, value: due}
  - {name: plan, from: subscriptions, agg: last, value: plan}
  - {name: mrr, from: subscriptions, agg: active_sum, value: mrr}
  - {name: region, from: accounts, agg: last, value: region}
models:
  renewal: {moments: {every: 1mo}, label: {event: subscriptions.end, within: 90d}}
`

func renewalPlan(t testing.TB) *build.Plan {
	t.Helper()
	p, err := spec.Parse([]byte(renewalProject))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := build.Compile(p.Of("renewal"))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// publishRenewal publishes a linear model that was learnt from facts, as champion.
func publishRenewal(t testing.TB, r *registry.Registry) {
	t.Helper()
	plan := renewalPlan(t)
	const rows = 60
	table, moments := &datasets.Table{}, make([]int64, rows)
	for i := range moments {
		moments[i] = moment
	}
	for _, o := range plan.Project().Outputs() {
		c := datasets.Column{Name: o.Name, Kind: o.Kind, Values: map[string][]string{"plan": {"free", "pro"}, "region": {"eu", "us"}}[o.Name]}
		for i := range rows {
			switch o.Kind {
			case datasets.Number:
				c.Numbers = append(c.Numbers, float64(i*i%53))
			case datasets.Time:
				c.Times = append(c.Times, moment-int64(i%9)*day)
			default:
				c.Codes = append(c.Codes, int32(i*7%2))
			}
		}
		table.Columns = append(table.Columns, c)
	}
	encoder, left, err := features.FitEncoder(table, moments)
	if err != nil || len(left) > 0 {
		t.Fatalf("encoder: %v, left out %v", err, left)
	}
	columns, err := encoder.EncodeTable(table, moments)
	if err != nil {
		t.Fatal(err)
	}
	model := linearModel(encoder, 1)
	ranking, err := evaluate.NewRanking(models.RawAll(model, columns, rows))
	if err != nil {
		t.Fatal(err)
	}
	text, err := plan.Project().YAML()
	if err != nil {
		t.Fatal(err)
	}
	a := &models.Artifact{
		Manifest: models.Manifest{
			Name: "renewal", Learner: "logistic", Account: "account_id", Moment: "moment",
			Label: models.Label{Column: "renewal", Positive: "true"}, BaseRate: 0.2, Seed: 1,
			Bands: []models.Band{{Name: "A", From: 0.3, Rows: 20, Positives: 9}, {Name: "B", From: 0, Rows: 40, Positives: 3}},
		},
		Encoder: encoder, Model: model, Calibration: models.Calibration{Kind: models.CalibrationPlatt, Slope: 0.9, Intercept: -0.05},
		Ranking: ranking, Spec: []byte("version: 1\n"), Card: []byte("# renewal\n"), Report: []byte("<!DOCTYPE html>\n"), Features: text,
	}
	f, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.Publish(context.Background(), "renewal", f, registry.Event{})
	if err != nil {
		t.Fatal(err)
	}
	promote(t, r, "renewal", n, registry.Champion)
}

// withFacts is a server of renewal@1, which was learnt from facts, and churn@1, which
// was not, with a store.
func withFacts(t testing.TB, cfg Config) *fixture {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = online.NewMemory()
	}
	return serveRegistry(t, cfg, func(f *fixture) {
		publishRenewal(t, f.registry)
		publish(t, f.registry, "churn", 1, registry.Champion)
	})
}

func (f *fixture) put(t testing.TB, path, body string) reply {
	t.Helper()
	return f.do(t, http.MethodPut, path, body)
}

func (f *fixture) do(t testing.TB, method, path, body string) reply {
	t.Helper()
	q, err := http.NewRequest(method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	resp, err := f.http.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

func (f *fixture) event(t testing.TB, body string) reply {
	t.Helper()
	return f.post(t, "/v1/events", "application/json", strings.NewReader(body))
}

// wantStatus fails unless an answer has the status.
func wantStatus(t testing.TB, r reply, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// knownFacts are those of A-17 in the tests, as the engine takes them.
func knownFacts() []facts.Fact {
	at := func(text string) int64 {
		us, err := datasets.ParseTime(text)
		if err != nil {
			panic(err)
		}
		return us
	}
	number := func(x float64) datasets.Value { return datasets.Value{Kind: datasets.Number, Number: x} }
	text := func(s string) datasets.Value { return datasets.Value{Kind: datasets.Category, Text: s} }
	event := func(id, when, what string, seconds float64) facts.Fact {
		return facts.Fact{Source: "events", Account: "A-17", ID: id, Occurred: at(when), Arrived: at(when), End: datasets.MissingTime,
			Values: map[string]datasets.Value{"event": text(what), "seconds": number(seconds)}}
	}
	due := event("e2", "2026-02-20T08:00:00Z", "login", math.Pi)
	due.Values["due"] = datasets.Value{Kind: datasets.Time, Time: at("2026-02-25")}
	return []facts.Fact{
		event("e1", "2026-01-05T10:00:00Z", "login", 3), due, event("e3", "2026-02-28T23:00:00Z", "export", 0.1),
		{Source: "subscriptions", Account: "A-17", ID: "s1", Occurred: at("2025-11-01"), Arrived: at("2025-11-01"), End: datasets.MissingTime,
			Values: map[string]datasets.Value{"plan": text("pro"), "mrr": number(40.5)}},
		{Source: "accounts", Account: "A-17", ID: "1", Occurred: at("2025-10-01"), Arrived: at("2025-10-01"), End: datasets.MissingTime,
			Values: map[string]datasets.Value{"region": text("eu"), "size": number(12)}},
	}
}

// knownEvents are the same facts as they are posted.
const knownEvents = `[
 {"source": "events", "account": "A-17", "id": "e1", "occurred_at": "2026-01-05T10:00:00Z", "arrived_at": "2026-01-05T10:00:00Z", "properties": {"event": "login", "seconds": 3}},
 {"source": "events", "account": "A-17", "id": "e2", "occurred_at": "2026-02-20T09:00:00+01:00", "arrived_at": "2026-02-20T08:00:00Z", "properties": {"event": "login", "seconds": 3.141592653589793, "due": "2026-02-25"}},
 {"source": "events", "account": "A-17", "id": "e3", "occurred_at": "2026-02-28T23:00:00Z", "arrived_at": "2026-02-28T23:00:00Z", "properties": {"event": "export", "seconds": 0.1, "due": null}},
 {"source": "subscriptions", "account": "A-17", "id": "s1", "occurred_at": "2025-11-01", "arrived_at": "2025-11-01", "ended_at": null, "properties": {"plan": "pro", "mrr": 40.5}},
 {"source": "accounts", "account": "A-17", "id": 1, "occurred_at": "2025-10-01", "arrived_at": "2025-10-01", "properties": {"region": "eu", "size": 12}}
]`
