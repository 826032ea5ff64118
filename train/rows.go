package train

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// Columns is a table that gives one column at a time: *datasets.Columns reads
// them from the file, so that the table may be larger than memory. Several
// goroutines may call Column.
type Columns interface {
	Names() []string
	Rows() int
	Column(name string) (datasets.Column, error)
	Fingerprint() (string, error)
}

// inMemory is a whole table.
type inMemory struct{ *datasets.Table }

func (t inMemory) Column(name string) (datasets.Column, error) {
	if c := t.Table.Column(name); c != nil {
		return *c, nil
	}
	return datasets.Column{}, fmt.Errorf("%w: %q", features.ErrColumn, name)
}

func (t inMemory) Fingerprint() (string, error) { return t.Table.Fingerprint(), nil }

// held says whether the table is in memory: a column costs nothing to ask for.
func (p *prepared) held() bool {
	_, ok := p.source.(inMemory)
	return ok
}

// pick is the given rows of a column.
func pick(c *datasets.Column, rows []int) datasets.Column {
	out := *c
	out.Numbers, out.Times, out.Codes = datasets.Take(c.Numbers, rows), datasets.Take(c.Times, rows), datasets.Take(c.Codes, rows)
	return out
}

// place is the row of the file, from 0, of a labelled row.
func (p *prepared) place(i int) int {
	if p.places == nil {
		return i
	}
	return p.places[i]
}

// encodeRows is the matrix of the given rows by a fitted encoder. Nothing is
// encoded before it is asked for.
func (p *prepared) encodeRows(encoder *features.Encoder, rows []int) features.Matrix {
	v := &view{prepared: p, encoder: encoder, parts: make([]part, len(encoder.Columns)), once: make([]sync.Once, len(encoder.Columns))}
	return features.Matrix{Features: encoder.Features(), Label: datasets.Take(p.label, rows), Group: datasets.Take(p.group, rows), Weight: datasets.Take(p.weight, rows), Load: v.load, Index: rows, Apart: !p.held()}
}

// view encodes columns of the table on demand.
type view struct {
	*prepared
	encoder *features.Encoder
	once    []sync.Once
	parts   []part // of a table in memory, made once
}

// part is a column of the table, with what each of its texts is encoded as.
type part struct {
	datasets.Column
	coded []float64
	err   error
}

func (v *view) load(dst []float64, j int, rows []int) error {
	if !v.held() {
		c := v.part(j)
		return v.encode(&c, dst, j, rows)
	}
	v.once[j].Do(func() { v.parts[j] = v.part(j) })
	return v.encode(&v.parts[j], dst, j, rows)
}

func (v *view) part(j int) (c part) {
	if c.Column, c.err = v.source.Column(v.encoder.Columns[j].Name); c.err != nil || c.Values == nil {
		return c
	}
	texts := datasets.Column{Name: c.Name, Kind: c.Kind, Values: c.Values, Codes: make([]int32, len(c.Values))}
	for k := range texts.Codes {
		texts.Codes[k] = int32(k)
	}
	c.coded = make([]float64, len(c.Values))
	c.err = v.encoder.Columns[j].EncodeAll(c.coded, &texts, v.moments)
	return c
}

// encode gathers the cells, then encodes them as every other cell is.
func (v *view) encode(c *part, dst []float64, j int, rows []int) error {
	if c.err != nil {
		return c.err
	}
	cells := datasets.Column{Name: c.Name, Kind: c.Kind}
	var moments []int64
	switch {
	case c.Values != nil || c.Codes != nil:
		for k, i := range rows {
			dst[k] = math.NaN()
			if code := c.Codes[v.place(i)]; code >= 0 {
				dst[k] = c.coded[code]
			}
		}
		return nil
	case c.Numbers != nil && v.places == nil:
		for k, i := range rows {
			dst[k] = c.Numbers[i]
		}
		cells.Numbers = dst
	case c.Numbers != nil:
		for k, i := range rows {
			dst[k] = c.Numbers[v.places[i]]
		}
		cells.Numbers = dst
	default:
		cells.Times = make([]int64, len(rows))
		for k, i := range rows {
			cells.Times[k] = c.Times[v.place(i)]
		}
	}
	if v.encoder.Columns[j].Kind == datasets.Time {
		moments = datasets.Take(v.moments, rows)
	}
	err := v.encoder.Columns[j].EncodeAll(dst, &cells, moments)
	if fault := (*features.RowError)(nil); errors.As(err, &fault) {
		return fmt.Errorf("row %d: %w", v.place(rows[fault.Row])+1, fault.Err)
	}
	return err
}

// scoreCells is how many encoded cells are held at once when rows are scored: 8
// MB, or 64 MB of a table whose every column is read again for each block.
const (
	scoreCells      = 1 << 20
	scoreCellsApart = 1 << 23
)

// rawOf gives the log-odds of every row of a matrix, encoding a block of rows at
// a time.
func rawOf(model models.Model, m *features.Matrix) ([]float64, error) {
	raw := make([]float64, m.Rows())
	step := max(1, scoreCells/max(1, len(m.Features)))
	if m.Apart {
		step = max(1, scoreCellsApart/max(1, len(m.Features)))
	}
	columns := make([][]float64, len(m.Features))
	for first := 0; first < m.Rows(); first += step {
		end := min(first+step, m.Rows())
		err := features.Parallel(len(columns), func(j int) (err error) {
			columns[j], err = m.Block(columns[j], j, first, end)
			return err
		})
		if err != nil {
			return nil, err
		}
		rawBlock(raw[first:end], model, columns)
	}
	return raw, nil
}

// rawBlock scores rows by all processors.
func rawBlock(dst []float64, model models.Model, columns [][]float64) {
	const least = 4096
	parts := max(1, min(runtime.GOMAXPROCS(0), len(dst)/least))
	_ = features.Parallel(parts, func(k int) error {
		first, end := len(dst)*k/parts, len(dst)*(k+1)/parts
		mine := make([][]float64, len(columns))
		for j, column := range columns {
			mine[j] = column[first:end]
		}
		copy(dst[first:end], models.RawAll(model, mine, end-first))
		return nil
	})
}
