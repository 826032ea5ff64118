package logistic

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"gonum.org/v1/gonum/floats"

	"propensity/datasets"
	"propensity/features"
)

// design is the matrix that the regression sees: for each row a 1, the
// standardised numbers, and the places of the few indicators that are 1. Its rows are
// made from the encoded columns whenever a pass needs them, and never kept.
type design struct {
	rows       *features.Matrix
	columns    []designColumn
	numbers    int // dense values of a row, the leading 1 included
	indicators int
	tables     int // codes of all columns of categories that have indicators
	holes      int // numbers that may be missing
	total      float64
	idle       *sync.Pool // of *work
}

// width is the number of weights, the intercept included.
func (d *design) width() int { return d.numbers + d.indicators }

// newDesign looks at every column. With dropped, the most frequent level of each
// category (the lower code of two) has no indicator: the others are compared with it.
func newDesign(ctx context.Context, m *features.Matrix, dropped bool) (*design, error) {
	if m.Load == nil && len(m.Columns) != len(m.Features) {
		return nil, fmt.Errorf("matrix: %d columns, %d features", len(m.Columns), len(m.Features))
	}
	for j, xs := range m.Columns {
		if len(xs) != m.Rows() {
			return nil, fmt.Errorf("feature %q: %d values, %d labels", m.Features[j].Name, len(xs), m.Rows())
		}
	}
	d := &design{rows: m, columns: make([]designColumn, len(m.Features)), total: float64(m.Rows())}
	if m.Weight != nil {
		d.total = floats.Sum(m.Weight)
	}
	err := features.Parallel(len(m.Features), func(j int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		xs, err := m.Column(nil, j)
		if err != nil {
			return err
		}
		d.columns[j], err = scanColumn(m.Features[j], xs, m.Weight)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.place(func(j, level, _ int) bool { return !dropped || level < 0 || level != d.columns[j].reference })
	return d, nil
}

// Levels of the weights that are of no level.
const (
	ofNumber  = -1
	ofMissing = -2
)

// place gives the weights their places: numbers first, then indicators, both in the
// order of the columns. It keeps those that keep says, which is told the column, the
// level and the place until now.
func (d *design) place(keep func(j, level, place int) bool) {
	d.numbers, d.indicators, d.tables, d.holes, d.idle = 1, 0, 0, 0, &sync.Pool{}
	for j := range d.columns {
		c := &d.columns[j]
		if c.number > 0 && keep(j, ofNumber, c.number) {
			c.number = d.numbers
			d.numbers++
		} else {
			c.number = 0
		}
	}
	for j := range d.columns {
		c := &d.columns[j]
		before := d.indicators
		move := func(place int32, level int) int32 {
			if place < 0 || !keep(j, level, int(place)) {
				return -1
			}
			d.indicators++
			return int32(d.indicators - 1)
		}
		for k, place := range c.levels {
			c.levels[k] = move(place, k)
		}
		c.missing = move(c.missing, ofMissing)
		c.slot, c.hole = -1, -1
		switch {
		case d.indicators == before:
		case c.levels != nil:
			c.slot = d.tables
			c.places = append(append(slices.Clone(c.levels), c.missing), -1)
			d.tables += len(c.places)
		default:
			c.hole = d.holes
			d.holes++
		}
	}
}

// restrict is the design of the weights of which in is true; the place of each
// in d follows.
func (d *design) restrict(in []bool) (sub *design, places []int) {
	out := *d
	out.columns = slices.Clone(d.columns)
	for j := range out.columns {
		out.columns[j].levels = slices.Clone(out.columns[j].levels)
	}
	places = append(places, 0)
	out.place(func(_, level, place int) bool {
		if level != ofNumber {
			place += d.numbers
		}
		if in[place] {
			places = append(places, place)
		}
		return in[place]
	})
	return &out, places
}

// take is the design of some of the rows, with the same places and scales.
func (d *design) take(rows []int) *design {
	out, m := *d, d.rows.Take(rows)
	out.rows, out.idle, out.total = &m, &sync.Pool{}, float64(len(rows))
	if m.Weight != nil {
		out.total = floats.Sum(m.Weight)
	}
	out.columns = slices.Clone(d.columns)
	for j := range out.columns {
		c := &out.columns[j]
		c.codes = datasets.Take(c.codes, rows)
		if c.before != nil {
			c.takeHoles(rows)
		}
	}
	return &out
}
