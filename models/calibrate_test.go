package models

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestCalibrationByHand(t *testing.T) {
	ln3 := math.Log(3) // log-odds of 3/4
	none := Calibration{Kind: CalibrationNone}
	platt := Calibration{Kind: CalibrationPlatt, Slope: 0.5, Intercept: -ln3}
	isotonic := Calibration{Kind: CalibrationIsotonic, Raw: []float64{-2, 0, 1}, LogOdds: []float64{-ln3, 0, ln3}}
	for _, c := range []struct {
		name                  string
		of                    Calibration
		raw, p, slopeInLogOdd float64
	}{
		{"none", none, 0, 0.5, 1},
		{"none", none, ln3, 0.75, 1},
		{"platt", platt, 0, 0.25, 0.5},
		{"platt", platt, 4 * ln3, 0.75, 0.5},
		{"isotonic at the first knot", isotonic, -2, 0.25, ln3 / 2},
		{"isotonic half way", isotonic, -1, 1 / (1 + math.Sqrt(3)), ln3 / 2},
		{"isotonic at a knot", isotonic, 0, 0.5, ln3},
		{"isotonic at the last knot", isotonic, 1, 0.75, 1},
		{"isotonic below", isotonic, -2 - ln3, 0.1, 1},
		{"isotonic above", isotonic, 1 + ln3, 0.9, 1},
		// At raw 0, s is 1/2: log-odds (2 - 1) ln 2 + 0 = ln 2, and slope (1 + 2)/2.
		{"beta", Calibration{Kind: CalibrationBeta, Below: 1, Above: 2}, 0, 2. / 3, 1.5},
		// s is 3/4: -2 ln 4 of 1 - s against ln 3/4 of s: ln (16 x 3/4) = ln 12.
		{"beta", Calibration{Kind: CalibrationBeta, Below: 1, Above: 2}, ln3, 12. / 13, 0.25 + 2*0.75},
		{"beta shifted", Calibration{Kind: CalibrationBeta, Below: 1, Above: 1, Intercept: -ln3, Shift: 2 * ln3}, 0, 0.75, 1},
		{"shift", Calibration{Kind: CalibrationNone, Shift: ln3}, 0, 0.75, 1},
	} {
		if err := c.of.Check(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := c.of.Probability(c.raw); math.Abs(got-c.p) > 1e-15 {
			t.Errorf("%s: probability at %v is %v, want %v", c.name, c.raw, got, c.p)
		}
		if got, want := c.of.Derivative(c.raw), c.p*(1-c.p)*c.slopeInLogOdd; math.Abs(got-want) > 1e-15 {
			t.Errorf("%s: derivative at %v is %v, want %v", c.name, c.raw, got, want)
		}
	}
}

func TestCalibrationCheck(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []Calibration{
		{},
		{Kind: "gamma"},
		{Kind: CalibrationBeta},
		{Kind: CalibrationBeta, Below: 1},
		{Kind: CalibrationBeta, Below: 1, Above: -1},
		{Kind: CalibrationBeta, Below: 1, Above: inf},
		{Kind: CalibrationBeta, Below: 1, Above: 1, Intercept: nan},
		{Kind: CalibrationBeta, Below: 1, Above: 1, Slope: 1},
		{Kind: CalibrationPlatt, Slope: 1, Below: 1},
		{Kind: CalibrationNone, Shift: nan},
		{Kind: CalibrationNone, Intercept: 1},
		{Kind: CalibrationNone, Slope: 1},
		{Kind: CalibrationNone, Raw: []float64{1}, LogOdds: []float64{1}},
		{Kind: CalibrationPlatt},
		{Kind: CalibrationPlatt, Slope: -1},
		{Kind: CalibrationPlatt, Slope: nan},
		{Kind: CalibrationPlatt, Slope: inf},
		{Kind: CalibrationPlatt, Slope: 1, Intercept: nan},
		{Kind: CalibrationPlatt, Slope: 1, Intercept: -inf},
		{Kind: CalibrationPlatt, Slope: 1, LogOdds: []float64{1}},
		{Kind: CalibrationIsotonic},
		{Kind: CalibrationIsotonic, Slope: 1, Raw: []float64{1}, LogOdds: []float64{1}},
		{Kind: CalibrationIsotonic, Raw: []float64{1, 2}, LogOdds: []float64{1}},
		{Kind: CalibrationIsotonic, Raw: []float64{1, 1}, LogOdds: []float64{1, 2}},
		{Kind: CalibrationIsotonic, Raw: []float64{1, 2}, LogOdds: []float64{1, 1}},
		{Kind: CalibrationIsotonic, Raw: []float64{nan}, LogOdds: []float64{1}},
		{Kind: CalibrationIsotonic, Raw: []float64{1}, LogOdds: []float64{inf}},
		{Kind: CalibrationIsotonic, Raw: []float64{-1e200}, LogOdds: []float64{1}},
	} {
		if err := c.Check(); !errors.Is(err, ErrCalibration) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// anyCalibration draws one that passes Check, from everyday to extreme.
func anyCalibration(t *rapid.T) *Calibration {
	reach := rapid.SampledFrom([]float64{1, 5, 1e3, 1e100}).Draw(t, "reach")
	number := rapid.Float64Range(-reach, reach)
	c := &Calibration{Kind: rapid.SampledFrom([]string{CalibrationNone, CalibrationPlatt, CalibrationIsotonic, CalibrationBeta}).Draw(t, "kind")}
	if rapid.Bool().Draw(t, "shifted") {
		c.Shift = number.Draw(t, "shift")
	}
	switch c.Kind {
	case CalibrationPlatt:
		c.Slope = rapid.Float64Range(1e-6, reach).Draw(t, "slope")
		c.Intercept = number.Draw(t, "intercept")
	case CalibrationBeta:
		c.Below, c.Above = rapid.Float64Range(1e-6, reach).Draw(t, "below"), rapid.Float64Range(1e-6, reach).Draw(t, "above")
		c.Intercept = number.Draw(t, "intercept")
	case CalibrationIsotonic:
		knots := rapid.IntRange(1, 6).Draw(t, "knots")
		for range knots {
			x, y := number.Draw(t, "x"), number.Draw(t, "y")
			if k := len(c.Raw) - 1; k < 0 || x > c.Raw[k] && y > c.LogOdds[k] {
				c.Raw, c.LogOdds = append(c.Raw, x), append(c.LogOdds, y)
			}
		}
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return c
}

func sound(t interface{ Fatalf(string, ...any) }, c *Calibration, raw float64) {
	p, slope := c.Probability(raw), c.Derivative(raw)
	if math.IsNaN(raw) {
		if !math.IsNaN(p) || !math.IsNaN(slope) {
			t.Fatalf("%+v: at NaN probability %v, derivative %v", c, p, slope)
		}
		return
	}
	if !(p > 0 && p < 1) || !(slope >= 0) || math.IsInf(slope, 0) {
		t.Fatalf("%+v: at %v probability %v, derivative %v", c, raw, p, slope)
	}
}

// rounded says that a fall from a to b is one of rounding: of beta, whose
// logarithms are right to the last digits only, of numbers as large as its sum's.
func rounded(c *Calibration, x, a, b float64) bool {
	size := (c.Below+c.Above)*max(1, math.Abs(x)) + math.Abs(c.Intercept) + math.Abs(c.Shift)
	return c.Kind == CalibrationBeta && a-b <= 4*0x1p-52*size*min(a, 1-b)+4*0x1p-53
}

func TestProbabilityNeverFalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCalibration(t)
		points := []float64{math.Inf(-1), -math.MaxFloat64, 0, math.MaxFloat64, math.Inf(1), math.NaN()}
		for range 4 {
			points = append(points, rapid.Float64().Draw(t, "any"), rapid.Float64Range(-40, 40).Draw(t, "near"))
		}
		points = append(points, c.Raw...)
		for _, x := range points {
			sound(t, c, x)
			next := math.Nextafter(x, math.Inf(1))
			if a, b := c.Probability(x), c.Probability(next); a > b && !rounded(c, x, a, b) {
				t.Fatalf("%+v: %v at %v, %v at the next number", c, a, x, b)
			}
			for _, z := range points {
				if a, b := c.Probability(x), c.Probability(z); x < z && a > b && !rounded(c, x, a, b) {
					t.Fatalf("%+v: %v at %v, %v at %v", c, a, x, b, z)
				}
			}
		}
	})
}

// Within ordinary ranges a higher raw is a higher probability, and the
// derivative is what differences say.
func TestProbabilityRises(t *testing.T) {
	for _, c := range []*Calibration{
		{Kind: CalibrationNone},
		{Kind: CalibrationPlatt, Slope: 0.7, Intercept: -0.3},
		{Kind: CalibrationIsotonic, Raw: []float64{-3.05, -1.05, 0.55}, LogOdds: []float64{-4, -3.9, 1}},
		{Kind: CalibrationBeta, Below: 0.6, Above: 1.4, Intercept: 0.2, Shift: -0.5},
	} {
		for k := -800; k < 800; k++ {
			x := float64(k) / 100
			low, high := c.Probability(x-1e-5), c.Probability(x+1e-5)
			if !(low < high) {
				t.Fatalf("%s: at %v %v to %v", c.Kind, x, low, high)
			}
			atKnot := false
			for _, r := range c.Raw {
				atKnot = atKnot || math.Abs(x-r) < 1e-4
			}
			if got, want := c.Derivative(x), (high-low)/2e-5; !atKnot && math.Abs(got-want) > 1e-9 {
				t.Fatalf("%s: derivative at %v is %v, by differences %v", c.Kind, x, got, want)
			}
		}
	}
}

func TestCalibrationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCalibration(t)
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back Calibration
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c, &back) {
			t.Fatalf("%+v came back as %+v from %s", c, back, text)
		}
	})
}

