package datasets

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// SQLSource names records in a database: those of a table, or the answer of a
// query.
type SQLSource struct {
	// URL of the database: postgres://user@host:port/name (and what libpq takes
	// after a ?), or sqlite:PATH. In it ${env:NAME} stands for a variable of the
	// environment and ${file:PATH} for the content of a file; a password has no
	// other place. Where a reference is the whole URL, it is taken as it is; in a
	// part of a URL its characters lose any meaning of their own.
	URL string
	// Exactly one of a query, one statement that reads, and a table, with its
	// schema before a dot.
	Query, Table string
	// Dir is what relative paths of files and of SQLite databases start from; "" is
	// the working directory.
	Dir string
}

// String names the source in messages: the URL as it was written, so without its
// secrets, and what is asked of it.
func (s SQLSource) String() string {
	at := s.shown()
	if s.Query == "" {
		return at + ", table " + s.Table
	}
	return at + ", query " + fmt.Sprintf("%q", shorten(strings.Join(strings.Fields(s.Query), " ")))
}

// OpenSQL reads records of a database batch by batch, in bounded memory, in a
// transaction that only reads. Columns have the kinds of their types: a Number of
// numeric ones, a Boolean, a Time of dates and timestamps (without a timezone they
// are UTC, past the microsecond they are cut off), Text of uuid and json, a
// Category of all other text; in SQLite, a column of no type has that of its first
// value. NULL is missing, and so are the texts of o.Missing. Kinds set by hand are
// held to, as in Open: an integer of more than 15 digits is an error unless its
// column is set to category or text. Of the options, Kinds, Columns, Missing and
// Batch count; progress is not told, as nobody knows how much there is.
//
// The answer lasts until ctx is done or the Reader is closed. An error names the
// source and, where it has one, the row and column; no secret stands in it.
func OpenSQL(ctx context.Context, s SQLSource, o ReadOptions) (*Reader, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if (s.Query == "") == (s.Table == "") {
		return nil, &ParseError{File: s.URL, Err: ErrHeader, Hint: "name either a query or a table of the database"}
	}
	at, secrets, err := s.expand()
	if err != nil {
		return nil, err
	}
	r := &sqlReader{source: s.String(), secrets: secrets, opts: &o}
	ctx, r.cancel = context.WithCancel(ctx)
	if err := r.open(ctx, s, at); err != nil {
		return nil, errors.Join(r.fault(err), r.close())
	}
	return &Reader{src: &source{name: r.source}, batch: r}, nil
}

// open connects, asks, and looks at the first batch.
func (r *sqlReader) open(ctx context.Context, s SQLSource, at string) error {
	connector, read, err := connectorOf(at, s.Dir)
	if err != nil {
		return err
	}
	r.db = sql.OpenDB(connector)
	r.db.SetMaxOpenConns(1)
	if r.tx, err = r.db.BeginTx(ctx, &read); err != nil {
		return err
	}
	query := s.Query
	if s.Table != "" {
		if query, err = r.selectOf(ctx, s.Table); err != nil {
			return err
		}
	}
	if r.rows, err = r.tx.QueryContext(ctx, query); err != nil {
		return err
	}
	if err := r.layout(); err != nil {
		return err
	}
	return r.peek()
}

