package spec_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"propensity/features/spec"
)

func window(t *testing.T, s string) spec.Window {
	t.Helper()
	w, err := spec.ParseWindow(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestParseWindow(t *testing.T) {
	const day = 24 * 3600 * 1e6
	for s, want := range map[string]struct {
		w    spec.Window
		name string
	}{
		"30s":   {spec.Window{Micros: 30e6}, "30s"},
		"30m":   {spec.Window{Micros: 1800e6}, "30m"},
		"90m":   {spec.Window{Micros: 5400e6}, "90m"},
		"60m":   {spec.Window{Micros: 3600e6}, "1h"},
		"12h":   {spec.Window{Micros: day / 2}, "12h"},
		"24h":   {spec.Window{Micros: day}, "1d"},
		"07d":   {spec.Window{Micros: 7 * day}, "7d"},
		"1w":    {spec.Window{Micros: 7 * day}, "7d"},
		"1mo":   {spec.Window{Months: 1}, "1mo"},
		"1y":    {spec.Window{Months: 12}, "12mo"},
		"100y":  {spec.Window{Months: 1200}, "1200mo"},
		"1200h": {spec.Window{Micros: 50 * day}, "50d"},
	} {
		if got := window(t, s); got != want.w || got.String() != want.name {
			t.Errorf("%s: %+v, %s", s, got, got)
		}
	}
	for _, s := range []string{"", "d", "7", "0d", "-7d", "+7d", "7 d", "1.5d", "7D", "1M", "101y", "1201mo", "36601d", "9223372036854775808d", "9223372036854775807w", "7d7d"} {
		if w, err := spec.ParseWindow(s); err == nil {
			t.Errorf("%q is %v", s, w)
		}
	}
}

// A month before is the same day and time of day, or the last day of the month.
func TestWindowStart(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string, loc *time.Location) int64 {
		x, err := time.ParseInLocation("2006-01-02 15:04:05", s, loc)
		if err != nil {
			t.Fatal(err)
		}
		return x.UnixMicro()
	}
	for _, c := range []struct {
		moment, window, start string
		loc                   *time.Location
	}{
		{"2025-03-31 10:00:00", "1mo", "2025-02-28 10:00:00", time.UTC},
		{"2024-03-31 10:00:00", "1mo", "2024-02-29 10:00:00", time.UTC},
		{"2024-02-29 00:00:00", "1y", "2023-02-28 00:00:00", time.UTC},
		{"2025-01-15 00:00:00", "1mo", "2024-12-15 00:00:00", time.UTC},
		{"2025-01-31 00:00:00", "11mo", "2024-02-29 00:00:00", time.UTC},
		{"2025-05-31 00:00:00", "14mo", "2024-03-31 00:00:00", time.UTC},
		{"2025-04-15 00:00:00", "1mo", "2025-03-15 00:00:00", berlin}, // over the start of summer time
		{"2025-04-15 00:00:00", "31d", "2025-03-14 23:00:00", berlin}, // exact
		{"2025-03-01 00:00:00", "1d", "2025-02-28 00:00:00", time.UTC},
		{"2025-04-30 02:30:00", "1mo", "2025-03-30 03:30:00", berlin}, // 02:30 was not, on that day
	} {
		if got, want := window(t, c.window).Start(at(c.moment, c.loc), c.loc), at(c.start, c.loc); got != want {
			t.Errorf("%s - %s: %s", c.moment, c.window, time.UnixMicro(got).In(c.loc))
		}
	}
	if got := window(t, "1mo").After(at("2025-01-31 00:00:00", time.UTC), time.UTC); got != at("2025-02-28 00:00:00", time.UTC) {
		t.Errorf("%s", time.UnixMicro(got).UTC())
	}
}

// A window is written and read back the same; it starts before the moment, and a later
// moment's never starts before an earlier one's.
func TestWindowProperties(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]string{"s", "m", "h", "d", "w", "mo", "y"}).Draw(t, "unit")
		n := rapid.IntRange(1, 100).Draw(t, "n")
		w, err := spec.ParseWindow(fmt.Sprintf("%d%s", n, unit))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := spec.ParseWindow(w.String()); err != nil || again != w {
			t.Fatalf("%v, %v", again, err)
		}
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		moment := rapid.Int64Range(0, 4e15).Draw(t, "moment")
		later := moment + rapid.Int64Range(0, 40*86400e6).Draw(t, "later")
		start := w.Start(moment, loc)
		if start >= moment {
			t.Fatalf("%s before %d is %d", w, moment, start)
		}
		if w.Months == 0 && (moment-start != w.Micros || w.After(start, loc) != moment) {
			t.Fatalf("%s is not exact", w)
		}
		if w.Months > 0 {
			a, b := time.UnixMicro(moment).In(loc), time.UnixMicro(start).In(loc)
			if months := (a.Year()-b.Year())*12 + int(a.Month()) - int(b.Month()); months != w.Months {
				t.Fatalf("%s before %s is %s", w, a, b)
			}
		}
		if next := w.Start(later, loc); next < start-2*3600e6 { // the clock goes back by an hour, or in a gap forward
			t.Fatalf("%s: %d before %d", w, next, start)
		}
	})
}
