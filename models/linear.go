package models

import (
	"fmt"
	"math"
	"sort"

	"propensity/datasets"
)

// Linear is an additive model of the encoded columns,
//
//	Raw(x) = Intercept + sum over j of Terms[j].At(x[j]),
//
// in log-odds. A number is weighted, or looks its contribution up by the bin that it
// falls into; a category looks it up by its code, so no one-hot row is ever made.
type Linear struct {
	Intercept float64
	Terms     []Term // one per feature, in the encoder's order
}

// Term is what one feature contributes to the log-odds.
type Term struct {
	// A number x contributes Weight * ((x - Center) / Scale); Scale is above 0.
	Center, Scale, Weight float64
	// Cuts part a number into bins, strictly rising and finite: it contributes
	// Levels[k] of the first k with x <= Cuts[k], above all of them the last of the
	// Levels, which are one more. Center, Scale and Weight are then 0.
	Cuts []float64
	// Levels are the contributions of a category by its code, or of a number by its
	// bin; a Term without Levels is of a number. An unseen category contributes 0.
	Levels []float64
	// Missing is the contribution of a missing value.
	Missing float64
	// Mean and Spread (standard deviation) of the contribution over the training rows.
	Mean, Spread float64
}

const (
	// maxTerm bounds what a file may hold, so that no sum can overflow.
	maxTerm = 1e100
	// maxNumber bounds what a number contributes. Log-odds of 40 already are
	// certainty; a number sent by mistake, such as 1e200, must not drown the digits
	// of all other terms, or the reasons would no longer add up.
	maxNumber = 1e4
)

// At is the contribution of x, in log-odds, never NaN. NaN is missing; a code that
// is not one of the Levels is an unseen category, unless there are Cuts. What a number contributes is
// kept within 1e4 of 0, also that of an infinity; it is 0 if the Weight is 0.
func (t *Term) At(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return t.Missing
	case len(t.Cuts) > 0:
		return t.Levels[sort.SearchFloat64s(t.Cuts, x)]
	case len(t.Levels) > 0:
		if x < 0 || x >= float64(len(t.Levels)) || x != math.Trunc(x) {
			return 0
		}
		return t.Levels[int(x)]
	case t.Weight == 0:
		return 0
	}
	return max(-maxNumber, min(maxNumber, t.Weight*((x-t.Center)/t.Scale)))
}

// Raw is the log-odds of the positive label. The terms are added in their order,
// so the bits are the same wherever it is called.
func (m *Linear) Raw(x []float64) float64 {
	sum := m.Intercept
	for j := range m.Terms {
		sum += m.Terms[j].At(x[j])
	}
	return sum
}

// Explain fills phi with each term's contribution less its training mean and
// returns Intercept plus all means. These are the Shapley values of an additive
// model against independent features (Štrumbelj and Kononenko 2014, "Explaining
// prediction models and individual predictions with feature contributions";
// Lundberg and Lee 2017, "A unified approach to interpreting model predictions",
// corollary 1).
func (m *Linear) Explain(phi, x []float64) (base float64) {
	base = m.Intercept
	for j := range m.Terms {
		t := &m.Terms[j]
		phi[j] = t.At(x[j]) - t.Mean
		base += t.Mean
	}
	return base
}

// Importance is the standard deviation of each term's contribution over the
// training rows, in log-odds.
func (m *Linear) Importance() []float64 {
	out := make([]float64, len(m.Terms))
	for j := range m.Terms {
		out[j] = m.Terms[j].Spread
	}
	return out
}

// coefficient is one number of a Linear with its place in the table.
type coefficient struct {
	feature, level float64 // NaN: none
	part           string
	value          *float64
}

// coefficients are all numbers of the model, in the order of its table.
func (m *Linear) coefficients() []coefficient {
	none := math.NaN()
	out := []coefficient{{none, none, "intercept", &m.Intercept}}
	for j := range m.Terms {
		t, at := &m.Terms[j], float64(j)
		if len(t.Levels) == 0 {
			out = append(out,
				coefficient{at, none, "center", &t.Center},
				coefficient{at, none, "scale", &t.Scale},
				coefficient{at, none, "weight", &t.Weight})
		}
		for k := range t.Cuts {
			out = append(out, coefficient{at, float64(k), "cut", &t.Cuts[k]})
		}
		for k := range t.Levels {
			out = append(out, coefficient{at, float64(k), "level", &t.Levels[k]})
		}
		out = append(out,
			coefficient{at, none, "missing", &t.Missing},
			coefficient{at, none, "mean", &t.Mean},
			coefficient{at, none, "spread", &t.Spread})
	}
	return out
}

