package online

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// sqliteWriter is the one connection that writes. It speaks to the driver itself, not
// through database/sql, whose locks and conversions cost as much as the writing.
type sqliteWriter struct {
	path   string
	way    *way
	conn   driver.Conn
	adds   map[int]driver.Stmt // addVersions, by how many
	finds  map[int]driver.Stmt // findNewest
	count  driver.Stmt         // addCommit
	args   []driver.NamedValue
	newest []newest
}

// newest is the version of a fact that arrived last.
type newest struct {
	there   bool
	arrived int64
	content []byte
}

const addCommit = `UPDATE commits SET count = count + 1`

// addVersions adds so many versions as they are, those that are there apart.
func addVersions(n int) string {
	return `INSERT OR IGNORE INTO facts VALUES ` + strings.Repeat(`, (?, ?, ?, ?, ?)`, n)[2:]
}

// findNewest looks up so many facts.
func findNewest(n int) string {
	var keys strings.Builder
	for i := range n {
		fmt.Fprintf(&keys, `, (%d, ?, ?, ?)`, i)
	}
	return `WITH k (i, account, source, id) AS (VALUES ` + keys.String()[2:] + `)
		SELECT k.i, f.arrived, f.content FROM k CROSS JOIN facts f ON f.account = k.account AND f.source = k.source AND f.id = k.id
		AND f.arrived = (SELECT max(n.arrived) FROM facts n WHERE n.account = k.account AND n.source = k.source AND n.id = k.id)`
}

// mostTogether is the most facts of a statement.
const mostTogether = 64

// together is how many of so many facts a statement takes: 64, 16, 4 or 1.
func together(rest int) int {
	size := mostTogether
	for size > rest {
		size /= 4
	}
	return size
}

// prepare opens the file, if it is not open, and sees to its tables.
func (w *sqliteWriter) prepare(ctx context.Context) (err error) {
	if w.conn != nil {
		return nil
	}
	if w.conn, err = (sqliteConnector{w.path, 64 << 10}).Connect(ctx); err != nil {
		w.conn = nil
		return err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	format, err := w.number(ctx, `PRAGMA user_version`)
	if err != nil {
		return err
	}
	switch format {
	case 0:
		if err := w.exec(ctx, sqliteSchema+fmt.Sprintf(`PRAGMA user_version = %d;`, sqliteFormat)); err != nil {
			return err
		}
	case sqliteFormat:
	default:
		return fmt.Errorf("its format is %d, this program knows %d: it was made by another version, or is no store", format, sqliteFormat)
	}
	w.adds, w.finds = map[int]driver.Stmt{}, map[int]driver.Stmt{}
	for n := mostTogether; n > 0; n /= 4 {
		if w.adds[n], err = w.statement(ctx, addVersions(n)); err != nil {
			return err
		}
		if w.finds[n], err = w.statement(ctx, findNewest(n)); err != nil {
			return err
		}
	}
	w.count, err = w.statement(ctx, addCommit)
	return err
}

func (w *sqliteWriter) statement(ctx context.Context, text string) (driver.Stmt, error) {
	return w.conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
}

func (w *sqliteWriter) exec(ctx context.Context, text string) error {
	_, err := w.conn.(driver.ExecerContext).ExecContext(ctx, text, nil)
	return err
}

func (w *sqliteWriter) number(ctx context.Context, text string) (int64, error) {
	rows, err := w.conn.(driver.QueryerContext).QueryContext(ctx, text, nil)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	cell := make([]driver.Value, 1)
	if err := rows.Next(cell); err != nil {
		return 0, err
	}
	return cell[0].(int64), nil
}

// write adds records, which are in order, in one transaction. It gives the accounts that
// have changed and the number of commits that the file has seen.
func (w *sqliteWriter) write(ctx context.Context, list []record) (changed []string, commits int64, err error) {
	if err := w.prepare(ctx); err != nil {
		return nil, 0, err
	}
	if err := w.exec(ctx, `BEGIN IMMEDIATE`); err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			_ = w.exec(context.Background(), `ROLLBACK`) // or else by closing it
		}
	}()
	// A statement that can be given up costs the driver a goroutine. Within a transaction
	// none waits for anybody.
	step := context.WithoutCancel(ctx)
	w.way.begin()
	for len(list) > 0 {
		w.way.pass()
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		n := 1
		for list[0].now && n < min(len(list), mostTogether) && list[n].now {
			n++
		}
		n = together(n)
		if changed, err = w.add(step, list[:n], changed); err != nil {
			return nil, 0, err
		}
		list = list[n:]
	}
	w.way.pass()
	if len(changed) > 0 {
		if _, err := w.count.(driver.StmtExecContext).ExecContext(ctx, nil); err != nil {
			return nil, 0, err
		}
	}
	if commits, err = w.number(ctx, `SELECT count FROM commits`); err != nil {
		return nil, 0, err
	}
	return changed, commits, w.exec(ctx, `COMMIT`)
}

