package build

import (
	"testing"
	"time"
)

// The days of a calendar are those of package time, and a day begins at its first instant.
func TestCalendar(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Kiritimati", "Africa/Cairo", "Asia/Beirut"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		c := newCalendar(zone)
		before := int64(-1 << 60)
		for at := time.Date(1969, 12, 25, 0, 0, 0, 0, time.UTC); at.Year() < 2031; at = at.Add(107 * time.Minute) {
			year, month, day := at.In(zone).Date()
			want := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400
			if at.Unix() < 0 && time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix()%86400 != 0 {
				t.Fatal("days are whole")
			}
			us := at.UnixMicro()
			if got := c.day(us); got != want {
				t.Fatalf("%s: %s is of day %d, not %d", name, at.In(zone), got, want)
			}
			if want != before {
				first := c.midnight(want)
				if c.day(first) != want || c.day(first-1) >= want {
					t.Fatalf("%s: day %d does not begin at %s", name, want, time.UnixMicro(first).In(zone))
				}
				before = want
			}
		}
	}
}

// Where clocks go forward at midnight, the day begins at one o'clock; where they go back
// over midnight, the day that has begun goes on.
func TestDaysOfChangingClocks(t *testing.T) {
	for _, c := range []struct {
		zone, at string
		day      string // the day it is of
		begins   string // the first instant of that day
	}{
		{"America/Sao_Paulo", "2018-11-04T01:00:00-02:00", "2018-11-04", "2018-11-04T01:00:00-02:00"},
		{"America/Sao_Paulo", "2018-11-03T23:59:59-03:00", "2018-11-03", "2018-11-03T00:00:00-03:00"},
		{"Europe/Berlin", "2025-03-30T12:00:00+02:00", "2025-03-30", "2025-03-30T00:00:00+01:00"},
		{"Europe/Berlin", "2025-10-26T23:59:59+01:00", "2025-10-26", "2025-10-26T00:00:00+02:00"},
		// St. John's went back from 00:01 to 23:01 of the day before.
		{"America/St_Johns", "2010-11-07T00:00:30-02:30", "2010-11-07", "2010-11-07T00:00:00-02:30"},
		{"America/St_Johns", "2010-11-06T23:30:00-03:30", "2010-11-07", "2010-11-07T00:00:00-02:30"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, c.at)
		begins, _ := time.Parse(time.RFC3339, c.begins)
		day, _ := time.Parse(time.DateOnly, c.day)
		k := newCalendar(zone)
		if got := k.day(at.UnixMicro()); got != day.Unix()/86400 {
			t.Errorf("%s %s is of day %d, not %d", c.zone, c.at, got, day.Unix()/86400)
		}
		if got := k.midnight(day.Unix() / 86400); got != begins.UnixMicro() {
			t.Errorf("%s %s begins at %s, not at %s", c.zone, c.day, time.UnixMicro(got).In(zone), begins.In(zone))
		}
	}
}
