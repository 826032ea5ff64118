package check_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/check"
	"propensity/features/facts"
	"propensity/features/spec"
)

// folder writes files into a directory of their own.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// finding is that of a source and check whose detail has the words; it fails without.
func finding(t *testing.T, r *check.Report, source, name, words string) check.Finding {
	t.Helper()
	for _, s := range r.Sources {
		for _, f := range s.Findings {
			if s.Name == source && f.Check == name && strings.Contains(f.Detail, words) {
				return f
			}
		}
	}
	t.Fatalf("%s has no finding %s %q:\n%s", source, name, words, text(t, r))
	return check.Finding{}
}

const one = "version: 1\naccount: account_id\nsources:\n"

func TestASourceThatIsNotAsTheProjectSays(t *testing.T) {
	good := "account_id,at,event\nA1,2025-01-01,login\n"
	dir := folder(t, map[string]string{
		"good.csv": good, "lacks.csv": "account_id,event\nA1,login\n", "ragged.csv": good + "A1,2025\n", "empty.csv": "", "header.csv": "account_id,at,event\n",
		"damaged.parquet": "PAR1 nothing of that kind", "a-1.csv": good, "a-2.csv": "account_id,at,event,plan\nA1,2025-01-02,login,pro\n", "a-3.csv": "account_id,at\nA1,2025-01-02\n",
	})
	source := func(name, path string) string {
		return fmt.Sprintf("  %s: {path: %q, time: at}\n", name, path)
	}
	feature := func(name string) string {
		return fmt.Sprintf("  - {name: logins_%s, from: %s, where: 'event == \"login\"'}\n", name, name)
	}
	var sources, list strings.Builder
	for _, s := range [][2]string{
		{"good", "good.csv"}, {"gone", "gone.csv"}, {"none", "none-*.csv"}, {"lacks", "lacks.csv"}, {"ragged", "ragged.csv"}, {"empty", "empty.csv"},
		{"header", "header.csv"}, {"damaged", "damaged.parquet"}, {"several", "a-*.csv"},
	} {
		sources.WriteString(source(s[0], s[1]))
		list.WriteString(feature(s[0]))
	}
	r := run(t, one+sources.String()+"features:\n"+list.String(), dir, "2025-02-01", check.Options{})
	for _, want := range []struct {
		source, check, words string
		severity             check.Severity
		count, of            int64
	}{
		{"good", "columns", "", check.OK, 0, 1},
		{"gone", "source", "there is no file gone.csv", check.Error, 1, 1},
		{"none", "source", "there is no file none-*.csv", check.Error, 1, 1},
		{"lacks", "columns", "lack a column that is used: at", check.Error, 1, 1},
		{"ragged", "source", "ragged.csv:3", check.Error, 1, 1},
		{"empty", "source", "nothing in it", check.Error, 1, 1},
		{"header", "source", "there is no record", check.Warning, 1, 1},
		{"damaged", "source", "damaged.parquet", check.Error, 1, 1},
		{"several", "columns", "lack a column that is used: event", check.Error, 1, 3},
		{"several", "files", "other columns than the first", check.Warning, 1, 3},
	} {
		f := finding(t, r, want.source, want.check, want.words)
		if f.Severity != want.severity || f.Count != want.count || f.Of != want.of {
			t.Errorf("%s: %+v", want.source, f)
		}
	}
	if r.Errors != 7 {
		t.Errorf("%d errors:\n%s", r.Errors, text(t, r))
	}
}

func TestWhatFailsForEveryRecordIsAnError(t *testing.T) {
	dir := folder(t, map[string]string{
		"events.csv": "account_id,at\n,2025-01-01\n,2025-01-02\n",
		"late.csv":   "account_id,at\nA1,2025-01-01\nA2,2099-01-02\n",
	})
	r := run(t, one+"  events: {path: events.csv, time: at}\n  late: {path: late.csv, time: at}\n", dir, "2025-02-01", check.Options{})
	if f := finding(t, r, "events", "account", "no account id"); f.Severity != check.Error || f.Count != 2 || f.Share != 1 {
		t.Errorf("%+v", f)
	}
	if f := finding(t, r, "late", "future", "dated after 2025-02-01"); f.Severity != check.Warning || f.Count != 1 || f.Share != 0.5 {
		t.Errorf("%+v", f)
	}
}

