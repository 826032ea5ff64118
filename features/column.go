package features

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"propensity/datasets"
)

// State tells what an encoder made of a cell: the five states of a value are
// never confused, in any learner, and come back per field as warnings.
type State uint8

// The states of a value.
const (
	Known      State = iota
	Missing          // encoded as NaN
	Unseen           // a category that training never saw: encoded as -1
	OutOfRange       // a number beyond the training range: passed unchanged
	Empty            // empty text: a category of its own, whether seen or not
)

var stateNames = [...]string{"known", "missing", "unseen", "out_of_range", "empty"}

// String is the name used in JSON and messages.
func (s State) String() string { return stateNames[s] }

// ErrType is wrapped by an error about a cell of the wrong type.
var ErrType = errors.New("wrong type")

// TypeError is a cell that the encoder of its column cannot take.
type TypeError struct {
	Column string
	Want   datasets.Kind
	Value  datasets.Value
	Hint   string
}

func (e *TypeError) Error() string {
	got := strconv.Quote(e.Value.Text)
	if e.Value.Kind != datasets.Category && e.Value.Kind != datasets.Text {
		got = e.Value.String()
	}
	s := fmt.Sprintf("column %q wants a %s, got the %s %s", e.Column, e.Want, e.Value.Kind, got)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Unwrap makes errors.Is(err, ErrType) true.
func (e *TypeError) Unwrap() error { return ErrType }

// Column is the fitted encoder of one column: it turns a cell into one float64.
// Training calls it down a column, serving along a row: the same function.
type Column struct {
	Name string        `json:"name"`
	Kind datasets.Kind `json:"kind"`
	// Levels of a Category, sorted by bytes; a level's index is its code.
	Levels []string `json:"levels,omitempty"`
	// Cuts part the encoded training values of a column that is not a Category into
	// bins, by value: each holds what is above the cut before it and at most its own,
	// the last what is above them all. They are values of training rows, strictly
	// rising: the deciles and, where a value is common, the one before it. None in an
	// encoder of a version that knew no bins.
	Cuts []float64 `json:"cuts,omitempty"`
	// Counts are the training rows of each level, or of each bin.
	Counts []int `json:"counts,omitempty"`
	// Numeric says that all levels are numbers in their canonical spelling, so
	// that 28, 28.0 and "28.0" are the level "28".
	Numeric bool `json:"numeric,omitempty"`
	// Rows and Missing count the training rows and those without a value.
	Rows    int `json:"rows"`
	Missing int `json:"missing"`
	// Min, Median, Mean, Max describe the encoded training values of a column that
	// is not a Category; a Time is in days before the moment.
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Mean   float64 `json:"mean"`
	Max    float64 `json:"max"`

	codes   map[string]float64
	deciles []float64
}

// Encode turns one cell into the number the models see, as of the moment
// (microseconds since 1970 UTC): a missing cell is NaN, a known category its
// code, an unseen one -1, a boolean 0 or 1, a time its days before the moment.
// A cell of another type is a TypeError: nothing is converted silently.
func (c *Column) Encode(v datasets.Value, moment int64) (float64, State, error) {
	if v.Missing() || math.IsNaN(v.Number) {
		return math.NaN(), Missing, nil
	}
	switch c.Kind {
	case datasets.Category:
		return c.encodeCategory(v)
	case datasets.Time:
		if v.Kind != datasets.Time {
			return 0, 0, &TypeError{c.Name, c.Kind, v, "write it as 2026-03-01T09:30:00Z"}
		}
		return c.ranged((float64(moment) - float64(v.Time)) / microsPerDay)
	default:
		if v.Kind != c.Kind {
			return 0, 0, &TypeError{Column: c.Name, Want: c.Kind, Value: v}
		}
		if math.IsInf(v.Number, 0) {
			return 0, 0, &TypeError{c.Name, c.Kind, v, "it must be finite"}
		}
		return c.ranged(v.Number)
	}
}

const microsPerDay = 24 * 60 * 60 * 1e6

func (c *Column) ranged(x float64) (float64, State, error) {
	x += 0 // -0 + 0 is 0: sorting would leave the two in the order of the rows
	if x < c.Min || x > c.Max {
		return x, OutOfRange, nil
	}
	return x, Known, nil
}

func (c *Column) encodeCategory(v datasets.Value) (float64, State, error) {
	var x float64
	var ok bool
	var spelt [32]byte
	switch v.Kind {
	case datasets.Category, datasets.Text:
		if x, ok = c.codes[v.Text]; v.Text == "" {
			if !ok {
				x = -1
			}
			return x, Empty, nil
		}
		if !ok && c.Numeric {
			if number, is := datasets.ParseNumber(v.Text); is {
				x, ok = c.codes[string(datasets.AppendNumber(spelt[:0], number))]
			}
		}
	case datasets.Number:
		if !c.Numeric {
			return 0, 0, &TypeError{c.Name, c.Kind, v, "its categories are text, send text"}
		}
		x, ok = c.codes[string(datasets.AppendNumber(spelt[:0], v.Number))]
	case datasets.Boolean:
		x, ok = c.codes[strconv.FormatBool(v.Number != 0)]
	default:
		return 0, 0, &TypeError{Column: c.Name, Want: c.Kind, Value: v}
	}
	if !ok {
		return -1, Unseen, nil
	}
	return x, Known, nil
}

// ErrMoment is wrapped by the error about a time that no moment is known for.
var ErrMoment = errors.New("no moment")

// RowError is what is wrong with a row of a table, counted from 0.
type RowError struct {
	Row int
	Err error
}

func (e *RowError) Error() string { return fmt.Sprintf("row %d: %v", e.Row, e.Err) }

// Unwrap gives the error itself.
func (e *RowError) Unwrap() error { return e.Err }

// Mark is a cell of a column that is not Known, by its row from 0.
type Mark struct {
	Row   int32
	State State
}

// EncodeAll encodes a whole column into dst, one float64 a row: what Encode gives
// cell by cell. A nil moments stands for a table without a moment; a Time column
// without one is ErrMoment. An error about a cell is a RowError of the first such
// row; the rows before it are encoded.
func (c *Column) EncodeAll(dst []float64, col *datasets.Column, moments []int64) error {
	return c.encodeAll(dst, col, moments, nil)
}

// EncodeMarked is EncodeAll that also appends the cells that are not Known to
// marks, row by row.
func (c *Column) EncodeMarked(dst []float64, marks []Mark, col *datasets.Column, moments []int64) ([]Mark, error) {
	err := c.encodeAll(dst, col, moments, &marks)
	return marks, err
}

func (c *Column) encodeAll(dst []float64, col *datasets.Column, moments []int64, marks *[]Mark) error {
	if c.Kind == datasets.Time && moments == nil {
		return fmt.Errorf("%w: column %q counts days before the moment of a row, and the rows have none", ErrMoment, c.Name)
	}
	switch {
	case col.Kind == datasets.Category || col.Kind == datasets.Text:
		return c.encodeTexts(dst, col, marks)
	case col.Kind == c.Kind && c.Kind != datasets.Time:
		return c.encodeNumbers(dst, col, marks)
	}
	var moment int64
	for i := range dst {
		if moments != nil {
			moment = moments[i]
		}
		if err := c.encodeAt(dst, i, col, moment, marks); err != nil {
			return err
		}
	}
	return nil
}

// encodeAt encodes one cell of a column.
func (c *Column) encodeAt(dst []float64, i int, col *datasets.Column, moment int64, marks *[]Mark) error {
	x, state, err := c.Encode(col.At(i), moment)
	if err != nil {
		return &RowError{i, err}
	}
	dst[i] = x
	if state != Known && marks != nil {
		*marks = append(*marks, Mark{int32(i), state})
	}
	return nil
}

// encodeNumbers copies what lies within the training range, knows what is missing
// and leaves the rest to Encode.
func (c *Column) encodeNumbers(dst []float64, col *datasets.Column, marks *[]Mark) error {
	low, high := max(c.Min, -math.MaxFloat64), min(c.Max, math.MaxFloat64) // before fitting the range is infinite
	numbers := col.Numbers[:len(dst)]
	for i, x := range numbers {
		if x >= low && x <= high {
			dst[i] = x + 0 // as ranged does
			continue
		}
		if math.IsNaN(x) {
			dst[i] = math.NaN()
			if marks != nil {
				*marks = append(*marks, Mark{int32(i), Missing})
			}
			continue
		}
		if err := c.encodeAt(dst, i, col, 0, marks); err != nil {
			return err
		}
	}
	return nil
}

// encodeTexts encodes each distinct text once.
func (c *Column) encodeTexts(dst []float64, col *datasets.Column, marks *[]Mark) error {
	type cell struct {
		x     float64
		state State
		err   error
	}
	cells := make([]cell, len(col.Values)+1)
	cells[0] = cell{math.NaN(), Missing, nil}
	for k, text := range col.Values {
		v := &cells[k+1]
		v.x, v.state, v.err = c.Encode(datasets.Value{Kind: col.Kind, Text: text}, 0)
	}
	for i, k := range col.Codes[:len(dst)] {
		v := &cells[max(k, -1)+1]
		if v.err != nil {
			return &RowError{i, v.err}
		}
		dst[i] = v.x
		if v.state != Known && marks != nil {
			*marks = append(*marks, Mark{int32(i), v.state})
		}
	}
	return nil
}

// Typical is what stands for an ordinary value: the median, or the most
// frequent category (the first by name among equals); for a Boolean the more
// frequent of the two (true among equals). A Time's is in days before the moment.
func (c *Column) Typical() datasets.Value {
	switch c.Kind {
	case datasets.Category:
		if len(c.Counts) == 0 {
			return datasets.Value{}
		}
		best := 0
		for k, n := range c.Counts {
			if n > c.Counts[best] {
				best = k
			}
		}
		return datasets.Value{Kind: datasets.Category, Text: c.Levels[best]}
	case datasets.Time:
		return datasets.Value{Kind: datasets.Number, Number: c.Median}
	case datasets.Boolean: // the median of as many of each is a half
		return datasets.Value{Kind: datasets.Boolean, Number: math.Ceil(c.Median)}
	}
	return datasets.Value{Kind: c.Kind, Number: c.Median}
}

// MissingShare is the share of training rows without a value, 0 to 1.
func (c *Column) MissingShare() float64 {
	if c.Rows == 0 {
		return 0
	}
	return float64(c.Missing) / float64(c.Rows)
}

// index readies the lookup of levels.
func (c *Column) index() {
	c.codes = make(map[string]float64, len(c.Levels))
	for k, level := range c.Levels {
		c.codes[level] = float64(k)
	}
}
