package notify

import (
	"context"
	"database/sql"
	"math"
	"time"
)

// setBack is how far a clock goes back, at least, for what waits to be looked at again.
const setBack = time.Minute

// mend makes due what waits for a clock that was set back since: what was tried in what
// is now the future, what was to be sent at once then, and what a process that is gone
// took then. Otherwise it would wait for as long again as the clock had been ahead. The
// pause of an endpoint ends if it lasts more than most from now: a receiver that still has
// too much to do says so again.
func (r *runner) mend(ctx context.Context, most time.Duration) error {
	now := r.now()
	future := now + setBack.Microseconds()
	taken := future + r.lease().Microseconds()
	if r.all > 0 { // by this process, which is sending it
		taken = math.MaxInt64
	}
	return r.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
		// By endpoint, as the index of what waits is.
		_, err := tx.ExecContext(ctx, r.cfg.DB.Rebind(`UPDATE notify_deliveries SET due = ? WHERE endpoint IN (SELECT id FROM notify_endpoints) AND state = ? AND due > ?
			AND (lease = '' AND (tried > ? OR attempts = 0) OR lease <> '' AND due > ?)`), now, StateWaiting, future, future, taken)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, r.cfg.DB.Rebind(`UPDATE notify_endpoints SET slow_until = ? WHERE slow_until > ?`), now, now+most.Microseconds()); err != nil {
			return err
		}
		// An endpoint wants no event from before it was: nothing is, from now on.
		_, err = tx.ExecContext(ctx, r.cfg.DB.Rebind(`UPDATE notify_endpoints SET created = ? WHERE created > ?`), now-setBack.Microseconds(), future)
		return err
	})
}

// clocked mends what waits when the notifier starts and when its clock was set back.
func (r *runner) clocked(ctx context.Context) error {
	now, most := r.now(), time.Duration(0)
	switch {
	case r.last == 0: // nobody knows what the clock said before
		most = maxRetryAfter
	case now > r.last-setBack.Microseconds():
		r.last = now
		return nil
	}
	err := r.mend(ctx, most)
	if err == nil {
		r.last = now
	}
	return err
}
