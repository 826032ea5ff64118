// Package features turns what is known of an account at a moment into numbers:
// an Encoder is fitted once on training rows and then used, unchanged, by
// training, batch scoring and the server.
package features

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"propensity/datasets"
)

// ErrColumn is wrapped by an error about a column that a table or row lacks.
var ErrColumn = errors.New("missing column")

// Encoder is a list of fitted columns, in the order of the training table. It
// is not changed after FitEncoder or ParseEncoder and is safe for concurrent use.
type Encoder struct {
	Columns []Column `json:"columns"`

	byName map[string]int
}

// LeftOut is a column that the encoder does not use, and why.
type LeftOut struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
}

func (e *Encoder) index() {
	e.byName = make(map[string]int, len(e.Columns))
	for i := range e.Columns {
		e.byName[e.Columns[i].Name] = i
		if e.Columns[i].Kind == datasets.Category {
			e.Columns[i].index()
		}
	}
}

// Find is the place of the column of that name, -1 if the encoder has none.
func (e *Encoder) Find(name string) int {
	if i, ok := e.byName[name]; ok {
		return i
	}
	return -1
}

// Features describe the encoded columns.
func (e *Encoder) Features() []Feature {
	out := make([]Feature, len(e.Columns))
	for i := range e.Columns {
		out[i] = Feature{Name: e.Columns[i].Name, Levels: len(e.Columns[i].Levels)}
	}
	return out
}

// Kinds are the kinds by column name, as a reader of files to score wants them.
func (e *Encoder) Kinds() map[string]datasets.Kind {
	out := make(map[string]datasets.Kind, len(e.Columns))
	for i := range e.Columns {
		out[e.Columns[i].Name] = e.Columns[i].Kind
	}
	return out
}

// EncodeRow encodes one row, a cell per column in the encoder's order, into x
// and states. An error is a TypeError.
func (e *Encoder) EncodeRow(x []float64, states []State, row []datasets.Value, moment int64) error {
	if len(row) != len(e.Columns) || len(x) < len(row) || len(states) < len(row) {
		return fmt.Errorf("a row of %d cells for an encoder of %d columns", len(row), len(e.Columns))
	}
	for i := range e.Columns {
		var err error
		if x[i], states[i], err = e.Columns[i].Encode(row[i], moment); err != nil {
			return err
		}
	}
	return nil
}

// EncodeTable encodes every row of a table into columns of float64, on as many
// processors as there are. A column that the table lacks is ErrColumn, all of them
// named; another error is that of the first column that has one. Unknown columns
// are ignored.
func (e *Encoder) EncodeTable(t *datasets.Table, moments []int64) ([][]float64, error) {
	var faults []error
	for i := range e.Columns {
		if t.Column(e.Columns[i].Name) == nil {
			faults = append(faults, fmt.Errorf("%w: %q", ErrColumn, e.Columns[i].Name))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	out, rows := make([][]float64, len(e.Columns)), t.Rows()
	err := Parallel(len(e.Columns), func(i int) error {
		out[i] = make([]float64, rows)
		return e.Columns[i].EncodeAll(out[i], t.Column(e.Columns[i].Name), moments)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// MarshalJSON writes the encoder in a stable form: the same encoder, the same bytes.
func (e *Encoder) MarshalJSON() ([]byte, error) {
	type plain Encoder
	return json.Marshal((*plain)(e))
}

// ParseEncoder reads an encoder and checks everything that encoding relies on,
// so that a damaged file is an error and never a wrong number.
func ParseEncoder(b []byte) (*Encoder, error) {
	type plain Encoder
	var p plain
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("encoder: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("encoder: something follows its end")
	}
	e := (*Encoder)(&p)
	seen := make(map[string]bool, len(e.Columns))
	for i := range e.Columns {
		c := &e.Columns[i]
		if c.Name == "" || seen[c.Name] {
			return nil, fmt.Errorf("encoder: column %d has no name of its own: %q", i, c.Name)
		}
		seen[c.Name] = true
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("encoder: column %q: %w", c.Name, err)
		}
	}
	e.index()
	return e, nil
}

func (c *Column) check() error {
	if c.Rows < 0 || c.Missing < 0 || c.Missing > c.Rows {
		return fmt.Errorf("%d of %d rows missing", c.Missing, c.Rows)
	}
	if c.Kind == datasets.Category {
		return c.checkLevels()
	}
	if c.Kind != datasets.Number && c.Kind != datasets.Boolean && c.Kind != datasets.Time {
		return fmt.Errorf("no encoder for a %s", c.Kind)
	}
	if len(c.Levels) > 0 || c.Numeric {
		return fmt.Errorf("a %s has no levels", c.Kind)
	}
	for _, x := range []float64{c.Min, c.Median, c.Mean, c.Max} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("range %v", []float64{c.Min, c.Median, c.Mean, c.Max})
		}
	}
	if !slices.IsSorted([]float64{c.Min, c.Median, c.Max}) || !slices.IsSorted([]float64{c.Min, c.Mean, c.Max}) {
		return fmt.Errorf("min %v, median %v, mean %v, max %v", c.Min, c.Median, c.Mean, c.Max)
	}
	return c.checkBins()
}

// checkBins checks a column that is not a Category. There may be no bins.
func (c *Column) checkBins() error {
	if len(c.Cuts) == 0 && len(c.Counts) == 0 {
		return nil
	}
	if len(c.Counts) != len(c.Cuts)+1 || len(c.Cuts) == 0 {
		return fmt.Errorf("%d cuts, %d counts", len(c.Cuts), len(c.Counts))
	}
	for k, x := range c.Cuts {
		if !(x >= c.Min && x <= c.Max) || k > 0 && x <= c.Cuts[k-1] {
			return fmt.Errorf("cuts %v", c.Cuts)
		}
	}
	left := c.Rows - c.Missing
	for k, n := range c.Counts {
		if n < 0 || n > left || n == 0 && k < len(c.Cuts) {
			return fmt.Errorf("bin %d counts %d of %d rows", k, n, c.Rows-c.Missing)
		}
		left -= n
	}
	if left != 0 {
		return fmt.Errorf("%d rows are in no bin", left)
	}
	return nil
}

// checkLevels checks a Category. One without levels would be a number to a model.
func (c *Column) checkLevels() error {
	if len(c.Cuts) > 0 {
		return errors.New("a category has no cuts")
	}
	if len(c.Levels) == 0 || len(c.Levels) != len(c.Counts) {
		return fmt.Errorf("%d levels, %d counts", len(c.Levels), len(c.Counts))
	}
	left := c.Rows - c.Missing
	for k, level := range c.Levels {
		if k > 0 && level <= c.Levels[k-1] {
			return fmt.Errorf("levels out of order: %q after %q", level, c.Levels[k-1])
		}
		if c.Counts[k] < 1 || c.Counts[k] > left {
			return fmt.Errorf("level %q counts %d of %d rows", level, c.Counts[k], c.Rows-c.Missing)
		}
		left -= c.Counts[k]
	}
	if left != 0 {
		return fmt.Errorf("%d rows are of no level", left)
	}
	if c.Numeric != numeric(c.Levels) {
		return fmt.Errorf("numeric is %v, the levels say %v", c.Numeric, !c.Numeric)
	}
	if c.Min != 0 || c.Median != 0 || c.Mean != 0 || c.Max != 0 {
		return errors.New("a category has no range")
	}
	return nil
}
