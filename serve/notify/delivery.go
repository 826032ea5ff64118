package notify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// States of a delivery.
const (
	StateWaiting = "waiting" // for its next attempt
	StateDone    = "done"    // a 2xx came back
	StateDead    = "dead"    // no attempt is left, or the endpoint was disabled
)

// Delivery is an event on its way to one endpoint.
type Delivery struct {
	Endpoint string
	Event    string // its webhook-id, the same at each attempt and each endpoint
	Type     string
	Model    string
	At       int64 // when it happened, µs since 1970 UTC
	State    string
	Attempts int    // made
	Due      int64  // when the next one is due, if it waits
	Tried    int64  // when the last one ended; 0: none yet
	Status   int    // HTTP status of the last one; 0: there was no answer
	Error    string // what went wrong at the last one
	Body     string // as it is sent; only of one that was asked for by its event
}

// maxID bounds what is looked for as an id; those of our own are shorter.
const maxID = 100

const deliveryColumns = `d.endpoint, d.event, e.type, e.model, e.at, d.state, d.attempts, d.due, d.tried, d.status, d.error`

func (d *Delivery) fields() []any {
	return []any{&d.Endpoint, &d.Event, &d.Type, &d.Model, &d.At, &d.State, &d.Attempts, &d.Due, &d.Tried, &d.Status, &d.Error}
}

// Deliveries are those of an endpoint that are in a state ("": in any), oldest event
// first, at most so many, after the event given ("": from the first).
func (n *Notifier) Deliveries(ctx context.Context, endpoint, state, after string, most int) (out []Delivery, err error) {
	if _, err := n.Endpoint(ctx, endpoint); err != nil {
		return nil, err
	}
	where, args := ``, []any{endpoint, clip(after, maxID)}
	if state != "" {
		where, args = ` AND d.state = ?`, append(args, state)
	}
	rows, err := n.cfg.DB.QueryContext(ctx, n.cfg.DB.Rebind(`SELECT `+deliveryColumns+` FROM notify_deliveries d JOIN notify_events e ON e.id = d.event
		WHERE d.endpoint = ? AND d.event > ?`+where+` ORDER BY d.event LIMIT ?`), append(args, most)...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var d Delivery
		if err := rows.Scan(d.fields()...); err != nil {
			return nil, unavailable(err)
		}
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	return out, nil
}

// Delivery gives one, with its body; ErrNotFound if it is not there.
func (n *Notifier) Delivery(ctx context.Context, endpoint, event string) (Delivery, error) {
	if err := n.Ready(ctx); err != nil {
		return Delivery{}, err
	}
	var d Delivery
	err := n.cfg.DB.QueryRowContext(ctx, n.cfg.DB.Rebind(`SELECT `+deliveryColumns+`, e.body FROM notify_deliveries d JOIN notify_events e ON e.id = d.event
		WHERE d.endpoint = ? AND d.event = ?`), clip(endpoint, maxID), clip(event, maxID)).Scan(append(d.fields(), &d.Body)...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return d, fmt.Errorf("webhook %q: delivery %q: %w", clip(endpoint, 100), clip(event, 100), ErrNotFound)
	case err != nil:
		return d, unavailable(err)
	}
	return d, nil
}

// Replay starts deliveries anew, with all ten attempts: those of the events given, or all
// that are dead. It tells how many; one that waits is left as it is. ErrNotFound is an
// endpoint or event that is not there.
func (n *Notifier) Replay(ctx context.Context, endpoint string, events ...string) (count int64, err error) {
	err = n.Update(ctx, func(tx *sql.Tx) ([]Event, error) {
		count = 0
		e, err := n.endpoint(ctx, tx, endpoint)
		if err != nil {
			return nil, err
		}
		if !e.Enabled {
			return nil, fmt.Errorf("%w: %s", ErrDisabled, e.Cause)
		}
		const again = `UPDATE notify_deliveries SET state = 'waiting', attempts = 0, due = ?, lease = '' WHERE endpoint = ?`
		run := func(statement string, args ...any) error {
			r, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(statement), append([]any{n.now(), endpoint}, args...)...)
			if err != nil {
				return err
			}
			changed, err := r.RowsAffected()
			count += changed
			return err
		}
		if len(events) == 0 {
			return nil, run(again+` AND state = ?`, StateDead)
		}
		for _, event := range events {
			there := 0
			err := tx.QueryRowContext(ctx, n.cfg.DB.Rebind(`SELECT 1 FROM notify_deliveries WHERE endpoint = ? AND event = ?`), endpoint, clip(event, maxID)).Scan(&there)
			if errors.Is(err, sql.ErrNoRows) {
				return nil, fmt.Errorf("webhook %q: delivery %q: %w", endpoint, clip(event, 100), ErrNotFound)
			}
			if err == nil {
				err = run(again+` AND event = ? AND state <> ?`, event, StateWaiting)
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return count, err
}

// Waiting tells how many deliveries wait.
func (n *Notifier) Waiting(ctx context.Context) (count int64, err error) {
	if err := n.Ready(ctx); err != nil {
		return 0, err
	}
	err = n.cfg.DB.QueryRowContext(ctx, n.cfg.DB.Rebind(`SELECT COUNT(*) FROM notify_deliveries WHERE state = ?`), StateWaiting).Scan(&count)
	if err != nil {
		return 0, unavailable(err)
	}
	return count, nil
}

// Forget takes away all that is known of an account: events about it, whether they were
// sent or not, and its last usage. It tells how many events there were.
func (n *Notifier) Forget(ctx context.Context, account string) (events int64, err error) {
	if err := n.Ready(ctx); err != nil {
		return 0, err
	}
	key := accountKey(account)
	if key == "" {
		return 0, nil
	}
	err = n.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
		if !n.cfg.DB.Postgres { // write over what is deleted
			if _, err := tx.ExecContext(ctx, `PRAGMA secure_delete = ON`); err != nil {
				return err
			}
		}
		for _, statement := range []string{
			`DELETE FROM notify_deliveries WHERE event IN (SELECT id FROM notify_events WHERE account = ?)`,
			`DELETE FROM notify_usage WHERE account = ?`,
			`DELETE FROM notify_events WHERE account = ?`,
		} {
			r, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(statement), key)
			if err != nil {
				return err
			}
			if events, err = r.RowsAffected(); err != nil { // the last is of the events
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, unavailable(err)
	}
	return events, nil
}

// sweep takes away deliveries whose last attempt is, at a moment, longer ago than they are
// kept.
func (n *Notifier) sweep(ctx context.Context, now int64) error {
	return n.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(`DELETE FROM notify_deliveries WHERE state <> ? AND tried < ?`), StateWaiting, now-n.cfg.Keep.Microseconds())
		if err != nil {
			return err
		}
		return n.dropEvents(ctx, tx)
	})
}

// dropEvents takes away the events that no endpoint has a delivery of.
func (n *Notifier) dropEvents(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM notify_events WHERE NOT EXISTS (SELECT 1 FROM notify_deliveries d WHERE d.event = notify_events.id)`)
	return err
}
