package scorecard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features"
)

// TableError is what is wrong with an edited scorecard: everything at once.
type TableError struct{ Faults []Fault }

// Fault is one thing to set right.
type Fault struct {
	Line   int // in the file, from 1
	Detail string
}

func (e *TableError) Error() string {
	lines := make([]string, len(e.Faults))
	for k, f := range e.Faults {
		lines[k] = fmt.Sprintf("line %d: %s", f.Line, f.Detail)
	}
	return "scorecard: " + strings.Join(lines, "\n")
}

// FromTable is the model that an edited scorecard is: nothing is learnt. The bins
// of a number have to meet each other and cover all numbers, every level of a
// category has to stand in one row, or in none where a row has the state "other".
// Where no row has the state "missing", a missing value adds no points, and Notes
// say so; a column in no row contributes nothing. Fit with the Table fills in what
// takes rows to know: those in the bins, and Mean and Spread of the terms, which
// until then are 0 and what they were if all bins were as frequent. An error is a *TableError.
func FromTable(t Table, e *features.Encoder) (*Result, error) {
	c := &checker{encoder: e, places: make(map[string]Row), bins: make([][]parsed, len(e.Columns)), broken: make([]bool, len(e.Columns))}
	for _, row := range t {
		c.row(row)
	}
	r := &Result{}
	c.scale(r)
	for j := range e.Columns {
		r.levels = append(r.levels, len(e.Columns[j].Levels))
		if len(c.bins[j]) > 0 && !c.broken[j] {
			r.Variables = append(r.Variables, c.variable(j))
		}
	}
	if len(c.faults) > 0 {
		slices.SortStableFunc(c.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
		return nil, &TableError{c.faults}
	}
	if len(c.neutral) > 0 {
		r.Notes = append(r.Notes, "Missing values add no points, since no row has them: "+strings.Join(c.neutral, ", ")+".")
	}
	r.assemble()
	r.guess()
	return r, nil
}

// checker reads a table row by row, then column by column.
type checker struct {
	encoder *features.Encoder
	places  map[string]Row // the rows of no feature, by kind
	bins    [][]parsed     // by column
	broken  []bool         // columns with a row that is no bin: whether they are covered cannot be told
	neutral []string
	faults  []Fault
}

// parsed is a row as a bin.
type parsed struct {
	Bin
	line int
}

func (c *checker) fault(line int, format string, args ...any) {
	c.faults = append(c.faults, Fault{line, fmt.Sprintf(format, args...)})
}

// row reads one row.
func (c *checker) row(row Row) {
	before := len(c.faults)
	points, ok := datasets.ParseNumber(strings.TrimSpace(row.Points))
	if !ok || math.Abs(points) > mostPoints {
		c.fault(row.Line, "points %q are no number: write one such as 12.5, at most %.0f", row.Points, mostPoints)
	}
	if row.Feature == "" {
		c.setting(row)
		return
	}
	j := c.encoder.Find(row.Feature)
	if j < 0 {
		c.fault(row.Line, "there is no feature %q: take the row out, or name one of %s", row.Feature, some(c.names(), 8))
		return
	}
	col := &c.encoder.Columns[j]
	if row.Kind != col.Kind.String() {
		c.fault(row.Line, "%s is a %s, not %q: set kind to %s", row.Feature, col.Kind, row.Kind, col.Kind)
		c.broken[j] = true
		return
	}
	b := parsed{Bin{From: math.Inf(-1), To: math.Inf(1), Points: points + 0}, row.Line}
	ranged := strings.TrimSpace(row.From)+strings.TrimSpace(row.To) != ""
	switch {
	case row.State == "missing":
		if b.Missing = true; ranged || row.Levels != "" {
			c.fault(row.Line, "a row of missing values has neither from and to nor levels: clear them, or clear state")
		}
	case row.State == "other" && col.Kind != datasets.Category, row.State != "other" && row.State != "":
		c.fault(row.Line, "state %q of a %s: leave it empty, or write missing%s", row.State, col.Kind, map[bool]string{true: " or other"}[col.Kind == datasets.Category])
	case col.Kind == datasets.Category || col.Kind == datasets.Boolean:
		if ranged {
			c.fault(row.Line, "%s has levels: clear from and to", row.Feature)
		}
		c.levels(&b, row, col)
	default:
		if row.Levels != "" {
			c.fault(row.Line, "%s is a %s: clear levels, and bound the bin by from and to", row.Feature, col.Kind)
		}
		c.bounds(&b, row)
	}
	c.broken[j] = c.broken[j] || len(c.faults) > before
	c.bins[j] = append(c.bins[j], b)
}

// setting is a row of no feature.
func (c *checker) setting(row Row) {
	switch first, ok := c.places[row.Kind]; {
	case !slices.Contains(settings[:], row.Kind):
		c.fault(row.Line, "a row of no feature is of kind base, odds, double or start, not %q: name the feature", row.Kind)
	case ok:
		c.fault(row.Line, "%s stands in line %d already: take one out", row.Kind, first.Line)
	default:
		c.places[row.Kind] = row
	}
}

var settings = [...]string{"base", "odds", "double", "start"}

// scale reads the rows of no feature, and checks that no points are beyond reason.
func (c *checker) scale(r *Result) {
	var values [len(settings)]float64
	all := true
	for k, kind := range settings {
		row, ok := c.places[kind]
		if !ok {
			c.fault(1, "no row has the kind %s and no feature: add one, with its points", kind)
		}
		values[k], ok = datasets.ParseNumber(strings.TrimSpace(row.Points))
		all = all && ok // or told already
	}
	if !all {
		return
	}
	r.Scale, r.Start = Scale{values[0], values[1], values[2]}, values[3]+0
	if _, err := r.Scale.settle(); err != nil || r.Scale == (Scale{}) {
		c.fault(c.places["base"].Line, "base %v, odds %v, double %v: odds have to be above 0, double not 0", values[0], values[1], values[2])
		return
	}
	const most = 1000 // log-odds; 40 are certainty
	if raw := r.Scale.logOdds(r.Start); math.Abs(raw) > most {
		c.fault(c.places["start"].Line, "the start of %v points is log-odds of %.0f: want at most %d either way", r.Start, raw, most)
	}
	for _, bins := range c.bins {
		for _, b := range bins {
			if raw := b.Points / r.Scale.unit(); math.Abs(raw) > most {
				c.fault(b.line, "%v points are log-odds of %.0f: want at most %d either way", b.Points, raw, most)
			}
		}
	}
}

// bounds reads from and to.
func (c *checker) bounds(b *parsed, row Row) {
	for _, side := range []struct {
		name, text string
		to         *float64
	}{{"from", row.From, &b.From}, {"to", row.To, &b.To}} {
		text := strings.TrimSpace(side.text)
		if text == "" {
			continue
		}
		x, ok := datasets.ParseNumber(text)
		if !ok {
			c.fault(row.Line, "%s %q is no number: write one such as 12.5, or leave it empty for no bound", side.name, side.text)
			continue
		}
		*side.to = x + 0
	}
	if b.From >= b.To {
		c.fault(row.Line, "from %v to %v holds nothing: a bin goes from the lower number to the higher", b.From, b.To)
	}
}

// levels reads the levels of a category or boolean.
func (c *checker) levels(b *parsed, row Row, col *features.Column) {
	b.Other = row.State == "other"
	if row.Levels == "" {
		if !b.Other {
			c.fault(row.Line, "%s needs levels, with | between, or the state missing%s", row.Feature, map[bool]string{true: " or other"}[col.Kind == datasets.Category])
		}
		return
	}
	texts, err := unescape(row.Levels, true)
	if err != nil {
		c.fault(row.Line, "levels: %v", err)
		return
	}
	known := col.Levels
	if col.Kind == datasets.Boolean {
		known = []string{"false", "true"}
	}
	for _, text := range texts {
		code := slices.Index(known, text)
		switch {
		case code < 0:
			c.fault(row.Line, "%s has no level %q: take it out, or write one of %s", row.Feature, text, some(known, 8))
		case slices.Contains(b.Codes, code):
			c.fault(row.Line, "the level %q stands here twice: take one out", text)
		default:
			b.Codes = append(b.Codes, code)
		}
	}
	slices.Sort(b.Codes)
}

// variable checks the bins of a column against each other.
func (c *checker) variable(j int) Variable {
	col := &c.encoder.Columns[j]
	var bins, missing []parsed
	for _, b := range c.bins[j] {
		if b.Missing {
			missing = append(missing, b)
		} else {
			bins = append(bins, b)
		}
	}
	for _, b := range missing[min(1, len(missing)):] {
		c.fault(b.line, "missing values of %s stand in line %d already: take one out", col.Name, missing[0].line)
	}
	if len(missing) == 0 {
		c.neutral = append(c.neutral, col.Name)
	}
	switch {
	case len(bins) == 0:
		c.fault(missing[0].line, "%s has a row for missing values alone: add rows for the others", col.Name)
	case col.Kind == datasets.Category:
		c.cover(bins, col.Levels, col.Name)
	case col.Kind == datasets.Boolean:
		c.cover(bins, []string{"false", "true"}, col.Name)
		bins = booleanBins(bins)
	default:
		c.chain(bins, col.Name)
	}
	v := Variable{Feature: j, Category: col.Kind == datasets.Category}
	for _, b := range append(bins, missing...) {
		v.Bins = append(v.Bins, b.Bin)
	}
	return v
}

// cover checks that every level stands in one row, and gives the rest to the
// others.
func (c *checker) cover(bins []parsed, levels []string, name string) {
	at := make([]int, len(levels)) // the line of each level
	other := -1
	for k, b := range bins {
		for _, code := range b.Codes {
			if at[code] > 0 {
				c.fault(b.line, "the level %q of %s stands in line %d already: take one out", levels[code], name, at[code])
			}
			at[code] = b.line
		}
		switch {
		case b.Other && other >= 0:
			c.fault(b.line, "the other levels of %s stand in line %d already: take one out", name, bins[other].line)
		case b.Other:
			other = k
		}
	}
	var rest []string
	for code, line := range at {
		switch {
		case line > 0:
		case other >= 0:
			bins[other].Others = append(bins[other].Others, code)
		default:
			rest = append(rest, levels[code])
		}
	}
	if len(rest) > 0 {
		c.fault(bins[len(bins)-1].line, "no row has the levels %s of %s: add them to a row, or one of the state other", some(rest, 8), name)
	}
}

// booleanBins are levels of a boolean as ranges: false is 0, true is 1.
func booleanBins(bins []parsed) []parsed {
	for k := range bins {
		b := &bins[k]
		switch {
		case slices.Equal(b.Codes, []int{0}):
			b.To = 0
		case slices.Equal(b.Codes, []int{1}):
			b.From = 0
		}
		b.Codes = nil
	}
	slices.SortStableFunc(bins, func(a, b parsed) int { return cmp.Compare(a.From, b.From) })
	return bins
}

// chain checks that ranges meet and cover all numbers, and puts them in order.
func (c *checker) chain(bins []parsed, name string) {
	slices.SortStableFunc(bins, func(a, b parsed) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	first := bins[0]
	if !math.IsInf(first.From, -1) {
		c.fault(first.line, "no bin holds %s up to %v: leave the lowest from empty", name, first.From)
	}
	below := first // of those so far, the one that reaches highest
	for _, above := range bins[1:] {
		switch {
		case below.To < above.From:
			c.fault(above.line, "a gap: no bin holds %s above %v (the end of line %d) up to %v: let the two meet", name, below.To, below.line, above.From)
		case below.To > above.From:
			c.fault(above.line, "an overlap: this bin of %s and that of line %d hold the same numbers: let it start where that one ends", name, below.line)
		}
		if above.To > below.To {
			below = above
		}
	}
	if !math.IsInf(below.To, 1) {
		c.fault(below.line, "no bin holds %s above %v: leave the highest to empty", name, below.To)
	}
}

func (c *checker) names() []string {
	out := make([]string, len(c.encoder.Columns))
	for j := range out {
		out[j] = c.encoder.Columns[j].Name
	}
	return out
}

// some quotes the first of many.
func some(texts []string, most int) string {
	var out []string
	for _, text := range texts[:min(most, len(texts))] {
		out = append(out, fmt.Sprintf("%q", text))
	}
	if len(texts) > most {
		out = append(out, fmt.Sprintf("... (%d in all)", len(texts)))
	}
	return strings.Join(out, ", ")
}
