package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s is out of date; look, then run with -update:\n%s", path, d)
	}
}

func race() []outcome {
	runs := func(seconds ...float64) []measures {
		var out []measures
		for i, s := range seconds {
			out = append(out, measures{"seconds": s, "roc_auc": 0.8 + 0.001*float64(i), "peak": 100 * s})
		}
		return out
	}
	return []outcome{
		{contender: contender{name: "propensity", ours: true, argv: []string{"/cache/run1/propensity", "train", "/cache/t.parquet"}}, runs: runs(4, 5, 4.5)},
		{contender: contender{name: "propensity, by default", ours: true, once: true, argv: []string{"/cache/run1/propensity"}}, runs: runs(40)},
		{contender: contender{name: "slower", argv: []string{"/venv/bin/python", "a.py"}, env: []string{"A=1"}}, runs: runs(8, 11, 9)},
		{contender: contender{name: "like ours", argv: []string{"c"}}, runs: runs(4.1, 5.2, 4.4)},
		{contender: contender{name: "faster", argv: []string{"d"}}, runs: runs(0.04, 0.05, 0.045)},
		{contender: contender{name: "broken", argv: []string{"e"}}, failed: errors.New("exit status 1: no | module\nhere")},
		{contender: contender{name: "of another figure", argv: []string{"f"}}, runs: []measures{{"p50_us": 1}}},
	}
}

func TestReport(t *testing.T) {
	b := &benchmark{runs: 3, work: "/cache", scratch: "/cache/run1", program: "/cache/run1/propensity", self: "/tmp/bench", python: "/venv/bin/python"}
	tables := []table{
		compare("Training, seconds", "On two threads.", "seconds", race(), column{"roc_auc", "ROC AUC", fixed}, column{"peak", "peak MB", figure}),
		compare("Without peers, seconds", "", "seconds", race()[:2]),
	}
	golden(t, "report.md", b.page(section{title: "Training"}, tables, "2026-01-02, commit abc."))
	var out bytes.Buffer
	for i := range tables {
		tables[i].show(&out)
	}
	golden(t, "report.txt", out.String())
	for i := range tables {
		if len(tables[i].failed) > 0 {
			t.Errorf("a peer's failure counts as ours: %v", tables[i].failed)
		}
	}
}

func TestOurFailureIsTold(t *testing.T) {
	all := race()
	all[0].failed, all[0].runs = errors.New("exit status 2: out of luck"), nil
	table := compare("Training, seconds", "", "seconds", all)
	if len(table.failed) != 1 || !strings.Contains(table.failed[0], "out of luck") {
		t.Errorf("told: %q", table.failed)
	}
	if got := table.rows[2][4:6]; got[0] != "" || got[1] != "" {
		t.Errorf("another of ours stands against the peers: %q", table.rows[2])
	}
}

func TestParseTrained(t *testing.T) {
	const printed = `{"name": "m", "metrics": {"chosen": "boosting", "candidates": [
		{"learner": "logistic", "report": {"roc_auc": {"value": 0.7}, "log_loss": {"value": 0.3}}},
		{"learner": "boosting", "report": {"roc_auc": {"value": 0.8}, "log_loss": {"value": 0.2}}}]}}`
	f, err := parseTrained([]byte(printed))
	if err != nil || f["roc_auc"] != 0.8 || f["log_loss"] != 0.2 {
		t.Error(f, err)
	}
	for _, bad := range []string{"", "no", strings.Replace(printed, `"chosen": "boosting"`, `"chosen": "other"`, 1)} {
		if f, err := parseTrained([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, f)
		}
	}
}
