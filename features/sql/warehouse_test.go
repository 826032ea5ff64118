package sql_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
	"propensity/features/sql"
)

// A job is tables in a warehouse and a query of them.
type job struct {
	name   string
	tables map[string]*datasets.Table
	query  func(d sql.Dialect, tables map[string]string) string
}

// needs skips a test whose warehouse is not there.
func needs(t *testing.T, d sql.Dialect) {
	t.Helper()
	switch {
	case d == sql.Postgres && os.Getenv("PROPENSITY_POSTGRES") == "":
		t.Skip("PROPENSITY_POSTGRES, the connection string of a PostgreSQL server to run SQL on, is not set")
	case d != sql.Postgres && os.Getenv("PROPENSITY_WAREHOUSE") == "":
		t.Skip("PROPENSITY_WAREHOUSE, a Python with duckdb, pyspark and pyarrow to run SQL with, is not set")
	}
}

// run gives the answers of jobs in one dialect.
func run(t *testing.T, d sql.Dialect, jobs []job) []*datasets.Table {
	t.Helper()
	if d == sql.Postgres {
		return runPostgres(t, jobs)
	}
	python := os.Getenv("PROPENSITY_WAREHOUSE")
	type task struct {
		Tables map[string]string `json:"tables"`
		Query  string            `json:"query"`
		Out    string            `json:"out"`
	}
	dir := t.TempDir()
	tasks := make([]task, len(jobs))
	for i, j := range jobs {
		tasks[i] = task{Tables: map[string]string{}, Out: filepath.Join(dir, fmt.Sprintf("%d.parquet", i))}
		for name, table := range j.tables {
			path := filepath.Join(dir, fmt.Sprintf("%d_%s.parquet", i, name))
			if err := datasets.Write(path, table, datasets.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			tasks[i].Tables[name] = path
		}
		tasks[i].Query = strings.TrimSuffix(strings.TrimSpace(j.query(d, nil)), ";")
	}
	list, err := json.Marshal(tasks)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tasks.json")
	if err := os.WriteFile(path, list, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, filepath.Join("testdata", "warehouse.py"), string(d), path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, tail(string(out)))
	}
	var answers []*datasets.Table
	for _, x := range tasks {
		table, err := datasets.Read(x.Out, datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, table)
	}
	return answers
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func runPostgres(t *testing.T, jobs []job) (answers []*datasets.Table) {
	at := os.Getenv("PROPENSITY_POSTGRES")
	ctx := context.Background()
	c, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	schema := fmt.Sprintf("features_%d", os.Getpid())
	exec := func(format string, a ...any) {
		if _, err := c.Exec(ctx, fmt.Sprintf(format, a...)); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE SCHEMA %s", schema)
	defer exec("DROP SCHEMA %s CASCADE", schema)
	t.Setenv("PROPENSITY_TEST_URL", at)
	for i, j := range jobs {
		names := map[string]string{}
		for name, table := range j.tables {
			in := fmt.Sprintf("%s_%d", name, i)
			names[name] = schema + "." + in
			load(t, c, pgx.Identifier{schema, in}, table)
		}
		answers = append(answers, answer(t, j.name, j.query(sql.Postgres, names)))
	}
	return answers
}

func answer(t *testing.T, name, query string) *datasets.Table {
	t.Helper()
	r, err := datasets.OpenSQL(context.Background(), datasets.SQLSource{URL: "${env:PROPENSITY_TEST_URL}", Query: query}, datasets.ReadOptions{Batch: 1 << 20})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer r.Close()
	table, err := r.Next()
	if errors.Is(err, io.EOF) {
		return &datasets.Table{}
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return table
}

func load(t *testing.T, c *pgx.Conn, name pgx.Identifier, in *datasets.Table) {
	t.Helper()
	ctx := context.Background()
	var columns, names []string
	for j := range in.Columns {
		c := &in.Columns[j]
		kind := map[datasets.Kind]string{datasets.Number: "float8", datasets.Boolean: "boolean", datasets.Category: "text", datasets.Text: "text", datasets.Time: "timestamptz"}[c.Kind]
		names, columns = append(names, c.Name), append(columns, pgx.Identifier{c.Name}.Sanitize()+" "+kind)
	}
	if _, err := c.Exec(ctx, "CREATE TABLE "+name.Sanitize()+" ("+strings.Join(columns, ", ")+")"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CopyFrom(ctx, name, names, pgx.CopyFromSlice(in.Rows(), func(i int) (row []any, err error) {
		for j := range in.Columns {
			switch v := in.Columns[j].At(i); v.Kind {
			case 0:
				row = append(row, nil)
			case datasets.Number:
				row = append(row, v.Number)
			case datasets.Boolean:
				row = append(row, v.Number != 0)
			case datasets.Time:
				row = append(row, time.UnixMicro(v.Time).UTC())
			default:
				row = append(row, v.Text)
			}
		}
		return row, nil
	})); err != nil {
		t.Fatal(err)
	}
}

// tablesOf writes facts as the tables that their sources are read from.
func tablesOf(t *testing.T, p *spec.Project, list []facts.Fact) map[string]*datasets.Table {
	t.Helper()
	out := map[string]*datasets.Table{}
	for i := range p.Sources {
		s := &p.Sources[i]
		var own []facts.Fact
		for _, f := range list {
			if f.Source == s.Name {
				own = append(own, f)
			}
		}
		table := &datasets.Table{}
		text := func(name string, of func(f *facts.Fact) string) {
			c := datasets.Column{Name: name, Kind: datasets.Text}
			codes := map[string]int32{"": -1}
			for k := range own {
				x := of(&own[k])
				if _, ok := codes[x]; !ok {
					codes[x] = int32(len(c.Values))
					c.Values = append(c.Values, x)
				}
				c.Codes = append(c.Codes, codes[x])
			}
			if name != "" {
				table.Columns = append(table.Columns, c)
			}
		}
		instant := func(name string, of func(f *facts.Fact) int64) {
			c := datasets.Column{Name: name, Kind: datasets.Time}
			for k := range own {
				c.Times = append(c.Times, of(&own[k]))
			}
			if name != "" {
				table.Columns = append(table.Columns, c)
			}
		}
		text(s.Account, func(f *facts.Fact) string { return f.Account })
		text(s.ID, func(f *facts.Fact) string { return f.ID })
		instant(s.Time+s.Start, func(f *facts.Fact) int64 { return f.Occurred })
		instant(s.Arrived, func(f *facts.Fact) int64 { return f.Arrived })
		instant(s.End, func(f *facts.Fact) int64 { return f.End })
		columns := s.Columns
		if s.User != "" && !slices.ContainsFunc(columns, func(c spec.Column) bool { return c.Name == s.User }) {
			columns = append(slices.Clone(columns), spec.Column{Name: s.User, Kind: datasets.Text})
		}
		for _, c := range columns {
			column := datasets.Column{Name: c.Name, Kind: c.Kind}
			codes := map[string]int32{}
			for k := range own {
				v := own[k].Values[c.Name]
				switch c.Kind {
				case datasets.Number, datasets.Boolean:
					x := v.Number
					if v.Missing() {
						x = math.NaN()
					}
					column.Numbers = append(column.Numbers, x)
				case datasets.Time:
					x := v.Time
					if v.Missing() {
						x = datasets.MissingTime
					}
					column.Times = append(column.Times, x)
				default:
					code, ok := codes[v.Text]
					switch {
					case v.Missing():
						code = -1
					case !ok:
						code = int32(len(column.Values))
						codes[v.Text], column.Values = code, append(column.Values, v.Text)
					}
					column.Codes = append(column.Codes, code)
				}
			}
			table.Columns = append(table.Columns, column)
		}
		out[s.Name] = table
	}
	return out
}

// rowsOf are those of the engine: account, moment and the outputs.
func rowsOf(t *testing.T, p *spec.Project, model string, list []facts.Fact, asOf int64) *datasets.Table {
	t.Helper()
	part, err := facts.Assemble(p, nil, list)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := build.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	at, err := plan.Moments(model, part, asOf)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := plan.Rows(part, at)
	if err != nil {
		t.Fatal(err)
	}
	keep, err := plan.Keep(model, columns)
	if err != nil {
		t.Fatal(err)
	}
	var kept []int
	for i, k := range keep {
		if k {
			kept = append(kept, i)
		}
	}
	table := &datasets.Table{Columns: momentColumns(part, at)}
	for _, m := range p.Models {
		for _, c := range columns {
			if m.Name == model && (m.Features == nil || slices.Contains(m.Features, c.Name)) {
				table.Columns = append(table.Columns, c)
			}
		}
	}
	return table.Take(kept)
}

// labelsOf are those of the engine that have an answer.
func labelsOf(t *testing.T, p *spec.Project, model string, list []facts.Fact, asOf int64) *datasets.Table {
	t.Helper()
	part, err := facts.Assemble(p, nil, list)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := build.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	at, err := plan.Moments(model, part, asOf)
	if err != nil {
		t.Fatal(err)
	}
	label, _, err := plan.Labels(model, part, at, asOf)
	if err != nil {
		t.Fatal(err)
	}
	var answered []int
	var yes, no int
	for i, x := range label {
		switch {
		case x == 1:
			yes++
		case x == 0:
			no++
		default:
			continue
		}
		answered = append(answered, i)
	}
	if yes == 0 || no == 0 {
		t.Errorf("%d yes, %d no: the label asks nothing", yes, no)
	}
	return (&datasets.Table{Columns: append(momentColumns(part, at), datasets.Column{Name: model, Kind: datasets.Boolean, Numbers: label})}).Take(answered)
}

func momentColumns(part *facts.Part, at []build.Moment) []datasets.Column {
	account := datasets.Column{Name: "account_id", Kind: datasets.Category, Values: part.Accounts}
	moment := datasets.Column{Name: "moment", Kind: datasets.Time}
	for _, m := range at {
		account.Codes, moment.Times = append(account.Codes, int32(m.Account)), append(moment.Times, m.At)
	}
	return []datasets.Column{account, moment}
}

// compare holds the answer of a warehouse against the engine's table, which has a row
// at least. Numbers of the columns that loose says may differ by 1e-9 of themselves.
func compare(t *testing.T, name string, got, want *datasets.Table, loose func(column string) bool) {
	t.Helper()
	if got.Rows() != want.Rows() || want.Rows() == 0 {
		t.Errorf("%s: %d rows, the engine has %d", name, got.Rows(), want.Rows())
		if os.Getenv("PROPENSITY_VERBOSE") != "" {
			show(t, got)
			show(t, want)
		}
		return
	}
	if len(got.Columns) != len(want.Columns) {
		t.Errorf("%s: columns %q, the engine has %q", name, got.Names(), want.Names())
		return
	}
	sorted := func(x *datasets.Table) *datasets.Table {
		rows := make([]int, x.Rows())
		for i := range rows {
			rows[i] = i
		}
		slices.SortFunc(rows, func(i, j int) int {
			return cmp.Or(cmp.Compare(x.Columns[0].At(i).Text, x.Columns[0].At(j).Text), cmp.Compare(x.Columns[1].Times[i], x.Columns[1].Times[j]))
		})
		return x.Take(rows)
	}
	got, want = sorted(got), sorted(want)
	for k := range want.Columns {
		a, b := &got.Columns[k], &want.Columns[k]
		if a.Name != b.Name {
			t.Errorf("%s: column %d is %q, the engine's %q", name, k, a.Name, b.Name)
			continue
		}
		wrong := 0
		for i := range want.Rows() {
			x, y := a.At(i), b.At(i)
			same := x.String() == y.String() && x.Missing() == y.Missing()
			if !same && loose(a.Name) && x.Kind == datasets.Number && y.Kind == datasets.Number {
				same = math.Abs(x.Number-y.Number) <= 1e-9*max(math.Abs(x.Number), math.Abs(y.Number))
			}
			if !same {
				if wrong++; wrong <= 2 {
					t.Errorf("%s: account %s at %s: %s is %q, the engine's %q", name, got.Columns[0].At(i), got.Columns[1].At(i), a.Name, x, y)
				}
			}
		}
		if wrong > 2 {
			t.Errorf("%s: %s differs in %d of %d rows", name, a.Name, wrong, want.Rows())
		}
	}
}

func show(t *testing.T, x *datasets.Table) {
	for i := range min(x.Rows(), 40) {
		var line []string
		for k := range min(4, len(x.Columns)) {
			line = append(line, x.Columns[k].At(i).String())
		}
		t.Log(strings.Join(line, " | "))
	}
}

// day is an instant by its date and time of day, UTC.
func instant(s string) int64 {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		panic(err)
	}
	return t.UnixMicro()
}

var hostile = []string{"login", "invite", `it's`, `back\slash`, "${env:HOME}", `"; DROP TABLE events; --`, "Ünïcode", ""}

// history makes facts of a few accounts at random: ties, late arrivals, corrections,
// repetitions, missing values, instants on midnights and on the edges of windows.
func history(seed uint64, accounts int) []facts.Fact {
	r := rand.New(rand.NewPCG(seed, 1))
	number := func(x float64) datasets.Value { return datasets.Value{Kind: datasets.Number, Number: x} }
	text := func(s string) datasets.Value { return datasets.Value{Kind: datasets.Category, Text: s} }
	first := instant("2025-02-20 00:00:00")
	const day, hour = 86_400_000_000, 3_600_000_000
	at := func() int64 {
		x := first + r.Int64N(110)*day
		switch r.IntN(6) {
		case 0:
		case 1:
			x -= 1
		case 2:
			x += r.Int64N(24) * hour
		case 3:
			x += r.Int64N(day)
		default:
			x += 22*hour + r.Int64N(4)*hour/2 // about midnight of other timezones
		}
		return x
	}
	var out []facts.Fact
	add := func(f facts.Fact) {
		for k, v := range f.Values {
			if v.Missing() {
				delete(f.Values, k)
			}
		}
		out = append(out, f)
	}
	arrived := func(at int64) int64 {
		if r.IntN(3) > 0 {
			return at
		}
		return at + r.Int64N(6*day)
	}
	maybe := func(v datasets.Value) datasets.Value {
		if r.IntN(5) == 0 {
			return datasets.Value{}
		}
		return v
	}
	for a := range accounts {
		account := fmt.Sprintf("A-%d", a)
		for range r.IntN(3) {
			x := at() - 20*day
			add(facts.Fact{Source: "accounts", Account: account, Occurred: x, Arrived: arrived(x), Values: map[string]datasets.Value{
				"plan": maybe(text(hostile[r.IntN(len(hostile))])), "seats": maybe(number(float64(r.IntN(20)))),
				"trial": maybe(datasets.Value{Kind: datasets.Boolean, Number: float64(r.IntN(2))}), "founded": maybe(datasets.Value{Kind: datasets.Time, Time: at()})}})
		}
		for range r.IntN(60) {
			x := at()
			f := facts.Fact{Source: "events", Account: account, Occurred: x, Arrived: arrived(x), Values: map[string]datasets.Value{
				"event": maybe(text(hostile[r.IntN(len(hostile))])), "seconds": maybe(number(float64(r.IntN(80)) / 8)), "quantity": maybe(number(float64(r.IntN(9) - 2)))}}
			if r.IntN(2) == 0 {
				f.ID = fmt.Sprintf("e%d", r.IntN(1000))
			}
			add(f)
			for f.ID != "" && r.IntN(3) == 0 { // a repetition or a correction
				again := f
				again.Arrived += r.Int64N(10 * day)
				again.Values = map[string]datasets.Value{}
				for k, v := range f.Values {
					again.Values[k] = v
				}
				if r.IntN(2) == 0 {
					again.Values["seconds"] = number(float64(r.IntN(80)) / 8)
					again.Occurred += int64(r.IntN(2)) * 3 * day
				}
				add(again)
			}
		}
		for range r.IntN(5) {
			x := at()
			f := facts.Fact{Source: "subscriptions", Account: account, Occurred: x, Arrived: arrived(x), End: datasets.MissingTime, ID: fmt.Sprintf("s%d", r.IntN(50)), Values: map[string]datasets.Value{
				"mrr": maybe(number(float64(r.IntN(500)))), "renews": maybe(datasets.Value{Kind: datasets.Time, Time: x + r.Int64N(60)*day}), "reason": text(hostile[r.IntN(4)])}}
			if r.IntN(2) == 0 {
				f.End = x + r.Int64N(50)*day
			}
			add(f)
		}
		for k := range r.IntN(12) {
			x := first + int64(k)*9*day
			add(facts.Fact{Source: "usage", Account: account, Occurred: x, Arrived: x + 2*hour, Values: map[string]datasets.Value{"disk": maybe(number(float64(r.IntN(100)) / 4))}})
		}
	}
	for u := range accounts {
		for range 1 + r.IntN(2) {
			x := at()
			add(facts.Fact{Source: "users", Account: fmt.Sprintf("A-%d", r.IntN(accounts)), Occurred: x, Arrived: x, Values: map[string]datasets.Value{"user_id": {Kind: datasets.Text, Text: fmt.Sprintf("u%d", u)}}})
		}
		for range r.IntN(10) {
			x := at()
			add(facts.Fact{Source: "clicks", Occurred: x, Arrived: x + hour, Values: map[string]datasets.Value{"user": {Kind: datasets.Text, Text: fmt.Sprintf("u%d", r.IntN(accounts+2))}}})
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// asOfAll is the newest arrival.
func asOfAll(list []facts.Fact) int64 {
	newest := int64(math.MinInt64)
	for _, f := range list {
		newest = max(newest, f.Arrived)
		if f.End != datasets.MissingTime {
			newest = max(newest, f.End)
		}
	}
	return newest
}

func parse(t *testing.T, text string) *spec.Project {
	t.Helper()
	p, err := spec.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func project(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
