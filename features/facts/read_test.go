package facts

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features/expr"
	"propensity/features/spec"
)

const day int64 = 86_400_000_000

// at is an instant on the n-th day of 2024.
func at(n int) int64 { return time.Date(2024, 1, n, 0, 0, 0, 0, time.UTC).UnixMicro() }

func readProject() *spec.Project {
	return &spec.Project{Account: "account", Sources: []spec.Source{
		{Name: "accounts", Kind: spec.Attributes, Path: "accounts.csv", Account: "account", Columns: []spec.Column{{Name: "size"}}},
		{Name: "events", Kind: spec.Events, Path: "events*.csv", Account: "account", User: "user", ID: "id", Time: "at", Arrived: "seen",
			Columns: []spec.Column{{Name: "event", Kind: datasets.Category}, {Name: "n", Kind: datasets.Number}}},
		{Name: "subscriptions", Kind: spec.Intervals, Path: "subscriptions.csv", Account: "account", ID: "id", Start: "start", End: "end",
			Columns: []spec.Column{{Name: "plan", Kind: datasets.Category}, {Name: "mrr", Kind: datasets.Number}}},
		{Name: "users", Kind: spec.Users, Path: "users.csv", Account: "account", User: "user"},
		{Name: "merges", Kind: spec.Merges, Path: "merges.csv", FromAccount: "from", Into: "into", Time: "at"},
	}}
}

// write puts files into a directory, a CSV text each.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "facts-*")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// linesOf spells all facts of accounts, a line a version.
func linesOf(p *Part) map[string][]string {
	out := map[string][]string{}
	for a, account := range p.Accounts {
		var lines []string
		for s := range p.Sources {
			f := &p.Sources[s]
			for i := f.First[a]; i < f.First[a+1]; i++ {
				arrived, until, end := f.Occurred[i], Never, datasets.MissingTime
				if f.Arrived != nil {
					arrived = f.Arrived[i]
				}
				if f.Until != nil {
					until = f.Until[i]
				}
				if f.End != nil {
					end = f.End[i]
				}
				line := fmt.Sprint(s, f.Occurred[i], arrived, until, end)
				for k := range f.Columns {
					line += "|" + cmp.Or(f.Columns[k].At(i).String(), "-")
				}
				lines = append(lines, line)
			}
		}
		if p.Merged != nil {
			lines = append(lines, fmt.Sprint("merged ", p.Merged[a]))
		} else {
			lines = append(lines, fmt.Sprint("merged ", Never))
		}
		out[account] = lines
	}
	return out
}

// all joins what all parts hold.
func all(t testing.TB, c *Collection) (accounts []string, lines map[string][]string) {
	lines = map[string][]string{}
	for i := range c.Parts() {
		p, err := c.Part(i)
		if err != nil {
			t.Fatal(err)
		}
		accounts = append(accounts, p.Accounts...)
		for account, l := range linesOf(p) {
			lines[account] = l
		}
	}
	return accounts, lines
}

