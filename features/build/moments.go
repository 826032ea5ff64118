package build

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Moment is an instant at which an account is looked at.
type Moment struct {
	Account int   // index into Part.Accounts
	At      int64 // microseconds since 1970 UTC
}

// Moments are those of a model up to and with asOf, sorted by account, then by time.
//
// Which they are is decided by what was known at the moment itself: of intervals,
// attributes and renewals those that had arrived by then, in the version of then. An
// event makes its moment when it occurred, whenever it arrived, in the version of
// asOf. A merged account has none after it was known to be merged.
func (p *Plan) Moments(model string, part *facts.Part, asOf int64) ([]Moment, error) {
	m, err := p.model(model)
	if err != nil {
		return nil, err
	}
	f, err := p.finder(m, part, asOf)
	if err != nil {
		return nil, fmt.Errorf("%w: line %d: model %s: moments: %w", ErrProject, m.Line, m.Name, err)
	}
	var out []Moment
	var own []int64
	for account := range part.Accounts {
		own = f.find(own[:0], account)
		slices.Sort(own)
		for _, t := range slices.Compact(own) {
			if f.holds(account, t) {
				out = append(out, Moment{account, t})
			}
		}
	}
	return out, nil
}

// firstMoment is the beginning of the year 1.
const firstMoment int64 = -62_135_596_800_000_000

// finder finds the moments of accounts.
type finder struct {
	plan        *Plan
	part        *facts.Part
	moments     *spec.Moments
	asOf        int64
	first, last int64        // bounds, both of them moments too
	grid        []int64      // of every, as far as it has been needed; ascending
	facts       *facts.Facts // those that moments come from: renewals or events
	instants    []int64      // by fact: of events
	renews      []int64      // by fact
	keep        []bool       // by fact; nil: all
	while       *facts.Facts // nil: from the first fact on
}

func (p *Plan) finder(m *spec.Model, part *facts.Part, asOf int64) (*finder, error) {
	f := &finder{plan: p, part: part, moments: &m.Moments, asOf: asOf, first: firstMoment, last: asOf}
	if len(part.Sources) != len(p.project.Sources) {
		return nil, fmt.Errorf("facts of %d sources for a project of %d", len(part.Sources), len(p.project.Sources))
	}
	if m.Moments.Since != 0 {
		f.first = max(f.first, m.Moments.Since)
	}
	if m.Moments.Until != 0 {
		f.last = min(f.last, m.Moments.Until-1)
	}
	if name := m.Moments.While; name != "" {
		s, err := p.intervals(strings.TrimSuffix(name, ".active"))
		if err != nil {
			return nil, fmt.Errorf("while: %w", err)
		}
		f.while = &part.Sources[s]
	}
	every := m.Moments.Every
	switch {
	case !every.IsZero():
		if every.Micros%microsDay != 0 {
			return nil, fmt.Errorf("every %s: moments are at midnight, so far apart as whole days or months", every)
		}
	case len(m.Moments.After) > 0:
	case len(m.Moments.Before) > 0:
		s, err := p.intervals(m.Moments.Of)
		if err != nil {
			return nil, fmt.Errorf("of: %w", err)
		}
		f.facts = &part.Sources[s]
		name := p.project.Sources[s].Renews
		k := columnOf(&p.project.Sources[s], name)
		if k < 0 {
			return nil, fmt.Errorf("of: %s has no column of renewals (renews)", m.Moments.Of)
		}
		switch c := &f.facts.Columns[k]; {
		case c.Kind == datasets.Time:
			f.renews = c.Times
		case c.Kind == datasets.Category && len(c.Values) == 0: // of no values
			f.renews = slices.Repeat([]int64{datasets.MissingTime}, f.facts.Rows())
		default:
			return nil, fmt.Errorf("of: %s of %s is a %s, not a time", name, m.Moments.Of, c.Kind)
		}
	case m.Moments.On != "":
		s, err := findStream(p.project, m.Moments.On)
		if err != nil {
			return nil, fmt.Errorf("on: %w", err)
		}
		f.facts = &part.Sources[s.source]
		if f.instants = f.facts.Occurred; s.ends {
			f.instants = f.facts.End
		}
		if m.Moments.OnWhere != nil {
			if f.keep, err = evaluate(&filter{s.source, m.Moments.OnWhere}, m.Moments.On, f.facts.Columns, f.facts.Rows()); err != nil {
				return nil, err
			}
		}
	default:
		return nil, errors.New("none of every, after, before and on")
	}
	return f, nil
}

// intervals finds a source of intervals.
func (p *Plan) intervals(name string) (int, error) {
	s, err := findStream(p.project, name)
	if err != nil {
		return 0, err
	}
	if s.ends || p.project.Sources[s.source].Kind != spec.Intervals {
		return 0, fmt.Errorf("%s are no intervals", name)
	}
	return s.source, nil
}

