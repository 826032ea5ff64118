package check

import (
	"context"
	"fmt"

	"propensity/features/spec"
)

// tally counts records at fault and keeps the first few.
type tally struct {
	count    int64
	examples []Example
}

func (t *tally) add(example func() Example) {
	if t.count++; len(t.examples) < examplesOf {
		t.examples = append(t.examples, example())
	}
}

// examination is one source being looked at.
type examination struct {
	c      *checker
	i      int
	source *spec.Source
	input  *input

	records, filtered, kept int64
	oldest, newest          int64  // dates,
	arrival                 int64  // and the newest arrival
	has                     []bool // of each account: there is a record
	accounts                int

	wrong      map[string]*tally // by column: not of its kind
	noAccount  tally
	noUser     tally
	noTime     tally
	noEnd      tally // that can be read
	noArrival  tally // likewise
	nothing    tally // merged, or an account with itself
	early      tally
	future     tally
	ended      tally // before the start
	unarrived  tally // arrived before they occurred
	clock      tally // arrived before the record above
	unborn     tally // before the sign-up
	late       lateness
	tooLate    tally // than the contract allows
	ids        *repeats
	twice      *repeats // accounts, of attributes without a time
	currencies map[string]*tally
	intervals  []span
	contracts  []contract

	file  string // of the batch before
	above int64  // arrival of the record above
	n     numbers
}

// numbers are the cells of the batch at hand that are hashed.
type numbers struct {
	id, account *cells
	all         []*cells
}

// span is an interval of an account.
type span struct {
	account    int32
	start, end int64
	example    Example
}

// mostSpans are kept, to look for those that overlap.
const mostSpans = 1 << 21

func (c *checker) examine(ctx context.Context, i int) (*examination, error) {
	x := &examination{
		c: c, i: i, source: &c.p.Sources[i], input: c.inputs[i], wrong: map[string]*tally{}, currencies: map[string]*tally{},
		oldest: missing, newest: missing, arrival: missing, above: missing,
	}
	if x.source.ID != "" {
		x.ids = newRepeats(c.o.keys)
	}
	if x.source.Kind == spec.Attributes && x.source.Time == "" {
		x.twice = newRepeats(c.o.keys)
	}
	x.contracts = c.contractsOf(x)
	return x, c.read(ctx, i, x.batch)
}

func (x *examination) batch(b *batch) error {
	x.records += int64(len(b.account))
	x.filtered += int64(len(b.account) - len(b.kept))
	x.kept += int64(len(b.kept))
	if b.file != x.file {
		x.file, x.above = b.file, missing
	}
	x.kinds(b)
	x.n = numbers{}
	if x.ids != nil {
		if column := b.column(x.source.ID); column != nil {
			x.n.id = newCells(column)
			for k := range b.columns {
				if name := b.columns[k].Name; name != x.source.Arrived && name != x.source.ID {
					x.n.all = append(x.n.all, newCells(&b.columns[k]))
				}
			}
		}
	}
	if column := b.column(x.source.Account); x.twice != nil && column != nil {
		x.n.account = newCells(column)
	}
	for k := range x.contracts {
		x.contracts[k].begin(b)
	}
	for _, row := range b.kept {
		x.record(b, row)
	}
	return nil
}

// kinds counts values that are not of the kind of their column. Times that date a
// record are looked at with it.
func (x *examination) kinds(b *batch) {
	s := x.source
	for i, bad := range b.bad {
		name := b.columns[i].Name
		if bad == nil || name == s.Time || name == s.Arrived || name == s.Start || name == s.End {
			continue
		}
		for row := range bad {
			if !bad[row] {
				continue
			}
			t := x.wrong[name]
			if t == nil {
				t = &tally{}
				x.wrong[name] = t
			}
			t.add(func() Example { return b.example(x.c, int32(row), b.raw(i, row)) })
		}
	}
}

