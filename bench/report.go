package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// table is one table of the report.
type table struct {
	title    string // what was measured, and the unit
	note     string // how; a sentence or more, may be empty
	head     []string
	rows     [][]string
	commands [][2]string // of each contender, after its name
	failed   []string    // of ours
}

// column shows one more figure of each contender: the median over its runs.
type column struct {
	key, title string
	spell      func(float64) string
}

// compare is the table of one figure, of which less is better. The first outcome
// is ours, which stands against each peer. Who has no such figure is left out.
func compare(title, note, key string, outcomes []outcome, more ...column) table {
	t := table{title: title, note: note, head: []string{"", "min", "median", "max"}}
	peers := slices.ContainsFunc(outcomes, func(o outcome) bool { return !o.ours })
	if peers {
		t.head = append(t.head, "ours / it", "verdict")
	}
	for _, c := range more {
		t.head = append(t.head, c.title)
	}
	ours := outcomes[0].values(key)
	for _, o := range outcomes {
		values := o.values(key)
		if o.failed == nil && len(values) == 0 {
			continue
		}
		t.commands = append(t.commands, o.line())
		row := []string{o.name}
		if o.ours {
			row[0] = "**" + o.name + "**"
		}
		if o.failed != nil {
			row = append(row, "failed: "+cell(o.failed.Error()))
			if o.ours {
				t.failed = append(t.failed, fmt.Sprintf("%s: %s: %v", title, o.name, o.failed))
			}
		} else {
			row = append(row, o.cells(key, values, ours, peers, more)...)
		}
		t.rows = append(t.rows, append(row, make([]string, len(t.head)-len(row))...))
	}
	return t
}

// cells are those after the name.
func (o *outcome) cells(key string, values, ours []float64, peers bool, more []column) []string {
	s := spreadOf(values)
	row := []string{figure(s.Min), figure(s.Median), figure(s.Max)}
	if s.N == 1 {
		row[0], row[2] = "", "" // one run has no spread
	}
	if r := spreadOf(ratios(ours, values)); peers && !o.ours && r.N > 0 {
		row = append(row, fmt.Sprintf("%s (%s to %s)", figure(r.Median), figure(r.Min), figure(r.Max)), verdict(r.Median))
	} else if peers {
		row = append(row, "", "")
	}
	for _, c := range more {
		row = append(row, c.spell(spreadOf(o.values(c.key)).Median))
	}
	return row
}

// cell makes text fit into a table.
func cell(s string) string {
	const most = 160
	s = strings.NewReplacer("|", "/", "\n", " ", "\t", " ").Replace(s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return s
}

// show prints a table for people.
func (t *table) show(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", t.title)
	if t.note != "" {
		fmt.Fprintf(out, "%s\n", t.note)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(w, strings.TrimRight(strings.ReplaceAll(strings.Join(row, "\t"), "**", ""), "\t"))
	}
	w.Flush()
}

// markdown is the table for docs/BENCHMARKS.md.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.title)
	if t.note != "" {
		fmt.Fprintf(&b, "%s\n\n", t.note)
	}
	for i, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	if len(t.commands) > 0 {
		b.WriteString("\n```\n")
		for _, c := range t.commands {
			fmt.Fprintf(&b, "%s: %s\n", c[0], c[1])
		}
		b.WriteString("```\n")
	}
	return b.String()
}
