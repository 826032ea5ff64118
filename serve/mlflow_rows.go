package serve

import (
	"fmt"
	"io"
	"net/http"
)

// recordRows are rows of which each is an object: a name and a value for each column.
type recordRows struct {
	version *version
	text    []byte
	at      int // where the array starts, or the single row
	pointer string
	most    int  // fields of a row
	single  bool // there is one row, and no array

	s     scanner
	begun bool
}

func (r *recordRows) rewind() {
	r.s, r.begun = scanner{text: r.text, at: r.at}, false
}

func (r *recordRows) place(row int, column string) string {
	p := r.pointer
	if !r.single {
		p = fmt.Sprintf("%s/%d", p, row)
	}
	if column == "" {
		return p
	}
	return p + "/" + escapePointer(column)
}

func (r *recordRows) next(q *request) error {
	s, begun := &r.s, r.begun
	r.begun = true
	switch {
	case r.single && begun:
		return io.EOF
	case r.single:
	case !begun:
		if err := s.take('['); err != nil {
			return err
		}
		if s.next() == ']' {
			return io.EOF
		}
	case s.next() == ']':
		return io.EOF
	default:
		if err := s.take(','); err != nil {
			return err
		}
	}
	s.pointer = "/row"
	if s.next() != '{' {
		detail := "a row must be an object: a name and a value for each column"
		return refuse(http.StatusUnprocessableEntity, detail, fault{detail, "/row"})
	}
	e := r.version.scorer.Encoder()
	return s.object(func(name string) error {
		s.pointer = "/row/" + escapePointer(name)
		if q.fields++; q.fields > r.most {
			return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("a row has more than %d fields", r.most), fault{"too many fields", "/row"})
		}
		target := r.version.target(name)
		if target >= 0 && q.present[target] {
			return s.fail("%q is given twice", clip(name))
		}
		if target < 0 {
			if err := q.once(s, "/"+name, clip(name)); err != nil {
				return err
			}
		}
		if target == toNothing {
			q.unknown = append(q.unknown, name)
		}
		return q.take(s, e, target)
	})
}

// splitRows are rows of which each is an array, a value for each column in their order.
type splitRows struct {
	version *version
	text    []byte
	at      int // where the array of rows starts
	columns []namedColumn
	places  map[string]int
	pointer string

	s     scanner
	begun bool
}

// split reads {"columns": [...], "index": [...], "data": [[...], ...]}.
func (i *invocation) split(s *scanner, v *version, most int) error {
	r := &splitRows{version: v, text: s.text, at: -1, pointer: s.pointer}
	i.rows = r
	if err := i.members(s, "dataframe_split must be an object with columns and data", func(name string) error {
		here := s.pointer
		switch name {
		case "columns":
			return r.header(s, most)
		case "index": // the names of rows: an account is a column
			return s.skip(3)
		case "data":
			if r.at = s.at; s.next() != '[' {
				return mlflowRefuse(here, "data must be an array of rows")
			}
			return s.skip(3)
		}
		return mlflowRefuse(here, "unknown field %q: dataframe_split has columns, index and data", clip(name))
	}); err != nil {
		return err
	}
	if r.at < 0 || r.places == nil {
		return mlflowRefuse(r.pointer, "dataframe_split needs columns and data: a value without a name is not guessed at")
	}
	return nil
}

func (r *splitRows) header(s *scanner, most int) error {
	here := s.pointer
	r.places = map[string]int{}
	if s.next() != '[' {
		return mlflowRefuse(here, "columns must be an array of names")
	}
	s.at++
	if s.next() == ']' {
		s.at++
		return nil
	}
	for {
		if s.next() != '"' {
			return mlflowRefuse(here, "the name of a column must be text")
		}
		name, err := s.text8()
		if err != nil {
			return err
		}
		if _, ok := r.places[name]; ok {
			return mlflowRefuse(here, "the column %q is there twice", clip(name))
		}
		if len(r.columns) == most {
			return mlflowRefuse(here, "there are more than %d columns", most)
		}
		r.places[name] = len(r.columns)
		r.columns = append(r.columns, namedColumn{name: name, target: r.version.target(name)})
		if s.next() == ']' {
			s.at++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

func (r *splitRows) rewind() { r.s, r.begun = scanner{text: r.text, at: r.at}, false }

func (r *splitRows) place(row int, column string) string {
	if column == "" {
		return fmt.Sprintf("%s/data/%d", r.pointer, row)
	}
	if k, ok := r.places[column]; ok {
		return fmt.Sprintf("%s/data/%d/%d", r.pointer, row, k)
	}
	return r.pointer + "/columns"
}

func (r *splitRows) next(q *request) error {
	s, begun := &r.s, r.begun
	r.begun = true
	if !begun {
		s.at++ // the bracket
		if s.next() == ']' {
			return io.EOF
		}
	} else if s.next() == ']' {
		return io.EOF
	} else if err := s.take(','); err != nil {
		return err
	}
	if s.next() != '[' {
		return r.uneven("a row must be an array, a value for each column")
	}
	s.at++
	e := r.version.scorer.Encoder()
	for k := range r.columns {
		c := &r.columns[k]
		if k > 0 && s.next() == ',' {
			s.at++
		}
		if s.next() == ']' {
			return r.uneven(fmt.Sprintf("the row has %d values for %d columns", k, len(r.columns)))
		}
		s.pointer = "/row/" + escapePointer(c.name)
		if err := q.take(s, e, c.target); err != nil {
			return err
		}
		if c.target == toNothing {
			q.unknown = append(q.unknown, c.name)
		}
	}
	if s.next() != ']' {
		return r.uneven(fmt.Sprintf("the row has more than %d values", len(r.columns)))
	}
	s.at++
	return nil
}

func (r *splitRows) uneven(detail string) error {
	return refuse(http.StatusUnprocessableEntity, detail, fault{detail, "/row"})
}
