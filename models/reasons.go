package models

import (
	"cmp"
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
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(math.Abs(w.phi[j]), math.Abs(w.phi[i])) })
	if most >= 0 && len(order) > most {
		order = order[:most]
	}
	for _, j := range order {
		p, value := &s.phrases[j], row[j]
		if p.kind == datasets.Time && !value.Missing() {
			value = datasets.Value{Kind: datasets.Number, Number: w.x[j]}
		}
		out = append(out, Reason{
			Feature: s.artifact.Encoder.Columns[j].Name, Value: value, Typical: p.typical,
			Points: 100*w.phi[j]*perUnit + 0, LogOdds: w.phi[j], // -0 + 0 is 0: files and JSON spell it alike
			Text: p.sentence(value, w.states[j]),
		})
	}
	if out == nil {
		out = []Reason{} // JSON: a list, not null
	}
	return out
}

// windowed is a name such as logins_28d: what was counted, over how long.
var windowed = regexp.MustCompile(`^(.+)_(\d+)(d|h|mo)$`)

// phrase is what the sentences about a feature are made of, the same for every row.
type phrase struct {
	kind    datasets.Kind
	name    string         // in words
	counted string         // of a name such as logins_28d: "logins in 28 days"
	typical datasets.Value // and in words:
	usual   string
}

func newPhrase(c *features.Column) phrase {
	p := phrase{kind: c.Kind, name: strings.ReplaceAll(c.Name, "_", " "), typical: c.Typical()}
	p.usual = words(p.typical)
	if m := windowed.FindStringSubmatch(c.Name); m != nil && c.Kind == datasets.Number {
		unit := map[string]string{"d": "days", "h": "hours", "mo": "months"}[m[3]]
		p.counted = fmt.Sprintf("%s in %s %s", strings.ReplaceAll(m[1], "_", " "), m[2], unit)
	}
	return p
}

// sentence puts a feature's value into plain words beside a typical one.
func (p *phrase) sentence(value datasets.Value, state features.State) string {
	switch state {
	case features.Missing:
		return fmt.Sprintf("%s is missing (typical: %s)", p.name, p.usual)
	case features.Unseen:
		return fmt.Sprintf("%s is %s, never seen in training (typical: %s)", p.name, words(value), p.usual)
	case features.Empty:
		return fmt.Sprintf("%s is empty (typical: %s)", p.name, p.usual)
	}
	switch {
	case p.kind == datasets.Time && value.Number < 0:
		return fmt.Sprintf("%s is %s days ahead (typical: %s)", p.name, short(-value.Number), daysBefore(p.typical.Number))
	case p.kind == datasets.Time:
		return fmt.Sprintf("%s was %s days before (typical: %s)", p.name, words(value), daysBefore(p.typical.Number))
	case p.counted != "":
		return fmt.Sprintf("%s %s (typical: %s)", words(value), p.counted, p.usual)
	case value == p.typical:
		return fmt.Sprintf("%s is %s, as is typical", p.name, words(value))
	}
	return fmt.Sprintf("%s is %s (typical: %s)", p.name, words(value), p.usual)
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
