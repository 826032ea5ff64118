package ledger

import (
	"context"
	"database/sql"
	"strings"
)

// last is the newest score of an account by a model that counts for changes: of the
// latest moment, the one that was committed last. Scores of shadows do not count, nor
// do those of moments that had not come when they were given.
type last struct {
	band        string
	probability float64
	asOf        int64
}

type pair struct{ account, model string }

func (e *entry) counts() bool {
	return e.account > 0 && e.origin != originShadow && e.asOf <= e.at
}

// findChanges gives the changes of band that the scores of chunks bring, in their order.
func (l *Ledger) findChanges(ctx context.Context, tx *sql.Tx, list []*chunk) ([]Change, error) {
	known := map[pair]*last{}
	var order []pair
	each(list, func(e *entry, account, _ []byte) {
		if !e.counts() {
			return
		}
		if _, ok := known[pair{string(account), e.version.model}]; !ok { // which costs no string
			p := pair{string(account), e.version.model}
			known[p] = nil
			order = append(order, p)
		}
	})
	if err := l.findLast(ctx, tx, order, known); err != nil {
		return nil, err
	}
	var out []Change
	each(list, func(e *entry, account, band []byte) {
		if !e.counts() {
			return
		}
		was := known[pair{string(account), e.version.model}]
		switch {
		case was == nil:
			known[pair{string(account), e.version.model}] = &last{string(band), e.probability, e.asOf}
			return
		case was.asOf > e.asOf:
			return // it is of an earlier moment
		case was.band != string(band):
			out = append(out, Change{At: e.at, Account: string(account), Model: e.version.model, Version: e.version.version,
				From: was.band, To: string(band), Was: was.probability, Is: e.probability})
			was.band = string(band)
		}
		was.probability, was.asOf = e.probability, e.asOf
	})
	return out, nil
}

// each calls do for the scores of chunks in their order.
func each(list []*chunk, do func(e *entry, account, band []byte)) {
	for _, c := range list {
		at := 0
		for i := range c.entries {
			e := &c.entries[i]
			do(e, c.buf[at:at+e.account], c.buf[at+e.account:at+e.account+e.band])
			at += e.account + e.band + e.body
		}
	}
}

// findLast looks up the last scores of accounts.
func (l *Ledger) findLast(ctx context.Context, tx *sql.Tx, order []pair, known map[pair]*last) error {
	for len(order) > 0 {
		n := insertSize(len(order))
		if err := l.findSome(ctx, tx, order[:n], known); err != nil {
			return err
		}
		order = order[n:]
	}
	return nil
}

func (l *Ledger) findSome(ctx context.Context, tx *sql.Tx, order []pair, known map[pair]*last) error {
	args := make([]any, 0, 3*len(order))
	for i, p := range order {
		args = append(args, int64(i), []byte(p.account), p.model)
	}
	rows, err := tx.StmtContext(ctx, l.lasts[len(order)]).QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var w last
		if err := rows.Scan(&i, &w.band, &w.probability, &w.asOf); err != nil {
			return err
		}
		known[order[i]] = &w
	}
	return rows.Err()
}

// lastText is the statement that looks up so many accounts.
func (l *Ledger) lastText(n int) string {
	const of = `WHERE l.account = k.account AND l.model = k.model AND l.origin <> 2 AND l.as_of <= l.at ORDER BY l.as_of DESC, l.number DESC LIMIT 1`
	row := `, (CAST(? AS INTEGER), CAST(? AS BLOB), CAST(? AS TEXT))`
	from := ` FROM k JOIN ledger_scores s ON s.number = (SELECT l.number FROM ledger_scores l ` + of + `)`
	if l.db.Postgres {
		row = strings.ReplaceAll(row, "BLOB", "BYTEA")
		from = ` FROM k CROSS JOIN LATERAL (SELECT l.band, l.probability, l.as_of FROM ledger_scores l ` + of + `) s`
	}
	return l.db.Rebind(`WITH k (i, account, model) AS (VALUES ` + strings.Repeat(row, n)[2:] + `) SELECT k.i, s.band, s.probability, s.as_of` + from)
}

func (l *Ledger) insertChanges(ctx context.Context, tx *sql.Tx, list []Change) error {
	if len(list) == 0 {
		return nil
	}
	number, err := l.count(ctx, tx, "changes", len(list))
	if err != nil {
		return err
	}
	insert := l.db.Rebind(`INSERT INTO ledger_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	for i := range list {
		c := &list[i]
		c.Number = number + 1 + int64(i)
		if _, err := tx.ExecContext(ctx, insert, c.Number, c.At, []byte(c.Account), c.Model, c.Version, c.From, c.To, c.Was, c.Is); err != nil {
			return err
		}
	}
	return nil
}

// Changes gives up to n changes whose number is above after, in their order. There may be
// numbers that are missing: of what was forgotten or has expired.
func (l *Ledger) Changes(ctx context.Context, after int64, n int) ([]Change, error) {
	if err := l.prepare(ctx); err != nil {
		return nil, err
	}
	rows, err := l.db.QueryContext(ctx, l.db.Rebind(`SELECT number, at, account, model, version, band_from, band_to, was, probability
		FROM ledger_changes WHERE number > ? ORDER BY number LIMIT ?`), after, n)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	defer rows.Close()
	var out []Change
	for rows.Next() {
		var c Change
		var account []byte
		if err := rows.Scan(&c.Number, &c.At, &account, &c.Model, &c.Version, &c.From, &c.To, &c.Was, &c.Is); err != nil {
			return nil, unavailable(ctx, err)
		}
		c.Account = string(account)
		out = append(out, c)
	}
	return out, unavailable(ctx, rows.Err())
}

// LastChange is the number of the newest change; 0 if there never was one.
func (l *Ledger) LastChange(ctx context.Context) (n int64, err error) {
	if err := l.prepare(ctx); err != nil {
		return 0, err
	}
	err = l.db.QueryRowContext(ctx, `SELECT n FROM ledger_counters WHERE name = 'changes'`).Scan(&n)
	return n, unavailable(ctx, err)
}

// Changed gives a channel that is closed when this process has committed a further change.
// Those of other servers are found by asking now and then.
func (l *Ledger) Changed() <-chan struct{} {
	l.state.Lock()
	defer l.state.Unlock()
	return l.state.changed
}
