package stream

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
)

// ErrJump is wrapped by the error about scores that are too far from the last ones.
var ErrJump = errors.New("the scores have jumped")

// Comparison is how the scores of a run stand to those of the last one.
type Comparison struct {
	Rows   int `json:"rows"`    // of this run
	New    int `json:"new"`     // accounts that the last run did not have
	Gone   int `json:"gone"`    // accounts that this run does not have
	Up     int `json:"up"`      // into a band of higher probability
	Down   int `json:"down"`    // into a band of lower probability
	Same   int `json:"same"`    // in the band that they were in
	Chosen int `json:"changed"` // rows that are written as changed
	// Moves are the accounts by the bands they left and came into, most first.
	Moves []Move `json:"moves"`
	// Before and After are the mean probabilities of the accounts of both runs; 0 without
	// any.
	Before float64 `json:"mean_before"`
	After  float64 `json:"mean_after"`
}

// Move is how many accounts went from one band into another.
type Move struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Accounts int    `json:"accounts"`
}

// Changed is the share of the accounts of both runs that are in another band now.
func (c *Comparison) Changed() float64 {
	both := c.Up + c.Down + c.Same
	if both == 0 {
		return 0
	}
	return float64(c.Up+c.Down) / float64(both)
}

// Limits are how far scores may be from the last ones: the share of accounts that change
// their band, and the shift of the mean probability either way, both 0 to 1.
type Limits struct{ Changed, Shift float64 }

// DefaultLimits are those of who names none: a fifth of the accounts, five points.
func DefaultLimits() Limits { return Limits{Changed: 0.2, Shift: 0.05} }

// Check gives an error that wraps ErrJump if the scores are beyond the limits.
func (c *Comparison) Check(l Limits) error {
	if share := c.Changed(); share > l.Changed {
		return fmt.Errorf("%w: %.1f %% of the accounts change their band, more than %.1f %%", ErrJump, 100*share, 100*l.Changed)
	}
	if shift := c.After - c.Before; math.Abs(shift) > l.Shift {
		return fmt.Errorf("%w: the mean probability goes from %.4f to %.4f, by more than %.4f", ErrJump, c.Before, c.After, l.Shift)
	}
	return nil
}

// Changes is a Sink that compares scores with the last ones and passes on the rows that
// have changed: those of accounts that are new, or in another band, or whose probability
// moved by at least so much.
type Changes struct {
	last    *Last
	atLeast float64
	out     Sink
	order   []string // bands, the most probable first
	moves   map[[2]string]int
	sum     Comparison
	before  float64 // sums
	after   float64
}

// NewChanges compares with the last run, which can be compared with again once this is
// over. The bands are named from the most probable one
// on. Only a change of band counts if atLeast is 0. Out may be nil.
func NewChanges(last *Last, bands []string, atLeast float64, out Sink) *Changes {
	clear(last.seen)
	return &Changes{last: last, atLeast: atLeast, out: out, order: bands, moves: map[[2]string]int{}}
}

// Write takes a scored batch.
func (c *Changes) Write(t *datasets.Table) error {
	accounts, probabilities, bands := t.Column("account"), t.Column("probability"), t.Column("band")
	if accounts == nil {
		return fmt.Errorf("%w to compare with: the table has no accounts", ErrLast)
	}
	chosen := []int{}
	for i := range t.Rows() {
		c.sum.Rows++
		account := accounts.At(i)
		if account.Missing() {
			return fmt.Errorf("row %d has no account: its score cannot be compared with the last one", c.sum.Rows)
		}
		changed, err := c.compare(account.Text, probabilities.Numbers[i], bands.At(i).Text)
		if err != nil {
			return err
		}
		if changed {
			chosen = append(chosen, i)
		}
	}
	c.sum.Chosen += len(chosen)
	if c.out == nil {
		return nil
	}
	return c.out.Write(t.Take(chosen))
}

func (c *Changes) compare(account string, p float64, band string) (changed bool, err error) {
	i := c.last.find(account)
	if i < 0 {
		c.sum.New++
		return true, nil
	}
	if c.last.seen[i] {
		return false, fmt.Errorf("row %d: its account is there twice: a run is compared by accounts", c.sum.Rows)
	}
	c.last.seen[i] = true
	was := &c.last.entries[i]
	c.before, c.after = c.before+was.probability, c.after+p
	from := c.last.bands[was.band]
	switch at, was := slices.Index(c.order, band), slices.Index(c.order, from); {
	case from == band:
		c.sum.Same++
	case at < was || was < 0: // a band that is no more counts as the lowest
		c.sum.Up++
	default:
		c.sum.Down++
	}
	if from != band {
		c.moves[[2]string{from, band}]++
	}
	return from != band || c.atLeast > 0 && math.Abs(p-was.probability) >= c.atLeast, nil
}

// Comparison is how it stands, once all is written.
func (c *Changes) Comparison() *Comparison {
	out := c.sum
	for _, seen := range c.last.seen {
		if !seen {
			out.Gone++
		}
	}
	if both := out.Up + out.Down + out.Same; both > 0 {
		out.Before, out.After = c.before/float64(both), c.after/float64(both)
	}
	out.Moves = []Move{}
	for bands, n := range c.moves {
		out.Moves = append(out.Moves, Move{bands[0], bands[1], n})
	}
	slices.SortFunc(out.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Accounts, a.Accounts), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return &out
}

// Both is a Sink that writes what it gets to several.
type Both []Sink

// Write writes to one after the other, up to the first error.
func (b Both) Write(t *datasets.Table) error {
	for _, out := range b {
		if err := out.Write(t); err != nil {
			return err
		}
	}
	return nil
}
