package facts

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features/spec"
)

// ErrFact is wrapped by every error about a fact that the project cannot take.
var ErrFact = errors.New("unusable fact")

// Assemble makes a Part of facts in any order: those of the given accounts, in that
// order, or, if it is nil, of all accounts that have one, sorted. Facts of users are
// their accounts', and facts of merged accounts also of the account that they are
// merged into (see Join). Facts of sources that the project does not have are left
// out. A kind that the project does not know is that of the values.
func Assemble(p *spec.Project, accounts []string, list []Fact) (*Part, error) {
	list, err := filtered(p, list)
	if err != nil {
		return nil, err
	}
	if list, err = Join(p, list); err != nil {
		return nil, err
	}
	indexOf := make(map[string]int, len(p.Sources))
	for i := range p.Sources {
		indexOf[p.Sources[i].Name] = i
	}
	if accounts == nil {
		for i := range list {
			accounts = append(accounts, list[i].Account)
		}
		slices.Sort(accounts)
		accounts = slices.Compact(accounts)
	}
	numberOf := make(map[string]int32, len(accounts))
	for i, a := range accounts {
		numberOf[a] = int32(i)
	}
	bySource := make([][]*Fact, len(p.Sources))
	for i := range list {
		if s, ok := indexOf[list[i].Source]; ok {
			if _, ok := numberOf[list[i].Account]; ok {
				bySource[s] = append(bySource[s], &list[i])
			}
		}
	}
	part := &Part{Accounts: accounts, Sources: make([]Facts, len(p.Sources))}
	if part.Merged, err = mergedAt(p, accounts, list); err != nil {
		return nil, err
	}
	for s := range p.Sources {
		batch, err := batchOf(&p.Sources[s], numberOf, bySource[s])
		if err != nil {
			return nil, err
		}
		part.Sources[s] = batch.Settle(len(accounts))
	}
	return part, nil
}

// batchOf turns facts of one source into columns.
func batchOf(s *spec.Source, numberOf map[string]int32, list []*Fact) (*Batch, error) {
	n := len(list)
	b := &Batch{Account: make([]int32, n), Occurred: make([]int64, n), Arrived: make([]int64, n)}
	if s.Kind == spec.Intervals {
		b.End = make([]int64, n)
	}
	ids := datasets.Column{Kind: datasets.Text, Codes: make([]int32, n)}
	codes, late := map[string]int32{"": -1}, false
	for i, f := range list {
		b.Account[i], b.Occurred[i], b.Arrived[i] = numberOf[f.Account], f.Occurred, f.Arrived
		if f.Occurred == datasets.MissingTime {
			if s.Kind != spec.Attributes && s.Kind != spec.Users {
				return nil, fmt.Errorf("%w: %s of account %q, id %q, is not dated", ErrFact, s.Name, f.Account, f.ID)
			}
			b.Occurred[i] = Always
		}
		if f.Arrived == datasets.MissingTime {
			b.Arrived[i] = b.Occurred[i]
		}
		late = late || b.Arrived[i] != b.Occurred[i]
		if b.End != nil {
			b.End[i] = f.End
		}
		code, ok := codes[f.ID]
		if !ok {
			code = int32(len(ids.Values))
			codes[f.ID], ids.Values = code, append(ids.Values, f.ID)
		}
		ids.Codes[i] = code
	}
	if !late {
		b.Arrived = nil
	}
	if len(ids.Values) > 0 {
		b.ID = ids
	}
	for _, c := range s.Columns {
		column, err := columnOf(s, c, list)
		if err != nil {
			return nil, err
		}
		b.Columns = append(b.Columns, column)
	}
	return b, nil
}

// columnOf gathers the values of one column.
func columnOf(s *spec.Source, c spec.Column, list []*Fact) (datasets.Column, error) {
	kind := c.Kind
	for i := 0; kind == 0 && i < len(list); i++ {
		kind = list[i].Values[c.Name].Kind
	}
	if kind == 0 {
		kind = datasets.Category // of no values
	}
	out := datasets.Column{Name: c.Name, Kind: kind}
	codes := map[string]int32{}
	for _, f := range list {
		v := f.Values[c.Name]
		if !v.Missing() && !fits(kind, v.Kind) {
			return out, fmt.Errorf("%w: %s of account %q, id %q: %s is %s %q, not a %s", ErrFact, s.Name, f.Account, f.ID, c.Name, v.Kind, v, kind)
		}
		switch kind {
		case datasets.Number, datasets.Boolean:
			x := v.Number
			if v.Missing() {
				x = math.NaN()
			}
			out.Numbers = append(out.Numbers, x)
		case datasets.Time:
			t := v.Time
			if v.Missing() {
				t = datasets.MissingTime
			}
			out.Times = append(out.Times, t)
		default:
			code, ok := codes[v.Text]
			switch {
			case v.Missing():
				code = -1
			case !ok:
				code = int32(len(out.Values))
				codes[v.Text], out.Values = code, append(out.Values, v.Text)
			}
			out.Codes = append(out.Codes, code)
		}
	}
	return out, nil
}

// fits says whether a value of a kind can stand in a column of a kind.
func fits(column, value datasets.Kind) bool {
	if column == datasets.Text || column == datasets.Category {
		return value == datasets.Text || value == datasets.Category
	}
	return column == value
}
