package datasets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
)

// sqliteFile makes a database with the given statements.
func sqliteFile(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a b#?.db")
	db := sql.OpenDB(sqliteConnector((&url.URL{Scheme: "file", Path: path, OmitHost: true}).String()))
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// readSQL reads all batches.
func readSQL(s SQLSource, o ReadOptions) (out []*Table, err error) {
	r, err := OpenSQL(context.Background(), s, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		t, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if got := t.Names(); !cmp.Equal(got, r.Columns()) {
			return nil, fmt.Errorf("a batch has columns %q, the reader %q", got, r.Columns())
		}
		out = append(out, t)
	}
}

func sameTables(t *testing.T, got, want []*Table) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

const sqliteEvents = `CREATE TABLE "the events" (id INTEGER, big BIGINT, x REAL, ok BOOLEAN, name TEXT, at TIMESTAMP, day DATE, u UUID, price DECIMAL(10,2), untyped)`

func TestSQLiteTable(t *testing.T) {
	path := sqliteFile(t, sqliteEvents,
		`INSERT INTO "the events" VALUES (1, 999999999999999, 0.5, 1, 'a', '2026-03-01 09:30:00.123456', '2026-03-01', 'u-1', 2.50, NULL),
		 (2, NULL, NULL, 0, '', '2026-03-01T09:30:00+02:00', NULL, NULL, NULL, 7),
		 (NULL, -3, -0.0, NULL, NULL, NULL, '1969-12-31', 'u-1', 1, 8.5)`)
	const march = 1772323200000000 // 2026-03-01
	want := &Table{Columns: []Column{
		{Name: "id", Kind: Number, Numbers: []float64{1, 2, math.NaN()}},
		{Name: "big", Kind: Number, Numbers: []float64{999999999999999, math.NaN(), -3}},
		{Name: "x", Kind: Number, Numbers: []float64{0.5, math.NaN(), 0}},
		{Name: "ok", Kind: Boolean, Numbers: []float64{1, 0, math.NaN()}},
		{Name: "name", Kind: Category, Codes: []int32{0, 1, -1}, Values: []string{"a", ""}},
		{Name: "at", Kind: Time, Times: []int64{march + 34200123456, march + 27000000000, MissingTime}},
		{Name: "day", Kind: Time, Times: []int64{march, MissingTime, -86400000000}},
		{Name: "u", Kind: Text, Codes: []int32{0, -1, 0}, Values: []string{"u-1"}},
		{Name: "price", Kind: Number, Numbers: []float64{2.5, math.NaN(), 1}},
		{Name: "untyped", Kind: Number, Numbers: []float64{math.NaN(), 7, 8.5}},
	}}
	for _, s := range []SQLSource{
		{URL: "sqlite:" + path, Table: "the events"},
		{URL: "sqlite:" + filepath.Base(path), Table: `main."the events"`, Dir: filepath.Dir(path)},
		{URL: "sqlite:" + path, Query: `SELECT * FROM "the events" ORDER BY rowid`},
	} {
		got, err := readSQL(s, ReadOptions{})
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		sameTables(t, got, []*Table{want})
	}
	// The wanted columns alone, in the order of the table, in batches.
	got, err := readSQL(SQLSource{URL: "sqlite:" + path, Table: "the events"}, ReadOptions{Columns: []string{"untyped", "name"}, Batch: 2, Kinds: map[string]Kind{"untyped": Category}})
	if err != nil {
		t.Fatal(err)
	}
	sameTables(t, got, []*Table{
		{Columns: []Column{{Name: "name", Kind: Category, Codes: []int32{0, 1}, Values: []string{"a", ""}}, {Name: "untyped", Kind: Category, Codes: []int32{-1, 0}, Values: []string{"7"}}}},
		{Columns: []Column{{Name: "name", Kind: Category, Codes: []int32{-1}}, {Name: "untyped", Kind: Category, Codes: []int32{0}, Values: []string{"8.5"}}}},
	})
}

func TestSQLOfNoRowsHasColumns(t *testing.T) {
	path := sqliteFile(t, sqliteEvents)
	r, err := OpenSQL(context.Background(), SQLSource{URL: "sqlite:" + path, Table: "the events"}, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) || len(r.Columns()) != 10 {
		t.Errorf("%v, columns %q", err, r.Columns())
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error("closed twice:", err)
	}
}

func TestSQLBatchesCountRows(t *testing.T) {
	path := sqliteFile(t, `CREATE TABLE n (i INTEGER)`, `WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 10) INSERT INTO n SELECT i FROM s`)
	r, err := OpenSQL(context.Background(), SQLSource{URL: "sqlite:" + path, Query: "SELECT i FROM n ORDER BY i"}, ReadOptions{Batch: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, want := range []int{1, 5, 9} {
		batch, err := r.Next()
		if err != nil || r.Line() != want || batch.Columns[0].Numbers[0] != float64(want) {
			t.Errorf("batch %d starts at row %d with %v: %v; want %d", i, r.Line(), batch.Columns[0].Numbers, err, want)
		}
	}
}

func TestSQLFaultsNameTheirPlace(t *testing.T) {
	path := sqliteFile(t, `CREATE TABLE n (i INTEGER, s TEXT, at DATE)`, `INSERT INTO n VALUES (1, 'x', '2026-01-01'), (1000000000000000, 'y', '2026-01-02')`)
	url := "sqlite:" + path
	t.Setenv("EMPTY", "")
	for name, c := range map[string]struct {
		s    SQLSource
		o    ReadOptions
		want string
	}{
		"an integer of 16 digits":      {SQLSource{URL: url, Table: "n"}, ReadOptions{}, `, table n, row 2, column "i": bad value "1000000000000000"`},
		"a text that is no time":       {SQLSource{URL: url, Query: "SELECT s\n FROM n"}, ReadOptions{Kinds: map[string]Kind{"s": Time}}, `query "SELECT s FROM n", row 1, column "s": bad value "x": a time is wanted`},
		"a number that is a time":      {SQLSource{URL: url, Query: "SELECT i AS at FROM n"}, ReadOptions{Kinds: map[string]Kind{"at": Time}}, `row 1, column "at": bad value "1"`},
		"a column that is absent":      {SQLSource{URL: url, Table: "n"}, ReadOptions{Columns: []string{"i", "z"}}, `no such column: "z"`},
		"of a query too":               {SQLSource{URL: url, Query: "SELECT i FROM n"}, ReadOptions{Columns: []string{"z"}}, `no such column: "z"`},
		"a table that is absent":       {SQLSource{URL: url, Table: "m"}, ReadOptions{}, ", table m: "},
		"a query that is none":         {SQLSource{URL: url, Query: "SELEC 1"}, ReadOptions{}, `query "SELEC 1": `},
		"a write":                      {SQLSource{URL: url, Query: "DELETE FROM n RETURNING i"}, ReadOptions{}, "readonly"},
		"two columns of a name":        {SQLSource{URL: url, Query: "SELECT i, s AS i FROM n"}, ReadOptions{}, `column "i": bad header`},
		"bytes":                        {SQLSource{URL: url, Query: "SELECT x'00ff' AS b"}, ReadOptions{}, `column "b": bad value: 2 raw bytes`},
		"a file that is absent":        {SQLSource{URL: url + "x", Table: "n"}, ReadOptions{}, "no such file"},
		"query and table":              {SQLSource{URL: url, Table: "n", Query: "SELECT 1"}, ReadOptions{}, "either a query or a table"},
		"another database":             {SQLSource{URL: "mysql://h/d", Table: "n"}, ReadOptions{}, "mysql://h/d: bad value: write it as postgres://"},
		"a table that is an injection": {SQLSource{URL: url, Table: `n" WHERE 1=1; DROP TABLE n; --`}, ReadOptions{}, "no such table"},
		"an open quote":                {SQLSource{URL: url, Table: `main."n`}, ReadOptions{}, "a quote is not closed"},
		"no variable":                  {SQLSource{URL: "postgres://u:${env:PROPENSITY_NO_SUCH}@h/d", Table: "n"}, ReadOptions{}, "the environment has no variable PROPENSITY_NO_SUCH"},
		"an empty variable":            {SQLSource{URL: "postgres://u:${env:EMPTY}@h/d", Table: "n"}, ReadOptions{}, "${env:EMPTY} is empty"},
		"a reference half open":        {SQLSource{URL: "postgres://u:${env:EMPTY@h/d", Table: "n"}, ReadOptions{}, "a reference is written as"},
		"no secret file":               {SQLSource{URL: "${file:/no/such/file}", Table: "n"}, ReadOptions{}, "no such file"},
	} {
		if _, err := readSQL(c.s, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func TestNoSecretIsShown(t *testing.T) {
	const password = "p@ss/w:rd?%&#x"
	t.Setenv("PROPENSITY_TEST_PASSWORD", password)
	t.Setenv("PROPENSITY_TEST_URL", "postgres://u:hunter2@127.0.0.1:1/d?connect_timeout=1")
	t.Setenv("PROPENSITY_TEST_BAD_URL", "postgres://u:hunter2@[bad/d")
	t.Setenv("PROPENSITY_TEST_NO_URL", "mysql://u:hunter2@h/d")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{
		"postgres://u:${env:PROPENSITY_TEST_PASSWORD}@127.0.0.1:1/d?connect_timeout=1",
		"postgres://u:${file:" + file + "}@127.0.0.1:1/d?connect_timeout=1",
		"postgres://u@127.0.0.1:1/d?connect_timeout=1&password=${env:PROPENSITY_TEST_PASSWORD}",
		"postgres://127.0.0.1:1/${env:PROPENSITY_TEST_PASSWORD}?connect_timeout=1",
		"postgres://u:${env:PROPENSITY_TEST_PASSWORD}@h:port/d",
		"${env:PROPENSITY_TEST_URL}", "${env:PROPENSITY_TEST_BAD_URL}", "${env:PROPENSITY_TEST_NO_URL}",
		"sqlite:/no/such/${env:PROPENSITY_TEST_PASSWORD}",
		// Written out, a password is refused, and not shown either.
		"postgres://u:hunter2@127.0.0.1:1/d", "postgres://u@h/d?password=hunter2", "postgres://u:hunter2${env:PROPENSITY_TEST_PASSWORD}@h/d",
	} {
		s := SQLSource{URL: at, Table: "n"}
		_, err := OpenSQL(context.Background(), s, ReadOptions{})
		if err == nil {
			t.Fatalf("%s: it opened", at)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			for _, secret := range []string{"hunter2", password, escaped(password), url.QueryEscape(password), url.PathEscape(password)} {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, secret) {
					t.Errorf("%s: the error shows %q: %s", at, secret, text)
				}
			}
		}
		if strings.Contains(s.String(), "hunter2") {
			t.Errorf("%s is named %s", at, s)
		}
	}
}

func TestSecretsFitTheirPlace(t *testing.T) {
	const password = "p@ss/w:rd?%&#x ü"
	t.Setenv("PROPENSITY_TEST_PASSWORD", password)
	t.Setenv("PROPENSITY_TEST_HOST", "db.example:5433")
	s := SQLSource{URL: "postgres://u:${env:PROPENSITY_TEST_PASSWORD}@${env:PROPENSITY_TEST_HOST}/d?application_name=${env:PROPENSITY_TEST_PASSWORD}"}
	at, _, err := s.expand()
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.ParseConfig(at)
	if err != nil {
		t.Fatal(err)
	}
	if c.Password != password || c.Host != "db.example" || c.Port != 5433 || c.User != "u" || c.Database != "d" || c.RuntimeParams["application_name"] != password {
		t.Errorf("%q at %q:%d, %q", c.Password, c.Host, c.Port, c.RuntimeParams)
	}
}

func TestSQLIsCancelled(t *testing.T) {
	path := sqliteFile(t, `CREATE TABLE n (i INTEGER)`)
	ctx, cancel := context.WithCancel(context.Background())
	endless := `WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s) SELECT i FROM s`
	r, err := OpenSQL(ctx, SQLSource{URL: "sqlite:" + path, Query: endless}, ReadOptions{Batch: 10})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenSQL(ctx, SQLSource{URL: "sqlite:" + path, Table: "n"}, ReadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestPostgresTable(t *testing.T) {
	at := os.Getenv("PROPENSITY_POSTGRES")
	if at == "" {
		t.Skip("PROPENSITY_POSTGRES, the connection string of a PostgreSQL server to read from, is not set")
	}
	ctx := context.Background()
	c, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("datasets %d", os.Getpid())
	defer func() {
		_, err := c.Exec(ctx, "DROP SCHEMA "+quoteName(schema)+" CASCADE")
		if err = errors.Join(err, c.Close(ctx)); err != nil {
			t.Error(err)
		}
	}()
	for _, s := range []string{
		`CREATE SCHEMA ` + quoteName(schema), `SET search_path TO ` + quoteName(schema), `SET timezone TO 'America/Caracas'`,
		`CREATE TYPE mood AS ENUM ('sad', 'glad')`,
		`CREATE TABLE n (i2 int2, i8 int8, f4 float4, f8 float8, d numeric(20, 4), ok bool, s varchar(9), m mood, at timestamp, tz timestamptz, day date, u uuid, j jsonb, b bytea)`,
		`INSERT INTO n VALUES (1, 999999999999999, 0.5, 'NaN', 1234567.5, true, '', 'glad', '2026-03-01 09:30:00.123456', '2026-03-01 09:30:00+02', '2026-03-01', '00000000-0000-0000-0000-000000000001', '{"a":1}', '\x00')`,
		`INSERT INTO n (d) VALUES ('NaN')`,
		`CREATE TABLE wild (i8 int8, at timestamp, f8 float8)`,
		`INSERT INTO wild VALUES (9007199254740993, 'infinity', 'infinity')`,
	} {
		if _, err := c.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	t.Setenv("PROPENSITY_TEST_URL", at)
	table := SQLSource{URL: "${env:PROPENSITY_TEST_URL}", Table: `"` + schema + `".n`}
	columns := []string{"i2", "i8", "f4", "f8", "d", "ok", "s", "m", "at", "tz", "day", "u", "j"}
	got, err := readSQL(table, ReadOptions{Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	const march = 1772323200000000 // 2026-03-01
	text := func(name string, kind Kind, value string) Column {
		return Column{Name: name, Kind: kind, Codes: []int32{0, -1}, Values: []string{value}}
	}
	sameTables(t, got, []*Table{{Columns: []Column{
		{Name: "i2", Kind: Number, Numbers: []float64{1, math.NaN()}},
		{Name: "i8", Kind: Number, Numbers: []float64{999999999999999, math.NaN()}},
		{Name: "f4", Kind: Number, Numbers: []float64{0.5, math.NaN()}},
		{Name: "f8", Kind: Number, Numbers: []float64{math.NaN(), math.NaN()}},
		{Name: "d", Kind: Number, Numbers: []float64{1234567.5, math.NaN()}},
		{Name: "ok", Kind: Boolean, Numbers: []float64{1, math.NaN()}},
		text("s", Category, ""),
		text("m", Category, "glad"),
		{Name: "at", Kind: Time, Times: []int64{march + 34200123456, MissingTime}},
		{Name: "tz", Kind: Time, Times: []int64{march + 27000000000, MissingTime}},
		{Name: "day", Kind: Time, Times: []int64{march, MissingTime}},
		text("u", Text, "00000000-0000-0000-0000-000000000001"),
		text("j", Text, `{"a": 1}`),
	}}})
	wild := SQLSource{URL: table.URL, Table: `"` + schema + `".wild`}
	got, err = readSQL(wild, ReadOptions{Columns: []string{"i8"}, Kinds: map[string]Kind{"i8": Text}})
	if err != nil || len(got) != 1 || got[0].Columns[0].Values[0] != "9007199254740993" {
		t.Errorf("an id of 16 digits, as text: %v, %v", got, err)
	}
	for column, want := range map[string]string{
		"i8": `row 1, column "i8": bad value "9007199254740993"`,
		"at": `row 1, column "at": bad value "infinity"`,
		"f8": `row 1, column "f8": bad value "+Inf"`,
	} {
		if _, err := readSQL(wild, ReadOptions{Columns: []string{column}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	for query, want := range map[string]string{
		`DELETE FROM ` + quoteName(schema) + `.n RETURNING i2`: "read-only transaction",
		`SELECT 1 AS a; SELECT 2 AS b`:                         "multiple commands",
		`SELECT 1/0 AS a`:                                      "division by zero",
		`SELECT 1`:                                             `column "?column?": bad header`,
		`SELECT b FROM ` + quoteName(schema) + `.n WHERE b IS NOT NULL`: "1 raw bytes",
	} {
		if _, err := readSQL(SQLSource{URL: table.URL, Query: query}, ReadOptions{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), at) {
			t.Errorf("%s: %v; want %q", query, err, want)
		}
	}
	// What is read is a stream: cancelled half way, it ends at once.
	slow, cancel := context.WithCancel(ctx)
	r, err := OpenSQL(slow, SQLSource{URL: table.URL, Query: "SELECT generate_series(1, 100000000) AS i"}, ReadOptions{Batch: 10})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
