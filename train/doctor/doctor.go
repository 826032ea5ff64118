// Package doctor says before any training whether a table holds enough to learn
// from, and what is the matter with its columns.
package doctor

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"propensity/datasets"
	"propensity/models/evaluate"
)

// Input is a table taken apart: rows with a known label only.
type Input struct {
	Columns    []datasets.Column // that might be learnt from
	Label      []float64         // 0 or 1
	Moments    []int64           // microseconds; nil if there is no time column
	Group      []int             // the account of each row; nil: each row is one of its own
	Unlabelled int               // rows that were left out for want of a label
	Holdout    float64           // share of the rows that will judge
}

// Report is what the doctor found.
type Report struct {
	Rows       int               `json:"rows"`
	Unlabelled int               `json:"unlabelled"`
	Accounts   int               `json:"accounts"`
	Positives  int               `json:"positives"`
	BaseRate   evaluate.Interval `json:"base_rate"` // clustered by account, 95 %
	Periods    []Period          `json:"periods,omitempty"`
	Power      Power             `json:"power"`
	Rules      []Rule            `json:"rules"`
	Columns    []Column          `json:"columns"`
	Verdict    Verdict           `json:"verdict"`
	Why        []string          `json:"why,omitempty"` // the verdict is no better
}

// Verdict is whether there is enough to learn from.
type Verdict string

// Verdicts, from the best.
const (
	Enough    Verdict = "enough"
	Thin      Verdict = "thin"       // a model may be of use; how good it is will hardly be known
	TooLittle Verdict = "too little" // what a model is worth could not be told from luck
)

// What parts the verdicts: accounts of the rarer outcome, how far the ROC AUC of a
// model could be off, and accounts of the rarer outcome for each column.
const (
	leastRarer   = 50
	widestOfAll  = 0.10
	widestEnough = 0.05
	leastPer     = 10
)

// ErrInput is wrapped by errors of an input that does not fit together.
var ErrInput = errors.New("unusable input")

// Examine looks at a table.
func Examine(in Input) (*Report, error) {
	n := len(in.Label)
	for i := range in.Columns {
		if c := &in.Columns[i]; c.Len() != n {
			return nil, fmt.Errorf("%w: column %q has %d rows, the label %d", ErrInput, c.Name, c.Len(), n)
		}
	}
	if in.Moments != nil && len(in.Moments) != n || in.Group != nil && len(in.Group) != n {
		return nil, fmt.Errorf("%w: %d labels, %d moments, %d accounts", ErrInput, n, len(in.Moments), len(in.Group))
	}
	if !(in.Holdout > 0 && in.Holdout < 1) {
		return nil, fmt.Errorf("%w: a share of %v to judge by", ErrInput, in.Holdout)
	}
	if in.Group == nil {
		in.Group = make([]int, n)
		for i := range in.Group {
			in.Group[i] = i
		}
	}
	r := &Report{Rows: n, Unlabelled: in.Unlabelled}
	for _, y := range in.Label {
		r.Positives += int(y)
	}
	var err error
	if r.BaseRate, err = evaluate.Rate(in.Label, in.Group); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	if r.Periods, err = periods(in); err != nil {
		return nil, err
	}
	positive, negative := outcomes(in)
	r.Accounts = positive + negative
	r.Power = powerOf(positive, negative, in)
	r.Columns = examineColumns(in)
	usable := 0
	for _, c := range r.Columns {
		if c.usable() {
			usable++
		}
	}
	r.Rules = rules(r, positive, negative, usable)
	r.judge(positive, negative, usable)
	return r, nil
}

// outcomes counts the accounts that have a positive row and those that have none.
func outcomes(in Input) (positive, negative int) {
	has := map[int]bool{}
	for i, g := range in.Group {
		has[g] = has[g] || in.Label[i] == 1
	}
	for _, p := range has {
		if p {
			positive++
		}
	}
	return positive, len(has) - positive
}

// each is how many there are a column, rounded down.
func each(n, columns int) string {
	return strconv.FormatFloat(math.Floor(10*float64(n)/float64(columns))/10, 'f', 1, 64)
}

func (r *Report) judge(positive, negative, columns int) {
	rarer := min(positive, negative)
	because := func(v Verdict, format string, args ...any) {
		if r.Verdict != TooLittle {
			r.Verdict = v
		}
		r.Why = append(r.Why, fmt.Sprintf(format, args...))
	}
	r.Verdict = Enough
	if rarer < leastRarer {
		because(TooLittle, "%d accounts of the rarer outcome, of at least %d", rarer, leastRarer)
	}
	switch width := r.Power.HalfWidth; {
	case width > widestOfAll:
		because(TooLittle, "a ROC AUC would be known to ±%.2f only", width)
	case width > widestEnough:
		because(Thin, "a ROC AUC would be known to ±%.2f only", width)
	}
	if columns == 0 {
		because(TooLittle, "no column to learn from")
	} else if rarer < leastPer*columns {
		because(Thin, "%d accounts of the rarer outcome for %d columns: %s a column, of %d", rarer, columns, each(rarer, columns), leastPer)
	}
}