// What is read from files is what Assemble makes of the same facts, whatever the
// number of buckets and threads, and whether or not it went to a file meanwhile.
func TestReadIsAssemble(t *testing.T) {
	text := func(s string) datasets.Value {
		if s == "" {
			return datasets.Value{}
		}
		return datasets.Value{Kind: datasets.Text, Text: s}
	}
	rapid.Check(t, func(r *rapid.T) {
		p := readProject()
		var list []Fact
		account := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		instant := rapid.Custom(func(r *rapid.T) int64 { return at(rapid.IntRange(1, 6).Draw(r, "day")) })
		files := map[string]*strings.Builder{}
		line := func(file string, cells ...any) {
			b := files[file]
			for i, c := range cells {
				if i > 0 {
					b.WriteString(",")
				}
				if us, ok := c.(int64); ok {
					if us != datasets.MissingTime {
						b.WriteString(datasets.FormatTime(us))
					}
					continue
				}
				fmt.Fprint(b, c)
			}
			b.WriteString("\n")
		}
		for name, head := range map[string]string{"accounts.csv": "account,size", "events1.csv": "account,user,id,at,seen,event,n", "events2.csv": "n,event,at,seen,id,user,account",
			"subscriptions.csv": "account,id,start,end,plan,mrr", "users.csv": "user,account", "merges.csv": "from,into,at"} {
			files[name] = &strings.Builder{}
			files[name].WriteString(head + "\n")
		}
		for range rapid.IntRange(0, 4).Draw(r, "accounts") {
			a, size := account.Draw(r, "account"), rapid.SampledFrom([]string{"", "s", "m"}).Draw(r, "size")
			line("accounts.csv", a, size)
			list = append(list, Fact{Source: "accounts", Account: a, Occurred: Always, Arrived: Always, Values: map[string]datasets.Value{"size": text(size)}})
		}
		for range rapid.IntRange(0, 25).Draw(r, "events") {
			a := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", ""}).Draw(r, "account")
			user := rapid.SampledFrom([]string{"", "u", "v", "w"}).Draw(r, "user")
			id, event := rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "id"), rapid.SampledFrom([]string{"", "x", "y"}).Draw(r, "event")
			occurred := instant.Draw(r, "at")
			seen, n := occurred+day*int64(rapid.IntRange(0, 2).Draw(r, "late")), rapid.SampledFrom([]string{"", "1", "2.5", "-3"}).Draw(r, "n")
			f := Fact{Source: "events", Account: a, ID: id, Occurred: occurred, Arrived: seen, Values: map[string]datasets.Value{"event": text(event), "user": text(user)}}
			if x, ok := datasets.ParseNumber(n); ok {
				f.Values["n"] = datasets.Value{Kind: datasets.Number, Number: x}
			}
			list = append(list, f)
			if rapid.Bool().Draw(r, "file") {
				line("events1.csv", a, user, id, occurred, seen, event, n)
			} else {
				line("events2.csv", n, event, occurred, seen, id, user, a)
			}
		}
		for range rapid.IntRange(0, 8).Draw(r, "subscriptions") {
			a, id := account.Draw(r, "account"), rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "id")
			start, end := instant.Draw(r, "start"), datasets.MissingTime
			if rapid.Bool().Draw(r, "ended") {
				end = start + day*int64(rapid.IntRange(0, 3).Draw(r, "days"))
			}
			plan, mrr := rapid.SampledFrom([]string{"free", "pro"}).Draw(r, "plan"), float64(rapid.IntRange(0, 2).Draw(r, "mrr"))
			line("subscriptions.csv", a, id, start, end, plan, mrr)
			list = append(list, Fact{Source: "subscriptions", Account: a, ID: id, Occurred: start, Arrived: start, End: end,
				Values: map[string]datasets.Value{"plan": text(plan), "mrr": {Kind: datasets.Number, Number: mrr}}})
		}
		for range rapid.IntRange(0, 3).Draw(r, "users") {
			a, user := account.Draw(r, "account"), rapid.SampledFrom([]string{"u", "v"}).Draw(r, "user")
			line("users.csv", user, a)
			list = append(list, Fact{Source: "users", Account: a, Occurred: Always, Arrived: Always, Values: map[string]datasets.Value{"user": text(user)}})
		}
		for range rapid.IntRange(0, 3).Draw(r, "merges") {
			from, into, when := account.Draw(r, "from"), account.Draw(r, "into"), instant.Draw(r, "at")
			if from == into {
				continue
			}
			line("merges.csv", from, into, when)
			list = append(list, Fact{Source: "merges", Account: into, Occurred: when, Arrived: when, Values: map[string]datasets.Value{"from": text(from)}})
		}
		texts := map[string]string{}
		for name, b := range files {
			texts[name] = b.String()
		}
		dir := write(t, texts)
		defer os.RemoveAll(dir)
		part, err := Assemble(readProject(), nil, list)
		if err != nil {
			r.Fatal(err)
		}
		want := linesOf(part)
		o := ReadOptions{Dir: dir, Now: at(300), Memory: rapid.SampledFrom([]int64{1, 300, 0}).Draw(r, "memory"),
			Threads: rapid.IntRange(1, 3).Draw(r, "threads"), buckets: uint(rapid.IntRange(0, 3).Draw(r, "buckets")), Temp: dir}
		c, err := Read(context.Background(), p, o)
		if err != nil {
			r.Fatal(err)
		}
		defer c.Close()
		accounts, got := all(t, c)
		for a, lines := range want {
			if !slices.Equal(lines, got[a]) {
				r.Fatalf("account %s:\n got %s\nwant %s", a, strings.Join(got[a], "\n     "), strings.Join(lines, "\n     "))
			}
		}
		for _, a := range accounts {
			if want[a] == nil {
				r.Fatalf("account %q is new", a)
			}
		}
		if !slices.IsSortedFunc(accounts, func(a, b string) int { return cmp.Compare(hashOf(a), hashOf(b)) }) {
			r.Fatalf("accounts %q are not in order", accounts)
		}
	})
}

