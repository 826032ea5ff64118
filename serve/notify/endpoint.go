package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxEndpoints bounds how many there may be.
const maxEndpoints = 100

// Endpoint is where events are sent.
type Endpoint struct {
	ID          string
	URL         string
	Description string
	Types       []string // that it wants; none: all
	Models      []string // whose events it wants; none: all
	Enabled     bool
	Cause       string // why it is not enabled
	Created     int64  // µs since 1970 UTC
	// OldUntil is when the secret before the present one stops to sign; 0: there is none.
	OldUntil int64
	// SlowUntil is until when nothing is sent, as the receiver had too much to do; 0 or past: it is.
	SlowUntil int64

	secret, oldSecret string
	slow              int // how often in a row it slowed down
}

// Patch changes what is not nil of an endpoint.
type Patch struct {
	URL, Description *string
	Types, Models    *[]string
	Enabled          *bool
}

// wants says whether an event is for the endpoint: none that happened before it was made,
// nor of a type that cannot be asked for.
func (e *Endpoint) wants(v *Event, now int64) bool {
	// One that was made in the future was made before the clock was set back.
	return e.Enabled && (v.At >= e.Created || e.Created > now) && v.Type != TypeTest &&
		(len(e.Types) == 0 || slices.Contains(e.Types, v.Type)) &&
		(len(e.Models) == 0 || slices.Contains(e.Models, v.Model))
}

// check says what is wrong with an endpoint, and puts its lists in order.
func (n *Notifier) check(e *Endpoint) error {
	if err := checkURL(e.URL, n.cfg.Private); err != nil {
		return fmt.Errorf("%w: url: %w", ErrEndpoint, err)
	}
	if len(e.Description) > 1000 || strings.ContainsRune(e.Description, 0) {
		return fmt.Errorf("%w: description: at most 1,000 bytes, and no zero byte", ErrEndpoint)
	}
	for _, t := range e.Types {
		if !slices.Contains(Types(), t) {
			return fmt.Errorf("%w: types: there is no %q; there are: %s", ErrEndpoint, clip(t, 100), strings.Join(Types(), ", "))
		}
	}
	for _, m := range e.Models {
		if m == "" || len(m) > 200 || strings.ContainsRune(m, 0) || len(e.Models) > 1000 {
			return fmt.Errorf("%w: models: a name has 1 to 200 bytes, none of them zero, and there are at most 1,000", ErrEndpoint)
		}
	}
	e.Types, e.Models = inOrder(e.Types), inOrder(e.Models)
	return nil
}

