// Package spec reads the project file, propensity.yaml: where a company's facts
// are, what is made of them, and what each model asks. It holds no data; every
// fault of the file is listed at once, each with its line.
package spec

import (
	"cmp"
	"time"

	"propensity/datasets"
	"propensity/features/expr"
)

// Project is the part of a project file that says how rows come from facts. What
// it says of training is read by package train.
type Project struct {
	Account     string // the column of the account's id, in every source that does not name its own
	Timezone    string // IANA name; calendar days, months and midnights are of it; default UTC
	Sources     []Source
	Features    []Feature
	Derived     []Derived
	Populations []Population
	Models      []Model // those made from facts (with moments), in the order of the file
}

// The columns that every row begins with: the account, called as Project.Account has it
// or else AccountColumn, and the moment.
const (
	AccountColumn = "account_id"
	MomentColumn  = "moment"
)

// AccountColumn is the column of a row's account.
func (p *Project) AccountColumn() string { return cmp.Or(p.Account, AccountColumn) }

// Kind of a source: what one of its records means.
type Kind string

// The kinds of a source. Default: intervals where it has a start, attributes if it
// is called accounts, users if it is called users, events otherwise.
const (
	// Events happen at an instant: (account, time).
	Events Kind = "events"
	// Attributes are what is known of an account from a time on, or always where
	// there is no time. A later record changes what it has, not what it lacks.
	Attributes Kind = "attributes"
	// Snapshots are attributes taken again and again, such as a nightly usage table:
	// what the newest one lacks is missing.
	Snapshots Kind = "snapshots"
	// Intervals are true from a start to an end: [start, end). An end is unknown
	// until it has come. They are two streams of facts: the source itself, dated by
	// the start, and source.end, dated by the end.
	Intervals Kind = "intervals"
	// Users join the users of a company to its account: (user, account).
	Users Kind = "users"
	// Merges join two accounts: from a time on, what was known of one account
	// (from) counts for another (into) too.
	Merges Kind = "merges"
)

// Source is where facts of one kind come from.
type Source struct {
	Name string
	Line int // of the file, from 1
	Kind Kind

	// One of Path and From. Path is a file or a pattern of files, relative to the
	// project file; From the URL of a database (postgres://, sqlite:), in which
	// ${env:NAME} and ${file:PATH} stand for secrets, with a Query or a Table.
	Path, From, Query, Table string
	Missing                  []string // texts that are missing in every column

	// Export names a known export (segment, posthog, stripe, chargebee) that fills
	// in what follows.
	Export string

	// The columns with a role, "" where there is none. Account defaults to
	// Project.Account; where it is "" but User is not, the account is found through
	// the source of kind users.
	Account, User, ID string
	Time, Arrived     string // events, attributes, snapshots, merges
	Start, End        string // intervals
	Amount, Currency  string // money of an interval or event
	Renews            string // intervals: the column of the next renewal
	FromAccount, Into string // merges
	// Lag is how long after it occurred a fact arrives, where no column says so.
	Lag Window
	// AtEnd are columns of intervals that are filled in when the end comes: they are
	// missing until it has.
	AtEnd []string
	// Bridge joins intervals of an account that follow one another within so long:
	// they count as one for active, and the end between them is no lapse.
	Bridge Window
	// Where keeps the records for which it is true; nil: all.
	Where *expr.Expr
	// Columns are those that the project uses (roles apart), with their kinds, by
	// name, those of AtEnd after the others: declared by types:, or else found in the
	// data by facts.Resolve. Kind 0 is one not yet known.
	Columns []Column
	// Checks are contracts; nothing is built from them.
	Checks Checks
}

// Column is a column of a source.
type Column struct {
	Name string
	Kind datasets.Kind
}

// Window is a length of time: exact microseconds or calendar months, not both.
// The zero value is none: of a feature, all time before the moment.
type Window struct {
	Months int
	Micros int64
}

// Agg is how the facts of a window become one value.
type Agg string

// The aggregates. Those of a value look only at facts that have one. Where a window
// has no fact, count, sum, distinct, active_days, streak, longest_streak, active and
// active_sum are 0, the others missing.
const (
	Count          Agg = "count"            // of facts, or of values where there is a value
	Sum            Agg = "sum"              // of a number, in the total order of facts
	Mean           Agg = "mean"             // Sum divided by the number of values
	Min            Agg = "min"              // of a number
	Max            Agg = "max"              // of a number
	First          Agg = "first"            // value of any kind, by the total order
	Last           Agg = "last"             // likewise
	DaysSince      Agg = "days_since"       // days from the newest fact to the moment, with a fraction; whole calendar days with calendar: true
	DaysSinceFirst Agg = "days_since_first" // likewise from the oldest
	TimeToFirst    Agg = "time_to_first"    // days from the account's first attributes (its sign-up) to the oldest fact
	Distinct       Agg = "distinct"         // different values
	ActiveDays     Agg = "active_days"      // calendar days with a fact
	Streak         Agg = "streak"           // calendar days in a row with a fact, up to the newest fact, if that is of the moment's day or the day before
	LongestStreak  Agg = "longest_streak"   // the most calendar days in a row with a fact
	Share          Agg = "share"            // facts that Where keeps, divided by all facts of the source in the window; with a value, the same of sums
	Ratio          Agg = "ratio"            // Sum of Value divided by Sum of Over; missing where that is 0
	Slope          Agg = "slope"            // least squares slope of the counts (or sums of the value) of the buckets of length Every that the window holds, per bucket, oldest first
	Active         Agg = "active"           // intervals: how many are true just before the moment
	ActiveAmount   Agg = "active_sum"       // intervals: Sum of the value over those
)