// selectOf is the query for the wanted columns of a table, so that the others do
// not travel.
func (r *sqlReader) selectOf(ctx context.Context, table string) (string, error) {
	from, err := quoteTable(table)
	if err != nil || r.opts.Columns == nil {
		return "SELECT * FROM " + from, err
	}
	rows, err := r.tx.QueryContext(ctx, "SELECT * FROM "+from+" LIMIT 0")
	if err != nil {
		return "", err
	}
	have, err := rows.Columns()
	if err = errors.Join(err, rows.Close()); err != nil {
		return "", err
	}
	if err := r.opts.lacking(r.source, have); err != nil {
		return "", err
	}
	var wanted []string
	for _, name := range have {
		if r.opts.wants(name) {
			wanted = append(wanted, quoteName(name))
		}
	}
	if wanted == nil {
		wanted = []string{"*"}
	}
	return "SELECT " + strings.Join(wanted, ", ") + " FROM " + from, nil
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteTable quotes a name and those before its dots; a part with a dot of its own
// is written in double quotes.
func quoteTable(table string) (string, error) {
	var parts []string
	for rest := table; ; {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for end < len(rest) && rest[end] != '"' {
				end++
			}
			if end == len(rest) {
				return "", &ParseError{File: "table", Value: table, Err: ErrValue, Hint: "a quote is not closed"}
			}
			part, rest = rest[1:end], rest[end+1:]
		} else if dot := strings.IndexByte(rest, '.'); dot >= 0 {
			part, rest = rest[:dot], rest[dot:]
		} else {
			part, rest = rest, ""
		}
		if part == "" || rest != "" && rest[0] != '.' {
			return "", &ParseError{File: "table", Value: table, Err: ErrValue, Hint: `write it as events, raw.events or raw."my.events"`}
		}
		parts = append(parts, quoteName(part))
		if rest == "" {
			return strings.Join(parts, "."), nil
		}
		rest = rest[1:]
	}
}

// connectorOf opens no connection yet; read is the transaction that only reads.
func connectorOf(at, dir string) (c driver.Connector, read sql.TxOptions, err error) {
	if path, ok := strings.CutPrefix(at, "sqlite:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return nil, read, errors.New("the URL names no file: write sqlite:PATH")
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, read, err
		}
		// mode=ro refuses writes whatever the statement.
		name := (&url.URL{Scheme: "file", Path: path, OmitHost: true, RawQuery: "mode=ro"}).String()
		return sqliteConnector(name), read, nil
	}
	config, err := pgx.ParseConfig(at)
	if err != nil {
		return nil, read, errors.New("the URL cannot be read: write it as postgres://user:${env:PGPASSWORD}@host:5432/database")
	}
	return stdlib.GetConnector(*config), sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, nil
}

// sqliteConnector opens the database of its name.
type sqliteConnector string

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	return (&sqlite.Driver{}).Open(string(c))
}

func (c sqliteConnector) Driver() driver.Driver { return &sqlite.Driver{} }

// layout settles the wanted columns of the answer and their kinds.
func (r *sqlReader) layout() error {
	_, postgres := r.db.Driver().(*stdlib.Driver)
	types, err := r.rows.ColumnTypes()
	if err != nil {
		return err
	}
	var have []string
	for i, t := range types {
		name := t.Name()
		if slices.Contains(have, name) || strings.TrimSpace(name) == "" || name == "?column?" {
			return &ParseError{File: r.source, Column: name, Err: ErrHeader,
				Hint: fmt.Sprintf("column %d of the answer has no name of its own: give it one with AS", i+1)}
		}
		have = append(have, name)
		if !r.opts.wants(name) {
			continue
		}
		kind := r.opts.Kinds[name]
		if kind == 0 {
			kind = kindOfSQL(t.DatabaseTypeName())
		}
		r.names, r.kinds, r.places = append(r.names, name), append(r.kinds, kind), append(r.places, i)
		r.spelt = append(r.spelt, postgres && t.DatabaseTypeName() != "BYTEA") // json comes as bytes
	}
	r.cells = make([]any, len(types))
	r.into = make([]any, len(types))
	for i := range r.cells {
		r.into[i] = &r.cells[i]
	}
	return r.opts.lacking(r.source, have)
}

// kindOfSQL is the kind of a type of PostgreSQL or SQLite; 0 is not known: the
// first value tells.
func kindOfSQL(name string) Kind {
	name, _, _ = strings.Cut(strings.ToUpper(name), "(")
	switch strings.TrimSpace(name) {
	case "":
		return 0
	case "INT2", "INT4", "INT8", "FLOAT4", "FLOAT8", "NUMERIC", "OID",
		"INT", "INTEGER", "TINYINT", "SMALLINT", "MEDIUMINT", "BIGINT", "UNSIGNED BIG INT",
		"REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT", "DECIMAL", "NUMBER":
		return Number
	case "BOOL", "BOOLEAN":
		return Boolean
	case "DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITHOUT TIME ZONE":
		return Time
	case "UUID", "JSON", "JSONB":
		return Text
	}
	return Category
}
