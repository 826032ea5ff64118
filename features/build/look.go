package build

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"propensity/datasets"
	"propensity/features/facts"
)

// look makes the results of a lane for the account's moments. Nearly always the facts
// that count at a moment are the first so many in the total order: those before it, or
// all of those but the newest, which have not arrived yet. Then all moments are looked at
// in one go. At the others, before which a fact had arrived later than a newer one, or
// was not yet corrected, the facts that count are listed anew.
func (s *scratch) look(l *lane, account int) {
	a, b := l.facts.First[account], l.facts.First[account+1]
	l.base, l.when, l.ends = a, l.facts.Occurred[a:b], nil
	if l.facts.End != nil {
		l.ends = l.facts.End[a:b]
	}
	if l.stream.ends {
		l.when = l.ends
	}
	rows := s.settled(l, b-a)
	s.shown = s.shown[:0]
	for m, late := range s.late {
		if !late {
			s.shown = append(s.shown, int32(m))
		}
	}
	if len(s.shown) > 0 {
		s.run(l, rows, s.shown)
	}
	s.limited = false
	for m, late := range s.late {
		if late {
			s.shown = append(s.shown[:0], int32(m))
			s.run(l, s.counting(l, s.moments[m], m, b-a), s.shown)
		}
	}
}

// settled lists the facts that count at every moment from their arrival on, in order. It
// marks in s.late the moments at which others count too, or not the first so many of them;
// where it is not all that occurred before, s.limit has how many of them there are.
func (s *scratch) settled(l *lane, n int) []int32 {
	s.late = slices.Grow(s.late[:0], len(s.moments))[:len(s.moments)]
	for m := range s.late {
		s.late[m] = l.masked
	}
	s.limited = false
	f := l.facts
	if f.Arrived == nil && f.Until == nil && !l.stream.ends || l.masked {
		return s.all(n)
	}
	last, next, wait := s.moments[len(s.moments)-1], 0, false
	s.list = s.list[:0]
	for i, at := range l.when {
		if l.stream.ends {
			if at == datasets.MissingTime {
				continue
			}
			next = 0 // not in order
		}
		arrived, until := l.arrived(i), facts.Never
		if f.Until != nil {
			until = f.Until[l.base+i]
		}
		for next < len(s.moments) && s.moments[next] <= at {
			next++
		}
		if until >= last {
			s.list = append(s.list, int32(i))
			wait = wait || next < len(s.moments) && s.moments[next] <= arrived
			continue
		}
		for m := next; m < len(s.moments) && s.moments[m] <= until; m++ {
			s.late[m] = s.late[m] || s.moments[m] > arrived
		}
	}
	s.order(l)
	if wait {
		s.limits(l)
	}
	return s.list
}

// arrived is when a fact of the stream had occurred and arrived.
func (l *lane) arrived(i int) int64 {
	out := l.when[i]
	if l.stream.ends {
		out += l.lag
	}
	if l.facts.Arrived != nil {
		out = max(out, l.facts.Arrived[l.base+i])
	}
	return out
}

// limits finds the moments at which settled facts had occurred but not arrived. If they
// are the newest ones, the first of them is the limit.
func (s *scratch) limits(l *lane) {
	s.limited = true
	s.limit, s.waiting = s.limit[:0], s.waiting[:0]
	for range s.moments {
		s.limit, s.waiting = append(s.limit, math.MaxInt32), append(s.waiting, 0)
	}
	next := 0
	for k, i := range s.list {
		for next < len(s.moments) && s.moments[next] <= l.when[i] {
			next++
		}
		arrived := l.arrived(int(i))
		for m := next; m < len(s.moments) && s.moments[m] <= arrived; m++ {
			if s.waiting[m] == 0 {
				s.limit[m] = int32(k)
			}
			s.waiting[m]++
		}
	}
	for m, n := range s.waiting {
		if n == 0 {
			continue
		}
		first := s.limit[m]
		occurred := sort.Search(len(s.list), func(k int) bool { return l.when[s.list[k]] >= s.moments[m] })
		if s.limit[m] = s.list[first]; l.stream.ends || int32(occurred)-first > n { // rows of ends do not ascend
			s.late[m] = true
		}
	}
}

// counting lists the facts that count at one moment, in order.
func (s *scratch) counting(l *lane, moment int64, m, n int) []int32 {
	from := 0
	if l.oldest != nil && !l.stream.ends {
		oldest := moment
		for _, i := range l.oldest {
			oldest = min(oldest, s.edges[i][m].from)
		}
		from = sort.Search(n, func(i int) bool { return l.when[i] >= oldest })
	}
	s.list = s.list[:0]
	for i := from; i < n; i++ {
		if !l.stream.ends && l.when[i] >= moment {
			break
		}
		if visible(l.facts, l.base+i, moment) && (!l.stream.ends || l.when[i] != datasets.MissingTime && l.when[i]+l.lag < moment) {
			s.list = append(s.list, int32(i))
		}
	}
	s.order(l)
	return s.list
}

// order sorts ends: of one instant in the order of the starts.
func (s *scratch) order(l *lane) {
	if l.stream.ends {
		slices.SortStableFunc(s.list, func(i, j int32) int { return cmp.Compare(l.when[i], l.when[j]) })
	}
}

// all is 0 to n-1.
func (s *scratch) all(n int) []int32 {
	for len(s.whole) < n {
		s.whole = append(s.whole, int32(len(s.whole)))
	}
	return s.whole[:n]
}

// visible says whether a version counts at a moment.
func visible(f *facts.Facts, i int, moment int64) bool {
	return f.Occurred[i] < moment && (f.Arrived == nil || f.Arrived[i] < moment) && (f.Until == nil || f.Until[i] >= moment)
}
