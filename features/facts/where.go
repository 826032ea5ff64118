package facts

import (
	"fmt"

	"propensity/datasets"
	"propensity/features/spec"
)

// filtered leaves out the facts that the where of their source does not keep, as
// reading a source does.
func filtered(p *spec.Project, list []Fact) ([]Fact, error) {
	dropped := map[int]bool{}
	for i := range p.Sources {
		s := &p.Sources[i]
		if s.Where == nil {
			continue
		}
		var rows []int
		var of []*Fact
		for k := range list {
			if list[k].Source == s.Name {
				rows, of = append(rows, k), append(of, &list[k])
			}
		}
		var columns []datasets.Column
		for _, c := range s.Columns {
			column, err := columnOf(s, c, of)
			if err != nil {
				return nil, err
			}
			columns = append(columns, column)
		}
		bound, err := s.Where.Bind(columns)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: where: %w", ErrFact, s.Name, err)
		}
		mask := make([]bool, len(of))
		bound.Mask(mask, 0)
		for k, keep := range mask {
			if !keep {
				dropped[rows[k]] = true
			}
		}
	}
	if len(dropped) == 0 {
		return list, nil
	}
	out := make([]Fact, 0, len(list)-len(dropped))
	for k := range list {
		if !dropped[k] {
			out = append(out, list[k])
		}
	}
	return out, nil
}
