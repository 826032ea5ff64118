package datasets

import (
	"math"
	"strconv"
)

// ParseNumber reads a decimal number: digits with an optional minus sign,
// fraction and exponent. What a float64 would not give back the same (leading
// zeros, a plus sign, more than 15 significant digits in a whole number), what
// overflows, and spellings such as "inf", "nan", hex or "1,000" are no numbers.
func ParseNumber(s string) (float64, bool) {
	if !numberShaped(s) {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) {
		return 0, false
	}
	return x + 0, true // -0 + 0 is 0
}

func numberShaped(s string) bool {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	start := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	whole := i - start
	if whole > 1 && s[start] == '0' {
		return false
	}
	fraction := 0
	if i < len(s) && s[i] == '.' {
		i++
		for i < len(s) && isDigit(s[i]) {
			i, fraction = i+1, fraction+1
		}
	}
	if whole+fraction == 0 {
		return false
	}
	if i == len(s) {
		return fraction > 0 || whole <= 15
	}
	if s[i] != 'e' && s[i] != 'E' {
		return false
	}
	i++
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i == len(s) && i > digits
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
