package facts

import (
	"cmp"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/spec"
)

// shape is what the packed records of a source have.
type shape struct {
	arrived, end, id bool
	columns          []spec.Column
}

func shapeOf(l *layout) shape {
	s := l.source
	dated := s.Time != "" || s.Start != ""
	return shape{arrived: s.Arrived != "" || s.Lag.Micros != 0 && dated, end: s.Kind == spec.Intervals, id: s.ID != "", columns: s.Columns}
}

// sorted gives the accounts of each bucket, in order.
func (a *accounts) sorted() [][]uint32 {
	out := make([][]uint32, len(a.counts))
	for b, n := range a.counts {
		out[b] = make([]uint32, 0, n)
	}
	for n := range a.list {
		b := a.list[n].bucket
		out[b] = append(out[b], uint32(n))
	}
	for _, list := range out {
		slices.SortFunc(list, func(x, y uint32) int {
			s, t := a.list[x].id, a.list[y].id
			return cmp.Or(cmp.Compare(hashOf(s), hashOf(t)), strings.Compare(s, t))
		})
	}
	return out
}

// Part gives the facts of the accounts of bucket i. The parts one after another have
// the accounts in an order that depends on their ids alone.
func (c *Collection) Part(i int) (*Part, error) {
	list := c.ids[i]
	rank := make([]int32, len(list))
	part := &Part{Accounts: make([]string, len(list)), Sources: make([]Facts, len(c.layouts))}
	for k, n := range list {
		a := &c.accounts.list[n]
		part.Accounts[k] = a.id
		rank[a.local] = int32(k)
	}
	var buf []byte
	for s := range c.layouts {
		data, ends, err := c.store.read(buf[:0], s, i)
		if err != nil {
			return nil, err
		}
		var copies []byte
		var copyEnds []int
		if len(c.joined.edges) > 0 {
			if copies, copyEnds, err = c.store.read(nil, s+len(c.layouts), i); err != nil {
				return nil, err
			}
		}
		part.Sources[s] = c.facts(s, data, ends, copies, copyEnds, rank)
		buf = data
	}
	part.leaveEmpty()
	part.Merged = c.joined.merged(part.Accounts)
	return part, nil
}

// leaveEmpty drops the accounts of which nothing is left.
func (p *Part) leaveEmpty() {
	some := func(a int) bool {
		for s := range p.Sources {
			if f := p.Sources[s].First; f[a] < f[a+1] {
				return true
			}
		}
		return false
	}
	n := 0
	for a := range p.Accounts {
		if !some(a) {
			continue
		}
		p.Accounts[n] = p.Accounts[a]
		for s := range p.Sources {
			p.Sources[s].First[n] = p.Sources[s].First[a]
		}
		n++
	}
	for s := range p.Sources {
		f := &p.Sources[s]
		f.First[n] = f.First[len(p.Accounts)]
		f.First = f.First[:n+1]
	}
	p.Accounts = p.Accounts[:n]
}

// facts unpacks the records of one source in one bucket, deals them out to their
// accounts in the order they were read, and settles them.
func (c *Collection) facts(s int, data []byte, ends []int, copies []byte, copyEnds []int, rank []int32) Facts {
	u := newUnpacking(&c.shapes[s])
	u.measure(data, ends)
	u.measure(copies, copyEnds)
	accounts := len(rank)
	own := len(ends)
	next := make([]int, accounts+1)
	for _, run := range u.runs[:own] {
		for k, local := range u.local[run.first : run.first+run.rows] {
			a := rank[local]
			u.local[run.first+k] = int64(a)
			next[a+1]++
		}
	}
	for a := range accounts {
		next[a+1] += next[a]
	}
	b := &Batch{Account: make([]int32, u.rows)}
	u.to = make([]int32, u.rows)
	ownRows := 0
	for _, run := range u.runs[:own] {
		ownRows += run.rows
	}
	for i, a := range u.local[:ownRows] {
		at := next[a]
		next[a]++
		u.to[i], b.Account[at] = int32(at), int32(a)
	}
	for i := ownRows; i < u.rows; i++ {
		u.to[i], b.Account[i] = int32(i), rank[u.local[i]]
	}
	u.unpack(b, own)
	if u.rows == ownRows {
		return b.Settle(accounts)
	}
	stay := c.joined.settleCopies(b, ownRows, u.edges)
	rows := make([]int, 0, ownRows+len(stay))
	for i := range ownRows {
		rows = append(rows, i)
	}
	return b.take(append(rows, stay...)).Settle(accounts)
}

