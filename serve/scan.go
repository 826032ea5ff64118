package serve

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep JSON may nest: a request needs two levels, a batch four.
const maxDepth = 32

// scanner walks one JSON text (RFC 8259) from left to right. It is stricter than
// encoding/json: a name given twice, bytes that are not UTF-8 and half of a
// surrogate pair are errors, because reading on would mean to guess. Its errors
// are *problem with status 400, the byte and the place.
type scanner struct {
	text    []byte
	at      int
	pointer string // JSON Pointer to what is being read, or to what path is within
	// path are the names of the objects within pointer that members is in, as they stand
	// between their quotes: they are spelled only if something is wrong.
	path  [2]span
	depth int
}

// span is a piece of the text.
type span struct{ from, to int }

// place is the JSON Pointer to what is being read.
func (s *scanner) place() string {
	out := s.pointer
	for _, at := range s.path[:min(s.depth, len(s.path))] {
		name := scanner{text: s.text[:at.to+1], at: at.from - 1}
		text, _ := name.text8() // it was read before
		out += "/" + escapePointer(text)
	}
	return out
}

// fail reports the text as no JSON at the present byte.
func (s *scanner) fail(format string, args ...any) *problem {
	detail := fmt.Sprintf("invalid JSON at byte %d: ", s.at) + fmt.Sprintf(format, args...)
	return refuse(400, detail, fault{detail, s.place()})
}

