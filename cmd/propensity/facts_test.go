package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/datasets/sample"
)

// From a company's raw files to a model and scores: tables are made of facts, learnt
// from, and made for the accounts of today; the version knows its own features.
func TestTrainFromFacts(t *testing.T) {
	dir := t.TempDir()
	company := sample.Simulate(sample.Options{Accounts: 700, Seed: 4})
	if err := company.Write(dir); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	project := "version: 1\naccount: account_id\n" + `sources:
  accounts: {path: raw/accounts.csv, time: created_at}
  events: {path: "raw/events/*.parquet", id: event_id, time: occurred_at, arrived: received_at}
  subscriptions: {path: raw/subscriptions.csv, id: subscription_id, start: started_at, end: ended_at}
features:
  - {from: accounts, columns: [company_size]}
  - {name: logins, from: events, where: 'event == "login"', windows: [28d], trend: true}
  - {name: mrr, from: subscriptions, agg: active_sum, value: mrr}
  - {name: tenure, from: subscriptions, agg: days_since_first}
models:
  churn:
    moments: {every: 1mo, while: subscriptions.active}
    label: {event: subscriptions.lapse, within: 90d}
    value: mrr
    learners: [logistic]
    quick: true
`
	if err := os.WriteFile("propensity.yaml", []byte(project), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		s := must(t, want, args...)
		return s.out + s.err
	}
	out := run(exitDone, "train", "--promote", "always")
	for _, says := range []string{"is churn = true?", "horizon of 90d", "churn@1 is champion", "their label was not settled"} {
		if !strings.Contains(out, says) {
			t.Errorf("training does not say %q:\n%s", says, out)
		}
	}
	b, err := os.ReadFile("registry/churn/v1/features.yaml")
	if err != nil || !strings.Contains(string(b), "name: logins") || strings.Contains(string(b), "raw/") {
		t.Errorf("%v, features:\n%s", err, b)
	}
	if out := run(exitDone, "models", "verify", "churn", "--data", "features/churn"); !strings.Contains(out, "the same to the bit") {
		t.Errorf("verify: %s", out)
	}
	if out := run(exitDone, "train", "--promote", "always"); !strings.Contains(out, "the same to the bit as churn@1") {
		t.Errorf("training again: %s", out)
	}
	run(exitDone, "score", "churn", "--facts", "--out", "scores.csv")
	scores, err := datasets.Read("scores.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	active := map[string]bool{}
	subscriptions, err := datasets.Read("raw/subscriptions.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range subscriptions.Rows() {
		if subscriptions.Column("ended_at").At(i).Missing() {
			active[subscriptions.Column("account_id").At(i).Text] = true
		}
	}
	if len(active) == 0 || scores.Rows() != len(active) {
		t.Errorf("%d scores of %d customers", scores.Rows(), len(active))
	}
	for i := range scores.Rows() {
		if a := scores.Column("account").At(i).Text; !active[a] {
			t.Errorf("%s is scored and is no customer", a)
		}
	}
	// Other features: the tables are made again, and old versions score by their own.
	project = strings.Replace(project, "windows: [28d]", "windows: [7d]", 1)
	if err := os.WriteFile("propensity.yaml", []byte(project), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := run(exitDone, "train", "--promote", "always"); !strings.Contains(out, "made again") {
		t.Errorf("training with other features: %s", out)
	}
	run(exitDone, "score", "churn@1", "--facts", "--out", "again.csv")
	was, err := os.ReadFile("scores.csv")
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile(filepath.Join(dir, "again.csv"))
	if err != nil || string(was) != string(is) {
		t.Errorf("%v: churn@1 scores otherwise now", err)
	}
}
