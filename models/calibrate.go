package models

import (
	"errors"
	"fmt"
	"math"
	"sort"
)

// The kinds of a Calibration.
const (
	CalibrationNone     = "none"
	CalibrationPlatt    = "platt"
	CalibrationIsotonic = "isotonic"
	CalibrationBeta     = "beta"
)

// ErrCalibration is wrapped by what Calibration.Check finds.
var ErrCalibration = errors.New("invalid calibration")

// Calibration turns the raw log-odds of a model into a probability. All kinds
// map log-odds to log-odds, strictly increasing, and the logistic function
// does the rest:
//
//	none      raw
//	platt     Slope x raw + Intercept (Platt 1999)
//	isotonic  straight lines between the knots (Raw[i], LogOdds[i]), going on
//	          with slope 1 beyond the first and the last
//	beta      Below x ln s - Above x ln(1 - s) + Intercept, s = 1/(1+exp(-raw))
//	          (Kull, Silva Filho and Flach 2017, equation 4)
//
// Shift is then added whatever the kind: by how much the odds of all have moved
// since (Saerens, Latinne and Decaestecker 2002).
//
// JSON gives every number back exactly. A value read from elsewhere must pass
// Check before use; then it is safe for concurrent use.
type Calibration struct {
	Kind      string    `json:"kind"`
	Slope     float64   `json:"slope,omitempty"`
	Intercept float64   `json:"intercept,omitempty"`
	Raw       []float64 `json:"raw,omitempty"`
	LogOdds   []float64 `json:"log_odds,omitempty"`
	Below     float64   `json:"below,omitempty"`
	Above     float64   `json:"above,omitempty"`
	Shift     float64   `json:"shift,omitempty"`
}

// maxCalibration bounds the parameters, so that no sum or difference of two is infinite.
const maxCalibration = 1e100

// Check says what is wrong with a Calibration, wrapping ErrCalibration: an
// unknown kind, a parameter of another kind, a slope that is not above 0, knots
// that do not strictly increase, or a number not in -1e100 to 1e100.
func (c *Calibration) Check() error {
	platt, isotonic, beta := c.Kind == CalibrationPlatt, c.Kind == CalibrationIsotonic, c.Kind == CalibrationBeta
	inRange := func(x float64) bool { return math.Abs(x) <= maxCalibration }
	switch {
	case !platt && !isotonic && !beta && c.Kind != CalibrationNone:
		return fmt.Errorf("%w: unknown kind %q; known are none, platt, isotonic and beta", ErrCalibration, c.Kind)
	case !platt && c.Slope != 0:
		return fmt.Errorf("%w: slope %v belongs to kind platt, not %s", ErrCalibration, c.Slope, c.Kind)
	case !platt && !beta && c.Intercept != 0:
		return fmt.Errorf("%w: intercept %v belongs to kinds platt and beta, not %s", ErrCalibration, c.Intercept, c.Kind)
	case !isotonic && len(c.Raw)+len(c.LogOdds) > 0:
		return fmt.Errorf("%w: knots belong to kind isotonic, not %s", ErrCalibration, c.Kind)
	case !beta && (c.Below != 0 || c.Above != 0):
		return fmt.Errorf("%w: below %v and above %v belong to kind beta, not %s", ErrCalibration, c.Below, c.Above, c.Kind)
	case platt && !(c.Slope > 0 && inRange(c.Slope)):
		return fmt.Errorf("%w: slope %v; a number above 0 is expected", ErrCalibration, c.Slope)
	case beta && !(c.Below > 0 && c.Above > 0 && inRange(c.Below) && inRange(c.Above)):
		return fmt.Errorf("%w: below %v and above %v; numbers above 0 are expected", ErrCalibration, c.Below, c.Above)
	case !inRange(c.Intercept):
		return fmt.Errorf("%w: intercept %v; a finite number is expected", ErrCalibration, c.Intercept)
	case !inRange(c.Shift):
		return fmt.Errorf("%w: shift %v; a finite number is expected", ErrCalibration, c.Shift)
	case isotonic && (len(c.Raw) == 0 || len(c.Raw) != len(c.LogOdds)):
		return fmt.Errorf("%w: %d raw and %d log_odds; as many of each are expected, at least one", ErrCalibration, len(c.Raw), len(c.LogOdds))
	}
	if err := checkKnots("raw", c.Raw); err != nil {
		return err
	}
	return checkKnots("log_odds", c.LogOdds)
}

