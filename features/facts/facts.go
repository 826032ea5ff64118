// Package facts brings what is known of accounts, from files, databases and the
// wire, into one form: columns of dated facts, by account, in their total order.
package facts

import (
	"math"

	"propensity/datasets"
)

// Fact is a dated record about an account, as it comes over the wire and as stores
// keep it. Instants are microseconds since 1970 UTC.
type Fact struct {
	Source  string
	Account string
	// ID tells facts of one source and account apart: a second fact with a known ID is
	// a correction, or a repetition if nothing of it differs. "" is of no other.
	ID       string
	Occurred int64
	Arrived  int64
	End      int64                     // of an interval; MissingTime if it has not come
	Values   map[string]datasets.Value // by column; what is not there is missing
}

// Part is the facts of some accounts, ready to be looked at. It is not changed once
// it is made.
type Part struct {
	Accounts []string // their ids
	// Merged is when it was known that the account had been merged into another, of
	// which it is part from then on: it has no moments later than that. Never: it was
	// not; nil: none was.
	Merged  []int64
	Sources []Facts // one for each source of the project, in its order
}

// Facts are those of one source in a Part: one row a version of a fact, ordered by
// account, then by the total order (occurred, arrived, id, values).
//
// A version counts at a moment if Occurred < moment, Arrived < moment and not Until <
// moment. Of versions of equal content that follow one another only the first is
// kept.
type Facts struct {
	// First has len(Accounts)+1 entries: the rows of account i are First[i] to
	// First[i+1].
	First    []int
	Occurred []int64 // of an interval: its start
	Arrived  []int64 // nil: each as it occurred
	Until    []int64 // when a correction of it has arrived and occurred; Never if there is none. nil: no corrections
	End      []int64 // of an interval; MissingTime where it has not come. nil: no intervals
	// Columns are those of spec.Source.Columns, in that order. Missing cells are as
	// in datasets; codes count per part.
	Columns []datasets.Column
}

// Never is later than any moment.
const Never int64 = math.MaxInt64

// Rows is the number of rows.
func (f *Facts) Rows() int { return len(f.Occurred) }
