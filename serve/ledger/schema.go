package ledger

import (
	"context"
	"strings"
)

// Names and ids are bytes, which have neither collations nor forbidden letters.
//
// ledger_counters give the numbers of what is kept, which are those of the order in which
// it was committed: of several servers, one commits at a time (see lock).
const (
	firstLayout = `
CREATE TABLE ledger_counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL);
INSERT INTO ledger_counters VALUES ('scores', 0), ('versions', 0), ('changes', 0), ('outcomes', 0);
CREATE TABLE ledger_versions (
	number BIGINT PRIMARY KEY, model TEXT NOT NULL, version BIGINT NOT NULL, hash TEXT NOT NULL, horizon BIGINT NOT NULL, columns BLOB NOT NULL,
	UNIQUE (model, version, hash)
);
CREATE TABLE ledger_scores (
	number INTEGER PRIMARY KEY, at BIGINT NOT NULL, account BLOB NOT NULL, model TEXT NOT NULL, version BIGINT NOT NULL, as_of BIGINT NOT NULL,
	origin INTEGER NOT NULL, probability DOUBLE PRECISION NOT NULL, band TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX ledger_scores_account ON ledger_scores (account, model, as_of);
CREATE INDEX ledger_scores_at ON ledger_scores (at);
CREATE TABLE ledger_changes (
	number INTEGER PRIMARY KEY, at BIGINT NOT NULL, account BLOB NOT NULL, model TEXT NOT NULL, version BIGINT NOT NULL,
	band_from TEXT NOT NULL, band_to TEXT NOT NULL, was DOUBLE PRECISION NOT NULL, probability DOUBLE PRECISION NOT NULL
);
CREATE INDEX ledger_changes_account ON ledger_changes (account);
CREATE INDEX ledger_changes_at ON ledger_changes (at);
CREATE TABLE ledger_outcomes (
	number INTEGER PRIMARY KEY, at BIGINT NOT NULL, model TEXT NOT NULL, id BLOB NOT NULL, account BLOB NOT NULL,
	as_of BIGINT, occurred BIGINT NOT NULL, positive INTEGER NOT NULL, value DOUBLE PRECISION
);
CREATE INDEX ledger_outcomes_id ON ledger_outcomes (model, id, number);
CREATE INDEX ledger_outcomes_account ON ledger_outcomes (account, model);
CREATE TABLE ledger_complete (model TEXT PRIMARY KEY, until BIGINT NOT NULL);
`
	// lock is held by a transaction of Postgres that numbers something, to its end, so
	// that what is numbered is seen in the order of its numbers. As long as Postgres has not
	// looked at a new table it takes it for small, and would read all of it for each account.
	lock = `SELECT pg_advisory_xact_lock(7301444), set_config('enable_seqscan', 'off', true)`
)

// prepare makes the tables, once.
func (l *Ledger) prepare(ctx context.Context) error {
	if l.made.Load() {
		return nil
	}
	l.ready.Lock()
	defer l.ready.Unlock()
	if l.made.Load() {
		return nil
	}
	layout := firstLayout
	if l.db.Postgres {
		layout = strings.NewReplacer("BLOB", "BYTEA", "number INTEGER", "number BIGINT", "(account, model, as_of)", "(account, model, as_of, number)", "(at)", "(at, number)").Replace(layout)
	}
	if err := l.db.Migrate(ctx, "ledger", layout); err != nil {
		return unavailable(ctx, err)
	}
	l.made.Store(true)
	return nil
}
