package build

import (
	"math"

	"propensity/features/facts"
	"propensity/features/spec"
)

// measure finds the days of the picked facts, as far as cells need them.
func (w *work) measure(c *calendar) {
	w.undated = 0
	for w.undated < len(w.when) && w.when[w.undated] <= facts.Always {
		w.undated++
	}
	if !w.days {
		return
	}
	w.day, w.change = w.day[:0], w.change[:0]
	for range w.undated {
		w.day = append(w.day, math.MinInt32)
	}
	w.day = c.days(w.day, w.when[w.undated:])
	changes := int32(0)
	for k, day := range w.day {
		if k > 0 && day != w.day[k-1] {
			changes++
		}
		w.change = append(w.change, changes)
	}
	if !w.runs {
		return
	}
	w.run = w.run[:0]
	for k, day := range w.day {
		n := int32(1)
		if k > w.undated {
			switch day - w.day[k-1] {
			case 0:
				n = w.run[k-1]
			case 1:
				n = w.run[k-1] + 1
			}
		}
		w.run = append(w.run, n)
	}
}

// activeDays are the changes of day within the window, and one.
func activeDays(out []float64, w *work, x *spanWork, moments []int32) {
	for k, m := range moments {
		lo, hi := max(int(x.lo[k]), w.undated), int(x.hi[k])
		out[m] = 0
		if lo < hi {
			out[m] = float64(w.change[hi-1] - w.change[lo] + 1)
		}
	}
}

// streaks are the days in a row up to the newest fact, as far as the window goes.
func (s *scratch) streaks(out []float64, w *work, x *spanWork, edges []edge, moments []int32) {
	for k, m := range moments {
		lo, hi := max(int(x.lo[k]), w.undated), int(x.hi[k])
		out[m] = 0
		if lo >= hi {
			continue
		}
		if newest := w.day[hi-1]; int64(newest) >= s.plan.calendar.day(edges[m].to)-1 {
			out[m] = float64(min(w.run[hi-1], newest-w.day[lo]+1))
		}
	}
}

func longestStreaks(out []float64, w *work, x *spanWork, moments []int32) {
	for k, m := range moments {
		lo, hi := max(int(x.lo[k]), w.undated), int(x.hi[k])
		n, most := 0, 0
		for i := lo; i < hi; i++ {
			switch {
			case i == lo || w.day[i] > w.day[i-1]+1:
				n = 1
			case w.day[i] == w.day[i-1]+1:
				n++
			}
			most = max(most, n)
		}
		out[m] = float64(most)
	}
}

// slopes fits a line through the counts or sums of the window's buckets, which end
// where the window ends: least squares, x = 0, 1, 2 ... from the oldest.
func (s *scratch) slopes(out []float64, l *lane, w *work, x *spanWork, c *cell, edges []edge, moments []int32) {
	values := l.numbers(c.column)
	for k, m := range moments {
		lo, hi := int(x.lo[k]), int(x.hi[k])
		out[m] = math.NaN()
		if lo == hi {
			continue
		}
		s.cuts = s.bucketStarts(s.cuts[:0], c.every, edges[m])
		n := len(s.cuts)
		if n < 2 {
			continue
		}
		s.buckets = s.buckets[:0]
		for range n {
			s.buckets = append(s.buckets, 0)
		}
		bucket := -1
		for i := lo; i < hi; i++ {
			for bucket+1 < n && w.when[i] >= s.cuts[n-2-bucket] {
				bucket++
			}
			switch {
			case bucket < 0: // older than the oldest whole bucket
			case c.column >= 0:
				s.buckets[bucket] += values[w.rows[i]]
			default:
				s.buckets[bucket]++
			}
		}
		out[m] = slope(s.buckets)
	}
}

// bucketStarts are where the whole buckets of a window begin, newest first.
func (s *scratch) bucketStarts(out []int64, every spec.Window, e edge) []int64 {
	for k := 1; ; k++ {
		start := s.start(spec.Window{Months: k * every.Months, Micros: int64(k) * every.Micros}, e.to)
		if start < e.from {
			return out
		}
		out = append(out, start)
	}
}

// slope of least squares of two values or more at x = 0, 1, 2 ...
func slope(y []float64) float64 {
	middle := float64(len(y)-1) / 2
	top, low := 0.0, 0.0
	for i, v := range y {
		d := float64(i) - middle
		top += float64(d * v)
		low += float64(d * d)
	}
	return top / low
}
