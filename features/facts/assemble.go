package facts

import (
	"errors"
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features/spec"
)

// ErrFact is wrapped by every error about a fact that the project cannot take.
var ErrFact = errors.New("unusable fact")

// Assemble makes a Part of facts in any order: those of the given accounts, in that
// order, or, if it is nil, of all accounts that have one, sorted. It is Gather.Part of
// them; facts of sources that the project does not have are left out.
func Assemble(p *spec.Project, accounts []string, list []Fact) (*Part, error) {
	g := NewGather(p)
	for i := range list {
		f := &list[i]
		s := p.SourceIndex(f.Source)
		if s < 0 {
			continue
		}
		g.Add(s, f.Account, f.ID, f.Occurred, f.Arrived, f.End)
		for k := range g.sources[s].columns {
			g.Set(s, k, f.Values[g.sources[s].columns[k].Name])
		}
	}
	return g.Part(accounts)
}

// Part makes a Part of what was gathered: of the given accounts, in that order, or, if it
// is nil, of all accounts that have a fact, sorted.
//
// Facts that the where of their source does not keep are left out, as reading a source
// does. A fact without an account whose source has a column of users is of the user's
// account, as the newest record of the source of kind users has it, whenever that came; a
// user without an account is left out.
//
// What is known of an account when it is merged into another, and what becomes known
// of it afterwards, is from then on known of the other too, and of whatever that is
// merged into: as facts of their own that arrived no earlier than the merges, under
// ids that begin with the account they come from. Of a merge that is said twice the
// first counts.
//
// An error wraps ErrFact.
func (g *Gather) Part(accounts []string) (*Part, error) {
	rows := make([][]int, len(g.sources))
	for s := range g.sources {
		var err error
		if rows[s], err = g.kept(s); err != nil {
			return nil, err
		}
	}
	g.joinUsers(rows)
	said, err := g.merges(rows)
	if err != nil {
		return nil, err
	}
	numbers := make([]int32, len(g.accounts.values)) // of the accounts in the part; -1: not in it
	accounts = g.number(accounts, rows, numbers)
	part := &Part{Accounts: accounts, Sources: make([]Facts, len(g.sources))}
	j := joined{said: said}
	j.settle(g.find)
	part.Merged = j.merged(accounts)
	for s := range g.sources {
		batch, err := g.batch(s, rows[s], numbers, &j)
		if err != nil {
			return nil, err
		}
		part.Sources[s] = batch.Settle(len(accounts))
	}
	return part, nil
}

// batch makes a Batch of a source: of those of the given rows whose account is in the part,
// and of copies of rows whose account was merged into one that is.
func (g *Gather) batch(s int, rows []int, numbers []int32, j *joined) (*Batch, error) {
	t := &g.sources[s]
	var account []int32
	own := make([]int, 0, len(rows))
	for _, i := range rows {
		if a := t.account[i]; numbers[a] >= 0 {
			own, account = append(own, i), append(account, numbers[a])
		}
	}
	all := own
	var edges []int64
	if len(j.edges) > 0 && t.source.Kind != spec.Users && t.source.Kind != spec.Merges {
		for _, i := range rows {
			for _, e := range j.of[uint32(t.account[i])] {
				if into := j.edges[e].into; into != noNumber && numbers[into] >= 0 {
					all, account, edges = append(all, i), append(account, numbers[into]), append(edges, int64(e))
				}
			}
		}
	}
	b := t.batch()
	if len(all) != len(t.account) || len(edges) > 0 {
		b = b.take(all)
	}
	b.Account = account
	for i, at := range b.Occurred {
		if at == datasets.MissingTime {
			if t.source.Kind != spec.Attributes && t.source.Kind != spec.Users {
				return nil, fmt.Errorf("%w: %s of %s, is not dated", ErrFact, t.source.Name, g.fact(t, all[i]))
			}
			b.Occurred[i] = Always
		}
		if b.Arrived[i] == datasets.MissingTime {
			b.Arrived[i] = b.Occurred[i]
		}
	}
	if len(edges) > 0 {
		stay := append(firstRows(len(own)), j.settleCopies(b, len(own), edges)...)
		b, all = b.take(stay), datasets.Take(all, stay)
	}
	for _, m := range t.faults {
		if slices.Contains(all, m.row) {
			return nil, g.misfit(t, m)
		}
	}
	if slices.Equal(b.Arrived, b.Occurred) {
		b.Arrived = nil
	}
	return b, nil
}

// batch is all rows of the source, of no account.
func (t *gathered) batch() *Batch {
	b := &Batch{Occurred: t.occurred, Arrived: t.arrived, End: t.end}
	if len(t.ids.values) > 0 {
		b.ID = datasets.Column{Kind: datasets.Text, Codes: t.id, Values: t.ids.values}
	}
	for k := range t.source.Columns {
		b.Columns = append(b.Columns, t.columns[k].column(len(t.account)))
	}
	return b
}

// fact names a row in messages.
func (g *Gather) fact(t *gathered, row int) string {
	account := ""
	if a := t.account[row]; a >= 0 {
		account = g.accounts.values[a]
	}
	return fmt.Sprintf("account %q, id %q", account, t.name(row))
}

func (g *Gather) misfit(t *gathered, m misfit) error {
	c := &t.columns[m.column]
	return fmt.Errorf("%w: %s of %s: %s is %s %q, not a %s", ErrFact, t.source.Name, g.fact(t, m.row), c.Name, m.value.Kind, m.value, c.Kind)
}

func firstRows(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// find gives the numbers of accounts; of those that were not gathered, noNumber.
func (g *Gather) find(ids []string) []uint32 {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		out[i] = noNumber
		if n := slices.Index(g.accounts.values, id); n >= 0 {
			out[i] = uint32(n)
		}
	}
	return out
}

// number gives the accounts of a part their numbers.
func (g *Gather) number(accounts []string, rows [][]int, numbers []int32) []string {
	for i := range numbers {
		numbers[i] = -1
	}
	if accounts == nil {
		for s, list := range rows {
			for _, i := range list {
				if n := g.sources[s].account[i]; n >= 0 && numbers[n] < 0 {
					numbers[n] = 0
					accounts = append(accounts, g.accounts.values[n])
				}
			}
		}
		slices.Sort(accounts)
	}
	of := make(map[string]int32, len(accounts))
	for i, a := range accounts {
		of[a] = int32(i)
	}
	for n, a := range g.accounts.values {
		if i, ok := of[a]; ok {
			numbers[n] = i
		}
	}
	return accounts
}
