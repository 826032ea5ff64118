// Package datasets reads and writes typed tables: CSV, Parquet, Arrow IPC and
// NDJSON in, the same four out, and the splits that cut a table into parts.
// It is the only package that knows Arrow; no Arrow type shows in its API.
package datasets

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Kind is the type of a column.
type Kind uint8

// The kinds of a column. Zero is no kind: a column whose kind is still open,
// or a Value that is missing.
const (
	// Number is a float64; NaN is missing. Whole numbers beyond 2^53 and
	// spellings that a float64 would not give back ("001", "+5") are not
	// numbers: such a column stays Category.
	Number Kind = iota + 1
	// Boolean is 0 or 1, held in Numbers; NaN is missing.
	Boolean
	// Category is text out of a limited or unlimited vocabulary. A column made
	// a Category by hand, all of whose values are numbers, spells each of them
	// as FormatNumber does ("28.0" and 28 are "28"), so that every file format
	// and JSON agree on it.
	Category
	// Time is an instant: microseconds since 1970 UTC, MissingTime is missing.
	Time
	// Text is kept letter by letter and never learnt from: ids, names, notes.
	Text
)

var kindNames = [...]string{"", "number", "boolean", "category", "time", "text"}

// String gives the name used in flags, JSON and messages.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// ParseKind reads a name that String writes.
func ParseKind(s string) (Kind, error) {
	for k := Number; k <= Text; k++ {
		if kindNames[k] == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q: use number, boolean, category, time or text", s)
}

// MarshalText writes the name of the kind.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKind(string(b))
	return err
}

// MissingTime is the missing value of a Time column.
const MissingTime int64 = math.MinInt64

// Column is one typed column. Exactly the fields of its kind are set; all rows
// are there, and the slices are not to be changed once a Table holds them.
type Column struct {
	Name    string
	Kind    Kind
	Numbers []float64 // Number, Boolean
	Times   []int64   // Time
	Codes   []int32   // Category, Text: index into Values, -1 is missing
	Values  []string  // Category, Text: distinct, in the order of their first row
}

// Len is the number of rows.
func (c *Column) Len() int {
	switch c.Kind {
	case Number, Boolean:
		return len(c.Numbers)
	case Time:
		return len(c.Times)
	default:
		return len(c.Codes)
	}
}

// Distinct numbers the values of the column in the order of their first rows, which
// it gives too; number has -1 for a row whose value is missing.
func (c *Column) Distinct() (number []int32, first []int) {
	switch c.Kind {
	case Number, Boolean:
		return distinct(c.Numbers, math.IsNaN)
	case Time:
		return distinct(c.Times, func(t int64) bool { return t == MissingTime })
	default:
		return distinct(c.Codes, func(k int32) bool { return k < 0 })
	}
}

func distinct[T comparable](values []T, missing func(T) bool) (number []int32, first []int) {
	number = make([]int32, len(values))
	known := map[T]int32{}
	for i, v := range values {
		if missing(v) {
			number[i] = -1
			continue
		}
		k, ok := known[v]
		if !ok {
			k = int32(len(first))
			known[v] = k
			first = append(first, i)
		}
		number[i] = k
	}
	return number, first
}

// Value is one cell; the zero Value is missing. It is passed by value, so a row
// costs no allocation per cell.
type Value struct {
	Kind   Kind // zero: missing
	Number float64
	Time   int64
	Text   string
}

// At is the cell of row i.
func (c *Column) At(i int) Value {
	switch c.Kind {
	case Number, Boolean:
		if x := c.Numbers[i]; !math.IsNaN(x) {
			return Value{Kind: c.Kind, Number: x}
		}
	case Time:
		if t := c.Times[i]; t != MissingTime {
			return Value{Kind: Time, Time: t}
		}
	case Category, Text:
		if k := c.Codes[i]; k >= 0 {
			return Value{Kind: c.Kind, Text: c.Values[k]}
		}
	}
	return Value{}
}

// ColumnOf is the column of such cells, each of them missing or of its kind.
func ColumnOf(name string, kind Kind, cells []Value) Column {
	out := Column{Name: name, Kind: kind}
	codes := map[string]int32{}
	for _, v := range cells {
		switch kind {
		case Number, Boolean:
			x := math.NaN()
			if !v.Missing() {
				x = v.Number
			}
			out.Numbers = append(out.Numbers, x)
		case Time:
			us := MissingTime
			if !v.Missing() {
				us = v.Time
			}
			out.Times = append(out.Times, us)
		default:
			code := int32(-1)
			if !v.Missing() {
				var ok bool
				if code, ok = codes[v.Text]; !ok {
					code = int32(len(out.Values))
					codes[v.Text], out.Values = code, append(out.Values, v.Text)
				}
			}
			out.Codes = append(out.Codes, code)
		}
	}
	return out
}

// Missing reports whether the cell is missing.
func (v Value) Missing() bool { return v.Kind == 0 }

// String spells the cell as the writers do; a missing cell is "".
func (v Value) String() string {
	switch v.Kind {
	case Number:
		return FormatNumber(v.Number)
	case Boolean:
		return strconv.FormatBool(v.Number != 0)
	case Time:
		return FormatTime(v.Time)
	default:
		return v.Text
	}
}

// MarshalJSON writes a number, a boolean, a string (a Time in RFC 3339) or null.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Kind {
	case 0:
		return []byte("null"), nil
	case Number:
		if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
			return []byte("null"), nil
		}
		return []byte(FormatNumber(v.Number)), nil
	case Boolean:
		return strconv.AppendBool(nil, v.Number != 0), nil
	default:
		return json.Marshal(v.String())
	}
}

// FormatNumber is the one spelling of a number: the shortest that ParseNumber
// reads back as the same float64, without an exponent from 1e-6 up to 1e15, where
// whole numbers would have more digits than ParseNumber takes; -0 is 0.
func FormatNumber(x float64) string { return string(AppendNumber(nil, x)) }

// FormatTime spells an instant in RFC 3339, UTC, to the microsecond.
func FormatTime(us int64) string { return string(AppendTime(nil, us)) }

// Table is columns of one length, with names that are unique and not empty.
type Table struct {
	Columns []Column
	// Notes say what the reader did beyond reading, for people: records that
	// were unwrapped, tokens taken as missing.
	Notes []string
}

// Rows is the number of rows.
func (t *Table) Rows() int {
	if len(t.Columns) == 0 {
		return 0
	}
	return t.Columns[0].Len()
}

// Column is the column of that name, nil if there is none.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Names are the names of the columns, in order.
func (t *Table) Names() []string {
	out := make([]string, len(t.Columns))
	for i := range t.Columns {
		out[i] = t.Columns[i].Name
	}
	return out
}

// Take is the table of the given rows, in the given order. Values are shared.
func (t *Table) Take(rows []int) *Table {
	out := &Table{Columns: make([]Column, len(t.Columns)), Notes: t.Notes}
	for i := range t.Columns {
		c := t.Columns[i]
		c.Numbers, c.Times, c.Codes = Take(c.Numbers, rows), Take(c.Times, rows), Take(c.Codes, rows)
		out.Columns[i] = c
	}
	return out
}

// Take is the values of the given rows, in the given order; nil stays nil.
func Take[T any](xs []T, rows []int) []T {
	if xs == nil {
		return nil
	}
	out := make([]T, len(rows))
	for k, i := range rows {
		out[k] = xs[i]
	}
	return out
}