// Every record that cannot be used is left out, counted and named.
func TestExclusions(t *testing.T) {
	p := &spec.Project{Sources: []spec.Source{
		{Name: "events", Kind: spec.Events, Path: "events.csv", Account: "account", Time: "at", Arrived: "seen"},
		{Name: "subscriptions", Kind: spec.Intervals, Path: "subscriptions.csv", Account: "account", Start: "start", End: "end"},
		{Name: "clicks", Kind: spec.Events, Path: "clicks.csv", User: "user", Time: "at"},
		{Name: "users", Kind: spec.Users, Path: "users.csv", Account: "account", User: "user"},
		{Name: "merges", Kind: spec.Merges, Path: "merges.csv", FromAccount: "from", Into: "into", Time: "at"},
	}}
	dir := write(t, map[string]string{
		"events.csv": "account,at,seen\n" +
			"a,2024-01-02,2024-01-03\n" + // good
			",2024-01-02,2024-01-03\n" +
			"a,,2024-01-03\n" +
			"a,yesterday,2024-01-03\n" +
			"a,0001-01-01,2024-01-03\n" +
			"a,1989-12-31,2024-01-03\n" +
			"a,2024-06-02,2024-06-03\n" +
			"a,2024-01-02,2024-06-03\n" +
			"a,2024-05-31T23:59:59.999999Z,\n", // good: seen when it occurred
		"subscriptions.csv": "account,start,end\na,2024-02-01,2024-01-31\na,2024-02-01,2024-02-01\na,2024-02-01,2030-01-01\n",
		"clicks.csv":        "user,at\nu,2024-01-01\nx,2024-01-01\n,2024-01-01\n",
		"users.csv":         "user,account\nu,a\n",
		"merges.csv":        "from,into,at\n,a,2024-01-01\nb,b,2024-01-01\nb,,2024-01-01\n",
	})
	defer os.RemoveAll(dir)
	c, err := Read(context.Background(), p, ReadOptions{Dir: dir, Now: at(153) - 1}) // the end of May
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	for _, e := range c.Excluded() {
		got = append(got, strings.ReplaceAll(e.String(), dir+"/", ""))
	}
	want := []string{
		"events: 1 left out: no account id (first: events.csv, record 2)",
		"events: 2 left out: no time, or one that cannot be read (first: events.csv, record 3)",
		"events: 2 left out: dated before 1990 (first: events.csv, record 5)",
		"events: 2 left out: dated after 2024-05-31T23:59:59.999999Z (first: events.csv, record 7)",
		"subscriptions: 1 left out: ended before they started (first: subscriptions.csv, record 1)",
		"clicks: 2 left out: their user is of no account (first: clicks.csv, record 2)",
		"merges: 1 left out: no account id (first: merges.csv, record 3)",
		"merges: 1 left out: no account that was merged (first: merges.csv, record 1)",
		"merges: 1 left out: an account merged into itself (first: merges.csv, record 2)",
	}
	if diff := compare(got, want); diff != "" {
		t.Error(diff)
	}
}

func compare(got, want []string) string {
	if slices.Equal(got, want) {
		return ""
	}
	return "got\n  " + strings.Join(got, "\n  ") + "\nwant\n  " + strings.Join(want, "\n  ")
}

