package datasets

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What can be wrong with a file. Errors of this package about the content of a
// file wrap one of these, most of them through a ParseError.
var (
	ErrEmpty     = errors.New("nothing in it")
	ErrHeader    = errors.New("bad header")
	ErrRagged    = errors.New("wrong number of fields")
	ErrEncoding  = errors.New("not readable as this format")
	ErrTooLong   = errors.New("record too long")
	ErrTruncated = errors.New("cut off before its end")
	ErrValue     = errors.New("bad value")
	ErrColumn    = errors.New("no such column")
)

// ParseError says where a file is at fault and what to do about it.
type ParseError struct {
	File   string
	Line   int    // of a text file, from 1: the line on which the record starts; 0 if unknown
	Row    int    // of Parquet and Arrow, from 1; 0 if unknown
	Column string // its name, "" if the fault is not in one column
	Value  string // the offending value as the file spells it
	Hint   string // what is wanted, or what to do
	Err    error  // a sentinel of this package, or the decoder's own error
}

// Error puts the place first, as compilers do.
func (e *ParseError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	if e.Row > 0 {
		b.WriteString(", row " + strconv.Itoa(e.Row))
	}
	if e.Column != "" {
		fmt.Fprintf(&b, ", column %q", e.Column)
	}
	b.WriteString(": " + e.Err.Error())
	if e.Value != "" {
		b.WriteString(" " + strconv.Quote(shorten(e.Value)))
	}
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

// Unwrap gives the sentinel to errors.Is.
func (e *ParseError) Unwrap() error { return e.Err }

// shorten keeps a message readable when the value is a whole document.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
