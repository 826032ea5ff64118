package models

import (
	"cmp"
	"math"
	"slices"

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

// perUnit is what a unit of log-odds is worth in probability along the way from
// the base. The Shapley values are exact in log-odds; in probability points each
// gets the share phi x (p - p0) / (raw - base), a stated allocation that sums to
// p - p0.
func (s *Scorer) perUnit(raw, probability float64) float64 {
	if d := raw - s.base; math.Abs(d) >= 1e-9 {
		return (probability - s.reference) / d
	}
	return s.artifact.Calibration.Derivative(raw)
}

// points are percentage points of a Shapley value; files and JSON spell -0 and 0
// alike.
func points(phi, perUnit float64) float64 { return 100*phi*perUnit + 0 }

// appendOrder appends the features that matter most, the largest first (ties: in
// the encoder's order), at most so many; negative: all that are not zero.
func appendOrder(order []int, phi []float64, most int) []int {
	const few = 16 // from which on sorting all is cheaper than finding each its place
	if most < 0 || most > few {
		for j, x := range phi {
			if x != 0 {
				order = append(order, j)
			}
		}
		slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(math.Abs(phi[j]), math.Abs(phi[i])) })
		if most >= 0 && len(order) > most {
			order = order[:most]
		}
		return order
	}
	for j, x := range phi {
		if x == 0 || most == 0 {
			continue
		}
		size, at := math.Abs(x), len(order)
		if at == most {
			if at--; !cmp.Less(math.Abs(phi[order[at]]), size) {
				continue
			}
		} else {
			order = append(order, j)
		}
		for at > 0 && cmp.Less(math.Abs(phi[order[at-1]]), size) {
			order[at] = order[at-1]
			at--
		}
		order[at] = j
	}
	return order
}

// shown is a cell as its reason shows it: a time in days before the moment.
func (p *phrase) shown(value datasets.Value, x float64) datasets.Value {
	if p.kind == datasets.Time && !value.Missing() {
		return datasets.Value{Kind: datasets.Number, Number: x}
	}
	return value
}

// appendReasons lists the features that matter most to a row.
func (s *Scorer) appendReasons(out []Reason, w *scratch, row []datasets.Value, a *Answer, most int) []Reason {
	if most != 0 { // explaining costs many times what scoring does
		s.artifact.Model.Explain(w.phi, w.x)
		perUnit := s.perUnit(a.Raw, a.Probability)
		w.order = appendOrder(w.order[:0], w.phi, most)
		for _, j := range w.order {
			p := &s.phrases[j]
			value := p.shown(row[j], w.x[j])
			out = append(out, Reason{
				Feature: s.artifact.Encoder.Columns[j].Name, Value: value, Typical: p.typical,
				Points: points(w.phi[j], perUnit), LogOdds: w.phi[j],
				Text: p.sentence(&w.text, value, w.states[j]),
			})
		}
	}
	if out == nil {
		out = []Reason{} // JSON: a list, not null
	}
	return out
}

// appendWarnings lists the cells of a row that are not ordinary.
func (s *Scorer) appendWarnings(out []Warning, w *scratch, row []datasets.Value) []Warning {
	for j, state := range w.states {
		if state != features.Known {
			p := &s.phrases[j]
			out = append(out, Warning{Field: p.field, State: state.String(), Detail: p.detail(&w.text, row[j], state)})
		}
	}
	if out == nil {
		out = []Warning{} // JSON: a list, not null
	}
	return out
}
