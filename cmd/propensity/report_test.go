package main

import (
	"os"
	"strings"
	"testing"

	"propensity/models/report"
)

func TestReport(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	s := must(t, exitDone, "report", "churn@champion")
	mentions(t, s.err, "churn@1", "churn.html")
	if s.out != "" {
		t.Errorf("on stdout: %s", s.out)
	}
	page, err := os.ReadFile("churn.html")
	if err != nil {
		t.Fatal(err)
	}
	mentions(t, string(page), "<!DOCTYPE html>", "<h1>churn</h1>", "This model is better than guessing", "Bands", "</html>")
	if out := must(t, exitDone, "report", "churn@1", "--out", "-", "--quiet").out; out != string(page) {
		t.Error("the page on stdout is another than in the file")
	}
	mentions(t, must(t, exitDone, "report", "churn", "--card").out, "model-index:", "# churn", "## Caveats")
	mentions(t, must(t, exitDone, "report", "churn", "--card", "--out", "README.md").err, "README.md")

	told := decode[report.Document](t, must(t, exitDone, "report", "churn", "--json").out)
	if told.Manifest.Name != "churn" || told.Metrics.Chosen == "" || !strings.HasPrefix(told.Verdict.Headline, "This model") || !told.Verdict.Good {
		t.Errorf("%+v", told.Verdict)
	}
}

func TestReportUsedWrongly(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	mentions(t, must(t, exitUsage, "report").err, "report --help")
	mentions(t, must(t, exitUsage, "report", "Churn!").err, "Churn!")
	mentions(t, must(t, exitUsage, "report", "churn", "--json", "--card").err, "choose one")
	mentions(t, must(t, exitFailed, "report", "churn@9").err, "churn", "9")
	mentions(t, must(t, exitFailed, "report", "churn", "--out", "nowhere/churn.html").err, "nowhere")
	// A version that was changed after it was written is told as such.
	write(t, "registry/churn/v1/metrics.json", "{}")
	mentions(t, must(t, exitFailed, "report", "churn@1").err, "metrics.json")
	if _, err := os.Stat("churn.html"); !os.IsNotExist(err) {
		t.Errorf("a page of what could not be read: %v", err)
	}
}
