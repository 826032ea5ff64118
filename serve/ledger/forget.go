package ledger

import (
	"context"
	"database/sql"
	"strconv"
	"time"
)

// Forgotten counts what was deleted.
type Forgotten struct {
	Scores   int64 `json:"scores"`
	Outcomes int64 `json:"outcomes"` // versions of them
	Changes  int64 `json:"changes"`
}

// Forget deletes all that is kept of an account: scores with their rows, outcomes and
// changes, those that wait in this process too. In SQLite what was deleted is overwritten
// (secure_delete), and the log that is written ahead is emptied if nobody reads it; Postgres
// keeps dead rows until it vacuums, and both may be in backups. The numbers of what was
// deleted are not given again.
func (l *Ledger) Forget(ctx context.Context, account string) (f Forgotten, err error) {
	if err := l.prepare(ctx); err != nil {
		return f, err
	}
	if err := l.Flush(ctx); err != nil {
		return f, unavailable(ctx, err)
	}
	err = l.db.Update(ctx, func(tx *sql.Tx) error {
		if err := l.overwrite(ctx, tx); err != nil {
			return err
		}
		var err error
		if f.Scores, err = l.deleteOf(ctx, tx, "ledger_scores", account); err == nil {
			f.Outcomes, err = l.deleteOf(ctx, tx, "ledger_outcomes", account)
		}
		if err == nil {
			f.Changes, err = l.deleteOf(ctx, tx, "ledger_changes", account)
		}
		return err
	})
	if err != nil {
		return Forgotten{}, unavailable(ctx, err)
	}
	l.emptyLog(ctx)
	return f, nil
}

func (l *Ledger) deleteOf(ctx context.Context, tx *sql.Tx, table, account string) (int64, error) {
	result, err := tx.ExecContext(ctx, l.db.Rebind(`DELETE FROM `+table+` WHERE account = ?`), []byte(account))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// overwrite makes SQLite write over what a transaction deletes.
func (l *Ledger) overwrite(ctx context.Context, tx *sql.Tx) error {
	if l.db.Postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `PRAGMA secure_delete = ON`)
	return err
}

// emptyLog takes what SQLite has written ahead into its file and cuts its log off, unless
// somebody reads what is in it.
func (l *Ledger) emptyLog(ctx context.Context) {
	if !l.db.Postgres {
		_, _ = l.db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`) // the next one does
	}
}

const (
	expireEvery = time.Hour
	// expireStep is how many rows a transaction deletes, so that none is long.
	expireStep  = 500
	expirePause = 20 * time.Millisecond
)

// expireOften deletes what is older than is kept, now and then.
func (l *Ledger) expireOften(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for now := l.o.Now(); ; now = nextExpiry(now, l.o.Now()) {
		if n, err := l.expireAt(ctx, now); err != nil && ctx.Err() == nil {
			l.log.Error("old scores cannot be deleted", "error", err)
		} else if n > 0 {
			l.log.Info("old scores were deleted", "rows", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// nextExpiry is the moment by which the next sweep goes, an hour after the last. A clock
// that has jumped ahead is caught up with by and by: if it is put right soon, little was
// deleted too early.
func nextExpiry(last, now int64) int64 { return min(now, last+2*expireEvery.Microseconds()) }

// Expire deletes the scores and changes that are older than Keep, in small steps, and the
// outcomes that no score that is left can need: those that came in, occurred and are of a
// moment before then. It gives the number of rows.
func (l *Ledger) Expire(ctx context.Context) (deleted int64, err error) {
	return l.expireAt(ctx, l.o.Now())
}

// expireAt is Expire at a moment.
func (l *Ledger) expireAt(ctx context.Context, now int64) (deleted int64, err error) {
	if l.o.Keep <= 0 {
		return 0, nil
	}
	if err := l.prepare(ctx); err != nil {
		return 0, err
	}
	before := now - l.o.Keep.Microseconds()
	for _, table := range []string{"ledger_scores", "ledger_changes", "ledger_outcomes"} {
		args, more := []any{before}, ""
		if table == "ledger_outcomes" {
			args, more = append(args, before, before), " AND occurred < ? AND coalesce(as_of, occurred) < ?"
		}
		text := l.db.Rebind(`DELETE FROM ` + table + ` WHERE number IN (SELECT number FROM ` + table + ` WHERE at < ?` + more + ` ORDER BY at, number LIMIT ` + strconv.Itoa(expireStep) + `)`)
		for {
			n, err := l.expire(ctx, text, args)
			if err != nil {
				return deleted, unavailable(ctx, err)
			}
			if deleted += n; n < expireStep {
				break
			}
			select { // others write in between
			case <-time.After(expirePause):
			case <-ctx.Done():
				return deleted, ctx.Err()
			}
		}
	}
	return deleted, nil
}

func (l *Ledger) expire(ctx context.Context, text string, args []any) (n int64, err error) {
	err = l.db.Update(ctx, func(tx *sql.Tx) error {
		if err := l.overwrite(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, text, args...)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n, err
}
