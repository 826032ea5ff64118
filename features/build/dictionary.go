package build

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/spec"
)

// mostLevels of a category are listed; of one with more, none is.
const mostLevels = 1000

// entry is what the data dictionary says of one column.
type entry struct {
	Name    string         `json:"name"`
	Meaning string         `json:"meaning"`
	Kind    datasets.Kind  `json:"kind"`
	Source  string         `json:"source,omitempty"`
	Window  string         `json:"window,omitempty"` // "": all time before the moment
	Rows    int            `json:"rows"`
	Missing int            `json:"missing"`
	Min     *float64       `json:"min,omitempty"` // of numbers
	Max     *float64       `json:"max,omitempty"`
	From    string         `json:"from,omitempty"` // the same of times
	To      string         `json:"to,omitempty"`
	Levels  map[string]int `json:"levels,omitempty"` // rows of each value
	Many    bool           `json:"many,omitempty"`   // more values than are listed
}

// dictionary gathers what the columns of all rows hold, of earlier builds too.
type dictionary struct{ entries []entry }

func newDictionary(t *table) *dictionary {
	d := &dictionary{}
	for _, o := range t.outputs {
		e := entry{Name: o.Name, Meaning: meaning(t.spec, o), Kind: o.Kind, Window: o.Window.String()}
		if o.Feature >= 0 {
			e.Source = t.spec.Features[o.Feature].From
		}
		if t.old != nil {
			for _, was := range t.old.Columns {
				if was.Name == e.Name {
					e.Rows, e.Missing, e.Min, e.Max, e.From, e.To = was.Rows, was.Missing, was.Min, was.Max, was.From, was.To
					e.Levels, e.Many = maps.Clone(was.Levels), was.Many
				}
			}
		}
		d.entries = append(d.entries, e)
	}
	return d
}

// add takes the columns of some rows, in the order of the outputs.
func (d *dictionary) add(columns []datasets.Column) {
	for k := range d.entries {
		e, c := &d.entries[k], &columns[k]
		e.Rows += c.Len()
		switch c.Kind {
		case datasets.Number, datasets.Boolean:
			e.numbers(c.Numbers)
		case datasets.Time:
			e.times(c.Times)
		default:
			e.texts(c)
		}
	}
}

func (e *entry) numbers(xs []float64) {
	least, most, missing := math.Inf(1), math.Inf(-1), 0
	for _, x := range xs {
		if x != x {
			missing++
			continue
		}
		least, most = min(least, x), max(most, x)
	}
	e.Missing += missing
	if least > most {
		return
	}
	if e.Min != nil {
		least, most = min(least, *e.Min), max(most, *e.Max)
	}
	e.Min, e.Max = &least, &most
}

func (e *entry) times(xs []int64) {
	for _, x := range xs {
		if x == datasets.MissingTime {
			e.Missing++
			continue
		}
		s := datasets.FormatTime(x)
		if e.From == "" || s < e.From {
			e.From = s
		}
		if s > e.To {
			e.To = s
		}
	}
}

func (e *entry) texts(c *datasets.Column) {
	counts := make([]int, len(c.Values))
	for _, k := range c.Codes {
		if k < 0 {
			e.Missing++
			continue
		}
		counts[k]++
	}
	if e.Many {
		return
	}
	if e.Levels == nil {
		e.Levels = map[string]int{}
	}
	for k, n := range counts {
		if n > 0 {
			e.Levels[c.Values[k]] += n
		}
	}
	if len(e.Levels) > mostLevels {
		e.Levels, e.Many = nil, true
	}
}

// write puts the dictionary beside the tables: for programs and for people.
func (d *dictionary) write(t *table) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"model": t.name, "account": t.account, "moment": spec.MomentColumn, "columns": d.entries}); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(t.dir, dictionaryFile), b.Bytes()); err != nil {
		return err
	}
	return replaceFile(filepath.Join(t.dir, pageFile), d.page(t))
}

