package build

import (
	"math"
	"sort"
	"time"
)

const microsDay int64 = 86_400_000_000

// calendar numbers the days of a timezone: day 0 is 1970-01-01. A day begins at its
// first instant, which is not 00:00 where the clocks skip it, and lasts until the
// next begins, also where the clocks go back over midnight.
type calendar struct {
	zone    *time.Location
	starts  []int64 // when an offset begins, ascending; the first is before all instants
	offsets []int64 // microseconds east of UTC from then on
	floors  []int64 // the newest day before then
}

// Between these years the clock changes of a timezone are known to a calendar;
// outside, it keeps the nearest offset.
const firstYear, lastYear = 1900, 2200

func newCalendar(zone *time.Location) *calendar {
	c := &calendar{zone: zone}
	for t := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC).In(zone); t.Year() <= lastYear; {
		_, seconds := t.Zone()
		offset := int64(seconds) * 1e6
		switch n := len(c.starts); {
		case n == 0:
			c.starts, c.offsets, c.floors = []int64{-1 << 62}, []int64{offset}, []int64{-1 << 62}
		case offset != c.offsets[n-1]:
			floor := c.day(t.UnixMicro() - 1)
			c.starts, c.offsets, c.floors = append(c.starts, t.UnixMicro()), append(c.offsets, offset), append(c.floors, floor)
		}
		_, end := t.ZoneBounds()
		if end.IsZero() {
			break
		}
		if !end.After(t) { // so it is on the last day of a leap year
			end = t.Add(24 * time.Hour)
		}
		t = end
	}
	return c
}

// day is the number of the day that the instant is of.
func (c *calendar) day(us int64) int64 {
	i := len(c.starts) - 1
	if i > 0 {
		i = sort.Search(i, func(k int) bool { return c.starts[k+1] > us })
	}
	return max(floorDiv(us+c.offsets[i], microsDay), c.floors[i])
}

// days numbers the days of instants that ascend.
func (c *calendar) days(out []int32, instants []int64) []int32 {
	var offset, floor int64
	end := int64(math.MinInt64) // of the offset
	for _, us := range instants {
		if us >= end {
			i := sort.Search(len(c.starts)-1, func(k int) bool { return c.starts[k+1] > us })
			offset, floor, end = c.offsets[i], c.floors[i], math.MaxInt64
			if i+1 < len(c.starts) {
				end = c.starts[i+1]
			}
		}
		out = append(out, int32(max(floorDiv(us+offset, microsDay), floor)))
	}
	return out
}

// midnight is the first instant of a day.
func (c *calendar) midnight(day int64) int64 {
	i := sort.Search(len(c.starts)-1, func(k int) bool { return c.starts[k+1]+c.offsets[k] > day*microsDay })
	return max(day*microsDay-c.offsets[i], c.starts[i])
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
