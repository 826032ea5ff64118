package features

import (
	"errors"
	"fmt"
	"math"
	"slices"
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
	// Counts are the training rows of each level.
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

	codes map[string]float64
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
	text := v.Text
	switch v.Kind {
	case datasets.Category, datasets.Text:
		if c.Numeric && text != "" {
			if x, ok := datasets.ParseNumber(text); ok {
				text = datasets.FormatNumber(x)
			}
		}
	case datasets.Number:
		if !c.Numeric {
			return 0, 0, &TypeError{c.Name, c.Kind, v, "its categories are text, send text"}
		}
		text = datasets.FormatNumber(v.Number)
	case datasets.Boolean:
		text = strconv.FormatBool(v.Number != 0)
	default:
		return 0, 0, &TypeError{Column: c.Name, Want: c.Kind, Value: v}
	}
	x, ok := c.codes[text]
	switch {
	case text == "" && !ok:
		return -1, Empty, nil
	case text == "":
		return x, Empty, nil
	case !ok:
		return -1, Unseen, nil
	}
	return x, Known, nil
}

// ErrMoment is wrapped by the error about a time that no moment is known for.
var ErrMoment = errors.New("no moment")

// EncodeAll encodes a whole column into dst, one float64 a row. A nil moments
// stands for a table without a moment; a Time column without one is ErrMoment.
// An error names the row, counted from 0.
func (c *Column) EncodeAll(dst []float64, col *datasets.Column, moments []int64) error {
	if c.Kind == datasets.Time && moments == nil {
		return fmt.Errorf("%w: column %q counts days before the moment of a row, and the rows have none", ErrMoment, c.Name)
	}
	if col.Kind == datasets.Category || col.Kind == datasets.Text {
		return c.encodeValues(dst, col)
	}
	var moment int64
	for i := range dst {
		if moments != nil {
			moment = moments[i]
		}
		x, _, err := c.Encode(col.At(i), moment)
		if err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		dst[i] = x
	}
	return nil
}

// encodeValues encodes each distinct text once.
func (c *Column) encodeValues(dst []float64, col *datasets.Column) error {
	coded := make([]float64, len(col.Values))
	faults := make(map[int]error)
	for k, text := range col.Values {
		x, _, err := c.Encode(datasets.Value{Kind: col.Kind, Text: text}, 0)
		if err != nil {
			faults[k] = err
		}
		coded[k] = x
	}
	for i, k := range col.Codes {
		if k < 0 {
			dst[i] = math.NaN()
			continue
		}
		if err := faults[int(k)]; err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		dst[i] = coded[k]
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

// fitColumn learns the encoder of one column from training rows.
func fitColumn(col *datasets.Column, moments []int64) (Column, error) {
	c := Column{Name: col.Name, Kind: col.Kind, Rows: col.Len()}
	if col.Kind == datasets.Category {
		c.fitLevels(col)
		return c, nil
	}
	c.Min, c.Max = math.Inf(-1), math.Inf(1) // nothing is out of range yet
	xs := make([]float64, col.Len())
	if err := c.EncodeAll(xs, col, moments); err != nil {
		return c, err
	}
	xs = slices.DeleteFunc(xs, math.IsNaN)
	c.Missing = c.Rows - len(xs)
	c.Min, c.Max = 0, 0
	if len(xs) == 0 {
		return c, nil
	}
	slices.Sort(xs) // before the sum, which then does not depend on the order of the rows
	for _, x := range xs {
		c.Mean += x / float64(len(xs)) // divided first: the sum might overflow
	}
	c.Min, c.Max = xs[0], xs[len(xs)-1]
	c.Mean = max(c.Min, min(c.Max, c.Mean)) // rounding may have left the range
	c.Median = median(xs)
	return c, nil
}

// median of sorted values; the mean of the two in the middle if they are even.
func median(xs []float64) float64 {
	n := len(xs)
	if n%2 == 1 {
		return xs[n/2]
	}
	if m := xs[n/2-1] + (xs[n/2]-xs[n/2-1])/2; !math.IsInf(m, 0) {
		return m
	}
	return xs[n/2-1]/2 + xs[n/2]/2 // the two are further apart than a float64 goes
}

func (c *Column) fitLevels(col *datasets.Column) {
	counts := make([]int, len(col.Values))
	for _, k := range col.Codes {
		if k < 0 {
			c.Missing++
			continue
		}
		counts[k]++
	}
	order := make([]int, 0, len(counts))
	for k, n := range counts {
		if n > 0 {
			order = append(order, k)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		if col.Values[a] < col.Values[b] {
			return -1
		}
		return 1
	})
	for _, k := range order {
		c.Levels = append(c.Levels, col.Values[k])
		c.Counts = append(c.Counts, counts[k])
	}
	c.Numeric = numeric(c.Levels)
	c.index()
}

// numeric says that there are levels and all are numbers in their one spelling.
func numeric(levels []string) bool {
	for _, text := range levels {
		if x, ok := datasets.ParseNumber(text); !ok || datasets.FormatNumber(x) != text {
			return false
		}
	}
	return len(levels) > 0
}
