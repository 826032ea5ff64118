package features

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// lazy is a matrix that makes the columns that dense holds.
func lazy(dense Matrix) Matrix {
	m := Matrix{Features: dense.Features, Label: dense.Label, Group: dense.Group}
	for i := range dense.Label {
		m.Index = append(m.Index, len(dense.Label)-1-i) // its source has the rows the other way round
	}
	m.Load = func(dst []float64, j int, rows []int) error {
		for k, i := range rows {
			dst[k] = dense.Columns[j][len(dense.Label)-1-i]
		}
		return nil
	}
	return m
}

// Whether a matrix holds its columns or makes them, everything it gives is the same.
func TestMatrixLoadTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, width := rapid.IntRange(1, 20).Draw(t, "rows"), rapid.IntRange(1, 4).Draw(t, "columns")
		held := Matrix{Features: make([]Feature, width), Columns: make([][]float64, width), Label: make([]float64, n), Group: make([]int, n)}
		for j := range width {
			for range n {
				held.Columns[j] = append(held.Columns[j], rapid.Float64().Draw(t, "x"))
			}
		}
		for i := range n {
			held.Label[i], held.Group[i] = float64(i%2), i
		}
		made := lazy(held)
		rows := rapid.SliceOfN(rapid.IntRange(0, n-1), 1, 2*n).Draw(t, "taken")
		picked := rapid.SliceOfN(rapid.IntRange(0, width-1), 1, width).Draw(t, "selected")
		for range 2 { // the second time of what was taken and selected
			if held.Rows() != made.Rows() || !slices.Equal(held.Label, made.Label) || !slices.Equal(held.Group, made.Group) {
				t.Fatalf("%v, %v", held, made)
			}
			dense, err := made.Dense()
			if err != nil {
				t.Fatal(err)
			}
			for j := range held.Columns {
				buf := make([]float64, rapid.IntRange(0, 2*n).Draw(t, "buf"))
				got, err := made.Column(buf, j)
				if err != nil || !slices.Equal(got, held.Columns[j]) || !slices.Equal(dense.Columns[j], got) {
					t.Fatalf("column %d: %v, not %v: %v", j, got, held.Columns[j], err)
				}
				first := rapid.IntRange(0, held.Rows()).Draw(t, "first")
				end := rapid.IntRange(first, held.Rows()).Draw(t, "end")
				one, _ := held.Block(nil, j, first, end)
				if two, err := made.Block(buf, j, first, end); err != nil || !slices.Equal(one, two) || len(one) != end-first {
					t.Fatalf("column %d from %d to %d: %v, %v", j, first, end, one, two)
				}
			}
			held, made = held.Take(rows), made.Take(rows)
			held, made = held.Select(picked), made.Select(picked)
			clear(rows)
			clear(picked)
			picked = picked[:1]
		}
	})
}

func TestMatrixLoadFails(t *testing.T) {
	gone := errors.New("the file is gone")
	m := Matrix{Features: make([]Feature, 2), Label: make([]float64, 3), Index: []int{0, 1, 2}, Load: func([]float64, int, []int) error { return gone }}
	if _, err := m.Column(nil, 1); !errors.Is(err, gone) {
		t.Error(err)
	}
	if _, err := m.Dense(); !errors.Is(err, gone) {
		t.Error(err)
	}
}
