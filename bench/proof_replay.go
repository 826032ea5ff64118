package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"propensity/datasets"
	"propensity/datasets/sample"
	engine "propensity/features/build"
	"propensity/features/build/twin"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/features/spec"
)

// replayProof adds facts to the stores as they arrive and asks for rows as time
// passes. The stores in Postgres and Redis are asked where the environment names them;
// what is added there stays, under names of its own.
func replayProof() proof {
	return proof{
		name: "replay",
		what: "Facts added to each store as they arrive (between two moments in any order, in calls of any size, some twice, some ahead of time), " +
			"and rows asked for at each moment: they are those of the table made of all facts at the end, bit for bit. " +
			"Random projects of every aggregate; each fiftieth case is the simulated company, from its raw files.",
		n:   2000,
		run: proveReplay,
	}
}

// replay is one history on its way into the stores.
type replay struct {
	run      *run
	stores   []*online.Accounts
	project  *spec.Project
	plan     *engine.Plan
	facts    []facts.Fact // by arrival
	moments  []asked      // by time
	rng      *rand.Rand
	compared int
}

// asked is a row of the table.
type asked struct {
	account string
	at      int64
	columns []datasets.Column
	row     int
}

func proveReplay(ctx context.Context, r *run) error {
	var stores []online.Store
	for _, at := range []string{"memory:", "sqlite:" + filepath.Join(r.dir, "facts.db"), os.Getenv("PROPENSITY_POSTGRES"), os.Getenv("PROPENSITY_REDIS")} {
		if at == "" {
			continue
		}
		s, err := online.Open(ctx, at)
		if err != nil {
			return err
		}
		defer s.Close()
		stores = append(stores, s)
	}
	return r.each(ctx, func(ctx context.Context, i int, rng *rand.Rand) error {
		p := &replay{run: r, rng: rng}
		for _, s := range stores {
			p.stores = append(p.stores, online.NewAccounts(s, rng.Int64N(1<<22)))
		}
		prefix := fmt.Sprintf("%d.%d.", time.Now().UnixNano(), i)
		draw := p.random
		if i%50 == 49 {
			draw = p.company
		}
		if err := draw(ctx, prefix); err != nil {
			return err
		}
		return p.play(ctx)
	})
}

// random draws a project and facts.
func (p *replay) random(_ context.Context, prefix string) error {
	c, err := twin.Draw(p.rng)
	if err != nil {
		return err
	}
	p.project, p.plan = c.Project, c.Plan
	for i, f := range c.Facts {
		f.Account = prefix + f.Account
		if f.ID == "" {
			f.ID = fmt.Sprintf("#%06d", i)
		}
		if f.Occurred == datasets.MissingTime {
			f.Occurred, f.Arrived = facts.Always, facts.Always
		}
		p.facts = append(p.facts, f)
	}
	part, err := facts.Assemble(p.project, nil, p.facts)
	if err != nil {
		return err
	}
	p.run.tally("random projects")
	return p.ask(part, twin.Moments(p.rng, part, 12), "")
}

// company simulates a company and reads its raw files.
func (p *replay) company(ctx context.Context, prefix string) error {
	dir := filepath.Join(p.run.dir, "company")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if _, err := sample.Export(sample.Options{Accounts: 60, Seed: p.rng.Uint64()}, dir); err != nil {
		return err
	}
	project, err := spec.Parse(sample.Project())
	if err != nil {
		return err
	}
	o := facts.ReadOptions{Dir: dir, AsOf: sample.AsOf, Now: sample.AsOf}
	c, err := facts.Read(ctx, project, o)
	if err != nil {
		return err
	}
	defer c.Close()
	p.project = project
	if p.plan, err = engine.Compile(project); err != nil {
		return err
	}
	if _, err := online.Each(ctx, project, o, func(list []facts.Fact) error {
		for _, f := range list {
			f.Account = prefix + f.Account
			if s := project.Source(f.Source); s.FromAccount != "" {
				f.Values[s.FromAccount] = datasets.Value{Kind: datasets.Text, Text: prefix + f.Values[s.FromAccount].Text}
			}
			p.facts = append(p.facts, f)
		}
		return nil
	}); err != nil {
		return err
	}
	for i := range c.Parts() {
		part, err := c.Part(i)
		if err != nil {
			return err
		}
		var moments []engine.Moment
		for _, m := range project.Models {
			list, err := p.plan.Moments(m.Name, part, sample.AsOf)
			if err != nil {
				return err
			}
			moments = append(moments, list...)
		}
		slices.SortFunc(moments, func(a, b engine.Moment) int {
			return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.At, b.At))
		})
		if err := p.ask(part, slices.Compact(moments), prefix); err != nil {
			return err
		}
	}
	p.run.tally("simulated companies")
	return nil
}