// validUTF8 checks the whole text at once.
func (s *scanner) validUTF8() error {
	if utf8.Valid(s.text) {
		return nil
	}
	for s.at < len(s.text) {
		r, size := utf8.DecodeRune(s.text[s.at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		s.at += size
	}
	return s.fail("byte 0x%02x is not UTF-8", s.text[s.at])
}

// next skips white space and gives the byte that follows, 0 at the end.
func (s *scanner) next() byte {
	for s.at < len(s.text) {
		switch b := s.text[s.at]; b {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return b
		}
	}
	return 0
}

// take skips white space and one byte that must follow.
func (s *scanner) take(want byte) error {
	if s.next() != want {
		return s.unexpected(fmt.Sprintf("%q", want))
	}
	s.at++
	return nil
}

func (s *scanner) unexpected(want string) *problem {
	if s.at >= len(s.text) {
		return s.fail("it ends where %s should follow", want)
	}
	for _, word := range []string{"NaN", "Infinity", "-Infinity", "nan", "inf", "-inf"} {
		if bytes.HasPrefix(s.text[s.at:], []byte(word)) {
			return s.fail("%s is no JSON number: send null for a missing value", word)
		}
	}
	r, _ := utf8.DecodeRune(s.text[s.at:])
	return s.fail("%q where %s should follow", r, want)
}

// end checks that nothing but white space is left.
func (s *scanner) end() error {
	if s.next() != 0 || s.at < len(s.text) {
		return s.unexpected("the end")
	}
	return nil
}

// object reads an object and calls member at the value of each name; member may
// set the pointer. Names given twice are the caller's to find, who knows them.
func (s *scanner) object(member func(name string) error) error {
	here := s.pointer
	return s.walk(func(name []byte, _ span) error {
		err := member(string(name))
		if err == nil {
			s.pointer = here
		}
		return err
	})
}

// members is object for those who leave the pointer alone: the path says where they are.
// The name is valid until member returns.
func (s *scanner) members(member func(name []byte) error) error {
	return s.walk(func(name []byte, at span) error {
		if s.depth < len(s.path) {
			s.path[s.depth] = at
		}
		s.depth++
		err := member(name)
		if err == nil {
			s.depth--
		}
		return err
	})
}

// walk reads an object and calls member at the value of each name, with what stands
// between its quotes.
func (s *scanner) walk(member func(name []byte, at span) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if s.next() == '}' {
		s.at++
		return nil
	}
	for {
		if s.next() != '"' {
			return s.unexpected("a name in quotes")
		}
		at := span{from: s.at + 1}
		name, err := s.letters()
		if err != nil {
			return err
		}
		at.to = s.at - 1
		if err := s.take(':'); err != nil {
			return err
		}
		s.next()
		if err := member(name, at); err != nil {
			return err
		}
		if s.next() == '}' {
			s.at++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

// text8 reads a string and decodes its escapes.
func (s *scanner) text8() (string, error) {
	text, err := s.letters()
	return string(text), err
}

// letters reads a string and decodes its escapes; without any, it is a piece of the text.
func (s *scanner) letters() ([]byte, error) {
	s.at++ // the opening quote
	start := s.at
	for s.at < len(s.text) {
		switch b := s.text[s.at]; {
		case b == '"':
			s.at++
			return s.text[start : s.at-1], nil
		case b == '\\':
			return s.escaped(bytes.Clone(s.text[start:s.at]))
		case b < ' ':
			return nil, s.fail("a control character (0x%02x) in text must be escaped", b)
		}
		s.at++
	}
	return nil, s.fail("it ends within text")
}

// escaped goes on with a string from its first escape.
func (s *scanner) escaped(out []byte) ([]byte, error) {
	for s.at < len(s.text) {
		b := s.text[s.at]
		switch {
		case b == '"':
			s.at++
			return out, nil
		case b < ' ':
			return nil, s.fail("a control character (0x%02x) in text must be escaped", b)
		case b != '\\':
			out = append(out, b)
			s.at++
			continue
		}
		r, err := s.escape()
		if err != nil {
			return nil, err
		}
		out = utf8.AppendRune(out, r)
	}
	return nil, s.fail("it ends within text")
}

// escape reads one escape, a surrogate pair as one.
func (s *scanner) escape() (rune, error) {
	if s.at+1 >= len(s.text) {
		return 0, s.fail("it ends within text")
	}
	if s.text[s.at+1] != 'u' {
		const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
		i := bytes.IndexByte([]byte(from), s.text[s.at+1])
		if i < 0 {
			return 0, s.fail("\\%c is no escape", s.text[s.at+1])
		}
		s.at += 2
		return rune(to[i]), nil
	}
	r, ok := hex4(s.text[s.at:])
	if !ok {
		return 0, s.fail("\\u must be followed by four hexadecimal digits")
	}
	if !utf16.IsSurrogate(r) {
		s.at += 6
		return r, nil
	}
	low, _ := hex4(s.text[s.at+6:])
	pair := utf16.DecodeRune(r, low)
	if pair == utf8.RuneError {
		return 0, s.fail("%s is half of a surrogate pair", s.text[s.at:s.at+6])
	}
	s.at += 12
	return pair, nil
}

// hex4 reads \uXXXX.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number and gives its letters.
func (s *scanner) number() ([]byte, error) {
	start := s.at
	if s.text[s.at] == '-' {
		s.at++
	}
	first := s.at
	if s.digits() == 0 {
		s.at = start
		return nil, s.unexpected("a number")
	}
	if s.text[first] == '0' && s.at > first+1 {
		s.at = start
		return nil, s.fail("a number may not start with 0: send text to keep its zeros")
	}
	if s.at < len(s.text) && s.text[s.at] == '.' {
		s.at++
		if s.digits() == 0 {
			return nil, s.unexpected("a digit")
		}
	}
	if s.at < len(s.text) && (s.text[s.at] == 'e' || s.text[s.at] == 'E') {
		s.at++
		if s.at < len(s.text) && (s.text[s.at] == '-' || s.text[s.at] == '+') {
			s.at++
		}
		if s.digits() == 0 {
			return nil, s.unexpected("a digit")
		}
	}
	return s.text[start:s.at], nil
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

// literal reads true, false or null.
func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.text[s.at:], []byte(word)) {
		return s.unexpected("a value")
	}
	s.at += len(word)
	return nil
}

// skip reads a value of any type and forgets it.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.fail("it nests deeper than %d", maxDepth)
	}
	switch b := s.next(); b {
	case '{':
		return s.object(func(string) error { return s.skip(depth + 1) })
	case '[':
		return s.skipArray(depth)
	case '"':
		_, err := s.text8()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if b == '-' || '0' <= b && b <= '9' {
			_, err := s.number()
			return err
		}
		return s.unexpected("a value")
	}
}

func (s *scanner) skipArray(depth int) error {
	s.at++
	if s.next() == ']' {
		s.at++
		return nil
	}
	for {
		if err := s.skip(depth + 1); err != nil {
			return err
		}
		if s.next() == ']' {
			s.at++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}
