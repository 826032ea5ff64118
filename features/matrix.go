package features

import "propensity/datasets"

// Feature describes one column of a Matrix.
type Feature struct {
	Name string
	// Levels is the number of categories, whose codes are 0 to Levels-1; 0 says
	// that the feature is a number.
	Levels int
}

// Matrix is what learners see: encoded columns of float64 with the label. The
// value NaN is missing; -1 in a categorical feature is an unseen category.
type Matrix struct {
	Features []Feature
	Columns  [][]float64 // one slice per feature, one value per row
	Label    []float64   // 0 or 1 a row
	Group    []int       // the account of a row, 0 to n-1: rows of one account are not independent
}

// Rows is the number of rows.
func (m *Matrix) Rows() int { return len(m.Label) }

// Row copies row i into dst, which has one place per feature.
func (m *Matrix) Row(dst []float64, i int) {
	for j, col := range m.Columns {
		dst[j] = col[i]
	}
}

// Take is the matrix of the given rows, in the given order.
func (m *Matrix) Take(rows []int) Matrix {
	out := Matrix{Features: m.Features, Columns: make([][]float64, len(m.Columns))}
	for j, col := range m.Columns {
		out.Columns[j] = datasets.Take(col, rows)
	}
	out.Label, out.Group = datasets.Take(m.Label, rows), datasets.Take(m.Group, rows)
	return out
}

// Select is the matrix of the given features, in the given order; columns are shared.
func (m *Matrix) Select(features []int) Matrix {
	out := Matrix{Label: m.Label, Group: m.Group}
	for _, j := range features {
		out.Features = append(out.Features, m.Features[j])
		out.Columns = append(out.Columns, m.Columns[j])
	}
	return out
}
