package report

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"propensity/models/evaluate"
)

// percent is a share in words of few digits: "31 %", "5.2 %", "0.42 %".
func percent(share float64) string {
	if math.Abs(share) >= 1e9 { // no share
		return decimal(share, 0)
	}
	v := 100 * share
	digits := 0
	switch a := math.Abs(v); {
	case a == 0:
	case a < 0.995:
		digits = 2
	case a < 9.95:
		digits = 1
	case a >= 99.95 && a < 100:
		return "over 99.9 %"
	case a > 99 && a < 100:
		digits = 1
	}
	s := decimal(v, digits)
	if s == "0.00" && share > 0 {
		return "under 0.01 %"
	}
	return s + " %"
}

// trimmed is a number with so many digits after the point, without zeros at its end.
func trimmed(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// within is an interval of shares: "26 to 37 %".
func within(i evaluate.Interval) string {
	return strings.TrimSuffix(percent(i.Low), " %") + " to " + percent(i.High)
}

// rate is a share with its interval: "31 % (26 to 37 %)".
func rate(i evaluate.Interval) string { return percent(i.Value) + " (" + within(i) + ")" }

// decimal has so many digits after the point.
func decimal(v float64, digits int) string {
	if math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}

// ranged is a figure with its interval: "0.843 (0.82 to 0.86)", to so many digits.
func ranged(i evaluate.Interval, digits int) string {
	return decimal(i.Value, digits) + " (" + between(i, digits) + ")"
}

func between(i evaluate.Interval, digits int) string {
	return decimal(i.Low, digits) + " to " + decimal(i.High, digits)
}

// number has three significant digits or, if whole, all of them.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e12 {
		return count(int(v))
	}
	a := math.Abs(v)
	if a >= 1e9 || a < 1e-4 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return trimmed(v, max(0, 2-int(math.Floor(math.Log10(a)))))
}

// count has a comma at each thousand.
func count(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// many is a count with its noun: "1 row", "12,301 rows".
func many(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// short cuts a text to so many letters, and is one line.
func short(s string, letters int) string {
	r := []rune(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s))
	if len(r) > letters {
		return string(r[:letters-1]) + "…"
	}
	return string(r)
}

// list joins with commas and an "and".
func list(s []string) string {
	if n := len(s); n > 1 {
		return strings.Join(s[:n-1], ", ") + " and " + s[n-1]
	}
	return strings.Join(s, "")
}

// someOf names a few and counts the others.
func someOf(s []string, most int) string {
	if len(s) > most {
		return strings.Join(s[:most], ", ") + " and " + count(len(s)-most) + " more"
	}
	return list(s)
}

// day is an instant as people write dates; a text of another form is left as it is.
func day(s string) string {
	t, ok := instant(s)
	if !ok {
		return s
	}
	return t.Format("2 January 2006")
}

func instant(s string) (time.Time, bool) {
	for _, form := range []string{time.RFC3339, time.DateOnly, time.DateTime} {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// starts are the names of windows by their first moments: months where no two
// begin in the same one.
func starts(from []string) []string {
	form, seen := "Jan 06", map[string]bool{}
	for _, s := range from {
		t, ok := instant(s)
		if month := t.Format(form); !ok || seen[month] {
			form = "2 Jan 06"
		} else {
			seen[month] = true
		}
	}
	names := make([]string, len(from))
	for i, s := range from {
		names[i] = short(s, 12)
		if t, ok := instant(s); ok {
			names[i] = t.Format(form)
		}
	}
	return names
}

// sentence ends with a point and begins with a capital, unless its first word is
// a name with other characters than letters.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	if first, _, _ := strings.Cut(s, " "); strings.IndexFunc(first, func(c rune) bool { return !unicode.IsLower(c) }) < 0 {
		r := []rune(s)
		r[0] = unicode.ToUpper(r[0])
		s = string(r)
	}
	if strings.ContainsRune(".!?", rune(s[len(s)-1])) {
		return s
	}
	return s + "."
}
