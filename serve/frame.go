package serve

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// frames cuts a batch into the texts of its requests, one at a time, and judges
// no more of them than it must to find their ends.
type frames interface {
	// next gives the next text, valid until the call after, and where it is. The
	// text is nil if it is longer than a request may be: only it is lost. The error
	// is io.EOF at the end, and any other ends the batch.
	next() (text []byte, at place, err error)
}

// place tells where a request lies in its batch.
type place struct {
	line   int    // of NDJSON, from 1
	prefix string // JSON Pointer within a JSON array
}

// lines are the frames of NDJSON; lines of white space alone are skipped.
type lines struct {
	r    *bufio.Reader
	max  int
	line int
	text []byte
}

func (l *lines) next() ([]byte, place, error) {
	for {
		l.line++
		l.text = l.text[:0]
		long, err := l.read()
		if err != nil && (err != io.EOF || len(l.text) == 0 && !long) {
			return nil, place{line: l.line}, err
		}
		if long {
			return nil, place{line: l.line}, nil
		}
		if len(bytes.TrimSpace(l.text)) > 0 {
			return l.text, place{line: l.line}, nil
		}
	}
}

// read fills text with one line; of a line that is too long it keeps nothing.
func (l *lines) read() (long bool, err error) {
	for {
		part, err := l.r.ReadSlice('\n')
		if !long {
			l.text = append(l.text, part...)
			if long = len(bytes.TrimRight(l.text, "\r\n")) > l.max; long {
				l.text = l.text[:0]
			}
		}
		if err != bufio.ErrBufferFull {
			return long, err
		}
	}
}

// elements are the frames of {"rows": [request, ...]}.
type elements struct {
	r     *bufio.Reader
	max   int
	at    int64 // bytes read
	row   int
	text  []byte
	stack []byte // the brackets open within a request
}

// fail ends the batch: from here on it is not known where requests end.
func (f *elements) fail(format string, args ...any) error {
	detail := fmt.Sprintf("invalid JSON at byte %d of the batch: ", f.at) + fmt.Sprintf(format, args...)
	pointer := "/rows"
	if f.row > 0 {
		pointer += "/" + strconv.Itoa(f.row-1)
	}
	return refuse(400, detail, fault{detail, pointer})
}

// byte gives the next byte; the end of the body is a fault wherever it is read.
func (f *elements) byte() (byte, error) {
	b, err := f.r.ReadByte()
	if err == io.EOF {
		return 0, f.fail("it ends early")
	}
	if err != nil {
		return 0, err
	}
	f.at++
	return b, nil
}

// space gives the next byte that is not white space.
func (f *elements) space() (byte, error) {
	for {
		b, err := f.byte()
		if err != nil || b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return b, err
		}
	}
}

func (f *elements) back() {
	_ = f.r.UnreadByte() // follows a ReadByte: cannot fail
	f.at--
}

// want reads a byte that must follow.
func (f *elements) want(want byte) error {
	b, err := f.space()
	if err == nil && b != want {
		err = f.fail("%q where %q should follow", b, want)
	}
	return err
}

// open reads up to the first request.
func (f *elements) open() error {
	if err := f.want('{'); err != nil {
		return err
	}
	b, err := f.space()
	if err != nil {
		return err
	}
	if b != '"' {
		return f.notRows("an object without rows")
	}
	f.back()
	if _, err := f.value(); err != nil {
		return err
	}
	s := scanner{text: f.text}
	if name, err := s.text8(); err != nil || name != "rows" {
		return f.notRows("the field " + clip(string(f.text)))
	}
	if err := f.want(':'); err != nil {
		return err
	}
	if b, err = f.space(); err == nil && b != '[' {
		return f.notRows("rows that are no array")
	}
	return err
}

func (f *elements) notRows(got string) error {
	detail := `a batch is {"rows": [request, ...]} and nothing else, got ` + got
	return refuse(422, detail, fault{detail, "/rows"})
}

func (f *elements) next() ([]byte, place, error) {
	if f.row == 0 {
		if err := f.open(); err != nil {
			return nil, place{}, err
		}
	}
	b, err := f.space()
	if err != nil {
		return nil, place{}, err
	}
	switch {
	case b == ']':
		return nil, place{}, f.close()
	case f.row == 0:
		f.back()
	case b != ',':
		return nil, place{}, f.fail("%q where ',' or ']' should follow", b)
	}
	at := place{prefix: "/rows/" + strconv.Itoa(f.row)}
	f.row++
	long, err := f.value()
	if long {
		return nil, at, err
	}
	return f.text, at, err
}

// close reads the end of the batch.
func (f *elements) close() error {
	b, err := f.space()
	if err != nil {
		return err
	}
	if b == ',' {
		return f.notRows("another field")
	}
	if b != '}' {
		return f.fail("%q where '}' should follow", b)
	}
	b, err = f.space()
	if err == nil {
		return f.fail("%q follows its end", b)
	}
	var p *problem
	if errors.As(err, &p) { // it ends here, as it should
		return io.EOF
	}
	return err
}

// value reads one JSON value into text by its quotes and brackets alone.
func (f *elements) value() (long bool, err error) {
	f.text, f.stack = f.text[:0], f.stack[:0]
	b, err := f.space()
	if err != nil {
		return false, err
	}
	if b == ',' || b == ']' || b == '}' {
		return false, f.fail("%q where a request should follow", b)
	}
	for quoted, escaped := false, false; ; {
		if long = long || len(f.text) >= f.max; !long {
			f.text = append(f.text, b)
		}
		bare := false
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = b == '\\', b != '"'
		case b == '"':
			quoted = true
		case b == '{' || b == '[':
			if f.stack = append(f.stack, b+2); len(f.stack) > maxDepth { // '[' and ']', '{' and '}' are 2 apart
				return long, f.fail("it nests deeper than %d", maxDepth)
			}
		case b == '}' || b == ']':
			n := len(f.stack)
			if n == 0 || f.stack[n-1] != b {
				return long, f.fail("%q closes nothing", b)
			}
			f.stack = f.stack[:n-1]
		default:
			bare = true
		}
		if len(f.stack) == 0 && !quoted && !bare {
			return long, nil
		}
		if b, err = f.byte(); err != nil {
			return long, err
		}
		if len(f.stack) == 0 && !quoted && (b == ',' || b == ']' || b == '}' || b == ' ' || b == '\n' || b == '\r' || b == '\t') {
			f.back()
			return long, nil
		}
	}
}
