package datasets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// csvPlan is what all workers know of a column while they read it.
type csvPlan struct {
	col   Column // its slices hold all rows; texts are numbered by each worker
	place int    // in a record
	set   bool   // the kind was set by hand
	class class  // what its values are taken to be, from a first look, unless set
	notes []string
}

// csvColumn is what one worker knows of a column.
type csvColumn struct {
	*csvPlan
	b        builder // of one cell at a time
	seen     class   // the class of the plan, and those that others of its values are of
	broken   bool    // they are not of the class in the plan: it is read again
	tokenRow int     // of the first token taken as missing
}

// csvWorker reads blocks of records into columns.
type csvWorker struct {
	layout    *csvLayout
	columns   []csvColumn
	unwrapped int
	buf       []byte
	marks     []uint32 // where the fields of a strip of records start, and one more
	slowly    bool     // every record the slow way
}

func newCSVWorker(l *csvLayout, plans []csvPlan) *csvWorker {
	w := &csvWorker{layout: l, columns: make([]csvColumn, len(plans))}
	for k := range plans {
		p := &plans[k]
		w.columns[k] = csvColumn{csvPlan: p, seen: p.class,
			b: builder{col: Column{Name: p.col.Name, Kind: p.col.Kind}, opts: l.opts, set: p.set, loose: l.opts.loose(p.col.Name, p.col.Kind)}}
	}
	return w
}

// most marks of a strip: they and the text between them stay in the cache.
const stripMarks = 1 << 14

// parse reads the records of data, which become the rows from row on; it stops
// after most of them, one more if there are more. A fault comes with the place of
// its record.
func (w *csvWorker) parse(data []byte, row, most int) (rows, off int, fault *ParseError) {
	l := w.layout
	s := newCSVScanner(view(data), l.comma, l.opts.MaxLine)
	returns := bytes.Count(data, []byte{'\r'})
	crlf := returns > 0 && bytes.Count(data, []byte("\r\n")) == returns
	quick := !w.slowly && len(data) < math.MaxUint32 && (returns == 0 || crlf)
	for {
		if quick {
			stop := s.quoteLine()
			if n, end := w.index(data[:stop], s.pos, crlf); n > 0 {
				if rows+n > most {
					return most + 1, 0, nil
				}
				if off, fault := w.strip(data, n, row+rows, crlf); fault != nil {
					return rows, off, fault
				}
				rows, s.pos = rows+n, end
				continue
			}
		}
		if rows == most {
			if ok, _ := s.next(); ok {
				rows++
			}
			return rows, 0, nil
		}
		ok, off, fault := w.record(s, row+rows)
		if !ok {
			return rows, off, fault
		}
		rows++
	}
}

// record reads one record the slow way, whatever is in it; false at the end and at
// a fault.
func (w *csvWorker) record(s *csvScanner, row int) (ok bool, off int, fault *ParseError) {
	l := w.layout
	ok, fault = s.next()
	if !ok {
		return false, s.start, fault
	}
	fields := s.fields
	if len(fields) != len(l.header) {
		if s.single {
			fields, ok = unwrap(fields[0], l.comma, len(l.header))
		} else {
			ok = false
		}
		if !ok {
			return false, s.start, l.ragged(s)
		}
		w.unwrapped++
	}
	for k := range w.columns {
		c := &w.columns[k]
		if !c.put(fields[c.place], row) {
			return false, s.start, c.b.refusal(fields[c.place])
		}
	}
	return true, 0, nil
}

// put takes one cell; false if its kind, set by hand, cannot hold it.
func (c *csvColumn) put(s string, row int) bool {
	if !c.set && c.class != words {
		c.seen = c.seen.see(s, c.b.opts)
		if c.seen != c.class && c.class != mixedTimes {
			c.broken = true
		}
		if c.broken {
			return true
		}
	}
	col := &c.b.col
	switch col.Kind {
	case Number, Boolean:
		col.Numbers = c.col.Numbers[row : row : row+1]
	case Time:
		col.Times = c.col.Times[row : row : row+1]
	default:
		col.Codes = c.col.Codes[row : row : row+1]
	}
	if s == "" {
		c.b.null()
		return true
	}
	tokens := c.b.tokens
	ok := c.b.text(s)
	if tokens == 0 && c.b.tokens > 0 {
		c.tokenRow = row
	}
	return ok
}

