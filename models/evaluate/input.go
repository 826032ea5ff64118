// Package evaluate judges scores and probabilities on rows that no learner saw:
// ranking, loss, calibration, gains, each with a 95 % interval clustered by
// account. Functions are pure and work on plain slices, one value a row.
package evaluate

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrOneClass says that all rows are positive or all are negative, so that
// ranking cannot be judged.
var ErrOneClass = errors.New("all rows have the same label: judge on rows that hold both positives and negatives")

// ErrFewAccounts says that the rows belong to fewer than two accounts, so that
// no interval can be given.
var ErrFewAccounts = errors.New("fewer than two accounts: an interval needs rows of at least two")

// InputError names the input that cannot be judged.
type InputError struct {
	Input  string // the argument: y, raw, p, ...
	Row    int    // counted from 0; -1 if the fault is of the whole input
	Value  float64
	Detail string // what is wrong and what is expected
}

func (e *InputError) Error() string {
	if e.Row < 0 {
		return fmt.Sprintf("%s: %s", e.Input, e.Detail)
	}
	return fmt.Sprintf("%s: row %d: value %v: %s", e.Input, e.Row, e.Value, e.Detail)
}

// checkLabels wants at least one row, every label 0 or 1.
func checkLabels(y []float64) error {
	if len(y) == 0 {
		return &InputError{Input: "y", Row: -1, Detail: "has no rows"}
	}
	for i, v := range y {
		if v != 0 && v != 1 {
			return &InputError{Input: "y", Row: i, Value: v, Detail: "a label is 0 or 1"}
		}
	}
	return nil
}

func checkLength(name string, got, rows int) error {
	if got != rows {
		return &InputError{Input: name, Row: -1, Detail: fmt.Sprintf("has %d values for %d rows", got, rows)}
	}
	return nil
}

func checkFinite(name string, x []float64, rows int) error {
	if err := checkLength(name, len(x), rows); err != nil {
		return err
	}
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return &InputError{Input: name, Row: i, Value: v, Detail: "a finite number is expected"}
		}
	}
	return nil
}

func checkProbabilities(name string, p []float64, rows int) error {
	if err := checkLength(name, len(p), rows); err != nil {
		return err
	}
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return &InputError{Input: name, Row: i, Value: v, Detail: "a probability from 0 to 1 is expected"}
		}
	}
	return nil
}

// clusters is the account of every row, numbered 0 to count-1 in order of first
// appearance.
type clusters struct {
	of    []int32
	count int
}

// newClusters numbers the accounts of rows; a nil group makes every row an
// account of its own. Any numbers do as ids.
func newClusters(group []int, rows int) (clusters, error) {
	c := clusters{of: make([]int32, rows)}
	if group == nil {
		for i := range c.of {
			c.of[i] = int32(i)
		}
		c.count = rows
		return c, nil
	}
	if err := checkLength("group", len(group), rows); err != nil {
		return c, err
	}
	if rows > 0 && slices.Min(group) >= 0 {
		if most := slices.Max(group); most < 16*rows { // a slice is smaller than a map, and quicker
			return numbered(rows, most+1, func(k int) int { return group[k] }), nil
		}
	}
	ids := make(map[int]int32)
	for i, g := range group {
		id, known := ids[g]
		if !known {
			id = int32(len(ids))
			ids[g] = id
		}
		c.of[i] = id
	}
	c.count = len(ids)
	return c, nil
}

// take is the clusters of the given rows, numbered anew.
func (c clusters) take(rows []int) clusters {
	return numbered(len(rows), c.count, func(k int) int { return int(c.of[rows[k]]) })
}

// numbered numbers the accounts of rows, whose ids are below a limit, in the order
// of their first rows.
func numbered(rows, limit int, id func(k int) int) clusters {
	number := make([]int32, limit)
	out := clusters{of: make([]int32, rows)}
	for k := range out.of {
		g := id(k)
		if number[g] == 0 {
			out.count++
			number[g] = int32(out.count)
		}
		out.of[k] = number[g] - 1
	}
	return out
}
