package sql_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/expr"
	"propensity/features/spec"
	"propensity/features/sql"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The whole text, to be read: one file a dialect.
func TestText(t *testing.T) {
	p := parse(t, project(t, "small.yaml"))
	for _, d := range sql.Dialects() {
		for _, labels := range []bool{false, true} {
			got, err := sql.Emit(p, sql.Options{Dialect: d, Labels: labels, Tables: map[string]string{"events": `raw."app.events"`}})
			if err != nil {
				t.Fatal(err)
			}
			name := "rows_" + string(d) + ".sql"
			if labels {
				name = "labels_" + string(d) + ".sql"
			}
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
			if got != string(want) {
				t.Errorf("%s is not what is written now; look at the difference and run the test with -update", path)
			}
		}
	}
}

func TestTheHashIsOfTheModel(t *testing.T) {
	hash := func(text string) string {
		got, err := sql.Emit(parse(t, text), sql.Options{Dialect: sql.DuckDB})
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`-- Project ([0-9a-f]{16}),`).FindStringSubmatch(got)[1]
	}
	text := project(t, "small.yaml")
	one := hash(text)
	if two := hash(strings.Replace(text, "features:", "# a comment\nfeatures:", 1)); one != two {
		t.Error("a comment changes the hash")
	}
	if two := hash(strings.Replace(text, "1mo]", "2mo]", 1)); one == two {
		t.Error("another window does not change the hash")
	}
}

