package spec

import (
	"fmt"
	"strconv"
	"time"
)

const (
	microsSecond int64 = 1e6
	microsMinute       = 60 * microsSecond
	microsHour         = 60 * microsMinute
	microsDay          = 24 * microsHour

	mostMonths = 100 * 12
	mostMicros = 100 * 366 * microsDay
)

// ParseWindow reads a length of time above 0 and at most 100 years: a whole number
// and a unit. Exact are s, m (minutes), h, d (24 hours) and w (7 days); mo are
// calendar months, y is 12 of them.
func ParseWindow(s string) (Window, error) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	if err != nil {
		return Window{}, fmt.Errorf("%q is no length of time: write a number and a unit, such as 7d, 12h, 30m or 1mo", s)
	}
	var unit, months int64
	switch s[i:] {
	case "s":
		unit = microsSecond
	case "m":
		unit = microsMinute
	case "h":
		unit = microsHour
	case "d":
		unit = microsDay
	case "w":
		unit = 7 * microsDay
	case "mo":
		months = 1
	case "y":
		months = 12
	default:
		return Window{}, fmt.Errorf("%q is no length of time: its unit is one of s, m (minutes), h, d, w, mo (months) and y", s)
	}
	if n == 0 {
		return Window{}, fmt.Errorf("%q is nothing: a length of time is above 0", s)
	}
	if months > 0 && n > mostMonths/months || unit > 0 && n > mostMicros/unit {
		return Window{}, fmt.Errorf("%q is more than 100 years", s)
	}
	return Window{Months: int(n * months), Micros: n * unit}, nil
}

// String is the one spelling of a window, which ParseWindow reads back: months, or the
// largest of d, h, m and s that it is whole in. No window is "".
func (w Window) String() string {
	switch {
	case w.Months != 0:
		return strconv.Itoa(w.Months) + "mo"
	case w.Micros == 0:
		return ""
	case w.Micros%microsDay == 0:
		return strconv.FormatInt(w.Micros/microsDay, 10) + "d"
	case w.Micros%microsHour == 0:
		return strconv.FormatInt(w.Micros/microsHour, 10) + "h"
	case w.Micros%microsMinute == 0:
		return strconv.FormatInt(w.Micros/microsMinute, 10) + "m"
	}
	return strconv.FormatInt(w.Micros/microsSecond, 10) + "s"
}

// MarshalText writes String.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// IsZero reports that there is no window.
func (w Window) IsZero() bool { return w == Window{} }

// Start is the instant so long before the moment, microseconds since 1970 UTC.
// Months go back to the same day and time of day in loc, or to the last day of
// the month if it is shorter: a month before 31 March is the end of February.
func (w Window) Start(moment int64, loc *time.Location) int64 {
	return shift(moment, -w.Months, -w.Micros, loc)
}

// After is the instant so long after the moment, by the same rules.
func (w Window) After(moment int64, loc *time.Location) int64 {
	return shift(moment, w.Months, w.Micros, loc)
}

func shift(moment int64, months int, micros int64, loc *time.Location) int64 {
	if months == 0 {
		return moment + micros
	}
	t := time.UnixMicro(moment).In(loc)
	year, month, day := t.Date()
	first := time.Date(year, month+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	hour, minute, second := t.Clock()
	moved := time.Date(first.Year(), first.Month(), min(day, last), hour, minute, second, t.Nanosecond(), loc)
	return moved.UnixMicro()
}
