package tree

import "math"

// rule is a Gauss-Legendre quadrature on [0, 1], exact for polynomials of a
// degree below twice its number of points, with what explanations derive from
// its points once.
type rule struct {
	at, weight []float64
	rest       []float64 // 1 - at
	off        []float64 // -1 / (1 - at): the slope of a feature that stops the row
	ones       []float64 // the inverse and the slope of a feature not met yet
	zeros      []float64
}

// newRule finds the roots of the Legendre polynomial by Newton's method from
// their asymptotic places (Abramowitz and Stegun 1964, 22.16.6 and 25.4.29).
func newRule(points int) rule {
	r := rule{ones: make([]float64, points), zeros: make([]float64, points)}
	for i := range points {
		// Roots come in pairs about 0: the same numbers for both sides.
		mirror := min(i, points-1-i)
		x := math.Cos(math.Pi * (float64(mirror) + 0.75) / (float64(points) + 0.5))
		if 2*mirror == points-1 {
			x = 0
		}
		for range 8 { // three steps suffice from there; more change nothing
			p, slope := legendre(points, x)
			x -= p / slope
		}
		_, slope := legendre(points, x)
		w := 1 / ((1 - x*x) * slope * slope)
		t := (1 - x) / 2
		if mirror != i {
			t = (1 + x) / 2
		}
		r.at, r.weight = append(r.at, t), append(r.weight, w)
		r.rest, r.off = append(r.rest, 1-t), append(r.off, -1/(1-t))
		r.ones[i] = 1
	}
	return r
}

// legendre is the Legendre polynomial of degree n >= 1 and its derivative at |x| < 1.
func legendre(n int, x float64) (p, slope float64) {
	before, p := 1.0, x
	for k := 2; k <= n; k++ {
		before, p = p, (float64(2*k-1)*x*p-float64(k-1)*before)/float64(k)
	}
	return p, float64(n) * (before - x*p) / (1 - x*x)
}
