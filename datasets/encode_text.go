package datasets

import (
	"bufio"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// AppendNumber appends a number as FormatNumber spells it.
func AppendNumber(b []byte, x float64) []byte {
	if n := int64(x); float64(n) == x && -wholeDigits <= n && n <= wholeDigits {
		return strconv.AppendInt(b, n, 10)
	}
	if a := math.Abs(x); a < 1e-6 || a >= 1e15 {
		return strconv.AppendFloat(b, x, 'g', -1, 64)
	}
	return strconv.AppendFloat(b, x, 'f', -1, 64)
}

// AppendTime appends an instant as FormatTime spells it.
func AppendTime(b []byte, us int64) []byte {
	return time.UnixMicro(us).UTC().AppendFormat(b, "2006-01-02T15:04:05.999999Z07:00")
}

// AppendValue appends a cell as its String spells it; nothing for a missing one.
func AppendValue(b []byte, v Value) []byte {
	switch v.Kind {
	case Number:
		return AppendNumber(b, v.Number)
	case Boolean:
		return strconv.AppendBool(b, v.Number != 0)
	case Time:
		return AppendTime(b, v.Time)
	default:
		return append(b, v.Text...)
	}
}

// chunkRows is how many rows one processor spells at a time.
const chunkRows = 2048

// rowSpeller spells rows of a table in a text format.
type rowSpeller interface {
	// ready takes the table that appendRows is then called about, on several
	// processors.
	ready(t *Table)
	appendRows(b []byte, from, to int) []byte
}

// textEncoder writes a text format: parts of a table are spelt on all processors
// and written in order.
type textEncoder struct {
	out *bufio.Writer
	rowSpeller
	parts [][]byte // memory, used again
}

func (e *textEncoder) write(t *Table) error {
	e.ready(t)
	if e.parts == nil {
		e.parts = make([][]byte, 2*runtime.GOMAXPROCS(0))
	}
	rows := t.Rows()
	for start := 0; start < rows; start += chunkRows * len(e.parts) {
		n := min(len(e.parts), (rows-start+chunkRows-1)/chunkRows)
		_ = inParallel(n, func(k int) error {
			from := start + k*chunkRows
			e.parts[k] = e.appendRows(e.parts[k][:0], from, min(from+chunkRows, rows))
			return nil
		})
		for _, part := range e.parts[:n] {
			if _, err := e.out.Write(part); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *textEncoder) close() error { return nil }

// spelling is a column on its way into a text file.
type spelling struct {
	*Column
	texts []string // Values as they stand in the file
	// The number or time spelt last: neighbours are often the same.
	number float64
	time   int64
	last   [40]byte
	n      int // of last; 0: nothing yet
}

// spellings readies the columns of a table; spell gives a text as it stands in
// the file, without a copy if it is the same.
func spellings(t *Table, spell func(string) string) []spelling {
	out := make([]spelling, len(t.Columns))
	for j := range out {
		c := &t.Columns[j]
		out[j].Column, out[j].texts = c, c.Values
		for k, s := range c.Values {
			if as := spell(s); as != s {
				if &out[j].texts[0] == &c.Values[0] {
					out[j].texts = append([]string(nil), c.Values...)
				}
				out[j].texts[k] = as
			}
		}
	}
	return out
}

// missing says that the cell of row i is.
func (s *spelling) missing(i int) bool {
	switch {
	case s.Codes != nil:
		return s.Codes[i] < 0
	case s.Kind == Time:
		return s.Times[i] == MissingTime
	}
	return s.Numbers[i] != s.Numbers[i]
}

// append spells a number, boolean or time that is not missing as Value.String does.
func (s *spelling) append(b []byte, i int) []byte {
	switch s.Kind {
	case Boolean:
		return strconv.AppendBool(b, s.Numbers[i] != 0)
	case Time:
		us := s.Times[i]
		if s.n > 0 && us == s.time {
			return append(b, s.last[:s.n]...)
		}
		from := len(b)
		b = AppendTime(b, us)
		s.time, s.n = us, copy(s.last[:], b[from:])
		return b
	}
	x := s.Numbers[i]
	if n := int64(x); float64(n) == x && -wholeDigits <= n && n <= wholeDigits {
		return strconv.AppendInt(b, n, 10) // as AppendNumber does
	}
	if s.n > 0 && x == s.number {
		return append(b, s.last[:s.n]...)
	}
	from := len(b)
	b = AppendNumber(b, x)
	s.number, s.n = x, copy(s.last[:], b[from:])
	return b
}

// csvSpeller spells RFC 4180 with LF: quotes only where they are needed, a
// missing value as nothing, an empty text as "".
type csvSpeller struct {
	comma   byte
	columns []spelling
}

func newCSVEncoder(out *bufio.Writer, comma byte, names []string) (*textEncoder, error) {
	c := &csvSpeller{comma: comma}
	for j, name := range names {
		if j > 0 {
			if err := out.WriteByte(comma); err != nil {
				return nil, err
			}
		}
		if _, err := out.WriteString(c.text(name)); err != nil {
			return nil, err
		}
	}
	return &textEncoder{out: out, rowSpeller: c}, out.WriteByte('\n')
}

func (c *csvSpeller) ready(t *Table) { c.columns = spellings(t, c.text) }

func (c *csvSpeller) appendRows(b []byte, from, to int) []byte {
	columns := append([]spelling(nil), c.columns...) // what was spelt last is each part's own
	for i := from; i < to; i++ {
		start := len(b)
		for j := range columns {
			if j > 0 {
				b = append(b, c.comma)
			}
			s := &columns[j]
			switch {
			case s.Codes != nil:
				if k := s.Codes[i]; k >= 0 {
					b = append(b, s.texts[k]...)
				}
			case !s.missing(i):
				b = s.append(b, i)
			}
		}
		if len(b) == start {
			b = append(b, '"', '"') // an empty line would be no record
		}
		b = append(b, '\n')
	}
	return b
}

// text quotes a text if it needs quotes.
func (c *csvSpeller) text(s string) string {
	plain := s != "" && !strings.HasPrefix(s, byteOrderMark)
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] != '"' && s[i] != '\n' && s[i] != '\r' && s[i] != c.comma
	}
	if plain {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// jsonSpeller spells one object a line, with every key in every line.
type jsonSpeller struct {
	keys    []string // with what goes before and after
	columns []spelling
}

func newJSONEncoder(out *bufio.Writer, names []string) *textEncoder {
	s := &jsonSpeller{}
	before := "{"
	for _, name := range names {
		s.keys = append(s.keys, before+`"`+jsonText(name)+`":`)
		before = ","
	}
	return &textEncoder{out: out, rowSpeller: s}
}

func (o *jsonSpeller) ready(t *Table) { o.columns = spellings(t, jsonText) }

func (o *jsonSpeller) appendRows(b []byte, from, to int) []byte {
	columns := append([]spelling(nil), o.columns...) // what was spelt last is each part's own
	for i := from; i < to; i++ {
		for j := range columns {
			b = append(b, o.keys[j]...)
			s := &columns[j]
			switch {
			case s.missing(i):
				b = append(b, "null"...)
			case s.Codes != nil:
				b = append(append(append(b, '"'), s.texts[s.Codes[i]]...), '"')
			case s.Kind == Time:
				b = append(s.append(append(b, '"'), i), '"')
			default:
				b = s.append(b, i)
			}
		}
		b = append(b, '}', '\n')
	}
	return b
}

// jsonText is what stands between the quotes of a JSON string.
func jsonText(s string) string {
	const hex = "0123456789abcdef"
	var b []byte // nil as long as s stands as it is
	for i := 0; i < len(s); i++ {
		c := s[i]
		plain := c >= 0x20 && c != '"' && c != '\\' && c != 0x7f
		if plain && b == nil {
			continue
		}
		if b == nil {
			b = append(make([]byte, 0, len(s)+8), s[:i]...)
		}
		switch {
		case plain:
			b = append(b, c)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	if b == nil {
		return s
	}
	return string(b)
}
