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

	said []int64 // when what a row says had first arrived; nil: as the row did
}

// Settle orders the batch by account and total order, finds which version replaces
// which, and drops repetitions. The batch is not to be used afterwards: where it is
// in order already, its slices become those of the result.
func (b *Batch) Settle(accounts int) Facts {
	var order []int // nil: all rows as they are
	var until []int64
	if b.ID.Kind != 0 {
		order, until = b.versions()
	}
	if order == nil && !b.inOrder() {
		order = firstRows(len(b.Occurred))
	}
	b.sort(order)
	return b.gather(order, until, accounts)
}

// inOrder reports that the rows are in the order of Facts.
func (b *Batch) inOrder() bool {
	for i := 1; i < len(b.Occurred); i++ {
		if !b.before(i-1, i) {
			return false
		}
	}
	return true
}

// before reports that row j may follow row i; it settles the common case without a
// look at the values.
func (b *Batch) before(i, j int) bool {
	if c := b.Account[i]; c != b.Account[j] {
		return c < b.Account[j]
	}
	if t := b.Occurred[i]; t != b.Occurred[j] {
		return t < b.Occurred[j]
	}
	return b.compare(i, j) <= 0
}

// sort orders rows: where they are by account already, those of each by themselves.
func (b *Batch) sort(order []int) {
	if !slices.IsSortedFunc(order, func(i, j int) int { return cmp.Compare(b.Account[i], b.Account[j]) }) {
		slices.SortFunc(order, b.compare)
		return
	}
	for from := 0; from < len(order); {
		to, sorted := from+1, true
		for ; to < len(order) && b.Account[order[to]] == b.Account[order[from]]; to++ {
			sorted = sorted && b.before(order[to-1], order[to])
		}
		if !sorted {
			b.sortAccount(order[from:to])
		}
		from = to
	}
}

// sortAccount orders rows of one account: most are told apart by when they occurred.
func (b *Batch) sortAccount(rows []int) {
	type dated struct {
		at  int64
		row int
	}
	list := make([]dated, len(rows))
	for k, i := range rows {
		list[k] = dated{b.Occurred[i], i}
	}
	slices.SortFunc(list, func(x, y dated) int {
		if c := cmp.Compare(x.at, y.at); c != 0 {
			return c
		}
		return b.compare(x.row, y.row)
	})
	for k := range list {
		rows[k] = list[k].row
	}
}

// versions gives the rows that are no repetition, nil if all are, and for all rows
// until when each counts; nil if no fact was corrected.
func (b *Batch) versions() (kept []int, until []int64) {
	named := b.repeated()
	if named == nil {
		return nil, nil
	}
	// The ids are only told apart here, so that their codes are as good as their texts.
	slices.SortFunc(named, func(i, j int) int {
		if c := cmp.Or(cmp.Compare(b.Account[i], b.Account[j]), cmp.Compare(b.ID.Codes[i], b.ID.Codes[j]), cmp.Compare(b.arrived(i), b.arrived(j))); c != 0 {
			return c
		}
		return b.compareContent(i, j)
	})
	again := make([]bool, len(b.Occurred))
	of := func(i, j int) bool { return b.Account[i] == b.Account[j] && b.ID.Codes[i] == b.ID.Codes[j] }
	for k, i := range named[1:] {
		if last := named[k]; of(last, i) {
			again[i] = b.compareContent(last, i) == 0 // its first arrival stands
		}
	}
	// A version ends when a later one counts: one that is dated in the future corrects
	// nothing before its date.
	next, soonest := -1, Never
	for _, i := range slices.Backward(named) {
		if again[i] {
			continue
		}
		if next < 0 || !of(i, next) {
			soonest = Never
		} else if until == nil {
			until = slices.Repeat([]int64{Never}, len(b.Occurred))
		}
		if soonest != Never {
			until[i] = soonest
		}
		next, soonest = i, min(soonest, max(b.arrived(i), b.Occurred[i]))
	}
	if until != nil {
		b.firstSaid(named)
	}
	for i, a := range again {
		if !a {
			kept = append(kept, i)
		}
	}
	return kept, until
}

// firstSaid finds, of the rows of ids that came more than once, when what each says had
// first arrived. A version that says again what was said before another one stands where
// that would, so that what stands between them in arrival changes no order.
func (b *Batch) firstSaid(named []int) {
	b.said = make([]int64, len(b.Occurred))
	for i := range b.said {
		b.said[i] = b.arrived(i)
	}
	slices.SortFunc(named, func(i, j int) int {
		if c := cmp.Or(cmp.Compare(b.Account[i], b.Account[j]), cmp.Compare(b.ID.Codes[i], b.ID.Codes[j])); c != 0 {
			return c
		}
		return cmp.Or(b.compareContent(i, j), cmp.Compare(b.arrived(i), b.arrived(j)))
	})
	for k, i := range named[1:] {
		if last := named[k]; b.Account[last] == b.Account[i] && b.ID.Codes[last] == b.ID.Codes[i] && b.compareContent(last, i) == 0 {
			b.said[i] = b.said[last]
		}
	}
}

// repeated are the rows whose id another row has too.
func (b *Batch) repeated() (rows []int) {
	times := make([]uint8, len(b.ID.Values))
	for _, k := range b.ID.Codes {
		if k >= 0 {
			times[k] = min(2, times[k]+1)
		}
	}
	for i, k := range b.ID.Codes {
		if k >= 0 && times[k] > 1 {
			rows = append(rows, i)
		}
	}
	return rows
}

func (b *Batch) arrived(i int) int64 {
	if b.Arrived == nil {
		return b.Occurred[i]
	}
	return b.Arrived[i]
}

func (b *Batch) firstArrived(i int) int64 {
	if b.said != nil {
		return b.said[i]
	}
	return b.arrived(i)
}

// compare is the order of Facts: account, then the total order.
func (b *Batch) compare(i, j int) int {
	if c := cmp.Compare(b.Account[i], b.Account[j]); c != 0 {
		return c
	}
	if c := cmp.Compare(b.Occurred[i], b.Occurred[j]); c != 0 {
		return c
	}
	if c := cmp.Compare(b.firstArrived(i), b.firstArrived(j)); c != 0 {
		return c
	}
	if b.ID.Kind != 0 {
		if c := strings.Compare(b.id(i), b.id(j)); c != 0 {
			return c
		}
	}
	return cmp.Or(b.compareContent(i, j), cmp.Compare(b.arrived(i), b.arrived(j)))
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
	whole := order == nil || len(order) == len(b.Occurred) && slices.IsSorted(order)
	if whole {
		for _, a := range b.Account {
			f.First[a+1]++
		}
	}
	if !whole {
		for _, i := range order {
			f.First[b.Account[i]+1]++
		}
	}
	for a := range accounts {
		f.First[a+1] += f.First[a]
	}
	if whole {
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
