package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"propensity/datasets"
)

// Query says which scores are asked for. The zero Query asks for all.
type Query struct {
	Model string // "" of all models
	// Since <= At < Until; 0 is no bound.
	Since, Until int64
	// Origin is that of the scores; "" of any.
	Origin string
	// Before asks for scores whose number is below; 0 is no bound. Limit is how many are
	// given at most; 0 all. Of Scores alone.
	Before int64
	Limit  int

	// newest asks for the score that was committed last of each account and moment, shadows
	// apart. The moments are bounds of AsOf as Since and Until are of At.
	newest                   bool
	momentSince, momentUntil int64
}

// Kept is a score as it is kept, with what became of it.
type Kept struct {
	Number int64 // scores are numbered from 1 in the order in which they were committed
	Score
	Settled
}

const scoreColumns = `number, at, account, model, version, as_of, origin, probability, band, body`

// where gives the conditions of a query, each behind AND.
func (q *Query) where() (text string, args []any) {
	var b strings.Builder
	add := func(condition string, v any) {
		b.WriteString(" AND " + condition)
		args = append(args, v)
	}
	if q.Model != "" {
		add("model = ?", q.Model)
	}
	if q.Since != 0 {
		add("at >= ?", q.Since)
	}
	if q.Until != 0 {
		add("at < ?", q.Until)
	}
	if q.Origin != "" {
		add("origin = ?", int64(originNumber(q.Origin)))
	}
	if q.momentSince != 0 {
		add("as_of >= ?", q.momentSince)
	}
	if q.momentUntil != 0 {
		add("as_of < ?", q.momentUntil)
	}
	if q.newest {
		b.WriteString(` AND origin <> 2 AND NOT EXISTS (SELECT 1 FROM ledger_scores n
			WHERE n.account = s.account AND n.model = s.model AND n.as_of = s.as_of AND n.number > s.number AND n.origin <> 2)`)
	}
	if q.Before != 0 {
		add("number < ?", q.Before)
	}
	return b.String(), args
}

// Scores gives the scores of one account, the newest first, settled.
func (l *Ledger) Scores(ctx context.Context, account string, q Query) ([]Kept, error) {
	if err := l.prepare(ctx); err != nil {
		return nil, err
	}
	where, args := q.where()
	text := `SELECT ` + scoreColumns + ` FROM ledger_scores s WHERE account = ?` + where + ` ORDER BY number DESC`
	if q.Limit > 0 {
		text += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	list, err := l.read(ctx, text, append([]any{[]byte(account)}, args...))
	if err != nil {
		return nil, err
	}
	return list, l.settle(ctx, list)
}

// Each gives the scores that are asked for by when they were given, settled, some at a
// time: list is lent. An error of each ends it.
func (l *Ledger) Each(ctx context.Context, q Query, each func(list []Kept) error) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	const page = 1000
	var at, number int64 = datasets.MissingTime, 0
	where, args := q.where()
	for {
		text := fmt.Sprintf(`SELECT %s FROM ledger_scores s WHERE (at, number) > (?, ?)%s ORDER BY at, number LIMIT %d`, scoreColumns, where, page)
		list, err := l.read(ctx, text, append([]any{at, number}, args...))
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		if err := l.settle(ctx, list); err != nil {
			return err
		}
		at, number = list[len(list)-1].At, list[len(list)-1].Number
		if err := each(list); err != nil {
			return err
		}
	}
}

// read reads scores.
func (l *Ledger) read(ctx context.Context, text string, args []any) ([]Kept, error) {
	list, versions, err := l.readRaw(ctx, text, args)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	known := map[int64]*version{}
	for i := range list {
		v := known[versions[i].number]
		if v == nil {
			if v, err = l.readVersion(ctx, versions[i].number); err != nil {
				return nil, unavailable(ctx, err)
			}
			known[versions[i].number] = v
		}
		s := &list[i].Score
		s.Version, s.Hash, s.Columns, s.Kinds, s.Horizon = v.versionKey.version, v.hash, v.columns, v.kinds, v.horizon
		if err := decodeBody(versions[i].body, s); err != nil {
			return nil, err
		}
	}
	return list, nil
}

type rest struct {
	number int64 // of the version
	body   []byte
}

func (l *Ledger) readRaw(ctx context.Context, text string, args []any) (list []Kept, more []rest, err error) {
	rows, err := l.db.QueryContext(ctx, l.db.Rebind(text), args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k Kept
		var r rest
		var account []byte
		var origin int64
		if err := rows.Scan(&k.Number, &k.At, &account, &k.Model, &r.number, &k.AsOf, &origin, &k.Probability, &k.Band, &r.body); err != nil {
			return nil, nil, err
		}
		k.Account, k.Origin = string(account), originName(origin)
		list, more = append(list, k), append(more, r)
	}
	return list, more, rows.Err()
}

func (l *Ledger) readVersion(ctx context.Context, number int64) (*version, error) {
	v := &version{number: number}
	var columns []byte
	err := l.db.QueryRowContext(ctx, l.db.Rebind(`SELECT model, version, hash, horizon, columns FROM ledger_versions WHERE number = ?`), number).
		Scan(&v.model, &v.versionKey.version, &v.hash, &v.horizon, &columns)
	if err == sql.ErrNoRows { //nolint:errorlint // it is never wrapped
		return nil, fmt.Errorf("%w: a score is of version number %d, which is not there", ErrDamaged, number)
	}
	if err == nil {
		v.columns, v.kinds, err = decodeColumns(columns)
	}
	return v, err
}

// Moments gives the moments of which scores of an account by a model are kept, shadows
// apart, ascending.
func (l *Ledger) Moments(ctx context.Context, account, model string) ([]int64, error) {
	if err := l.prepare(ctx); err != nil {
		return nil, err
	}
	rows, err := l.db.QueryContext(ctx, l.db.Rebind(`SELECT DISTINCT as_of FROM ledger_scores WHERE account = ? AND model = ? AND origin <> 2 ORDER BY as_of`), []byte(account), model)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at); err != nil {
			return nil, unavailable(ctx, err)
		}
		out = append(out, at)
	}
	return out, unavailable(ctx, rows.Err())
}
