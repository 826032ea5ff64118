package online

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Accounts are the facts of a store by the account that they count for: those of its
// users and of the accounts that were merged into it too. What it asked for last it
// keeps, as long as the store says that it has not changed.
type Accounts struct {
	store Store
	clock clock
	cache cache
}

// DefaultCache is how many bytes of parts are kept in memory, about.
const DefaultCache int64 = 256 << 20

// NewAccounts reads a store, and keeps so many bytes of what it read; 0: nothing, which is
// for those who ask for each account once. It does not close the store.
func NewAccounts(s Store, keep int64) *Accounts {
	return &Accounts{store: s, cache: cache{most: keep}}
}

// Now is the present moment, later than the arrival of anything that this process has
// added and not earlier than any moment it gave before, even if the clock is set back.
func (a *Accounts) Now() int64 {
	if c, ok := a.store.(interface{ now() int64 }); ok {
		return c.now()
	}
	return a.clock.now()
}

// Ping asks whether the store answers.
func (a *Accounts) Ping(ctx context.Context) error {
	_, err := a.store.Facts(ctx, "\x01ping", nil)
	return err
}

// Limits of the names of facts, in bytes; a store keeps longer ones of its own.
const (
	MaxAccountName = 400
	MaxFactID      = 500
)

// Facts of users without an account, and what says whose they are, are kept under
// names that no account has: they are found from the user, and from the account that
// was merged.
const (
	userMark = "\x01user\x01"
	fromMark = "\x01from\x01"
)

// Append adds facts of the sources of some projects. A fact without an account is of
// the user in its column of users, and of that user's account once that is known.
func (a *Accounts) Append(ctx context.Context, projects []*spec.Project, list []facts.Fact) error {
	out := make([]facts.Fact, 0, len(list))
	for _, f := range list {
		if strings.HasPrefix(f.Account, "\x01") || len(f.Account) > MaxAccountName || len(f.ID) > MaxFactID {
			return fmt.Errorf("%w of source %q, account %q, id %q: an account has at most %d bytes and begins with no control character, an id has at most %d",
				ErrFact, clip(f.Source), clip(f.Account), clip(f.ID), MaxAccountName, MaxFactID)
		}
		var indexed []string
		for _, p := range projects {
			s := p.Source(f.Source)
			if s == nil {
				continue
			}
			user, from := textOf(&f, s.User), textOf(&f, s.FromAccount)
			switch {
			case user != "" && s.Kind == spec.Users && f.Account != "":
				indexed = append(indexed, userMark+user)
			case user != "" && s.Kind != spec.Users && f.Account == "":
				f.Account = userMark + user
			case from != "" && s.Kind == spec.Merges && f.Account != "":
				indexed = append(indexed, fromMark+from)
			}
		}
		out = append(out, f)
		slices.Sort(indexed)
		for _, key := range slices.Compact(indexed) {
			g := f
			g.Account, g.ID = key, strconv.Itoa(len(f.Account))+":"+f.Account+f.ID
			out = append(out, g)
		}
	}
	return a.store.Append(ctx, out)
}

// textOf is the text in a column that may have no name.
func textOf(f *facts.Fact, column string) string {
	if column == "" {
		return ""
	}
	return f.Values[column].String()
}

var (
	// ErrUnknown is wrapped by the error about an account of which nothing was known.
	ErrUnknown = errors.New("nothing is known of the account")
	// ErrMerged is wrapped by the error about an account that is part of another.
	ErrMerged = errors.New("the account was merged into another")
)

// Part is the facts of an account that the project's rows show at a moment, or any
// later one. The error wraps ErrUnknown if nothing that the project looks at had
// occurred and arrived before it, ErrMerged if the account was part of another by
// then, facts.ErrFact if a fact does not fit the project.
func (a *Accounts) Part(ctx context.Context, p *spec.Project, account string, moment int64) (*facts.Part, error) {
	part, err := a.part(ctx, p, account, moment)
	if err != nil {
		return nil, err
	}
	if part.Merged != nil && part.Merged[0] < moment {
		return nil, fmt.Errorf("%w: %q, as was known at %s", ErrMerged, clip(account), datasets.FormatTime(part.Merged[0]))
	}
	if known(part, 0, moment) {
		return part, nil
	}
	// What was known may be too long ago for any window to show it.
	ever, err := a.whole(ctx, p, account)
	if err != nil {
		return nil, err
	}
	if !known(ever, 0, moment) {
		return nil, fmt.Errorf("%w %q at %s", ErrUnknown, clip(account), datasets.FormatTime(moment))
	}
	return part, nil
}

// whole is the part of all facts.
func (a *Accounts) whole(ctx context.Context, p *spec.Project, account string) (*facts.Part, error) {
	part, _, err := a.gather(ctx, p, account, nil)
	return part, err
}

func (a *Accounts) part(ctx context.Context, p *spec.Project, account string, moment int64) (*facts.Part, error) {
	key := cacheKey{p, account}
	if e := a.cache.get(key, moment); e != nil {
		versions, err := a.store.(versioned).versions(ctx, e.keys)
		if err != nil {
			return nil, err
		}
		if slices.Equal(versions, e.versions) {
			return e.part, nil
		}
	}
	part, g, err := a.gather(ctx, p, account, SinceOf(p, moment))
	if err != nil {
		return nil, err
	}
	if len(g.keys) > 0 {
		a.cache.put(&entry{key: key, from: moment, keys: g.keys, versions: g.versions, part: part, size: sizeOf(part, g.keys)})
	}
	return part, nil
}

// known says whether any fact of an account had occurred and arrived before a moment.
func known(part *facts.Part, account int, moment int64) bool {
	for s := range part.Sources {
		f := &part.Sources[s]
		for i := f.First[account]; i < f.First[account+1]; i++ {
			if f.Occurred[i] < moment && (f.Arrived == nil || f.Arrived[i] < moment) {
				return true
			}
		}
	}
	return false
}
