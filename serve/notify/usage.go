package notify

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
)

// Fall is a rule for when usage has fallen: a number of a scored row is below the
// threshold, and when the account was last scored it was not.
type Fall struct {
	Pattern   string // of names of columns: * stands for any text
	Threshold float64
}

// ParseFall reads a rule such as "*_trend<-0.5".
func ParseFall(text string) (Fall, error) {
	pattern, number, ok := strings.Cut(text, "<")
	f := Fall{Pattern: strings.TrimSpace(pattern)}
	if !ok || f.Pattern == "" {
		return Fall{}, fmt.Errorf("%q is no rule of usage: write a column and a threshold, such as *_trend<-0.5", clip(text, 100))
	}
	var err error
	if f.Threshold, err = strconv.ParseFloat(strings.TrimSpace(number), 64); err != nil || math.IsNaN(f.Threshold) || math.IsInf(f.Threshold, 0) {
		return Fall{}, fmt.Errorf("%q is no rule of usage: %q is no number", clip(text, 100), clip(number, 100))
	}
	return f, nil
}

// Of says whether the rule is about a column.
func (f Fall) Of(column string) bool {
	first, rest, star := strings.Cut(f.Pattern, "*")
	column, ok := strings.CutPrefix(column, first)
	if !ok || !star {
		return ok && column == ""
	}
	parts := strings.Split(rest, "*")
	last := len(parts) - 1
	for _, part := range parts[:last] { // the first place that fits leaves the most for the rest
		at := strings.Index(column, part)
		if at < 0 {
			return false
		}
		column = column[at+len(part):]
	}
	return strings.HasSuffix(column, parts[last])
}

// Usage is a column of a row that was scored, of which a rule says when it has fallen.
type Usage struct {
	Account   string
	Model     string
	Version   int
	Column    string
	Threshold float64
	Value     float64 // not NaN
	AsOf      int64   // the moment of the row, µs since 1970 UTC
}

// Used takes in what was seen, in the order in which it was, and enqueues
// account.usage_fell for what fell. Kept is the last value, and the moment at which it was
// first seen: the first that is seen of an account tells nothing, and a row of an
// earlier moment than that is passed over.
func (n *Notifier) Used(ctx context.Context, seen []Usage) error {
	if err := n.Ready(ctx); err != nil {
		return err
	}
	// Most of what is seen changes nothing, and is found to without a transaction that
	// writes. Where one of a batch does, what else there is of the same goes with it.
	news := make(map[string]bool)
	for i := range seen {
		was, err := n.side(ctx, n.cfg.DB, &seen[i])
		if err != nil {
			return unavailable(err)
		}
		if !was.known || was.value != seen[i].Value && seen[i].AsOf >= was.asOf {
			news[seen[i].key()] = true
		}
	}
	changed := slices.DeleteFunc(slices.Clone(seen), func(u Usage) bool { return !news[u.key()] })
	if len(changed) == 0 {
		return nil
	}
	// In one order everywhere, so that two servers do not wait for each other.
	slices.SortStableFunc(changed, func(a, b Usage) int {
		return cmp.Compare(a.key(), b.key())
	})
	return n.Update(ctx, func(tx *sql.Tx) (events []Event, err error) {
		for i := range changed {
			u := &changed[i]
			was, err := n.side(ctx, tx, u)
			if err != nil {
				return nil, err
			}
			if was.known && (u.AsOf < was.asOf || u.Value == was.value) {
				continue
			}
			if _, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(`INSERT INTO notify_usage (account, model, name, value, as_of) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (account, model, name) DO UPDATE SET value = excluded.value, as_of = excluded.as_of`),
				accountKey(u.Account), u.Model, u.name(), u.Value, u.AsOf); err != nil {
				return nil, err
			}
			if was.known && u.Value < u.Threshold && was.value >= u.Threshold {
				events = append(events, Event{Type: TypeUsageFell, Model: u.Model, Account: u.Account, At: n.now(), Data: UsageFell{
					Account: u.Account, Model: u.Model, Version: u.Version, Column: u.Column,
					Threshold: u.Threshold, Was: was.value, Is: u.Value, AsOf: datasets.FormatTime(u.AsOf),
				}})
			}
		}
		return events, nil
	})
}

// name is the column with its threshold: another threshold is another rule, which has
// seen nothing yet.
func (u *Usage) name() string {
	return clip(u.Column, 500) + "<" + strconv.FormatFloat(u.Threshold, 'g', -1, 64)
}

func (u *Usage) key() string { return accountKey(u.Account) + " " + u.Model + " " + u.name() }

// side is what is known of where an account is.
type side struct {
	known bool
	value float64
	asOf  int64
}

// rowQuerier is a database or a transaction.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (n *Notifier) side(ctx context.Context, q rowQuerier, u *Usage) (s side, err error) {
	err = q.QueryRowContext(ctx, n.cfg.DB.Rebind(`SELECT value, as_of FROM notify_usage WHERE account = ? AND model = ? AND name = ?`),
		accountKey(u.Account), u.Model, u.name()).Scan(&s.value, &s.asOf)
	if errors.Is(err, sql.ErrNoRows) {
		return side{}, nil
	}
	s.known = err == nil
	return s, err
}
