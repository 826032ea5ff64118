package train

import (
	"context"

	"propensity/datasets"
	"propensity/models"
	"propensity/train/doctor"
)

// Examine says whether a table holds enough to learn from, what is the matter
// with its columns, and which of them may know the outcome. Errors are those of
// Run for a table or spec that cannot be learnt from at all.
func Examine(ctx context.Context, t *datasets.Table, s Spec) (*doctor.Report, []models.Leak, error) {
	if err := s.Validate(); err != nil {
		return nil, nil, err
	}
	s = s.withDefaults()
	p, err := prepare(inMemory{t}, s)
	if err != nil {
		return nil, nil, err
	}
	found, err := p.court(ctx, s, sequence(len(p.label)))
	if err != nil {
		return nil, nil, err
	}
	in := doctor.Input{Label: p.label, Moments: p.moments, Group: p.group, Unlabelled: p.unlabelled, Holdout: s.Holdout}
	for _, name := range p.candidates {
		c, err := p.column(name)
		if err != nil {
			return nil, nil, err
		}
		in.Columns = append(in.Columns, c)
	}
	r, err := doctor.Examine(in)
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := p.parts(s); err != nil {
		r.Verdict = doctor.TooLittle
		r.Why = append(r.Why, err.Error())
	}
	return r, found, nil
}

// sequence is 0 to n-1.
func sequence(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
