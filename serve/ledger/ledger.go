// Package ledger keeps each score that was given and each outcome that was reported,
// and brings the two together: what was promised, and what then happened.
package ledger

import (
	"propensity/datasets"
	"propensity/models"
)

// Origins of a score.
const (
	OriginRequest = "request" // a caller asked for it
	OriginShadow  = "shadow"  // a challenger's, of the same request; nobody was told
	OriginJob     = "job"     // a table was scored
)

// Score is one score that was given.
type Score struct {
	At      int64  // when it was given, µs since 1970 UTC
	Key     string // id of the API key that asked; "" without keys
	Request string // id of the HTTP request or job
	Origin  string

	Account string // "" if the caller named none
	Model   string
	Version int
	Hash    string // of the version's artifact
	AsOf    int64  // the moment of the row, µs since 1970 UTC

	// Columns are those of the version's encoder with their kinds, and Row has a cell for
	// each; the same of all scores of a version. Row is nil if it was not kept.
	Columns []string
	Kinds   []datasets.Kind
	Row     []datasets.Value
	// Horizon is how long after AsOf the label looks, in µs; 0 is not known.
	Horizon int64

	Probability float64 // 0 to 1
	Raw         float64 // log-odds before calibration
	Score       int
	Percentile  float64
	Band        string
	Reasons     []models.Reason
}

// Outcome is what then happened to an account, as it was reported.
type Outcome struct {
	ID       string // what tells it from others, so that it may be sent again
	Model    string
	Account  string
	AsOf     int64 // the moment whose score it settles; datasets.MissingTime: see Occurred
	Occurred int64 // when it happened or, of a negative, was certain; µs since 1970 UTC
	Positive bool
	Value    float64 // money that was at stake; NaN if none was reported
}

// Change is a band that an account has come into, by a score that was asked for or of a
// job; changes are numbered from 1 in the order in which they were committed.
type Change struct {
	Number   int64
	At       int64 // µs since 1970 UTC
	Account  string
	Model    string
	Version  int
	From, To string // bands
	// Was and Is are the probabilities on both sides.
	Was, Is float64
}
