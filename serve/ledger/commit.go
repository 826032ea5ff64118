package ledger

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	commitTimeout = 20 * time.Second
	// firstRetry and lastRetry bound what is waited before a failed commit is tried
	// again; closeTimeout how long that goes on once the ledger is closed.
	firstRetry   = 100 * time.Millisecond
	lastRetry    = 5 * time.Second
	closeTimeout = 5 * time.Second
)

// write commits what is queued until the ledger is closed.
func (l *Ledger) write() {
	q := &l.queue
	var list []*chunk
	for {
		<-q.wake
		if !l.o.Sync {
			l.gather()
		}
		for {
			if list = q.take(list[:0]); len(list) == 0 {
				break
			}
			l.commitAll(list)
			if !l.o.Sync && !q.hurried() {
				break
			}
		}
		switch some, closed := q.rest(); {
		case some:
			q.call()
		case closed:
			l.closeStatements()
			return
		}
	}
}

// gather waits for scores to commit together.
func (l *Ledger) gather() {
	timer := time.NewTimer(l.o.Every)
	defer timer.Stop()
	for !l.queue.hurried() {
		select {
		case <-timer.C:
			return
		case <-l.queue.wake:
		}
	}
}

// commitAll commits chunks. While the database is away it tries again; with Sync it
// is those who wait that do so.
func (l *Ledger) commitAll(list []*chunk) {
	n := int64(0)
	for _, c := range list {
		n += int64(len(c.entries))
	}
	var closed time.Time
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
		changes, err := l.commit(ctx, list)
		cancel()
		l.told(err, changes)
		if err == nil {
			l.committed.Add(n)
			l.queue.finish(list, nil)
			return
		}
		if _, ended := l.queue.rest(); ended && closed.IsZero() {
			closed = time.Now()
		}
		if l.o.Sync || refused(err) || !closed.IsZero() && time.Since(closed) > closeTimeout {
			if !l.o.Sync {
				l.drop(n, err)
			}
			l.queue.finish(list, errors.Join(ErrUnavailable, err))
			return
		}
		l.pause(wait, !closed.IsZero())
	}
}

// pause waits before a commit is tried again, not for long once the ledger is closed.
func (l *Ledger) pause(wait time.Duration, closed bool) {
	if closed {
		wait = firstRetry
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-l.queue.wake:
			if _, ended := l.queue.rest(); ended && !closed {
				l.queue.call()
				return
			}
		}
	}
}

// told keeps how the last commit went, and wakes those who wait for changes.
func (l *Ledger) told(err error, changes bool) {
	l.state.Lock()
	defer l.state.Unlock()
	if err != nil {
		l.failed.Add(1)
		if l.state.cause == nil {
			l.log.Error("the ledger cannot be written", "error", err)
		}
	} else if l.state.cause != nil {
		l.log.Info("the ledger is written again")
	}
	l.state.cause = err
	if changes {
		close(l.state.changed)
		l.state.changed = make(chan struct{})
	}
}

// refused says whether the database will never take what it was given.
func refused(err error) bool {
	var p *pgconn.PgError
	if errors.As(err, &p) { // data exception, integrity constraint violation
		return strings.HasPrefix(p.Code, "22") || strings.HasPrefix(p.Code, "23")
	}
	var s *sqlite.Error
	if errors.As(err, &s) {
		switch s.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
			return true
		}
	}
	return false
}

// commit adds the scores of chunks in one transaction, with the changes of band that
// they bring, and says whether there are any.
func (l *Ledger) commit(ctx context.Context, list []*chunk) (changed bool, err error) {
	if err := l.prepare(ctx); err != nil {
		return false, err
	}
	if err := l.prepareStatements(ctx); err != nil {
		return false, err
	}
	var numbers map[*version]int64
	err = l.update(ctx, func(tx *sql.Tx) error {
		numbers, changed = map[*version]int64{}, false
		for _, c := range list {
			for i := range c.entries {
				v := c.entries[i].version
				if _, ok := numbers[v]; ok {
					continue
				}
				n, err := l.numberVersion(ctx, tx, v)
				if err != nil {
					return err
				}
				numbers[v] = n
			}
		}
		changes, err := l.findChanges(ctx, tx, list)
		if err != nil {
			return err
		}
		changed = len(changes) > 0
		if err := l.insertScores(ctx, tx, list, numbers); err != nil {
			return err
		}
		return l.insertChanges(ctx, tx, changes)
	})
	if err != nil {
		return false, err
	}
	for v, n := range numbers {
		v.number = n
	}
	return changed, nil
}

