package build_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/features/build"
	"propensity/features/spec"
)

const historyDir = "testdata/history"

func historyProject(t testing.TB, change ...string) *spec.Project {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(historyDir, "propensity.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := spec.Parse([]byte(strings.NewReplacer(change...).Replace(string(b))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func dayOf(s string) int64 {
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return at.UnixMicro()
}

var historyNow = dayOf("2026-05-01")

func run(t testing.TB, p *spec.Project, o build.Options) *build.Summary {
	t.Helper()
	if o.Dir == "" {
		o.Dir = historyDir
	}
	o.Now = historyNow
	sum, err := build.Run(context.Background(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// filesOf are the files of a directory and what is in them.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

// From files to tables: the rows are those of a plain reading of their definition in
// Python (see testdata/history), row for row; sums of floating numbers to 1e-12.
func TestRunIsTruth(t *testing.T) {
	truth, err := datasets.Read(filepath.Join(historyDir, "truth.parquet"), datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	sum := run(t, historyProject(t), build.Options{Out: out})
	if len(sum.Excluded) > 0 {
		t.Errorf("left out: %v", sum.Excluded)
	}
	rows, err := datasets.Read(filepath.Join(out, "churn/rows-0001.parquet"), datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if rows.Rows() != truth.Rows() || sum.Models[0].Rows != truth.Rows() {
		t.Fatalf("%d rows, of %d", rows.Rows(), truth.Rows())
	}
	at := map[string]int{}
	for i := range rows.Rows() {
		at[rows.Column("account_id").At(i).Text+rows.Column("moment").At(i).String()] = i
	}
	compared := 0
	for _, c := range truth.Columns {
		name := c.Name
		switch head, last, _ := cutLast(name); {
		case name == "account_id" || name == "t" || name == "label":
			continue
		case name == "login_trend":
			name = "login_28d_trend"
		case last == "7" || last == "28" || last == "90":
			name = head + "_" + last + "d"
		}
		ours := rows.Column(name)
		if ours == nil {
			t.Fatalf("there is no column %s", name)
		}
		compared++
		for i := range truth.Rows() {
			k, ok := at[truth.Column("account_id").At(i).Text+truth.Column("t").At(i).String()]
			if !ok {
				t.Fatalf("there is no row of %s at %s", truth.Column("account_id").At(i), truth.Column("t").At(i))
			}
			got, want := ours.At(k), c.At(i)
			near := got.Kind == datasets.Number && want.Kind == datasets.Number && math.Abs(got.Number-want.Number) <= 1e-12*math.Abs(want.Number)
			if got != want && !(near && (strings.HasPrefix(name, "seconds") || name == "months")) {
				t.Fatalf("%s of %s at %s is %v, not %v", name, truth.Column("account_id").At(i), truth.Column("t").At(i), got, want)
			}
		}
	}
	if compared != 39 {
		t.Errorf("%d columns were compared", compared)
	}
	table, err := build.Open(out, "churn")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]float64{}
	for i := range truth.Rows() {
		labels[truth.Column("account_id").At(i).Text+truth.Column("t").At(i).String()] = truth.Column("label").Numbers[i]
	}
	last := dayOf("2026-01-01") // its horizon is not over
	for i := range table.Rows() {
		moment := table.Column("moment").Times[i]
		if want := labels[table.Column("account_id").At(i).Text+datasets.FormatTime(moment)]; table.Column(table.Label).Numbers[i] != want || moment == last {
			t.Errorf("row %d: the label is %v, not %v", i, table.Column(table.Label).Numbers[i], want)
		}
	}
	if table.Open == 0 || table.Rows()+table.Open != truth.Rows() {
		t.Errorf("%d rows have labels, %d do not", table.Rows(), table.Open)
	}
}

func cutLast(s string) (head, last string, ok bool) {
	i := strings.LastIndexByte(s, '_')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// The tables are the same, to the byte, whatever the threads and memory.
func TestRunSameBytes(t *testing.T) {
	var first map[string]string
	for _, o := range []build.Options{{Threads: 1}, {Threads: 3}, {Threads: 2, Memory: 1}, {Threads: 1, Memory: 20_000}} {
		o.Out = t.TempDir()
		run(t, historyProject(t), o)
		got := filesOf(t, filepath.Join(o.Out, "churn"))
		if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"features.json", "features.md", "labels-0001.parquet", "manifest.json", "rows-0001.parquet"}) {
			t.Fatalf("files %q", names)
		}
		if first == nil {
			first = got
		}
		for name := range first {
			if got[name] != first[name] {
				t.Errorf("%d threads, memory %d: %s is another", o.Threads, o.Memory, name)
			}
		}
	}
}

// sortedLines spells a table, its rows in order.
func sortedLines(t *datasets.Table) []string {
	out := make([]string, t.Rows())
	for i := range out {
		var b bytes.Buffer
		for k := range t.Columns {
			fmt.Fprintf(&b, "%s %b|", t.Columns[k].At(i), t.Columns[k].At(i).Number)
		}
		out[i] = b.String()
	}
	slices.Sort(out)
	return out
}

// Month after month gives what one build gives: old rows are not touched, labels are
// settled as time goes by.
func TestIncrementIsRebuild(t *testing.T) {
	out, rows := t.TempDir(), 0
	var before map[string]string
	months := []string{"2024-04-01", "2024-05-15", "2024-06-01", "2025-01-10", "2025-01-10", "2026-03-31"}
	for _, month := range months {
		sum := run(t, historyProject(t), build.Options{Out: out, AsOf: dayOf(month)})
		m := sum.Models[0]
		if rows += m.Added; m.Rows != rows {
			t.Errorf("%s: %d rows, %d were added", month, m.Rows, rows)
		}
		files := filesOf(t, filepath.Join(out, "churn"))
		for name, b := range before {
			if strings.HasPrefix(name, "rows-") && files[name] != b {
				t.Errorf("%s: %s was changed", month, name)
			}
		}
		before = files
	}
	labels := 0
	for name := range before {
		if strings.HasPrefix(name, "labels-") {
			labels++
		}
	}
	if labels != 1 {
		t.Errorf("%d files of labels are left", labels)
	}
	whole := t.TempDir()
	run(t, historyProject(t), build.Options{Out: whole, AsOf: dayOf(months[len(months)-1])})
	a, err := build.Open(out, "churn")
	if err != nil {
		t.Fatal(err)
	}
	b, err := build.Open(whole, "churn")
	if err != nil {
		t.Fatal(err)
	}
	if x, y := sortedLines(a.Table), sortedLines(b.Table); !slices.Equal(x, y) || len(x) == 0 || a.Open != b.Open || a.Spec != b.Spec {
		t.Errorf("%d rows and %d of a rebuild differ", len(x), len(y))
	}
	for _, name := range []string{"features.json", "features.md"} {
		if x := filesOf(t, filepath.Join(whole, "churn"))[name]; x != before[name] {
			t.Errorf("%s differs:\n%s\n%s", name, x, before[name])
		}
	}
}

// The same of a company whose facts arrive late, twice, corrected and of merged
// accounts, for three models at once; its rows take buckets and a temporary file.
func TestIncrementOfACompany(t *testing.T) {
	dir := t.TempDir()
	if err := sample.Simulate(sample.Options{Accounts: 150, Seed: 5}).Write(dir); err != nil {
		t.Fatal(err)
	}
	company := func() *spec.Project {
		p, err := spec.Parse(sample.Project())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	out, whole := t.TempDir(), t.TempDir()
	for _, month := range []string{"2025-02-01", "2025-07-04", "2026-03-01"} {
		sum := run(t, company(), build.Options{Dir: dir, Out: out, AsOf: dayOf(month), Memory: 10_000})
		for _, m := range sum.Models {
			if m.Late > 0 {
				t.Errorf("%s: %d moments of %s are late", month, m.Late, m.Name)
			}
		}
	}
	sum := run(t, company(), build.Options{Dir: dir, Out: whole, AsOf: dayOf("2026-03-01"), Threads: 1})
	for _, m := range sum.Models {
		a, err := build.Open(out, m.Name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := build.Open(whole, m.Name)
		if err != nil {
			t.Fatal(err)
		}
		if x, y := sortedLines(a.Table), sortedLines(b.Table); !slices.Equal(x, y) || len(x) == 0 {
			t.Errorf("%s: %d rows and %d of a rebuild differ", m.Name, len(x), len(y))
		}
	}
}

// There are no tables of the future, nor of nothing.
func TestRunOfNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "events.csv"), []byte("account_id,at\n,2024-01-05\na,soon\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := spec.Parse([]byte("version: 1\naccount: account_id\nsources:\n  events: {path: events.csv, time: at}\n" +
		"features:\n  - {name: n, from: events, agg: count}\n" +
		"models:\n  again:\n    moments: {every: 1mo}\n    label: {event: events, within: 30d}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for asOf, says := range map[int64]string{0: "no account id", historyNow + 1: "future"} {
		if _, err := build.Run(context.Background(), p, build.Options{Dir: dir, Out: t.TempDir(), AsOf: asOf, Now: historyNow}); !errors.Is(err, build.ErrProject) || !strings.Contains(err.Error(), says) {
			t.Errorf("as of %d: %v", asOf, err)
		}
	}
}

// Rows are final: where a moment came to be known after they were made, of an event
// that arrived late, that is said.
func TestRunLate(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	text := "account_id,at,seen\na,2024-01-05,2024-01-05\na,2024-02-05,2024-02-05\na,2024-01-20,2024-03-01\na,2024-03-05,2024-03-05\n"
	if err := os.WriteFile(filepath.Join(dir, "events.csv"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := spec.Parse([]byte("version: 1\naccount: account_id\nsources:\n  events: {path: events.csv, time: at, arrived: seen}\n" +
		"features:\n  - {name: n, from: events, agg: count}\n" +
		"models:\n  again:\n    moments: {on: events}\n    label: {event: events, within: 30d}\n"))
	if err != nil {
		t.Fatal(err)
	}
	first := run(t, p, build.Options{Dir: dir, Out: out, AsOf: dayOf("2024-02-10")}).Models[0]
	then := run(t, p, build.Options{Dir: dir, Out: out, AsOf: dayOf("2024-03-10")}).Models[0]
	if first.Rows != 2 || first.Late != 0 || then.Rows != 3 || then.Late != 1 {
		t.Errorf("%+v, then %+v", first, then)
	}
	if all := run(t, p, build.Options{Dir: dir, Out: out, AsOf: dayOf("2024-03-10"), Rebuild: true}).Models[0]; all.Rows != 4 || all.Late != 0 {
		t.Errorf("rebuilt: %+v", all)
	}
}

// What the data shows of types is held against the file, with the line.
func TestRunTypes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "events.csv"), []byte("account_id,at,what\na,2024-01-05,login\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := spec.Parse([]byte("version: 1\naccount: account_id\nsources:\n  events: {path: events.csv, time: at}\n" +
		"features:\n  - {name: last, from: events, agg: last, value: what}\n" +
		"derived:\n  - {name: more, expr: last + 1}\n" +
		"models:\n  again:\n    moments: {every: 1mo}\n    label: {event: events, within: 30d}\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = build.Run(context.Background(), p, build.Options{Dir: dir, Out: t.TempDir(), Now: historyNow})
	if !errors.Is(err, spec.ErrProject) || !strings.Contains(err.Error(), "line 8: ") {
		t.Errorf("%v", err)
	}
}

// Without a time to build as of, tables are as of the newest arrival, and never as of
// earlier than they were.
func TestRunAsOfNewest(t *testing.T) {
	out := t.TempDir()
	first := run(t, historyProject(t), build.Options{Out: out})
	later := first.AsOf + 26_000_000
	run(t, historyProject(t), build.Options{Out: out, AsOf: later})
	if again := run(t, historyProject(t), build.Options{Out: out}); again.AsOf != later {
		t.Errorf("as of %d, then of %d, then of %d", first.AsOf, later, again.AsOf)
	}
}

// childVariable makes a test process a builder that is to be killed: the directory of
// its tables and the instant as of which it builds.
const childVariable = "PROPENSITY_TEST_BUILD"

// A process that is killed at any time leaves tables that count or none, and no file
// that the next build does not remove.
func TestRunKilled(t *testing.T) {
	if v := os.Getenv(childVariable); v != "" {
		out, asOf, _ := strings.Cut(v, "|")
		run(t, historyProject(t), build.Options{Out: out, AsOf: dayOf(asOf)})
		return
	}
	out := t.TempDir()
	dir := filepath.Join(out, "churn")
	months := []string{"2024-06-01", "2024-09-01", "2025-01-01", "2025-03-01", "2025-06-01", "2025-09-01", "2026-01-01", "2026-03-01"}
	killed := 0
	for i, month := range months {
		child := exec.Command(os.Args[0], "-test.run=^TestRunKilled$")
		child.Env = append(os.Environ(), childVariable+"="+out+"|"+month)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(10+25*i) * time.Millisecond)
		_ = child.Process.Kill()
		if child.Wait() != nil {
			killed++
		}
		if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
			continue
		}
		if table, err := build.Open(out, "churn"); err != nil || !slices.Contains(months, datasets.FormatTime(table.AsOf)[:10]) {
			t.Fatalf("killed as of %s: %v", month, err)
		}
	}
	if killed == 0 {
		t.Error("no process was killed in time")
	}
	last := months[len(months)-1]
	run(t, historyProject(t), build.Options{Out: out, AsOf: dayOf(last)})
	whole := t.TempDir()
	run(t, historyProject(t), build.Options{Out: whole, AsOf: dayOf(last)})
	a, err := build.Open(out, "churn")
	if err != nil {
		t.Fatal(err)
	}
	b, err := build.Open(whole, "churn")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sortedLines(a.Table), sortedLines(b.Table)) {
		t.Error("the tables are not those of one build")
	}
	for name := range filesOf(t, dir) {
		if strings.HasPrefix(name, ".") {
			t.Errorf("%s is left", name)
		}
	}
}

// A model has the rows of its population, and of all columns those it takes.
func TestRunPopulation(t *testing.T) {
	all, some := t.TempDir(), t.TempDir()
	run(t, historyProject(t), build.Options{Out: all})
	sum := run(t, historyProject(t, "models:", "populations:\n  busy: 'login_28d > 2 && plan != \"free\"'\nmodels:", "    label:", "    population: busy\n    features: [plan, seconds_7d]\n    label:"),
		build.Options{Out: some}).Models[0]
	read := func(out string) *datasets.Table {
		rows, err := datasets.Read(filepath.Join(out, "churn/rows-0001.parquet"), datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	whole, got := read(all), read(some)
	var busy []int
	for i := range whole.Rows() {
		if whole.Column("login_28d").Numbers[i] > 2 && whole.Column("plan").At(i).Text != "free" {
			busy = append(busy, i)
		}
	}
	want := whole.Take(busy)
	want.Columns = slices.DeleteFunc(want.Columns, func(c datasets.Column) bool {
		return !slices.Contains([]string{"account_id", "moment", "plan", "seconds_7d"}, c.Name)
	})
	if names := got.Names(); !slices.Equal(names, want.Names()) {
		t.Fatalf("columns %q, not %q", names, want.Names())
	}
	if x, y := sortedLines(got), sortedLines(want); !slices.Equal(x, y) || len(x) == 0 || sum.Rows != len(busy) || sum.Outside != whole.Rows()-len(busy) {
		t.Errorf("%d rows of %d, %+v", len(x), len(y), sum)
	}
}

// The dictionary says of each column what is in it.
func TestRunDictionary(t *testing.T) {
	out := t.TempDir()
	run(t, historyProject(t), build.Options{Out: out})
	rows, err := datasets.Read(filepath.Join(out, "churn/rows-0001.parquet"), datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var dictionary struct {
		Columns []struct {
			Name, Meaning, Source, Window, Kind string
			Rows, Missing                       int
			Min, Max                            *float64
			Levels                              map[string]int
		}
	}
	if err := json.Unmarshal([]byte(filesOf(t, filepath.Join(out, "churn"))["features.json"]), &dictionary); err != nil {
		t.Fatal(err)
	}
	if len(dictionary.Columns) != len(rows.Columns)-2 {
		t.Fatalf("%d columns are described, of %d", len(dictionary.Columns), len(rows.Columns)-2)
	}
	said := map[string]string{}
	for k, d := range dictionary.Columns {
		c := rows.Columns[k+2]
		said[d.Name] = d.Meaning + "; " + d.Source + "; " + d.Window
		missing, least, most, levels := 0, math.Inf(1), math.Inf(-1), map[string]int{}
		for i := range c.Len() {
			switch v := c.At(i); {
			case v.Missing():
				missing++
			case v.Kind == datasets.Number:
				least, most = min(least, v.Number), max(most, v.Number)
			default:
				levels[v.Text]++
			}
		}
		if d.Name != c.Name || d.Kind != c.Kind.String() || d.Rows != c.Len() || d.Missing != missing {
			t.Errorf("%s: %+v, %d are missing", c.Name, d, missing)
		}
		if c.Kind == datasets.Number && (*d.Min != least || *d.Max != most) || c.Kind == datasets.Category && !maps.Equal(d.Levels, levels) {
			t.Errorf("%s: %+v, not %v to %v or %v", c.Name, d, least, most, levels)
		}
	}
	for name, want := range map[string]string{
		"login_28d_trend": "number of events, where `event == \"login\"`: in the 28d before the moment, divided by that of the 28d before those; events; 28d",
		"error_share_28d": "share of events where `event == \"error\"`, in the 28d before the moment; events; 28d",
		"n_ticket_28d":    "number of events, where event is ticket, in the 28d before the moment; events; 28d",
		"plan":            "last plan of subscriptions; subscriptions; ",
		"months":          "`held / 30.4375`; ; ",
	} {
		if said[name] != want {
			t.Errorf("%s is %q, not %q", name, said[name], want)
		}
	}
}

// Rows are not made by other features than those before, nor of a time before.
func TestRunChanged(t *testing.T) {
	out := t.TempDir()
	run(t, historyProject(t), build.Options{Out: out, AsOf: dayOf("2025-01-01")})
	before := filesOf(t, filepath.Join(out, "churn"))
	for _, x := range []struct {
		p    *spec.Project
		asOf string
		err  error
		says string
	}{
		{historyProject(t, "[7d, 28d, 90d]", "[7d, 28d, 91d]"), "2025-02-01", build.ErrChanged, "--rebuild"},
		{historyProject(t, "within: 90d", "within: 91d"), "2025-02-01", build.ErrChanged, "--rebuild"},
		{historyProject(t), "2024-12-31", build.ErrEarlier, "rows are final"},
	} {
		_, err := build.Run(context.Background(), x.p, build.Options{Dir: historyDir, Out: out, AsOf: dayOf(x.asOf), Now: historyNow})
		if !errors.Is(err, x.err) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%v", err)
		}
		if !maps.Equal(filesOf(t, filepath.Join(out, "churn")), before) {
			t.Error("the tables were touched")
		}
	}
	sum := run(t, historyProject(t, "within: 90d", "within: 91d"), build.Options{Out: out, AsOf: dayOf("2024-06-01"), Rebuild: true})
	files := filesOf(t, filepath.Join(out, "churn"))
	if files["rows-0001.parquet"] != "" || files["rows-0002.parquet"] == "" || sum.Models[0].Added != sum.Models[0].Rows {
		t.Errorf("after the rebuild there are %q", slices.Sorted(maps.Keys(files)))
	}
	if _, err := build.Run(context.Background(), historyProject(t), build.Options{Dir: historyDir, Out: out, Models: []string{"upsell"}}); !errors.Is(err, build.ErrProject) {
		t.Errorf("an unknown model: %v", err)
	}
}

// A build that is ended in the middle leaves what was there before, and nothing else
// after the next.
func TestRunInterrupted(t *testing.T) {
	out := t.TempDir()
	dir := filepath.Join(out, "churn")
	run(t, historyProject(t), build.Options{Out: out, AsOf: dayOf("2024-06-01")})
	before := filesOf(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := build.Run(ctx, historyProject(t), build.Options{Dir: historyDir, Out: out, AsOf: dayOf("2025-06-01"), Now: historyNow,
		Progress: func(string, int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) || !maps.Equal(filesOf(t, dir), before) {
		t.Errorf("cancelled: %v", err)
	}
	// What a killed process leaves: tables without a manifest that names them.
	for _, name := range []string{"rows-0002.parquet", "labels-0002.parquet", ".rows-0002.parquet.1.0.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if table, err := build.Open(out, "churn"); err != nil || table.AsOf != dayOf("2024-06-01") {
		t.Errorf("after the kill: %v", err)
	}
	run(t, historyProject(t), build.Options{Out: out, AsOf: dayOf("2025-06-01")})
	if _, err := build.Open(out, "churn"); err != nil {
		t.Error(err)
	}
	for name := range filesOf(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
	// A table that was changed is no table.
	path := filepath.Join(dir, "rows-0001.parquet")
	b := []byte(before["rows-0001.parquet"])
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := build.Open(out, "churn"); err == nil || !strings.Contains(err.Error(), "rows-0001.parquet") {
		t.Errorf("a damaged table: %v", err)
	}
	if _, err := build.Open(out, "upsell"); err == nil || !strings.Contains(err.Error(), "features build") {
		t.Errorf("no table: %v", err)
	}
}