// inOrder sorts a list and leaves each out but once.
func inOrder(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// Add makes an endpoint of a URL, a description, types and models, and gives it as it is
// kept. The secret is shown here and never again. An error is ErrEndpoint, ErrFull or
// ErrUnavailable.
func (n *Notifier) Add(ctx context.Context, e Endpoint) (_ Endpoint, secret string, err error) {
	if err := n.check(&e); err != nil {
		return Endpoint{}, "", err
	}
	e.ID, e.Enabled, e.Created, e.secret = newID("wh_", n.now()), true, n.now(), newSecret()
	err = n.Update(ctx, func(tx *sql.Tx) ([]Event, error) {
		count := 0
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM notify_endpoints`).Scan(&count); err != nil {
			return nil, err
		}
		if count >= maxEndpoints {
			return nil, fmt.Errorf("%w: %d", ErrFull, maxEndpoints)
		}
		_, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(`INSERT INTO notify_endpoints
			(id, url, description, types, models, secret, old_secret, old_until, enabled, cause, created, slow, slow_until)
			VALUES (?, ?, ?, ?, ?, ?, '', 0, 1, '', ?, 0, 0)`),
			e.ID, e.URL, e.Description, listText(e.Types), listText(e.Models), e.secret, e.Created)
		return nil, err
	})
	return e, e.secret, err
}

// listText keeps a list of texts as JSON.
func listText(list []string) string {
	if list == nil {
		list = []string{}
	}
	b, _ := json.Marshal(list) // texts always can be
	return string(b)
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Endpoints are all there are, oldest first.
func (n *Notifier) Endpoints(ctx context.Context) ([]Endpoint, error) {
	if err := n.Ready(ctx); err != nil {
		return nil, err
	}
	out, err := n.endpoints(ctx, n.cfg.DB)
	if err != nil {
		return nil, unavailable(err)
	}
	return out, nil
}

// Endpoint gives one; ErrNotFound if it is not there.
func (n *Notifier) Endpoint(ctx context.Context, id string) (Endpoint, error) {
	if err := n.Ready(ctx); err != nil {
		return Endpoint{}, err
	}
	e, err := n.endpoint(ctx, n.cfg.DB, id)
	if err != nil {
		return Endpoint{}, unavailable(err)
	}
	return e, nil
}

func (n *Notifier) endpoints(ctx context.Context, q querier) (out []Endpoint, err error) {
	rows, err := q.QueryContext(ctx, `SELECT id, url, description, types, models, secret, old_secret, old_until, enabled, cause, created, slow, slow_until FROM notify_endpoints ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e Endpoint
		var types, models string
		if err := rows.Scan(&e.ID, &e.URL, &e.Description, &types, &models, &e.secret, &e.oldSecret, &e.OldUntil, &e.Enabled, &e.Cause, &e.Created, &e.slow, &e.SlowUntil); err != nil {
			return nil, err
		}
		if err := errors.Join(json.Unmarshal([]byte(types), &e.Types), json.Unmarshal([]byte(models), &e.Models)); err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", e.ID, err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

func (n *Notifier) endpoint(ctx context.Context, q querier, id string) (Endpoint, error) {
	all, err := n.endpoints(ctx, q)
	if err != nil {
		return Endpoint{}, err
	}
	for _, e := range all {
		if e.ID == id {
			return e, nil
		}
	}
	return Endpoint{}, fmt.Errorf("webhook %q: %w", clip(id, 100), ErrNotFound)
}

// hold gives an endpoint that nobody else changes before the transaction ends.
func (n *Notifier) hold(ctx context.Context, tx *sql.Tx, id string) (Endpoint, error) {
	if n.cfg.DB.Postgres { // SQLite has one transaction that writes
		if _, err := tx.ExecContext(ctx, `SELECT 1 FROM notify_endpoints WHERE id = $1 FOR UPDATE`, clip(id, maxID)); err != nil {
			return Endpoint{}, err
		}
	}
	return n.endpoint(ctx, tx, id)
}

// change reads an endpoint, has it changed and writes it.
func (n *Notifier) change(ctx context.Context, id string, do func(tx *sql.Tx, e *Endpoint) error) (Endpoint, error) {
	var e Endpoint
	err := n.Update(ctx, func(tx *sql.Tx) (_ []Event, err error) {
		if e, err = n.hold(ctx, tx, id); err != nil {
			return nil, err
		}
		if err := do(tx, &e); err != nil {
			return nil, err
		}
		_, err = tx.ExecContext(ctx, n.cfg.DB.Rebind(`UPDATE notify_endpoints SET url = ?, description = ?, types = ?, models = ?,
			secret = ?, old_secret = ?, old_until = ?, enabled = ?, cause = ?, slow = ?, slow_until = ? WHERE id = ?`),
			e.URL, e.Description, listText(e.Types), listText(e.Models), e.secret, e.oldSecret, e.OldUntil,
			flag(e.Enabled), e.Cause, e.slow, e.SlowUntil, id)
		return nil, err
	})
	return e, err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Change changes an endpoint and gives it as it is then. What waits for one that is
// disabled is dead: it can be replayed. What happens while it is disabled is not kept for it.
func (n *Notifier) Change(ctx context.Context, id string, p Patch) (Endpoint, error) {
	return n.change(ctx, id, func(tx *sql.Tx, e *Endpoint) error {
		if p.URL != nil && *p.URL != e.URL {
			e.URL, e.slow, e.SlowUntil = *p.URL, 0, 0
		}
		if p.Description != nil {
			e.Description = *p.Description
		}
		if p.Types != nil {
			e.Types = *p.Types
		}
		if p.Models != nil {
			e.Models = *p.Models
		}
		if err := n.check(e); err != nil {
			return err
		}
		switch {
		case p.Enabled == nil || *p.Enabled == e.Enabled:
			return nil
		case *p.Enabled:
			e.Enabled, e.Cause, e.slow, e.SlowUntil = true, "", 0, 0
			return nil
		}
		return n.disable(ctx, tx, e, "it was disabled by hand")
	})
}

// disable marks an endpoint, which the caller writes, and what waits for it.
func (n *Notifier) disable(ctx context.Context, tx *sql.Tx, e *Endpoint, cause string) error {
	e.Enabled, e.Cause = false, cause
	_, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(`UPDATE notify_deliveries SET state = ?, lease = '', tried = ?, error = ? WHERE endpoint = ? AND state = ?`),
		StateDead, n.now(), "the webhook was disabled", e.ID, StateWaiting)
	return err
}

// Rotate gives an endpoint a new secret, shown here and never again. The one before signs
// beside it until OldUntil, a day from now; one before that stops at once.
func (n *Notifier) Rotate(ctx context.Context, id string) (_ Endpoint, secret string, err error) {
	e, err := n.change(ctx, id, func(_ *sql.Tx, e *Endpoint) error {
		e.oldSecret, e.OldUntil, e.secret = e.secret, n.now()+overlap.Microseconds(), newSecret()
		return nil
	})
	return e, e.secret, err
}

// secrets are those that sign now.
func (e *Endpoint) secrets(now time.Time) []string {
	if e.oldSecret != "" && now.UnixMicro() < e.OldUntil {
		return []string{e.secret, e.oldSecret}
	}
	return []string{e.secret}
}

// Remove takes an endpoint away with all its deliveries.
func (n *Notifier) Remove(ctx context.Context, id string) error {
	return n.Update(ctx, func(tx *sql.Tx) ([]Event, error) {
		if _, err := n.endpoint(ctx, tx, id); err != nil {
			return nil, err
		}
		for _, statement := range []string{
			`DELETE FROM notify_deliveries WHERE endpoint = ?`,
			`DELETE FROM notify_endpoints WHERE id = ?`,
		} {
			if _, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(statement), id); err != nil {
				return nil, err
			}
		}
		return nil, n.dropEvents(ctx, tx)
	})
}

// Test enqueues an event for one endpoint alone, whatever it asks for, and gives the id.
// One that is disabled is ErrDisabled.
func (n *Notifier) Test(ctx context.Context, id string) (event string, err error) {
	err = n.Update(ctx, func(tx *sql.Tx) ([]Event, error) {
		e, err := n.endpoint(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if !e.Enabled {
			return nil, fmt.Errorf("%w: %s", ErrDisabled, e.Cause)
		}
		v := Event{Type: TypeTest, At: n.now(), Data: Test{Webhook: id}}
		body, err := v.body()
		if err != nil {
			return nil, err
		}
		event = newID("msg_", v.At)
		if _, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(`INSERT INTO notify_events (id, type, model, account, at, body) VALUES (?, ?, '', '', ?, ?)`), event, v.Type, v.At, string(body)); err != nil {
			return nil, err
		}
		return nil, n.addDelivery(ctx, tx, id, event)
	})
	return event, err
}
