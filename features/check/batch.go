package check

import (
	"math"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/spec"
)

// batchRows are looked at at a time.
const batchRows = 1 << 16

// batch is some records of a source, each column of the kind that the project wants
// of it.
type batch struct {
	source  *spec.Source
	file    string
	first   int64             // record of row 0
	table   *datasets.Table   // as it was read
	columns []datasets.Column // those of the table
	kept    []int32           // rows for which where holds
	bad     [][]bool          // of each column: not of its kind; nil where all are

	account  []int32 // number of each row's account, or noAccount
	user     *datasets.Column
	occurred []int64
	arrived  []int64
	end      []int64
}

func (b *batch) column(name string) *datasets.Column {
	for i := range b.columns {
		if b.columns[i].Name == name {
			return &b.columns[i]
		}
	}
	return nil
}

// badTime says whether the time in a column of a row cannot be read.
func (b *batch) badTime(column string, row int32) bool {
	for i := range b.columns {
		if b.columns[i].Name == column {
			return b.bad[i] != nil && b.bad[i][row]
		}
	}
	return false
}

// raw is a cell as the file spells it.
func (b *batch) raw(i, row int) string { return b.table.Columns[i].At(row).String() }

func (b *batch) rawOf(column string, row int) string {
	if c := b.table.Column(column); c != nil {
		return c.At(row).String()
	}
	return ""
}

// example is a row of the batch.
func (b *batch) example(c *checker, row int32, value string) Example {
	e := Example{File: b.file, Record: b.first + int64(row), Value: value}
	if a := b.account[row]; a >= 0 {
		e.Account = c.ids[a]
	}
	return e
}

// batch makes one of a table.
func (c *checker) batch(in *input, t *datasets.Table, file string, first int64) (*batch, error) {
	s := in.source
	b := &batch{source: s, file: file, first: first, table: t}
	var tokens []string
	if s.Missing == nil {
		tokens = datasets.DefaultMissing()
	}
	for i := range t.Columns {
		column, bad := convert(t.Columns[i], in.kind(t.Columns[i].Name), tokens)
		b.columns, b.bad = append(b.columns, column), append(b.bad, bad)
	}
	times := func(name string) []int64 {
		if column := b.column(name); name != "" && column != nil {
			return column.Times
		}
		return nil
	}
	b.occurred, b.arrived, b.end = times(s.Time), times(s.Arrived), times(s.End)
	if s.Kind == spec.Intervals {
		b.occurred = times(s.Start)
	}
	if s.User != "" {
		b.user = b.column(s.User)
	}
	c.accounts(b, t.Rows())
	return b, b.where(t.Rows())
}

// where keeps the rows for which the condition of the source holds.
func (b *batch) where(rows int) error {
	e := b.source.Where
	if e != nil && !slices.ContainsFunc(e.Vars, func(name string) bool { return b.column(name) == nil }) { // what is not there is told
		bound, err := e.Bind(b.columns)
		if err != nil {
			return err
		}
		mask := make([]bool, rows)
		bound.Mask(mask, 0)
		for row, holds := range mask {
			if holds {
				b.kept = append(b.kept, int32(row))
			}
		}
		return nil
	}
	b.kept = make([]int32, rows)
	for row := range b.kept {
		b.kept[row] = int32(row)
	}
	return nil
}

// accounts numbers the account of each row: that of its column, or else that of its
// user.
func (c *checker) accounts(b *batch, rows int) {
	name := b.source.Account
	if b.source.Kind == spec.Merges {
		name = b.source.Into
	}
	b.account = slices.Repeat([]int32{noAccount}, rows)
	if column := b.column(name); name != "" && column != nil {
		b.number(column, func(id string) int32 {
			if id == "" {
				return noAccount
			}
			return c.account(id)
		})
	}
	if b.source.Kind != spec.Users && b.user != nil {
		b.number(b.user, func(user string) int32 {
			if a, ok := c.users[user]; ok {
				return a
			}
			return noAccount
		})
	}
}

// number fills in the accounts of rows that have none yet.
func (b *batch) number(column *datasets.Column, of func(text string) int32) {
	const open = noAccount - 1
	codes := slices.Repeat([]int32{open}, len(column.Values))
	for row, k := range column.Codes {
		if k < 0 || b.account[row] >= 0 {
			continue
		}
		if codes[k] == open {
			codes[k] = of(column.Values[k])
		}
		b.account[row] = codes[k]
	}
}