// take is the batch of the given rows.
func (b *Batch) take(rows []int) *Batch {
	out := &Batch{Account: datasets.Take(b.Account, rows), Occurred: datasets.Take(b.Occurred, rows),
		Arrived: datasets.Take(b.Arrived, rows), End: datasets.Take(b.End, rows), ID: b.ID}
	out.ID.Codes = datasets.Take(b.ID.Codes, rows)
	for _, c := range b.Columns {
		c.Numbers, c.Times, c.Codes = datasets.Take(c.Numbers, rows), datasets.Take(c.Times, rows), datasets.Take(c.Codes, rows)
		out.Columns = append(out.Columns, c)
	}
	return out
}

// unpacking brings packed runs into the columns of a Batch.
type unpacking struct {
	shape   *shape
	rows    int
	runs    []run
	local   []int64 // of each row as it was read
	to      []int32 // where it goes
	edges   []int64 // of copies
	ints    []int64
	numbers []float64
}

type run struct {
	unpacker
	first, rows int
}

func newUnpacking(s *shape) *unpacking { return &unpacking{shape: s} }

// measure reads whose the records of each run are.
func (u *unpacking) measure(data []byte, ends []int) {
	start, first := 0, len(u.runs)
	for _, end := range ends {
		r := run{unpacker: unpacker{data[start : end+8]}, first: u.rows}
		r.rows = r.uint()
		u.rows += r.rows
		u.runs = append(u.runs, r)
		start = end
	}
	u.local = append(u.local, make([]int64, u.rows-len(u.local))...)
	for i := first; i < len(u.runs); i++ {
		r := &u.runs[i]
		r.ints(u.local[r.first : r.first+r.rows])
	}
}

// unpack reads everything else; the first runs, so many, are no copies.
func (u *unpacking) unpack(b *Batch, own int) {
	copied := len(u.runs) > own
	most := 0
	for _, r := range u.runs {
		most = max(most, r.rows)
	}
	u.ints, u.numbers = make([]int64, most), make([]float64, most)
	b.Occurred = make([]int64, u.rows)
	if u.shape.arrived || copied {
		b.Arrived = make([]int64, u.rows)
	}
	if u.shape.end {
		b.End = make([]int64, u.rows)
	}
	var ids *words
	if u.shape.id {
		ids = newWords("", datasets.Text, u.rows)
	}
	columns := make([]*words, len(u.shape.columns))
	for k, c := range u.shape.columns {
		columns[k] = newWords(c.Name, c.Kind, u.rows)
	}
	for i := range u.runs {
		r := &u.runs[i]
		to := u.to[r.first : r.first+r.rows]
		u.times(r, b.Occurred, to)
		switch {
		case u.shape.arrived:
			u.times(r, b.Arrived, to)
		case copied:
			for _, at := range to {
				b.Arrived[at] = b.Occurred[at]
			}
		}
		if u.shape.end {
			u.times(r, b.End, to)
		}
		if i >= own {
			at := len(u.edges)
			u.edges = slices.Grow(u.edges, r.rows)[:at+r.rows]
			r.ints(u.edges[at:])
		}
		if ids != nil {
			u.column(r, ids, to)
		}
		for _, c := range columns {
			u.column(r, c, to)
		}
	}
	if ids != nil {
		b.ID = ids.Column
	}
	for _, c := range columns {
		b.Columns = append(b.Columns, c.Column)
	}
}

func (u *unpacking) times(r *run, out []int64, to []int32) {
	xs := u.ints[:len(to)]
	r.ints(xs)
	for k, at := range to {
		out[at] = xs[k]
	}
}

// words is a column that is filled run by run.
type words struct {
	datasets.Column
	codes map[string]int32
	local []int32 // the codes of the texts of a run
}

func newWords(name string, kind datasets.Kind, rows int) *words {
	w := &words{Column: datasets.Column{Name: name, Kind: kind}}
	switch kind {
	case datasets.Number, datasets.Boolean:
		w.Numbers = make([]float64, rows)
	case datasets.Time:
		w.Times = make([]int64, rows)
	default:
		w.Codes, w.codes = make([]int32, rows), map[string]int32{}
	}
	return w
}

func (u *unpacking) column(r *run, w *words, to []int32) {
	switch w.Kind {
	case datasets.Number, datasets.Boolean:
		xs := u.numbers[:len(to)]
		r.numbers(xs, u.ints)
		for k, at := range to {
			w.Numbers[at] = xs[k]
		}
	case datasets.Time:
		u.times(r, w.Times, to)
	default:
		w.local = w.local[:0]
		for range r.uint() {
			s := r.text()
			code, ok := w.codes[string(s)]
			if !ok {
				code = int32(len(w.Values))
				w.Values = append(w.Values, string(s))
				w.codes[w.Values[code]] = code
			}
			w.local = append(w.local, code)
		}
		xs := u.ints[:len(to)]
		r.ints(xs)
		for k, at := range to {
			if x := xs[k]; x >= 0 {
				w.Codes[at] = w.local[x]
			} else {
				w.Codes[at] = -1
			}
		}
	}
}
