package datasets

import "strings"

// class is what the text values of a column seen so far can all be: the meet of
// a flat lattice, so that it does not depend on the order they are seen in.
type class uint8

const (
	noValue class = iota
	numbers
	booleans
	dates
	localTimes
	zonedTimes
	mixedTimes // times of several forms
	words
)

// KindOf is the kind that Read gives a column of a text file that has these values;
// 0 if all are missing.
func KindOf(values []string, o ReadOptions) Kind {
	var c class
	for _, s := range values {
		c = c.see(s, &o)
	}
	if c == noValue {
		return 0
	}
	return c.kind()
}

// classOf is the class of one value, blanks around it trimmed.
func classOf(s string) class {
	if isNumber(s) {
		return numbers
	}
	if _, ok := parseBoolean(s); ok {
		return booleans
	}
	_, form := parseTime(s)
	return form.class()
}

func (f timeForm) class() class {
	switch f {
	case dateOnly:
		return dates
	case localTime:
		return localTimes
	case zonedTime:
		return zonedTimes
	}
	return words
}

func (c class) isTime() bool { return dates <= c && c <= mixedTimes }

// meet is the class of two sets of values together.
func (c class) meet(d class) class {
	switch {
	case c == d || d == noValue:
		return c
	case c == noValue:
		return d
	case c.isTime() && d.isTime():
		return mixedTimes
	}
	return words
}

// see takes one more field of a text file into account. Blanks and missing
// tokens say nothing: they are missing if the column turns out to hold numbers,
// booleans or times, and values of their own otherwise.
func (c class) see(s string, o *ReadOptions) class {
	if c == words {
		return c
	}
	if c == numbers && isNumber(s) {
		return c
	}
	if s = trimBlanks(s); s == "" || o.isToken(s) {
		return c
	}
	return c.meet(classOf(s))
}

// kind is the kind of a column of that class.
func (c class) kind() Kind {
	switch c {
	case numbers:
		return Number
	case booleans:
		return Boolean
	case dates, localTimes, zonedTimes:
		return Time
	}
	return Category
}

// isNumber reports whether ParseNumber takes s.
func isNumber(s string) bool {
	_, ok := ParseNumber(s)
	return ok
}

// parseBoolean reads true and false, in any case.
func parseBoolean(s string) (x float64, ok bool) {
	switch {
	case len(s) == 4 && strings.EqualFold(s, "true"):
		return 1, true
	case len(s) == 5 && strings.EqualFold(s, "false"):
		return 0, true
	}
	return 0, false
}

func trimBlanks(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
