package online

import (
	"context"
	"fmt"

	"propensity/features/facts"
)

// trimmed is a store that facts can be taken out of.
type trimmed interface {
	listed
	// remove takes out all versions of facts of an account, as long as they are the
	// given ones.
	remove(ctx context.Context, account string, list []record) error
}

// Trim takes out of a store the facts of which since asks for no version: what no row
// of the present or later can show, if since is that of all projects (see SinceOf).
// Rows of moments before then may lack something afterwards. It gives the number of
// versions that were taken out.
func Trim(ctx context.Context, s Store, since Since) (removed int64, err error) {
	t, ok := s.(trimmed)
	if !ok {
		return 0, fmt.Errorf("%T: facts cannot be taken out of this store", s)
	}
	for account, err := range t.accounts(ctx, "", "") {
		if err != nil {
			return removed, err
		}
		list, err := s.Facts(ctx, account, nil)
		if err != nil {
			return removed, err
		}
		old := unwanted(list, since)
		if len(old) == 0 {
			continue
		}
		if err := t.remove(ctx, account, old); err != nil {
			return removed, err
		}
		removed += int64(len(old))
	}
	return removed, nil
}

// unwanted are the versions of the facts of which none is asked for.
func unwanted(list []facts.Fact, since Since) (out []record) {
	for from := 0; from < len(list); {
		to, wanted := from, false
		for ; to < len(list) && list[to].Source == list[from].Source && list[to].ID == list[from].ID; to++ {
			wanted = wanted || since(list[to].Source, list[to].Occurred, list[to].End)
		}
		for ; !wanted && from < to; from++ {
			f := &list[from]
			out = append(out, record{account: f.Account, source: f.Source, id: f.ID, arrived: f.Arrived, content: encode(nil, f)})
		}
		from = to
	}
	return out
}
