package online

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"propensity/features/facts"
	"propensity/features/spec"
)

// Forget takes out of the store all facts of an account: its own, those of accounts that
// were merged into it, and those of its users, as far as the sources of the project tell
// whose they are. A user that was another account's too keeps its facts. It gives the
// number of versions that were taken out. The id and the number of changes stay, by which
// Redis, Postgres and memory tell that an account is not what it was.
func (a *Accounts) Forget(ctx context.Context, p *spec.Project, account string) (removed int64, err error) {
	t, ok := a.store.(trimmed)
	if !ok {
		return 0, fmt.Errorf("%T: facts cannot be taken out of this store", a.store)
	}
	g := gathering{accounts: a, project: p}
	if err := g.account(ctx, account); err != nil {
		return 0, err
	}
	for _, key := range slices.Sorted(maps.Keys(g.seen)) {
		list, err := a.store.Facts(ctx, key, nil)
		if err != nil {
			return removed, err
		}
		if strings.HasPrefix(key, "\x01") {
			list = ownOnly(p, list, g.seen)
		}
		if len(list) == 0 {
			continue
		}
		records := make([]record, len(list))
		for i := range list {
			f := &list[i]
			records[i] = record{account: key, source: f.Source, id: f.ID, arrived: f.Arrived, content: encode(nil, f)}
		}
		if err := t.remove(ctx, key, records); err != nil {
			return removed, err
		}
		removed += int64(len(records))
	}
	return removed, nil
}

// ownOnly leaves out, of the facts under the name of a user or a merged account, the copies
// that say that it is another account's, and then what it did itself.
func ownOnly(p *spec.Project, list []facts.Fact, seen map[string]bool) []facts.Fact {
	var copies, rest []facts.Fact
	shared := false
	for _, f := range list {
		s := p.Source(f.Source)
		if s == nil || s.Kind != spec.Users && s.Kind != spec.Merges {
			rest = append(rest, f)
			continue
		}
		if account, _, err := unindexed(f.ID); err != nil || !seen[account] {
			shared = true
			continue
		}
		copies = append(copies, f)
	}
	if shared {
		return copies
	}
	return append(copies, rest...)
}