// kind is what the project wants of a column; 0 is whatever it is.
func (in *input) kind(name string) datasets.Kind {
	s := in.source
	switch name {
	case s.Account, s.User, s.ID, s.FromAccount, s.Into:
		return datasets.Text
	case s.Time, s.Arrived, s.Start, s.End:
		return datasets.Time
	case s.Currency:
		return datasets.Category
	}
	for _, c := range s.Columns {
		if c.Name == name {
			return c.Kind
		}
	}
	return 0
}

func textual(k datasets.Kind) bool { return k == datasets.Category || k == datasets.Text }

// convert gives a column the kind that is wanted; what is not of it is missing, and
// marked bad.
func convert(c datasets.Column, want datasets.Kind, tokens []string) (out datasets.Column, bad []bool) {
	switch {
	case want == 0, c.Kind == want:
		return c, nil
	case textual(c.Kind) && textual(want):
		c.Kind = want
		return c, nil
	}
	out = datasets.Column{Name: c.Name, Kind: want}
	read := func(row int) (datasets.Value, bool) { return cell(c.At(row), want, tokens) }
	if textual(c.Kind) { // each text is read once
		values, fits := make([]datasets.Value, len(c.Values)), make([]bool, len(c.Values))
		for k, text := range c.Values {
			values[k], fits[k] = cell(datasets.Value{Kind: datasets.Text, Text: text}, want, tokens)
		}
		read = func(row int) (datasets.Value, bool) {
			k := c.Codes[row]
			if k < 0 {
				return datasets.Value{}, true
			}
			return values[k], fits[k]
		}
	}
	n := c.Len()
	switch {
	case want == datasets.Time:
		out.Times = make([]int64, 0, n)
	case textual(want):
		out.Codes = make([]int32, 0, n)
	default:
		out.Numbers = make([]float64, 0, n)
	}
	codes := map[string]int32{}
	for row := range n {
		v, fits := read(row)
		if !fits {
			if bad == nil {
				bad = make([]bool, n)
			}
			bad[row] = true
		}
		switch {
		case want == datasets.Time && v.Missing():
			out.Times = append(out.Times, missing)
		case want == datasets.Time:
			out.Times = append(out.Times, v.Time)
		case textual(want):
			code := int32(-1)
			if !v.Missing() {
				known, ok := codes[v.Text]
				if !ok {
					known = int32(len(out.Values))
					codes[v.Text] = known
					out.Values = append(out.Values, v.Text)
				}
				code = known
			}
			out.Codes = append(out.Codes, code)
		case v.Missing():
			out.Numbers = append(out.Numbers, math.NaN())
		default:
			out.Numbers = append(out.Numbers, v.Number)
		}
	}
	return out, bad
}

// cell reads a value as one of a kind; a blank, and each of the tokens, is none.
func cell(v datasets.Value, want datasets.Kind, tokens []string) (out datasets.Value, fits bool) {
	if v.Missing() {
		return v, true
	}
	if textual(want) {
		return datasets.Value{Kind: want, Text: v.String()}, true
	}
	if v.Kind == datasets.Number && want == datasets.Time {
		at, ok := instant(v.Number)
		return datasets.Value{Kind: want, Time: at}, ok
	}
	if !textual(v.Kind) {
		return datasets.Value{}, false
	}
	text := strings.TrimSpace(v.Text)
	if text == "" || slices.Contains(tokens, text) {
		return datasets.Value{}, true
	}
	out.Kind = want
	x, number := datasets.ParseNumber(text)
	switch want {
	case datasets.Number:
		out.Number, fits = x, number
	case datasets.Boolean:
		if fits = strings.EqualFold(text, "true"); fits {
			out.Number = 1
		}
		fits = fits || strings.EqualFold(text, "false")
	case datasets.Time:
		at, err := datasets.ParseTime(text)
		if out.Time, fits = at, err == nil; !fits && number {
			out.Time, fits = instant(x)
		}
	}
	if !fits {
		return datasets.Value{}, false
	}
	return out, true
}

// instant reads a number as seconds, milliseconds or microseconds since 1970, told
// apart by their size, as facts are read.
func instant(x float64) (us int64, ok bool) {
	const most = 1e11
	switch a := math.Abs(x); {
	case a < most:
		return int64(x * 1e6), true
	case a < most*1e3:
		return int64(x * 1e3), true
	case a < most*1e6:
		return int64(x), true
	}
	return missing, false
}
