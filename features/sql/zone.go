package sql

import (
	"fmt"
	"time"
)

// The years in which the clocks of a timezone are looked at.
const firstYear, lastYear = 1990, 2060

// change is one of the clocks of a timezone; microseconds.
type change struct{ at, before, after int64 }

func changes(zone string) ([]change, *time.Location, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, nil, fmt.Errorf("timezone %q: %w", zone, err)
	}
	var out []change
	for t := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC).In(loc); ; {
		_, before := t.Zone()
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Year() > lastYear {
			return out, loc, nil
		}
		if !end.After(t) { // on the last day of some leap years Go finds no later bound
			t = t.Add(24 * time.Hour)
			continue
		}
		if _, after := end.Zone(); after != before {
			out = append(out, change{end.UnixMicro(), int64(before) * 1e6, int64(after) * 1e6})
		}
		t = end
	}
}

// checkDays refuses a timezone in which the date has gone back: a day of the engine
// lasts until the next begins, the date of a warehouse does not.
func checkDays(zone string) error {
	list, _, err := changes(zone)
	if err != nil {
		return err
	}
	for _, c := range list {
		if floorDay(c.at+c.after) < floorDay(c.at-1+c.before) {
			return fmt.Errorf("%w: calendar days of %s: its date went back on %s", ErrUnavailable, zone, time.UnixMicro(c.at).UTC().Format(time.DateOnly))
		}
	}
	return nil
}

// checkMidnights refuses a timezone in which the first instant of some day is not what
// the query makes of the offsets of the days before and after.
func checkMidnights(zone string) error {
	list, loc, err := changes(zone)
	if err != nil {
		return err
	}
	wall := func(x int64) int64 {
		_, offset := time.UnixMicro(x).In(loc).Zone()
		return x + int64(offset)*1e6
	}
	for _, c := range list {
		for day := floorDay(c.at) - 3; day <= floorDay(c.at)+3; day++ {
			w := day * microsDay
			a, b := 2*w-microsDay-wall(w-microsDay), 2*w+microsDay-wall(w+microsDay)
			at := a
			if wall(a) != w && wall(b) == w {
				at = b
			}
			// The first instant: its day is this one or a later one, as never before.
			if floorDay(wall(at)) < day || floorDay(wall(at-1)) >= day {
				return fmt.Errorf("%w: midnights of %s: its clocks changed oddly on %s", ErrUnavailable, zone, time.UnixMicro(c.at).UTC().Format(time.DateOnly))
			}
		}
	}
	return nil
}

// floorDay is the number of the day of a wall clock.
func floorDay(wall int64) int64 {
	day := wall / microsDay
	if wall%microsDay < 0 {
		day--
	}
	return day
}
