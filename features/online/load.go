package online

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Loaded is what Load did.
type Loaded struct {
	Facts    int64             `json:"facts"` // in the sources: those that were there already too
	Excluded []facts.Exclusion `json:"excluded"`
}

// loadBatch is how many facts are added at once.
const loadBatch = 10_000

// Load adds the facts of a project's sources, as they are read for tables. It may be
// done again, and changes nothing then; facts of sources without a column of ids get
// ids from what they are, so that of those an end or another change of a record is a
// correction of it as long as its date stays. Facts of a user count for the account
// that the user has in the sources.
func (a *Accounts) Load(ctx context.Context, p *spec.Project, o facts.ReadOptions) (Loaded, error) {
	return Each(ctx, p, o, func(list []facts.Fact) error {
		for chunk := range slices.Chunk(list, loadBatch) {
			if err := a.Append(ctx, []*spec.Project{p}, chunk); err != nil {
				return err
			}
		}
		return nil
	})
}

// Each gives the facts of a project's sources, some accounts at a time. Whose a fact
// is comes before the fact.
func Each(ctx context.Context, p *spec.Project, o facts.ReadOptions, give func(list []facts.Fact) error) (Loaded, error) {
	var out Loaded
	links, rest := *p, *p
	links.Sources, rest.Sources = nil, nil
	for i := range p.Sources {
		s := p.Sources[i]
		if s.Kind != spec.Merges {
			rest.Sources = append(rest.Sources, s)
		}
		if s.Kind == spec.Users || s.Kind == spec.Merges {
			links.Sources = append(links.Sources, linkSource(s))
		}
	}
	if len(links.Sources) > 0 {
		if err := out.each(ctx, &links, o, nil, give); err != nil {
			return out, err
		}
	}
	cameBefore := func(f facts.Fact) bool { return p.Source(f.Source).Kind == spec.Users }
	err := out.each(ctx, &rest, o, cameBefore, give)
	return out, err
}

// linkSource is a source of users or merges read as if it were one of events, with the
// column of what it links.
func linkSource(s spec.Source) spec.Source {
	column := s.User
	if s.Kind == spec.Merges {
		column, s.Account = s.FromAccount, s.Into
	}
	s.Kind, s.User, s.FromAccount, s.Into = spec.Events, "", "", ""
	s.Columns = slices.Clone(s.Columns)
	if i := slices.IndexFunc(s.Columns, func(c spec.Column) bool { return c.Name == column }); i >= 0 {
		s.Columns[i].Kind = datasets.Text
	} else {
		s.Columns = append(s.Columns, spec.Column{Name: column, Kind: datasets.Text})
		slices.SortFunc(s.Columns, func(a, b spec.Column) int { return cmp.Compare(a.Name, b.Name) })
	}
	return s
}

func (l *Loaded) each(ctx context.Context, p *spec.Project, o facts.ReadOptions, drop func(f facts.Fact) bool, give func(list []facts.Fact) error) error {
	c, err := facts.Read(ctx, p, o)
	if err != nil {
		return err
	}
	defer c.Close()
	l.Excluded = append(l.Excluded, c.Excluded()...)
	for i := range c.Parts() {
		list, err := c.List(i)
		if err != nil {
			return err
		}
		if drop != nil {
			list = slices.DeleteFunc(list, drop)
		}
		if err := give(list); err != nil {
			return fmt.Errorf("after %d facts: %w", l.Facts, err)
		}
		l.Facts += int64(len(list))
	}
	return nil
}
