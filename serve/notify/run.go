package notify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

const (
	// leaseMargin is how much longer than an attempt a delivery is taken for.
	leaseMargin = 25 * time.Second
	// sweepEvery is how often old deliveries are taken away.
	sweepEvery = time.Hour
	// endGrace is how long requests under way may take once Run is to end; endTimeout
	// bounds the writing of what came of them.
	endGrace   = 2 * time.Second
	endTimeout = 5 * time.Second
)

// runner is the state of one Run. Only its own goroutine touches it.
type runner struct {
	*Notifier
	busy    map[string]int // requests under way, by endpoint
	all     int
	ended   chan attempt
	results []attempt // not written yet
	sending context.Context
	failing bool  // the database; said once
	swept   int64 // µs, when old deliveries were last taken away
	until   int64 // and as of when
	last    int64 // what the clock said when it was last looked at; 0: it was not yet
}

// lease is how long a delivery is taken for.
func (n *Notifier) lease() time.Duration { return n.cfg.Timeout + leaseMargin }

// Run delivers until ctx is done; what is under way then may take two seconds more, and
// is given back after that, to be sent by the next Run. While the database is away it
// tries on.
func (n *Notifier) Run(ctx context.Context) {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r := &runner{Notifier: n, busy: make(map[string]int), ended: make(chan attempt), swept: n.now(), until: n.now(), sending: sending}
	tick := time.NewTicker(n.cfg.Poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		r.report(r.turn(ctx))
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-n.wake:
		case a := <-r.ended:
			r.end(a)
		}
	}
	end := time.AfterFunc(n.grace, stop)
	defer end.Stop()
	for r.all > 0 {
		r.end(<-r.ended)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if len(r.results) > 0 {
		r.report(r.write(last, nil))
	}
	n.transport.CloseIdleConnections()
}

// end takes in what came of an attempt, and of others that have ended since.
func (r *runner) end(a attempt) {
	for more := true; more; {
		r.results = append(r.results, a)
		if r.busy[a.endpoint.ID]--; r.busy[a.endpoint.ID] == 0 {
			delete(r.busy, a.endpoint.ID)
		}
		r.all--
		select {
		case a = <-r.ended:
		default:
			more = false
		}
	}
}

// report logs that the database went away, and that it is back.
func (r *runner) report(err error) {
	switch {
	case err != nil && !r.failing && !errors.Is(err, context.Canceled):
		r.failing = true
		r.log.Error("webhooks wait: their database does not answer", slog.Any("error", err))
	case err == nil && r.failing:
		r.failing = false
		r.log.Info("webhooks are sent again: their database answers")
	}
}

// turn writes what came of attempts, takes what is due, and sends it.
func (r *runner) turn(ctx context.Context) error {
	if err := r.Ready(ctx); err != nil {
		return err
	}
	if err := r.clocked(ctx); err != nil {
		return err
	}
	if now := r.now(); now-r.swept >= sweepEvery.Microseconds() || now < r.swept {
		// A clock that has jumped ahead is caught up with by and by: if it is put right
		// soon, little was taken away too early.
		r.swept, r.until = now, min(now, r.until+2*sweepEvery.Microseconds())
		if err := r.sweep(ctx, r.until); err != nil {
			return err
		}
	}
	due, err := r.due(ctx)
	if err != nil || len(due) == 0 && len(r.results) == 0 {
		return err
	}
	return r.write(ctx, due)
}

// due are the endpoints that something is due for and that have room for it.
func (r *runner) due(ctx context.Context) (due []Endpoint, err error) {
	rows, err := r.cfg.DB.QueryContext(ctx, r.cfg.DB.Rebind(`SELECT id FROM notify_endpoints e WHERE enabled = 1 AND slow_until <= ?
		AND EXISTS (SELECT 1 FROM notify_deliveries d WHERE d.endpoint = e.id AND d.state = ? AND d.due <= ?) ORDER BY id`), r.now(), StateWaiting, r.now())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e Endpoint
		if err := rows.Scan(&e.ID); err != nil {
			return nil, err
		}
		if r.busy[e.ID] < r.cfg.Concurrency {
			due = append(due, e)
		}
	}
	return due, rows.Err()
}

