package models

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features"
)

// Reason is what one feature adds to the probability, against an average account.
type Reason struct {
	Feature string `json:"feature"`
	// Value and Typical are the account's value and an ordinary one; a time is in
	// days before the moment.
	Value   datasets.Value `json:"value"`
	Typical datasets.Value `json:"typical"`
	// Points are percentage points of probability, signed. All of them, also those
	// not listed, sum to 100 x (probability - reference).
	Points float64 `json:"points"`
	Text   string  `json:"text"`
	// LogOdds is the Shapley value itself.
	LogOdds float64 `json:"-"`
}

// appendReasons lists the features that matter most, the largest first (ties: in
// the encoder's order). The Shapley values are exact in log-odds; in probability
// points each gets the share phi x (p - p0) / (raw - base), a stated allocation
// that sums to p - p0.
func (s *Scorer) appendReasons(out []Reason, w *scratch, row []datasets.Value, a *Answer, most int) []Reason {
	perUnit := s.artifact.Calibration.Derivative(a.Raw)
	if d := a.Raw - a.Base; math.Abs(d) >= 1e-9 {
		perUnit = (a.Probability - a.Reference) / d
	}
	order := w.order[:0]
	if most != 0 { // explaining costs many times what scoring does
		s.artifact.Model.Explain(w.phi, w.x)
		for j, phi := range w.phi {
			if phi != 0 {
				order = append(order, j)
			}
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch a, b := math.Abs(w.phi[i]), math.Abs(w.phi[j]); {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	if most >= 0 && len(order) > most {
		order = order[:most]
	}
	for _, j := range order {
		c := &s.artifact.Encoder.Columns[j]
		value := row[j]
		if c.Kind == datasets.Time && !value.Missing() {
			value = datasets.Value{Kind: datasets.Number, Number: w.x[j]}
		}
		out = append(out, Reason{
			Feature: c.Name, Value: value, Typical: c.Typical(),
			Points: 100*w.phi[j]*perUnit + 0, LogOdds: w.phi[j], // -0 + 0 is 0: files and JSON spell it alike
			Text: sentence(c, value, w.states[j]),
		})
	}
	if out == nil {
		out = []Reason{} // JSON: a list, not null
	}
	return out
}

// windowed is a name such as logins_28d: what was counted, over how long.
var windowed = regexp.MustCompile(`^(.+)_(\d+)(d|h|mo)$`)

// sentence puts a feature's value into plain words beside a typical one.
func sentence(c *features.Column, value datasets.Value, state features.State) string {
	name := strings.ReplaceAll(c.Name, "_", " ")
	typical := c.Typical()
	switch state {
	case features.Missing:
		return fmt.Sprintf("%s is missing (typical: %s)", name, words(typical))
	case features.Unseen:
		return fmt.Sprintf("%s is %s, never seen in training (typical: %s)", name, words(value), words(typical))
	case features.Empty:
		return fmt.Sprintf("%s is empty (typical: %s)", name, words(typical))
	}
	if c.Kind == datasets.Time {
		if value.Number < 0 {
			return fmt.Sprintf("%s is %s days ahead (typical: %s)", name, short(-value.Number), daysBefore(typical.Number))
		}
		return fmt.Sprintf("%s was %s days before (typical: %s)", name, words(value), daysBefore(typical.Number))
	}
	if m := windowed.FindStringSubmatch(c.Name); m != nil && c.Kind == datasets.Number {
		unit := map[string]string{"d": "days", "h": "hours", "mo": "months"}[m[3]]
		return fmt.Sprintf("%s %s in %s %s (typical: %s)", words(value), strings.ReplaceAll(m[1], "_", " "), m[2], unit, words(typical))
	}
	if value == typical {
		return fmt.Sprintf("%s is %s, as is typical", name, words(value))
	}
	return fmt.Sprintf("%s is %s (typical: %s)", name, words(value), words(typical))
}

// daysBefore spells a typical time so that one ahead of the moment is not taken
// for one before it.
func daysBefore(days float64) string {
	if days < 0 {
		return short(-days) + " ahead"
	}
	return short(days)
}

// words spells a value for people, briefly.
func words(v datasets.Value) string {
	switch v.Kind {
	case 0:
		return "missing"
	case datasets.Number:
		return short(v.Number)
	case datasets.Boolean:
		return v.String()
	default:
		return strconv.Quote(clip(v.String()))
	}
}

// short rounds to four significant digits, but keeps all before the point.
func short(x float64) string {
	if a := math.Abs(x); a < 1e15 && (a >= 1000 || x == math.Trunc(x)) {
		return datasets.FormatNumber(math.Round(x))
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		return datasets.FormatNumber(x)
	}
	return datasets.FormatNumber(y)
}