// What is a warning here for being of no use is what features build leaves out.
func TestWhatIsWarnedOfIsWhatIsLeftOut(t *testing.T) {
	b, err := os.ReadFile("testdata/dirty/propensity.yaml")
	if err != nil {
		t.Fatal(err)
	}
	project := strings.NewReplacer("types: {seats: number}", "types: {seats: category}", "ranges: {seats: [1, 1000]}", "unique: [country]", "path: surveys.csv", "path: cancellations.csv",
		"{name: score, from: surveys, agg: last, value: score}", "{name: surveys, from: surveys}").Replace(string(b))
	r := run(t, project, "testdata/dirty", "2025-02-10", check.Options{})
	p, err := spec.Parse([]byte(project))
	if err != nil {
		t.Fatal(err)
	}
	now, _ := datasets.ParseTime("2025-02-10")
	read, err := facts.Read(t.Context(), p, facts.ReadOptions{Dir: "testdata/dirty", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	left := map[string]int64{} // by source and words
	for _, e := range read.Excluded() {
		left[e.Source+": "+strings.TrimSuffix(e.Reason, "T00:00:00Z")] = e.Count
	}
	reasons := []string{"no account id", "their user is of no account", "no time, or one that cannot be read", "dated before 1990", "dated after 2025-02-10", "ended before they started"}
	warned := map[string]int64{}
	for _, s := range r.Sources {
		for _, f := range s.Findings {
			if f.Severity != check.OK && slices.Contains(reasons, f.Detail) {
				warned[s.Name+": "+f.Detail] = f.Count
			}
		}
	}
	if len(left) < 8 || fmt.Sprint(left) != fmt.Sprint(warned) {
		t.Errorf("left out  %v\nwarned of %v", left, warned)
	}
}

func TestMergesOfNothing(t *testing.T) {
	dir := folder(t, map[string]string{"merges.csv": "old,new,at\nA1,A2,2025-01-01\n,A2,2025-01-01\nA3,A3,2025-01-01\nA4,,2025-01-01\n"})
	r := run(t, one+"  merges: {path: merges.csv, from_account: old, into: new, time: at}\n", dir, "2025-02-01", check.Options{})
	if f := finding(t, r, "merges", "merges", ""); f.Count != 2 {
		t.Errorf("%+v", f)
	}
	if f := finding(t, r, "merges", "account", "no account id"); f.Count != 1 {
		t.Errorf("%+v", f)
	}
}

// The same records from every kind of source give the same findings.
func TestEveryFormatAndDatabaseGivesTheSameReport(t *testing.T) {
	const rows = 300
	var csv, ndjson strings.Builder
	csv.WriteString("id,account_id,at,seen,seats,trial\n")
	dir := t.TempDir()
	path := filepath.Join(dir, "facts.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, a ...any) {
		t.Helper()
		if _, err := db.Exec(query, a...); err != nil {
			t.Fatal(err)
		}
	}
	exec("PRAGMA synchronous = OFF")
	exec("CREATE TABLE facts (id TEXT, account_id TEXT, at TIMESTAMP, seen TIMESTAMP, seats REAL, trial BOOLEAN)")
	for i := range rows {
		id, account := fmt.Sprintf("e%d", i%280), fmt.Sprintf("A%d", i*i%17)
		at, seen := fmt.Sprintf("2025-01-%02d 00:00:00", 1+i%28), fmt.Sprintf("2025-01-%02d 12:00:00", 1+i*7%28)
		seats, trial := i%50, i%3 == 0
		fmt.Fprintf(&csv, "%s,%s,%s,%s,%d,%v\n", id, account, at, seen, seats, trial)
		fmt.Fprintf(&ndjson, "{\"id\":%q,\"account_id\":%q,\"at\":%q,\"seen\":%q,\"seats\":%d,\"trial\":%v}\n", id, account, at, seen, seats, trial)
		exec("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", id, account, at, seen, seats, trial)
	}
	for name, text := range map[string]string{"facts.csv": csv.String(), "facts.ndjson": ndjson.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	table, err := datasets.Read(filepath.Join(dir, "facts.csv"), datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"facts.parquet", "facts.arrow", "facts.csv.gz"} {
		if err := datasets.Write(filepath.Join(dir, name), table, datasets.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var first string
	for _, where := range []string{"path: facts.csv", "path: facts.ndjson", "path: facts.parquet", "path: facts.arrow", "path: facts.csv.gz", "from: 'sqlite:facts.db', table: facts"} {
		r := run(t, one+"  facts: {"+where+`, id: id, time: at, arrived: seen, where: trial || seats < 45, checks: {ranges: {seats: [0, 40]}, values: {trial: ["true"]}, agree: {facts: trial}}}
features: [{name: seats, from: facts, agg: last, value: seats}, {name: trials, from: facts, where: trial}]
`, dir, "2025-02-01", check.Options{})
		r.Sources[0].Files = 0
		for i := range r.Sources[0].Findings {
			for k := range r.Sources[0].Findings[i].Examples {
				r.Sources[0].Findings[i].Examples[k].File = ""
			}
		}
		got := text(t, r)
		if first == "" {
			first = got
			for _, want := range []string{"280 ids", "ranges seats", "values trial", "clock seen"} {
				if !strings.Contains(got, strings.TrimPrefix(want, "280 ")) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		}
		if got != first {
			t.Errorf("%s gives\n%s\nand not\n%s", where, got, first)
		}
	}
}