// ask makes the table's rows of some moments.
func (p *replay) ask(part *facts.Part, moments []engine.Moment, prefix string) error {
	columns, err := p.plan.Rows(part, moments)
	if err != nil {
		return err
	}
	for row, m := range moments {
		p.moments = append(p.moments, asked{prefix + part.Accounts[m.Account], m.At, columns, row})
	}
	return nil
}

// play adds and asks in the order of time.
func (p *replay) play(ctx context.Context) error {
	slices.SortStableFunc(p.facts, func(a, b facts.Fact) int { return cmp.Compare(a.Arrived, b.Arrived) })
	slices.SortStableFunc(p.moments, func(a, b asked) int { return cmp.Compare(a.at, b.at) })
	added := 0
	for i, m := range p.moments {
		if i == 0 || p.moments[i-1].at != m.at {
			to := added
			for to < len(p.facts) && p.facts[to].Arrived < m.at {
				to++
			}
			ahead := min(len(p.facts), to+p.rng.IntN(4))
			if err := p.add(ctx, p.facts[added:ahead]); err != nil {
				return err
			}
			added = to
		}
		for k, s := range p.stores {
			got, err := s.Row(ctx, p.plan, m.account, m.at)
			if errors.Is(err, online.ErrUnknown) && !p.known(m) {
				continue
			}
			if err == nil {
				err = m.same(got)
			}
			if err != nil {
				return fmt.Errorf("store %d, account %s at %s: %w", k, m.account, datasets.FormatTime(m.at), err)
			}
			p.compared++
		}
	}
	p.run.state.Tally["rows"] += p.compared
	return nil
}

// add adds facts in any order, in calls of any size, some twice.
func (p *replay) add(ctx context.Context, list []facts.Fact) error {
	list = slices.Clone(list)
	for _, f := range list {
		if p.rng.IntN(4) == 0 {
			list = append(list, f)
		}
	}
	p.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for len(list) > 0 {
		n := 1 + p.rng.IntN(min(len(list), 5000))
		for _, s := range p.stores {
			if err := s.Append(ctx, []*spec.Project{p.project}, list[:n]); err != nil {
				return err
			}
		}
		list = list[n:]
	}
	return nil
}

// known says whether anything was known of the account.
func (p *replay) known(m asked) bool {
	return slices.ContainsFunc(p.facts, func(f facts.Fact) bool {
		return f.Account == m.account && f.Occurred < m.at && f.Arrived < m.at
	})
}

// same says where a row differs from the table's.
func (m asked) same(got []datasets.Column) error {
	if len(got) != len(m.columns) {
		return fmt.Errorf("%d columns, and the table has %d", len(got), len(m.columns))
	}
	for j := range got {
		g, w := got[j].At(0), m.columns[j].At(m.row)
		if g.Kind != w.Kind || g.Text != w.Text || g.Time != w.Time || math.Float64bits(g.Number) != math.Float64bits(w.Number) {
			return fmt.Errorf("%s is %q (%v), and %q (%v) in the table", got[j].Name, g, g.Number, w, w.Number)
		}
	}
	return nil
}