// update runs a transaction that numbers something.
func (l *Ledger) update(ctx context.Context, do func(tx *sql.Tx) error) error {
	return l.db.Update(ctx, func(tx *sql.Tx) error {
		if l.db.Postgres {
			if _, err := tx.ExecContext(ctx, lock); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

// count takes n numbers and gives the one before the first.
func (l *Ledger) count(ctx context.Context, tx *sql.Tx, name string, n int) (int64, error) {
	var last int64
	err := tx.QueryRowContext(ctx, l.db.Rebind(`UPDATE ledger_counters SET n = n + ? WHERE name = ? RETURNING n`), n, name).Scan(&last)
	return last - int64(n), err
}

// numberVersion gives the number of a version, which is added if it is not there.
func (l *Ledger) numberVersion(ctx context.Context, tx *sql.Tx, v *version) (int64, error) {
	if v.number > 0 {
		return v.number, nil
	}
	var n int64
	err := tx.QueryRowContext(ctx, l.db.Rebind(`SELECT number FROM ledger_versions WHERE model = ? AND version = ? AND hash = ?`), v.model, v.version, v.hash).Scan(&n)
	if !errors.Is(err, sql.ErrNoRows) {
		return n, err
	}
	if n, err = l.count(ctx, tx, "versions", 1); err != nil {
		return 0, err
	}
	n++
	_, err = tx.ExecContext(ctx, l.db.Rebind(`INSERT INTO ledger_versions VALUES (?, ?, ?, ?, ?, ?)`), n, v.model, v.version, v.hash, v.horizon, appendColumns([]byte{}, v.columns, v.kinds))
	return n, err
}

const scoreFields = 10

// insertScores adds the scores of chunks, many with a statement.
func (l *Ledger) insertScores(ctx context.Context, tx *sql.Tx, list []*chunk, numbers map[*version]int64) error {
	total := 0
	for _, c := range list {
		total += len(c.entries)
	}
	number, err := l.count(ctx, tx, "scores", total)
	if err != nil {
		return err
	}
	rest, size := total, 0
	var stmt *sql.Stmt
	args := make([]any, 0, mostInsert*scoreFields)
	for _, c := range list {
		at := 0
		for i := range c.entries {
			if size == 0 {
				size = insertSize(rest)
				stmt, args = l.inserts[size], args[:0]
			}
			e := &c.entries[i]
			account := c.buf[at : at+e.account : at+e.account]
			band := c.buf[at+e.account : at+e.account+e.band]
			at += e.account + e.band
			body := c.buf[at : at+e.body : at+e.body]
			at += e.body
			number++
			args = append(args, number, e.at, account, e.version.model, numbers[e.version], e.asOf, int64(e.origin), e.probability, string(band), body)
			if len(args) < size*scoreFields {
				continue
			}
			if _, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, args...); err != nil {
				return err
			}
			rest -= size
			size = 0
		}
	}
	return nil
}

// mostInsert is the most rows of a statement.
const mostInsert = 64

// insertSize is how many of so many rows a statement inserts: 64, 16, 4 or 1.
func insertSize(rest int) int {
	size := mostInsert
	for size > rest {
		size /= 4
	}
	return size
}

// prepareStatements prepares what the writer executes, before it holds a transaction and
// with it a connection.
func (l *Ledger) prepareStatements(ctx context.Context) error {
	if l.inserts == nil {
		l.inserts, l.lasts = map[int]*sql.Stmt{}, map[int]*sql.Stmt{}
	}
	insert := `INSERT INTO ledger_scores VALUES `
	if !l.db.Postgres {
		// Many rows in a statement would have SQLite write what each page was into a file,
		// to take back that statement alone should it fail. The transaction is taken back.
		insert = `INSERT OR FAIL INTO ledger_scores VALUES `
	}
	row := ", (" + strings.Repeat(", ?", scoreFields)[2:] + ")"
	for rows := mostInsert; rows > 0; rows /= 4 {
		if l.lasts[rows] != nil {
			continue
		}
		stmt, err := l.db.PrepareContext(ctx, l.db.Rebind(insert+strings.Repeat(row, rows)[2:]))
		if err != nil {
			return err
		}
		last, err := l.db.PrepareContext(ctx, l.lastText(rows))
		if err != nil {
			return errors.Join(err, stmt.Close())
		}
		l.inserts[rows], l.lasts[rows] = stmt, last
	}
	return nil
}

func (l *Ledger) closeStatements() {
	for rows := range l.inserts {
		_, _ = l.inserts[rows].Close(), l.lasts[rows].Close() // of what is being closed
	}
}
