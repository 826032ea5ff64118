package online

import (
	"bytes"
	"cmp"
	"context"
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

// compareNames and compareVersions are asked often: what comes first settles most.
func compareNames(a, b record) int {
	if c := strings.Compare(a.account, b.account); c != 0 {
		return c
	}
	if c := strings.Compare(a.source, b.source); c != 0 {
		return c
	}
	return strings.Compare(a.id, b.id)
}

// compareVersions orders the versions of an account as Facts gives them.
func compareVersions(a, b record) int {
	if c := compareNames(a, b); c != 0 {
		return c
	}
	if c := cmp.Compare(a.arrived, b.arrived); c != 0 {
		return c
	}
	return bytes.Compare(a.content, b.content)
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

// recorded is a store that gives versions as it keeps them.
type recorded interface {
	// records gives all versions of the facts of an account, in the order of Facts.
	records(ctx context.Context, account string) ([]record, error)
}

// factsOf is Facts of a store.
func factsOf(ctx context.Context, s recorded, account string, since Since) ([]facts.Fact, error) {
	list, err := s.records(ctx, account)
	if err != nil {
		return nil, err
	}
	if list, err = wanted(list, since); err != nil {
		return nil, err
	}
	out := make([]facts.Fact, len(list))
	for i := range list {
		if out[i], err = list[i].fact(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// wanted leaves, of the versions of one account, which are in order, those of the facts
// that since asks for.
func wanted(list []record, since Since) ([]record, error) {
	if since == nil {
		return list, nil
	}
	out := list[:0]
	for from := 0; from < len(list); {
		to, some := from, false
		for ; to < len(list) && (to == from || list[to].id == list[from].id && list[to].source == list[from].source); to++ {
			if some {
				continue
			}
			occurred, end, err := list[to].instants()
			if err != nil {
				return nil, err
			}
			some = since(list[to].source, occurred, end)
		}
		if some {
			out = append(out, list[from:to]...)
		}
		from = to
	}
	return out, nil
}
