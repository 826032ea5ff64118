package serve

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"propensity/serve/database"
	"propensity/serve/keys"
)

// dayLog keeps what keys took of their days in the database, so that a day is not had
// anew with every start, nor from every server.
type dayLog struct {
	db    *database.DB
	ring  *keys.Ring
	there bool // the table
}

// shareEvery is how often servers tell each other. Within it, each may give what the
// others gave already.
const shareEvery = 5 * time.Second

// watch shares until ctx is done, and then once more.
func (l *dayLog) watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	failed := false
	for over := false; !over; {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), shareEvery)
		err := l.share(within)
		cancel()
		if err != nil && !failed {
			log.Error("what keys took of their days is not shared: each server counts by itself", slog.Any("error", err))
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			over = true
		case <-tick.C:
		}
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), shareEvery)
	defer cancel()
	_ = l.share(within) // was told above, if it fails
}

// share adds what is new to the counts of all, and takes those.
func (l *dayLog) share(ctx context.Context) error {
	if !l.there {
		if err := l.db.Migrate(ctx, "access", `CREATE TABLE access_usage (key TEXT NOT NULL, day BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (key, day))`); err != nil {
			return err
		}
		l.there = true
	}
	list := l.ring.Usage()
	if len(list) == 0 {
		return nil
	}
	var err error
	if added(list) == 0 {
		err = l.totals(ctx, l.db, list)
	} else {
		err = l.db.Update(ctx, func(tx *sql.Tx) error {
			if err := l.add(ctx, tx, list); err != nil {
				return err
			}
			return l.totals(ctx, tx, list)
		})
	}
	if err == nil {
		l.ring.Share(list)
	}
	return err
}

// querier is the database, or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func added(list []keys.Usage) (n int64) {
	for i := range list {
		n += list[i].New
	}
	return n
}

func (l *dayLog) add(ctx context.Context, tx *sql.Tx, list []keys.Usage) error {
	for i := range list {
		if list[i].New == 0 {
			continue
		}
		_, err := tx.ExecContext(ctx, l.db.Rebind(`INSERT INTO access_usage (key, day, used) VALUES (?, ?, ?) ON CONFLICT (key, day) DO UPDATE SET used = access_usage.used + excluded.used`),
			list[i].ID, list[i].Day, list[i].New)
		if err != nil {
			return err
		}
	}
	// A day that is over counts no more, unless it is found out to have been called over by
	// a clock that was ahead.
	const kept = 7
	_, err := tx.ExecContext(ctx, l.db.Rebind(`DELETE FROM access_usage WHERE day < ?`), list[0].Day-kept)
	return err
}

// totals reads what all have taken of the day.
func (l *dayLog) totals(ctx context.Context, from querier, list []keys.Usage) error {
	rows, err := from.QueryContext(ctx, l.db.Rebind(`SELECT key, used FROM access_usage WHERE day = ?`), list[0].Day)
	if err != nil {
		return err
	}
	defer rows.Close()
	used := make(map[string]int64)
	for rows.Next() {
		var id string
		var n int64
		if err := rows.Scan(&id, &n); err != nil {
			return err
		}
		used[id] = n
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range list {
		list[i].Total = used[list[i].ID]
	}
	return nil
}