// index marks the fields of the records from pos on that end in data and have
// nothing odd about them, not more than a strip; end is after the last of them.
func (w *csvWorker) index(data []byte, pos int, crlf bool) (rows, end int) {
	stride := len(w.layout.header)
	size := max(stripMarks, 2*stride) + 16
	if len(w.marks) < size {
		w.marks = make([]uint32, size)
	}
	marks, n := w.marks, 1
	marks[0], end = uint32(pos), pos
	comma := everyByte * uint64(w.layout.comma)
	for ; pos < len(data); pos += 8 {
		var word uint64
		if pos+8 <= len(data) {
			word = binary.LittleEndian.Uint64(data[pos:])
		} else {
			var last [8]byte
			copy(last[:], data[pos:])
			word = binary.LittleEndian.Uint64(last[:])
		}
		lines := matches(word, '\n')
		m := matches(word^comma, 0) | lines
		if n+8 > len(marks) {
			break
		}
		if lines == 0 {
			// Eight bytes rarely hold more than four ends of fields.
			count := bits.OnesCount64(m)
			for k := n; ; k += 4 {
				marks[k] = uint32(pos + bits.TrailingZeros64(m)/8 + 1)
				m &= m - 1
				marks[k+1] = uint32(pos + bits.TrailingZeros64(m)/8 + 1)
				m &= m - 1
				marks[k+2] = uint32(pos + bits.TrailingZeros64(m)/8 + 1)
				m &= m - 1
				marks[k+3] = uint32(pos + bits.TrailingZeros64(m)/8 + 1)
				m &= m - 1
				if m == 0 {
					break
				}
			}
			n += count
			continue
		}
		for ; m != 0; m &= m - 1 {
			at := pos + bits.TrailingZeros64(m)/8
			marks[n] = uint32(at + 1)
			n++
			if data[at] != '\n' {
				continue
			}
			if n-1 != (rows+1)*stride || at == end || crlf && (at == end+1 || data[at-1] != '\r') {
				return rows, end // another number of fields, a blank line, another line end
			}
			rows, end = rows+1, at+1
		}
	}
	return rows, end
}

// strip reads n records that are marked, column by column.
func (w *csvWorker) strip(data []byte, n, row int, crlf bool) (off int, fault *ParseError) {
	stride := len(w.layout.header)
	for k := range w.columns {
		c := &w.columns[k]
		if c.broken && c.seen == words {
			continue // nothing more to find out
		}
		f := csvFields{data: data, marks: w.marks[c.place : (n-1)*stride+c.place+2], stride: stride, end: 1}
		if crlf && c.place == stride-1 {
			f.end = 2
		}
		if !c.strip(f, n, row) {
			return w.refused(data, n, row)
		}
	}
	return 0, nil
}

// refused finds the first fault of a strip that has one.
func (w *csvWorker) refused(data []byte, n, row int) (off int, fault *ParseError) {
	s := newCSVScanner(view(data), w.layout.comma, w.layout.opts.MaxLine)
	s.pos = int(w.marks[0])
	for i := range n {
		if ok, off, fault := w.record(s, row+i); !ok {
			return off, fault
		}
	}
	return s.pos, &ParseError{Err: ErrValue, Hint: "a value was refused and then taken"} // out of reach
}

// csvFields are the fields of one column in a strip.
type csvFields struct {
	data   []byte
	marks  []uint32
	stride int
	end    int // bytes between the end of a field and the next mark
}

