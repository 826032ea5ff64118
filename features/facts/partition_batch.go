package facts

import (
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features/spec"
)

// worker brings the batches of pieces into buckets; it belongs to one goroutine.
type worker struct {
	*reading
	source  int
	account codes
	user    codes
	keep    bool // codes mean the same in all batches of the piece
	packer  packer
	why     []reason
	rows    []int32
	number  []uint32
	mask    []bool
	bucket  []uint32
	local   []uint32
	seen    []int64
}

// codes are the accounts of the values of a text column.
type codes struct {
	number, bucket, local []uint32
}

func (c *codes) reset() { c.number, c.bucket, c.local = c.number[:0], c.bucket[:0], c.local[:0] }

// begin starts a piece.
func (w *worker) begin(source int, keeps bool) {
	w.source, w.keep = source, keeps
	w.account.reset()
	w.user.reset()
}

// learn finds the accounts of values not met before.
func (w *worker) learn(c *codes, column *datasets.Column, find func(ids []string, out []uint32) []uint32) {
	if !w.keep {
		c.reset()
	}
	known := len(c.number)
	if known == len(column.Values) {
		return
	}
	c.number = find(column.Values[known:], c.number)
	w.accounts.mu.RLock()
	defer w.accounts.mu.RUnlock()
	for _, n := range c.number[known:] {
		a := account{bucket: noNumber}
		if n != noNumber {
			a = w.accounts.list[n]
		}
		c.bucket, c.local = append(c.bucket, a.bucket), append(c.local, a.local)
	}
}

// batch takes the records of a batch that starts at a place.
func (w *worker) batch(t *datasets.Table, at place) error {
	l := w.layouts[w.source]
	l.read(t)
	n := t.Rows()
	w.why = slices.Grow(w.why[:0], n)[:n]
	clear(w.why)
	r := &record{rows: n}
	w.owners(l, t, r)
	w.dates(l, t, r)
	if err := w.filter(l, t); err != nil {
		return err
	}
	w.whole(l, t)
	for _, c := range l.source.Columns {
		r.columns = append(r.columns, t.Column(c.Name))
	}
	if l.source.ID != "" {
		r.id = t.Column(l.source.ID)
	}
	w.count(l, t, r, at)
	s := w.project.Sources[w.source].Kind
	switch {
	case s == spec.Users && l.source.User != "":
		w.users.take(t.Column(l.source.User), t.Column(l.source.Account), r, w.rows)
	case s == spec.Merges:
		w.joined.take(t.Column(l.source.FromAccount), t.Column(l.source.Into), r, w.rows)
	}
	if err := w.put(r, w.rows, at); err != nil {
		return err
	}
	if len(w.joined.of) == 0 || s == spec.Users || s == spec.Merges {
		return nil
	}
	copies := w.joined.copies(w.accounts, r, w.rows, func(i int32) uint32 { return w.number[i] })
	at.source += len(w.project.Sources)
	return w.put(copies, everyRow(copies.rows), at)
}

