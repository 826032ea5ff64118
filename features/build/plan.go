// Package build makes rows, moments and labels from facts: the one engine of the
// offline tables and of live rows. What it shows of an account at a moment depends
// only on the facts that had occurred and arrived strictly before it, never on what
// other facts there are, on their order of input or on how accounts are spread over
// parts.
package build

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"propensity/features/expr"
	"propensity/features/spec"
)

// ErrProject is wrapped by every error about a project that no rows can be made of.
var ErrProject = errors.New("unusable project")

// Plan is how the rows of a project are made. It is safe for concurrent use.
type Plan struct {
	project  *spec.Project
	outputs  []spec.Output
	calendar *calendar

	filters []filter
	picks   []pick
	spans   []span
	cells   []cell
	nodes   []node
	values  []int // index into nodes of each output that is no derived one
	signUps bool  // some cell needs the account's sign-up

	spare sync.Pool // of *scratch
}

// filter is a condition on the facts of a source.
type filter struct {
	source int
	where  *expr.Expr
}

// stream is a source as facts: of intervals, by their starts or by their ends.
type stream struct {
	source int
	ends   bool
}

// pick is which facts of a stream an aggregate looks at.
type pick struct {
	stream stream
	filter int // index into filters; -1: all
	value  int // column that is not missing; -1: any
	// By and category divide the facts of the pick parent by a column.
	by       int // -1: not divided
	category string
	parent   int
}

// span is a window before the moment, or the one of equal length before that.
type span struct {
	window  spec.Window // zero: all time
	earlier bool
}

// cell is one value of one row that comes straight from facts.
type cell struct {
	agg      spec.Agg // none of Mean, Share and Ratio
	pick     int
	span     int
	column   int // what is aggregated; -1: nothing
	every    spec.Window
	calendar bool
}

// node is a cell, or one node divided by another: missing where that is 0.
type node struct {
	cell     int // -1: a quotient
	top, low int
}

// Compile makes the plan of a project's features. The error wraps ErrProject and
// names the line of the feature.
func Compile(p *spec.Project) (*Plan, error) {
	zone := time.UTC
	if p.Timezone != "" {
		var err error
		if zone, err = time.LoadLocation(p.Timezone); err != nil {
			return nil, fmt.Errorf("%w: timezone %q: %w", ErrProject, p.Timezone, err)
		}
	}
	plan := &Plan{project: p, outputs: p.Outputs(), calendar: newCalendar(zone)}
	c := &compiler{Plan: plan, picks: map[pick]int{}, spans: map[span]int{}, cells: map[cell]int{}, nodes: map[node]int{}}
	for _, o := range plan.outputs {
		if o.Feature < 0 {
			plan.values = append(plan.values, -1)
			continue
		}
		f := &p.Features[o.Feature]
		v, err := c.output(f, o)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %s: %w", ErrProject, f.Line, f.Name, err)
		}
		plan.values = append(plan.values, v)
	}
	return plan, nil
}

// Project is what the plan was made of.
func (p *Plan) Project() *spec.Project { return p.project }

// compiler finds out what outputs have in common.
type compiler struct {
	*Plan
	picks map[pick]int
	spans map[span]int
	cells map[cell]int
	nodes map[node]int
}

// number gives equal things one index.
func number[T comparable](known map[T]int, list *[]T, x T) int {
	i, ok := known[x]
	if !ok {
		i = len(*list)
		known[x], *list = i, append(*list, x)
	}
	return i
}

// output is the node of an output.
func (c *compiler) output(f *spec.Feature, o spec.Output) (int, error) {
	s, err := findStream(c.project, f.From)
	if err != nil {
		return 0, err
	}
	now, err := c.aggregate(f, o, s, false)
	if err != nil || !o.Trend {
		return now, err
	}
	if o.Window.IsZero() {
		return 0, errors.New("a trend needs a window")
	}
	before, err := c.aggregate(f, o, s, true)
	if err != nil {
		return 0, err
	}
	return c.quotient(now, before), nil
}

func (c *compiler) quotient(top, low int) int {
	return number(c.nodes, &c.Plan.nodes, node{cell: -1, top: top, low: low})
}

