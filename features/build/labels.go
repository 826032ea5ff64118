package build

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Labels answers the model's question for moments sorted by account, then by time: 1
// is yes, 0 no, NaN that there is no answer: because the horizon is not over at asOf
// (open is true then), or, of a change, because there is no amount at the moment. It
// looks by occurrence at the facts that had arrived by asOf, in the version of then.
//
// Where the intervals asked about are bridged, an answer waits for as long as the bridge
// after the horizon: until then an end may turn out to be none.
func (p *Plan) Labels(model string, part *facts.Part, at []Moment, asOf int64) (label []float64, open []bool, err error) {
	m, err := p.model(model)
	if err == nil {
		err = p.check(part, at)
	}
	if err != nil {
		return nil, nil, err
	}
	l, err := p.labeller(m, part, asOf)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: line %d: model %s: label: %w", ErrProject, m.Label.Line, m.Name, err)
	}
	label, open = make([]float64, len(at)), make([]bool, len(at))
	zone := p.calendar.zone
	for i, x := range at {
		if i == 0 || x.Account != at[i-1].Account {
			l.account(x.Account)
		}
		from := m.Gap.After(x.At, zone)
		to := m.Label.Horizon.After(from, zone)
		if open[i] = l.bridge.After(to, zone) > asOf; open[i] {
			label[i] = math.NaN()
			continue
		}
		label[i] = l.answer(x.At, from, to)
	}
	return label, open, nil
}

// labeller knows the facts that decide about an account's labels.
type labeller struct {
	plan   *Plan
	label  *spec.Label
	stream stream
	lapse  bool
	facts  *facts.Facts
	keep   []bool    // by fact; nil: all
	values []float64 // by fact: the amount of a change
	bridge spec.Window
	asOf   int64

	instants []int64  // of the account's events, ascending
	periods  []period // of its intervals
}

// period is an interval as it turned out: a bridge lengthens it.
type period struct {
	start, end int64 // end: Never where it has not come
	value      float64
	joined     int64 // when the next begins, where that is within the bridge
	last       bool  // nothing follows within the bridge, and no other is true at the end
}

func (p *Plan) labeller(m *spec.Model, part *facts.Part, asOf int64) (*labeller, error) {
	l := &labeller{plan: p, label: &m.Label, asOf: asOf}
	from, lapse := strings.CutSuffix(m.Label.From, ".lapse")
	from = strings.TrimSuffix(strings.TrimSuffix(from, ".start"), ".active")
	var err error
	if l.stream, err = findStream(p.project, from); err != nil {
		return nil, err
	}
	source := &p.project.Sources[l.stream.source]
	l.lapse, l.facts = lapse, &part.Sources[l.stream.source]
	if lapse || m.Label.Kind != spec.LabelEvent {
		if _, err := p.intervals(from); err != nil {
			return nil, err
		}
		l.bridge = source.Bridge
	}
	if m.Label.Where != nil {
		if l.keep, err = evaluate(&filter{l.stream.source, m.Label.Where}, source.Name, l.facts.Columns, l.facts.Rows()); err != nil {
			return nil, err
		}
	}
	switch m.Label.Kind {
	case spec.LabelEvent, spec.LabelState:
	case spec.LabelChange:
		k := columnOf(source, m.Label.Value)
		switch {
		case k < 0:
			return nil, fmt.Errorf("%s has no column %q", source.Name, m.Label.Value)
		case m.Label.By == 0:
			return nil, errors.New("a change is up by a share above 0, or down by one below 0")
		}
		switch c := &l.facts.Columns[k]; {
		case c.Kind == datasets.Number || c.Kind == datasets.Boolean:
			l.values = c.Numbers
		case c.Kind == datasets.Time || len(c.Values) > 0:
			return nil, fmt.Errorf("%s of %s is a %s, not a number", c.Name, source.Name, c.Kind)
		default: // of no values
			l.values = slices.Repeat([]float64{math.NaN()}, l.facts.Rows())
		}
	default:
		return nil, fmt.Errorf("unknown kind %q", m.Label.Kind)
	}
	return l, nil
}

// account takes up the facts of an account.
func (l *labeller) account(account int) {
	l.instants, l.periods = l.instants[:0], l.periods[:0]
	f := l.facts
	if l.label.Kind == spec.LabelEvent && !l.lapse {
		for i := f.First[account]; i < f.First[account+1]; i++ {
			at := f.Occurred[i]
			if l.stream.ends {
				at = f.End[i]
			}
			if known(f, i, l.asOf) && (l.keep == nil || l.keep[i]) && at != datasets.MissingTime {
				l.instants = append(l.instants, at)
			}
		}
		slices.Sort(l.instants)
		return
	}
	var kept []bool
	for i := f.First[account]; i < f.First[account+1]; i++ {
		keep := l.keep == nil || l.keep[i]
		if !known(f, i, l.asOf) || !keep && !l.lapse { // a lapse is one of all intervals
			continue
		}
		x := period{start: f.Occurred[i], end: facts.Never, joined: math.MinInt64}
		if f.End[i] != datasets.MissingTime {
			x.end = f.End[i]
		}
		if l.values != nil {
			x.value = l.values[i]
		}
		l.periods, kept = append(l.periods, x), append(kept, keep)
	}
	l.join()
	for i, x := range l.periods {
		if l.lapse && kept[i] && x.last {
			l.instants = append(l.instants, x.end)
		}
	}
	slices.Sort(l.instants)
}

// join lengthens each interval up to the next one that begins within the bridge, and
// finds those that nothing follows.
func (l *labeller) join() {
	n := len(l.periods) // in the order of their starts
	latest := make([]int64, n+1)
	for i, x := range l.periods {
		latest[i+1] = max(latest[i], x.end)
	}
	latest[0] = math.MinInt64
	from := func(start int64) int { return sort.Search(n, func(k int) bool { return l.periods[k].start >= start }) }
	for i := range l.periods {
		x := &l.periods[i]
		if x.end == facts.Never {
			continue
		}
		reach := l.bridge.After(x.end, l.plan.calendar.zone)
		x.last = latest[from(reach+1)] <= x.end
		next := from(x.end)
		if next == i {
			next++
		}
		if next < n && l.periods[next].start <= reach {
			x.joined = l.periods[next].start
		}
	}
	for i := range l.periods {
		if x := &l.periods[i]; x.joined > x.end {
			x.end = x.joined
		}
	}
}

// answer is the label of a moment whose horizon is from <= instant < to.
func (l *labeller) answer(moment, from, to int64) float64 {
	yes := false
	switch l.label.Kind {
	case spec.LabelEvent:
		i, _ := slices.BinarySearch(l.instants, from)
		yes = i < len(l.instants) && l.instants[i] < to
	case spec.LabelState:
		n, _ := l.state(to)
		yes = (n > 0) == l.label.Is
	case spec.LabelChange:
		_, before := l.state(moment)
		_, after := l.state(to)
		if before == 0 {
			return math.NaN()
		}
		// 77 is 10 % more than 70, though 0.1 * 70 is above 7 in binary numbers.
		least, slack := l.label.By*math.Abs(before), 1e-9*math.Abs(before)
		if l.label.By > 0 {
			yes = after-before >= least-slack
		} else {
			yes = after-before <= least+slack
		}
	}
	if yes {
		return 1
	}
	return 0
}

// state is how many intervals are true at an instant, and the sum of their amounts.
func (l *labeller) state(at int64) (n int, sum float64) {
	for _, x := range l.periods {
		if x.start <= at && at < x.end {
			n++
			if x.value == x.value {
				sum += x.value
			}
		}
	}
	return n, sum
}
