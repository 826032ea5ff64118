package train

import (
	"propensity/datasets"
	"propensity/train/doctor"
)

// Examine says whether a table holds enough to learn from, and what is the matter
// with its columns. Errors are those of Run for a table or spec that cannot be
// learnt from at all.
func Examine(t *datasets.Table, s Spec) (*doctor.Report, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s = s.withDefaults()
	p, err := prepare(inMemory{t}, s)
	if err != nil {
		return nil, err
	}
	in := doctor.Input{Label: p.label, Moments: p.moments, Group: p.group, Unlabelled: p.unlabelled, Holdout: s.Holdout}
	for _, name := range p.candidates {
		c, err := p.column(name)
		if err != nil {
			return nil, err
		}
		in.Columns = append(in.Columns, c)
	}
	return doctor.Examine(in)
}
