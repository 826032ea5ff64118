package build_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"propensity/features/build"
	"propensity/features/spec"
)

// A model is asked about the accounts whose question is open: here as of 1 April, by
// hand.
func TestPresent(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"accounts.csv": "account_id,time,size\n" +
			"ends,2025-01-05,1\n" + "new,2025-03-30,2\n" + "old,2025-01-01,3\n" + "early,2025-03-24T12:00:00Z,4\n" + "late,2025-04-02,5\n",
		"subscriptions.csv": "account_id,start,end,renews,plan\n" +
			"ends,2025-01-05,2025-04-01,2026-01-05,pro\n" + // over at the very moment
			"new,2025-03-31,,2025-04-30,pro\n" +
			"old,2025-01-01,,2026-01-01,free\n" +
			"early,2025-04-01,,2025-07-01,pro\n", // begins at the very moment
		"events.csv": "account_id,time,event\n" +
			"new,2025-03-31,hit\n" + "old,2025-01-02,hit\n" + "late,2025-04-02,hit\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := spec.Parse([]byte(`version: 1
account: account_id
sources:
  accounts: {path: accounts.csv, time: time}
  subscriptions: {path: subscriptions.csv, start: start, end: end, renews: renews}
  events: {path: events.csv, time: time}
features:
  - {from: accounts, columns: [size]}
  - {from: subscriptions, columns: [plan]}
  - {name: hits, from: events, windows: [7d]}
populations:
  paying: plan == "pro"
models:
  monthly: {moments: {every: 1mo, while: subscriptions.active}, label: {event: subscriptions.end, within: 90d}, until: 2025-01-01}
  of_pros: {moments: {every: 1mo, while: subscriptions.active}, population: paying, label: {event: subscriptions.end, within: 90d}, features: [hits_7d]}
  any: {moments: {every: 1mo}, label: {event: events, within: 7d}}
  trial: {moments: {after: [7d]}, label: {event: subscriptions.start, within: 14d}}
  renewal: {moments: {before: [30d], of: subscriptions}, label: {event: subscriptions.end, within: 30d}}
  hit: {moments: {on: events}, label: {event: subscriptions.end, within: 30d}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string][]string{
		"monthly": {"early", "new", "old"}, // what begins at the moment is true at it
		"of_pros": {"new"},                 // but its plan is not yet known
		"any":     {"early", "ends", "new", "old"},
		"trial":   {"early"},
		"renewal": {"new"},
		"hit":     {"new"},
	} {
		r, err := build.OpenPresent(context.Background(), p, model, build.Options{Dir: dir, AsOf: dayOf("2025-04-01"), Now: historyNow})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			table, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range table.Rows() {
				got = append(got, table.Column("account_id").At(i).Text)
				if at := table.Column("moment").Times[i]; at != r.At() || at != dayOf("2025-04-01") {
					t.Errorf("%s: moment %d", model, at)
				}
			}
			for k, c := range table.Columns {
				if c.Name != r.Columns()[k] || c.Len() != table.Rows() {
					t.Errorf("%s: column %d is %s of %d rows, want %s", model, k, c.Name, c.Len(), r.Columns()[k])
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", model, got, want)
		}
		if model == "of_pros" && !slices.Equal(r.Columns(), []string{"account_id", "moment", "hits_7d"}) {
			t.Errorf("columns %q", r.Columns())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
