package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models/evaluate"
	"propensity/models/registry"
)

// newer is accounts that the model never saw, with a segment of three.
func newer(rows int, seed uint64) string {
	lines := strings.Split(strings.TrimSpace(accountsCSV(rows, seed)), "\n")
	lines[0] += ",segment"
	for i := range lines[1:] {
		segment := []string{"smb", "mid", "large"}[i%3]
		if i < 3 {
			segment = "tiny"
		}
		lines[i+1] = "N" + lines[i+1][1:] + "," + segment
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestEvaluateNewData(t *testing.T) {
	home := inFolder(t)
	trainChurn(t, "--value", "mrr")
	write(t, "new.csv", newer(900, 7))
	s := must(t, exitDone, "evaluate", "churn@champion", "--data", "new.csv", "--by", "segment,seats,annual", "-q")
	golden(t, home, "evaluate.txt", s.out)
	if s.err != "" {
		t.Errorf("--quiet says %s", s.err)
	}
	e := decode[evaluated](t, must(t, exitDone, "evaluate", "churn", "--data", "new.csv", "--by", "segment", "--json").out)
	// The figures are those of the scorer and of evaluate.
	scorer, _, err := registry.Open("registry").Load(registry.Ref{Name: "churn", Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	table, err := datasets.Read("new.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := scorer.ScoreTable(table, make([]int64, 900), 0)
	if err != nil {
		t.Fatal(err)
	}
	y := make([]float64, 900)
	for i := range y {
		if table.Column("churned").At(i).Text == "Yes" {
			y[i] = 1
		}
	}
	want, err := evaluate.Judge(y, answers.Raw, answers.Probability, table.Column("mrr").Numbers, nil, evaluate.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if e.Report.ROCAUC != want.ROCAUC || e.Report.LogLoss != want.LogLoss || *e.Report.Value != *want.Value || e.Rows != 900 || e.Accounts != 900 || e.LogLoss != want.LogLoss.Value {
		t.Errorf("%+v, want %+v", e.Report, want)
	}
	if metrics := scorer.Artifact().Metrics; e.Trained.ROCAUC != metrics.Candidate(metrics.Chosen).Report.ROCAUC || e.Model != "churn" || e.Version != 1 {
		t.Errorf("%+v", e.Trained)
	}
	rows, positives := 0, 0
	for _, b := range e.Bands {
		rows, positives = rows+b.Rows, positives+b.Positives
		if b.Off {
			t.Errorf("%+v", b)
		}
	}
	if rows != 900 || positives != e.Report.Positives || len(e.Bands) != 5 || len(e.Notes) != 0 {
		t.Errorf("%d rows, %d positives in bands, notes %q", rows, positives, e.Notes)
	}
	if len(e.Segments) != 4 || !e.Segments[3].Few || e.Segments[3].Value != "tiny" || e.Segments[3].ROCAUC != nil || e.Segments[0].ROCAUC == nil {
		t.Errorf("%+v", e.Segments)
	}
	again := must(t, exitDone, "evaluate", "churn", "--data", "new.csv", "--by", "segment", "--json").out
	if b := decode[evaluated](t, again); b.Report.ROCAUC != e.Report.ROCAUC || *b.Segments[0].ROCAUC != *e.Segments[0].ROCAUC {
		t.Error("the same again is not the same")
	}
}

// What is to be known of new data is said: a base rate that moved, bands that are
// off, a table that was learnt from, labels that are not there.
func TestEvaluateTells(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	evaluateOn := func(text string, more ...string) evaluated {
		t.Helper()
		write(t, "new.csv", text)
		return decode[evaluated](t, must(t, exitDone, append([]string{"evaluate", "churn", "--data", "new.csv", "--json"}, more...)...).out)
	}
	text := newer(900, 7)
	lines := strings.SplitAfter(text, "\n")
	moved := lines[0]
	for i, line := range lines[1:] {
		if i%2 == 0 {
			line = strings.Replace(line, ",No,", ",Yes,", 1)
		}
		moved += line
	}
	e := evaluateOn(moved)
	mentions(t, strings.Join(e.Notes, "\n"), "the base rate has moved", "set the prior to", "ranks less well than at training", "band E promised")
	if same := evaluateOn(accountsCSV(1500, 1)); len(same.Notes) == 0 || !strings.Contains(same.Notes[0], "the very table") {
		t.Errorf("%q", same.Notes)
	}
	e = evaluateOn(strings.Replace(strings.Replace(text, ",No,", ",,", 3), ",Yes,", ",,", 2))
	if e.Rows != 895 || e.Unlabelled != 5 {
		t.Errorf("%d rows, %d unlabelled", e.Rows, e.Unlabelled)
	}
	mentions(t, must(t, exitDone, "evaluate", "churn", "--data", "new.csv").out, "5 rows without a label were left out")
	// One class: the figures that there are.
	for _, c := range []struct{ from, to, note string }{{",Yes,", ",No,", "every row is negative"}, {",No,", ",Yes,", "every row is positive"}} {
		e = evaluateOn(strings.ReplaceAll(text, c.from, c.to), "--by", "segment")
		if e.Report != nil || !(e.LogLoss > 0) || !(e.Brier > 0) || len(e.Bands) != 5 || len(e.Segments) != 4 || !strings.Contains(strings.Join(e.Notes, "\n"), c.note) {
			t.Errorf("%+v", e)
		}
		mentions(t, must(t, exitDone, "evaluate", "churn", "--data", "new.csv", "--by", "segment").out, c.note, "log loss", "band", "too few accounts")
	}
	e = evaluateOn(strings.Join(strings.SplitAfter(text, "\n")[:2], ""))
	if e.Report != nil || e.Rows != 1 || math.IsNaN(e.LogLoss) {
		t.Errorf("%+v", e)
	}
}

// Labels are told alike however a format spells them, and rows that the model may
// have learnt from by their moments.
func TestEvaluateMoments(t *testing.T) {
	inFolder(t)
	lines := strings.Split(strings.TrimSpace(accountsCSV(1500, 1)), "\n")
	for i := range lines[1:] {
		lines[i+1] = fmt.Sprintf("2025-%02d-%02d,", 1+i/150, 1+i%28) + strings.NewReplacer(",No", ",false", ",Yes", ",true").Replace(lines[i+1])
	}
	lines[0] = "seen," + lines[0]
	write(t, "timed.csv", strings.Join(lines, "\n")+"\n")
	must(t, exitDone, "train", "churn", "--data", "timed.csv", "--id", "id", "--time", "seen", "--label", "churned", "--learner", "logistic")
	late := lines[0] + "\n" + strings.NewReplacer(",false\n", ",0\n", ",true\n", ",1\n").Replace(strings.Join(lines[1150:], "\n")+"\n")
	write(t, "late.csv", late)
	e := decode[evaluated](t, must(t, exitDone, "evaluate", "churn", "--data", "late.csv", "--by", "seen", "--json").out)
	if e.Report == nil || e.Rows != 351 || e.Segments[0].Value != "2025-09" {
		t.Errorf("%+v", e)
	}
	mentions(t, e.Notes[0], "of 351 rows are not newer than 2025-08", "it may know them")
	write(t, "late.csv", strings.Replace(late, "2025-09-02,", ",", 1))
	mentions(t, must(t, exitFailed, "evaluate", "churn", "--data", "late.csv").err, "late.csv", "has no moment", `"seen"`)
}

func TestEvaluateNewBadInput(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	text := newer(300, 7)
	for _, c := range []struct {
		code       int
		text, args string
		words      []string
	}{
		{exitUsage, text, "evaluate --data new.csv", []string{"--cv", "churn@champion"}},
		{exitUsage, text, "evaluate churn", []string{"--data"}},
		{exitUsage, text, "evaluate churn --data new.csv --data new.csv", []string{"one table"}},
		{exitUsage, text, "evaluate churn upsell --data new.csv", []string{"one model"}},
		{exitUsage, text, "evaluate churn@@ --data new.csv", []string{`alias "@"`}},
		{exitUsage, text, "evaluate churn --data new.csv --format xls", []string{"--format", "xls"}},
		{exitFailed, text, "evaluate upsell --data new.csv", []string{"upsell"}},
		{exitFailed, text, "evaluate churn --data gone.csv", []string{"gone.csv"}},
		{exitFailed, text, "evaluate churn --data new.csv --by region", []string{"new.csv", `"region"`, "segment"}},
		{exitFailed, strings.ReplaceAll(text, "churned", "left"), "evaluate churn --data new.csv", []string{`no column "churned"`}},
		{exitFailed, strings.ReplaceAll(text, "seats", "chairs"), "evaluate churn --data new.csv", []string{`"seats"`, "--allow-missing"}},
		{exitFailed, strings.Replace(text, ",No,", ",Maybe,", 1), "evaluate churn --data new.csv", []string{`"Yes"`, `"Maybe"`, `"No"`, "one other value"}},
		{exitFailed, strings.ReplaceAll(strings.ReplaceAll(text, ",No,", ",,"), ",Yes,", ",,"), "evaluate churn --data new.csv", []string{`"churned"`, "missing in every row"}},
		{exitFailed, strings.ReplaceAll(strings.ReplaceAll(text, ",No,", ",,"), ",Yes,", ",yes,"), "evaluate churn --data new.csv", []string{`"yes"`, `"Yes"`, "spell it alike"}},
		{exitFailed, text[:strings.Index(text, "\n")+1], "evaluate churn --data new.csv", []string{"missing in every row"}},
	} {
		write(t, "new.csv", c.text)
		mentions(t, must(t, c.code, strings.Fields(c.args)...).err, c.words...)
	}
	write(t, "new.csv", strings.ReplaceAll(text, "seats", "chairs"))
	must(t, exitDone, "evaluate", "churn", "--data", "new.csv", "--allow-missing")
	if _, err := os.Stat("registry/churn/v2"); err == nil {
		t.Error("a version was made")
	}
}
