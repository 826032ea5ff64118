package online

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/facts"
)

// record is a version of a fact as stores keep it.
type record struct {
	account, source, id string
	arrived             int64
	now                 bool // it arrives when it is added, at arrived or later
	content             []byte
}

// recordsOf checks facts and makes them ready to be kept, ordered by what names them
// and otherwise as they came, so that servers that add at the same time take accounts
// in the same order.
func recordsOf(list []facts.Fact, now int64) ([]record, error) {
	if len(list) > MaxAppend {
		return nil, fmt.Errorf("%w: %d facts at once are more than %d", ErrFact, len(list), MaxAppend)
	}
	out := make([]record, len(list))
	var contents []byte // one after the other, for they come and go together
	for i := range list {
		f := &list[i]
		if err := Check(f); err != nil {
			return nil, err
		}
		out[i] = record{account: f.Account, source: f.Source, id: f.ID, arrived: f.Arrived}
		if cap(contents)-len(contents) < 32+48*len(f.Values) {
			contents = make([]byte, 0, 16<<10)
		}
		start := len(contents)
		contents = encode(contents, f)
		out[i].content = contents[start:len(contents):len(contents)]
		if len(out[i].content) > MaxContent {
			return nil, fmt.Errorf("%w of source %q, account %q, id %q: its values take more than %d bytes", ErrFact, f.Source, f.Account, clip(f.ID), MaxContent)
		}
		if f.Arrived == datasets.MissingTime {
			out[i].arrived, out[i].now = now, true
		}
	}
	slices.SortStableFunc(out, compareNames)
	return out, nil
}

func compareNames(a, b record) int {
	return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.source, b.source), strings.Compare(a.id, b.id))
}

// compareVersions orders the versions of an account as Facts gives them.
func compareVersions(a, b record) int {
	return cmp.Or(compareNames(a, b), cmp.Compare(a.arrived, b.arrived), slices.Compare(a.content, b.content))
}

// accountsOf are the accounts of records in order.
func accountsOf(list []record) []string {
	var out []string
	for i := range list {
		if i == 0 || list[i].account != list[i-1].account {
			out = append(out, list[i].account)
		}
	}
	return out
}

// factsOf gives the facts that since asks for of the versions of one account, which
// are in order.
func factsOf(list []record, since Since) ([]facts.Fact, error) {
	out := make([]facts.Fact, 0, len(list))
	for from := 0; from < len(list); {
		to, wanted := from, since == nil
		for ; to < len(list) && compareNames(list[from], list[to]) == 0; to++ {
			if wanted {
				continue
			}
			occurred, end, err := instants(list[to].content)
			if err != nil {
				return nil, err
			}
			wanted = since(list[to].source, occurred, end)
		}
		for ; wanted && from < to; from++ {
			r := &list[from]
			f := facts.Fact{Source: r.source, Account: r.account, ID: r.id, Arrived: r.arrived}
			if err := decode(r.content, &f); err != nil {
				return nil, err
			}
			out = append(out, f)
		}
		from = to
	}
	return out, nil
}
