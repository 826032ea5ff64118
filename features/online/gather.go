package online

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"propensity/features/facts"
	"propensity/features/spec"
)

// Facts gives all facts that a project has to know to make rows of an account: its
// own, as facts.Assemble takes them, those of its users and of accounts merged into
// it, and what says whose they are.
func (a *Accounts) Facts(ctx context.Context, p *spec.Project, account string, since Since) ([]facts.Fact, error) {
	var list []facts.Fact
	g := gathering{accounts: a, project: p, since: since, take: func(found []record) error {
		for i := range found {
			f, err := found[i].fact()
			if err != nil {
				return err
			}
			list = append(list, f)
		}
		return nil
	}}
	err := g.account(ctx, account)
	fitted(p, list)
	return list, err
}

// gather makes a part of the facts of an account.
func (a *Accounts) gather(ctx context.Context, p *spec.Project, account string, since Since) (*facts.Part, *gathering, error) {
	to := facts.NewGather(p)
	g := &gathering{accounts: a, project: p, since: since, take: func(found []record) error {
		for len(found) > 0 {
			n := 1
			for n < len(found) && found[n].source == found[0].source {
				n++
			}
			if s := p.SourceIndex(found[0].source); s >= 0 {
				to.Grow(s, n)
				for i := range found[:n] {
					if err := found[i].gather(to, s); err != nil {
						return err
					}
				}
			}
			found = found[n:]
		}
		return nil
	}}
	if err := g.account(ctx, account); err != nil {
		return nil, nil, err
	}
	part, err := to.Part([]string{account})
	return part, g, err
}

// gathering finds the facts of an account and the keys under which they are.
type gathering struct {
	accounts *Accounts
	project  *spec.Project
	since    Since
	take     func(found []record) error // is given them by the key; nil: they are only looked for
	seen     map[string]bool
	keys     []string
	versions []uint64 // of the keys, read before their facts
}

// read gives the facts under a key, once.
func (g *gathering) read(ctx context.Context, key string) ([]record, error) {
	if g.seen[key] {
		return nil, nil
	}
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	g.seen[key] = true
	if v, ok := g.accounts.store.(versioned); ok && g.accounts.cache.most > 0 {
		version, err := v.versions(ctx, []string{key})
		if err != nil {
			return nil, err
		}
		g.keys, g.versions = append(g.keys, key), append(g.versions, version[0])
	}
	if s, ok := g.accounts.store.(recorded); ok {
		list, err := s.records(ctx, key)
		if err != nil {
			return nil, err
		}
		return wanted(list, g.since)
	}
	list, err := g.accounts.store.Facts(ctx, key, g.since)
	if err != nil {
		return nil, err
	}
	return recordsOf(list, 0)
}

// has says whether the project has a source of a kind.
func (g *gathering) has(kind spec.Kind) bool {
	return slices.ContainsFunc(g.project.Sources, func(s spec.Source) bool { return s.Kind == kind })
}

func (g *gathering) account(ctx context.Context, account string) error {
	own, err := g.read(ctx, account)
	if err != nil {
		return err
	}
	if err := g.give(own); err != nil {
		return err
	}
	if g.has(spec.Merges) {
		if err := g.indexed(ctx, fromMark+account); err != nil {
			return err
		}
	}
	if !g.has(spec.Users) && !g.has(spec.Merges) {
		return nil
	}
	for i := range own {
		s := g.project.Source(own[i].source)
		if s == nil || s.Kind != spec.Users && s.Kind != spec.Merges {
			continue
		}
		f, err := own[i].fact()
		if err != nil {
			return err
		}
		if s.Kind == spec.Users {
			if user := textOf(&f, s.User); user != "" {
				err = g.indexed(ctx, userMark+user)
			}
		} else if from := textOf(&f, s.FromAccount); from != "" && !g.seen[from] {
			err = g.account(ctx, from)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) give(found []record) error {
	if g.take == nil {
		return nil
	}
	return g.take(found)
}

// indexed adds the facts under the name of a user or a merged account, as they were
// when they were added.
func (g *gathering) indexed(ctx context.Context, key string) error {
	list, err := g.read(ctx, key)
	if err != nil {
		return err
	}
	rest := list[:0]
	for _, r := range list {
		r.account = ""
		if s := g.project.Source(r.source); s != nil && (s.Kind == spec.Users || s.Kind == spec.Merges) {
			if r.account, r.id, err = unindexed(r.id); err != nil {
				return err
			}
			if g.seen[r.account] {
				continue // it is there
			}
		}
		rest = append(rest, r)
	}
	return g.give(rest)
}

// unindexed takes the id of a copy apart.
func unindexed(text string) (account, id string, err error) {
	length, rest, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > len(rest) {
		return "", "", fmt.Errorf("%w: %q names no account", errContent, clip(text))
	}
	return rest[:n], rest[n:], nil
}