// With an instant to look from, what came later is left out as such, and the newest
// arrival is that of what stays.
func TestAsOf(t *testing.T) {
	p := &spec.Project{Sources: []spec.Source{{Name: "events", Kind: spec.Events, Path: "events.csv", Account: "account", Time: "at", Arrived: "seen"}}}
	dir := write(t, map[string]string{"events.csv": "account,at,seen\na,2024-01-01,2024-01-02\na,2024-01-01,2024-01-05\na,2024-01-04,2024-01-06\na,2024-01-09,2024-01-09\n"})
	defer os.RemoveAll(dir)
	for _, x := range []struct {
		asOf, newest int64
		kept         int64
	}{{at(5), at(5), 2}, {at(4), at(2), 1}, {at(6), at(6), 3}, {0, at(9), 4}} {
		c, err := Read(context.Background(), p, ReadOptions{Dir: dir, AsOf: x.asOf, Now: at(300)})
		if err != nil {
			t.Fatal(err)
		}
		if kept, _ := c.Records(0); kept != x.kept || c.Newest() != x.newest {
			t.Errorf("as of %d: kept %d, newest %s, of %d and %s", x.asOf, kept, datasets.FormatTime(c.Newest()), x.kept, datasets.FormatTime(x.newest))
		}
		c.Close()
	}
}

// Faults of sources are errors that say what to do.
func TestSourceFaults(t *testing.T) {
	where, err := expr.CompileCondition(`currency == "EUR"`, nil)
	if err != nil {
		t.Fatal(err)
	}
	money := func(w *expr.Expr) *spec.Project {
		return &spec.Project{Sources: []spec.Source{{Name: "invoices", Kind: spec.Events, Path: "invoices.csv", Account: "account", Time: "at",
			Amount: "amount", Currency: "currency", Where: w, Columns: []spec.Column{{Name: "amount"}, {Name: "currency"}}}},
			Features: []spec.Feature{{Name: "paid", From: "invoices", Agg: spec.Sum, Value: "amount"}}}
	}
	events := func(path string) *spec.Project {
		return &spec.Project{Sources: []spec.Source{{Name: "events", Kind: spec.Events, Path: path, Account: "account", Time: "at", Columns: []spec.Column{{Name: "n"}}}}}
	}
	dir := write(t, map[string]string{
		"invoices.csv": "account,at,amount,currency\na,2024-01-01,1,EUR\na,2024-01-01,2,USD\na,2024-01-01,2,USD\n",
		"e1.csv":       "account,at,n\na,2024-01-01,1\n",
		"e2.csv":       "account,at,m\na,2024-01-01,1\n",
		"f1.csv":       "account,at,n\na,2024-01-01,1\n",
		"f2.csv":       "account,at,n\na,2024-01-01,one\n",
		"flag.csv":     "account,at,n\na,true,1\n",
	})
	defer os.RemoveAll(dir)
	for _, x := range []struct {
		p    *spec.Project
		says []string
	}{
		{money(nil), []string{"invoices", "feature paid", `"amount"`, "2 currencies", "EUR (", "record 1", "USD (", "record 2", `where: 'currency == "EUR"'`}},
		{money(where), nil},
		{events("none*.csv"), []string{"source events", "no file", "none*.csv", "project file"}},
		{events("e*.csv"), []string{"e2.csv", `"n"`, "no such column"}},
		{events("e2.csv"), []string{"e2.csv", `"n"`, "no such column", "correct the name"}},
		{events("f*.csv"), []string{"f2.csv:2", `"n"`, `"one"`, "a number is wanted"}},
		{events("flag.csv"), []string{`"at"`, "true and false"}},
		{events("f1.csv"), nil},
	} {
		c, err := Read(context.Background(), x.p, ReadOptions{Dir: dir, Now: at(300)})
		if err == nil {
			c.Close()
		}
		if (err == nil) != (x.says == nil) || err != nil && !errors.Is(err, ErrSource) {
			t.Errorf("%s: %v", x.p.Sources[0].Path, err)
			continue
		}
		for _, s := range x.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%v: does not say %q", err, s)
			}
		}
	}
	// A source that goes while the project is at work is an error too.
	p := events("f1.csv")
	if err := Resolve(context.Background(), p, dir); err != nil || p.Sources[0].Columns[0].Kind != datasets.Number {
		t.Fatal(err, p.Sources[0].Columns)
	}
	if err := os.Remove(filepath.Join(dir, "f1.csv")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(context.Background(), p, ReadOptions{Dir: dir, Now: at(300)}); !errors.Is(err, ErrSource) {
		t.Error(err)
	}
}