// page is the dictionary as Markdown.
func (d *dictionary) page(t *table) []byte {
	var b bytes.Buffer
	rows := 0
	for _, f := range t.next.Rows {
		rows += f.Rows
	}
	fmt.Fprintf(&b, "# The features of %s\n\n", t.name)
	fmt.Fprintf(&b, "%d rows as of %s: one an account (`%s`) and moment (`%s`). A row shows what had occurred and arrived before its moment.\n\n",
		rows, datasets.FormatTime(t.next.AsOf), t.account, spec.MomentColumn)
	b.WriteString("| column | meaning | kind | source | window | missing | values |\n|---|---|---|---|---|---|---|\n")
	for i := range d.entries {
		e := &d.entries[i]
		missing := "-"
		if e.Rows > 0 {
			missing = fmt.Sprintf("%.1f %%", 100*float64(e.Missing)/float64(e.Rows))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", inCell(e.Name), inCell(e.Meaning), e.Kind, inCell(e.Source), e.Window, missing, inCell(e.values()))
	}
	return b.Bytes()
}

// inCell keeps a text within its cell of a table.
func inCell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
}

// values is the range of a column, or its commonest levels.
func (e *entry) values() string {
	switch {
	case e.Min != nil:
		return datasets.FormatNumber(*e.Min) + " to " + datasets.FormatNumber(*e.Max)
	case e.From != "":
		return e.From + " to " + e.To
	case e.Many:
		return fmt.Sprintf("more than %d", mostLevels)
	}
	names := slices.SortedFunc(maps.Keys(e.Levels), func(a, b string) int {
		return cmp.Or(cmp.Compare(e.Levels[b], e.Levels[a]), strings.Compare(a, b))
	})
	const most = 8
	out := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		out += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return out
}

// meaning says in words what a column is.
func meaning(p *spec.Project, o spec.Output) string {
	if o.Feature < 0 {
		d := &p.Derived[o.Derived]
		if d.Label != "" {
			return d.Label
		}
		return "`" + d.Expr.Source + "`"
	}
	f := &p.Features[o.Feature]
	what := f.Label
	if what == "" {
		what = aggregated(f)
	}
	if o.Category != "" {
		what += fmt.Sprintf(", where %s is %s", f.By, o.Category)
	}
	if f.Where != nil && f.Label == "" && f.Agg != spec.Share {
		what += ", where `" + f.Where.Source + "`"
	}
	switch w := o.Window.String(); {
	case o.Trend:
		what += fmt.Sprintf(": in the %s before the moment, divided by that of the %s before those", w, w)
	case w != "":
		what += fmt.Sprintf(", in the %s before the moment", w)
	}
	return what
}

// aggregated says what an aggregate is of.
func aggregated(f *spec.Feature) string {
	of := f.Value + " of " + f.From
	if f.Value == "" {
		of = f.From
	}
	switch f.Agg {
	case spec.Count:
		return "number of " + of
	case spec.Sum, spec.Mean:
		return string(f.Agg) + " of " + of
	case spec.Min:
		return "least " + of
	case spec.Max:
		return "largest " + of
	case spec.First, spec.Last:
		return string(f.Agg) + " " + of
	case spec.DaysSince:
		return "days since the last of " + of
	case spec.DaysSinceFirst:
		return "days since the first of " + of
	case spec.TimeToFirst:
		return "days from sign-up to the first of " + of
	case spec.Distinct:
		return "different " + of
	case spec.ActiveDays:
		return "days with " + of
	case spec.Streak:
		return "days in a row with " + of + ", up to the moment"
	case spec.LongestStreak:
		return "most days in a row with " + of
	case spec.Share:
		where := ""
		if f.Where != nil {
			where = " where `" + f.Where.Source + "`"
		}
		return "share of " + of + where
	case spec.Ratio:
		return fmt.Sprintf("sum of %s divided by that of %s, of %s", f.Value, f.Over, f.From)
	case spec.Slope:
		return fmt.Sprintf("trend of %s, per %s", of, f.Every)
	case spec.Active:
		return of + " true at the moment"
	case spec.ActiveAmount:
		return "sum of " + of + " true at the moment"
	}
	return string(f.Agg) + " of " + of
}
