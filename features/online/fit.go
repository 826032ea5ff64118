package online

import (
	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Fit gives a value as a column of a kind has it, if it can: text is read as a time;
// numbers and booleans are spelled for a category as files spell them. What came over
// the wire is kept as it came, for it may be looked at by models that differ.
func Fit(v datasets.Value, kind datasets.Kind) (datasets.Value, bool) {
	switch {
	case kind == 0 || v.Missing() || v.Kind == kind:
		return v, true
	case kind == datasets.Time && (v.Kind == datasets.Category || v.Kind == datasets.Text):
		us, err := datasets.ParseTime(v.Text)
		return datasets.Value{Kind: datasets.Time, Time: us}, err == nil
	case kind == datasets.Category || kind == datasets.Text:
		return datasets.Value{Kind: kind, Text: v.String()}, v.Kind != datasets.Time
	}
	return v, false
}

// fitted makes the values of facts fit the columns of a project, as far as they can.
func fitted(p *spec.Project, list []facts.Fact) {
	for i := range list {
		f := &list[i]
		s := p.Source(f.Source)
		if s == nil {
			continue
		}
		for _, c := range s.Columns {
			v := f.Values[c.Name]
			if w, ok := Fit(v, c.Kind); ok && w != v {
				f.Values[c.Name] = w
			}
		}
		for _, name := range []string{s.User, s.FromAccount} {
			if v := f.Values[name]; name != "" && !v.Missing() && v.Kind != datasets.Time {
				f.Values[name] = datasets.Value{Kind: datasets.Text, Text: v.String()}
			}
		}
	}
}
