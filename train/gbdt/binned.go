package gbdt

import (
	"context"
	"fmt"
	"math"
	"sync"

	"propensity/datasets"
	"propensity/features"
)

// binned is a matrix in bins, a slice of bytes per feature: what all boosters
// that learn from parts of its rows have in common. A feature of many categories
// keeps its codes: their rates are each booster's own.
type binned struct {
	features []features.Feature
	binners  []binner
	bins     [][]uint8
	codes    [][]int32 // of features of many categories: missing is levels, unseen levels+1
	label    []float64
	group    []int
	weight   []float64 // nil: every row counts 1
}

// thresholdRows is the most rows that thresholds are learnt from. With 255 bins
// of 784 of them each, a bin's share of all rows is off by 4 % of itself.
const thresholdRows = 200_000

// newBinned learns the bins from the rows of the first matrix and bins those of
// all, one matrix after another. Columns are read one at a time per goroutine.
func newBinned(ctx context.Context, o *Options, matrices ...*features.Matrix) (*binned, error) {
	first := matrices[0]
	b := &binned{features: first.Features}
	n := len(first.Features)
	b.binners, b.bins, b.codes = make([]binner, n), make([][]uint8, n), make([][]int32, n)
	if err := o.checkFeatures(first.Features); err != nil {
		return nil, err
	}
	for _, m := range matrices {
		if err := checkShape(first, m); err != nil {
			return nil, err
		}
		if len(matrices) == 1 {
			b.label, b.group = m.Label, m.Group
			continue
		}
		b.label = append(b.label, m.Label...)
		b.group = append(b.group, m.Group...)
	}
	if len(b.group) < len(b.label) {
		b.group = nil
	}
	var err error
	if b.weight, err = weightsOf(matrices); err != nil {
		return nil, err
	}
	faults := make([]error, n)
	buffers := sync.Pool{New: func() any { return new([]float64) }}
	parallel(n, func(j int) {
		if ctx.Err() != nil {
			return
		}
		buf := buffers.Get().(*[]float64)
		faults[j] = b.column(o, j, matrices, buf)
		buffers.Put(buf)
	})
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return b, ctx.Err()
}

// column bins one feature; buf is working memory.
func (b *binned) column(o *Options, j int, matrices []*features.Matrix, buf *[]float64) error {
	f := b.features[j]
	at := 0
	for k, m := range matrices {
		column, err := m.Column(*buf, j)
		if err != nil {
			return err
		}
		if m.Columns == nil {
			*buf = column
		}
		if err := checkColumn(f, column); err != nil {
			return err
		}
		switch {
		case f.Levels > o.CategoryRates:
			if k == 0 {
				b.codes[j] = make([]int32, len(b.label))
			}
			for i, x := range column {
				b.codes[j][at+i] = codeOf(x, f.Levels)
			}
		default:
			if k == 0 {
				b.binners[j] = fitBinner(column, f.Levels, o.Bins)
				b.bins[j] = make([]uint8, len(b.label))
			}
			b.binners[j].binAll(b.bins[j][at:], column)
		}
		at += len(column)
	}
	return nil
}

// codeOf counts missing and unseen as categories of their own.
func codeOf(x float64, levels int) int32 {
	switch {
	case math.IsNaN(x):
		return int32(levels)
	case x < 0:
		return int32(levels) + 1
	}
	return int32(x)
}

func checkShape(first, m *features.Matrix) error {
	if m.Columns != nil && len(m.Features) != len(m.Columns) {
		return fmt.Errorf("%w: %d features, %d columns", ErrMatrix, len(m.Features), len(m.Columns))
	}
	if len(m.Features) != len(first.Features) {
		return fmt.Errorf("%w: %d columns to validate on, %d to train on", ErrMatrix, len(m.Features), len(first.Features))
	}
	for i, y := range m.Label {
		if y != 0 && y != 1 {
			return &ValueError{"label", i, y, "0 or 1"}
		}
	}
	for j, f := range m.Features {
		if f.Levels < 0 {
			return fmt.Errorf("%w: %s has %d levels", ErrMatrix, f.Name, f.Levels)
		}
		if f.Levels != first.Features[j].Levels {
			return fmt.Errorf("%w: %s has %d levels to validate on, %d to train on", ErrMatrix, f.Name, f.Levels, first.Features[j].Levels)
		}
		if m.Columns != nil && len(m.Columns[j]) != m.Rows() {
			return fmt.Errorf("%w: %s has %d rows, the label %d", ErrMatrix, f.Name, len(m.Columns[j]), m.Rows())
		}
	}
	return nil
}

// sampled is the column, or thresholdRows of its rows where it has more.
func sampled(column []float64) []float64 {
	n := len(column)
	if n <= thresholdRows {
		return column
	}
	out := make([]float64, thresholdRows)
	for k := range out {
		// A keyed place within each stretch: an even step could beat with a rhythm of the rows.
		from, to := uint64(k)*uint64(n)/thresholdRows, uint64(k+1)*uint64(n)/thresholdRows
		out[k] = column[from+datasets.Mix(uint64(k))%(to-from)]
	}
	return out
}
