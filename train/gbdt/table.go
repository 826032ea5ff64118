package gbdt

import (
	"cmp"
	"slices"
)

// column is one feature as trees may split it: bins, in the order of a number or
// of rates, or without an order.
type column struct {
	feature int
	binner  *binner // nil for rates
	rates   *rates  // nil for bins
	rising  int8    // of a number: 1 where scores must not fall with it, -1 where they must not rise
	size    int     // bins, the missing and other ones included
	start   int     // of its bins in a leaf's histogram, if the tree uses it
	field   int     // that holds it
	bins    []uint8 // the bin of each value of the field; nil where the value is the bin
	rows    []uint8 // the bin of every row, until a field has it
}

// ordered says whether the bins from 0 to values-1 have an order.
func (c *column) ordered() bool { return c.rates != nil || c.binner.levels == 0 }

// values are the bins that have an order, or categories.
func (c *column) values() int {
	if c.rates != nil {
		return c.size
	}
	return c.binner.values
}

// field is a byte of every row: the bin of a column, or the bins of several
// columns of few bins as one number. One addition then counts them all.
type field struct {
	columns []int // places among table.columns
	steps   []int // per column: what one bin adds to the byte
	values  int   // of the byte
	rows    []uint8
}

// table is what a booster learns from.
type table struct {
	columns []column
	fields  []field
}

// newTable lays out the usable columns of a booster.
func newTable(b *binned, train []int32, o *Options) *table {
	t := &table{}
	for j := range b.features {
		if b.codes[j] != nil {
			fold := foldOf(o, b.group)
			s := newRates(b.codes[j], b.features[j].Levels, b.label, b.weight, train, fold, o)
			if s.highest > s.lowest {
				t.columns = append(t.columns, column{feature: j, rates: &s, size: s.size, rows: s.column(b.codes[j], train, fold)})
			}
			continue
		}
		if varies(b.bins[j], train) {
			c := column{feature: j, binner: &b.binners[j], size: b.binners[j].size(), rows: b.bins[j]}
			if o.Monotone != nil {
				c.rising = o.Monotone[j]
			}
			t.columns = append(t.columns, c)
		}
	}
	t.pack()
	return t
}

// column is the bin of every row.
func (s *rates) column(codes []int32, train []int32, fold func(row int32) int) []uint8 {
	out := make([]uint8, len(codes))
	width := s.levels + 2
	last := s.bin[s.folds*width:]
	for i, c := range codes {
		out[i] = last[c]
	}
	for _, r := range train {
		out[r] = s.bin[fold(r)*width+int(codes[r])]
	}
	return out
}

func varies(bins []uint8, rows []int32) bool {
	for _, r := range rows {
		if bins[r] != bins[rows[0]] {
			return true
		}
	}
	return false
}

// pack gives the columns fields: large ones one each, small ones share.
func (t *table) pack() {
	order := make([]int, len(t.columns))
	held := make([]int, len(t.columns)) // bins up to the highest that a row is in
	parallel(len(order), func(c int) {
		order[c] = c
		held[c] = int(slices.Max(t.columns[c].rows)) + 1
	})
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(held[b], held[a]) })
	for _, c := range order {
		k := slices.IndexFunc(t.fields, func(f field) bool { return f.values*held[c] <= maxBins })
		if k < 0 {
			k = len(t.fields)
			t.fields = append(t.fields, field{values: 1})
		}
		f := &t.fields[k]
		f.columns, f.steps = append(f.columns, c), append(f.steps, f.values)
		f.values *= held[c]
	}
	for k := range t.fields {
		f := &t.fields[k]
		for i, c := range f.columns {
			t.columns[c].field = k
			if len(f.columns) == 1 {
				f.rows = t.columns[c].rows
				continue
			}
			bins := make([]uint8, f.values)
			for v := range bins {
				bins[v] = uint8(v / f.steps[i] % held[c])
			}
			t.columns[c].bins = bins
		}
	}
	parallel(len(t.fields), func(k int) {
		f := &t.fields[k]
		if len(f.columns) == 1 {
			return
		}
		f.rows = make([]uint8, len(t.columns[f.columns[0]].rows))
		for i, c := range f.columns {
			step := uint8(f.steps[i])
			for r, b := range t.columns[c].rows {
				f.rows[r] += b * step
			}
		}
	})
	for c := range t.columns {
		t.columns[c].rows = nil
	}
}
