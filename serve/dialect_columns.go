package serve

import (
	"fmt"
	"io"
	"net/http"

	"propensity/datasets"
	"propensity/features"
)

// columnRows are rows whose columns lie apart, each walked on by itself: a request takes no
// more memory than its text.
type columnRows struct {
	encoder *features.Encoder
	columns []namedColumn
	names   map[string]bool
	at      func(row int, column string) string
	warn    bool // of columns that the model does not know
	row     int
}

// namedColumn is a column and what it is for.
type namedColumn struct {
	name   string
	target int
	cells  columnCells
}

// columnCells are the cells of one column.
type columnCells interface {
	rewind()
	// next comes to the next cell; false at the end.
	next() (bool, error)
	// take reads the cell.
	take(q *request, e *features.Encoder, target int) error
}

func (r *columnRows) rewind() {
	r.row = 0
	for i := range r.columns {
		r.columns[i].cells.rewind()
	}
}

func (r *columnRows) place(row int, column string) string { return r.at(row, column) }

func (r *columnRows) next(q *request) error {
	more := false
	for i := range r.columns {
		c := &r.columns[i]
		another, err := c.cells.next()
		if err != nil {
			return err
		}
		if i > 0 && another != more {
			return r.uneven(i)
		}
		if more = another; !more {
			continue
		}
		if c.target >= 0 { // also if its cell is at fault
			q.present[c.target] = true
		}
		if err := c.cells.take(q, r.encoder, c.target); err != nil {
			return err
		}
		if r.warn && c.target == toNothing {
			q.unknown = append(q.unknown, c.name)
		}
	}
	if !more {
		return io.EOF
	}
	r.row++
	return nil
}

func (r *columnRows) uneven(i int) error {
	detail := fmt.Sprintf("%q and %q are not of one length", clip(r.columns[0].name), clip(r.columns[i].name))
	return refuse(http.StatusUnprocessableEntity, detail, fault{detail, "/row/" + escapePointer(r.columns[i].name)})
}

// add adds a column; a fault is a name that is there twice, or a column too many.
func (r *columnRows) add(name string, target int, cells columnCells, most int) error {
	pointer := "/row/" + escapePointer(name)
	if r.names[name] {
		return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("%q is there twice", clip(name)), fault{"it is there twice", pointer})
	}
	if r.names == nil {
		r.names = make(map[string]bool)
	}
	r.names[name] = true
	if len(r.columns) == most {
		return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("the request has more than %d columns", most), fault{"too many columns", pointer})
	}
	r.columns = append(r.columns, namedColumn{name, target, cells})
	return nil
}

// jsonColumn is a column whose cells are those of a JSON array.
type jsonColumn struct {
	text    []byte
	at      int // where the array starts
	pointer string
	nested  bool // each cell is in an array of its own
	// wants, if set, is what all cells but nulls must be.
	wants  func(value []byte) bool
	called string // what it wants
	s      scanner
	begun  bool
}

func (l *jsonColumn) rewind() {
	l.s, l.begun = scanner{text: l.text, at: l.at, pointer: l.pointer}, false
}

func (l *jsonColumn) next() (bool, error) {
	begun := l.begun
	l.begun = true
	switch {
	case !begun:
		if err := l.s.take('['); err != nil {
			return false, err
		}
		return l.s.next() != ']', nil
	case l.s.next() == ']':
		return false, nil
	}
	err := l.s.take(',')
	l.s.next()
	return true, err
}

func (l *jsonColumn) take(q *request, e *features.Encoder, target int) error {
	if l.nested {
		if l.s.next() != '[' {
			q.fault(l.pointer, "each cell is in an array of its own, as the shape says")
			return l.s.skip(4)
		}
		l.s.at++
		if l.s.next() == ']' {
			q.fault(l.pointer, "an array is empty where a cell should be")
			l.s.at++
			return nil
		}
	}
	if err := l.value(q, e, target); err != nil || !l.nested {
		return err
	}
	if l.s.next() == ']' {
		l.s.at++
		return nil
	}
	q.fault(l.pointer, "an array holds more than a cell")
	for l.s.next() == ',' {
		l.s.at++
		if err := l.s.skip(4); err != nil {
			return err
		}
	}
	return l.s.take(']')
}

func (l *jsonColumn) value(q *request, e *features.Encoder, target int) error {
	if l.wants == nil {
		return q.take(&l.s, e, target)
	}
	end := l.s
	end.next()
	start := end.at
	if err := end.skip(4); err != nil {
		return err
	}
	if value := l.text[start:end.at]; value[0] != 'n' && !l.wants(value) {
		q.fault(l.pointer, "%s is no %s", clip(string(value)), l.called)
		l.s.at = end.at
		return nil
	}
	return q.take(&l.s, e, target)
}

// tableColumn is a column of a table.
type tableColumn struct {
	column *datasets.Column
	row    int // plus one
}

func (t *tableColumn) rewind() { t.row = 0 }

func (t *tableColumn) next() (bool, error) {
	t.row++
	return t.row <= t.column.Len(), nil
}

func (t *tableColumn) take(q *request, _ *features.Encoder, target int) error {
	q.set(target, "/row/"+escapePointer(t.column.Name), t.column.At(t.row-1))
	return nil
}