func FuzzCalibration(f *testing.F) {
	for _, text := range []string{
		`{"kind":"none"}`,
		`{"kind":"platt","slope":0.9,"intercept":-0.1}`,
		`{"kind":"platt","slope":1e100,"intercept":-1e100}`,
		`{"kind":"isotonic","raw":[-2,0,1],"log_odds":[-3,-1,2]}`,
		`{"kind":"isotonic","raw":[-1e100,0,5e-324],"log_odds":[-1e100,-1,1e100]}`,
		`{"kind":"isotonic","raw":[0,0],"log_odds":[1,2]}`,
		`{"kind":"isotonic","raw":null,"log_odds":[1]}`,
		`{"kind":"beta","below":0.5,"above":2,"intercept":-1,"shift":3}`,
	} {
		f.Add([]byte(text), 0.5)
	}
	f.Fuzz(func(t *testing.T, text []byte, raw float64) {
		var c Calibration
		if json.Unmarshal(text, &c) != nil || c.Check() != nil {
			return
		}
		last := 0.0
		for _, x := range []float64{math.Inf(-1), -1e300, -40, -1, 0, 1, 40, 1e300, math.Inf(1)} {
			sound(t, &c, x)
			p := c.Probability(x)
			if p < last {
				t.Fatalf("%+v: %v at %v, below %v before it", c, p, x, last)
			}
			last = p
		}
		sound(t, &c, raw)
		sound(t, &c, math.NaN())
		for _, x := range c.Raw {
			sound(t, &c, x)
		}
	})
}