// Table is the model as a table of one number a row: feature (its index, missing
// for the intercept), part (intercept; center, scale, weight of a number, or cut and
// level of one in bins; level of a category; missing, mean, spread of all), level
// (the code, or the place of the cut or bin), value.
// LinearFromTable gives the very same model back.
func (m *Linear) Table() *datasets.Table {
	feature := datasets.Column{Name: "feature", Kind: datasets.Number}
	part := datasets.Column{Name: "part", Kind: datasets.Category}
	level := datasets.Column{Name: "level", Kind: datasets.Number}
	value := datasets.Column{Name: "value", Kind: datasets.Number}
	codes := make(map[string]int32)
	for _, c := range m.coefficients() {
		code, ok := codes[c.part]
		if !ok {
			code = int32(len(part.Values))
			codes[c.part] = code
			part.Values = append(part.Values, c.part)
		}
		feature.Numbers = append(feature.Numbers, c.feature)
		part.Codes = append(part.Codes, code)
		level.Numbers = append(level.Numbers, c.level)
		value.Numbers = append(value.Numbers, *c.value)
	}
	return &datasets.Table{Columns: []datasets.Column{feature, part, level, value}}
}

// LinearFromTable reads what Table wrote, given the number of levels of each
// feature (0: a number, in as many bins as the table has cuts for). Whatever Table could not have written of a usable model
// is an error: another column, a row too many, too few or out of place, a number
// that is missing, infinite or out of its range, cuts that do not rise.
func LinearFromTable(t *datasets.Table, levels []int) (*Linear, error) {
	m := &Linear{Terms: make([]Term, len(levels))}
	room := t.Rows()
	for j, n := range levels {
		if n < 0 || n > room {
			return nil, fmt.Errorf("linear model: %d rows do not hold the %d levels of feature %d", t.Rows(), n, j)
		}
		if room -= n; n > 0 {
			m.Terms[j].Levels = make([]float64, n)
		}
	}
	feature, part, level, value := t.Column("feature"), t.Column("part"), t.Column("level"), t.Column("value")
	if len(t.Columns) != 4 || feature == nil || part == nil || level == nil || value == nil {
		return nil, fmt.Errorf("linear model: columns %q, want feature, part, level, value", t.Names())
	}
	if feature.Kind != datasets.Number || level.Kind != datasets.Number || value.Kind != datasets.Number ||
		(part.Kind != datasets.Category && part.Kind != datasets.Text) {
		return nil, fmt.Errorf("linear model: columns are %s, %s, %s, %s, want number, category, number, number",
			feature.Kind, part.Kind, level.Kind, value.Kind)
	}
	for i := range t.Columns {
		if n := t.Columns[i].Len(); n != t.Rows() {
			return nil, fmt.Errorf("linear model: a column of %d rows beside one of %d", n, t.Rows())
		}
	}
	m.makeBins(part, levels)
	all := m.coefficients()
	if t.Rows() != len(all) {
		return nil, fmt.Errorf("linear model: %d rows, want %d", t.Rows(), len(all))
	}
	for i, c := range all {
		if !sameNumber(feature.Numbers[i], c.feature) || !sameNumber(level.Numbers[i], c.level) || part.At(i).Text != c.part {
			return nil, fmt.Errorf("linear model: row %d is feature %v, %q, level %v; want %v, %q, %v",
				i, feature.Numbers[i], part.At(i).Text, level.Numbers[i], c.feature, c.part, c.level)
		}
		*c.value = value.Numbers[i]
		err := c.check()
		if err == nil && c.part == "cut" && c.level > 0 && !(*c.value > *all[i-1].value) {
			err = fmt.Errorf("cut %v follows cut %v, want them to rise", *c.value, *all[i-1].value)
		}
		if err != nil {
			return nil, fmt.Errorf("linear model: row %d, feature %v: %w", i, c.feature, err)
		}
	}
	return m, nil
}

// makeBins makes room for the cuts of numbers, of which there are as many as
// follow each other where the first would be: no more in all than rows.
func (m *Linear) makeBins(part *datasets.Column, levels []int) {
	at := 1 // after the intercept
	for j, n := range levels {
		t := &m.Terms[j]
		if n > 0 {
			at += n + 3
			continue
		}
		cuts := 0
		for at+cuts < part.Len() && part.At(at+cuts).Text == "cut" {
			cuts++
		}
		if cuts == 0 {
			at += 6
			continue
		}
		t.Cuts, t.Levels = make([]float64, cuts), make([]float64, cuts+1)
		at += 2*cuts + 4
	}
}

func (c *coefficient) check() error {
	x := *c.value
	bound := maxTerm
	switch c.part {
	case "center", "scale", "weight", "cut": // any finite: At bounds what they make
		bound = math.MaxFloat64
	}
	switch {
	case math.IsNaN(x) || math.Abs(x) > bound:
		return fmt.Errorf("%s is %v, want at most %v in size", c.part, x, bound)
	case c.part == "scale" && x <= 0:
		return fmt.Errorf("scale is %v, want more than 0", x)
	case c.part == "spread" && x < 0:
		return fmt.Errorf("spread is %v, want 0 or more", x)
	}
	return nil
}

// sameNumber says that both are missing or equal.
func sameNumber(a, b float64) bool { return a == b || (math.IsNaN(a) && math.IsNaN(b)) }