func TestWhatIsUnavailableIsAnError(t *testing.T) {
	text := project(t, "small.yaml")
	for name, c := range map[string]struct {
		old, new string
		dialect  sql.Dialect
		want     string
	}{
		"merges":               {"features:", "  merges: {path: m.csv, time: at, from_account: a, into: b}\nfeatures:", sql.DuckDB, "source merges joins accounts"},
		"a type not known":     {"types: {plan: category}", "types: {other: number}", sql.Postgres, `the type of column "plan" is not known: declare it in the project file`},
		"days that went back":  {"Europe/Berlin", "America/St_Johns", sql.Spark, "America/St_Johns"},
		"a long name":          {"name: plan,", "name: " + strings.Repeat("p", 64) + ",", sql.Postgres, "PostgreSQL keeps 63 bytes of a name"},
		"names of one letter":  {"name: plan,", "name: LOGINS_28D,", sql.DuckDB, `column "LOGINS_28D" beside "logins_28d"`},
		"the account's name":   {"name: plan,", "name: account_id,", sql.Spark, `column "account_id"`},
		"a text with a zero":   {`"login"`, `"log\u0000in"`, sql.Postgres, "holds what no warehouse keeps"},
		"a slope of thousands": {"features:\n", "features:\n  - {name: s, from: events, agg: slope, every: 1h, windows: [90d]}\n", sql.DuckDB, "feature s (line 9): not available in SQL: a slope over 90d in buckets of 1h"},
	} {
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: the project has no %q", name, c.old)
		}
		p, err := spec.Parse([]byte(strings.Replace(text, c.old, c.new, 1)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "days that went back" {
			p.Features[0].Agg = spec.ActiveDays
		}
		_, err = sql.Emit(p, sql.Options{Dialect: c.dialect})
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, sql.ErrUnavailable) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	p := parse(t, text)
	for want, o := range map[string]sql.Options{
		`the project has no model "none" with moments: it has churn`: {Dialect: sql.DuckDB, Model: "none"},
		`unknown dialect "oracle"`:                                   {Dialect: "oracle"},
		"table none: the project has no source of that name":         {Dialect: sql.DuckDB, Tables: map[string]string{"none": "x"}},
		`table "raw.\"x": a quote is not closed`:                     {Dialect: sql.DuckDB, Tables: map[string]string{"events": `raw."x`}},
		`table "a..b"`:                                               {Dialect: sql.DuckDB, Tables: map[string]string{"events": `a..b`}},
	} {
		if _, err := sql.Emit(p, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if _, err := sql.Emit(&spec.Project{}, sql.Options{Dialect: sql.DuckDB}); err == nil {
		t.Error("a project without a model has rows")
	}
}

// hostileProject has what would end a quote or a comment wherever a text or a name can
// stand. No project file gives such names, but a Project may.
func hostileProject(t *testing.T) *spec.Project {
	t.Helper()
	const bad = "x\"`'; DROP TABLE victims; -- /* \\"
	where, err := expr.Compile(`column("`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(bad)+`") != "it's \\ '; DROP TABLE victims; -- ${env:HOME}"`, []expr.Var{{Name: bad, Type: expr.Text}})
	if err != nil {
		t.Fatal(err)
	}
	columns := []spec.Column{{Name: bad, Kind: datasets.Category}}
	return &spec.Project{Account: "a" + bad, Timezone: "UTC",
		Sources: []spec.Source{
			{Name: "events", Kind: spec.Events, Account: "a" + bad, ID: "i" + bad, Time: "t" + bad, Columns: columns, Missing: []string{bad}},
			{Name: "subs", Kind: spec.Intervals, Account: "a" + bad, Start: "s" + bad, End: "e" + bad},
		},
		Features: []spec.Feature{
			{Name: "n" + bad, From: "events", Agg: spec.Count, Where: where, By: bad, Values: []string{"v\n\r\"`'; --", `\'; DROP TABLE victims; --`}},
			{Name: "l" + bad, From: "events", Agg: spec.Last, Value: bad},
			{Name: "k" + bad, From: "events", Agg: spec.Streak},
		},
		Models: []spec.Model{{Name: "m" + bad, Moments: spec.Moments{Every: spec.Window{Micros: 86_400_000_000}}, Label: spec.Label{Kind: spec.LabelEvent, From: "subs.end", Horizon: spec.Window{Micros: 86_400_000_000}}}},
	}
}

func TestHostileNamesStayNames(t *testing.T) {
	for _, d := range sql.Dialects() {
		t.Run(string(d), func(t *testing.T) {
			needs(t, d)
			p := hostileProject(t)
			var jobs []job
			for _, labels := range []bool{false, true} {
				jobs = append(jobs, job{name: "hostile", tables: hostileTables(t, p), query: func(d sql.Dialect, tables map[string]string) string {
					delete(tables, "victims")
					text, err := sql.Emit(p, sql.Options{Dialect: d, Labels: labels, Tables: tables})
					if err != nil {
						t.Fatal(err)
					}
					return text
				}})
			}
			jobs = append(jobs, job{name: "the victims", tables: hostileTables(t, p), query: func(d sql.Dialect, tables map[string]string) string {
				name := "victims"
				if tables != nil {
					name = tables[name]
				}
				return "SELECT * FROM " + name
			}})
			answers := run(t, d, jobs)
			if got := answers[0]; got.Rows() != 2 || len(got.Columns) != 6 {
				t.Fatalf("%d rows, columns %q", got.Rows(), got.Names())
			}
			for k, want := range []string{p.Account, "moment", "", "", p.Features[1].Name, p.Features[2].Name} {
				if got := answers[0].Columns[k].Name; want != "" && got != want {
					t.Errorf("column %d is called %q, want %q", k, got, want)
				}
			}
			if got := answers[0].Columns[2].At(1).Number; got != 1 {
				t.Errorf("%v events of the hostile category, want 1", got)
			}
			if answers[2].Rows() != 1 {
				t.Error("the victims are gone")
			}
		})
	}
}

// hostileTables are two events of one account, and a victim.
func hostileTables(t *testing.T, p *spec.Project) map[string]*datasets.Table {
	const day = 86_400_000_000
	first := instant("2025-03-01 12:00:00")
	s := &p.Sources[0]
	text := func(name string, values ...string) datasets.Column {
		c := datasets.Column{Name: name, Kind: datasets.Text}
		for i, v := range values {
			c.Codes, c.Values = append(c.Codes, int32(i)), append(c.Values, v)
		}
		return c
	}
	instants := func(name string, values ...int64) datasets.Column {
		return datasets.Column{Name: name, Kind: datasets.Time, Times: values}
	}
	account := datasets.Column{Name: s.Account, Kind: datasets.Text, Codes: []int32{0, 0}, Values: []string{"A'; --"}}
	events := &datasets.Table{Columns: []datasets.Column{account, text(s.ID, "1", "2"), instants(s.Time, first, first+2*day), text(s.Columns[0].Name, p.Features[0].Values...)}}
	events.Columns[3].Codes = []int32{0, 1}
	subs := &datasets.Table{Columns: []datasets.Column{account, instants(p.Sources[1].Start, first, first), instants(p.Sources[1].End, first+day, datasets.MissingTime)}}
	return map[string]*datasets.Table{"events": events, "subs": subs, "victims": {Columns: []datasets.Column{text("name", "v")}}}
}