// record asks of one record what is asked of all.
func (x *examination) record(b *batch, row int32) {
	s, now := x.source, x.c.o.Now
	say := func(value string) func() Example { return func() Example { return b.example(x.c, row, value) } }
	at := func(us int64) func() Example {
		return func() Example { return b.example(x.c, row, when(us)) }
	}
	account := b.account[row]
	switch {
	case account >= 0:
		for int(account) >= len(x.has) {
			x.has = append(x.has, make([]bool, max(64, len(x.has)))...)
		}
		if !x.has[account] {
			x.has[account] = true
			x.accounts++
		}
	case s.Kind != spec.Users && b.user != nil:
		x.noUser.add(func() Example { return b.example(x.c, row, b.user.At(int(row)).String()) })
	default:
		x.noAccount.add(say(""))
	}
	if s.Kind == spec.Merges {
		from, into := b.column(s.FromAccount), b.column(s.Into)
		if from != nil && into != nil && account >= 0 && (from.Codes[row] < 0 || from.Values[from.Codes[row]] == x.c.ids[account]) {
			x.nothing.add(say(""))
		}
	}
	if x.n.account != nil {
		if h := x.n.account.hash(row); h != 0 {
			x.twice.add(h, 0, account, say(""))
		}
	}
	if x.n.id != nil {
		if h := x.n.id.hash(row); h != 0 {
			x.ids.add(h, x.content(row), account, func() Example { return b.example(x.c, row, x.n.id.column.At(int(row)).String()) })
		}
	}
	if s.Currency != "" {
		x.currency(b, row)
	}
	for k := range x.contracts {
		x.contracts[k].record(b, row)
	}
	if b.occurred == nil {
		return
	}
	occurred := b.occurred[row]
	if occurred == missing {
		x.noTime.add(func() Example { return b.example(x.c, row, b.rawOf(x.timeColumn(), int(row))) })
		return
	}
	if x.oldest == missing || occurred < x.oldest {
		x.oldest = occurred
	}
	x.newest = max(x.newest, occurred)
	if occurred < earliest {
		x.early.add(at(occurred))
	}
	if occurred > now {
		x.future.add(at(occurred))
	}
	if account >= 0 && s.Kind != spec.Attributes && s.Kind != spec.Users && s.Kind != spec.Merges {
		if up := x.c.signup[account]; up != missing && occurred < up {
			x.unborn.add(func() Example {
				return b.example(x.c, row, when(occurred)+", signed up "+when(up))
			})
		}
	}
	if s.Kind == spec.Intervals {
		x.interval(b, row, occurred)
	}
	arrived := occurred
	if b.arrived != nil {
		arrived = b.arrived[row]
		x.arrivedAt(b, row, occurred, arrived)
	}
	x.arrival = max(x.arrival, arrived)
}

// timeColumn dates a record.
func (x *examination) timeColumn() string {
	if x.source.Kind == spec.Intervals {
		return x.source.Start
	}
	return x.source.Time
}

func (x *examination) arrivedAt(b *batch, row int32, occurred, arrived int64) {
	if arrived == missing {
		if b.badTime(x.source.Arrived, row) {
			x.noArrival.add(func() Example { return b.example(x.c, row, b.rawOf(x.source.Arrived, int(row))) })
		}
		return
	}
	say := func() Example {
		return b.example(x.c, row, fmt.Sprintf("%s, arrived %s", when(occurred), when(arrived)))
	}
	if arrived < occurred {
		x.unarrived.add(say)
	}
	if arrived > x.c.o.Now && occurred <= x.c.o.Now {
		x.future.add(say)
	}
	if x.above != missing && arrived < x.above {
		above := x.above
		x.clock.add(func() Example {
			return b.example(x.c, row, when(arrived)+", the record above "+when(above))
		})
	}
	x.above = arrived
	x.late.add(arrived - occurred)
	if late := x.source.Checks.Late; late > 0 && arrived-occurred > late.Microseconds() {
		x.tooLate.add(say)
	}
}

func (x *examination) interval(b *batch, row int32, start int64) {
	end := missing
	if b.end != nil {
		end = b.end[row]
	}
	if end == missing && b.badTime(x.source.End, row) {
		x.noEnd.add(func() Example { return b.example(x.c, row, b.rawOf(x.source.End, int(row))) })
	}
	if end != missing && end < start {
		x.ended.add(func() Example {
			return b.example(x.c, row, when(start)+" to "+when(end))
		})
		return
	}
	if account := b.account[row]; account >= 0 && len(x.intervals) < mostSpans {
		x.intervals = append(x.intervals, span{account, start, end, Example{File: b.file, Record: b.first + int64(row)}})
	}
}

func (x *examination) currency(b *batch, row int32) {
	column, amount := b.column(x.source.Currency), b.column(x.source.Amount)
	if column == nil || column.Codes[row] < 0 || amount != nil && amount.At(int(row)).Missing() {
		return
	}
	name := column.Values[column.Codes[row]]
	t := x.currencies[name]
	if t == nil {
		t = &tally{}
		x.currencies[name] = t
	}
	t.add(func() Example { return b.example(x.c, row, name) })
}

// content is a hash of what a record says: its columns without the id and arrival.
func (x *examination) content(row int32) uint64 {
	h := uint64(1)
	for _, c := range x.n.all {
		h = mix(h*31 + c.same(row))
	}
	return h
}
