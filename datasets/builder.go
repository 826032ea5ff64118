package datasets

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// wholeDigits is the greatest whole number that ParseNumber takes: integers of
// typed files are held to the same rule as the digits of text files.
const wholeDigits = 999_999_999_999_999

// builder grows one column, cell by cell. Its methods report false for a cell
// that the kind of the column cannot hold.
type builder struct {
	col  Column
	opts *ReadOptions
	// set says that the kind was set by hand.
	set bool
	// open says that a Number may still turn into a Category: the kind was not
	// set, and the whole column is being read.
	open bool
	// infinite lets infinite numbers pass: parts of artifacts hold bounds.
	infinite bool

	// loose takes as missing what is no time, in a column of times.
	loose bool

	words dictionary // its values are those of the column

	blanks, tokens int // fields taken as missing that were not empty
	token          string
}

func newBuilder(name string, kind Kind, o *ReadOptions) *builder {
	return &builder{col: Column{Name: name, Kind: kind}, opts: o, loose: o.loose(name, kind)}
}

// loose says that what is no time is missing in a column.
func (o *ReadOptions) loose(name string, kind Kind) bool {
	return kind == Time && slices.Contains(o.LooseTimes, name)
}

// refused is what a value that is no time becomes: missing, or a fault.
func (b *builder) refused() bool {
	if b.loose {
		b.null()
	}
	return b.loose
}

// reserve makes room for n rows.
func (b *builder) reserve(n int) {
	switch b.col.Kind {
	case Number, Boolean:
		b.col.Numbers = make([]float64, 0, n)
	case Time:
		b.col.Times = make([]int64, 0, n)
	default:
		b.col.Codes = make([]int32, 0, n)
	}
}

// again is the builder without its rows, whose memory it uses again; the texts keep
// their codes.
func (b *builder) again() *builder {
	b.col.Numbers, b.col.Times, b.col.Codes = b.col.Numbers[:0], b.col.Times[:0], b.col.Codes[:0]
	return b
}

func (b *builder) null() {
	switch b.col.Kind {
	case Number, Boolean:
		b.col.Numbers = append(b.col.Numbers, math.NaN())
	case Time:
		b.col.Times = append(b.col.Times, MissingTime)
	default:
		b.col.Codes = append(b.col.Codes, -1)
	}
}

// text takes a field of a text file or a text of a typed one.
func (b *builder) text(s string) bool {
	if b.col.Kind == Category || b.col.Kind == Text {
		return b.listed(s) || b.intern(s)
	}
	if b.col.Kind == Number && b.opts.Missing == nil { // the common case first
		if x, ok := ParseNumber(s); ok {
			b.col.Numbers = append(b.col.Numbers, x)
			return true
		}
	}
	s = trimBlanks(s)
	if s == "" || b.opts.isToken(s) {
		b.drop(s)
		return true
	}
	switch b.col.Kind {
	case Number:
		x, ok := ParseNumber(s)
		b.col.Numbers = append(b.col.Numbers, x)
		return ok
	case Boolean:
		x, ok := parseBoolean(s)
		if !ok {
			x, ok = ParseNumber(s)
			ok = ok && (x == 0 || x == 1)
		}
		b.col.Numbers = append(b.col.Numbers, x)
		return ok
	default:
		us, form := parseTime(s)
		if form == noTime {
			return b.refused()
		}
		b.col.Times = append(b.col.Times, us)
		return true
	}
}

// listed takes s as missing if Missing lists it for every column.
func (b *builder) listed(s string) bool {
	if len(b.opts.Missing) == 0 || !b.opts.isToken(s) {
		return false
	}
	b.drop(s)
	return true
}

// drop takes a blank or a token as missing, and counts it.
func (b *builder) drop(s string) {
	if s == "" {
		b.blanks++
	} else {
		if b.tokens++; b.tokens == 1 {
			b.token = strings.Clone(s)
		}
	}
	b.null()
}

// intern takes a text letter by letter.
func (b *builder) intern(s string) bool {
	key := textKey(s)
	k := find(&b.words, s, key)
	if k < 0 {
		if !utf8.ValidString(s) {
			return false
		}
		k = b.words.add(strings.Clone(s), key) // s may be a piece of a whole file
	}
	b.col.Codes = append(b.col.Codes, k)
	return true
}

// letters gives the code of a text letter by letter.
func (b *builder) letters(s []byte, code *int32) bool {
	key := textKey(s)
	k := find(&b.words, s, key)
	if k < 0 {
		if !utf8.Valid(s) {
			return false
		}
		k = b.words.add(string(s), key)
	}
	*code = k
	return true
}

// column is the column as it stands.
func (b *builder) column() Column {
	c := b.col
	c.Values = b.words.values
	return c
}

