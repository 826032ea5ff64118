package scorecard

import "math"

// Trend is how the share of positives may go from bin to bin of a number.
type Trend string

// The trends. A category always rises, since its levels are put in that order.
const (
	Monotone Trend = ""       // rising or falling, whichever has the higher information value
	Rising   Trend = "rising" // a bin is never less probable than the one below
	Falling  Trend = "falling"
	Peak     Trend = "peak"   // rising, then falling; either may be absent
	Valley   Trend = "valley" // falling, then rising
	Any      Trend = "any"
)

// leg is a step from a bin to the next: from one phase of a trend to another, with
// the share of positives going up, down or either way; equal shares are both.
type leg struct {
	from, to int
	up, down bool
}

// legs are the steps that a trend allows; it starts in any phase.
func (t Trend) legs() []leg {
	switch t {
	case Rising:
		return []leg{{0, 0, true, false}}
	case Falling:
		return []leg{{0, 0, false, true}}
	case Peak:
		return []leg{{0, 0, true, false}, {0, 1, false, true}, {1, 1, false, true}}
	case Valley:
		return []leg{{0, 0, false, true}, {0, 1, true, false}, {1, 1, true, false}}
	}
	return []leg{{0, 0, true, true}}
}

// limits are what a bin has to hold, and how many bins there may be.
type limits struct {
	bins      int
	weight    float64 // of its rows
	positives int
	negatives int
}

// merge makes prebins into the bins of the highest information value that keep the
// limits and the trend: the problem of Navas-Palencia 2020, "Optimal binning:
// mathematical programming formulation", section 2, solved exactly by dynamic
// programming over the last bin, since all constraints but the number of bins
// bind neighbours only. Of two ways as good, the one with fewer bins is taken. It
// gives nil if not even one bin of all prebins keeps the limits.
func merge(pre []Bin, t Trend, all totals, l limits) []Bin {
	if t == Monotone {
		up, down := merge(pre, Rising, all, l), merge(pre, Falling, all, l)
		if value(down, all) > value(up, all)+trifle {
			return down
		}
		return up
	}
	n := len(pre)
	if n == 0 {
		return nil
	}
	s := newSearch(pre, t, all, l)
	for k := 1; k < l.bins && k < n; k++ {
		s.grow()
	}
	return s.best()
}

// trifle is an information value that is not worth another bin.
const trifle = 1e-9

// value is the information value of bins.
func value(bins []Bin, all totals) float64 {
	sum := 0.0
	for k := range bins {
		_, iv := evidence(bins[k].positive, bins[k].negative, all)
		sum += iv
	}
	return sum
}

// search is the dynamic programme: for a number of bins, the phase and the first
// and last prebin of the last bin, the highest information value so far.
type search struct {
	n, phases int
	legs      []leg
	pre       []Bin
	rate, iv  []float64 // of prebins i to j at i*n+j; iv is -Inf if the limits are not kept
	layers    []layer   // by the number of bins less 1
}

type layer struct {
	value []float64 // at (phase*n+i)*n+j
	from  []int32   // where it comes from in the layer before
}

func newSearch(pre []Bin, t Trend, all totals, l limits) *search {
	n := len(pre)
	s := &search{n: n, phases: 1, legs: t.legs(), pre: pre, rate: make([]float64, n*n), iv: make([]float64, n*n)}
	for _, leg := range s.legs {
		s.phases = max(s.phases, leg.to+1)
	}
	first := layer{value: make([]float64, s.phases*n*n)}
	for k := range first.value {
		first.value[k] = math.Inf(-1)
	}
	for i := range n {
		b := Bin{}
		for j := i; j < n; j++ {
			at := i*n + j
			b.add(&pre[j])
			s.rate[at], s.iv[at] = b.rate(), math.Inf(-1)
			if b.Positives >= l.positives && b.Rows-b.Positives >= l.negatives && b.positive+b.negative >= l.weight {
				_, s.iv[at] = evidence(b.positive, b.negative, all)
			}
		}
	}
	for p := range s.phases {
		copy(first.value[p*n*n:], s.iv[:n]) // those that start at the first prebin
	}
	s.layers = []layer{first}
	return s
}

// grow adds a bin to every way of the last layer.
func (s *search) grow() {
	n, before := s.n, &s.layers[len(s.layers)-1]
	next := layer{value: make([]float64, len(before.value)), from: make([]int32, len(before.value))}
	for k := range next.value {
		next.value[k] = math.Inf(-1)
	}
	for i := 1; i < n; i++ {
		for j := i; j < n; j++ {
			at := i*n + j
			if math.IsInf(s.iv[at], -1) {
				continue
			}
			for _, leg := range s.legs {
				to := leg.to*n*n + at
				for h := range i {
					last := h*n + i - 1
					from := leg.from*n*n + last
					if !(leg.up && s.rate[last] <= s.rate[at] || leg.down && s.rate[last] >= s.rate[at]) {
						continue
					}
					if v := before.value[from] + s.iv[at]; v > next.value[to] {
						next.value[to], next.from[to] = v, int32(from)
					}
				}
			}
		}
	}
	s.layers = append(s.layers, next)
}

// best goes back from the best end.
func (s *search) best() []Bin {
	n, value, bins, end := s.n, math.Inf(-1), 0, 0
	for k := range s.layers {
		for p := range s.phases {
			for i := range n {
				if at := (p*n+i)*n + n - 1; s.layers[k].value[at] > value+trifle {
					value, bins, end = s.layers[k].value[at], k+1, at
				}
			}
		}
	}
	if bins == 0 {
		return nil
	}
	out := make([]Bin, bins)
	for k := bins - 1; k >= 0; k-- {
		i, j := end%(n*n)/n, end%n
		out[k] = s.pre[i]
		for _, b := range s.pre[i+1 : j+1] {
			out[k] = together(out[k], b)
		}
		if k > 0 {
			end = int(s.layers[k].from[end])
		}
	}
	return out
}
