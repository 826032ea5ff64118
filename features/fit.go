package features

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"

	"propensity/datasets"
)

// FitEncoder learns an encoder from training rows. Every column of the table is
// a candidate; the moments (microseconds, one a row; nil if the table has none)
// make Time columns relative. Columns that cannot inform a model are left out
// and said so: text, all missing, constant, ids, times without a moment.
func FitEncoder(t *datasets.Table, moments []int64) (*Encoder, []LeftOut, error) {
	var columns []Column
	var left []LeftOut
	for i := range t.Columns {
		c, why, err := FitColumn(&t.Columns[i], moments)
		switch {
		case err != nil:
			return nil, nil, err
		case why != "":
			left = append(left, LeftOut{t.Columns[i].Name, why})
		default:
			columns = append(columns, c)
		}
	}
	return NewEncoder(columns), left, nil
}

// NewEncoder is the encoder of fitted columns, in their order.
func NewEncoder(columns []Column) *Encoder {
	e := &Encoder{Columns: columns}
	e.index()
	return e
}

// FitColumn learns the encoder of one column from training rows; why is not
// empty if it cannot inform a model. The moments are those of FitEncoder.
func FitColumn(col *datasets.Column, moments []int64) (c Column, why string, err error) {
	if why := unusable(col, moments); why != "" {
		return Column{}, why, nil
	}
	c, err = fitColumn(col, moments)
	return c, c.uninformative(), err
}

func unusable(col *datasets.Column, moments []int64) string {
	switch {
	case col.Kind == datasets.Text:
		return "it is text, kept letter by letter"
	case col.Kind == datasets.Time && moments == nil:
		return "it is a time, and without a moment (--time) a time says nothing that lasts"
	case numbered(col):
		return fmt.Sprintf("it looks like an id: by its name, and %d different whole numbers in as many rows", col.Len())
	}
	return ""
}

// idName matches the names of ids that are numbers: customer_id, leadNo, Lead Number.
var idName = regexp.MustCompile(`(?i:(^|[^a-z])(id|uid|no|nr|num|number|key|index))$|[a-z](Id|ID|No|Nr|Key)$`)

// numbered says that a number column counts or names the rows. An id that has no
// such name cannot be told from a measure whose values all differ.
func numbered(col *datasets.Column) bool {
	if col.Kind != datasets.Number || col.Len() < idRows || !idName.MatchString(col.Name) {
		return false
	}
	seen := make(map[float64]bool, col.Len())
	for _, x := range col.Numbers {
		if x != math.Trunc(x) || seen[x] { // NaN is not equal to itself
			return false
		}
		seen[x] = true
	}
	return true
}

// idRows is the least number of rows from which a column of nothing but
// distinct categories is taken for an id.
const idRows = 50

// uninformative says why a fitted column is no use, or nothing.
func (c *Column) uninformative() string {
	filled := c.Rows - c.Missing
	switch {
	case filled == 0:
		return "it is missing in every training row"
	case c.Kind == datasets.Category && len(c.Levels) == 1 && c.Missing == 0:
		return fmt.Sprintf("it is %q in every training row", c.Levels[0])
	case c.Kind == datasets.Category && filled >= idRows && len(c.Levels) > filled*9/10:
		return fmt.Sprintf("it looks like an id: %d different values in %d rows", len(c.Levels), filled)
	case c.Kind != datasets.Category && c.Min == c.Max && c.Missing == 0:
		return fmt.Sprintf("it is %s in every training row", datasets.FormatNumber(c.Min))
	}
	return ""
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
	SortNumbers(xs) // before the sum, which then does not depend on the order of the rows
	for _, x := range xs {
		c.Mean += x / float64(len(xs)) // divided first: the sum might overflow
	}
	c.Min, c.Max = xs[0], xs[len(xs)-1]
	c.Mean = max(c.Min, min(c.Max, c.Mean)) // rounding may have left the range
	c.Median = median(xs)
	for k := 1; k <= 9; k++ {
		q := xs[(len(xs)-1)*k/10]
		if n := len(c.deciles); n == 0 || c.deciles[n-1] != q {
			c.deciles = append(c.deciles, q)
		}
	}
	c.fitBins(xs)
	return c, nil
}

// fitBins cuts sorted values at their deciles, and below a value that a twentieth of
// them have, so that it has a bin of its own.
func (c *Column) fitBins(xs []float64) {
	cut := func(i int) { // the values up to xs[i], which is the last of its kind
		if n := len(c.Cuts); n == 0 || xs[i] > c.Cuts[n-1] {
			c.Cuts = append(c.Cuts, xs[i])
			c.Counts = append(c.Counts, i+1)
		}
	}
	for _, q := range c.deciles {
		first, _ := slices.BinarySearch(xs, q)
		last := first + sort.Search(len(xs)-first, func(i int) bool { return xs[first+i] > q }) - 1
		if first > 0 && (last-first+1)*20 >= len(xs) {
			cut(first - 1)
		}
		cut(last)
	}
	c.Counts = append(c.Counts, len(xs))
	for k := len(c.Counts) - 1; k > 0; k-- {
		c.Counts[k] -= c.Counts[k-1]
	}
}

// Deciles are the distinct values at the nine tenths of the encoded training
// values, smallest first: of a column that was fitted and is no Category. They are
// not written with the encoder.
func (c *Column) Deciles() []float64 { return c.deciles }

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
