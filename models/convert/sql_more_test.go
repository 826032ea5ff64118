package convert_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"propensity/datasets/sample"
	"propensity/features"
	"propensity/models"
	"propensity/models/convert"
	"propensity/models/evaluate"
	"propensity/models/tree"
	"propensity/train"
)

// tiny is a model to read: two questions, and a table of its account, moment and
// three columns.
func tiny(t *testing.T, model func(e *features.Encoder) models.Model) *models.Scorer {
	t.Helper()
	e, err := features.ParseEncoder([]byte(`{"columns": [
		{"name": "logins", "kind": "number", "rows": 4, "missing": 0, "min": 0, "median": 1, "mean": 1, "max": 2},
		{"name": "plan", "kind": "category", "levels": ["free", "it's"], "counts": [2, 2], "rows": 4, "missing": 0, "min": 0, "median": 0, "mean": 0, "max": 0},
		{"name": "unused", "kind": "boolean", "rows": 4, "missing": 0, "min": 0, "median": 0, "mean": 0.5, "max": 1},
		{"name": "last", "kind": "time", "rows": 4, "missing": 0, "min": 0, "median": 1, "mean": 1, "max": 2}]}`))
	if err != nil {
		t.Fatal(err)
	}
	ranking, err := evaluate.NewRanking([]float64{-1, 1})
	if err != nil {
		t.Fatal(err)
	}
	return newScorer(t, &models.Artifact{
		Encoder: e, Model: model(e), Ranking: ranking,
		Calibration: models.Calibration{Kind: models.CalibrationPlatt, Slope: 0.5, Intercept: -0.25},
		Manifest: models.Manifest{
			Name: "churn", Account: "id", Moment: "seen", Label: models.Label{Column: "left", Positive: "Yes"},
			Bands: []models.Band{{Name: "A", From: 0.5}, {Name: "B", From: 0}},
		},
	})
}

