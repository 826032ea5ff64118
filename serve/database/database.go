// Package database opens the database in which a server keeps what it must not
// forget: scores, outcomes, deliveries, jobs. SQLite is for one server, Postgres for
// several. Each part of the server has tables of its own, named after it.
package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"propensity/features/online"
)

var (
	// ErrAddress is wrapped by errors of Open about the address itself.
	ErrAddress = errors.New("no address of a database")
	// ErrNewer is a database that a later program has written.
	ErrNewer = errors.New("the database was written by a later version of propensity")
)

// DB is a database, open. It may be used by several goroutines.
type DB struct {
	*sql.DB
	// Postgres: not SQLite.
	Postgres bool
	// write is held by the one transaction that writes: of SQLite there can be no
	// other, and a queue in the process is fairer and cheaper than its own.
	write sync.Mutex
}

// Open opens sqlite:PATH (made if it is not there) or a postgres:// address, in which
// ${env:NAME} and ${file:PATH} stand for secrets. What a transaction has committed
// outlives a kill, and a loss of power if the disk keeps what it says it has synced.
func Open(ctx context.Context, address string) (*DB, error) {
	where, err := online.ExpandAddress(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	scheme, path, _ := strings.Cut(where, ":")
	switch scheme {
	case "sqlite":
		if path = strings.TrimPrefix(path, "//"); path == "" {
			return nil, fmt.Errorf("%w: sqlite: names no file: write sqlite:PATH", ErrAddress)
		}
		// Scores and secrets are for the server's own eyes; what SQLite puts beside the file
		// has its mode. A path that cannot be made is SQLite's to tell of.
		if f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			if err := f.Close(); err != nil {
				return nil, err
			}
		}
		db := &DB{DB: sql.OpenDB(sqliteConnector(path))}
		db.SetMaxOpenConns(4)
		db.SetMaxIdleConns(4)
		if err := db.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
		}
		return db, nil
	case "postgres", "postgresql":
		config, err := pgx.ParseConfig(where)
		if err != nil { // which would show the password
			return nil, fmt.Errorf("%w: write postgres://user@host:5432/database, with the password in PGPASSWORD or ~/.pgpass", ErrAddress)
		}
		db := &DB{DB: stdlib.OpenDB(*config), Postgres: true}
		db.SetMaxOpenConns(16)
		db.SetMaxIdleConns(8)
		return db, nil
	}
	// The address itself may hold a password: only its scheme is shown.
	return nil, fmt.Errorf("%w: %q: it is neither sqlite:PATH nor a postgres:// address", ErrAddress, scheme+":...")
}

// sqliteConnector opens connections to a file, each with a megabyte of its pages in memory,
// or two while a transaction has changed as much: a page written early is often written twice.
type sqliteConnector string

func (path sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)", "cache_size(-1000)", "cache_spill(500)"}}
	name := url.URL{Scheme: "file", Path: string(path), OmitHost: true, RawQuery: query.Encode()}
	return (&sqlite.Driver{}).Open(name.String())
}

func (sqliteConnector) Driver() driver.Driver { return &sqlite.Driver{} }

// Rebind writes the ? of a statement as the database wants them; the statement has no
// other ?.
func (db *DB) Rebind(statement string) string {
	if !db.Postgres {
		return statement
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, more := strings.Cut(statement, "?")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		statement = after
	}
}

// retries is how often a transaction that lost to another one is tried again.
const retries = 10

// Update runs do in a transaction that writes, and commits it unless do fails. With
// SQLite there is one at a time. With Postgres a transaction that lost to another is
// run again, so do must have no other effects.
func (db *DB) Update(ctx context.Context, do func(tx *sql.Tx) error) error {
	if !db.Postgres {
		db.write.Lock()
		defer db.write.Unlock()
	}
	for try := 0; ; try++ {
		err := db.update(ctx, do)
		var lost *pgconn.PgError
		// Serialization failure and deadlock: https://www.postgresql.org/docs/current/errcodes-appendix.html
		if !errors.As(err, &lost) || lost.Code != "40001" && lost.Code != "40P01" || try == retries {
			return err
		}
	}
}

func (db *DB) update(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Migrate brings the tables of one part of the server up to date: steps[i] leads from
// layout i to layout i+1, and steps already taken are left out. A part keeps its old
// steps forever and adds new ones at the end.
func (db *DB) Migrate(ctx context.Context, part string, steps ...string) error {
	return db.Update(ctx, func(tx *sql.Tx) error {
		if db.Postgres { // held to the end of the transaction; the number is of our own choosing
			if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7301443)`); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS propensity_layouts (part TEXT PRIMARY KEY, layout INTEGER NOT NULL)`); err != nil {
			return err
		}
		have := 0
		err := tx.QueryRowContext(ctx, db.Rebind(`SELECT layout FROM propensity_layouts WHERE part = ?`), part).Scan(&have)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if have > len(steps) {
			return fmt.Errorf("%w: layout %d of %s, and this program knows %d", ErrNewer, have, part, len(steps))
		}
		for _, step := range steps[have:] {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("tables of %s: %w", part, err)
			}
		}
		_, err = tx.ExecContext(ctx, db.Rebind(`INSERT INTO propensity_layouts (part, layout) VALUES (?, ?) ON CONFLICT (part) DO UPDATE SET layout = excluded.layout`), part, len(steps))
		return err
	})
}
