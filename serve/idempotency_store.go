package serve

import (
	linked "container/list"
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"sync"
	"time"

	"propensity/serve/database"
)

// answersFor are kept in the database, by which all servers of it know them, or else in
// memory.
// Their age is by a clock that does not jump (see steady): what was done a moment ago is
// not done again because it seems to be a day old.
func answersFor(db *database.DB, now func() time.Time) answers {
	if db == nil {
		return &memoryAnswers{now: now, entries: map[once]*linked.Element{}, age: linked.New()}
	}
	return &tableAnswers{db: db, now: now}
}

// memoryAnswers forgets all when the process ends, and the oldest when there are too
// many.
type memoryAnswers struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[once]*linked.Element // of age
	age     *linked.List             // *memoryAnswer, the oldest first
	bytes   int
}

type memoryAnswer struct {
	once   once
	print  print
	at     time.Time
	answer *keptAnswer // nil: still at work
}

// What memory may hold.
const (
	maxMemoryAnswers = 10_000
	maxMemoryBytes   = 32 << 20
)

func (m *memoryAnswers) claim(_ context.Context, o once, p print) (*keptAnswer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for e := m.age.Front(); e != nil && now.Sub(e.Value.(*memoryAnswer).at) >= answersKept; e = m.age.Front() {
		m.drop(e)
	}
	if e, ok := m.entries[o]; ok {
		a := e.Value.(*memoryAnswer)
		switch {
		case a.print != p:
			return nil, errOther
		case a.answer != nil:
			return a.answer, nil
		case now.Sub(a.at) < claimKept:
			return nil, errInFlight
		}
		m.drop(e)
	}
	for m.age.Len() >= maxMemoryAnswers {
		m.drop(m.age.Front())
	}
	m.entries[o] = m.age.PushBack(&memoryAnswer{once: o, print: p, at: now})
	return nil, nil
}

func (m *memoryAnswers) settle(_ context.Context, o once, a *keptAnswer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[o]
	if !ok {
		return nil // pushed out by many others
	}
	e.Value.(*memoryAnswer).answer = a
	m.bytes += len(a.body)
	for m.bytes > maxMemoryBytes {
		m.drop(m.age.Front())
	}
	return nil
}

func (m *memoryAnswers) release(_ context.Context, o once) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[o]; ok {
		m.drop(e)
	}
	return nil
}

func (m *memoryAnswers) drop(e *linked.Element) {
	a := m.age.Remove(e).(*memoryAnswer)
	delete(m.entries, a.once)
	if a.answer != nil {
		m.bytes -= len(a.answer.body)
	}
}

// tableAnswers are kept in the database.
type tableAnswers struct {
	db  *database.DB
	now func() time.Time

	mu       sync.Mutex
	migrated bool
	swept    time.Time // when what is old was last deleted
}

// sweepEvery is how often what is old is deleted, at most.
const sweepEvery = 10 * time.Minute

func (t *tableAnswers) migrate(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.migrated {
		return nil
	}
	blob := "BLOB"
	if t.db.Postgres {
		blob = "BYTEA"
	}
	err := t.db.Migrate(ctx, "idempotency", `CREATE TABLE idempotency_answers (
		caller TEXT NOT NULL, key TEXT NOT NULL, print `+blob+` NOT NULL, at BIGINT NOT NULL,
		status INTEGER NOT NULL, content_type TEXT NOT NULL, location TEXT NOT NULL, body `+blob+`,
		PRIMARY KEY (caller, key))`,
		`CREATE INDEX idempotency_answers_at ON idempotency_answers (at)`)
	t.migrated = err == nil
	return err
}

// due says that what is old is to be deleted now.
func (t *tableAnswers) due(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.swept) < sweepEvery {
		return false
	}
	t.swept = now
	return true
}

func (t *tableAnswers) claim(ctx context.Context, o once, p print) (before *keptAnswer, err error) {
	if err := t.migrate(ctx); err != nil {
		return nil, err
	}
	now := t.now()
	sweep := t.due(now)
	var refused error
	err = t.db.Update(ctx, func(tx *sql.Tx) error {
		before, refused = nil, nil
		if sweep {
			if _, err := tx.ExecContext(ctx, t.db.Rebind(`DELETE FROM idempotency_answers WHERE at <= ?`), now.Add(-answersKept).UnixMicro()); err != nil {
				return err
			}
		}
		// Of two that come at once, one has no row to insert and waits for the other's.
		done, err := tx.ExecContext(ctx, t.db.Rebind(`INSERT INTO idempotency_answers (caller, key, print, at, status, content_type, location)
			VALUES (?, ?, ?, ?, 0, '', '') ON CONFLICT (caller, key) DO NOTHING`), o.caller, o.key, p[:], now.UnixMicro())
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		var had []byte
		var at int64
		var a keptAnswer
		err = tx.QueryRowContext(ctx, t.db.Rebind(`SELECT print, at, status, content_type, location, body FROM idempotency_answers WHERE caller = ? AND key = ?`), o.caller, o.key).
			Scan(&had, &at, &a.status, &a.contentType, &a.location, &a.body)
		if errors.Is(err, sql.ErrNoRows) { // released in between
			refused = errInFlight
			return nil
		}
		if err != nil {
			return err
		}
		age := now.Sub(time.UnixMicro(at))
		switch same := subtle.ConstantTimeCompare(had, p[:]) == 1; {
		case age >= answersKept, same && a.status == 0 && age >= claimKept:
			_, err := tx.ExecContext(ctx, t.db.Rebind(`UPDATE idempotency_answers SET print = ?, at = ?, status = 0, content_type = '', location = '', body = NULL
				WHERE caller = ? AND key = ?`), p[:], now.UnixMicro(), o.caller, o.key)
			return err
		case !same:
			refused = errOther
		case a.status == 0:
			refused = errInFlight
		default:
			before = &a
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return before, nil
}

func (t *tableAnswers) settle(ctx context.Context, o once, a *keptAnswer) error {
	return t.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, t.db.Rebind(`UPDATE idempotency_answers SET status = ?, content_type = ?, location = ?, body = ? WHERE caller = ? AND key = ?`),
			a.status, a.contentType, a.location, a.body, o.caller, o.key)
		return err
	})
}

func (t *tableAnswers) release(ctx context.Context, o once) error {
	return t.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, t.db.Rebind(`DELETE FROM idempotency_answers WHERE caller = ? AND key = ? AND status = 0`), o.caller, o.key)
		return err
	})
}
