package build

import (
	"fmt"
	"math"

	"propensity/datasets"
	"propensity/features/expr"
	"propensity/features/spec"
)

// columns makes the outputs that come from facts; those that are derived have only
// their names.
func (s *scratch) columns() ([]datasets.Column, error) {
	p := s.plan
	done := make([][]float64, len(p.nodes))
	out := make([]datasets.Column, len(p.outputs))
	for i, o := range p.outputs {
		v := p.values[i]
		if v < 0 {
			out[i].Name = o.Name
			continue
		}
		n := &p.nodes[v]
		if n.cell < 0 || s.found[n.cell] == nil {
			numbers, err := s.node(v, done)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrProject, o.Name, err)
			}
			out[i] = datasets.Column{Name: o.Name, Kind: datasets.Number, Numbers: numbers}
			continue
		}
		c := s.column(&p.cells[n.cell])
		out[i] = gather(o.Name, c, s.found[n.cell])
		if o.Kind != 0 && o.Kind != out[i].Kind {
			if out[i].Kind != datasets.Category || len(out[i].Values) > 0 {
				return nil, fmt.Errorf("%w: %s is a %s, the facts' column %s a %s", ErrProject, o.Name, o.Kind, c.Name, c.Kind)
			}
			out[i] = missingColumn(&datasets.Column{Name: o.Name, Kind: o.Kind, Codes: out[i].Codes})
		}
	}
	return out, nil
}

// column is the one that a cell aggregates.
func (s *scratch) column(c *cell) *datasets.Column {
	return &s.part.Sources[s.plan.picks[c.pick].stream.source].Columns[c.column]
}

// node is the values of a node, row by row.
func (s *scratch) node(i int, done [][]float64) ([]float64, error) {
	if done[i] != nil {
		return done[i], nil
	}
	n := &s.plan.nodes[i]
	if n.cell >= 0 {
		if found := s.found[n.cell]; found != nil {
			c := s.column(&s.plan.cells[n.cell])
			numbers := gather("", c, found).Numbers
			if numbers == nil && len(found) > 0 {
				if c.Kind == datasets.Time || len(c.Values) > 0 {
					return nil, fmt.Errorf("%s is a %s: a trend is of numbers", c.Name, c.Kind)
				}
				numbers = missingColumn(&datasets.Column{Kind: datasets.Number, Codes: make([]int32, len(found))}).Numbers
			}
			done[i] = numbers
			return numbers, nil
		}
		done[i] = s.numbers[n.cell]
		return done[i], nil
	}
	top, err := s.node(n.top, done)
	if err != nil {
		return nil, err
	}
	low, err := s.node(n.low, done)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(top))
	for k := range out {
		if out[k] = top[k] / low[k]; low[k] == 0 {
			out[k] = math.NaN()
		}
	}
	done[i] = out
	return out, nil
}

// gather takes the cells of rows; -1 is a missing one.
func gather(name string, c *datasets.Column, rows []int) datasets.Column {
	out := datasets.Column{Name: name, Kind: c.Kind}
	switch c.Kind {
	case datasets.Number, datasets.Boolean:
		out.Numbers = take(c.Numbers, rows, math.NaN())
	case datasets.Time:
		out.Times = take(c.Times, rows, datasets.MissingTime)
	default:
		out.Codes = take(c.Codes, rows, -1)
		number := make([]int32, len(c.Values))
		for i, k := range out.Codes {
			if k < 0 {
				continue
			}
			if number[k] == 0 {
				out.Values = append(out.Values, c.Values[k])
				number[k] = int32(len(out.Values))
			}
			out.Codes[i] = number[k] - 1
		}
	}
	return out
}

func take[T any](values []T, rows []int, missing T) []T {
	out := make([]T, len(rows))
	for k, i := range rows {
		if out[k] = missing; i >= 0 {
			out[k] = values[i]
		}
	}
	return out
}

// missingColumn is a column of the name, kind and length without a value.
func missingColumn(c *datasets.Column) datasets.Column {
	n := max(len(c.Numbers), len(c.Times), len(c.Codes))
	rows := make([]int, n)
	for i := range rows {
		rows[i] = -1
	}
	return gather(c.Name, &datasets.Column{Kind: c.Kind}, rows)
}

// derive fills in the derived columns, in their order.
func (p *Plan) derive(columns []datasets.Column) error {
	for i, o := range p.outputs {
		if o.Feature >= 0 {
			continue
		}
		d := &p.project.Derived[o.Derived]
		c, err := evaluateRow(d.Expr, o.Name, columns[:i])
		if err != nil {
			return fmt.Errorf("%w: line %d: %s: %w", ErrProject, d.Line, d.Name, err)
		}
		columns[i] = c
	}
	return nil
}

func evaluateRow(e *expr.Expr, name string, columns []datasets.Column) (datasets.Column, error) {
	bound, err := e.Bind(columns)
	if err != nil {
		return datasets.Column{}, err
	}
	rows := 0
	if len(columns) > 0 {
		rows = columns[0].Len()
	}
	return bound.Column(name, 0, rows), nil
}

// Keep says which rows are of the model's population: those for which its expression
// is true. Columns are those of Rows.
func (p *Plan) Keep(model string, columns []datasets.Column) ([]bool, error) {
	m, err := p.model(model)
	if err != nil {
		return nil, err
	}
	rows := 0
	if len(columns) > 0 {
		rows = columns[0].Len()
	}
	keep := make([]bool, rows)
	if m.Population == "" {
		for i := range keep {
			keep[i] = true
		}
		return keep, nil
	}
	for i := range p.project.Populations {
		x := &p.project.Populations[i]
		if x.Name != m.Population {
			continue
		}
		bound, err := x.Expr.Bind(columns)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: population %s: %w", ErrProject, x.Line, x.Name, err)
		}
		bound.Mask(keep, 0)
		return keep, nil
	}
	return nil, fmt.Errorf("%w: line %d: model %s: there is no population %q", ErrProject, m.Line, m.Name, m.Population)
}

// model finds a model of the project.
func (p *Plan) model(name string) (*spec.Model, error) {
	for i := range p.project.Models {
		if p.project.Models[i].Name == name {
			return &p.project.Models[i], nil
		}
	}
	return nil, fmt.Errorf("%w: there is no model %q made from facts", ErrProject, name)
}