// aggregate is the node of a feature in a window, or in the one before that.
func (c *compiler) aggregate(f *spec.Feature, o spec.Output, s stream, earlier bool) (int, error) {
	where, err := c.filter(s.source, f.Where)
	if err != nil {
		return 0, err
	}
	value, over, by := -1, -1, -1
	for _, x := range []struct {
		name  string
		index *int
	}{{f.Value, &value}, {f.Over, &over}, {f.By, &by}} {
		if x.name == "" {
			continue
		}
		if *x.index = columnOf(&c.project.Sources[s.source], x.name); *x.index < 0 {
			return 0, fmt.Errorf("%s has no column %q", f.From, x.name)
		}
	}
	at := number(c.spans, &c.Plan.spans, span{window: o.Window, earlier: earlier})
	leaf := func(agg spec.Agg, filter, value, by, column int) int {
		x := cell{agg: agg, span: at, column: column, pick: c.pick(s, filter, value, by, o.Category)}
		if agg == spec.Slope {
			x.every = f.Every
		}
		x.calendar = f.Calendar && (agg == spec.DaysSince || agg == spec.DaysSinceFirst)
		return number(c.nodes, &c.Plan.nodes, node{cell: number(c.cells, &c.Plan.cells, x)})
	}
	count := func(filter, by int) int { return leaf(spec.Count, filter, value, by, -1) }
	sum := func(filter, by, value int) int { return leaf(spec.Sum, filter, value, by, value) }
	needs := func(index int, key string) error {
		if index < 0 {
			return fmt.Errorf("%s needs %s", f.Agg, key)
		}
		return nil
	}
	switch f.Agg {
	case spec.Count, spec.ActiveDays, spec.Streak, spec.LongestStreak, spec.DaysSince, spec.DaysSinceFirst:
		return leaf(f.Agg, where, value, by, -1), nil
	case spec.TimeToFirst:
		c.signUps = true
		return leaf(f.Agg, where, value, by, -1), nil
	case spec.Sum, spec.Min, spec.Max, spec.First, spec.Distinct:
		return leaf(f.Agg, where, value, by, value), needs(value, "a value")
	case spec.Last:
		present := value
		if c.project.Sources[s.source].Kind == spec.Snapshots {
			present = -1 // what the newest one lacks is missing
		}
		return leaf(f.Agg, where, present, by, value), needs(value, "a value")
	case spec.Mean:
		return c.quotient(sum(where, by, value), count(where, by)), needs(value, "a value")
	case spec.Share:
		all := -1
		if value < 0 {
			return c.quotient(count(where, by), count(all, -1)), nil
		}
		return c.quotient(sum(where, by, value), sum(all, -1, value)), nil
	case spec.Ratio:
		if err := needs(over, "over"); err != nil {
			return 0, err
		}
		return c.quotient(sum(where, by, value), sum(where, by, over)), needs(value, "a value")
	case spec.Slope:
		switch {
		case f.Every.IsZero():
			return 0, errors.New("slope needs every, the length of a bucket")
		case o.Window.IsZero():
			return 0, errors.New("slope needs a window")
		}
		return leaf(f.Agg, where, value, by, value), nil
	case spec.Active, spec.ActiveAmount:
		if c.project.Sources[s.source].Kind != spec.Intervals || s.ends {
			return 0, fmt.Errorf("%s is of intervals, %s are none", f.Agg, f.From)
		}
		if f.Agg == spec.ActiveAmount && value < 0 {
			return 0, needs(value, "a value")
		}
		return leaf(f.Agg, where, value, by, value), nil
	}
	return 0, fmt.Errorf("unknown aggregate %q", f.Agg)
}

// filter numbers a condition; equal texts on one source are one condition.
func (c *compiler) filter(source int, where *expr.Expr) (int, error) {
	if where == nil {
		return -1, nil
	}
	for _, name := range where.Vars {
		if columnOf(&c.project.Sources[source], name) < 0 {
			return 0, fmt.Errorf("where: %s has no column %q", c.project.Sources[source].Name, name)
		}
	}
	if i := slices.IndexFunc(c.filters, func(f filter) bool { return f.source == source && f.where.Source == where.Source }); i >= 0 {
		return i, nil
	}
	c.filters = append(c.filters, filter{source: source, where: where})
	return len(c.filters) - 1, nil
}

// pick numbers a choice of facts. Those it is made from come before it: the same
// facts not divided, and those of any value.
func (c *compiler) pick(s stream, filter, value, by int, category string) int {
	x := pick{stream: s, filter: filter, value: value, by: by, parent: -1}
	switch {
	case by >= 0:
		x.category, x.parent = category, c.pick(s, filter, value, -1, "")
	case value >= 0:
		x.parent = c.pick(s, filter, -1, -1, "")
	}
	return number(c.picks, &c.Plan.picks, x)
}

// findStream is the stream of that name.
func findStream(p *spec.Project, from string) (stream, error) {
	source, ends, err := p.Stream(from)
	return stream{source, ends}, err
}

func columnOf(s *spec.Source, name string) int {
	return slices.IndexFunc(s.Columns, func(c spec.Column) bool { return c.Name == name })
}

// atEnd says that a column of a source is not known until the interval's end has come.
func atEnd(s *spec.Source, column int) bool {
	return column >= 0 && s.Kind == spec.Intervals &&
		(slices.Contains(s.AtEnd, s.Columns[column].Name) || s.End != "" && s.Columns[column].Name == s.End)
}

// endLag is how long after an interval's end that is known, where no column says when
// facts arrive.
func endLag(s *spec.Source) int64 {
	if s.Arrived != "" {
		return 0
	}
	return s.Lag.Micros
}

// masked says that which facts a pick has depends on whether their ends have come.
func (p *Plan) masked(x *pick) bool {
	s := &p.project.Sources[x.stream.source]
	if x.stream.ends {
		return false
	}
	if x.filter >= 0 && p.filters[x.filter].atEnd(s) {
		return true
	}
	return atEnd(s, x.value) || atEnd(s, x.by) || x.parent >= 0 && p.masked(&p.picks[x.parent])
}

func (f *filter) atEnd(s *spec.Source) bool {
	return slices.ContainsFunc(f.where.Vars, func(name string) bool { return atEnd(s, columnOf(s, name)) })
}