// The kinds of text columns are those of the values, and of all formats the same.
func TestResolve(t *testing.T) {
	columns := []datasets.Column{
		{Name: "account", Kind: datasets.Text, Codes: []int32{0, 1}, Values: []string{"001", "002"}},
		{Name: "at", Kind: datasets.Time, Times: []int64{at(1), at(2)}},
		{Name: "category", Kind: datasets.Category, Codes: []int32{0, 1}, Values: []string{"x", "y"}},
		{Name: "flag", Kind: datasets.Boolean, Numbers: []float64{1, 0}},
		{Name: "n", Kind: datasets.Number, Numbers: []float64{1.5, math.NaN()}},
		{Name: "nothing", Kind: datasets.Category, Codes: []int32{-1, -1}},
		{Name: "when", Kind: datasets.Time, Times: []int64{at(1), datasets.MissingTime}},
	}
	dir := write(t, nil)
	defer os.RemoveAll(dir)
	for _, format := range []string{"csv", "parquet", "ndjson", "arrow", "csv.gz"} {
		if err := datasets.Write(filepath.Join(dir, "e."+format), &datasets.Table{Columns: columns}, datasets.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		p := &spec.Project{Sources: []spec.Source{{Name: "events", Kind: spec.Events, Path: "e." + format, Account: "account", Time: "at"}}}
		for _, c := range columns[2:] {
			p.Sources[0].Columns = append(p.Sources[0].Columns, spec.Column{Name: c.Name})
		}
		c, err := Read(context.Background(), p, ReadOptions{Dir: dir, Now: at(300)})
		if err != nil {
			t.Fatal(format, err)
		}
		for k, found := range p.Sources[0].Columns {
			if found.Kind != columns[k+2].Kind {
				t.Errorf("%s: %s is a %s", format, found.Name, found.Kind)
			}
		}
		_, lines := all(t, c)
		want := map[string][]string{"001": {fmt.Sprint(0, at(1), at(1), Never, datasets.MissingTime) + "|x|true|1.5|-|2024-01-01T00:00:00Z", fmt.Sprint("merged ", Never)},
			"002": {fmt.Sprint(0, at(2), at(2), Never, datasets.MissingTime) + "|y|false|-|-|-", fmt.Sprint("merged ", Never)}}
		for a, l := range want {
			if diff := compare(lines[a], l); diff != "" {
				t.Errorf("%s: %s: %s", format, a, diff)
			}
		}
		c.Close()
	}
}

// Instants may be numbers: seconds, milliseconds or microseconds since 1970.
func TestMicrosOf(t *testing.T) {
	for _, x := range []float64{1.7e9, 1.7e12, 1.7e15} {
		if got := microsOf(x); got != 1_700_000_000_000_000 {
			t.Errorf("%v is %s", x, datasets.FormatTime(got))
		}
	}
	for _, x := range []float64{math.NaN(), 1e20, -1e20} {
		if got := microsOf(x); got != datasets.MissingTime {
			t.Errorf("%v is %d", x, got)
		}
	}
}

// A database is a source like a file: the same facts from a table and a query of it.
func TestReadSQL(t *testing.T) {
	dir := write(t, map[string]string{"events.csv": "account,at,n\na,2024-01-02 03:04:05,1\nb,2024-01-01 00:00:00,\n,2024-01-01 00:00:00,3\na,2024-01-01 00:00:00,2.5\n"})
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", filepath.Join(dir, "e.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE events (account TEXT, at TIMESTAMP, n REAL, other TEXT);
		INSERT INTO events VALUES ('a', '2024-01-02 03:04:05', 1, 'x'), ('b', '2024-01-01 00:00:00', NULL, 'x'), (NULL, '2024-01-01 00:00:00', 3, 'x'), ('a', '2024-01-01 00:00:00', 2.5, 'x')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var first map[string][]string
	for _, s := range []spec.Source{{Path: "events.csv"}, {From: "sqlite:e.db", Table: "events"}, {From: "sqlite:e.db", Query: "SELECT n, at, account FROM events"}} {
		s.Name, s.Kind, s.Account, s.Time, s.Columns = "events", spec.Events, "account", "at", []spec.Column{{Name: "n"}}
		c, err := Read(context.Background(), &spec.Project{Sources: []spec.Source{s}}, ReadOptions{Dir: dir, Now: at(300)})
		if err != nil {
			t.Fatal(err)
		}
		_, lines := all(t, c)
		if first == nil {
			first = lines
		}
		excluded := c.Excluded()
		if !maps.EqualFunc(lines, first, slices.Equal) || len(lines) != 2 || len(excluded) != 1 || excluded[0].Count != 1 || !strings.HasSuffix(excluded[0].First, ", record 3") {
			t.Errorf("%s%s%s: %q, %v", s.Path, s.Table, s.Query, lines, excluded)
		}
		c.Close()
	}
	p := &spec.Project{Sources: []spec.Source{{Name: "events", Kind: spec.Events, From: "sqlite:e.db", Table: "none", Account: "account", Time: "at"}}}
	if _, err := Read(context.Background(), p, ReadOptions{Dir: dir, Now: at(300)}); !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
}

// Instants that are numbers are times wherever they stand: in roles, in columns that
// features use, in where.
func TestTimesAsNumbers(t *testing.T) {
	where, err := expr.CompileCondition(`renews > timestamp("2024-01-15T00:00:00Z")`, []expr.Var{{Name: "renews", Type: expr.Time}})
	if err != nil {
		t.Fatal(err)
	}
	p := &spec.Project{Sources: []spec.Source{{Name: "subscriptions", Kind: spec.Intervals, Path: "s.ndjson", Account: "customer", Start: "start", End: "end", Renews: "renews",
		Where: where, Columns: []spec.Column{{Name: "renews"}}}}}
	dir := write(t, map[string]string{"s.ndjson": fmt.Sprintf(`{"customer": "a", "start": %d, "end": null, "renews": %d}`+"\n"+`{"customer": "b", "start": %d, "end": %d, "renews": %d}`+"\n",
		at(1)/1e6, at(31)/1e6, at(1)/1e6, at(2)/1e6, at(2)/1e6)})
	defer os.RemoveAll(dir)
	c, err := Read(context.Background(), p, ReadOptions{Dir: dir, Now: at(300)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, lines := all(t, c)
	want := fmt.Sprint(0, at(1), at(1), Never, datasets.MissingTime) + "|2024-01-31T00:00:00Z"
	if kept, filtered := c.Records(0); kept != 1 || filtered != 1 || p.Sources[0].Columns[0].Kind != datasets.Time || lines["a"][0] != want {
		t.Errorf("kept %d, filtered %d: %q", kept, filtered, lines)
	}
}

// Packed numbers come back as they were, each in as few bytes as they take.
func TestPacked(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ints := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(-5, 300), rapid.Just(int64(math.MinInt64)), rapid.Just(Always), rapid.Int64Range(0, 1<<58)), 1, 20).Draw(r, "ints")
		numbers := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-1, 1), rapid.Just(math.NaN()), rapid.Map(rapid.IntRange(-300, 1<<50), func(n int) float64 { return float64(n) }),
			rapid.Just(math.Copysign(0, -1))), 1, 20).Draw(r, "numbers")
		b := packNumbers(packInts(nil, ints), numbers, make([]int64, len(numbers)))
		u := unpacker{append(b, make([]byte, 8)...)}
		gotInts, gotNumbers := make([]int64, len(ints)), make([]float64, len(numbers))
		u.ints(gotInts)
		u.numbers(gotNumbers, make([]int64, len(numbers)))
		if !slices.Equal(gotInts, ints) || len(u.data) != 8 {
			r.Fatalf("%v, %d bytes left", gotInts, len(u.data))
		}
		for i, x := range numbers {
			if math.Float64bits(gotNumbers[i]) != math.Float64bits(x) && (x == x || gotNumbers[i] == gotNumbers[i]) {
				r.Fatalf("%v became %v", x, gotNumbers[i])
			}
		}
	})
	if n := len(packInts(nil, []int64{1_700_000_000_000_000, 1_700_000_000_000_255})); n != 8+1+2 {
		t.Errorf("%d bytes", n)
	}
}
