package datasets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// sqlReader reads the answer of a database batch by batch.
type sqlReader struct {
	source  string // its name in messages
	secrets []string
	opts    *ReadOptions
	cancel  context.CancelFunc
	db      *sql.DB
	tx      *sql.Tx
	rows    *sql.Rows

	names  []string // of the wanted columns
	kinds  []Kind
	places []int  // among the cells of a row
	spelt  []bool // its bytes are text
	cells  []any
	into   []any // their addresses

	ahead *Table
	row   int // the first of the batch last given
	read  int
}

// peek reads the first batch, to know the kinds of columns without a type.
func (r *sqlReader) peek() error {
	t, err := r.batch()
	if errors.Is(err, io.EOF) {
		for k := range r.kinds {
			if r.kinds[k] == 0 {
				r.kinds[k] = Category
			}
		}
		return nil
	}
	r.ahead = t
	return err
}

func (r *sqlReader) next() (*Table, error) {
	t, err := r.ahead, error(nil)
	if r.ahead = nil; t == nil {
		t, err = r.batch()
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, r.fault(err)
	}
	r.row += r.read
	r.read = t.Rows()
	return t, nil
}

func (r *sqlReader) columns() []string { return r.names }
func (r *sqlReader) first() int        { return r.row + 1 }

// batch reads rows into a table; io.EOF if there are none.
func (r *sqlReader) batch() (*Table, error) {
	into := make([]*builder, len(r.names))
	n := 0
	waiting := make([]int, len(r.names)) // rows without a value in a column of no kind
	for ; n < r.opts.Batch && r.rows.Next(); n++ {
		if err := r.rows.Scan(r.into...); err != nil {
			return nil, err
		}
		for k, place := range r.places {
			cell := r.cells[place]
			if b, ok := cell.([]byte); ok && r.spelt[k] {
				cell = string(b)
			}
			if into[k] == nil {
				if r.kinds[k] == 0 {
					if cell == nil {
						waiting[k]++
						continue
					}
					r.kinds[k] = kindOfCell(cell)
				}
				r.start(into, k, waiting[k])
			}
			if fault := takeCell(into[k], cell); fault != nil {
				fault.File, fault.Row = r.source, r.row+r.read+n+1
				return nil, fault
			}
		}
	}
	if err := r.rows.Err(); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	for k := range into {
		if into[k] != nil {
			continue
		}
		if r.kinds[k] == 0 { // nothing but missing values so far
			r.kinds[k] = Category
		}
		r.start(into, k, waiting[k])
	}
	return tableOf(into, false), nil
}

// start makes the builder of a column after rows that were missing.
func (r *sqlReader) start(into []*builder, k, missing int) {
	b := newBuilder(r.names[k], r.kinds[k], r.opts)
	b.set = r.opts.Kinds[r.names[k]] != 0
	for range missing {
		b.null()
	}
	into[k] = b
}

// kindOfCell is the kind of a column of no type, by its first value.
func kindOfCell(cell any) Kind {
	switch cell.(type) {
	case int64, float64:
		return Number
	case bool:
		return Boolean
	case time.Time:
		return Time
	}
	return Category
}

// takeCell adds a cell as the driver gives it.
func takeCell(b *builder, cell any) *ParseError {
	ok := false
	switch v := cell.(type) {
	case nil:
		b.null()
		ok = true
	case int64:
		ok = b.integer(v)
	case float64:
		ok = b.float(v)
	case bool:
		ok = b.boolean(v)
	case time.Time:
		ok = b.instant(v.UnixMicro())
	case string:
		ok = takeText(b, v)
	case []byte:
		return &ParseError{Column: b.col.Name, Err: ErrValue, Hint: strconv.Itoa(len(v)) + " raw bytes: leave the column out, or spell it as text in the query"}
	default:
		return &ParseError{Column: b.col.Name, Value: fmt.Sprint(v), Err: ErrValue, Hint: "a value of a type that is not read: cast it to text in the query"}
	}
	if !ok {
		return b.refusal(spellCell(cell))
	}
	return nil
}

// takeText adds a text, or a numeric of any precision, which drivers spell.
func takeText(b *builder, s string) bool {
	if b.col.Kind == Number && strings.EqualFold(s, "nan") {
		b.null()
		return true
	}
	return b.text(s)
}

func spellCell(cell any) string {
	if t, ok := cell.(time.Time); ok {
		return t.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(cell)
}

// close ends the answer wherever it is. A transaction that only reads has nothing
// to lose, so what is said of its end does not count.
func (r *sqlReader) close() error {
	r.cancel()
	if r.rows != nil {
		_ = r.rows.Close()
	}
	if r.tx != nil {
		_ = r.tx.Rollback()
	}
	if r.db != nil {
		return r.fault(r.db.Close())
	}
	return nil
}

// fault gives an error the name of the source and takes the secrets out of it: of
// the chain of a driver's error only what is known to hold none is kept.
func (r *sqlReader) fault(err error) error {
	if err == nil {
		return nil
	}
	var parse *ParseError
	if errors.As(err, &parse) {
		if parse.File == "table" {
			parse.File = r.source
		}
		return err
	}
	text := err.Error()
	for _, secret := range r.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	out := &sqlFault{text: r.source + ": " + text}
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded, os.ErrNotExist} {
		if errors.Is(err, cause) {
			out.cause = cause
		}
	}
	return out
}

// sqlFault is what a database or its driver said, without secrets.
type sqlFault struct {
	text  string
	cause error
}

func (e *sqlFault) Error() string { return e.text }
func (e *sqlFault) Unwrap() error { return e.cause }
