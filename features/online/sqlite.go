package online

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"propensity/features/facts"
)

// sqliteStore keeps facts in a file. The log is written ahead of the tables (WAL), and
// synced before a call is acknowledged, while the next transaction is being written: what
// has been acknowledged outlives a kill, and a loss of power if the disk keeps what it
// says it has synced. SQLite itself syncs the log before it moves it into the tables
// (synchronous = normal, https://www.sqlite.org/pragma.html#pragma_synchronous).
type sqliteStore struct {
	committer
	db      *sql.DB // for what is done seldom
	readers chan *sqliteReader
	writer  *sqliteWriter
	changes changes
}

// sqliteFormat is the number of the layout below, in user_version.
const sqliteFormat = 1

// A table without rowids is its own index: the facts of an account lie together, and
// a version that is there cannot be put there twice.
const sqliteSchema = `
CREATE TABLE IF NOT EXISTS facts (
	account TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, arrived INTEGER NOT NULL, content BLOB NOT NULL,
	PRIMARY KEY (account, source, id, arrived, content)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (count INTEGER NOT NULL);
INSERT INTO commits SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM commits);
`

func openSQLite(ctx context.Context, path string) (Store, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: sqlite: names no file: write sqlite:PATH", ErrURL)
	}
	db := sql.OpenDB(sqliteConnector{path, 8 << 10})
	db.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	db.SetMaxIdleConns(4)
	s := &sqliteStore{db: db, writer: &sqliteWriter{path: path, way: newWay()}, readers: make(chan *sqliteReader, max(4, runtime.GOMAXPROCS(0)))}
	for range cap(s.readers) {
		s.readers <- &sqliteReader{path: path}
	}
	if err := s.writer.prepare(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.sync = s.syncLog
	s.start(s.write)
	return s, nil
}

// syncLog syncs the log; there is none if it was moved into the tables, synced.
func (s *sqliteStore) syncLog() error {
	f, err := os.OpenFile(s.writer.path+"-wal", os.O_RDWR, 0) // as Windows wants it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// sqliteConnector opens connections to a file, each with so many KiB of its pages in
// memory.
type sqliteConnector struct {
	path  string
	cache int
}

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(wal)", "synchronous(normal)", "wal_autocheckpoint(16000)", fmt.Sprintf("cache_size(-%d)", c.cache),
	}}
	name := url.URL{Scheme: "file", Path: c.path, OmitHost: true, RawQuery: query.Encode()}
	return (&sqlite.Driver{}).Open(name.String())
}

func (c sqliteConnector) Driver() driver.Driver { return &sqlite.Driver{} }

// Append adds facts.
func (s *sqliteStore) Append(ctx context.Context, list []facts.Fact) error {
	return s.append(ctx, list)
}