// add adds records that arrive now, or one that has an arrival, and gives the accounts
// that have changed, with those before.
func (w *sqliteWriter) add(ctx context.Context, list []record, changed []string) ([]string, error) {
	change := func(account string) {
		if len(changed) == 0 || changed[len(changed)-1] != account {
			changed = append(changed, account)
		}
	}
	w.args = w.args[:0]
	if r := &list[0]; !r.now {
		w.bind(r.account, r.source, r.id, r.arrived, r.content)
		n, err := w.run(ctx, w.adds[1], w.args)
		if n > 0 {
			change(r.account)
		}
		return changed, err
	}
	if err := w.find(ctx, list); err != nil {
		return nil, err
	}
	w.args = w.args[:0]
	rows := 0
	for i := range list {
		r, last := &list[i], &w.newest[i]
		if i > 0 && compareNames(list[i-1], *r) == 0 { // what was said a moment ago
			*last = w.newest[i-1]
		}
		at := r.arrived
		if last.there {
			if bytes.Equal(last.content, r.content) {
				continue
			}
			at = max(at, last.arrived+1)
		}
		*last = newest{true, at, r.content}
		w.bind(r.account, r.source, r.id, at, r.content)
		change(r.account)
		rows++
	}
	const cells = 5
	for args := w.args; rows > 0; {
		n := together(rows)
		for i := range args[:n*cells] {
			args[i].Ordinal = i + 1
		}
		if _, err := w.run(ctx, w.adds[n], args[:n*cells]); err != nil {
			return nil, err
		}
		args, rows = args[n*cells:], rows-n
	}
	return changed, nil
}

// find looks up what the newest versions of facts say.
func (w *sqliteWriter) find(ctx context.Context, list []record) error {
	w.newest = slices.Grow(w.newest[:0], len(list))[:len(list)]
	clear(w.newest)
	w.args = w.args[:0]
	for i := range list {
		w.bind(list[i].account, list[i].source, list[i].id)
	}
	rows, err := w.finds[len(list)].(driver.StmtQueryContext).QueryContext(ctx, w.args)
	if err != nil {
		return err
	}
	defer rows.Close()
	cells := make([]driver.Value, 3)
	for {
		if err := rows.Next(cells); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		content, _ := cells[2].([]byte) // an empty one is nil
		if last := &w.newest[cells[0].(int64)]; !last.there || bytes.Compare(last.content, content) < 0 {
			*last = newest{true, cells[1].(int64), content}
		}
	}
}

// bind adds parameters of a statement.
func (w *sqliteWriter) bind(values ...driver.Value) {
	for _, v := range values {
		w.args = append(w.args, driver.NamedValue{Ordinal: len(w.args) + 1, Value: v})
	}
}

// run executes a statement and gives the number of rows that it changed.
func (w *sqliteWriter) run(ctx context.Context, stmt driver.Stmt, args []driver.NamedValue) (int64, error) {
	result, err := stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (w *sqliteWriter) close() {
	all := slices.Collect(maps.Values(w.adds))
	for _, stmt := range append(slices.AppendSeq(all, maps.Values(w.finds)), w.count) { // or else the file stays open, and its log beside it
		if stmt != nil {
			_ = stmt.Close()
		}
	}
	if w.conn != nil {
		_ = w.conn.Close() // what is committed is committed
	}
	*w = sqliteWriter{path: w.path, way: w.way}
}