func checkKnots(name string, x []float64) error {
	for i, v := range x {
		if !(math.Abs(v) <= maxCalibration) {
			return fmt.Errorf("%w: %s[%d] is %v; a finite number is expected", ErrCalibration, name, i, v)
		}
		if i > 0 && v <= x[i-1] {
			return fmt.Errorf("%w: %s[%d] is %v, not above %v before it", ErrCalibration, name, i, v, x[i-1])
		}
	}
	return nil
}

// Probability is the calibrated probability at raw log-odds: above 0 and below 1
// for any raw, infinities included, and strictly increasing in raw as far as
// float64 tells its values apart (of beta, as far as rounding lets it). NaN gives NaN.
func (c *Calibration) Probability(raw float64) float64 {
	logOdds, _ := c.at(raw)
	return logistic(logOdds)
}

// Derivative is the slope dp/draw of Probability at raw, 0 or more; at a knot it
// is that of the line to the right. At infinities it is 0; NaN gives NaN.
func (c *Calibration) Derivative(raw float64) float64 {
	logOdds, slope := c.at(raw)
	if math.IsInf(logOdds, 0) {
		return 0
	}
	// 1 - p would lose its digits where p is near 1. The order keeps a steep slope
	// from overflowing before it meets a small factor.
	return logistic(logOdds) * slope * logistic(-logOdds)
}

// at is the calibrated log-odds at raw and its derivative.
func (c *Calibration) at(raw float64) (logOdds, slope float64) {
	logOdds, slope = raw, 1
	switch c.Kind {
	case CalibrationPlatt:
		logOdds, slope = c.Slope*raw+c.Intercept, c.Slope
	case CalibrationIsotonic:
		logOdds, slope = c.between(raw)
	case CalibrationBeta:
		logOdds, slope = c.beta(raw)
	}
	return logOdds + c.Shift, slope
}

// beta uses ln s = -softplus(-raw) and -ln(1-s) = softplus(raw), where softplus(x)
// is ln(1 + exp(x)).
func (c *Calibration) beta(raw float64) (logOdds, slope float64) {
	e := math.Exp(-math.Abs(raw))
	small := e / (1 + e)
	slope = c.Below*small + c.Above*(1-small)
	if raw < 0 {
		slope = c.Below*(1-small) + c.Above*small
	}
	near := math.Log1p(e)
	return c.Above*(max(raw, 0)+near) - c.Below*(max(-raw, 0)+near) + c.Intercept, slope
}

func (c *Calibration) between(raw float64) (logOdds, slope float64) {
	right := sort.Search(len(c.Raw), func(i int) bool { return c.Raw[i] > raw })
	switch right {
	case 0:
		return c.LogOdds[0] + (raw - c.Raw[0]), 1
	case len(c.Raw): // NaN comes here, and stays NaN
		return c.LogOdds[right-1] + (raw - c.Raw[right-1]), 1
	}
	x, y := c.Raw[right-1], c.LogOdds[right-1]
	width, rise := c.Raw[right]-x, c.LogOdds[right]-y
	// Rounding may overshoot the next knot, which starts the next line.
	return min(y+(raw-x)/width*rise, c.LogOdds[right]), min(rise/width, math.MaxFloat64)
}

// logistic is 1/(1+exp(-x)), kept off 0 and 1. This form never falls as x rises;
// exp(x)/(1+exp(x)), more exact for large negative x, does when rounded.
func logistic(x float64) float64 {
	p := 1 / (1 + math.Exp(-x))
	return min(max(p, math.SmallestNonzeroFloat64), 1-0x1p-53)
}
