package datasets

import (
	"math"
	"math/bits"
	"strconv"
)

// ParseNumber reads a decimal number: digits with an optional minus sign,
// fraction and exponent. What a float64 would not give back the same (leading
// zeros, a plus sign, more than 15 significant digits in a whole number), what
// overflows, and spellings such as "inf", "nan", hex or "1,000" are no numbers.
// It is the nearest float64, as strconv has it.
func ParseNumber(s string) (float64, bool) {
	var m uint64
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	start := i
	for i < len(s) && isDigit(s[i]) {
		m = m*10 + uint64(s[i]-'0')
		i++
	}
	whole := i - start
	if whole > 1 && s[start] == '0' {
		return 0, false
	}
	fraction := 0
	if i < len(s) && s[i] == '.' {
		i++
		for i < len(s) && isDigit(s[i]) {
			m = m*10 + uint64(s[i]-'0')
			i, fraction = i+1, fraction+1
		}
	}
	if whole+fraction == 0 {
		return 0, false
	}
	if i < len(s) {
		return parseExponent(s, i)
	}
	if whole > 15 && i == start+whole {
		return 0, false
	}
	// Both are exact, and so their quotient is correctly rounded (Clinger, How to
	// Read Floating Point Numbers Accurately, 1990); 19 digits fit m.
	if whole+fraction > 19 || m > 1<<53 || fraction >= len(tens) {
		return parseSlowly(s)
	}
	x := float64(int64(m)) / tens[fraction]
	if start > 0 {
		x = -x + 0 // -0 + 0 is 0
	}
	return x, true
}

// tens are the powers of ten that a float64 holds exactly.
var tens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// parseExponent reads a number that goes on at s[i] with an exponent or not at all.
func parseExponent(s string, i int) (float64, bool) {
	if s[i] != 'e' && s[i] != 'E' {
		return 0, false
	}
	i++
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i < len(s) || i == digits {
		return 0, false
	}
	return parseSlowly(s)
}

// parseSlowly reads what has the shape of a number.
func parseSlowly(s string) (float64, bool) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) {
		return 0, false
	}
	return x + 0, true
}

const (
	everyByte = 0x0101010101010101
	everyTop  = 0x8080808080808080
)

// matches has the top bit set of every byte of w that is c, and no other.
func matches(w uint64, c byte) uint64 {
	w ^= everyByte * uint64(c)
	return ^((w&^everyTop + ^uint64(everyTop)) | w | ^uint64(everyTop))
}

// parseShort is ParseNumber of the n lowest bytes of w, 1 to 8 of them, the first
// the lowest. It says no to an exponent: what it refuses ParseNumber may take.
// The eight digits are summed in three multiplications.
func parseShort(w uint64, n int) (x float64, ok bool) {
	minus := byte(w) == '-'
	if minus {
		w >>= 8
		if n--; n == 0 {
			return 0, false
		}
	}
	// The shifts are told that they are below 64: n is 1 to 8.
	w = w << ((64 - 8*n) & 63) >> ((64 - 8*n) & 63)
	if w&0xf0ff == '0'<<8|'0' { // a zero and a digit
		return 0, false
	}
	fraction := 0
	if dot := matches(w, '.'); dot != 0 {
		if n--; n == 0 {
			return 0, false
		}
		at := bits.TrailingZeros64(dot) & 56
		after := ^uint64(0) << at
		w = w>>8&after | w&^after
		fraction = n - at/8
	}
	w = w<<((64-8*n)&63) | everyByte*'0'>>((4*n)&63)>>((4*n)&63)
	if ((w+everyByte*0x46)|(w-everyByte*'0'))&everyTop != 0 {
		return 0, false
	}
	w -= everyByte * '0'
	w = w*10 + w>>8
	w = (w&0x000000ff000000ff*(100+1000000<<32) + w>>16&0x000000ff000000ff*(1+10000<<32)) >> 32
	x = float64(int64(w)) / tens[fraction&7]
	if minus {
		x = -x + 0
	}
	return x, true
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
