package facts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"propensity/features/spec"
)

// Join gives facts the account they are of. A fact without an account whose source
// has a column of users is of the user's account, as the newest record of the source
// of kind users has it, whenever that came; a user without an account is left out.
//
// What is known of an account when it is merged into another, and what becomes known
// of it afterwards, is from then on known of the other too, and of whatever that is
// merged into: as facts of their own that arrived no earlier than the merges, under
// ids that begin with the account they come from. Of a merge that is said twice the
// first counts.
func Join(p *spec.Project, list []Fact) ([]Fact, error) {
	list = joinUsers(p, list)
	into, err := mergesOf(p, list)
	if err != nil || len(into) == 0 {
		return list, err
	}
	var copies []Fact
	for _, from := range slices.Sorted(maps.Keys(into)) {
		for _, m := range into.reach(from) {
			copies = append(copies, copied(p, list, from, m)...)
		}
	}
	return append(slices.Clip(list), copies...), nil
}

// merge says that an account is part of another from an instant on: what is known
// before it is not known of the other.
type merge struct {
	into string
	at   int64
}

// merges are all merges, by the account that was merged, in order.
type merges map[string][]merge

func mergesOf(p *spec.Project, list []Fact) (merges, error) {
	out := merges{}
	for i := range list {
		f := &list[i]
		s := sourceOf(p, f.Source)
		if s == nil || s.Kind != spec.Merges {
			continue
		}
		from := f.Values[s.FromAccount]
		if from.Missing() || f.Account == "" {
			return nil, fmt.Errorf("%w: %s, id %q, names no account that is merged, or none that it is merged into", ErrFact, s.Name, f.ID)
		}
		if from.Text == f.Account {
			return nil, fmt.Errorf("%w: %s, id %q: account %q is merged into itself", ErrFact, s.Name, f.ID, from.Text)
		}
		out[from.Text] = append(out[from.Text], merge{f.Account, max(f.Occurred, f.Arrived)})
	}
	for _, ms := range out {
		slices.SortFunc(ms, func(a, b merge) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.into, b.into)) })
	}
	return out, nil
}

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

// copied are the facts of one account as those of an account that it is part of. Of the
// versions of a fact, those are left out that count at no moment after the merge.
func copied(p *spec.Project, list []Fact, from string, m merge) (out []Fact) {
	var own []Fact
	for _, f := range list {
		if s := sourceOf(p, f.Source); f.Account == from && s != nil && s.Kind != spec.Users && s.Kind != spec.Merges {
			f.Arrived = max(f.Arrived, Always)
			own = append(own, f)
		}
	}
	slices.SortFunc(own, func(a, b Fact) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID), cmp.Compare(a.Arrived, b.Arrived), compareFacts(sourceOf(p, a.Source), &a, &b))
	})
	soonest := Never
	for k, f := range slices.Backward(own) {
		if k+1 == len(own) || own[k+1].Source != f.Source || own[k+1].ID != f.ID {
			soonest = Never
		}
		counts := max(f.Arrived, f.Occurred)
		f.Account, f.Arrived = m.into, max(f.Arrived, m.at)
		if f.ID != "" {
			f.ID = from + "/" + f.ID
			if soonest <= max(counts, m.at) {
				continue // the other account never sees it
			}
			soonest = counts
		}
		out = append(out, f)
	}
	return out
}

// compareFacts orders what two facts of a source say, as compareContent does.
func compareFacts(s *spec.Source, a, b *Fact) int {
	if c := cmp.Compare(a.Occurred, b.Occurred); c != 0 {
		return c
	}
	for _, column := range s.Columns {
		v, w := a.Values[column.Name], b.Values[column.Name]
		if c := cmp.Or(cmp.Compare(v.Number, w.Number), cmp.Compare(v.Time, w.Time), strings.Compare(v.Text, w.Text)); v.Missing() == w.Missing() && c != 0 {
			return c
		} else if v.Missing() != w.Missing() {
			return map[bool]int{true: -1, false: 1}[v.Missing()]
		}
	}
	return cmp.Compare(a.End, b.End)
}

func joinUsers(p *spec.Project, list []Fact) []Fact {
	newest, some := map[string]*Fact{}, false
	for i := range list {
		f := &list[i]
		s := sourceOf(p, f.Source)
		some = some || f.Account == ""
		if s == nil || s.Kind != spec.Users {
			continue
		}
		user := f.Values[s.User]
		if user.Missing() || f.Account == "" {
			continue
		}
		old := newest[user.Text]
		if old == nil || cmp.Or(cmp.Compare(old.Occurred, f.Occurred), cmp.Compare(old.Arrived, f.Arrived), strings.Compare(old.Account, f.Account)) < 0 {
			newest[user.Text] = f
		}
	}
	if !some {
		return list
	}
	out := make([]Fact, 0, len(list))
	for _, f := range list {
		if f.Account == "" {
			s := sourceOf(p, f.Source)
			if s == nil || s.User == "" || newest[f.Values[s.User].Text] == nil {
				continue
			}
			f.Account = newest[f.Values[s.User].Text].Account
		}
		out = append(out, f)
	}
	return out
}

// mergedAt is when each account was first merged into another; nil if none was.
func mergedAt(p *spec.Project, accounts []string, list []Fact) ([]int64, error) {
	all, err := mergesOf(p, list)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	out := slices.Repeat([]int64{Never}, len(accounts))
	for i, a := range accounts {
		if ms := all[a]; len(ms) > 0 {
			out[i] = ms[0].at
		}
	}
	return out, nil
}

func sourceOf(p *spec.Project, name string) *spec.Source {
	for i := range p.Sources {
		if p.Sources[i].Name == name {
			return &p.Sources[i]
		}
	}
	return nil
}
