package ledger

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
)

// Settled is what became of a score: whether what its model asks about came true.
type Settled struct {
	// Label is 1 or 0; NaN while it is not known.
	Label float64
	// Mature says that the horizon of the score is over, or not known. A label of 1 can
	// be known before, one of 0 cannot: whoever counts labels counts mature ones alone, or
	// what comes true early is counted and what does not is left out.
	Mature bool
	// Outcome is the id of the outcome that settles the score; "" if there is none, also
	// where the silence of a model whose outcomes are complete does (see Complete).
	Outcome string
	// Occurred and Value are those of the outcome; datasets.MissingTime and NaN without.
	Occurred int64
	Value    float64
}

// settled says what became of a score of the moment asOf. The outcomes are those of its
// account and model, each in its newest version, in the order in which they were committed;
// complete is how far the outcomes of its model are complete. In this order:
//
//  1. An outcome of that very moment (AsOf) says it; of several the newest.
//  2. Of the outcomes that name no moment: a positive one that occurred at asOf or later
//     and before asOf + horizon makes it 1: the first that did.
//  3. A negative one of asOf or later, up to asOf + horizon itself, makes it 0: the last.
//  4. If the outcomes of the model are complete up to asOf + horizon, it is 0.
//
// It is 0 only once the horizon is over. Without a horizon only the first rule holds.
func settled(asOf, horizon int64, outcomes []Outcome, complete, now int64) Settled {
	end := asOf + horizon
	s := Settled{Label: math.NaN(), Occurred: datasets.MissingTime, Value: math.NaN()}
	by := (*Outcome)(nil)
	silent := false
	for i := range outcomes {
		if o := &outcomes[i]; o.AsOf == asOf {
			by = o
		}
	}
	if by == nil && horizon > 0 {
		var yes, no *Outcome
		for i := range outcomes {
			switch o := &outcomes[i]; {
			case o.AsOf != datasets.MissingTime || o.Occurred < asOf || o.Occurred > end:
			case o.Positive && o.Occurred < end && (yes == nil || o.Occurred < yes.Occurred):
				yes = o
			case !o.Positive && (no == nil || o.Occurred >= no.Occurred):
				no = o
			}
		}
		if by = yes; by == nil {
			by = no
		}
		silent = by == nil && complete >= end
	}
	s.Mature = horizon > 0 && end <= now || horizon == 0 && by != nil
	switch {
	case by != nil && by.Positive:
		s.Label = 1
	case (by != nil || silent) && s.Mature:
		s.Label = 0
	default:
		return s
	}
	if by != nil {
		s.Outcome, s.Occurred, s.Value = by.ID, by.Occurred, by.Value
	}
	return s
}

// settle fills in what became of scores.
func (l *Ledger) settle(ctx context.Context, list []Kept) error {
	now := l.o.Now()
	complete, err := l.completeUntil(ctx)
	if err != nil {
		return err
	}
	var accounts []string
	for i := range list {
		accounts = append(accounts, list[i].Account)
	}
	slices.Sort(accounts)
	known := map[pair][]Outcome{}
	for some := range slices.Chunk(slices.Compact(accounts), 200) {
		if err := l.outcomesOf(ctx, some, known); err != nil {
			return err
		}
	}
	for i := range list {
		k := &list[i]
		var outcomes []Outcome
		if k.Account != "" {
			outcomes = known[pair{k.Account, k.Model}]
		}
		until, ok := complete[k.Model]
		if !ok || k.Account == "" { // of whom nobody knows who it is, nobody can report anything
			until = math.MinInt64
		}
		k.Settled = settled(k.AsOf, k.Horizon, outcomes, until, now)
	}
	return nil
}

// newest is the condition that no later version of an outcome o is there.
const newest = `NOT EXISTS (SELECT 1 FROM ledger_outcomes n WHERE n.model = o.model AND n.id = o.id AND n.number > o.number)`

// outcomesOf adds the outcomes of accounts, each in its newest version, in order.
func (l *Ledger) outcomesOf(ctx context.Context, accounts []string, known map[pair][]Outcome) error {
	args := make([]any, len(accounts))
	for i, a := range accounts {
		args[i] = []byte(a)
	}
	text := `SELECT model, id, account, as_of, occurred, positive, value FROM ledger_outcomes o
		WHERE account IN (` + strings.Repeat(", ?", len(args))[2:] + `) AND ` + newest + ` ORDER BY number`
	rows, err := l.db.QueryContext(ctx, l.db.Rebind(text), args...)
	if err != nil {
		return unavailable(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		o, err := scanOutcome(rows)
		if err != nil {
			return unavailable(ctx, err)
		}
		p := pair{o.Account, o.Model}
		known[p] = append(known[p], o)
	}
	return unavailable(ctx, rows.Err())
}

func scanOutcome(rows *sql.Rows) (o Outcome, err error) {
	var id, account []byte
	var asOf sql.NullInt64
	var positive int64
	var value sql.NullFloat64
	err = rows.Scan(&o.Model, &id, &account, &asOf, &o.Occurred, &positive, &value)
	o.ID, o.Account, o.Positive = string(id), string(account), positive != 0
	o.AsOf, o.Value = datasets.MissingTime, math.NaN()
	if asOf.Valid {
		o.AsOf = asOf.Int64
	}
	if value.Valid {
		o.Value = value.Float64
	}
	return o, err
}
