package check_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/check"
	"propensity/features/spec"
)

func run(t *testing.T, project, dir, now string, o check.Options) *check.Report {
	t.Helper()
	p, err := spec.Parse([]byte(project))
	if err != nil {
		t.Fatal(err)
	}
	o.Dir = dir
	if o.Now, err = datasets.ParseTime(now); err != nil {
		t.Fatal(err)
	}
	r, err := check.Run(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *check.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The tables contradict one another in ways that their description counts; each is
// found, and counted alike.
func TestTheContradictionsOfRavenstackAreFound(t *testing.T) {
	shared := os.Getenv("PROPENSITY_SHARED")
	if shared == "" {
		t.Skip("PROPENSITY_SHARED does not name the directory of shared tables")
	}
	project, err := os.ReadFile("testdata/ravenstack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, string(project), filepath.Join(shared, "data", "ravenstack"), "2025-01-01", check.Options{})
	for _, want := range []struct {
		source, check string
		detail        string
		count, of     int64
	}{
		// "277 accounts have churn events but churn_flag False", and what is not told there
		{"accounts", "agree", "although churn_flag is not true", 277, 500},
		{"accounts", "agree", "although churn_flag is true", 35, 500},
		// "77 % of usage comes before its subscription starts"
		{"usage", "after", "dated before subscriptions.start", 19142, 25000},
		// "54 % of tickets before sign-up"
		{"tickets", "sign-up", "dated before the account signed up", 1077, 2000},
		// "21 duplicate usage ids", of 25,000 records
		{"usage", "unique", "21 are of several accounts", 21, 24979},
	} {
		found := false
		for _, s := range r.Sources {
			for _, f := range s.Findings {
				if s.Name == want.source && f.Check == want.check && strings.Contains(f.Detail, want.detail) {
					found = true
					if f.Count != want.count || f.Of != want.of {
						t.Errorf("%s, %s: %d of %d, not %d of %d", want.source, want.check, f.Count, f.Of, want.count, want.of)
					}
				}
			}
		}
		if !found {
			t.Errorf("%s, %s: not found in\n%s", want.source, want.check, text(t, r))
		}
	}
	if r.Errors != 4 {
		t.Errorf("%d errors in\n%s", r.Errors, text(t, r))
	}
}

var update = flag.Bool("update", false, "write the golden file anew")

// One small company in which everything is wrong once.
func TestTheReportOfADirtyCompany(t *testing.T) {
	project, err := os.ReadFile("testdata/dirty/propensity.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, run(t, string(project), "testdata/dirty", "2025-02-10", check.Options{}))
	const golden = "testdata/dirty/report.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the report is\n%s\nbut %s says\n%s", got, golden, want)
	}
}
