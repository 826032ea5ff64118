package datasets

// timeForm is how a time is written. A column is inferred to be Time only if all
// its values are of one form; a column set by hand may mix them.
type timeForm uint8

const (
	noTime    timeForm = iota
	dateOnly           // 2006-01-02: midnight UTC
	localTime          // 2006-01-02 15:04:05.999999, a space or T between: taken as UTC
	zonedTime          // the same with Z, UTC or an offset: +02:00, +0200, +02
)

// The instants that four-digit years can spell.
const (
	earliestTime int64 = -62167219200000000
	latestTime   int64 = 253402300799999999
)

// parseTime reads the forms above; a fraction has 1 to 9 digits, and those past
// the microsecond are cut off. Seconds are required, leap seconds refused.
func parseTime(s string) (us int64, form timeForm) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return 0, noTime
	}
	year, ok1 := digits(s[:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, noTime
	}
	us = int64(daysSince1970(year, month, day)) * 86_400_000_000
	if len(s) == 10 {
		return us, dateOnly
	}
	if len(s) < 19 || (s[10] != 'T' && s[10] != ' ') || s[13] != ':' || s[16] != ':' {
		return 0, noTime
	}
	hour, ok1 := digits(s[11:13])
	minute, ok2 := digits(s[14:16])
	second, ok3 := digits(s[17:19])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return 0, noTime
	}
	us += (int64(hour)*3600 + int64(minute)*60 + int64(second)) * 1e6
	s = s[19:]
	if len(s) > 0 && s[0] == '.' {
		n, unit := 1, int64(100000)
		for n < len(s) && n <= 9 && isDigit(s[n]) {
			us += int64(s[n]-'0') * unit
			n, unit = n+1, unit/10
		}
		if n == 1 {
			return 0, noTime
		}
		s = s[n:]
	}
	if s == "" {
		return us, localTime
	}
	offset, ok := parseOffset(s)
	if us -= offset; !ok || us < earliestTime || us > latestTime {
		return 0, noTime
	}
	return us, zonedTime
}

// parseOffset reads what follows a time of day, in microseconds east of UTC.
func parseOffset(s string) (us int64, ok bool) {
	if s == "Z" || s == "z" || s == " UTC" {
		return 0, true
	}
	if len(s) < 3 || (s[0] != '+' && s[0] != '-') {
		return 0, false
	}
	hour, ok := digits(s[1:3])
	minute := 0
	switch rest := s[3:]; {
	case rest == "":
	case len(rest) == 2 && ok:
		minute, ok = digits(rest)
	case len(rest) == 3 && rest[0] == ':' && ok:
		minute, ok = digits(rest[1:])
	default:
		return 0, false
	}
	if !ok || hour > 23 || minute > 59 {
		return 0, false
	}
	us = (int64(hour)*60 + int64(minute)) * 60e6
	if s[0] == '-' {
		us = -us
	}
	return us, true
}

func digits(s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// daysSince1970 counts the days of the Gregorian calendar, its year starting in
// March so that the leap day is the last.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year, month = year-1, month+12
	}
	year += 400 // so that no division is of a negative number
	return 365*year + year/4 - year/100 + year/400 + (153*month-457)/5 + day - 306 - 719163 - 146097
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// ParseTime reads a date, or a date with a time of day, in any of the forms that
// a Time column may have; microseconds since 1970 UTC.
func ParseTime(s string) (int64, error) {
	us, form := parseTime(s)
	if form == noTime {
		return 0, &ParseError{File: "time", Value: s, Err: ErrValue, Hint: "write it as 2026-03-01 or 2026-03-01T09:30:00Z"}
	}
	return us, nil
}
