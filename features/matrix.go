package features

import (
	"slices"

	"propensity/datasets"
)

// Feature describes one column of a Matrix.
type Feature struct {
	Name string
	// Levels is the number of categories, whose codes are 0 to Levels-1; 0 says
	// that the feature is a number.
	Levels int
}

// Matrix is what learners see: encoded columns of float64 with the label. The
// value NaN is missing; -1 in a categorical feature is an unseen category.
//
// The columns are held in Columns or, of a table too large to be held twice, made
// by Load whenever they are asked for. Column and Block read either.
type Matrix struct {
	Features []Feature
	Columns  [][]float64 // one slice per feature, one value per row; nil: see Load
	Label    []float64   // 0 or 1 a row
	Group    []int       // the account of a row, 0 to n-1: rows of one account are not independent
	Weight   []float64   // how much a row counts, above 0 and finite; nil: every row counts 1

	// Load fills dst with feature j of the given rows of its source, one value a
	// row; several goroutines may call it. It is used where Columns is nil.
	Load func(dst []float64, j int, rows []int) error
	// Index is the row of Load's source of every row of the matrix.
	Index []int
	// Apart says that Load reads a whole column for each call, however few the
	// rows: long blocks are to be asked for.
	Apart bool
}

// Rows is the number of rows.
func (m *Matrix) Rows() int { return len(m.Label) }

// Column gives feature j of every row, to be read and not to be changed. Where
// the matrix has to make it, it is written to buf if that is long enough. An
// error is one of reading the source again; a matrix with Columns has none.
func (m *Matrix) Column(buf []float64, j int) ([]float64, error) {
	return m.Block(buf, j, 0, m.Rows())
}

// Block is Column of the rows from first up to end, without end.
func (m *Matrix) Block(buf []float64, j, first, end int) ([]float64, error) {
	if m.Columns != nil {
		return m.Columns[j][first:end], nil
	}
	if cap(buf) < end-first {
		buf = make([]float64, end-first)
	}
	buf = buf[:end-first]
	return buf, m.Load(buf, j, m.Index[first:end])
}

// Dense is the matrix with its columns held in Columns.
func (m *Matrix) Dense() (Matrix, error) {
	out := *m
	if m.Columns != nil {
		return out, nil
	}
	out.Columns, out.Load, out.Index, out.Apart = make([][]float64, len(m.Features)), nil, nil, false
	for j := range out.Columns {
		var err error
		if out.Columns[j], err = m.Column(nil, j); err != nil {
			return Matrix{}, err
		}
	}
	return out, nil
}

// Row copies row i into dst, which has one place per feature. The matrix holds
// its columns in Columns.
func (m *Matrix) Row(dst []float64, i int) {
	for j, col := range m.Columns {
		dst[j] = col[i]
	}
}

// Take is the matrix of the given rows, in the given order. Nothing is read.
func (m *Matrix) Take(rows []int) Matrix {
	out := Matrix{Features: m.Features, Load: m.Load, Index: datasets.Take(m.Index, rows), Apart: m.Apart}
	if m.Columns != nil {
		out.Columns = make([][]float64, len(m.Columns))
	}
	for j, col := range m.Columns {
		out.Columns[j] = datasets.Take(col, rows)
	}
	out.Label, out.Group, out.Weight = datasets.Take(m.Label, rows), datasets.Take(m.Group, rows), datasets.Take(m.Weight, rows)
	return out
}

// Select is the matrix of the given features, in the given order; columns are shared.
func (m *Matrix) Select(features []int) Matrix {
	out := Matrix{Label: m.Label, Group: m.Group, Weight: m.Weight, Index: m.Index, Apart: m.Apart}
	for _, j := range features {
		out.Features = append(out.Features, m.Features[j])
		if m.Columns != nil {
			out.Columns = append(out.Columns, m.Columns[j])
		}
	}
	if load := m.Load; load != nil {
		features = slices.Clone(features)
		out.Load = func(dst []float64, j int, rows []int) error { return load(dst, features[j], rows) }
	}
	return out
}