// write writes the results and takes what is due in one transaction, then sends it.
func (r *runner) write(ctx context.Context, due []Endpoint) error {
	for i := range r.results { // the clock may have been set back since they ended
		r.results[i].at = min(r.results[i].at, r.now())
	}
	var taken []*parcel
	var results []string
	err := r.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
		taken, results = nil, nil
		for i := range r.results {
			result, err := r.record(ctx, tx, &r.results[i])
			if err != nil {
				return err
			}
			results = append(results, result)
		}
		for i := range due {
			more, err := r.take(ctx, tx, due[i].ID)
			if err != nil {
				return err
			}
			taken = append(taken, more...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, result := range results {
		if result != "" {
			r.cfg.Tried(result)
		}
		if r.results[i].status == http.StatusGone {
			r.log.Warn("webhook disabled: its receiver answered 410 Gone", slog.String("webhook", r.results[i].endpoint.ID))
		}
	}
	r.results = r.results[:0]
	for _, p := range taken {
		r.busy[p.endpoint.ID]++
		r.all++
		go func() { r.ended <- r.send(r.sending, p) }()
	}
	return nil
}

// take takes what is due for an endpoint, as much as it has room for: one at a time while
// it is slow.
func (r *runner) take(ctx context.Context, tx *sql.Tx, id string) (taken []*parcel, err error) {
	e, err := r.endpoint(ctx, tx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	room := r.cfg.Concurrency
	if e.slow > 0 {
		room = 1
	}
	if room -= r.busy[id]; room <= 0 || !e.Enabled || e.SlowUntil > r.now() {
		return nil, nil
	}
	lock := ``
	if r.cfg.DB.Postgres { // those that another server is taking are not waited for
		lock = ` FOR UPDATE OF d SKIP LOCKED`
	}
	rows, err := tx.QueryContext(ctx, r.cfg.DB.Rebind(`SELECT d.event, d.attempts, e.body FROM notify_deliveries d JOIN notify_events e ON e.id = d.event
		WHERE d.endpoint = ? AND d.state = ? AND d.due <= ? ORDER BY d.due, d.event LIMIT ?`+lock), id, StateWaiting, r.now(), room)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		p := &parcel{endpoint: e, lease: newID("", r.now())}
		if err := rows.Scan(&p.event, &p.made, &p.body); err != nil {
			return nil, err
		}
		taken = append(taken, p)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	until := r.now() + r.lease().Microseconds()
	for _, p := range taken {
		if _, err := tx.ExecContext(ctx, r.cfg.DB.Rebind(`UPDATE notify_deliveries SET due = ?, lease = ? WHERE endpoint = ? AND event = ?`), until, p.lease, id, p.event); err != nil {
			return nil, err
		}
	}
	return taken, nil
}

// record writes what came of an attempt and tells its result: done, failed, dead, or "" if
// it was none. If the lease was lost meanwhile, a success stands all the same, and a
// failure is for whoever has it now to find.
func (r *runner) record(ctx context.Context, tx *sql.Tx, a *attempt) (string, error) {
	exec := func(statement string, args ...any) error {
		_, err := tx.ExecContext(ctx, r.cfg.DB.Rebind(statement), args...)
		return err
	}
	e, id := a.endpoint.ID, a.event
	if a.stopped {
		return "", exec(`UPDATE notify_deliveries SET due = ?, lease = '' WHERE endpoint = ? AND event = ? AND lease = ?`, r.now(), e, id, a.lease)
	}
	made := a.made + 1
	if a.failure == "" {
		return "done", errors.Join(
			exec(`UPDATE notify_deliveries SET state = ?, attempts = ?, lease = '', tried = ?, status = ?, error = '' WHERE endpoint = ? AND event = ?`, StateDone, made, a.at, a.status, e, id),
			// Unless it slowed down after this was sent.
			exec(`UPDATE notify_endpoints SET slow = 0, slow_until = 0 WHERE id = ? AND slow > 0 AND slow = ?`, e, a.endpoint.slow))
	}
	result, state := "failed", StateWaiting
	next, more := wait(e, id, made)
	due := a.at + max(next, a.after).Microseconds()
	if !more || a.status == http.StatusGone {
		result, state = "dead", StateDead
	}
	if err := exec(`UPDATE notify_deliveries SET state = ?, attempts = ?, due = ?, lease = '', tried = ?, status = ?, error = ? WHERE endpoint = ? AND event = ? AND lease = ?`,
		state, made, due, a.at, a.status, a.failure, e, id, a.lease); err != nil {
		return "", err
	}
	switch {
	case a.status == http.StatusGone:
		now := a.endpoint
		if err := r.disable(ctx, tx, &now, "its receiver answered 410 Gone"); err != nil {
			return "", err
		}
		return result, exec(`UPDATE notify_endpoints SET enabled = 0, cause = ? WHERE id = ?`, now.Cause, e)
	case slows(a.status, a.after):
		return result, r.slowDown(ctx, tx, a)
	}
	return result, nil
}

// slowDown spares an endpoint for a while. Answers to what was sent before the last pause
// began do not lengthen it, unless they ask for that.
func (r *runner) slowDown(ctx context.Context, tx *sql.Tx, a *attempt) error {
	e, err := r.hold(ctx, tx, a.endpoint.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.slow == a.endpoint.slow {
		e.slow++
	}
	until := max(e.SlowUntil, a.at+pause(e.slow, a.after).Microseconds())
	if _, err := tx.ExecContext(ctx, r.cfg.DB.Rebind(`UPDATE notify_endpoints SET slow = ?, slow_until = ? WHERE id = ?`), e.slow, until, e.ID); err != nil {
		return fmt.Errorf("endpoint %s: %w", e.ID, err)
	}
	return nil
}