func (s *sqliteStore) write(ctx context.Context, list []record) error {
	s.changes.begin()
	changed, commits, err := s.writer.write(ctx, list)
	if err != nil {
		s.changes.abandon()
		s.writer.close() // anew the next time
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	s.changes.add(commits, changed)
	return nil
}

// Facts gives the facts of an account.
func (s *sqliteStore) Facts(ctx context.Context, account string, since Since) ([]facts.Fact, error) {
	return factsOf(ctx, s, account, since)
}

func (s *sqliteStore) records(ctx context.Context, account string) (list []record, err error) {
	err = s.reading(ctx, func(r *sqliteReader) error {
		found := r.room[:0]
		err := r.read(ctx, readFacts, []driver.NamedValue{{Ordinal: 1, Value: account}}, make([]driver.Value, 3), func(row []driver.Value) {
			v := record{account: account, arrived: row[1].(int64)}
			v.source, v.id, _ = strings.Cut(row[0].(string), "\x00") // no source has one
			v.content, _ = row[2].([]byte)                           // an empty one is nil
			found = append(found, v)
		})
		list = slices.Clone(found) // they grow in the reader's room, which is there the next time
		clear(found)
		if cap(found) <= sqliteRoom {
			r.room = found
		}
		return err
	})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return list, nil
}

func (s *sqliteStore) versions(ctx context.Context, accounts []string) ([]uint64, error) {
	var commits int64
	err := s.reading(ctx, func(r *sqliteReader) error {
		return r.read(ctx, readCommits, nil, make([]driver.Value, 1), func(row []driver.Value) { commits = row[0].(int64) })
	})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return s.changes.versions(commits, accounts), nil
}

// sqliteReader is a connection that reads. As the writer, it speaks to the driver itself.
type sqliteReader struct {
	path       string
	conn       driver.Conn
	statements [2]driver.Stmt
	room       []record // of at most sqliteRoom versions
}

const sqliteRoom = 4096

const (
	readFacts   = iota // of an account
	readCommits        // how many the file has seen
)

// reading gives a reader that nobody else has meanwhile.
func (s *sqliteStore) reading(ctx context.Context, use func(r *sqliteReader) error) error {
	var r *sqliteReader
	select {
	case r = <-s.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.readers <- r }()
	err := use(r)
	if err != nil {
		r.close() // anew the next time
	}
	return err
}

// read calls each with the cells of the rows that a statement gives, valid during the call.
func (r *sqliteReader) read(ctx context.Context, statement int, args []driver.NamedValue, row []driver.Value, each func(row []driver.Value)) (err error) {
	if r.conn == nil {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	rows, err := r.statements[statement].(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		switch err := rows.Next(row); err {
		case nil:
			each(row)
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func (r *sqliteReader) open(ctx context.Context) (err error) {
	if r.conn, err = (sqliteConnector{r.path, 8 << 10}).Connect(ctx); err != nil {
		r.conn = nil
		return err
	}
	for i, text := range [...]string{
		// Source and id in one: a column of a row costs more than what joins them.
		readFacts:   `SELECT source || x'00' || id, arrived, content FROM facts WHERE account = ? ORDER BY source, id, arrived, content`,
		readCommits: `SELECT count FROM commits`,
	} {
		if r.statements[i], err = r.conn.(driver.ConnPrepareContext).PrepareContext(ctx, text); err != nil {
			r.statements[i] = nil
			r.close()
			return err
		}
	}
	return nil
}

func (r *sqliteReader) close() {
	for _, stmt := range r.statements {
		if stmt != nil {
			_ = stmt.Close()
		}
	}
	if r.conn != nil {
		_ = r.conn.Close()
	}
	*r = sqliteReader{path: r.path}
}

// Close waits for what is being written and closes the file.
func (s *sqliteStore) Close() error {
	s.stop()
	s.writer.close()
	for range cap(s.readers) {
		r := <-s.readers
		r.close()
		defer func() { s.readers <- r }()
	}
	return s.db.Close()
}

// unavailable marks an error of the store; that of a ctx that is done stays its own.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// sqliteAccounts seeks each account beyond the one before, which does not read all facts.
const sqliteAccounts = `
WITH RECURSIVE known (account) AS (
	SELECT min(account) FROM facts WHERE account >= ?1
	UNION ALL SELECT (SELECT min(account) FROM facts WHERE account > known.account) FROM known WHERE account IS NOT NULL
	LIMIT ?2
) SELECT account FROM known WHERE account IS NOT NULL`

func (s *sqliteStore) accounts(ctx context.Context, from, to string) iter.Seq2[string, error] {
	return pages(from, to, func(from string) (page []string, err error) {
		rows, err := s.db.QueryContext(ctx, sqliteAccounts, from, listPage)
		if err != nil {
			return nil, unavailable(ctx, err)
		}
		defer rows.Close()
		for rows.Next() {
			var account string
			if err := rows.Scan(&account); err != nil {
				return nil, unavailable(ctx, err)
			}
			page = append(page, account)
		}
		if err := rows.Err(); err != nil {
			return nil, unavailable(ctx, err)
		}
		return page, nil
	})
}

// remove writes beside the writer, which waits for it: to the counts of changes it is
// another process.
func (s *sqliteStore) remove(ctx context.Context, account string, list []record) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(ctx, err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it says so
	for i := range list {
		r := &list[i]
		if _, err := tx.ExecContext(ctx, `DELETE FROM facts WHERE account = ? AND source = ? AND id = ? AND arrived = ? AND content = ?`,
			account, r.source, r.id, r.arrived, r.content); err != nil {
			return unavailable(ctx, err)
		}
	}
	if _, err := tx.ExecContext(ctx, addCommit); err != nil {
		return unavailable(ctx, err)
	}
	if err := tx.Commit(); err != nil {
		return unavailable(ctx, err)
	}
	return nil
}
