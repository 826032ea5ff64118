package main

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models/convert"
	"propensity/models/registry"
)

// trainTrees trains churn@1 by boosting; a name holds a space.
func trainTrees(t *testing.T) {
	t.Helper()
	write(t, "accounts.csv", strings.Replace(accountsCSV(1500, 1), "logins", "days active", 1))
	must(t, exitDone, "train", "churn", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "boosting", "--trees", "20", "--leaves", "8")
}

// The file's trees give the scores of the model, to the bit, on its own table.
func TestConvertLightGBM(t *testing.T) {
	home := inFolder(t)
	trainTrees(t)
	s := must(t, exitDone, "convert", "churn@champion", "--to", "lightgbm", "--out", "churn.txt", "--levels", "levels.json")
	if s.out != "" {
		t.Errorf("stdout has %q", s.out)
	}
	levels, err := os.ReadFile("levels.json")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, home, "convert.txt", s.err+string(levels))
	text, err := os.ReadFile("churn.txt")
	if err != nil {
		t.Fatal(err)
	}
	m, err := convert.ReadLightGBM(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	scorer, _, err := registry.Open("registry").Load(registry.Ref{Name: "churn", Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	table, err := datasets.Read("accounts.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	encoder := scorer.Encoder()
	columns := make([][]float64, len(encoder.Columns))
	for j := range columns {
		columns[j] = make([]float64, table.Rows())
		if err := encoder.Columns[j].EncodeAll(columns[j], table.Column(encoder.Columns[j].Name), nil); err != nil {
			t.Fatal(err)
		}
		columns[j][0] = math.NaN()
		if encoder.Columns[j].Kind == datasets.Category {
			columns[j][1] = -1
		}
	}
	x := make([]float64, len(columns))
	for i := range table.Rows() {
		for j := range x {
			x[j] = columns[j][i]
		}
		if got, want := m.Ensemble.Raw(x), scorer.Artifact().Model.Raw(x); math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("row %d: raw %v, want %v", i, got, want)
		}
	}
	if out := must(t, exitDone, "convert", "churn", "--to", "lightgbm", "--out", "-", "-q"); out.out != string(text) || out.err != "" {
		t.Errorf("stdout is another file, or %q is said", out.err)
	}
	type converted struct {
		Model    string
		Version  int
		To       string
		Trees    int
		Features []string
	}
	c := decode[converted](t, must(t, exitDone, "convert", "churn", "--to", "lightgbm", "--out", "churn.txt", "--json").out)
	if c.Model != "churn" || c.Version != 1 || c.To != "lightgbm" || c.Trees != m.Ensemble.Trees() || len(c.Features) != len(x) {
		t.Errorf("%+v", c)
	}
	for _, name := range files(t, ".") {
		if strings.HasPrefix(name, ".churn.txt") {
			t.Errorf("%s is left", name)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	for _, c := range []struct {
		code  int
		args  string
		words []string
	}{
		{exitUsage, "convert churn --to onnx --out x", []string{`--to "onnx"`, "lightgbm"}},
		{exitUsage, "convert churn --out x", []string{"--to", "lightgbm"}},
		{exitUsage, "convert churn --to lightgbm", []string{"--out"}},
		{exitUsage, "convert churn@@ --to lightgbm --out x", []string{`alias "@"`}},
		{exitFailed, "convert upsell --to lightgbm --out x", []string{"upsell"}},
		{exitFailed, "convert churn --to lightgbm --out x", []string{"churn@1", "logistic", "--learner boosting"}},
	} {
		mentions(t, must(t, c.code, strings.Fields(c.args)...).err, c.words...)
	}
	if _, err := os.Stat("x"); !os.IsNotExist(err) {
		t.Errorf("a file is left: %v", err)
	}
	inFolder(t)
	trainTrees(t)
	mentions(t, must(t, exitFailed, "convert", "churn", "--to", "lightgbm", "--out", "none/x").err, "none", "make it first")
}
