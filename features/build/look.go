package build

import (
	"cmp"
	"slices"
	"sort"

	"propensity/datasets"
	"propensity/features/facts"
)

// look makes the results of a lane for the account's moments. Nearly always the facts
// that count at a moment are those before it in the total order; then all moments are
// looked at in one go. At the others, before which a fact occurred but had not arrived,
// or was not yet corrected, the facts that count are listed anew.
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
	for m, late := range s.late {
		if late {
			s.shown = append(s.shown[:0], int32(m))
			s.run(l, s.counting(l, s.moments[m], m, b-a), s.shown)
		}
	}
}

// settled lists the facts that count at every moment after they occurred, in order,
// and marks in s.late the moments at which others count too, or not all of them.
func (s *scratch) settled(l *lane, n int) []int32 {
	s.late = slices.Grow(s.late[:0], len(s.moments))[:len(s.moments)]
	for m := range s.late {
		s.late[m] = l.masked
	}
	f := l.facts
	if f.Arrived == nil && f.Until == nil && !l.stream.ends || l.masked {
		return s.all(n)
	}
	last, next := s.moments[len(s.moments)-1], 0
	s.list = s.list[:0]
	for i, at := range l.when {
		if l.stream.ends {
			if at == datasets.MissingTime {
				continue
			}
			next = 0 // not in order
		}
		arrived, until := at+l.endLag(), facts.Never
		if f.Arrived != nil {
			arrived = max(arrived, f.Arrived[l.base+i])
		}
		if f.Until != nil {
			until = f.Until[l.base+i]
		}
		for next < len(s.moments) && s.moments[next] <= at {
			next++
		}
		if until >= last {
			s.list = append(s.list, int32(i))
			for m := next; m < len(s.moments) && s.moments[m] <= arrived; m++ {
				s.late[m] = true
			}
			continue
		}
		for m := next; m < len(s.moments) && s.moments[m] <= until; m++ {
			s.late[m] = s.late[m] || s.moments[m] > arrived
		}
	}
	s.order(l)
	return s.list
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

// endLag is how long after they occurred the facts of ends arrive.
func (l *lane) endLag() int64 {
	if l.stream.ends {
		return l.lag
	}
	return 0
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
