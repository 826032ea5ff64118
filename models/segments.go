package models

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"propensity/datasets"
	"propensity/models/evaluate"
)

const (
	// segmentAccounts is how many accounts a segment needs to be judged,
	// segmentClass how many positives and negatives to be ranked.
	segmentAccounts = 30
	segmentClass    = 5
	// segmentAlpha is the chance that any segment is called weak for what it
	// promises although none is; segmentGap is by how much of the promised rate (or
	// of its complement, if that is less) the observed one must be off to matter.
	segmentAlpha = 0.05
	segmentGap   = 0.1
)

// SegmentRows are rows with a known label and what a model says of them.
type SegmentRows struct {
	Y, Raw, P []float64 // label (0 or 1), log-odds, probability
	Group     []int     // the account by any number; nil: each row is one
	// ROCAUC is that of all of them, against which a segment's is held; the zero
	// value: none is known.
	ROCAUC evaluate.Interval
	Seed   uint64 // of the resamples
}

// SegmentColumn is a column that cuts rows into segments.
type SegmentColumn struct {
	Name   string
	Values []string // of each row; rows of one value are one segment
}

// Segments judges the rows of each value of each column: the columns in their
// order, the largest segment first. One of fewer than 30 accounts is Few: its
// counts and what was observed are there and nothing else. Weak are those where
//
//   - the observed rate differs from the promised one beyond doubt (Holm over all
//     segments of all columns at 5 %, by the exact test of evaluate.JudgePromise)
//     and by a tenth of it or more, or
//   - the interval of ROC AUC lies below that of all rows. Within a segment there
//     is often less to rank by than between segments, so this says where the ranking
//     helps less, not that it is wrong.
//
// The error is an *evaluate.InputError.
func Segments(columns []SegmentColumn, rows SegmentRows) ([]Segment, error) {
	var out []Segment
	var chances []float64 // by segment
	for _, c := range columns {
		if len(c.Values) != len(rows.Y) {
			return nil, &evaluate.InputError{Input: c.Name, Row: -1, Detail: fmt.Sprintf("has %d values for %d rows", len(c.Values), len(rows.Y))}
		}
		for _, members := range membersOf(c.Values) {
			s, chance, err := rows.segment(c.Name, c.Values[members[0]], members)
			if err != nil {
				return nil, fmt.Errorf("%s = %q: %w", c.Name, c.Values[members[0]], err)
			}
			out, chances = append(out, s), append(chances, chance)
		}
	}
	for k, beyond := range holm(chances, segmentAlpha) {
		out[k].judge(beyond, rows.ROCAUC)
	}
	return out, nil
}

