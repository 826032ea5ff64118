package facts

import (
	"fmt"
	"slices"
)

// kept are the rows that the where of a source keeps, as reading the source does.
func (g *Gather) kept(s int) ([]int, error) {
	t := &g.sources[s]
	rows := firstRows(len(t.account))
	if t.source.Where == nil {
		return rows, nil
	}
	if len(t.faults) > 0 {
		return nil, g.misfit(t, t.faults[0])
	}
	bound, err := t.source.Where.Bind(t.batch().Columns)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: where: %w", ErrFact, t.source.Name, err)
	}
	mask := make([]bool, len(rows))
	bound.Mask(mask, 0)
	return slices.DeleteFunc(rows, func(i int) bool { return !mask[i] }), nil
}
