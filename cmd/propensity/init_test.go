package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/features/spec"
	"propensity/train"
)

// lines are a header and n lines of a pattern, in which %d is the number of the line.
func lines(n int, header, pattern string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range n {
		b.WriteString(strings.ReplaceAll(pattern, "%d", fmt.Sprint(i)) + "\n")
	}
	return b.String()
}

func companyFiles(t *testing.T) {
	write(t, "raw/accounts.csv", lines(30, "account_id,created_at,seats", "A%d,2025-01-02,%d"))
	write(t, "raw/events-2025-01.csv", lines(40, "event_id,account_id,event,occurred_at", "E%d,A1,login,2025-01-05"))
	write(t, "raw/events-2025-02.csv", lines(50, "event_id,account_id,event,occurred_at", "F%d,A2,login,2025-02-05"))
	write(t, "raw/subscriptions.csv", lines(30, "subscription_id,account_id,mrr,started_at,ended_at", "S%d,A%d,%d,2025-01-09,2025-03-09"))
}

// The files of a company become a project file that is read, checked and built from as
// it stands.
func TestInit(t *testing.T) {
	inFolder(t)
	companyFiles(t)
	files := []string{"raw/accounts.csv", "raw/events-2025-01.csv", "raw/events-2025-02.csv", "raw/subscriptions.csv"}
	s := must(t, exitDone, append([]string{"init"}, files...)...)
	if s.out != "propensity.yaml\n" {
		t.Errorf("%q", s.out)
	}
	text, err := os.ReadFile("propensity.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Source("events").Path; got != "raw/events-*-*.csv" {
		t.Errorf("%s", got)
	}
	if _, err := train.ParseProject(text); err != nil {
		t.Error(err)
	}
	mentions(t, must(t, exitUsage, append([]string{"init"}, files...)...).err, "propensity.yaml is there already", "--force")
	if after, err := os.ReadFile("propensity.yaml"); err != nil || string(after) != string(text) {
		t.Errorf("%v: it was changed", err)
	}
	if s := must(t, exitDone, append([]string{"init", "-o", "-"}, files...)...); s.out != string(text) {
		t.Errorf("%s", s.out)
	}
	must(t, exitDone, append([]string{"init", "--force"}, files...)...)
	must(t, exitDone, "features", "check")
	must(t, exitDone, "features", "build")

	// Paths are relative to the project file.
	must(t, exitDone, "init", "raw/accounts.csv", "raw/subscriptions.csv", "--out", "raw/p.yaml")
	beside, err := os.ReadFile("raw/p.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mentions(t, string(beside), "{path: accounts.csv,")
}

func TestInitOfBadFiles(t *testing.T) {
	inFolder(t)
	write(t, "empty.csv", "")
	write(t, "head.csv", "a,b\n")
	must(t, exitUsage, "init")
	must(t, exitFailed, "init", "nowhere.csv")
	must(t, exitUsage, "init", ".")
	must(t, exitFailed, "init", "empty.csv")
	mentions(t, must(t, exitFailed, "init", "head.csv").err, "no rows")
	write(t, "notes.txt", "a,b\n1,2,3\n")
	mentions(t, must(t, exitFailed, "init", "notes.txt").err, "notes.txt:2")
	if _, err := os.Stat("propensity.yaml"); err == nil {
		t.Error("a file was written")
	}
	// What cannot be read is left out, told and noted in the file.
	companyFiles(t)
	s := must(t, exitDone, "init", "notes.txt", "raw/accounts.csv", "head.csv", "-o", "-")
	mentions(t, s.err, "left out, since it cannot be read: notes.txt:2", "no rows: head.csv")
	mentions(t, s.out, "# notes.txt is left out: it cannot be read", "# head.csv is left out")
}

// A large file is looked at in its first rows.
func TestInitOfFirstRows(t *testing.T) {
	inFolder(t)
	companyFiles(t)
	head, err := firstRows("raw/events-2025-01.csv", nil)
	if err != nil || head.Rows() != 40 {
		t.Fatalf("%v, %v", head, err)
	}
	whole, err := sampleFile("raw/events-2025-01.csv", 1<<20)
	if err != nil || !whole.Whole {
		t.Fatalf("%v", err)
	}
	first, err := sampleFile("raw/events-2025-01.csv", 10)
	if err != nil || first.Whole {
		t.Fatalf("%v", err)
	}
	for i, c := range first.Table.Columns {
		if w := whole.Table.Columns[i]; c.Kind != w.Kind || c.Len() != w.Len() {
			t.Errorf("%s: %s and %s", c.Name, c.Kind, w.Kind)
		}
	}
}

// The keys of models that features leave to training are those that training knows.
func TestSchemaHasTheKeysOfTraining(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	s := must(t, exitDone, "init", "--schema")
	if err := json.Unmarshal([]byte(s.out), &schema); err != nil {
		t.Fatal(err)
	}
	must(t, exitUsage, "init", "--schema", "a.csv")
	known := func(text string) bool {
		_, err := train.ParseProject([]byte(text))
		return err == nil || !strings.Contains(err.Error(), "unknown field")
	}
	if known("version: 1\nmodels: {m: {data: a.csv, label: {column: y}, colour: null}}") {
		t.Fatal("training takes any key")
	}
	for key := range schema.Defs["model"].Properties {
		if key != "label" && !slices.Contains([]string{"data"}, key) && !known(fmt.Sprintf("version: 1\nmodels: {m: {data: a.csv, label: {column: y}, %s: null}}", key)) {
			t.Errorf("training does not know %s", key)
		}
	}
	for key := range schema.Defs["label"].Properties {
		if key != "column" && !known(fmt.Sprintf("version: 1\nmodels: {m: {data: a.csv, label: {column: y, %s: null}}}", key)) {
			t.Errorf("training does not know label: %s", key)
		}
	}
}

// A file of an absolute path is named by it.
func TestInitBeside(t *testing.T) {
	dir := t.TempDir()
	if got, err := beside("a/b/p.yaml", "a/x.csv"); err != nil || got != "../x.csv" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := beside("p.yaml", filepath.Join(dir, "x.csv")); err != nil || got != filepath.ToSlash(filepath.Join(dir, "x.csv")) {
		t.Errorf("%s, %v", got, err)
	}
}