func everyRow(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

func (w *worker) put(r *record, rows []int32, at place) error {
	if len(rows) == 0 {
		return nil
	}
	data, ends := w.packer.pack(r, rows, len(w.accounts.counts))
	return w.store.add(at, data, ends)
}

// owners finds the account of each row.
func (w *worker) owners(l *layout, t *datasets.Table, r *record) {
	n := t.Rows()
	w.bucket, w.local = slices.Grow(w.bucket[:0], n)[:n], slices.Grow(w.local[:0], n)[:n]
	w.number = slices.Grow(w.number[:0], n)[:n]
	r.bucket, r.local = w.bucket, w.local
	var account, user *datasets.Column
	if name := l.account(); name != "" {
		account = t.Column(name)
		w.learn(&w.account, account, w.accounts.numbers)
	}
	if name := l.source.User; name != "" && l.source.Kind != spec.Users {
		user = t.Column(name)
		w.learn(&w.user, user, w.users.numbers)
	}
	missing := noAccount
	if user != nil {
		missing = noUser
	}
	for i := range n {
		if account != nil {
			if k := account.Codes[i]; k >= 0 && w.account.number[k] != noNumber {
				w.bucket[i], w.local[i], w.number[i] = w.account.bucket[k], w.account.local[k], w.account.number[k]
				continue
			}
		}
		if user != nil {
			if k := user.Codes[i]; k >= 0 && w.user.number[k] != noNumber {
				w.bucket[i], w.local[i], w.number[i] = w.user.bucket[k], w.user.local[k], w.user.number[k]
				continue
			}
		}
		w.why[i] = missing
	}
}

// dates finds when each record occurred, arrived and ended, and which cannot be.
func (w *worker) dates(l *layout, t *datasets.Table, r *record) {
	s := l.source
	n := t.Rows()
	name := s.Time
	if s.Kind == spec.Intervals {
		name = s.Start
	}
	limit, whenLate := w.limit, inFuture
	if w.o.AsOf != 0 {
		whenLate = tooLate
	}
	if name == "" {
		r.occurred = slices.Repeat([]int64{Always}, n)
	} else {
		r.occurred = t.Column(name).Times
		for i, x := range r.occurred {
			switch {
			case w.why[i] != kept:
			case x == datasets.MissingTime:
				w.why[i] = noTime
			case x < earliest:
				w.why[i] = tooEarly
			case x > limit:
				w.why[i] = inFuture
			}
		}
	}
	switch {
	case s.Arrived != "":
		said := t.Column(s.Arrived).Times
		w.seen = slices.Grow(w.seen[:0], n)[:n]
		r.arrived = w.seen
		for i, x := range said {
			if x == datasets.MissingTime {
				x = w.lagged(r.occurred[i], s)
			}
			r.arrived[i] = x
		}
	case s.Lag.Micros != 0 && name != "":
		w.seen = slices.Grow(w.seen[:0], n)[:n]
		r.arrived = w.seen
		for i, x := range r.occurred {
			r.arrived[i] = w.lagged(x, s)
		}
	}
	for i, x := range r.arrived {
		if x > limit && w.why[i] == kept {
			w.why[i] = whenLate
		}
	}
	if s.Kind == spec.Intervals {
		r.end = t.Column(s.End).Times
		for i, x := range r.end {
			if x != datasets.MissingTime && x < r.occurred[i] && w.why[i] == kept {
				w.why[i] = endFirst
			}
		}
	}
}

func (w *worker) lagged(occurred int64, s *spec.Source) int64 {
	if occurred == datasets.MissingTime {
		return occurred
	}
	return occurred + s.Lag.Micros
}

// filter leaves out what the source's where does not keep.
func (w *worker) filter(l *layout, t *datasets.Table) error {
	if l.source.Where == nil {
		return nil
	}
	bound, err := l.source.Where.Bind(t.Columns)
	if err != nil {
		return l.fault("where: %w", err)
	}
	n := t.Rows()
	w.mask = slices.Grow(w.mask[:0], n)[:n]
	bound.Mask(w.mask, 0)
	for i, holds := range w.mask {
		if !holds && w.why[i] == kept {
			w.why[i] = filteredOut
		}
	}
	return nil
}

// whole leaves out merges of nothing and of an account into itself.
func (w *worker) whole(l *layout, t *datasets.Table) {
	if l.source.Kind != spec.Merges {
		return
	}
	from, into := t.Column(l.source.FromAccount), t.Column(l.source.Into)
	for i, k := range from.Codes {
		switch {
		case w.why[i] != kept:
		case k < 0 || from.Values[k] == "":
			w.why[i] = noMerged
		case from.Values[k] == into.Values[into.Codes[i]]:
			w.why[i] = itself
		}
	}
}

// count lists the rows that stay, and counts the others.
func (w *worker) count(l *layout, t *datasets.Table, r *record, at place) {
	b := batchTally{newest: math.MinInt64}
	w.rows = slices.Grow(w.rows[:0], r.rows)[:0]
	for i, why := range w.why {
		if why != kept {
			b.leave(why, place{at.source, at.file, at.row + i})
			continue
		}
		w.rows = append(w.rows, int32(i))
	}
	known := r.arrived
	if known == nil {
		known = r.occurred
	}
	for _, i := range w.rows {
		b.newest = max(b.newest, known[i])
	}
	if r.end != nil {
		for _, i := range w.rows {
			if r.end[i] <= w.limit {
				b.newest = max(b.newest, r.end[i])
			}
		}
	}
	b.kept = int64(len(w.rows))
	if l.source.Currency != "" {
		b.money = w.currencies(t.Column(l.source.Currency), at)
	}
	w.tallies[at.source].add(&b)
}

// currencies are those of the rows that stay, with the first of each.
func (w *worker) currencies(c *datasets.Column, at place) map[string]place {
	seen := make([]bool, len(c.Values))
	out := map[string]place{}
	for _, i := range w.rows {
		if k := c.Codes[i]; k >= 0 && !seen[k] {
			seen[k] = true
			out[c.Values[k]] = place{at.source, at.file, at.row + int(i)}
		}
	}
	return out
}
