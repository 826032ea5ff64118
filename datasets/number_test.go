package datasets

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What FormatNumber writes, ParseNumber reads as the very same number.
func TestNumberRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Int64(), func(n int64) float64 { return float64(n) }), rapid.Float64Range(-1e16, 1e16)).Draw(t, "x")
		if math.IsInf(x, 0) {
			return
		}
		got, ok := ParseNumber(FormatNumber(x))
		if !ok || got != x || FormatNumber(got) != FormatNumber(x) {
			t.Fatalf("%v is %q is %v, %v", x, FormatNumber(x), got, ok)
		}
	})
	if x, ok := ParseNumber("-0"); !ok || math.Signbit(x) || FormatNumber(math.Copysign(0, -1)) != "0" {
		t.Error("minus zero is not zero")
	}
}

func TestNotNumbers(t *testing.T) {
	for _, s := range []string{"", "-", ".", "+5", "001", "-01", "1e", "1e+", "0x1", "1_0", "1,0", " 1", "inf", "NaN", "1e400", "-1e309", "1234567890123456", "1.2.3", "٣"} {
		if x, ok := ParseNumber(s); ok {
			t.Errorf("%q is %v", s, x)
		}
		if isNumber(s) {
			t.Errorf("%q is inferred to be a number", s)
		}
	}
	for _, s := range []string{"0", "-5", "0.10", "5.", ".5", "1e5", "1E-5", "123456789012345", "0.12345678901234567890", "1e-400"} {
		if _, ok := ParseNumber(s); !ok || !isNumber(s) {
			t.Errorf("%q is no number", s)
		}
	}
}

// Every instant to the microsecond reads back from its spelling, and the package
// time agrees on what RFC 3339 means.
func TestTimeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(earliestTime, latestTime).Draw(t, "us")
		if got, form := parseTime(FormatTime(us)); got != us || form != zonedTime {
			t.Fatalf("%d is %q is %d", us, FormatTime(us), got)
		}
		zone := time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, "minutes")*60)
		at := time.UnixMicro(us).In(zone)
		if at.Year() < 0 || at.Year() > 9999 {
			return
		}
		if got, form := parseTime(at.Format("2006-01-02T15:04:05.000000Z07:00")); got != us || form != zonedTime {
			t.Fatalf("%s is %d, want %d", at, got, us)
		}
	})
}

func TestTimes(t *testing.T) {
	for s, want := range map[string]struct {
		us   int64
		form timeForm
	}{
		"1970-01-01":                    {0, dateOnly},
		"1970-01-02 00:00:00":           {86400e6, localTime},
		"1970-01-01T00:00:01.5":         {1500000, localTime},
		"1970-01-01 00:00:00.123456789": {123456, localTime},
		"1970-01-01 00:00:00 UTC":       {0, zonedTime},
		"1970-01-01 02:00:00+02":        {0, zonedTime},
		"1970-01-01 02:30:00+0230":      {0, zonedTime},
		"1969-12-31T19:00:00-05:00":     {0, zonedTime},
		"2000-02-29":                    {951782400e6, dateOnly},
	} {
		if us, form := parseTime(s); us != want.us || form != want.form {
			t.Errorf("%s: %d, form %d", s, us, form)
		}
	}
	for _, s := range []string{"", "1970-1-1", "1970-13-01", "1970-00-01", "1970-01-32", "1900-02-29", "1970/01/01", "1970-01-01T", "1970-01-01 10:00",
		"1970-01-01 24:00:00", "1970-01-01 00:60:00", "1970-01-01 00:00:60", "1970-01-01 00:00:00.", "1970-01-01 00:00:00.1234567890", "1970-01-01 00:00:00+2",
		"1970-01-01 00:00:00+24:00", "1970-01-01 00:00:00+02:60", "1970-01-01 00:00:00 CET", "1970-01-01Z", "-970-01-01", "0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"} {
		if us, form := parseTime(s); form != noTime {
			t.Errorf("%q is %d", s, us)
		}
	}
}
