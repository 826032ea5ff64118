package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"propensity/datasets"
)

// Limits of an outcome, in bytes, and of how many are added at once.
const (
	MaxID       = 1024
	MaxAccount  = 512
	MaxModel    = 255
	MaxOutcomes = 10_000
)

// Complete makes an outcome whole that was given without an id: it is then named by
// its account and moment, so that another one of the same moment corrects it.
func (o *Outcome) complete() {
	if o.ID != "" {
		return
	}
	at := o.AsOf
	kind := "as_of"
	if at == datasets.MissingTime {
		at, kind = o.Occurred, "occurred"
	}
	o.ID = o.Account + "|" + kind + "|" + datasets.FormatTime(at)
}

// Check says what is wrong with an outcome that no ledger takes; the error wraps ErrOutcome.
func (o *Outcome) Check() error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrOutcome, fmt.Sprintf(format, args...))
	}
	switch {
	case o.Model == "":
		return fault("it names no model")
	case len(o.Model) > MaxModel || strings.IndexByte(o.Model, 0) >= 0:
		return fault("its model is no name of one")
	case o.Account == "":
		return fault("it names no account")
	case len(o.Account) > MaxAccount:
		return fault("its account is longer than %d bytes", MaxAccount)
	case len(o.ID) > MaxID:
		return fault("its id is longer than %d bytes", MaxID)
	case o.AsOf == datasets.MissingTime && o.Occurred == datasets.MissingTime:
		return fault("it says neither when it occurred nor the moment (as_of) whose score it settles")
	case math.IsInf(o.Value, 0):
		return fault("its value is not finite")
	}
	return nil
}

// same says whether two outcomes say the same.
func (o *Outcome) same(p *Outcome) bool {
	return o.Account == p.Account && o.AsOf == p.AsOf && o.Occurred == p.Occurred && o.Positive == p.Positive &&
		(o.Value == p.Value || o.Value != o.Value && p.Value != p.Value)
}

// AddOutcomes adds outcomes, all or none, and gives how many were new: an outcome whose
// newest version says the same changes nothing. One whose id is known, of the same model,
// corrects it: the newest version counts, and the others are kept. An outcome without an
// id is named by its account and its moment, AsOf or else Occurred. What was added when it
// returns nil is committed.
//
// Errors wrap ErrOutcome, ErrUnavailable or the error of ctx.
func (l *Ledger) AddOutcomes(ctx context.Context, list []Outcome) (added int, err error) {
	if len(list) > MaxOutcomes {
		return 0, fmt.Errorf("%w: %d outcomes at once are more than %d", ErrOutcome, len(list), MaxOutcomes)
	}
	for i := range list {
		if err := list[i].Check(); err != nil {
			return 0, err
		}
	}
	if err := l.prepare(ctx); err != nil {
		return 0, err
	}
	err = l.update(ctx, func(tx *sql.Tx) error {
		fresh, err := l.news(ctx, tx, list)
		if added = len(fresh); err != nil || added == 0 {
			return err
		}
		number, err := l.count(ctx, tx, "outcomes", added)
		if err != nil {
			return err
		}
		stmt, err := tx.PrepareContext(ctx, l.db.Rebind(`INSERT INTO ledger_outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`))
		if err != nil {
			return err
		}
		defer stmt.Close()
		now := l.o.Now()
		for i := range fresh {
			o := &fresh[i]
			asOf := sql.NullInt64{Int64: o.AsOf, Valid: o.AsOf != datasets.MissingTime}
			value := sql.NullFloat64{Float64: o.Value, Valid: o.Value == o.Value}
			positive := int64(0)
			if o.Positive {
				positive = 1
			}
			number++
			if _, err := stmt.ExecContext(ctx, number, now, o.Model, []byte(o.ID), []byte(o.Account), asOf, o.Occurred, positive, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, unavailable(ctx, err)
	}
	l.reported.Add(int64(added))
	return added, nil
}

// news are the outcomes that say what their newest versions do not.
func (l *Ledger) news(ctx context.Context, tx *sql.Tx, list []Outcome) ([]Outcome, error) {
	stmt, err := tx.PrepareContext(ctx, l.db.Rebind(`SELECT model, id, account, as_of, occurred, positive, value FROM ledger_outcomes WHERE model = ? AND id = ? ORDER BY number DESC LIMIT 1`))
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	type key struct{ model, id string }
	last := map[key]Outcome{} // of this list
	var fresh []Outcome
	for _, o := range list {
		o.complete()
		k := key{o.Model, o.ID}
		was, ok := last[k]
		if !ok {
			if was, ok, err = oneOutcome(ctx, stmt, o.Model, o.ID); err != nil {
				return nil, err
			}
		}
		if ok && o.same(&was) {
			continue
		}
		last[k] = o
		fresh = append(fresh, o)
	}
	return fresh, nil
}

func oneOutcome(ctx context.Context, stmt *sql.Stmt, model, id string) (o Outcome, ok bool, err error) {
	rows, err := stmt.QueryContext(ctx, model, []byte(id))
	if err != nil {
		return o, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return o, false, rows.Err()
	}
	o, err = scanOutcome(rows)
	return o, true, err
}

// Outcomes gives the outcomes of an account, each in its newest version, in the order in
// which they were committed, of one model or, with "", of all.
func (l *Ledger) Outcomes(ctx context.Context, account, model string) ([]Outcome, error) {
	if err := l.prepare(ctx); err != nil {
		return nil, err
	}
	rows, err := l.db.QueryContext(ctx, l.db.Rebind(`SELECT model, id, account, as_of, occurred, positive, value FROM ledger_outcomes o
		WHERE account = ? AND (model = ? OR ? = '') AND `+newest+` ORDER BY number`), []byte(account), model, model)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	defer rows.Close()
	var out []Outcome
	for rows.Next() {
		o, err := scanOutcome(rows)
		if err != nil {
			return nil, unavailable(ctx, err)
		}
		out = append(out, o)
	}
	return out, unavailable(ctx, rows.Err())
}

// Complete says that all positive outcomes of a model that occurred before until have
// been reported, so that silence about an account means no. It never goes back.
func (l *Ledger) Complete(ctx context.Context, model string, until int64) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	if now := l.o.Now(); until > now {
		return fmt.Errorf("%w: outcomes cannot be complete until %s, which has not come", ErrOutcome, datasets.FormatTime(until))
	}
	return unavailable(ctx, l.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, l.db.Rebind(`INSERT INTO ledger_complete AS c (model, until) VALUES (?, ?)
			ON CONFLICT (model) DO UPDATE SET until = CASE WHEN excluded.until > c.until THEN excluded.until ELSE c.until END`), model, until)
		return err
	}))
}

// completeUntil gives how far the outcomes of each model are complete.
func (l *Ledger) completeUntil(ctx context.Context) (map[string]int64, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT model, until FROM ledger_complete`)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var model string
		var until int64
		if err := rows.Scan(&model, &until); err != nil {
			return nil, unavailable(ctx, err)
		}
		out[model] = until
	}
	return out, unavailable(ctx, rows.Err())
}
