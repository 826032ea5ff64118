package facts

import (
	"fmt"
	"slices"

	"propensity/datasets"
)

// List gives the facts of bucket i as stores keep them, in the order of their
// accounts and sources; not those that accounts have by a merge. A fact without an id
// gets one from its place among those of its account that are dated the same, in
// their total order, so that facts which are otherwise equal stay in that order and
// the same file gives the same ids again.
func (c *Collection) List(i int) ([]Fact, error) {
	names := make([]string, len(c.ids[i])) // by the number of the account in the bucket
	for _, n := range c.ids[i] {
		a := &c.accounts.list[n]
		names[a.local] = a.id
	}
	var out []Fact
	var buf []byte
	for s := range c.layouts {
		data, ends, err := c.store.read(buf[:0], s, i)
		if err != nil {
			return nil, err
		}
		buf = data
		u := newUnpacking(&c.shapes[s])
		u.measure(data, ends)
		b := &Batch{Account: make([]int32, u.rows)}
		u.to = make([]int32, u.rows)
		for k, local := range u.local[:u.rows] {
			u.to[k], b.Account[k] = int32(k), int32(local)
		}
		u.unpack(b, len(ends))
		out = append(out, b.list(c.project.Sources[s].Name, names)...)
	}
	return out, nil
}

// list gives the rows of a batch as facts, ordered by account.
func (b *Batch) list(source string, names []string) []Fact {
	order := firstRows(len(b.Occurred))
	slices.SortFunc(order, b.compare)
	out := make([]Fact, 0, len(order))
	nameless := 0
	for k, i := range order {
		f := Fact{Source: source, Account: names[b.Account[i]], Occurred: b.Occurred[i], Arrived: b.arrived(i), End: datasets.MissingTime}
		if b.End != nil {
			f.End = b.End[i]
		}
		if b.ID.Kind != 0 {
			f.ID = b.id(i)
		}
		if k == 0 || b.Account[order[k-1]] != b.Account[i] || b.Occurred[order[k-1]] != b.Occurred[i] {
			nameless = 0
		}
		if f.ID == "" {
			// The sign is below letters and digits: they come before facts with an id.
			f.ID = fmt.Sprintf("#%d.%06d", f.Occurred, nameless)
			nameless++
		}
		for c := range b.Columns {
			if v := b.Columns[c].At(i); !v.Missing() {
				if f.Values == nil {
					f.Values = make(map[string]datasets.Value, len(b.Columns))
				}
				f.Values[b.Columns[c].Name] = v
			}
		}
		out = append(out, f)
	}
	return out
}