// at is where field i starts and how long it is.
func (f *csvFields) at(i int) (start, size int) {
	i *= f.stride
	start = int(f.marks[i])
	return start, int(f.marks[i+1]) - f.end - start
}

// strip reads the cells of one column.
func (c *csvColumn) strip(f csvFields, n, row int) bool {
	switch {
	case len(c.b.opts.Missing) > 0 || c.broken || c.class == mixedTimes && !c.set:
	case c.b.col.Kind == Number:
		return c.numbers(f, c.col.Numbers[row:row+n], row)
	case c.b.col.Kind == Boolean:
		return c.booleans(f, c.col.Numbers[row:row+n], row)
	case c.b.col.Kind == Time:
		return c.times(f, c.col.Times[row:row+n], row)
	case c.b.col.Kind == Category || c.b.col.Kind == Text:
		return c.texts(f, c.col.Codes[row:row+n], row)
	}
	for i := range n {
		start, size := f.at(i)
		if !c.put(view(f.data[start:start+size]), row+i) {
			return false
		}
	}
	return true
}

func (c *csvColumn) numbers(f csvFields, out []float64, row int) bool {
	for i := range out {
		start, size := f.at(i)
		if uint(size-1) < 8 && start+8 <= len(f.data) {
			if x, ok := parseShort(binary.LittleEndian.Uint64(f.data[start:]), size); ok {
				out[i] = x
				continue
			}
		}
		if size == 0 {
			out[i] = math.NaN()
			continue
		}
		s := view(f.data[start : start+size])
		if x, ok := ParseNumber(s); ok {
			out[i] = x
		} else if !c.put(s, row+i) {
			return false
		}
	}
	return true
}

func (c *csvColumn) booleans(f csvFields, out []float64, row int) bool {
	const upper = 0x2020202020202020
	for i := range out {
		start, size := f.at(i)
		if size == 0 {
			out[i] = math.NaN()
			continue
		}
		if start+8 <= len(f.data) {
			word := binary.LittleEndian.Uint64(f.data[start:]) | upper
			if size == 4 && word&0xffffffff == 'e'<<24|'u'<<16|'r'<<8|'t' {
				out[i] = 1
				continue
			}
			if size == 5 && word&0xffffffffff == 'e'<<32|'s'<<24|'l'<<16|'a'<<8|'f' {
				out[i] = 0
				continue
			}
		}
		if !c.put(view(f.data[start:start+size]), row+i) {
			return false
		}
	}
	return true
}

func (c *csvColumn) times(f csvFields, out []int64, row int) bool {
	for i := range out {
		start, size := f.at(i)
		if size == 0 {
			out[i] = MissingTime
			continue
		}
		s := view(f.data[start : start+size])
		us, form := parseTime(s)
		switch {
		case form != noTime && (c.set || form.class() == c.class):
			out[i] = us
		case !c.put(s, row+i):
			return false
		}
	}
	return true
}

func (c *csvColumn) texts(f csvFields, out []int32, row int) bool {
	words := &c.b.words
	for i := range out {
		start, size := f.at(i)
		var code int32
		switch {
		case size == 0:
			out[i] = -1
			continue
		case size <= 8 && start+8 <= len(f.data):
			key := binary.LittleEndian.Uint64(f.data[start:]) << ((64 - 8*size) & 63) >> ((64 - 8*size) & 63)
			code = words.short(key, size)
		default:
			s := f.data[start : start+size]
			code = find(words, s, textKey(s))
		}
		if code < 0 {
			if !c.put(view(f.data[start:start+size]), row+i) {
				return false
			}
			continue
		}
		out[i] = code
	}
	return true
}

func (l *csvLayout) ragged(s *csvScanner) *ParseError {
	return &ParseError{Err: ErrRagged, Value: strings.TrimRight(s.data[s.start:s.pos], "\r\n"),
		Hint: fmt.Sprintf("the header has %d fields, this record has %d; fields that hold %q need quotes", len(l.header), len(s.fields), l.comma)}
}
