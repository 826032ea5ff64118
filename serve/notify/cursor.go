package notify

import (
	"context"
	"database/sql"
	"errors"
)

// Cursor is how far a source of events has been read; 0 at first.
func (n *Notifier) Cursor(ctx context.Context, name string) (at int64, err error) {
	if err := n.Ready(ctx); err != nil {
		return 0, err
	}
	err = n.cfg.DB.QueryRowContext(ctx, n.cfg.DB.Rebind(`SELECT at FROM notify_cursors WHERE name = ?`), name).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, unavailable(err)
	}
	return at, nil
}

// Advance enqueues what was read of a source from one place of the cursor to another. If
// somebody else has moved it meanwhile, nothing happens: what was read is told once.
func (n *Notifier) Advance(ctx context.Context, name string, from, to int64, events []Event) error {
	return n.Update(ctx, func(tx *sql.Tx) ([]Event, error) {
		statement, args := `UPDATE notify_cursors SET at = ? WHERE name = ? AND at = ?`, []any{to, name, from}
		if from == 0 {
			statement, args = `INSERT INTO notify_cursors (at, name) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE notify_cursors.at = 0`, args[:2]
		}
		r, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(statement), args...)
		if err != nil {
			return nil, err
		}
		if moved, err := r.RowsAffected(); err != nil || moved == 0 {
			return nil, err
		}
		return events, nil
	})
}
