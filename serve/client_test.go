package serve

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"propensity/models"
	"propensity/models/registry"
	"propensity/serve/client"
	"propensity/serve/database/databasetest"
	"propensity/serve/keys"
)

// The client and the server understand each other; both are held against openapi.yaml,
// as all requests of the tests are.
func TestClient(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	_, key := makeKey(t, path, keys.Key{Scopes: []string{keys.Admin}})
	f := withFacts(t, Config{Database: databasetest.Open(t, databasetest.SQLite(t)), Keys: path})
	publish(t, f.registry, "churn", 2, "challenger", money("seats", "90d"))
	f.eventually(t, "there", func() bool { return len(f.server.state.Load().models["churn"].aliases) == 2 })
	c, err := client.New(f.http.URL, client.Options{Key: key, HTTP: f.http.Client()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	row := client.Row{"plan": "pro", "logins_28d": 6, "seats": 12, "sso": false, "created_at": "2026-01-20T08:00:00Z", "code": "002", "tier": "1"}
	none, half := 0, 0.5
	request := client.Request{Account: "A-17", Row: row, Asked: client.Asked{AsOf: "2026-03-01T09:30:00Z", Reasons: &none, Threshold: &half}}
	a, err := c.Score(ctx, "churn", request)
	must(err)
	want := decodeAs[wire](t, wantStatus(t, f.ask(t, "POST", "/v1/models/churn/score", key, requestOf("A-17", wholeRow)), 200).body)
	if a.Probability != want.Probability || a.Band != want.Band || a.Account != "A-17" || a.Version != 1 || len(a.Reasons) != 0 || a.MeetsThreshold == nil || *a.MeetsThreshold {
		t.Errorf("%+v, want %+v", a, want)
	}
	var p *client.Problem
	if _, err := c.Score(ctx, "churn", client.Request{Row: client.Row{"plan": 1}}); !errors.As(err, &p) || p.Status != 422 || len(p.Errors) != 7 {
		t.Errorf("%+v", err)
	}
	if _, err := c.Score(ctx, "../models", request); !errors.As(err, &p) || p.Status != 400 {
		t.Errorf("%v", err)
	}

	batch, err := c.ScoreBatch(ctx, "churn", []client.Request{request, {Account: "A-18"}, request})
	must(err)
	if len(batch) != 3 || batch[0].Probability != a.Probability || batch[1].Error == nil || batch[1].Error.Line != 2 || batch[2].Error != nil {
		t.Errorf("%+v", batch)
	}
	if batch, err := c.ScoreBatch(ctx, "churn", nil); err != nil || len(batch) != 0 {
		t.Errorf("%+v, %v", batch, err)
	}

	all, err := c.ScoreAll(ctx, client.AllRequest{Account: "A-17", Row: row, Models: []string{"churn", "churn@2", "none"}, Asked: client.Asked{AsOf: "2026-03-01T09:30:00Z"}})
	must(err)
	if all.Answers[0].Probability != a.Probability || all.Answers[1].AtStake == nil || *all.Answers[1].AtStake.Value != 12 || all.Answers[2].Error.Status != 404 {
		t.Errorf("%+v", all)
	}

	got, err := c.AddFacts(ctx, []client.Fact{{Source: "events", Account: "a/b ..", ID: "1", OccurredAt: "2026-02-20T08:00:00Z", ArrivedAt: "2026-02-20T08:00:00Z", Properties: client.Row{"event": "login", "device": nil}}})
	must(err)
	if got.Accepted != 1 {
		t.Errorf("%+v", got)
	}
	if got, err = c.PutAccount(ctx, "a/b ..", client.Attributes{OccurredAt: "2026-01-01", ArrivedAt: "2026-01-01", Properties: client.Row{"region": "eu"}}); err != nil || got.Accepted != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	known, err := c.Account(ctx, "a/b ..", "2026-03-01T09:30:00Z")
	must(err)
	if known.Account != "a/b .." || known.Known != 2 || known.Facts[1].Properties["region"] != "eu" || known.Rows[1].Row["region"] != "eu" {
		t.Errorf("%+v", known)
	}
	if _, err := c.Account(ctx, "..", ""); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("%v", err)
	}
	kept, err := c.AddOutcomes(ctx, []client.Outcome{{Model: "churn", Account: "A-17", OccurredAt: "2026-03-20", Positive: true, Value: &half}})
	must(err)
	if kept.Accepted != 1 || kept.Added != 1 {
		t.Errorf("%+v", kept)
	}
	clientOfModels(t, f, c)
}

// clientOfModels goes on with models: they are moved, pulled and pushed.
func clientOfModels(t *testing.T, f *fixture, c *client.Client) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.Models(ctx)
	must(err)
	if len(list) != 2 || list[0].Model != "churn" || list[0].Aliases["challenger"] != 2 || len(list[0].Versions) != 2 {
		t.Errorf("%+v", list)
	}
	d, err := c.Model(ctx, "churn@2")
	must(err)
	if d.Version != 2 || len(d.Columns) != 7 || d.Columns[0].Kind != "category" || d.Example.Row["plan"] != "free" {
		t.Errorf("%+v", d)
	}
	if _, err := c.Score(ctx, "churn", d.Example); err != nil {
		t.Errorf("the example: %v", err)
	}
	moved, err := c.MoveAlias(ctx, "churn", "champion", 2, "better")
	must(err)
	if moved.Version != 2 || moved.Previous != 1 {
		t.Errorf("%+v", moved)
	}
	back, err := c.Rollback(ctx, "churn", "champion", "")
	must(err)
	if back.Version != 1 {
		t.Errorf("%+v", back)
	}
	aliases, err := c.Aliases(ctx, "churn")
	must(err)
	if len(aliases) != 2 || aliases[1].Alias != "champion" || aliases[1].Version != 1 {
		t.Errorf("%+v", aliases)
	}
	files, err := c.Pull(ctx, "churn", 2)
	must(err)
	tar, err := io.ReadAll(files)
	must(errors.Join(err, files.Close()))
	pushed, err := c.Push(ctx, "churn", tar)
	must(err)
	if pushed.Version != 2 || pushed.Published || pushed.Hash != d.Hash {
		t.Errorf("%+v", pushed)
	}
	changed := artifactFiles(t, "churn", 3, func(a *models.Artifact) { a.Manifest.Seed = 77 })
	var b strings.Builder
	must(registry.WriteTar(&b, changed))
	if pushed, err = c.Push(ctx, "churn", []byte(b.String())); err != nil || pushed.Version != 3 || !pushed.Published {
		t.Errorf("%+v, %v", pushed, err)
	}
}
