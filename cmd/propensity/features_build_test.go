package main

import (
	"os"
	"strings"
	"testing"

	"propensity/features/build"
)

const buildFile = `version: 1
account: account_id
sources:
  events: {path: "events-*.csv", time: at}
  subscriptions: {path: subscriptions.csv, start: started, end: ended}
features:
  - {name: logins, from: events, agg: count, windows: [7d, 28d]}
models:
  churn:
    moments: {every: 1mo, while: subscriptions.active}
    label: {event: subscriptions.end, within: 30d}
`

// From files to tables by the command: what it makes, leaves out, refuses, and says.
func TestFeaturesBuild(t *testing.T) {
	inFolder(t)
	write(t, "propensity.yaml", buildFile)
	write(t, "events-1.csv", "account_id,at\na,2024-01-30\n,2024-01-30\na,2024-01-31\n")
	write(t, "events-2.csv", "account_id,at\nb,2024-02-29\n")
	write(t, "subscriptions.csv", "account_id,started,ended\na,2024-01-01,2024-02-15\nb,2024-01-05,\n")
	s := must(t, exitDone, "features", "build", "--as-of", "2024-03-05")
	mentions(t, s.out, "churn  4     4      2        1    2   1")
	mentions(t, s.err, "events: 1 left out: no account id (first: events-1.csv, record 2)", "as of 2024-03-05T00:00:00Z, in features")
	page, err := os.ReadFile("features/churn/features.md")
	if err != nil {
		t.Fatal(err)
	}
	mentions(t, string(page), "| logins_28d | number of events, in the 28d before the moment | number | events | 28d | 0.0 % | 0 to 2 |")
	// a at the first of January and February; b in February, March and, new, in April,
	// whose horizon is not over.
	s = must(t, exitDone, "features", "build", "--as-of", "2024-04-05", "--json", "--quiet")
	sum := decode[build.Summary](t, s.out)
	want := build.ModelSummary{Name: "churn", Added: 1, Rows: 5, Columns: 2, Labels: build.Labels{Yes: 1, No: 3, Open: 1}}
	if sum.Models[0] != want || s.err != "" {
		t.Errorf("%+v, expected %+v; %s", sum.Models[0], want, s.err)
	}
	write(t, "propensity.yaml", strings.Replace(buildFile, "28d", "29d", 1))
	mentions(t, must(t, exitNo, "features", "build", "--as-of", "2024-05-05").err, "--rebuild", "churn")
	must(t, exitDone, "features", "build", "churn", "--as-of", "2024-05-05", "--rebuild", "--memory", "1KB", "--threads", "1")
	mentions(t, must(t, exitUsage, "features", "build", "--as-of", "May").err, "--as-of", `"May"`)
	mentions(t, must(t, exitUsage, "features", "build", "--memory", "much").err, "--memory")
	mentions(t, must(t, exitUsage, "features", "build", "--threads", "-1").err, "--threads")
	mentions(t, must(t, exitFailed, "features", "build", "upsell").err, `"upsell"`, `"churn"`)
	if err := os.Remove("subscriptions.csv"); err != nil {
		t.Fatal(err)
	}
	mentions(t, must(t, exitFailed, "features", "build").err, "source subscriptions", "subscriptions.csv", "project file")
}
