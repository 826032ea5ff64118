package logistic

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"propensity/features"
	"propensity/models"
)

// design is the matrix that a linear learner sees: for each row a 1, the
// standardised numbers, and the places of the few indicators that are 1. Its rows are
// made from the encoded columns whenever a pass needs them, and never kept.
type design struct {
	rows       *features.Matrix
	columns    []designColumn
	numbers    int // dense values of a row, the leading 1 included
	indicators int
	slots      int // indicators that one row can have at once
}

// designColumn is one feature in the design.
type designColumn struct {
	center, scale, fill float64 // of a number; fill replaces a missing value
	number              int     // place of a number among the dense values, 0: it is constant
	slot                int     // place in a row's list of indicators, -1: it has none
	levels              []int32 // indicator of each code, -1: none
	missing             int32   // indicator of a missing value, -1: none
}

// width is the number of weights, the intercept included.
func (d *design) width() int { return d.numbers + d.indicators }

func newDesign(ctx context.Context, m *features.Matrix) (*design, error) {
	if m.Load == nil && len(m.Columns) != len(m.Features) {
		return nil, fmt.Errorf("matrix: %d columns, %d features", len(m.Columns), len(m.Features))
	}
	for j, xs := range m.Columns {
		if len(xs) != m.Rows() {
			return nil, fmt.Errorf("feature %q: %d values, %d labels", m.Features[j].Name, len(xs), m.Rows())
		}
	}
	d := &design{rows: m, columns: make([]designColumn, len(m.Features)), numbers: 1}
	err := parallel(len(m.Features), func(j int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := m.Features[j]
		xs, err := m.Column(nil, j)
		if err != nil {
			return err
		}
		if f.Levels > 0 {
			d.columns[j], err = categoryColumn(f, xs)
		} else {
			d.columns[j], err = numberColumn(f, xs)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for j := range d.columns {
		d.place(&d.columns[j])
	}
	return d, nil
}

// place gives a column its places; until then, 0 in levels and missing says that
// an indicator is wanted.
func (d *design) place(c *designColumn) {
	if c.number > 0 {
		c.number = d.numbers
		d.numbers++
	}
	before := d.indicators
	for k, wanted := range c.levels {
		if wanted == 0 {
			c.levels[k] = int32(d.indicators)
			d.indicators++
		}
	}
	if c.missing == 0 {
		c.missing = int32(d.indicators)
		d.indicators++
	}
	if d.indicators > before {
		c.slot = d.slots
		d.slots++
	}
}

func categoryColumn(f features.Feature, xs []float64) (designColumn, error) {
	counts := make([]int, f.Levels)
	missing, unseen := 0, 0
	for i, x := range xs {
		switch {
		case math.IsNaN(x):
			missing++
		case x == -1:
			unseen++
		case x < 0 || x >= float64(f.Levels) || x != math.Trunc(x):
			return designColumn{}, fmt.Errorf("feature %q, row %d: code %v, want -1 to %d", f.Name, i, x, f.Levels-1)
		default:
			counts[int(x)]++
		}
	}
	c := designColumn{slot: -1, missing: -1, levels: make([]int32, f.Levels)}
	all := len(xs)
	if missing == all || unseen == all || slices.Contains(counts, all) {
		all = 0 // the same in every row: no indicators
	}
	for k, n := range counts {
		if all == 0 || n == 0 {
			c.levels[k] = -1
		}
	}
	if all > 0 && missing > 0 {
		c.missing = 0
	}
	return c, nil
}

func numberColumn(f features.Feature, xs []float64) (designColumn, error) {
	c := designColumn{scale: 1, slot: -1, missing: -1}
	for i, x := range xs {
		if math.IsInf(x, 0) {
			return c, fmt.Errorf("feature %q, row %d: %v is not finite", f.Name, i, x)
		}
	}
	known := slices.DeleteFunc(slices.Clone(xs), math.IsNaN)
	if len(known) == 0 {
		return c, nil
	}
	if len(known) < len(xs) {
		c.missing = 0
	}
	slices.Sort(known)
	low, high := known[(len(known)-1)/2], known[len(known)/2]
	c.fill = low/2 + high/2 // the median
	// Deviations from the median, in units of the largest, neither overflow nor
	// cancel; a missing value deviates by 0.
	unit := max(c.fill-known[0], known[len(known)-1]-c.fill)
	if math.IsInf(unit, 0) {
		return c, fmt.Errorf("feature %q: values from %v to %v are too far apart", f.Name, known[0], known[len(known)-1])
	}
	n, mean, variance := float64(len(xs)), 0.0, 0.0
	if unit == 0 {
		c.center = c.fill
		return c, nil
	}
	for _, x := range known {
		mean += (x - c.fill) / unit
	}
	mean /= n
	for _, x := range known {
		u := (x-c.fill)/unit - mean
		variance += u * u
	}
	variance = (variance + (n-float64(len(known)))*mean*mean) / n
	c.center = c.fill + mean*unit
	if scale := unit * math.Sqrt(variance); scale > 0 {
		c.scale, c.number = scale, 1
	}
	return c, nil
}

// block is the number of rows made at once; a multiple of 4.
const block = 64

// fill makes n rows from row first on: dense values into z, whose leading 1s are
// there already, and indicators, -1 for none, into on. Cells are read into buf.
func (d *design) fill(z []float64, on []int32, buf []float64, first, n int) error {
	for j := range d.columns {
		c := &d.columns[j]
		if c.number == 0 && c.slot < 0 {
			continue
		}
		xs, err := d.rows.Block(buf, j, first, first+n)
		if err != nil {
			return err
		}
		if c.number > 0 {
			for r, x := range xs {
				if math.IsNaN(x) {
					x = c.fill
				}
				z[r*d.numbers+c.number] = (x - c.center) / c.scale
			}
		}
		if c.slot < 0 {
			continue
		}
		for r, x := range xs {
			at := int32(-1)
			switch {
			case math.IsNaN(x):
				at = c.missing
			case c.levels != nil && x >= 0:
				at = c.levels[int(x)]
			}
			on[r*d.slots+c.slot] = at
		}
	}
	return nil
}

// order says which sums a pass makes.
type order uint8

const (
	firstOrder   order = iota // gradient
	withDiagonal              // and the diagonal of the Hessian
	withHessian               // and all of it
)

// sums are what a pass adds up over rows x: loss, gradient (slope times x), and
// curvature times x x', of which only the upper triangle is kept, in three parts.
type sums struct {
	loss     float64
	gradient []float64
	diagonal []float64
	numbers  []float64 // numbers by numbers
	mixed    []float64 // indicators by numbers
	pairs    []float64 // indicators by indicators
}

func (d *design) newSums(o order) *sums {
	s := &sums{gradient: make([]float64, d.width())}
	switch o {
	case withDiagonal:
		s.diagonal = make([]float64, d.width())
	case withHessian:
		s.numbers = make([]float64, d.numbers*d.numbers)
		s.mixed = make([]float64, d.indicators*d.numbers)
		s.pairs = make([]float64, d.indicators*d.indicators)
	}
	return s
}

func (s *sums) add(t *sums) {
	s.loss += t.loss
	for _, part := range [][2][]float64{{s.gradient, t.gradient}, {s.diagonal, t.diagonal},
		{s.numbers, t.numbers}, {s.mixed, t.mixed}, {s.pairs, t.pairs}} {
		for k, x := range part[1] {
			part[0][k] += x
		}
	}
}

// full is the Hessian by rows; only its upper triangle is set.
func (s *sums) full(d *design) []float64 {
	n, q := d.width(), d.numbers
	h := make([]float64, n*n)
	for i := range q {
		copy(h[i*n+i:i*n+q], s.numbers[i*q+i:(i+1)*q])
		for k := range d.indicators {
			h[i*n+q+k] = s.mixed[k*q+i]
		}
	}
	for k := range d.indicators {
		copy(h[(q+k)*n+q+k:(q+k+1)*n], s.pairs[k*d.indicators+k:(k+1)*d.indicators])
	}
	return h
}

// pass goes once over the rows. For row i it calls at with the product of the row
// and v, and adds up what at returns. Rows are cut into parts by their number
// alone and the parts added in order, so the bits do not depend on GOMAXPROCS.
func (d *design) pass(ctx context.Context, v []float64, o order, at func(i int, raw float64) (loss, slope, curvature float64)) (*sums, error) {
	const leastRows, mostParts, mostCells = 2048, 64, 1 << 23 // 64 MB of partial Hessians
	n := d.rows.Rows()
	parts := min(n/leastRows, mostParts)
	if o == withHessian {
		parts = min(parts, mostCells/(d.width()*d.width()))
	}
	parts = max(1, parts)
	partial := make([]*sums, parts)
	err := parallel(parts, func(k int) error {
		partial[k] = d.newSums(o)
		return d.part(ctx, partial[k], v, n*k/parts, n*(k+1)/parts, at)
	})
	if err != nil {
		return nil, err
	}
	for _, s := range partial[1:] {
		partial[0].add(s)
	}
	return partial[0], nil
}

func (d *design) part(ctx context.Context, s *sums, v []float64, first, end int, at func(i int, raw float64) (loss, slope, curvature float64)) error {
	q := d.numbers
	z, on, curvatures, buf := make([]float64, block*q), make([]int32, block*d.slots), make([]float64, block), make([]float64, block)
	for r := range block {
		z[r*q] = 1
	}
	for ; first < end; first += block {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(block, end-first)
		if err := d.fill(z, on, buf, first, n); err != nil {
			return err
		}
		clear(curvatures[n:])
		for r := range n {
			zr, on := z[r*q:(r+1)*q], on[r*d.slots:(r+1)*d.slots]
			raw := 0.0
			for k, x := range zr {
				raw += x * v[k]
			}
			for _, k := range on {
				if k >= 0 {
					raw += v[q+int(k)]
				}
			}
			loss, slope, curvature := at(first+r, raw)
			s.loss += loss
			curvatures[r] = curvature
			for k, x := range zr {
				s.gradient[k] += slope * x
			}
			for _, k := range on {
				if k >= 0 {
					s.gradient[q+int(k)] += slope
				}
			}
			if s.diagonal != nil {
				s.addDiagonal(zr, on, curvature)
			}
		}
		if s.numbers != nil {
			s.addNumbers(z, curvatures, q)
			s.addIndicators(d, z, on, curvatures[:n])
		}
	}
	return nil
}

func (s *sums) addDiagonal(z []float64, on []int32, curvature float64) {
	for k, x := range z {
		s.diagonal[k] += curvature * x * x
	}
	for _, k := range on {
		if k >= 0 {
			s.diagonal[len(z)+int(k)] += curvature
		}
	}
}

// addNumbers adds the dense part of a block, four rows at a time: a quarter of the
// loads and stores. Rows past the end have curvature 0.
func (s *sums) addNumbers(z, curvatures []float64, q int) {
	for r := 0; r < block; r += 4 {
		z0, z1, z2, z3 := z[r*q:(r+1)*q], z[(r+1)*q:(r+2)*q], z[(r+2)*q:(r+3)*q], z[(r+3)*q:(r+4)*q]
		for i := range q {
			a0, a1, a2, a3 := curvatures[r]*z0[i], curvatures[r+1]*z1[i], curvatures[r+2]*z2[i], curvatures[r+3]*z3[i]
			to := s.numbers[i*q+i : (i+1)*q]
			b0, b1, b2, b3 := z0[i:][:len(to)], z1[i:][:len(to)], z2[i:][:len(to)], z3[i:][:len(to)]
			for j := range to {
				to[j] += a0*b0[j] + a1*b1[j] + a2*b2[j] + a3*b3[j]
			}
		}
	}
}

// addIndicators adds what a block's indicators meet: numbers and each other.
func (s *sums) addIndicators(d *design, z []float64, on []int32, curvatures []float64) {
	q := d.numbers
	for r, w := range curvatures {
		zr, on := z[r*q:(r+1)*q], on[r*d.slots:(r+1)*d.slots]
		for a, k := range on {
			if k < 0 {
				continue
			}
			to := s.mixed[int(k)*q:][:len(zr)]
			for j, x := range zr {
				to[j] += w * x
			}
			// Slots and their indicators are in the same order: this is the upper triangle.
			pairs := s.pairs[int(k)*d.indicators:][:d.indicators]
			for _, l := range on[a:] {
				if l >= 0 {
					pairs[l] += w
				}
			}
		}
	}
}

// model is the design's weights as a model, with what each term contributes over
// the training rows.
func (d *design) model(ctx context.Context, weights []float64) (*models.Linear, error) {
	m := &models.Linear{Intercept: weights[0], Terms: make([]models.Term, len(d.columns))}
	indicators := weights[d.numbers:]
	err := parallel(len(d.columns), func(j int) error {
		c, t := &d.columns[j], &m.Terms[j]
		if c.levels == nil {
			t.Center, t.Scale = c.center, c.scale
			if c.number > 0 {
				t.Weight = weights[c.number]
			}
			t.Missing = t.At(c.fill)
		} else {
			t.Levels = make([]float64, len(c.levels))
		}
		for code, k := range c.levels {
			if k >= 0 {
				t.Levels[code] = indicators[k]
			}
		}
		if c.missing >= 0 {
			t.Missing += indicators[c.missing]
		}
		xs, err := d.rows.Column(nil, j)
		if err != nil {
			return err
		}
		for _, x := range xs {
			t.Mean += t.At(x)
		}
		t.Mean /= float64(len(xs))
		for _, x := range xs {
			u := t.At(x) - t.Mean
			t.Spread += u * u
		}
		t.Spread = math.Sqrt(t.Spread / float64(len(xs)))
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// parallel runs f for 0 to n-1, as many at once as there are processors, and
// returns the error of the lowest index, so that it is the same one every time.
func parallel(n int, f func(i int) error) error {
	faults := make([]error, n)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error {
			faults[i] = f(i)
			return nil
		})
	}
	_ = g.Wait() // faults hold the errors
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}
