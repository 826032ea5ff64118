package scorecard

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features"
)

// Table is a scorecard as people edit it, one Row a bin, all in text. FromTable
// checks it.
type Table []Row

// Row is a bin of a feature, or one of the four rows of no feature that say what
// points mean: of the kinds base, odds, double (see Scale) and start, the points
// that every account has before any bin.
type Row struct {
	Line    int    // in the file, from 1
	Feature string // a column of the encoder
	Kind    string // number, time, boolean or category, as the encoder has it
	// From and To bound a number, or the days before the moment of a time: above
	// From, up to To. Empty: unbounded.
	From, To string
	// Levels are those of a category or boolean, with | between. A \ stands before a
	// | or \ of a level; \n and \r are line ends, \e is the empty text.
	Levels string
	// State is empty, "missing" (values that are missing) or "other" (all levels of a
	// category, known in training, that stand in no row).
	State  string
	Points string
}

// Table is the scorecard to be edited, given the encoder of its matrix. FromTable
// makes the same model of it, bit by bit.
func (r *Result) Table(e *features.Encoder) Table {
	number := datasets.FormatNumber
	t := Table{
		{Kind: "base", Points: number(r.Scale.Base)}, {Kind: "odds", Points: number(r.Scale.Odds)},
		{Kind: "double", Points: number(r.Scale.Double)}, {Kind: "start", Points: number(r.Start)},
	}
	for _, v := range r.Variables {
		c := &e.Columns[v.Feature]
		for _, b := range v.Bins {
			row := Row{Feature: c.Name, Kind: c.Kind.String(), Points: number(b.Points)}
			switch {
			case b.Missing:
				row.State = "missing"
			case c.Kind == datasets.Category:
				if row.Levels = levelsText(c, &b); b.Other {
					row.State = "other"
				}
			case c.Kind == datasets.Boolean:
				row.Levels = strings.Join(b.booleans(), "|")
			default:
				if !math.IsInf(b.From, -1) {
					row.From = number(b.From)
				}
				if !math.IsInf(b.To, 1) {
					row.To = number(b.To)
				}
			}
			t = append(t, row)
		}
	}
	for i := range t {
		t[i].Line = i + 2 // the first has the names
	}
	return t
}

// levelsText spells the levels of a bin but for the others, which its state says.
func levelsText(c *features.Column, b *Bin) string {
	var texts []string
	for _, code := range b.Codes {
		texts = append(texts, escape(c.Levels[code], true))
	}
	return strings.Join(texts, "|")
}

// escape spells a text on one line.
func escape(s string, level bool) string {
	if s == "" && level {
		return `\e`
	}
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(s)
	if level {
		s = strings.ReplaceAll(s, "|", `\|`)
	}
	return s
}

// unescape reads what escape wrote, parting it at each | if it is of levels.
func unescape(s string, levels bool) ([]string, error) {
	var out []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '|' && levels:
			out = append(out, b.String())
			b.Reset()
		case s[i] != '\\':
			b.WriteByte(s[i])
		case i+1 == len(s):
			return nil, errors.New(`a \ at the end stands for nothing: write \\`)
		default:
			i++
			at := strings.IndexByte(`\|nre`, s[i])
			if at < 0 {
				return nil, fmt.Errorf(`\%c stands for nothing: write \\ for a backslash`, s[i])
			}
			b.WriteString([]string{`\`, "|", "\n", "\r", ""}[at])
		}
	}
	return append(out, b.String()), nil
}

// columnNames are the columns of the file; others may stand beside them.
var columnNames = [...]string{"feature", "kind", "from", "to", "levels", "state", "points"}

// Write writes a table as CSV (RFC 4180) with a line of names first.
func Write(w io.Writer, t Table) error {
	c := csv.NewWriter(w)
	rows := [][]string{columnNames[:]}
	for _, r := range t {
		rows = append(rows, []string{escape(r.Feature, false), r.Kind, r.From, r.To, r.Levels, r.State, r.Points})
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("scorecard: %w", err)
	}
	return nil
}

// Read reads what Write wrote and people edited: the columns in any order, others
// ignored, empty lines left out. A file that is no such table is a *TableError.
func Read(r io.Reader) (Table, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	head, err := c.Read()
	if err != nil {
		return nil, readError(err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // spreadsheets put it there
	at := make([]int, len(columnNames))
	var faults []Fault
	for k, name := range columnNames {
		if at[k] = slices.Index(head, name); at[k] < 0 {
			faults = append(faults, Fault{1, fmt.Sprintf("no column %q: the first line has to name feature, kind, from, to, levels, state and points, with commas between", name)})
		}
	}
	if len(faults) > 0 {
		return nil, &TableError{faults}
	}
	var t Table
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, readError(err)
		}
		line, _ := c.FieldPos(0)
		if len(record) != len(head) {
			faults = append(faults, Fault{line, fmt.Sprintf("%d fields, the first line has %d: put a text that holds a comma in quotes", len(record), len(head))})
			continue
		}
		field := func(k int) string { return record[at[k]] }
		row := Row{Line: line, Feature: field(0), Kind: field(1), From: field(2), To: field(3), Levels: field(4), State: field(5), Points: field(6)}
		if row == (Row{Line: line}) {
			continue // a spreadsheet's empty line
		}
		name, err := unescape(row.Feature, false)
		if err != nil {
			faults = append(faults, Fault{line, "feature: " + err.Error()})
			continue
		}
		row.Feature = name[0]
		t = append(t, row)
	}
	if len(faults) > 0 {
		return nil, &TableError{faults}
	}
	if t == nil {
		return nil, &TableError{[]Fault{{1, "no rows: there is nothing but the names of columns"}}}
	}
	return t, nil
}

// readError is an error of the CSV itself, or of the reader.
func readError(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return &TableError{[]Fault{{1, "the file is empty"}}}
	case errors.As(err, &parse):
		return &TableError{[]Fault{{parse.Line, parse.Err.Error()}}}
	}
	return fmt.Errorf("scorecard: %w", err)
}
