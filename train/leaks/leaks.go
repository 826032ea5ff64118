// Package leaks finds the columns that know the outcome: those that were filled,
// or changed, after the instant as of which a row is meant to look. It judges by
// what the values say and by a shipped list of names, and gives its evidence.
package leaks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"propensity/datasets"
	"propensity/models"
)

// Input is a table taken apart: rows with a known label only, unless it says otherwise.
type Input struct {
	Names []string // of the columns that might be learnt from
	// Column gives one of them. Several goroutines may call it, twice for a column
	// at most, so that a table may be larger than memory.
	Column func(name string) (datasets.Column, error)
	// Open gives the rows of a column whose outcome is not known yet; nil: there are none.
	Open      func(name string) (datasets.Column, error)
	LabelName string    // tells what the outcome is about
	Label     []float64 // 0 or 1
	Moments   []int64   // microseconds; nil if there is no time column
	Group     []int     // the account of each row, from 0, less than the rows; nil: each row is one of its own
	InOrder   bool      // the rows of the file are in the order of time
	Seed      uint64
	// Cleared has the reasons against a verdict, by column.
	Cleared map[string]string
}

// Kinds of evidence. Those of the first group prove by themselves, and Named does
// where the list says so.
const (
	Copy               = "copy"                 // tells the label, without a fault or with hardly one
	DatedAfter         = "dated_after"          // its dates lie after the moment of the row
	FilledAfterOutcome = "filled_after_outcome" // has no value before the outcome is known

	Named = "named" // on the shipped list

	Alone             = "alone"                // how it ranks by itself, told of every column that is named
	OneSided          = "one_sided"            // has values that nearly always go with the rarer outcome
	FilledForOneClass = "filled_for_one_class" // is filled or missing by outcome
	Order             = "order"                // follows a row order that gives the label away, or is a serial number that ranks the label
)

// RowOrder stands for the column in a finding about the order of the rows; there is
// nothing to leave out.
const RowOrder = "(row order)"

// ErrInput is wrapped by errors of an input that does not fit together.
var ErrInput = errors.New("unusable input")

// Examine names the columns that may know the outcome, proven ones first, then the
// most suspicious. A column is named only where chance does not explain what was
// seen, all columns together (Bonferroni, 1 %); figures carry plain 95 % intervals.
// Proven columns are not kept unless cleared. The result is the same at any
// GOMAXPROCS. Errors are ErrInput, those of Column and Open, and that of the context.
func Examine(ctx context.Context, in Input) ([]models.Leak, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	c, err := newCourt(in)
	if err != nil {
		return nil, err
	}
	if err := c.scanAll(ctx); err != nil {
		return nil, err
	}
	if err := c.compare(ctx); err != nil {
		return nil, err
	}
	c.rowOrder()
	c.named()
	return c.verdicts(), nil
}

func (in *Input) check() error {
	n := len(in.Label)
	positives := 0
	for i, y := range in.Label {
		if y != 0 && y != 1 {
			return fmt.Errorf("%w: label %v in row %d is neither 0 nor 1", ErrInput, y, i+1)
		}
		positives += int(y)
	}
	switch {
	case positives == 0 || positives == n:
		return fmt.Errorf("%w: %d positive of %d rows: there is nothing to tell apart", ErrInput, positives, n)
	case n > math.MaxInt32:
		return fmt.Errorf("%w: %d rows; the most is %d", ErrInput, n, math.MaxInt32)
	case in.Moments != nil && len(in.Moments) != n || in.Group != nil && len(in.Group) != n:
		return fmt.Errorf("%w: %d labels, %d moments, %d accounts", ErrInput, n, len(in.Moments), len(in.Group))
	case in.Column == nil:
		return fmt.Errorf("%w: no way to read a column", ErrInput)
	}
	for i, g := range in.Group {
		if g < 0 || g >= n {
			return fmt.Errorf("%w: account %d in row %d: number them from 0", ErrInput, g, i+1)
		}
	}
	return nil
}

// court is what holds for all columns, and what was found of each.
type court struct {
	Input
	n        [2]int  // rows by label
	accounts int     // in all rows
	each     float64 // accounts a row, at most 1: what a row is worth as evidence
	z        float64 // standard errors that chance does not reach in any column
	judged   []bool  // the rows that judge; the others are learnt from
	judges   [2]int  // of them, by label
	later    string  // what they are, in words
	byMoment []int32 // rows from the oldest; nil without moments
	days     bool    // moments are days
	findings []finding
	total    []int64 // of each judging row: the sum of all columns' scores
}

// finding is what was found of one column.
type finding struct {
	scan
	evidence []models.Evidence
	proven   bool
	strength float64
}

// add appends evidence of some weight: 1 is the weight of something odd, 4 that of
// what is hardly ever honest.
func (f *finding) add(weight float64, e models.Evidence) {
	f.evidence, f.strength = append(f.evidence, e), f.strength+weight
}

func (f *finding) prove(e models.Evidence) {
	f.proven = true
	f.add(8, e)
}

const familyAlpha = 0.01

func newCourt(in Input) (*court, error) {
	c := &court{Input: in, findings: make([]finding, len(in.Names))}
	for _, y := range in.Label {
		c.n[int(y)]++
	}
	rows := len(in.Label)
	c.accounts = rows
	if in.Group != nil {
		c.accounts = 0
		seen := make([]bool, rows)
		for _, g := range in.Group {
			if !seen[g] {
				seen[g] = true
				c.accounts++
			}
		}
		if c.accounts == rows {
			c.Group = nil
		}
	}
	c.each = float64(c.accounts) / float64(rows)
	c.z = distuv.UnitNormal.Quantile(1 - familyAlpha/2/float64(max(1, len(in.Names))))
	c.sortMoments()
	c.split()
	return c, nil
}

// verdicts are the findings in the order that a reader wants them.
func (c *court) verdicts() []models.Leak {
	found := slices.DeleteFunc(c.findings, func(f finding) bool { return len(f.evidence) == 0 })
	for k := range found {
		f := &found[k]
		told := slices.ContainsFunc(f.evidence, func(e models.Evidence) bool { return e.Kind == Alone || e.Kind == Copy })
		if !told && f.name != RowOrder && f.area.known() {
			f.add(max(0, f.area.value-0.5), c.ownArea(f))
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int {
		if a.proven != b.proven {
			if a.proven {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.strength, a.strength)
	})
	var out []models.Leak
	for _, f := range found {
		l := models.Leak{Column: f.name, Verdict: models.LeakSuspect, Kept: true, Cleared: c.Cleared[f.name], Evidence: f.evidence}
		if f.proven {
			l.Verdict, l.Kept = models.LeakProven, l.Cleared != ""
		}
		out = append(out, l)
	}
	return out
}

// Describe is a finding in one line.
func Describe(l models.Leak) string {
	var details []string
	for _, e := range l.Evidence {
		details = append(details, e.Detail)
	}
	what := "kept"
	switch {
	case l.Cleared != "":
		what = "cleared: " + l.Cleared
	case !l.Kept:
		what = "left out"
	}
	return fmt.Sprintf("%s: %s, %s: %s", l.Column, l.Verdict, what, strings.Join(details, "; "))
}
