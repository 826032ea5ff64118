package datasets

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// csvLayout is what the header of a CSV file settles.
type csvLayout struct {
	name   string
	opts   *ReadOptions
	comma  byte
	header []string
	places []int // of the wanted columns in a record
}

// readCSVHeader reads the header record of data and gives where the next starts.
func readCSVHeader(data, name string, o *ReadOptions) (*csvLayout, int, error) {
	l := &csvLayout{name: name, opts: o, comma: o.Comma}
	if l.comma == 0 {
		l.comma = findComma(data)
	}
	s := newCSVScanner(data, l.comma, o.MaxLine)
	ok, fault := s.next()
	if fault != nil {
		fault.File, fault.Line = name, lineOf(data, s.start)
		return nil, 0, fault
	}
	if !ok {
		return nil, 0, &ParseError{File: name, Err: ErrEmpty, Hint: "there is no header line"}
	}
	for _, field := range s.fields {
		l.header = append(l.header, strings.Clone(field))
	}
	if err := checkHeader(l.header, name, lineOf(data, s.start)); err != nil {
		return nil, 0, err
	}
	if err := o.lacking(name, l.header); err != nil {
		return nil, 0, err
	}
	for j, column := range l.header {
		if o.wants(column) {
			l.places = append(l.places, j)
		}
	}
	return l, s.pos, nil
}

// checkHeader refuses columns that cannot be told apart by name.
func checkHeader(header []string, file string, line int) error {
	places := make(map[string]int, len(header))
	for j, column := range header {
		if trimBlanks(column) == "" {
			return &ParseError{File: file, Line: line, Err: ErrHeader,
				Hint: fmt.Sprintf("column %d of %d has no name: give every column one", j+1, len(header))}
		}
		if !utf8.ValidString(column) {
			return &ParseError{File: file, Line: line, Column: column, Err: ErrEncoding, Hint: "the name of the column is not UTF-8"}
		}
		if first, ok := places[column]; ok {
			return &ParseError{File: file, Line: line, Column: column, Err: ErrHeader,
				Hint: fmt.Sprintf("columns %d and %d have the same name: rename one", first+1, j+1)}
		}
		places[column] = j
	}
	return nil
}

// records walks the records of data, which starts at a record. A fault comes
// with the place of its record; counts are of records read and unwrapped.
func (l *csvLayout) records(data string, visit func(fields []string) *ParseError) (rows, unwrapped, off int, fault *ParseError) {
	s := newCSVScanner(data, l.comma, l.opts.MaxLine)
	for {
		ok, fault := s.next()
		if fault != nil {
			return rows, unwrapped, s.start, fault
		}
		if !ok {
			return rows, unwrapped, 0, nil
		}
		fields := s.fields
		if len(fields) != len(l.header) {
			var whole bool
			if s.single {
				fields, whole = unwrap(fields[0], l.comma, len(l.header))
			}
			if !whole {
				return rows, unwrapped, s.start, l.ragged(s)
			}
			unwrapped++
		}
		if fault := visit(fields); fault != nil {
			return rows, unwrapped, s.start, fault
		}
		rows++
	}
}

func (l *csvLayout) ragged(s *csvScanner) *ParseError {
	return &ParseError{Err: ErrRagged, Value: strings.TrimRight(s.data[s.start:s.pos], "\r\n"),
		Hint: fmt.Sprintf("the header has %d fields, this record has %d; fields that hold %q need quotes", len(l.header), len(s.fields), l.comma)}
}

// fill reads the records of data into builders, one per wanted column.
func (l *csvLayout) fill(data string, into []*builder) (unwrapped, off int, fault *ParseError) {
	_, unwrapped, off, fault = l.records(data, func(fields []string) *ParseError {
		for k, j := range l.places {
			if field := fields[j]; field == "" {
				into[k].null()
			} else if !into[k].text(field) {
				return into[k].refusal(field)
			}
		}
		return nil
	})
	return unwrapped, off, fault
}

// at completes a fault that lies at data[off:].
func (l *csvLayout) at(fault *ParseError, data string, off int) error {
	fault.File, fault.Line = l.name, lineOf(data, off)
	return fault
}

// readCSV reads a whole file in two passes over chunks of about size bytes (0:
// by the number of processors): which kinds the columns can have, then the
// values. Nothing in the result depends on the chunks.
func readCSV(data, name string, o *ReadOptions, size int) (*Table, error) {
	if err := checkText(data, name); err != nil {
		return nil, err
	}
	l, start, err := readCSVHeader(data, name, o)
	if err != nil {
		return nil, err
	}
	ends, off, fault := l.cut(data[start:], chunkSize(len(data), size))
	if fault != nil {
		return nil, l.at(fault, data, start+off)
	}
	chunk := func(i int) (string, int) {
		from := start
		if i > 0 {
			from += ends[i-1]
		}
		return data[from : start+ends[i]], from
	}

	rows := make([]int, len(ends))
	classes := make([][]class, len(ends))
	unwrapped := make([]int, len(ends))
	err = inParallel(len(ends), func(i int) error {
		part, from := chunk(i)
		seen := make([]class, len(l.places))
		for k, j := range l.places {
			if o.Kinds[l.header[j]] != 0 {
				seen[k] = words // nothing to find out
			}
		}
		n, whole, off, fault := l.records(part, func(fields []string) *ParseError {
			for k, j := range l.places {
				if seen[k] != words {
					seen[k] = seen[k].see(fields[j], o)
				}
			}
			return nil
		})
		rows[i], classes[i], unwrapped[i] = n, seen, whole
		if fault != nil {
			return l.at(fault, data, from+off)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}

	var notes []string
	g := newGather(rows, o)
	for k, j := range l.places {
		c := noValue
		for i := range classes {
			c = c.meet(classes[i][k])
		}
		kind := o.Kinds[l.header[j]]
		if kind == 0 && c == mixedTimes {
			notes = append(notes, mixedNote(l.header[j]))
		}
		g.add(l.header[j], kind, c.kind())
	}
	err = inParallel(len(ends), func(i int) error {
		part, from := chunk(i)
		if _, off, fault := l.fill(part, g.parts[i]); fault != nil {
			return l.at(fault, data, from+off)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t := g.table()
	t.Notes = append(append(unwrappedNote(sum(unwrapped)), notes...), t.Notes...)
	return t, nil
}

// cut finds ends of records about size bytes apart.
func (l *csvLayout) cut(data string, size int) (ends []int, off int, fault *ParseError) {
	s := newCSVScanner(data, l.comma, l.opts.MaxLine)
	s.skim = true
	last := 0
	for {
		ok, fault := s.next()
		if fault != nil {
			return nil, s.start, fault
		}
		if !ok {
			break
		}
		if s.pos-last >= size {
			ends, last = append(ends, s.pos), s.pos
		}
	}
	if last < len(data) {
		ends = append(ends, len(data))
	}
	return ends, 0, nil
}

func unwrappedNote(n int) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d records were quoted as a whole; they were read as if they were not", n)}
}

func mixedNote(column string) string {
	return fmt.Sprintf("column %q mixes times with and without a time of day or an offset, so it was read as a category; set its type to time to read it", column)
}

func sum(xs []int) (n int) {
	for _, x := range xs {
		n += x
	}
	return n
}