// Feature is one entry of features: an aggregate of facts, over one window or more.
type Feature struct {
	Name string
	Line int
	// From is the name of a source, or source.end for the ends of intervals.
	From  string
	Where *expr.Expr // keeps the facts for which it is true; nil: all
	Agg   Agg
	Value string // the column aggregated; "" where the aggregate takes none
	Over  string // Ratio: the column of the divisor
	// By makes a column per value of this category column, for those in Values.
	By     string
	Values []string
	// Windows [moment - w, moment); none: all time.
	Windows []Window
	// Trend are the windows, among Windows, for which there is also the aggregate
	// divided by that of the window of equal length before it; missing where that
	// is 0.
	Trend []Window
	// Every is the length of a bucket of Slope.
	Every Window
	// Calendar makes days_since and days_since_first whole days of the calendar.
	Calendar bool
	// Label and Unit describe the column in the data dictionary; "" is none.
	Label string
}

// Derived is a column made of other columns of the row by an expression.
type Derived struct {
	Name  string
	Line  int
	Expr  *expr.Expr // over columns that stand before it: features, then derived
	Label string
}

// Population is a set of rows that models refer to by name.
type Population struct {
	Name string
	Line int
	Expr *expr.Expr // over the columns of the row; rows for which it is not true are left out
}

// Model is how a model's rows and labels come from facts.
type Model struct {
	Name       string
	Line       int
	Moments    Moments
	Population string // "" is all
	Label      Label
	// Gap is how long after the moment the label begins to look: it looks at
	// [moment + gap, moment + gap + horizon).
	Gap Window
	// Columns of the row that the model takes, nil for all.
	Features []string
	Value    string // the column with the money at stake
}

// Moments are the instants at which an account is looked at: exactly one of Every,
// After, Before and On.
type Moments struct {
	// Every so long, at midnight of the timezone: months from the first of a month,
	// weeks (7d) from Mondays, other days counted from 1970-01-01.
	Every Window
	// After so long since the account's first attributes (its sign-up).
	After []Window
	// Before so long each renewal of the intervals of source Of.
	Before []Window
	Of     string
	// On each event of source On that OnWhere keeps, at its instant, so that the
	// event itself is not part of the row.
	On      string
	OnWhere *expr.Expr
	// While keeps moments at which an interval of this source is true: start <=
	// moment < end, as known at the moment. "" keeps all from the account's first
	// fact on.
	While string
	// Since and Until bound them, microseconds since 1970 UTC: since <= moment <
	// until; 0 is none.
	Since, Until int64
}

// LabelKind is what a label asks.
type LabelKind string

// The kinds of label.
const (
	// LabelEvent asks whether an event comes within the horizon.
	LabelEvent LabelKind = "event"
	// LabelState asks whether an interval is true at the horizon's end.
	LabelState LabelKind = "state"
	// LabelChange asks whether the sum of an amount over the intervals that are true
	// has changed by a share of it from the moment to the horizon's end; an account
	// without intervals at the end is at 0.
	LabelChange LabelKind = "change"
)

// Label is what is to be foretold. It looks by occurrence, whenever a fact arrived,
// at [moment + gap, moment + gap + Horizon).
type Label struct {
	Line int
	Kind LabelKind
	// From is a source, source.start and source.end of intervals (of each), or
	// source.lapse: an end after which (Bridge) no interval is true.
	From  string
	Where *expr.Expr
	// Is is the state asked for: true, an interval is true; false, none is.
	Is bool
	// Value is the column of the amount, By the share of it by which it has to rise
	// (above 0) or fall (below 0).
	Value   string
	By      float64
	Horizon Window
}

// Checks are contracts on a source; the zero value asks nothing. Some are asked of
// every source: see features/check.
type Checks struct {
	Line       int
	Unique     []string
	Required   []string              // columns without missing values
	Ranges     map[string][2]float64 // NaN is an open side
	Values     map[string][]string
	Fresh      time.Duration     // the newest fact is no older than this
	Late       time.Duration     // facts arrive within this
	References map[string]string // column -> source.column
	// After: the fact is not dated before the fact of another source that has the
	// same value in a column: "subscriptions.start by subscription_id".
	After []string
	// Agree: accounts for which the expression over the source's columns is true have
	// facts in the other source, and others do not: "churn_events: churn_flag".
	Agree map[string]*expr.Expr
}

// Output is one column that features make, in the order of the row.
type Output struct {
	Name     string
	Feature  int    // index into Project.Features; -1 of a derived one
	Derived  int    // index into Project.Derived; -1 of a feature
	Window   Window // zero: all time
	Trend    bool   // the aggregate of Window divided by that of the window before
	Category string // the value of Feature.By, where there is one
	Kind     datasets.Kind
}
