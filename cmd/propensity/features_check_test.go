package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/features/check"
)

func TestFeaturesCheckSaysNoToBrokenContracts(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("events.csv", "account_id,at,event\nA1,2025-01-01,login\nA2,2025-01-02,\n,2025-01-03,login\n")
	project := "version: 1\naccount: account_id\nsources:\n  events: {path: events.csv, time: at, checks: {required: [event]}}\n"
	write("propensity.yaml", project)
	s := must(t, 3, "features", "check", "--as-of", "2025-02-01")
	if !strings.Contains(s.out, "error    required event: 1 of 3 (33.3 %)") || !strings.Contains(s.out, "1 error, 1 warning, 0 notes") {
		t.Error(s.out)
	}
	s = must(t, 3, "features", "check", "--json", "--as-of", "2025-01-02")
	var r check.Report
	if err := json.Unmarshal([]byte(s.out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Now != "2025-01-02" || r.Errors != 1 || r.Warnings != 2 || r.Sources[0].Records != 3 {
		t.Errorf("%+v", r)
	}
	write("propensity.yaml", strings.ReplaceAll(project, ", checks: {required: [event]}", ""))
	must(t, 0, "features", "check", "--as-of", "2025-02-01")
	must(t, 2, "features", "check", "--as-of", "yesterday")
	write("propensity.yaml", "version: 1\nsources: {events: {path: events.csv}}\n")
	if s := do(t, "features", "check"); s.code == 0 || s.code == 3 || !strings.Contains(s.err, "account") {
		t.Errorf("%d: %s", s.code, s.err)
	}
}
