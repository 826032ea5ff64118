package scorecard

import (
	"fmt"
	"math"
	"strings"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// Scale says what points mean. An account has Base points at odds of Odds to 1
// against the positive label, and Double more wherever the odds of the positive
// label double: more points, more probable. A negative Double turns that round, as
// lenders have it, where the positive label is the bad outcome. The zero value
// stands for 600 points at 50 to 1, 20 to double.
type Scale struct{ Base, Odds, Double float64 }

func (s Scale) settle() (Scale, error) {
	if s == (Scale{}) {
		return Scale{600, 50, 20}, nil
	}
	if !(math.Abs(s.Base) <= mostPoints) || !(s.Odds > 0 && s.Odds <= mostPoints) || !(math.Abs(s.Double) >= 1/mostPoints && math.Abs(s.Double) <= mostPoints) {
		return s, fmt.Errorf("%w: base %v, odds %v, double %v: want finite, above 0, not 0", ErrOptions, s.Base, s.Odds, s.Double)
	}
	return s, nil
}

// mostPoints bounds what a card holds, so that nothing overflows or drowns.
const mostPoints = 1e6

// unit is the points of one log-odds.
func (s Scale) unit() float64 { return s.Double / math.Ln2 }

// points are those of log-odds of the positive label, and logOdds the reverse.
func (s Scale) points(raw float64) float64     { return s.Base + s.unit()*(raw+math.Log(s.Odds)) }
func (s Scale) logOdds(points float64) float64 { return (points-s.Base)/s.unit() - math.Log(s.Odds) }

// round makes all points whole numbers, halves away from 0.
func (r *Result) round() {
	r.Start = math.Round(r.Start)
	for j := range r.Variables {
		for k := range r.Variables[j].Bins {
			p := &r.Variables[j].Bins[k].Points
			*p = math.Round(*p) + 0 // not -0
		}
	}
}

// Card is the scorecard as it is shown, given the encoder of its matrix. The first
// row, of no feature, has the points that every account starts with.
func (r *Result) Card(e *features.Encoder) models.Scorecard {
	out := models.Scorecard{Base: r.Scale.Base, Odds: r.Scale.Odds, Double: r.Scale.Double}
	out.Rows = append(out.Rows, models.ScorecardRow{Bin: "start", Points: r.Start})
	for _, v := range r.Variables {
		c := &e.Columns[v.Feature]
		for _, b := range v.Bins {
			out.Rows = append(out.Rows, models.ScorecardRow{
				Feature: c.Name, Bin: b.words(c), Rows: b.Rows, Positives: b.Positives, WOE: b.WOE, IV: b.IV, Points: b.Points,
			})
		}
	}
	return out
}

// words say which values of a column a bin holds.
func (b *Bin) words(c *features.Column) string {
	low, high := datasets.FormatNumber(b.From), datasets.FormatNumber(b.To)
	unit := ""
	if c.Kind == datasets.Time {
		unit = " days before"
	}
	switch {
	case b.Missing:
		return "missing"
	case c.Kind == datasets.Category:
		return b.levels(c)
	case c.Kind == datasets.Boolean:
		return strings.Join(b.booleans(), ", ")
	case math.IsInf(b.From, -1) && math.IsInf(b.To, 1):
		return "any number"
	case math.IsInf(b.From, -1):
		return "up to " + high + unit
	case math.IsInf(b.To, 1):
		return "above " + low + unit
	}
	return "above " + low + " up to " + high + unit
}

// levels names at most so many, the rest by their number.
func (b *Bin) levels(c *features.Column) string {
	const most = 12
	var names []string
	for _, code := range b.Codes[:min(most, len(b.Codes))] {
		name := c.Levels[code]
		if name == "" {
			name = "(empty)"
		}
		names = append(names, name)
	}
	if rest := len(b.Codes) - len(names) + len(b.Others); rest > 0 || len(names) == 0 {
		names = append(names, fmt.Sprintf("%d other", rest))
	}
	return strings.Join(names, ", ")
}

// booleans are the texts of the boolean values in a bin.
func (b *Bin) booleans() []string {
	var out []string
	for x, text := range []string{"false", "true"} {
		if float64(x) > b.From && float64(x) <= b.To {
			out = append(out, text)
		}
	}
	return out
}
