package facts

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"propensity/datasets"
)

// joined are the merges of a project: which accounts count for which others too.
type joined struct {
	mu    sync.Mutex
	said  merges
	edges []edge
	of    map[uint32][]int32 // the edges that begin at an account
}

// edge makes copies of the facts of one account for one that it is part of.
type edge struct {
	from string
	into uint32
	at   int64
}

// take notes the kept rows of a batch of the source of merges.
func (j *joined) take(from, into *datasets.Column, r *record, rows []int32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.said == nil {
		j.said = merges{}
	}
	for _, i := range rows {
		at := r.occurred[i]
		if r.arrived != nil {
			at = max(at, r.arrived[i])
		}
		name := from.Values[from.Codes[i]]
		j.said[name] = append(j.said[name], merge{into.Values[into.Codes[i]], at})
	}
}

// settle follows the merges, when all are there; numbers gives those of accounts.
func (j *joined) settle(numbers func(ids []string) []uint32) {
	if len(j.said) == 0 {
		return
	}
	for _, list := range j.said {
		slices.SortFunc(list, func(a, b merge) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.into, b.into)) })
	}
	names := slices.Sorted(maps.Keys(j.said))
	j.of = map[uint32][]int32{}
	for i, n := range numbers(names) {
		for _, m := range j.said.reach(names[i]) {
			j.of[n] = append(j.of[n], int32(len(j.edges)))
			j.edges = append(j.edges, edge{names[i], numbers([]string{m.into})[0], m.at})
		}
	}
}

// merged is when each account was first merged into another; nil if none was.
func (j *joined) merged(ids []string) (out []int64) {
	for i, id := range ids {
		if list := j.said[id]; len(list) > 0 {
			if out == nil {
				out = slices.Repeat([]int64{Never}, len(ids))
			}
			out[i] = list[0].at
		}
	}
	return out
}

// copies makes a record of the given rows of r for the accounts that theirs are part
// of; number is the account of a row.
func (j *joined) copies(a *accounts, r *record, rows []int32, number func(row int32) uint32) *record {
	var from []int
	out := &record{edge: []int64{}}
	for _, i := range rows {
		for _, e := range j.of[number(i)] {
			into := a.at(j.edges[e].into)
			from = append(from, int(i))
			out.edge = append(out.edge, int64(e))
			out.bucket, out.local = append(out.bucket, into.bucket), append(out.local, into.local)
		}
	}
	out.rows = len(from)
	out.occurred, out.arrived, out.end = datasets.Take(r.occurred, from), datasets.Take(r.arrived, from), datasets.Take(r.end, from)
	take := func(c *datasets.Column) *datasets.Column {
		if c == nil {
			return nil
		}
		d := *c
		d.Numbers, d.Times, d.Codes = datasets.Take(c.Numbers, from), datasets.Take(c.Times, from), datasets.Take(c.Codes, from)
		return &d
	}
	out.id = take(r.id)
	for _, c := range r.columns {
		out.columns = append(out.columns, take(c))
	}
	return out
}

// settleCopies gives the rows of copies, from row first of b on, their arrival and
// id, and leaves out those that count at no moment after the merge was known. It gives
// the rows that stay.
func (j *joined) settleCopies(b *Batch, first int, edges []int64) []int {
	rows := make([]int, 0, len(edges))
	for k := range edges {
		rows = append(rows, first+k)
	}
	at := func(i int) int64 { return j.edges[edges[i-first]].at }
	named := b.ID.Kind != 0
	if named {
		slices.SortFunc(rows, func(x, y int) int {
			return cmp.Or(cmp.Compare(edges[x-first], edges[y-first]), cmp.Compare(b.ID.Codes[x], b.ID.Codes[y]),
				cmp.Compare(b.Arrived[x], b.Arrived[y]), b.compareContent(x, y))
		})
	}
	var stay []int
	soonest := Never // when a later version of the same fact counts
	for k, i := range slices.Backward(rows) {
		if named && b.ID.Codes[i] >= 0 {
			if k+1 == len(rows) || edges[rows[k+1]-first] != edges[i-first] || b.ID.Codes[rows[k+1]] != b.ID.Codes[i] {
				soonest = Never
			}
			counts := max(b.Arrived[i], b.Occurred[i])
			if soonest <= max(counts, at(i)) {
				continue
			}
			soonest = counts
		}
		stay = append(stay, i)
	}
	codes := map[string]int32{}
	for _, i := range stay {
		b.Arrived[i] = max(b.Arrived[i], at(i))
		if !named || b.ID.Codes[i] < 0 {
			continue
		}
		id := j.edges[edges[i-first]].from + "/" + b.ID.Values[b.ID.Codes[i]]
		code, ok := codes[id]
		if !ok {
			code = int32(len(b.ID.Values))
			codes[id], b.ID.Values = code, append(b.ID.Values, id)
		}
		b.ID.Codes[i] = code
	}
	return stay
}
