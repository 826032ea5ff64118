package datasets

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonType is the type of a JSON value.
type jsonType uint8

const (
	jsonNull jsonType = iota
	jsonString
	jsonNumber
	jsonBoolean
	jsonNested
)

var jsonTypeNames = [...]string{"null", "string", "number", "boolean", "nested value"}

// jsonValue is one value; text is the content of a string, the spelling of
// anything else.
type jsonValue struct {
	kind jsonType
	text string
}

// jsonScanner reads one flat object as RFC 8259 has it, strictly; of nested
// values it finds the end.
type jsonScanner struct {
	s string
	i int
}

// scanObject reads an object that fills s and calls visit for each member. What
// is wrong comes as a fault with its value and hint.
func scanObject(s string, visit func(key string, v jsonValue) *ParseError) *ParseError {
	p := &jsonScanner{s: s}
	p.space()
	if p.i >= len(s) || s[p.i] != '{' {
		return p.fault("every line must be one JSON object, {...}")
	}
	p.i++
	p.space()
	if p.take('}') {
		return p.end()
	}
	for {
		p.space()
		key, fault := p.str()
		if fault != nil {
			return fault
		}
		p.space()
		if !p.take(':') {
			return p.fault("a colon is wanted after a key")
		}
		p.space()
		v, fault := p.value()
		if fault != nil {
			return fault
		}
		if fault := visit(key, v); fault != nil {
			return fault
		}
		p.space()
		if p.take('}') {
			return p.end()
		}
		if !p.take(',') {
			return p.fault("a comma or closing brace is wanted")
		}
	}
}

func (p *jsonScanner) end() *ParseError {
	p.space()
	if p.i < len(p.s) {
		return p.fault("something follows the object; every line must be one JSON object")
	}
	return nil
}

func (p *jsonScanner) fault(hint string) *ParseError {
	return &ParseError{Err: ErrValue, Value: p.s[min(p.i, len(p.s)):], Hint: hint}
}

func (p *jsonScanner) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\r' || p.s[p.i] == '\n') {
		p.i++
	}
}

func (p *jsonScanner) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *jsonScanner) value() (jsonValue, *ParseError) {
	rest := p.s[p.i:]
	switch {
	case rest == "":
		return jsonValue{}, p.fault("the line ends where a value is wanted")
	case rest[0] == '"':
		text, fault := p.str()
		return jsonValue{jsonString, text}, fault
	case rest[0] == '-' || isDigit(rest[0]):
		return p.number()
	case rest[0] == '{' || rest[0] == '[':
		return p.nested()
	case strings.HasPrefix(rest, "null"):
		p.i += 4
		return jsonValue{jsonNull, "null"}, nil
	case strings.HasPrefix(rest, "true"):
		p.i += 4
		return jsonValue{jsonBoolean, "true"}, nil
	case strings.HasPrefix(rest, "false"):
		p.i += 5
		return jsonValue{jsonBoolean, "false"}, nil
	}
	return jsonValue{}, p.fault("no JSON value: write null for what is missing, and quote text")
}

func (p *jsonScanner) number() (jsonValue, *ParseError) {
	start := p.i
	run := func() int {
		from := p.i
		for p.i < len(p.s) && isDigit(p.s[p.i]) {
			p.i++
		}
		return p.i - from
	}
	bad := func() (jsonValue, *ParseError) {
		p.i = start
		return jsonValue{}, p.fault("no JSON number: digits without a leading zero, then fraction and exponent")
	}
	p.take('-')
	zero := p.i < len(p.s) && p.s[p.i] == '0'
	if n := run(); n == 0 || (zero && n > 1) {
		return bad()
	}
	if p.take('.') && run() == 0 {
		return bad()
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if run() == 0 {
			return bad()
		}
	}
	return jsonValue{jsonNumber, p.s[start:p.i]}, nil
}

// str reads a string, the opening quote at p.i.
func (p *jsonScanner) str() (string, *ParseError) {
	if p.i >= len(p.s) || p.s[p.i] != '"' {
		return "", p.fault("a key in double quotes is wanted")
	}
	start := p.i + 1
	for i := start; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.i = i + 1
			return p.s[start:i], nil
		case c == '\\':
			return p.escaped(start, i)
		case c < 0x20:
			p.i = i
			return "", p.fault("control characters in a string must be escaped")
		}
	}
	return "", p.fault("the string is never closed")
}

// escaped reads the rest of a string from its first backslash on.
func (p *jsonScanner) escaped(start, i int) (string, *ParseError) {
	open := p.i
	var b strings.Builder
	b.WriteString(p.s[start:i])
	for i < len(p.s) {
		c := p.s[i]
		if c == '"' {
			p.i = i + 1
			return b.String(), nil
		}
		if c < 0x20 {
			p.i = i
			return "", p.fault("control characters in a string must be escaped")
		}
		if c != '\\' {
			b.WriteByte(c)
			i++
			continue
		}
		r, n := unescape(p.s[i:])
		if n == 0 {
			p.i = i
			return "", p.fault(`no escape of JSON: \" \\ \/ \b \f \n \r \t, or \u with four hex digits and no half of a surrogate pair`)
		}
		b.WriteRune(r)
		i += n
	}
	p.i = open
	return "", p.fault("the string is never closed")
}

// unescape reads one escape; n is 0 if it is none.
func unescape(s string) (r rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	if k := strings.IndexByte(`"\/bfnrt`, s[1]); k >= 0 {
		return rune("\"\\/\b\f\n\r\t"[k]), 2
	}
	r, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := hex4(s[6:])
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// hex4 reads \uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	x, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(x), err == nil
}

// nested finds the end of an object or array, which is only checked as far as
// that needs.
func (p *jsonScanner) nested() (jsonValue, *ParseError) {
	start, depth := p.i, 0
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case '"':
			if _, fault := p.str(); fault != nil {
				return jsonValue{}, fault
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		p.i++
		if depth == 0 {
			return jsonValue{jsonNested, p.s[start:p.i]}, nil
		}
	}
	p.i = start
	return jsonValue{}, p.fault("it is never closed")
}
