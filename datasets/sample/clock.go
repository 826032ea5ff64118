package sample

import (
	"math/rand/v2"
	"time"
)

const (
	second = int64(time.Second / time.Microsecond)
	day    = 24 * 60 * 60 * second
	month  = 30 * day // of a table of sign-ups; the months of the company are of the calendar
	year   = 365 * day
	months = 36

	historyStart = 1680307200 * second // 2023-04-01
	historyEnd   = 1775001600 * second // 2026-04-01
)

// AsOf is the end of the history of every company, microseconds since 1970 UTC.
const AsOf = historyEnd

// monthStart is the first instant of a month of the history, 0 to months.
func monthStart(m int) int64 {
	return time.Date(2023, time.April+time.Month(m), 1, 0, 0, 0, 0, time.UTC).UnixMicro()
}

// monthOf is the month of the history that an instant lies in.
func monthOf(at int64) int {
	t := time.UnixMicro(at).UTC()
	return (t.Year()-2023)*12 + int(t.Month()-time.April)
}

// stream is the random stream of one account, or of the company (0).
func stream(seed, number uint64) *rand.Rand { return streamFor(seed, number, 0) }

// What the streams of an account are for: its life as such, its trial, its months.
// Each is of its own so that the events of one month can be drawn, or drawn again,
// without those of the others.
const (
	forLife, forTrial, forSurveys, forReasons, forCalls, forMonth, forTicket = 0, 1, 2, 3, 4, 16, 1 << 40
)

func streamFor(seed, number, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(seed^mix(purpose)), mix(number^0x9e3779b97f4a7c15)))
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighbouring
// numbers become unrelated ones.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chance is true with probability p.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

// choose gives an index with a probability in proportion to its weight.
func choose(r *rand.Rand, weights ...float64) int {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	u := r.Float64() * sum
	for i, w := range weights[:len(weights)-1] {
		if u < w {
			return i
		}
		u -= w
	}
	return len(weights) - 1
}

// instant is a whole second strictly between the two, which are whole seconds.
func instant(r *rand.Rand, from, to int64) int64 {
	return from + second*(1+r.Int64N((to-from)/second-1))
}

// offMidnight is an instant that is no border of a day: there moments are, and the
// ends of their horizons.
func offMidnight(at int64) int64 {
	if at%day == 0 {
		at -= second
	}
	return at
}