// membersOf are the rows of each value, the value of most rows first (ties: in the
// order of their first rows).
func membersOf(values []string) [][]int {
	var members [][]int
	number := map[string]int{}
	for i, v := range values {
		k, ok := number[v]
		if !ok {
			k = len(members)
			number[v] = k
			members = append(members, nil)
		}
		members[k] = append(members[k], i)
	}
	slices.SortStableFunc(members, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return members
}

// segment measures the given rows; chance is that of what was observed if the
// promise holds, NaN if that was not asked.
func (r *SegmentRows) segment(column, value string, members []int) (Segment, float64, error) {
	y, raw, p := datasets.Take(r.Y, members), datasets.Take(r.Raw, members), datasets.Take(r.P, members)
	group := datasets.Take(r.Group, members)
	promise, err := evaluate.JudgePromise(y, p, group)
	if err != nil {
		return Segment{}, 0, err
	}
	s := Segment{
		Column: column, Value: value, Rows: len(y), Accounts: promise.Accounts,
		Observed: promise.Observed, MeanProbability: promise.Promised,
	}
	for _, v := range y {
		s.Positives += int(v)
	}
	if s.Few = s.Accounts < segmentAccounts; s.Few {
		return s, math.NaN(), nil
	}
	report, err := evaluate.Judge(y, raw, p, nil, group, evaluate.Options{Seed: r.Seed, Replicates: segmentReplicates(len(y))})
	switch {
	case errors.Is(err, evaluate.ErrOneClass): // there is nothing to rank
	case err != nil:
		return Segment{}, 0, err
	default:
		s.LogLoss = &report.LogLoss
		if min(s.Positives, s.Rows-s.Positives) >= segmentClass {
			s.ROCAUC = &report.ROCAUC
		}
	}
	return s, promise.P, nil
}

// judge says what is the matter with the segment.
func (s *Segment) judge(beyond bool, all evaluate.Interval) {
	gap, promised := s.Observed.Value-s.MeanProbability, s.MeanProbability
	if beyond && math.Abs(gap) >= segmentGap*min(promised, 1-promised) {
		side := "more"
		if gap < 0 {
			side = "less"
		}
		s.Weak = fmt.Sprintf("%.1f %% came true (%.1f to %.1f), %s than the %.1f %% promised",
			100*s.Observed.Value, 100*s.Observed.Low, 100*s.Observed.High, side, 100*promised)
	}
	if s.ROCAUC != nil && s.ROCAUC.High < all.Low {
		if s.Weak != "" {
			s.Weak += "; "
		}
		s.Weak += fmt.Sprintf("ranks less well here: ROC AUC %.3f (%.3f to %.3f), %.3f over all",
			s.ROCAUC.Value, s.ROCAUC.Low, s.ROCAUC.High, all.Value)
	}
}

// holm says which hypotheses fall at a family-wise level (Holm 1979), given their
// chances; NaN was not tested.
func holm(chances []float64, alpha float64) []bool {
	fall := make([]bool, len(chances))
	var order []int
	for k, p := range chances {
		if !math.IsNaN(p) {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(chances[a], chances[b]) })
	for rank, k := range order {
		if chances[k] > alpha/float64(len(order)-rank) {
			break
		}
		fall[k] = true
	}
	return fall
}

// segmentNumbers is the most distinct numbers that are segments each; more are cut
// into quarters.
const segmentNumbers = 8

// SegmentValues are the values of a column that cuts rows into segments: texts and
// booleans as they are, up to 8 distinct numbers each by itself and more by
// quarters of the rows, times by month (UTC). A missing value is "(missing)", an
// empty text "(empty)".
func SegmentValues(c *datasets.Column) []string {
	out := make([]string, c.Len())
	name := func(v datasets.Value) string { return v.String() }
	switch c.Kind {
	case datasets.Number:
		if _, first := c.Distinct(); len(first) > segmentNumbers {
			cuts := quarters(c.Numbers)
			name = func(v datasets.Value) string { return between(v.Number, cuts) }
		}
	case datasets.Time:
		name = func(v datasets.Value) string { return time.UnixMicro(v.Time).UTC().Format("2006-01") }
	}
	for i := range out {
		switch v := c.At(i); {
		case v.Missing():
			out[i] = "(missing)"
		default:
			if out[i] = name(v); out[i] == "" {
				out[i] = "(empty)"
			}
		}
	}
	return out
}

// quarters are the distinct quartiles of the numbers that are there, of the
// observed values, without the largest.
func quarters(numbers []float64) []float64 {
	known := slices.DeleteFunc(slices.Clone(numbers), math.IsNaN)
	slices.Sort(known)
	var cuts []float64
	for k := 1; k <= 3; k++ {
		x := known[(len(known)*k+3)/4-1]
		if x < known[len(known)-1] && (len(cuts) == 0 || x > cuts[len(cuts)-1]) {
			cuts = append(cuts, x)
		}
	}
	return cuts
}

// between names the part between cuts that x lies in; a cut belongs to the lower.
func between(x float64, cuts []float64) string {
	k, _ := slices.BinarySearch(cuts, x)
	switch {
	case len(cuts) == 0:
		return "(all)"
	case k == 0:
		return "up to " + datasets.FormatNumber(cuts[0])
	case k == len(cuts):
		return "above " + datasets.FormatNumber(cuts[k-1])
	}
	return "above " + datasets.FormatNumber(cuts[k-1]) + " to " + datasets.FormatNumber(cuts[k])
}

// segmentReplicates are the resamples for the intervals of a segment of so many
// rows: of many, fewer tell as much.
func segmentReplicates(rows int) int {
	if rows > 20_000 {
		return 100
	}
	return 200
}
