package build

import (
	"math"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// run makes the results of a lane at some of the account's moments, at which the
// given facts count once they have occurred.
func (s *scratch) run(l *lane, rows []int32, moments []int32) {
	for _, w := range l.works {
		switch {
		case w.parent != nil: // has its facts already
		case w.keep[0] == nil && w.keep[1] == nil && len(rows) == len(l.when) && !l.stream.ends:
			w.rows, w.when = rows, l.when
		default:
			s.pick(l, w, rows, moments)
		}
		for i := range w.splits {
			w.split(l, &w.splits[i], s.moments[moments[0]])
		}
		if len(w.spans) > 0 {
			w.twins = w.twins[:0]
			w.measure(s.plan.calendar)
			s.aggregate(l, w, moments)
		}
	}
}

// pick chooses the facts of a work.
func (s *scratch) pick(l *lane, w *work, rows []int32, moments []int32) {
	out, when := w.ownRows[:0], w.ownWhen[:0]
	if cap(out) < len(rows) {
		out, when = make([]int32, 0, 2*len(rows)), make([]int64, 0, 2*len(rows))
	}
	switch {
	case l.masked:
		moment := s.moments[moments[0]]
		for _, i := range rows {
			keep := w.keep[1]
			if !l.ended(i, moment) {
				keep = w.keep[0]
			}
			if keep == nil || keep[l.base+int(i)] {
				out, when = append(out, i), append(when, l.when[i])
			}
		}
	case w.keep[1] == nil:
		for _, i := range rows {
			out, when = append(out, i), append(when, l.when[i])
		}
	default:
		keep := w.keep[1][l.base:]
		n := 0
		out, when = out[:len(rows)], when[:len(rows)]
		for _, i := range rows { // without a branch: half of them would be foretold wrongly
			out[n], when[n] = i, l.when[i]
			if keep[i] {
				n++
			}
		}
		out, when = out[:n], when[:n]
	}
	w.ownRows, w.ownWhen = out, when
	w.rows, w.when = out, when
}

// ended says that an interval's end was known to have come before the moment.
func (l *lane) ended(i int32, moment int64) bool {
	return l.stream.ends || l.ends != nil && l.ends[i] != datasets.MissingTime && l.ends[i]+l.lag < moment
}

// split gives the facts of a work to those of its categories.
func (w *work) split(l *lane, d *split, moment int64) {
	for _, x := range d.all {
		x.ownRows, x.ownWhen = x.ownRows[:0], x.ownWhen[:0]
	}
	codes := d.codes[l.base:]
	for k, i := range w.rows {
		if d.hidden && !l.ended(i, moment) {
			continue
		}
		if code := codes[i]; code >= 0 {
			if x := d.byCode[code]; x != nil {
				x.ownRows, x.ownWhen = append(x.ownRows, i), append(x.ownWhen, w.when[k])
			}
		}
	}
	for _, x := range d.all {
		x.rows, x.when = x.ownRows, x.ownWhen
	}
}

// aggregate makes the cells of a work.
func (s *scratch) aggregate(l *lane, w *work, moments []int32) {
	w.before = w.before[:0]
	for i := range w.spans {
		x := &w.spans[i]
		edges := s.edges[x.span]
		if s.plan.spans[x.span].earlier {
			x.own = s.ending(x.own[:0], w, edges, moments)
			x.hi = x.own
		} else { // all windows up to the moment end with the same fact
			if len(w.before) == 0 {
				w.before = s.ending(w.before, w, edges, moments)
			}
			x.hi = w.before
		}
		x.lo = starting(x.lo[:0], w.when, edges, moments)
		if s.limited {
			for k := range x.lo {
				x.lo[k] = min(x.lo[k], x.hi[k])
			}
		}
		for _, c := range x.cells {
			s.cell(l, w, x, c, edges, moments)
		}
	}
}

// starting finds, for each moment, the first fact of the window.
func starting(out []int32, when []int64, edges []edge, moments []int32) []int32 {
	i := 0
	for _, m := range moments {
		i = seek(when, i, edges[m].from)
		out = append(out, int32(i))
	}
	return out
}

// ending finds, for each moment, the first fact after the window, or the first that does
// not count any more.
func (s *scratch) ending(out []int32, w *work, edges []edge, moments []int32) []int32 {
	i := 0
	for _, m := range moments {
		i = seek(w.when, i, edges[m].to)
		if s.limited {
			for i > 0 && w.rows[i-1] >= s.limit[m] {
				i--
			}
		}
		out = append(out, int32(i))
	}
	return out
}

// seek finds the first instant from t on, near i.
func seek(when []int64, i int, t int64) int {
	for i < len(when) && when[i] < t {
		i++
	}
	for i > 0 && when[i-1] >= t { // clocks that go back can make months overtake
		i--
	}
	return i
}

func (s *scratch) cell(l *lane, w *work, x *spanWork, number int, edges []edge, moments []int32) {
	c := &s.plan.cells[number]
	if c.agg == spec.First || c.agg == spec.Last {
		out := s.found[number][s.first:]
		for k, m := range moments {
			i := -1
			switch lo, hi := x.lo[k], x.hi[k]; {
			case lo == hi:
			case c.agg == spec.First:
				i = l.base + int(w.rows[lo])
			default:
				i = l.base + int(w.rows[hi-1])
			}
			out[m] = i
		}
		return
	}
	out := s.numbers[number][s.first:]
	switch c.agg {
	case spec.Count:
		for k, m := range moments {
			out[m] = float64(x.hi[k] - x.lo[k])
		}
	case spec.Sum:
		sums(out, w, x, l.numbers(c.column), moments)
	case spec.Min, spec.Max:
		extremes(out, w, x, l.numbers(c.column), moments, c.agg == spec.Max)
	case spec.DaysSince, spec.DaysSinceFirst, spec.TimeToFirst:
		s.ages(out, w, x, c, edges, moments)
	case spec.Distinct:
		distincts(out, s.twins(l, w, c.column), x, moments)
	case spec.ActiveDays:
		activeDays(out, w, x, moments)
	case spec.Streak:
		s.streaks(out, w, x, edges, moments)
	case spec.LongestStreak:
		longestStreaks(out, w, x, moments)
	case spec.Slope:
		s.slopes(out, l, w, x, c, edges, moments)
	case spec.Active, spec.ActiveAmount:
		values := l.numbers(c.column)
		if c.agg == spec.Active {
			values = nil
		}
		s.active(out, l, w, x, values, moments)
	}
}

// numbers of a column from the account's first fact on; nil of no column, and of one
// that has no values.
func (l *lane) numbers(column int) []float64 {
	if column < 0 || l.facts.Columns[column].Numbers == nil {
		return nil
	}
	return l.facts.Columns[column].Numbers[l.base:]
}

// sums adds the values of each window from its first fact to its last. A window that
// begins where the one before began goes on from it, which is the same sum.
func sums(out []float64, w *work, x *spanWork, values []float64, moments []int32) {
	sum, from, to := 0.0, int32(0), int32(0)
	for k, m := range moments {
		lo, hi := x.lo[k], x.hi[k]
		if lo != from || hi < to {
			sum, from, to = 0, lo, lo
		}
		for _, i := range w.rows[to:hi] {
			sum += values[i]
		}
		to = hi
		out[m] = sum
	}
}

func extremes(out []float64, w *work, x *spanWork, values []float64, moments []int32, largest bool) {
	best, from, to := math.NaN(), int32(0), int32(0)
	for k, m := range moments {
		lo, hi := x.lo[k], x.hi[k]
		if lo != from || hi < to {
			best, from, to = math.NaN(), lo, lo
		}
		for _, i := range w.rows[to:hi] {
			if v := values[i]; largest && !(v <= best) || !largest && !(v >= best) {
				best = v
			}
		}
		to = hi
		out[m] = best
	}
}

// ages are days from the newest or oldest dated fact to the end of the window, or from
// the sign-up to the oldest.
func (s *scratch) ages(out []float64, w *work, x *spanWork, c *cell, edges []edge, moments []int32) {
	for k, m := range moments {
		lo, hi := max(int(x.lo[k]), w.undated), int(x.hi[k])
		out[m] = math.NaN()
		if lo >= hi {
			continue
		}
		from, to := w.when[lo], edges[m].to
		switch {
		case c.agg == spec.TimeToFirst:
			from, to = s.signUp[m], from
			if from == facts.Never {
				continue
			}
		case c.agg == spec.DaysSince:
			from = w.when[hi-1]
		}
		if c.calendar {
			out[m] = float64(s.plan.calendar.day(to) - s.plan.calendar.day(from))
		} else {
			out[m] = float64(to-from) / float64(microsDay)
		}
	}
}

// active counts the intervals whose ends have not come, or adds their values.
func (s *scratch) active(out []float64, l *lane, w *work, x *spanWork, values []float64, moments []int32) {
	for k, m := range moments {
		sum := 0.0
		for _, i := range w.rows[x.lo[k]:x.hi[k]] {
			switch {
			case l.ended(i, s.moments[m]):
			case values == nil:
				sum++
			default:
				sum += values[i]
			}
		}
		out[m] = sum
	}
}
