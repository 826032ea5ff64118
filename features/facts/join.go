package facts

import (
	"fmt"
	"maps"
	"slices"

	"propensity/features/spec"
)

// merge says that an account is part of another from an instant on: what is known
// before it is not known of the other.
type merge struct {
	into string
	at   int64
}

// merges are all merges, by the account that was merged, in order.
type merges map[string][]merge

// reach are the accounts that one is part of in the end, by any chain of merges, each
// from the instant when the whole chain was known; in the order of their ids.
func (m merges) reach(from string) []merge {
	known := map[string]int64{}
	var follow func(account string, at int64)
	follow = func(account string, at int64) {
		for _, next := range m[account] {
			when := max(at, next.at)
			if old, ok := known[next.into]; next.into == from || ok && old <= when {
				continue
			}
			known[next.into] = when
			follow(next.into, when)
		}
	}
	follow(from, Always)
	var out []merge
	for _, into := range slices.Sorted(maps.Keys(known)) {
		out = append(out, merge{into, known[into]})
	}
	return out
}

// merges are those that some rows say, of sources of merges.
func (g *Gather) merges(rows [][]int) (merges, error) {
	out := merges{}
	for s, list := range rows {
		t := &g.sources[s]
		if t.source.Kind != spec.Merges {
			continue
		}
		for _, i := range list {
			from := t.text(t.from, i)
			if from == nil || t.account[i] < 0 {
				return nil, fmt.Errorf("%w: %s, id %q, names no account that is merged, or none that it is merged into", ErrFact, t.source.Name, t.name(i))
			}
			into := g.accounts.values[t.account[i]]
			if *from == into {
				return nil, fmt.Errorf("%w: %s, id %q: account %q is merged into itself", ErrFact, t.source.Name, t.name(i), into)
			}
			out[*from] = append(out[*from], merge{into, max(t.occurred[i], t.arrived[i])})
		}
	}
	return out, nil
}

// joinUsers gives rows without an account that of their users, and leaves out the others.
func (g *Gather) joinUsers(rows [][]int) {
	some := false
	for s, list := range rows {
		some = some || slices.ContainsFunc(list, func(i int) bool { return g.sources[s].account[i] < 0 })
	}
	if !some {
		return
	}
	newest := map[string]membership{}
	for s, list := range rows {
		t := &g.sources[s]
		if t.source.Kind != spec.Users {
			continue
		}
		for _, i := range list {
			user := t.text(t.users, i)
			if user == nil || t.account[i] < 0 {
				continue
			}
			m := membership{t.occurred[i], t.arrived[i], g.accounts.values[t.account[i]]}
			if old, ok := newest[*user]; !ok || old.compare(m) < 0 {
				newest[*user] = m
			}
		}
	}
	for s, list := range rows {
		t := &g.sources[s]
		rows[s] = slices.DeleteFunc(list, func(i int) bool {
			if t.account[i] >= 0 {
				return false
			}
			user := t.text(t.users, i)
			if user == nil {
				return true
			}
			m, ok := newest[*user]
			if ok {
				t.account[i] = codeOf(&g.accounts, m.account)
			}
			return !ok
		})
	}
}

// text is what a row has in a column of texts; nil: nothing.
func (t *gathered) text(column, row int) *string {
	if column < 0 {
		return nil
	}
	c := &t.columns[column]
	if k := c.Codes[row]; k >= 0 {
		return &c.texts.values[k]
	}
	return nil
}

// name is the id of a row, "" if it has none.
func (t *gathered) name(row int) string {
	if k := t.id[row]; k >= 0 {
		return t.ids.values[k]
	}
	return ""
}