// digits takes the decimal spelling of a number of a typed file.
func (b *builder) digits(s string) bool {
	if b.listed(s) {
		return true
	}
	switch b.col.Kind {
	case Number:
		if x, ok := ParseNumber(s); ok {
			b.col.Numbers = append(b.col.Numbers, x)
			return true
		}
		if !b.open {
			return false
		}
		b.demote()
		return b.intern(s)
	case Category, Text:
		return b.intern(s)
	case Boolean:
		if s != "0" && s != "1" {
			return false
		}
		b.col.Numbers = append(b.col.Numbers, float64(s[0]-'0'))
		return true
	}
	return b.refused()
}

// demote turns a Number column into a Category of the digits read so far.
func (b *builder) demote() {
	xs := b.col.Numbers
	b.col = Column{Name: b.col.Name, Kind: Category}
	for _, x := range xs {
		if math.IsNaN(x) {
			b.null()
			continue
		}
		b.intern(FormatNumber(x))
	}
}

func (b *builder) integer(v int64) bool {
	if b.col.Kind == Number && len(b.opts.Missing) == 0 && -wholeDigits <= v && v <= wholeDigits {
		b.col.Numbers = append(b.col.Numbers, float64(v))
		return true
	}
	return b.digits(strconv.FormatInt(v, 10))
}

func (b *builder) unsigned(v uint64) bool {
	if v <= wholeDigits {
		return b.integer(int64(v))
	}
	return b.digits(strconv.FormatUint(v, 10))
}

// float takes a floating-point number of a typed file; NaN is missing.
func (b *builder) float(x float64) bool {
	if math.IsNaN(x) {
		b.null()
		return true
	}
	if math.IsInf(x, 0) && !b.infinite {
		return false
	}
	if len(b.opts.Missing) > 0 && b.listed(FormatNumber(x)) {
		return true
	}
	switch b.col.Kind {
	case Number:
		b.col.Numbers = append(b.col.Numbers, x+0)
	case Boolean:
		if x != 0 && x != 1 {
			return false
		}
		b.col.Numbers = append(b.col.Numbers, x+0)
	case Category, Text:
		return b.intern(FormatNumber(x))
	default:
		return b.refused()
	}
	return true
}

func (b *builder) boolean(v bool) bool {
	switch b.col.Kind {
	case Boolean:
		x := 0.0
		if v {
			x = 1
		}
		b.col.Numbers = append(b.col.Numbers, x)
		return true
	case Category, Text:
		return b.intern(strconv.FormatBool(v))
	}
	return b.refused()
}

// instant takes microseconds since 1970 UTC.
func (b *builder) instant(us int64) bool {
	if us < earliestTime || us > latestTime {
		return b.refused()
	}
	switch b.col.Kind {
	case Time:
		b.col.Times = append(b.col.Times, us)
		return true
	case Category, Text:
		return b.intern(FormatTime(us))
	}
	return false
}

// canonical spells the values of a Category as FormatNumber does if all of them
// are numbers, and merges those that become the same.
func (c *Column) canonical() {
	if c.Kind != Category {
		return
	}
	var words dictionary
	codes := make([]int32, len(c.Values))
	for k, s := range c.Values {
		x, ok := ParseNumber(s)
		if !ok {
			return
		}
		codes[k] = number(&words, FormatNumber(x))
	}
	c.Values = words.values
	for i, k := range c.Codes {
		if k >= 0 {
			c.Codes[i] = codes[k]
		}
	}
}

// notes say what was taken as missing.
func (b *builder) notes() (out []string) {
	if b.blanks > 0 {
		out = append(out, fmt.Sprintf("column %q: %d blank fields taken as missing", b.col.Name, b.blanks))
	}
	if b.tokens > 0 {
		out = append(out, fmt.Sprintf("column %q: %d fields such as %q taken as missing", b.col.Name, b.tokens, b.token))
	}
	return out
}

// refusal is the error about a cell that b could not hold.
func (b *builder) refusal(value string) *ParseError {
	e := &ParseError{Column: b.col.Name, Value: value, Err: ErrValue}
	switch {
	case !utf8.ValidString(value):
		e.Err, e.Hint = ErrEncoding, "text must be UTF-8"
	case b.col.Kind == Number:
		e.Hint = "a number is wanted: digits, a decimal point, at most 15 digits in a whole number, nothing infinite; set the type of the column to category or text to keep it as it is"
	case b.col.Kind == Boolean:
		e.Hint = "a boolean is wanted: true, false, 1 or 0"
	case b.col.Kind == Time:
		e.Hint = "a time is wanted: 2006-01-02 or 2006-01-02T15:04:05Z, years 0 to 9999"
	default:
		e.Hint = "it has no spelling as text"
	}
	return e
}
