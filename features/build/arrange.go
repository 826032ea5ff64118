package build

import (
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// scratch is what one call of Rows needs, kept for the next one: nothing is allocated
// for an account.
type scratch struct {
	plan    *Plan
	part    *facts.Part
	works   []*work // by pick
	asked   []*work // those that a pick comes to in this part, by pick; nil: not yet known
	lanes   []*lane
	numbers [][]float64 // results by cell, row by row; nil of first and last
	found   [][]int     // results of first and last: the row of the fact in its source, -1 is none

	// Of the account at hand.
	first   int       // its first row
	moments []int64   // ascending
	edges   [][]edge  // by span, by moment
	months  []monthly // starts of calendar windows met before
	signUp  []int64   // by moment; Never where it is not known
	late    []bool    // by moment: other facts count than the first so many
	limited bool      // not all that occurred before the moments count
	limit   []int32   // by moment: the first row that does not
	waiting []int32   // by moment: facts that had occurred but not arrived
	shown   []int32   // moments looked at together
	whole   []int32   // 0, 1, 2 ...
	list    []int32   // facts that count
	seen    lastMet
	buckets []float64
	cuts    []int64
}

// edge is a window: the facts with from <= instant < to.
type edge struct{ from, to int64 }

// lane is a stream of facts with what is asked of it, for one part.
type lane struct {
	stream
	facts  *facts.Facts
	works  []*work // a work stands behind those it is made from
	masked bool    // which facts are picked depends on whether their ends have come
	lag    int64   // how long after an end that is known
	oldest []int   // spans, of which the longest shows how far back facts are needed; nil: all are

	has   [][]bool // by column: the rows with a value; nil: all
	asked []bool   // by column: whether has is known

	// The account's facts. Rows of facts count from its first one on.
	base int
	when []int64 // instants by row
	ends []int64 // of intervals
}

// work is a pick with the cells that are asked of it.
type work struct {
	keep     [2][]bool // by row of the part: whether the fact is picked, before and after its end; nil: all are
	parent   *work     // nil, or whose facts it has one category of
	category string
	splits   []split
	spans    []spanWork

	days, runs bool // what cells need beyond the facts themselves

	// The picked facts: rows and instants, ascending. They may be those of the lane.
	rows []int32
	when []int64

	// Room of its own.
	ownRows []int32
	ownWhen []int64
	day     []int32 // number of the fact's day
	change  []int32 // how many facts up to and with it are not of the day of the one before
	run     []int32 // days in a row with a fact, up to its day
	twins   []twins // by column, as far as they were asked for
	before  []int32 // how many facts are before each moment looked at
	undated int     // how many facts at the front have no date
}

// split gives each fact of a work to the work of its category.
type split struct {
	column int
	hidden bool // the category is not known before the end
	codes  []int32
	byCode []*work // nil: nobody asks for it
	all    []*work
}

// spanWork is a span with its cells, and its place among the picked facts.
type spanWork struct {
	span   int
	cells  []int
	lo, hi []int32 // by moment looked at
	own    []int32
}

func newScratch(p *Plan) *scratch {
	s := &scratch{plan: p, works: make([]*work, len(p.picks)), edges: make([][]edge, len(p.spans)), months: make([]monthly, 256)}
	for i := range s.works {
		s.works[i] = &work{}
	}
	return s
}

// prepare arranges what is asked, for a part: conditions are evaluated once for all
// its facts, and picks that come to the same facts become one.
func (s *scratch) prepare(part *facts.Part, rows int) error {
	p := s.plan
	s.part, s.asked, s.moments = part, make([]*work, len(p.picks)), s.moments[:0]
	s.numbers, s.found = make([][]float64, len(p.cells)), make([][]int, len(p.cells))
	masks := make([][2][]bool, len(p.filters))
	for i := range p.cells {
		c := &p.cells[i]
		if c.agg == spec.First || c.agg == spec.Last {
			s.found[i] = make([]int, rows)
		} else {
			s.numbers[i] = make([]float64, rows)
		}
		if err := s.checkCell(c); err != nil {
			return err
		}
		w, err := s.arrange(c.pick, masks)
		if err != nil {
			return err
		}
		w.ask(c, i)
	}
	for _, l := range s.lanes {
		l.oldest = nil
		for _, w := range l.works {
			for _, x := range w.spans {
				l.oldest = append(l.oldest, x.span)
			}
		}
		if slices.ContainsFunc(l.oldest, func(i int) bool { return p.spans[i].window.IsZero() }) {
			l.oldest = nil
		}
	}
	return nil
}

// release lets go of the part and of the results.
func (s *scratch) release() {
	s.part, s.lanes, s.asked, s.numbers, s.found = nil, nil, nil, nil, nil
	for _, w := range s.works {
		w.keep, w.parent, w.category, w.splits, w.spans = [2][]bool{}, nil, "", nil, w.spans[:0]
		w.days, w.runs, w.rows, w.when = false, false, nil, nil
	}
}

// lane is the stream's, new when it is first met.
func (s *scratch) lane(x stream) *lane {
	for _, l := range s.lanes {
		if l.stream == x {
			return l
		}
	}
	l := &lane{stream: x, facts: &s.part.Sources[x.source], lag: endLag(&s.plan.project.Sources[x.source])}
	s.lanes = append(s.lanes, l)
	return l
}

// present says in which rows a column has a value; nil: in all.
func (l *lane) present(column int) []bool {
	if l.asked == nil {
		l.has, l.asked = make([][]bool, len(l.facts.Columns)), make([]bool, len(l.facts.Columns))
	}
	if !l.asked[column] {
		l.has[column], l.asked[column] = present(&l.facts.Columns[column]), true
	}
	return l.has[column]
}

// arrange gives the work of a pick. Where no value is missing, it is that of the pick
// of any value.
func (s *scratch) arrange(i int, masks [][2][]bool) (*work, error) {
	if s.asked[i] != nil {
		return s.asked[i], nil
	}
	p, x, w := s.plan, &s.plan.picks[i], s.works[i]
	l := s.lane(x.stream)
	source := &p.project.Sources[x.stream.source]
	hidden := func(column int) bool { return !x.stream.ends && atEnd(source, column) }
	switch {
	case x.by >= 0:
		parent, err := s.arrange(x.parent, masks)
		if err != nil {
			return nil, err
		}
		column := &l.facts.Columns[x.by]
		if column.Kind != datasets.Category && column.Kind != datasets.Text {
			return nil, fmt.Errorf("%w: %s: by needs a category, %s is a %s", ErrProject, source.Name, column.Name, column.Kind)
		}
		w.parent, w.category = parent, x.category
		if same := parent.give(w, x.by, column, hidden(x.by)); same != w {
			s.asked[i] = same
			return same, nil
		}
	case x.value >= 0 && !hidden(x.value) && l.present(x.value) == nil:
		same, err := s.arrange(x.parent, masks)
		s.asked[i] = same
		return same, err
	default:
		if x.value >= 0 {
			w.keep[0], w.keep[1] = l.present(x.value), l.present(x.value)
			if hidden(x.value) {
				w.keep[0] = make([]bool, l.facts.Rows())
			}
		}
		if x.filter >= 0 {
			if masks[x.filter][1] == nil {
				var err error
				if masks[x.filter], err = p.mask(&p.filters[x.filter], l.facts); err != nil {
					return nil, err
				}
			}
			before, after := masks[x.filter][0], masks[x.filter][1]
			if x.stream.ends { // its facts are those whose ends have come
				before = after
			}
			w.keep = [2][]bool{both(w.keep[0], before), both(w.keep[1], after)}
		}
	}
	l.works = append(l.works, w)
	l.masked = l.masked || p.masked(x)
	s.asked[i] = w
	return w, nil
}

// give makes w the facts with its category, unless there is a work of them already.
func (parent *work) give(w *work, column int, c *datasets.Column, hidden bool) *work {
	k := slices.IndexFunc(parent.splits, func(d split) bool { return d.column == column })
	if k < 0 {
		k = len(parent.splits)
		parent.splits = append(parent.splits, split{column: column, hidden: hidden, codes: c.Codes, byCode: make([]*work, len(c.Values))})
	}
	d := &parent.splits[k]
	if i := slices.IndexFunc(d.all, func(x *work) bool { return x.category == w.category }); i >= 0 {
		return d.all[i]
	}
	d.all = append(d.all, w)
	if code := slices.Index(c.Values, w.category); code >= 0 {
		d.byCode[code] = w
	}
	return w
}

// ask adds a cell to the work.
func (w *work) ask(c *cell, i int) {
	switch c.agg {
	case spec.ActiveDays, spec.LongestStreak:
		w.days = true
	case spec.Streak:
		w.days, w.runs = true, true
	}
	k := slices.IndexFunc(w.spans, func(x spanWork) bool { return x.span == c.span })
	if k < 0 {
		k = len(w.spans)
		if k < cap(w.spans) { // with the room of an earlier part
			w.spans = w.spans[:k+1]
			x := &w.spans[k]
			x.span, x.cells = c.span, x.cells[:0]
		} else {
			w.spans = append(w.spans, spanWork{span: c.span})
		}
	}
	w.spans[k].cells = append(w.spans[k].cells, i)
}

// checkCell refuses columns that an aggregate cannot use. A category without values
// may be a column of a kind that nobody knows.
func (s *scratch) checkCell(c *cell) error {
	switch c.agg {
	case spec.Sum, spec.Min, spec.Max, spec.Slope, spec.ActiveAmount:
	default:
		return nil
	}
	if c.column < 0 {
		return nil
	}
	source := s.plan.picks[c.pick].stream.source
	x := &s.part.Sources[source].Columns[c.column]
	if x.Kind == datasets.Number || x.Kind == datasets.Boolean || len(x.Values) == 0 && x.Kind != datasets.Time {
		return nil
	}
	return fmt.Errorf("%w: %s: %s is of numbers, %s is a %s", ErrProject, s.plan.project.Sources[source].Name, c.agg, x.Name, x.Kind)
}

// mask evaluates a condition on all facts of a source: as it is before an interval's
// end has come, and after.
func (p *Plan) mask(f *filter, of *facts.Facts) (out [2][]bool, err error) {
	source := &p.project.Sources[f.source]
	if out[1], err = evaluate(f, source.Name, of.Columns, of.Rows()); err != nil || !f.atEnd(source) {
		out[0] = out[1]
		return out, err
	}
	columns := slices.Clone(of.Columns)
	for i := range columns {
		if atEnd(source, i) {
			columns[i] = missingColumn(&columns[i])
		}
	}
	out[0], err = evaluate(f, source.Name, columns, of.Rows())
	return out, err
}

func evaluate(f *filter, source string, columns []datasets.Column, rows int) ([]bool, error) {
	bound, err := f.where.Bind(columns)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: where: %w", ErrProject, source, err)
	}
	mask := make([]bool, rows)
	bound.Mask(mask, 0)
	return mask, nil
}

// both is where both hold; nil holds everywhere.
func both(a, b []bool) []bool {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := make([]bool, len(a))
	for i := range out {
		out[i] = a[i] && b[i]
	}
	return out
}

// present says in which rows a column has a value; nil: in all.
func present(c *datasets.Column) []bool {
	switch c.Kind {
	case datasets.Number, datasets.Boolean:
		return where(c.Numbers, func(v float64) bool { return v == v })
	case datasets.Time:
		return where(c.Times, func(v int64) bool { return v != datasets.MissingTime })
	}
	return where(c.Codes, func(v int32) bool { return v >= 0 })
}

func where[T any](values []T, holds func(T) bool) []bool {
	for _, v := range values {
		if !holds(v) {
			out := make([]bool, len(values))
			for i, v := range values {
				out[i] = holds(v)
			}
			return out
		}
	}
	return nil
}
