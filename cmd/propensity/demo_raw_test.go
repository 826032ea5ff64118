package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/datasets/sample"
)

// The rows that features build makes of a simulated company's raw files are those that
// the simulation finished itself, by code of its own, and so are the labels.
func TestFeaturesOfADemo(t *testing.T) {
	inFolder(t)
	if lines := strings.Count(string(sample.Project()), "\n"); lines >= 80 {
		t.Errorf("the project file has %d lines", lines)
	}
	c := sample.Simulate(sample.Options{Accounts: 700, Seed: 2})
	if err := c.Write("."); err != nil {
		t.Fatal(err)
	}
	must(t, exitDone, "features", "build", "--as-of", "2026-04-01")
	merged := map[string]bool{} // a finished row knows nothing of the other account
	for i := range c.Merges.Rows() {
		merged[c.Merges.Column("into_account").At(i).Text] = true
	}
	both := map[string]string{ // finished column -> ours
		"logins_7d":        "logins_7d",
		"days_since_login": "days_since_login_90d", "company_size": "company_size", "industry": "industry", "channel": "channel",
		"role": "role", "team_size": "team_size", "use_case": "use_case", "heard_from": "heard_from", "newsletter": "newsletter",
	}
	ofTrials := map[string]string{
		"logins_2d": "logins_2d", "users_7d": "users_7d", "reports_7d": "reports_7d",
		"invites_7d": "invites_7d", "integrations_7d": "integrations_7d", "tickets_7d": "tickets_7d",
	}
	ofCustomers := map[string]string{
		"logins_28d": "logins_28d", "logins_90d": "logins_90d", "users_28d": "users_28d", "reports_28d": "reports_28d",
		"exports_28d": "exports_28d", "invites_28d": "invites_28d", "invites_90d": "invites_90d", "integrations_90d": "integrations_90d",
		"tickets_28d": "tickets_28d", "tickets_90d": "tickets_90d", "plan": "plan", "billing": "billing", "seats": "seats",
		"mrr": "mrr", "tenure_days": "tenure", "seat_utilisation": "seat_use",
	}
	for _, m := range []struct {
		name, label string
		finished    *datasets.Table
		more        map[string]string
	}{
		{"conversion", "converted", c.Conversion, ofTrials},
		{"churn", "churned", c.Churn, ofCustomers},
		{"upsell", "upsold", c.Upsell, ofCustomers},
	} {
		rows, labels := built(t, m.name, "rows"), built(t, m.name, "labels")
		place, settled := places(rows), places(labels)
		label := labels.Column(m.name).Numbers
		open := 0
		for _, y := range label {
			if math.IsNaN(y) {
				open++
			}
		}
		if labels.Rows()-open != m.finished.Rows() {
			t.Errorf("%s: %d labels are settled, %d rows are finished", m.name, labels.Rows()-open, m.finished.Rows())
		}
		for i := range m.finished.Rows() {
			key := key(m.finished, i)
			k, ok := place[key]
			l, known := settled[key]
			if !ok || !known {
				t.Fatalf("%s: no row or label of %s", m.name, key)
			}
			if got, want := label[l], m.finished.Column(m.label).Numbers[i]; got != want {
				t.Errorf("%s, %s: the label is %v, want %v", m.name, key, got, want)
			}
			if merged[m.finished.Column("account_id").At(i).Text] {
				continue
			}
			for _, columns := range []map[string]string{both, m.more} {
				for theirs, ours := range columns {
					if rows.Column(ours) == nil {
						t.Fatalf("%s has no column %s: %v", m.name, ours, rows.Names())
					}
					got, want := rows.Column(ours).At(k).String(), m.finished.Column(theirs).At(i).String()
					if got != want {
						t.Fatalf("%s, %s: %s is %q, the finished %s %q", m.name, key, ours, got, theirs, want)
					}
				}
			}
		}
	}
}

// built is the only file of a part of a model's table.
func built(t *testing.T, model, part string) *datasets.Table {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("features", model, part+"-*.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s of %s: %v, %v", part, model, files, err)
	}
	table, err := datasets.Read(files[0], datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func key(t *datasets.Table, i int) string {
	return fmt.Sprint(t.Column("account_id").At(i), " at ", t.Column("moment").At(i))
}

func places(t *datasets.Table) map[string]int {
	out := map[string]int{}
	for i := range t.Rows() {
		out[key(t, i)] = i
	}
	return out
}

func TestDemoRaw(t *testing.T) {
	inFolder(t)
	mentions(t, must(t, exitDone, "demo", "--raw", "--accounts", "120", "--events", "20000", "--out", "d").out, "120 accounts", "features build --config d/propensity.yaml")
	for _, name := range []string{"raw/nps.csv", "raw/events/2026-03.parquet", "truth.json", "propensity.yaml"} {
		if _, err := os.Stat(filepath.Join("d", name)); err != nil {
			t.Error(err)
		}
	}
	must(t, exitUsage, "demo", "--accounts", "0")
}