// known says that a version had occurred and arrived by an instant, and stood then.
func known(f *facts.Facts, i int, at int64) bool {
	return f.Occurred[i] <= at && (f.Arrived == nil || f.Arrived[i] <= at) && (f.Until == nil || f.Until[i] > at)
}

// find gives the instants that the account may be looked at, in any order.
func (f *finder) find(out []int64, account int) []int64 {
	add := func(t int64) {
		if f.first <= t && t <= f.last {
			out = append(out, t)
		}
	}
	zone := f.plan.calendar.zone
	switch x := f.moments; {
	case !x.Every.IsZero():
		from := max(f.first, f.start(account))
		if from > f.last {
			return out
		}
		f.extend(from)
		k, _ := slices.BinarySearch(f.grid, from)
		for ; k < len(f.grid) && f.grid[k] <= f.last; k++ {
			out = append(out, f.grid[k])
		}
	case len(x.After) > 0:
		// What the sign-up is may change as facts arrive.
		for k := range f.plan.project.Sources {
			if f.plan.project.Sources[k].Kind != spec.Attributes {
				continue
			}
			a := &f.part.Sources[k]
			for i := a.First[account]; i < a.First[account+1]; i++ {
				if a.Occurred[i] <= facts.Always {
					continue
				}
				for _, w := range x.After {
					t := w.After(a.Occurred[i], zone)
					if f.plan.signUp(f.part, account, func(a *facts.Facts, i int) bool { return known(a, i, t) }) == a.Occurred[i] {
						add(t)
					}
				}
			}
		}
	case len(x.Before) > 0:
		for i := f.facts.First[account]; i < f.facts.First[account+1]; i++ {
			if f.renews[i] == datasets.MissingTime {
				continue
			}
			for _, w := range x.Before {
				if t := w.Start(f.renews[i], zone); known(f.facts, i, t) && !(f.facts.End[i] != datasets.MissingTime && f.facts.End[i] <= t) {
					add(t)
				}
			}
		}
	default:
		for i := f.facts.First[account]; i < f.facts.First[account+1]; i++ {
			if f.instants[i] > facts.Always && known(f.facts, i, f.asOf) && (f.keep == nil || f.keep[i]) {
				add(f.instants[i])
			}
		}
	}
	return out
}

// holds says that a moment is one of an account that is there, and in the state asked
// for.
func (f *finder) holds(account int, at int64) bool {
	if f.part.Merged != nil && at > f.part.Merged[account] {
		return false
	}
	if f.while == nil {
		return f.moments.Every.IsZero() || f.seen(account, at)
	}
	w := f.while
	for i := w.First[account]; i < w.First[account+1] && w.Occurred[i] <= at; i++ {
		if known(w, i, at) && (w.End[i] == datasets.MissingTime || at < w.End[i]) {
			return true
		}
	}
	return false
}

// start is an instant before which the account cannot be looked at: that of its first
// dated fact; MaxInt64 if it has none.
func (f *finder) start(account int) int64 {
	first := int64(math.MaxInt64)
	for k := range f.part.Sources {
		a := &f.part.Sources[k]
		if f.while != nil && a != f.while {
			continue
		}
		for i := a.First[account]; i < a.First[account+1]; i++ {
			if a.Occurred[i] > facts.Always {
				first = min(first, a.Occurred[i])
				break
			}
		}
	}
	return first
}

// seen says that a dated fact of the account counts at a moment.
func (f *finder) seen(account int, at int64) bool {
	for k := range f.part.Sources {
		a := &f.part.Sources[k]
		for i := a.First[account]; i < a.First[account+1] && a.Occurred[i] < at; i++ {
			if a.Occurred[i] > facts.Always && visible(a, i, at) {
				return true
			}
		}
	}
	return false
}

// extend makes the grid of every from an instant or earlier to the last moment.
func (f *finder) extend(from int64) {
	if len(f.grid) > 0 && f.grid[0] <= from {
		return
	}
	f.grid = f.grid[:0]
	c, every := f.plan.calendar, f.moments.Every
	if n := every.Months; n > 0 {
		t := time.UnixMicro(from).In(c.zone)
		month := t.Year()*12 + int(t.Month()) - 1
		for month -= month % n; ; month += n {
			at := c.midnight(time.Date(0, time.Month(month+1), 1, 0, 0, 0, 0, time.UTC).Unix() / 86400)
			if at > f.last {
				return
			}
			f.grid = append(f.grid, at)
		}
	}
	n, first := every.Micros/microsDay, int64(0)
	if n%7 == 0 {
		first = 4 // a Monday
	}
	for day := first + floorDiv(c.day(from)-first, n)*n; ; day += n {
		at := c.midnight(day)
		if at > f.last {
			return
		}
		f.grid = append(f.grid, at)
	}
}
