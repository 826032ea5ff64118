package facts

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
)

// Batch is facts of one source as they were read: a row a version, in any order.
// Settle brings them in order.
type Batch struct {
	Account  []int32 // the number of the account
	Occurred []int64
	Arrived  []int64 // nil: each as it occurred
	End      []int64 // nil: no intervals
	// ID holds a text a row, -1 is none; a zero Column: no fact has one.
	ID      datasets.Column
	Columns []datasets.Column
}

// Settle orders the batch by account and total order, finds which version replaces
// which, and drops repetitions. The batch is not to be used afterwards: where it is
// in order already, its slices become those of the result.
func (b *Batch) Settle(accounts int) Facts {
	order := make([]int, len(b.Occurred))
	for i := range order {
		order[i] = i
	}
	var until []int64
	if b.ID.Kind != 0 {
		order, until = b.versions(order)
	}
	if !slices.IsSortedFunc(order, b.compare) {
		slices.SortFunc(order, b.compare)
	}
	return b.gather(order, until, accounts)
}

// versions gives, of the given rows, those that are no repetition, and for all rows
// until when each counts; nil if no fact was corrected.
func (b *Batch) versions(rows []int) (kept []int, until []int64) {
	named := make([]int, 0, len(rows))
	for _, i := range rows {
		if b.ID.Codes[i] >= 0 {
			named = append(named, i)
		} else {
			kept = append(kept, i)
		}
	}
	// The ids are only told apart here, so that their codes are as good as their texts.
	slices.SortFunc(named, func(i, j int) int {
		return cmp.Or(cmp.Compare(b.Account[i], b.Account[j]), cmp.Compare(b.ID.Codes[i], b.ID.Codes[j]),
			cmp.Compare(b.arrived(i), b.arrived(j)), b.compareContent(i, j))
	})
	for k, i := range named {
		if k > 0 {
			last := kept[len(kept)-1]
			if b.Account[last] == b.Account[i] && b.ID.Codes[last] == b.ID.Codes[i] {
				if b.compareContent(last, i) == 0 {
					continue // said again: its first arrival stands
				}
				if until == nil {
					until = slices.Repeat([]int64{Never}, len(b.Occurred))
				}
				until[last] = b.arrived(i)
			}
		}
		kept = append(kept, i)
	}
	return kept, until
}

func (b *Batch) arrived(i int) int64 {
	if b.Arrived == nil {
		return b.Occurred[i]
	}
	return b.Arrived[i]
}

// compare is the order of Facts: account, then the total order.
func (b *Batch) compare(i, j int) int {
	if c := cmp.Compare(b.Account[i], b.Account[j]); c != 0 {
		return c
	}
	if c := cmp.Compare(b.Occurred[i], b.Occurred[j]); c != 0 {
		return c
	}
	if c := cmp.Compare(b.arrived(i), b.arrived(j)); c != 0 {
		return c
	}
	if b.ID.Kind != 0 {
		if c := strings.Compare(b.id(i), b.id(j)); c != 0 {
			return c
		}
	}
	return b.compareContent(i, j)
}

func (b *Batch) id(i int) string {
	if k := b.ID.Codes[i]; k >= 0 {
		return b.ID.Values[k]
	}
	return ""
}

// compareContent orders what two versions say: 0 if they say the same.
func (b *Batch) compareContent(i, j int) int {
	if c := cmp.Compare(b.Occurred[i], b.Occurred[j]); c != 0 {
		return c
	}
	for k := range b.Columns {
		if c := compareCells(&b.Columns[k], i, j); c != 0 {
			return c
		}
	}
	if b.End != nil {
		return cmp.Compare(b.End[i], b.End[j])
	}
	return 0
}

// compareCells orders two cells of a column: a missing one is first.
func compareCells(c *datasets.Column, i, j int) int {
	switch c.Kind {
	case datasets.Number, datasets.Boolean:
		return cmp.Compare(c.Numbers[i], c.Numbers[j]) // NaN is below all numbers
	case datasets.Time:
		return cmp.Compare(c.Times[i], c.Times[j])
	}
	a, b := c.Codes[i], c.Codes[j]
	if a == b || a < 0 || b < 0 {
		return cmp.Compare(a, b)
	}
	return strings.Compare(c.Values[a], c.Values[b])
}

func (b *Batch) gather(order []int, until []int64, accounts int) Facts {
	f := Facts{First: make([]int, accounts+1)}
	for _, i := range order {
		f.First[b.Account[i]+1]++
	}
	for a := range accounts {
		f.First[a+1] += f.First[a]
	}
	if len(order) == len(b.Occurred) && slices.IsSorted(order) {
		f.Occurred, f.Arrived, f.End, f.Until, f.Columns = b.Occurred, b.Arrived, b.End, until, b.Columns
		return f
	}
	f.Occurred, f.Arrived = datasets.Take(b.Occurred, order), datasets.Take(b.Arrived, order)
	f.End, f.Until = datasets.Take(b.End, order), datasets.Take(until, order)
	f.Columns = make([]datasets.Column, len(b.Columns))
	for k, c := range b.Columns {
		c.Numbers, c.Times, c.Codes = datasets.Take(c.Numbers, order), datasets.Take(c.Times, order), datasets.Take(c.Codes, order)
		f.Columns[k] = c
	}
	return f
}

// Always is when a fact occurred that is known without a date.
const Always int64 = math.MinInt64 / 2
