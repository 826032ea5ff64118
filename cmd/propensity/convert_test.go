package main

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"math"
	"os"
	"strings"
	"testing"

	"modernc.org/sqlite"

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
		{exitUsage, "convert churn --to sql --dialect oracle --out x", []string{`--dialect "oracle"`, "sqlite", "postgres"}},
		{exitUsage, "convert churn --to sql --levels y --out x", []string{"--levels", "lightgbm"}},
		{exitUsage, "convert churn --to sql --table= --out x", []string{"--table"}},
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

// The SELECT, run by SQLite, gives what the score command gives: of a linear model
// and of trees.
func TestConvertSQL(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	must(t, exitDone, "train", "trees", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "boosting", "--trees", "20")
	table, err := datasets.Read("accounts.csv", datasets.ReadOptions{Kinds: map[string]datasets.Kind{"id": datasets.Text}})
	if err != nil {
		t.Fatal(err)
	}
	db := sqliteWith(t, "crm", table)
	for _, model := range []string{"churn", "trees"} {
		s := must(t, exitDone, "convert", model, "--to", "sql", "--table", "crm", "--out", model+".sql")
		mentions(t, s.err, model+"@1", "one SELECT for sqlite, of table crm")
		text, err := os.ReadFile(model + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		if out := must(t, exitDone, "convert", model, "--to", "sql", "--table", "crm", "--out", "-", "-q"); out.out != string(text) || out.err != "" {
			t.Errorf("stdout is another file, or %q is said", out.err)
		}
		must(t, exitDone, "score", model, "--in", "accounts.csv", "--out", model+".parquet", "--reasons", "0")
		want, err := datasets.Read(model+".parquet", datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.Query(string(text))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			var account, band string
			var raw, p float64
			if err := rows.Scan(&account, &raw, &p, &band); err != nil {
				t.Fatal(err)
			}
			if w := want.Column("probability").Numbers[n]; math.Abs(p-w) > 1e-12*w || account != want.Column("account").At(n).Text || band != want.Column("band").At(n).Text {
				t.Fatalf("%s, row %d: %s %v %s, want %v", model, n, account, p, band, w)
			}
		}
		if err := rows.Err(); err != nil || n != table.Rows() {
			t.Errorf("%d rows of %d, %v", n, table.Rows(), err)
		}
	}
	type converted struct {
		To, Dialect, Table string
		Version, Bytes     int
	}
	c := decode[converted](t, must(t, exitDone, "convert", "churn", "--to", "sql", "--dialect", "postgres", "--out", "pg.sql", "--json").out)
	if c.To != "sql" || c.Dialect != "postgres" || c.Table != "accounts" || c.Version != 1 || c.Bytes < 1000 {
		t.Errorf("%+v", c)
	}
}

// sqliteWith is a database in memory with one table.
func sqliteWith(t *testing.T, name string, table *datasets.Table) *sql.DB {
	t.Helper()
	db := sql.OpenDB(inMemory{})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(table.Columns)), ", ")
	if _, err := db.Exec("CREATE TABLE " + name + " (" + strings.Join(table.Names(), ", ") + ")"); err != nil {
		t.Fatal(err)
	}
	for i := range table.Rows() {
		var row []any
		for j := range table.Columns {
			switch v := table.Columns[j].At(i); v.Kind {
			case 0:
				row = append(row, nil)
			case datasets.Number:
				row = append(row, v.Number)
			case datasets.Boolean:
				row = append(row, v.Number != 0)
			default:
				row = append(row, v.Text)
			}
		}
		if _, err := db.Exec("INSERT INTO "+name+" VALUES ("+marks+")", row...); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// inMemory opens SQLite without its registered name.
type inMemory struct{}

func (inMemory) Connect(context.Context) (driver.Conn, error) {
	return (&sqlite.Driver{}).Open(":memory:")
}
func (inMemory) Driver() driver.Driver { return &sqlite.Driver{} }
