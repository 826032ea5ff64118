package convert_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/convert"
	"propensity/models/evaluate"
	"propensity/models/tree"
)

// Columns of the table that the random models are of; their names are hard to quote.
const (
	idColumn     = `customer "id"`
	momentColumn = "seen at"
	plans        = "plan's"
)

const day = 24 * 60 * 60 * 1_000_000

// sqlTable is rows with every state of a value; training rows have no unseen
// category and nothing far out of range.
func sqlTable(r *rand.Rand, n int, training bool) *datasets.Table {
	logins := datasets.Column{Name: `lo"gins`, Kind: datasets.Number}
	spend := datasets.Column{Name: "spend%d", Kind: datasets.Number}
	annual := datasets.Column{Name: "annual", Kind: datasets.Boolean}
	plan := datasets.Column{Name: plans, Kind: datasets.Category, Values: []string{"pro", "it's", "", `"x" -- \`, "Über\n%s"}}
	rooms := datasets.Column{Name: "rooms", Kind: datasets.Category, Values: []string{"1", "28", "0.5", "-3", "1e+20"}}
	last := datasets.Column{Name: "last", Kind: datasets.Time}
	moment := datasets.Column{Name: momentColumn, Kind: datasets.Time}
	id := datasets.Column{Name: idColumn, Kind: datasets.Text}
	if !training {
		plan.Values = append(plan.Values, "PRO", "never ")
		rooms.Values = append(rooms.Values, "29", "028", "no number", "")
	}
	missing := func() bool { return r.IntN(7) == 0 }
	for i := range n {
		x, y := float64(r.IntN(40)), math.Round(1e6*r.NormFloat64())/1e3
		if !training {
			switch r.IntN(12) {
			case 0:
				x = 1e200 * (r.Float64() - 0.5)
			case 1:
				x = r.NormFloat64() * 100
			case 2:
				y = math.MaxFloat64
			case 3:
				y = 0.1 + 0.2
			}
		}
		b := float64(r.IntN(2))
		if missing() {
			x = math.NaN()
		}
		if missing() {
			y = math.NaN()
		}
		if missing() {
			b = math.NaN()
		}
		code := func(c *datasets.Column) int32 { return int32(r.IntN(len(c.Values)+1) - 1) }
		at := 1_750_000_000_000_000 + r.Int64N(1000*day)
		before := at - r.Int64N(400*day)
		if r.IntN(4) == 0 { // whole days and seconds are written shorter
			before -= before % day
		}
		if missing() {
			before = datasets.MissingTime
		}
		logins.Numbers, spend.Numbers, annual.Numbers = append(logins.Numbers, x), append(spend.Numbers, y), append(annual.Numbers, b)
		plan.Codes, rooms.Codes = append(plan.Codes, code(&plan)), append(rooms.Codes, code(&rooms))
		last.Times, moment.Times = append(last.Times, before), append(moment.Times, at)
		id.Codes, id.Values = append(id.Codes, int32(i)), append(id.Values, fmt.Sprintf("A-%04d", i))
	}
	return &datasets.Table{Columns: []datasets.Column{id, moment, logins, spend, annual, plan, rooms, last}}
}

// randomModel is a model of the encoder's columns.
func randomModel(t *testing.T, r *rand.Rand, kind string, e *features.Encoder) models.Model {
	t.Helper()
	if kind == "linear" {
		m := &models.Linear{Intercept: r.NormFloat64()}
		for j := range e.Columns {
			c := &e.Columns[j]
			term := models.Term{Missing: r.NormFloat64(), Spread: 1}
			switch {
			case c.Kind == datasets.Category:
				for range c.Levels {
					term.Levels = append(term.Levels, r.NormFloat64())
				}
			case r.IntN(3) == 0:
				term.Cuts = append(term.Cuts, c.Min, c.Median+0.1, c.Max+1)
				for range 4 {
					term.Levels = append(term.Levels, r.NormFloat64())
				}
			case r.IntN(6) == 0: // nothing but what a missing value says
				term.Scale = 1
			default:
				term.Center, term.Scale, term.Weight = c.Mean, 0.1+r.Float64()*(c.Max-c.Min), r.NormFloat64()
			}
			if r.IntN(9) == 0 {
				term.Missing = 0
			}
			m.Terms = append(m.Terms, term)
		}
		return m
	}
	var levels []int
	for j := range e.Columns {
		levels = append(levels, len(e.Columns[j].Levels))
	}
	b := tree.NewBuilder(levels, r.NormFloat64())
	for range 1 + r.IntN(90) {
		if err := b.Add(randomTree(r, e, 1+r.IntN(12))); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// randomTree splits leaves at random, at values that rows have.
func randomTree(r *rand.Rand, e *features.Encoder, leaves int) []tree.Node {
	nodes := []tree.Node{{Feature: -1}}
	for range leaves - 1 {
		at := r.IntN(len(nodes))
		for nodes[at].Feature >= 0 {
			at = r.IntN(len(nodes))
		}
		j := r.IntN(len(e.Columns))
		c := &e.Columns[j]
		n := tree.Node{Feature: j, MissingYes: r.IntN(2) == 1, Yes: len(nodes), No: len(nodes) + 1}
		if c.Kind == datasets.Category {
			n.UnseenYes = r.IntN(2) == 1
			for k := range c.Levels {
				if r.IntN(2) == 1 {
					n.Set = append(n.Set, int32(k))
				}
			}
			if len(n.Set) == 0 || len(n.Set) == len(c.Levels) {
				n.Set = []int32{int32(r.IntN(len(c.Levels)))}
			}
		} else {
			n.Threshold = math.Floor(c.Min + r.Float64()*(c.Max-c.Min))
		}
		nodes[at] = n
		nodes = append(nodes, tree.Node{Feature: -1}, tree.Node{Feature: -1})
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		if n := &nodes[i]; n.Feature < 0 {
			n.Value, n.Cover = r.NormFloat64()/3, 1+float64(r.IntN(30))
		} else {
			n.Cover = nodes[n.Yes].Cover + nodes[n.No].Cover
		}
	}
	return nodes
}

func calibrations() []models.Calibration {
	return []models.Calibration{
		{Kind: models.CalibrationNone},
		{Kind: models.CalibrationPlatt, Slope: 0.8125, Intercept: -0.3, Shift: 0.7},
		{Kind: models.CalibrationIsotonic, Raw: []float64{-3, -1.1, 0.2, 2.7}, LogOdds: []float64{-4, -1, 0.3, 0.9}},
		{Kind: models.CalibrationIsotonic, Raw: []float64{0.1}, LogOdds: []float64{-1}, Shift: -0.25},
		{Kind: models.CalibrationBeta, Below: 1.3, Above: 0.6, Intercept: 0.2},
	}
}

// sqlScorer is an artifact with bands cut where rows of the table lie.
func sqlScorer(t *testing.T, r *rand.Rand, kind string, c models.Calibration, in *datasets.Table) *models.Scorer {
	t.Helper()
	training := sqlTable(r, 200, true)
	fitted := &datasets.Table{Columns: training.Columns[2:]}
	e, left, err := features.FitEncoder(fitted, training.Columns[1].Times)
	if err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	ranking, err := evaluate.NewRanking([]float64{-1, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	a := &models.Artifact{
		Encoder: e, Model: randomModel(t, r, kind, e), Calibration: c, Ranking: ranking,
		Manifest: models.Manifest{
			Name: "churn", Account: idColumn, Moment: momentColumn, Label: models.Label{Column: "left\nearly", Positive: "Yes"},
			Bands: []models.Band{{Name: "E"}},
		},
	}
	s := newScorer(t, a)
	answers := score(t, s, in)
	cuts := slices.Clone(answers.Probability[:4])
	slices.Sort(cuts)
	slices.Reverse(cuts)
	a.Manifest.Bands = nil
	for k, from := range append(slices.Compact(cuts), 0) {
		a.Manifest.Bands = append(a.Manifest.Bands, models.Band{Name: string(rune('A' + k)), From: from})
	}
	return newScorer(t, a)
}

func newScorer(t *testing.T, a *models.Artifact) *models.Scorer {
	t.Helper()
	files, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	s, err := models.NewScorer(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func score(t *testing.T, s *models.Scorer, in *datasets.Table) *models.Answers {
	t.Helper()
	var moments []int64
	if c := in.Column(s.Artifact().Manifest.Moment); c != nil {
		moments = c.Times
	} else {
		moments = make([]int64, in.Rows())
	}
	a, err := s.ScoreTable(in, moments, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func written(t *testing.T, s *models.Scorer, dialect, table string) string {
	t.Helper()
	var b bytes.Buffer
	if err := convert.WriteSQL(&b, s.Artifact(), convert.SQLOptions{Dialect: dialect, Table: table}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// database runs SQL of a dialect.
type database interface {
	// create makes a table of that name.
	create(t *testing.T, name string, in *datasets.Table)
	// query gives the rows of a query, in the order of the table: that of its
	// accounts, where the database gives them in any.
	query(text string) ([]sqlRow, error)
}

type sqlRow struct {
	account          string
	raw, probability float64
	band             string
}

// nothing to speak of: log-odds beyond 700 are cut off in SQL, where exp is bounded.
const nothing = 1e-300

// The rows of a query are those of the scorer: raw and band the same, the
// probability within 1e-12 of it, relative.
func compare(t *testing.T, s *models.Scorer, in *datasets.Table, rows []sqlRow) {
	t.Helper()
	want := score(t, s, in)
	if len(rows) != in.Rows() {
		t.Fatalf("%d rows, want %d", len(rows), in.Rows())
	}
	accounts := in.Column(s.Artifact().Manifest.Account)
	for i, got := range rows {
		band := want.Band.At(i).Text
		if math.Float64bits(got.raw+0) != math.Float64bits(want.Raw[i]+0) || got.band != band ||
			(math.Abs(got.probability-want.Probability[i]) > 1e-12*want.Probability[i] && max(got.probability, want.Probability[i]) > nothing) || got.account != accounts.At(i).String() {
			var cells []string
			for j := range in.Columns {
				cells = append(cells, in.Columns[j].Name+"="+in.Columns[j].At(i).String())
			}
			t.Fatalf("row %d: %+v, want raw %v, probability %v, band %s\n%s", i, got, want.Raw[i], want.Probability[i], band, strings.Join(cells, " | "))
		}
	}
}

// everyModel holds random models of every kind against the scorer.
func everyModel(t *testing.T, db database, dialect string) {
	for _, kind := range []string{"linear", "tree"} {
		for k, c := range calibrations() {
			for seed := range uint64(3) {
				t.Run(fmt.Sprintf("%s/%d %s/%d", kind, k, c.Kind, seed), func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, uint64(k)))
					in := sqlTable(r, 300, false)
					s := sqlScorer(t, r, kind, c, in)
					name := fmt.Sprintf("rows %s %d %d", kind, k, seed)
					db.create(t, name, in)
					text := written(t, s, dialect, name)
					rows, err := db.query(text)
					if err != nil {
						t.Fatalf("%v\n%.3000s", err, text)
					}
					compare(t, s, in, rows)
				})
			}
		}
	}
}

// manyTrees is an ensemble as large as any that is trained.
func manyTrees(t *testing.T, db database, dialect string) {
	r := rand.New(rand.NewPCG(9, 9))
	in := sqlTable(r, 100, false)
	s := sqlScorer(t, r, "tree", calibrations()[2], in)
	e := s.Encoder()
	b := tree.NewBuilder(s.Artifact().Model.(*tree.Ensemble).Levels(), 0.1)
	for range 600 {
		if err := b.Add(randomTree(r, e, 16)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	a := *s.Artifact()
	a.Model = m
	s = newScorer(t, &a)
	db.create(t, "many", in)
	text := written(t, s, dialect, "many")
	start := time.Now()
	rows, err := db.query(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("600 trees of 16 leaves: %d bytes, %d rows in %v", len(text), len(rows), time.Since(start))
	compare(t, s, in, rows)
}

// inSQLite is a database in memory.
type inSQLite struct{ db *sql.DB }

func openSQLite(t *testing.T) inSQLite {
	t.Helper()
	db := sql.OpenDB(connector{})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return inSQLite{db}
}

// connector opens SQLite without its registered name.
type connector struct{}

func (connector) Connect(context.Context) (driver.Conn, error) {
	return (&sqlite.Driver{}).Open(":memory:")
}
func (connector) Driver() driver.Driver { return &sqlite.Driver{} }

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (d inSQLite) create(t *testing.T, name string, in *datasets.Table) {
	t.Helper()
	var columns, marks []string
	for j := range in.Columns {
		columns, marks = append(columns, quoted(in.Columns[j].Name)), append(marks, "?")
	}
	if _, err := d.db.Exec("CREATE TABLE " + quoted(name) + " (" + strings.Join(columns, ", ") + ")"); err != nil {
		t.Fatal(err)
	}
	for i := range in.Rows() {
		var row []any
		for j := range in.Columns {
			row = append(row, sqliteCell(in.Columns[j].Name, in.Columns[j].At(i), i))
		}
		if _, err := d.db.Exec("INSERT INTO "+quoted(name)+" VALUES ("+strings.Join(marks, ", ")+")", row...); err != nil {
			t.Fatal(err)
		}
	}
}

// sqliteCell is a cell in one of the forms that SQLite may hold it in.
func sqliteCell(column string, v datasets.Value, i int) any {
	switch v.Kind {
	case 0:
		return nil
	case datasets.Number:
		if v.Number == math.Trunc(v.Number) && math.Abs(v.Number) < 1e15 && i%2 == 0 {
			return int64(v.Number)
		}
		return v.Number
	case datasets.Boolean:
		return []any{v.Number != 0, fmt.Sprint(v.Number != 0)}[i%2]
	case datasets.Time:
		text := datasets.FormatTime(v.Time)
		switch at := time.UnixMicro(v.Time).UTC(); {
		case v.Time%day == 0 && i%2 == 0:
			return at.Format(time.DateOnly)
		case i%3 == 0:
			return at.In(time.FixedZone("", 7200+1800)).Format("2006-01-02T15:04:05.999999-07:00")
		case i%3 == 1:
			return at.Format("2006-01-02 15:04:05.999999")
		}
		return text
	}
	if x, ok := datasets.ParseNumber(v.Text); column == "rooms" && ok && i%2 == 0 {
		return x
	}
	return v.Text
}

func (d inSQLite) query(text string) ([]sqlRow, error) {
	rows, err := d.db.Query(text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []sqlRow
	for rows.Next() {
		var r sqlRow
		cells := []any{&r.account, &r.raw, &r.probability, &r.band}
		if len(columns) == 5 { // as_of
			cells = slices.Insert(cells, 1, any(new(any)))
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func TestSQLite(t *testing.T) {
	db := openSQLite(t)
	everyModel(t, db, convert.SQLite)
	t.Run("many trees", func(t *testing.T) { manyTrees(t, db, convert.SQLite) })
}

// inPostgres is a schema of its own, dropped in the end.
type inPostgres struct{ c *pgx.Conn }

func openPostgres(t *testing.T) inPostgres {
	t.Helper()
	at := os.Getenv("PROPENSITY_POSTGRES")
	if at == "" {
		t.Skip("PROPENSITY_POSTGRES, the connection string of a PostgreSQL server to try SQL on, is not set")
	}
	ctx := context.Background()
	c, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("convert_%d", os.Getpid())
	for _, text := range []string{"CREATE SCHEMA " + schema, "SET search_path TO " + schema, "SET timezone TO 'America/Caracas'", "SET jit = off"} {
		if _, err := c.Exec(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_, err := c.Exec(ctx, "DROP SCHEMA "+schema+" CASCADE")
		if err = errors.Join(err, c.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return inPostgres{c}
}

func (d inPostgres) create(t *testing.T, name string, in *datasets.Table) {
	t.Helper()
	ctx := context.Background()
	var columns, names []string
	for j := range in.Columns {
		c := &in.Columns[j]
		kind := map[datasets.Kind]string{datasets.Number: "float8", datasets.Boolean: "boolean", datasets.Category: "text", datasets.Text: "text", datasets.Time: "timestamptz"}[c.Kind]
		if c.Name == "last" {
			kind = "timestamp"
		}
		names, columns = append(names, c.Name), append(columns, quoted(c.Name)+" "+kind)
	}
	if _, err := d.c.Exec(ctx, "CREATE TABLE "+quoted(name)+" ("+strings.Join(columns, ", ")+")"); err != nil {
		t.Fatal(err)
	}
	_, err := d.c.CopyFrom(ctx, pgx.Identifier{name}, names, pgx.CopyFromSlice(in.Rows(), func(i int) ([]any, error) {
		var row []any
		for j := range in.Columns {
			switch v := in.Columns[j].At(i); v.Kind {
			case 0:
				row = append(row, nil)
				if in.Columns[j].Kind == datasets.Number && i%2 == 0 {
					row[j] = math.NaN()
				}
			case datasets.Number:
				row = append(row, v.Number)
			case datasets.Boolean:
				row = append(row, v.Number != 0)
			case datasets.Time:
				row = append(row, time.UnixMicro(v.Time).UTC())
			default:
				text := v.Text
				if x, ok := datasets.ParseNumber(text); in.Columns[j].Name == "rooms" && ok && x == math.Trunc(x) && i%2 == 0 {
					text = fmt.Sprintf("%.1f", x)
				}
				row = append(row, text)
			}
		}
		return row, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
}

func (d inPostgres) query(text string) ([]sqlRow, error) {
	rows, err := d.c.Query(context.Background(), text)
	if err != nil {
		return nil, err
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r sqlRow, err error) {
		cells := []any{&r.account, &r.raw, &r.probability, &r.band}
		if len(row.FieldDescriptions()) == 5 {
			cells = slices.Insert(cells, 1, any(new(any)))
		}
		return r, row.Scan(cells...)
	})
	slices.SortFunc(out, func(a, b sqlRow) int { return strings.Compare(a.account, b.account) })
	return out, err
}

func TestPostgres(t *testing.T) {
	db := openPostgres(t)
	everyModel(t, db, convert.Postgres)
	t.Run("many trees", func(t *testing.T) { manyTrees(t, db, convert.Postgres) })
}

// golden compares a text with testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" { // defined beside, in the tests of the package
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", name, text)
	}
}
