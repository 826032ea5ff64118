package datasets

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
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
	for _, s := range []string{"0", "-5", "0.10", "5.", ".5", "1e5", "1E-5", "123456789012345", "0.12345678901234567890", "1e-400", "1000000000000000."} {
		if _, ok := ParseNumber(s); !ok || !isNumber(s) {
			t.Errorf("%q is no number", s)
		}
	}
}

var numberForm = regexp.MustCompile(`^-?((0|[1-9][0-9]*)\.?|(0|[1-9][0-9]*)?\.[0-9]+)([eE][-+]?[0-9]+)?$`)

// slowNumber reads as ParseNumber is documented to.
func slowNumber(s string) (float64, bool) {
	if !numberForm.MatchString(s) {
		return 0, false
	}
	if len(strings.TrimPrefix(s, "-")) > 15 && !strings.ContainsAny(s, ".eE") {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	if x == 0 {
		x = 0 // minus zero is zero
	}
	return x, err == nil
}

// checkNumber compares the ways of reading a number, to the bit.
func checkNumber(t interface {
	Helper()
	Fatalf(string, ...any)
}, s string) {
	t.Helper()
	want, wantOK := slowNumber(s)
	if got, ok := ParseNumber(s); ok != wantOK || ok && math.Float64bits(got) != math.Float64bits(want+0) {
		t.Fatalf("%q is %v, %v; want %v, %v", s, got, ok, want, wantOK)
	}
	if n := len(s); 0 < n && n <= 8 {
		var b [8]byte
		for _, rest := range []string{"\x00\x00\x00\x00\x00\x00\x00\x00", ",1.2,3,4", "99999999", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
			copy(b[copy(b[:], s):], rest)
			got, ok := parseShort(binary.LittleEndian.Uint64(b[:]), n)
			if ok != (wantOK && !strings.ContainsAny(s, "eE")) || ok && math.Float64bits(got) != math.Float64bits(want+0) {
				t.Fatalf("%q is %v, %v; want %v, %v", s, got, ok, want, wantOK)
			}
		}
	}
}

func TestNumberTwin(t *testing.T) {
	// All texts of up to five of the bytes that matter.
	var all func(s string, more int)
	all = func(s string, more int) {
		checkNumber(t, s)
		if more > 0 {
			for _, c := range "019-.e+/:" {
				all(s+string(c), more-1)
			}
		}
	}
	all("", 5)
	digits := rapid.StringMatching(`-?[0-9]{0,20}\.?[0-9]{0,25}`)
	short := rapid.StringMatching(`-?[0-9]{0,4}\.?[0-9]{0,4}`)
	spelt := rapid.Map(rapid.Float64(), func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) })
	exponent := rapid.StringMatching(`-?[0-9]{0,3}\.?[0-9]{0,3}[eE][-+]?[0-9]{1,3}`)
	rapid.Check(t, func(t *rapid.T) { checkNumber(t, rapid.OneOf(digits, short, spelt, exponent).Draw(t, "s")) })
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0.5", "12345678", "1e5", "9007199254740993.0", "0.1234567890123456789"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkNumber(t, s) })
}

func TestDaysTwin(t *testing.T) {
	at := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	for ; at.Year() < 10000; at = at.AddDate(0, 0, 1) {
		if got := daysSince1970(at.Year(), int(at.Month()), at.Day()); int64(got)*86400 != at.Unix() {
			t.Fatalf("%s is day %d", at, got)
		}
	}
}

// numberTexts are spellings as tables have them.
func numberTexts() []string {
	r := rand.New(rand.NewPCG(1, 1))
	out := make([]string, 1<<16)
	for i := range out {
		switch i % 4 {
		case 0:
			out[i] = strconv.Itoa(r.IntN(50))
		case 1:
			out[i] = strconv.FormatFloat(math.Round(100*math.Exp(3*r.NormFloat64()))/100, 'f', -1, 64)
		case 2:
			out[i] = strconv.FormatFloat(math.Round(1e4*r.Float64())/1e4, 'f', -1, 64)
		case 3:
			out[i] = strconv.FormatFloat(math.Round(3650*r.Float64())/10, 'f', -1, 64)
		}
	}
	return out
}

func BenchmarkParseNumber(b *testing.B) {
	texts := numberTexts()
	for i := 0; b.Loop(); i++ {
		ParseNumber(texts[i%(1<<16)])
	}
}

func BenchmarkParseShort(b *testing.B) {
	var words []uint64
	var sizes []int
	for _, s := range numberTexts() {
		if len(s) <= 8 {
			var w [8]byte
			copy(w[:], s)
			words, sizes = append(words, binary.LittleEndian.Uint64(w[:])), append(sizes, len(s))
		}
	}
	for i := 0; b.Loop(); i++ {
		parseShort(words[i%(1<<15)], sizes[i%(1<<15)])
	}
}

func BenchmarkParseFloat(b *testing.B) {
	texts := numberTexts()
	for i := 0; b.Loop(); i++ {
		parseSlowly(texts[i%(1<<16)])
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