func tinyTrees(t *testing.T) func(*features.Encoder) models.Model {
	return func(*features.Encoder) models.Model {
		b := tree.NewBuilder([]int{0, 2, 0, 0}, 0.1)
		for _, nodes := range [][]tree.Node{
			{{Feature: 1, Set: []int32{1}, UnseenYes: true, Yes: 1, No: 2, Cover: 4}, {Feature: -1, Value: 0.5, Cover: 2}, {Feature: -1, Value: -0.5, Cover: 2}},
			{{Feature: 3, Threshold: 1.5, MissingYes: true, Yes: 1, No: 2, Cover: 4}, {Feature: -1, Value: 1.0 / 3, Cover: 2}, {Feature: -1, Value: -1, Cover: 2}},
		} {
			if err := b.Add(nodes); err != nil {
				t.Fatal(err)
			}
		}
		m, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

func tinyLinear(*features.Encoder) models.Model {
	return &models.Linear{Intercept: 0.1, Terms: []models.Term{
		{Center: 1, Scale: 2, Weight: -0.3, Missing: 0.7, Spread: 1},
		{Levels: []float64{0.25, -0.25}, Spread: 1},
		{Scale: 1},
		{Cuts: []float64{1, 3}, Levels: []float64{0.1, 0.2, -0.3}, Missing: 0.5, Spread: 1},
	}}
}

func TestSQLGolden(t *testing.T) {
	trees, linear := tiny(t, tinyTrees(t)), tiny(t, tinyLinear)
	golden(t, "trees_sqlite.sql", written(t, trees, convert.SQLite, "main.accounts"))
	golden(t, "trees_postgres.sql", written(t, trees, convert.Postgres, "accounts"))
	golden(t, "linear_sqlite.sql", written(t, linear, convert.SQLite, "accounts"))
	golden(t, "linear_postgres.sql", written(t, linear, convert.Postgres, "accounts"))
}

// What cannot be taken is an error that names the column, not a score.
func TestSQLiteNamesWhatItCannotTake(t *testing.T) {
	text := written(t, tiny(t, tinyLinear), convert.SQLite, "accounts")
	for _, c := range []struct {
		row, want string
	}{
		{"'A', '2026-03-01', 1, 'free', 1, '2026-02-01'", ""},
		{"'A', NULL, 1, 'free', 1, NULL", ""}, // no time, so no moment is needed
		{"'A', '2026-03-01', 'often', 'free', 1, '2026-02-01'", `a number is wanted in "logins", got often`},
		{"'A', '2026-03-01', 1, 7, 1, '2026-02-01'", `a text is wanted in "plan", got 7`},
		{"'A', '2026-03-01', 1, 'free', 1, 1700000000", `a time is wanted in "last", got 1700000000`},
		{"'A', '2026-03-01', 1, 'free', 1, 'yesterday'", `a time is wanted in "last", got yesterday`},
		{"'A', 'soon', 1, 'free', 1, '2026-02-01'", `a time is wanted in "seen", got soon`},
		{"'A', NULL, 1, 'free', 1, '2026-02-01'", `a row has no moment in "seen"`},
	} {
		db := openSQLite(t)
		if _, err := db.db.Exec("CREATE TABLE accounts (id, seen, logins, plan, unused, last); INSERT INTO accounts VALUES (" + c.row + ")"); err != nil {
			t.Fatal(err)
		}
		rows, err := db.query(text)
		switch {
		case c.want == "" && (err != nil || len(rows) != 1):
			t.Errorf("%s: %v, %v", c.row, rows, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, %v, want %q", c.row, rows, err, c.want)
		}
	}
}

func TestPostgresNamesWhatItCannotTake(t *testing.T) {
	db := openPostgres(t)
	text := written(t, tiny(t, tinyLinear), convert.Postgres, "accounts")
	ctx := context.Background()
	for _, c := range []struct {
		columns, row, want string
	}{
		{"logins int, plan varchar(9), unused boolean, last date", "1, 'free', true, '2026-02-01'", ""},
		{"logins text, plan text, unused boolean, last timestamptz", "'often', 'free', true, '2026-02-01'", `"often"`},
		{"logins numeric, plan text, unused boolean, last text", "1, 'free', true, '2026-02-01'", "extract"},
		{"logins numeric, plan text, unused boolean, last timestamptz, gone int", "1, 'free', true, '2026-02-01', NULL", `a row has no moment in "seen"`},
	} {
		moment := "'2026-03-01'"
		if strings.Contains(c.columns, "gone") {
			moment = "NULL"
		}
		if _, err := db.c.Exec(ctx, "DROP TABLE IF EXISTS accounts; CREATE TABLE accounts (id text, seen timestamptz, "+c.columns+"); INSERT INTO accounts VALUES ('A', "+moment+", "+c.row+")"); err != nil {
			t.Fatal(err)
		}
		rows, err := db.query(text)
		switch {
		case c.want == "" && (err != nil || len(rows) != 1):
			t.Errorf("%s: %v, %v", c.row, rows, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, %v, want %q", c.row, rows, err, c.want)
		}
	}
}

func TestSQLRefused(t *testing.T) {
	var deep []tree.Node
	const depth = 250
	for k := range depth {
		deep = append(deep, tree.Node{Feature: 0, Threshold: float64(k), Yes: 2*k + 1, No: 2*k + 2, Cover: float64(depth - k + 1)}, tree.Node{Feature: -1, Cover: 1})
	}
	deep = append(deep, tree.Node{Feature: -1, Cover: 1})
	s := tiny(t, func(*features.Encoder) models.Model {
		b := tree.NewBuilder([]int{0, 2, 0, 0}, 0)
		if err := b.Add(deep); err != nil {
			t.Fatal(err)
		}
		m, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
	noMoment := *tiny(t, tinyLinear).Artifact()
	noMoment.Manifest.Moment = ""
	zero := *tiny(t, tinyLinear).Artifact()
	zero.Manifest.Account = "a\x00"
	ok := convert.SQLOptions{Dialect: convert.SQLite, Table: "accounts"}
	for name, c := range map[string]struct {
		a    *models.Artifact
		o    convert.SQLOptions
		want string
	}{
		"a deep tree":   {s.Artifact(), ok, "tree 0: unsupported model: it is more than 200"},
		"a dialect":     {s.Artifact(), convert.SQLOptions{Dialect: "oracle"}, `"oracle"; known are sqlite, postgres`},
		"no moment":     {&noMoment, ok, "no column of moments"},
		"a zero byte":   {&zero, ok, "zero byte"},
		"a table, zero": {s.Artifact(), convert.SQLOptions{Dialect: convert.Postgres, Table: "\x00"}, ""},
	} {
		err := convert.WriteSQL(io.Discard, c.a, c.o)
		if !errors.Is(err, convert.ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Models that were trained, of each kind, on a table of a simulated company.
func TestSQLOfTrainedModels(t *testing.T) {
	table := sample.Simulate(sample.Options{Accounts: 500, Seed: 3}).Churn
	rows := make([]int, 200)
	for i := range rows {
		rows[i] = i * (table.Rows() / len(rows))
	}
	in := table.Take(rows)
	db := openSQLite(t)
	db.create(t, "customers", in)
	for _, learner := range []string{"logistic", "boosting"} {
		r, err := train.Run(context.Background(), table, train.Spec{Name: "churn", ID: "account_id", Time: "moment", Label: "churned", Learners: []string{learner}, Seed: 1}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := models.NewScorer(r.Files)
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.query(written(t, s, convert.SQLite, "customers"))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, s, in, got)
	}
}
