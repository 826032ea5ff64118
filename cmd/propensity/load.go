package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"propensity/features/facts"
	"propensity/features/online"
	"propensity/features/spec"
	"propensity/models/registry"
)

func (a *app) loadCommand() *cobra.Command {
	var store string
	var trim bool
	c := &cobra.Command{
		Use:   "load",
		Short: "Bring the history of the project's sources into a store of facts",
		Long: `Read the sources of the project file and add their facts to the store that serve
answers from. Load again to bring in what is new: what is there already changes nothing.

A source whose records change, such as subscriptions, needs a column of ids (id: in the
project file) for a change to be seen as one; without, records are told apart by account
and date.

With --trim, facts go that no feature can show any more, neither of the project nor of
a version that an alias points at: those beyond the longest window. Rows as of earlier
moments may lack something afterwards.`,
		Example: `  propensity load --store sqlite:facts.db
  propensity serve --store sqlite:facts.db`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.load(c.Context(), store, facts.ReadOptions{}); err != nil || !trim {
				return err
			}
			return a.trim(c.Context(), store)
		},
	}
	storeFlag(c, &store)
	c.Flags().BoolVar(&trim, "trim", false, "afterwards, take out what no feature can show any more")
	return c
}

// storeFlag names the store of facts.
func storeFlag(c *cobra.Command, store *string) {
	c.Flags().StringVar(store, "store", "", "`url` of the store of facts: sqlite:PATH, postgres://..., redis://... or memory:; ${env:NAME} and ${file:PATH} in it stand for secrets")
}

// openStore opens the store that a flag names.
func openStore(ctx context.Context, at string) (online.Store, error) {
	s, err := online.Open(ctx, at)
	if errors.Is(err, online.ErrURL) {
		return nil, fmt.Errorf("%w: --store: %w", errUsage, err)
	}
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	return s, nil
}

func (a *app) load(ctx context.Context, at string, o facts.ReadOptions) error {
	if at == "" {
		return fmt.Errorf("%w: name the store to load into: --store sqlite:facts.db", errUsage)
	}
	p, dir, err := a.features()
	if err != nil {
		return err
	}
	s, err := openStore(ctx, at)
	if err != nil {
		return err
	}
	defer s.Close()
	start := time.Now()
	o.Dir, o.Now = dir, start.UnixMicro()
	sum, err := online.NewAccounts(s, 0).Load(ctx, p, o)
	if err != nil {
		return err
	}
	for _, e := range sum.Excluded {
		a.say("%s", e)
	}
	if a.json {
		return a.printJSON(sum)
	}
	fmt.Fprintf(a.stdout, "%d facts are in the store, after %s\n", sum.Facts, time.Since(start).Round(time.Millisecond))
	return nil
}

// trim takes out of a store what nothing can show from now on.
func (a *app) trim(ctx context.Context, at string) error {
	p, _, err := a.features()
	if err != nil {
		return err
	}
	s, err := openStore(ctx, at)
	if err != nil {
		return err
	}
	defer s.Close()
	since, err := a.shown(p, time.Now().UnixMicro())
	if err != nil {
		return err
	}
	removed, err := online.Trim(ctx, s, since)
	if err != nil {
		return err
	}
	a.say("%d facts that no feature can show any more were taken out", removed)
	return nil
}

// shown are the facts that a project, or a version that an alias points at, can show at
// a moment or later.
func (a *app) shown(p *spec.Project, moment int64) (online.Since, error) {
	all := []online.Since{online.SinceOf(p, moment)}
	r := a.open()
	names, err := r.Models()
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	for _, name := range names {
		aliases, err := r.Aliases(name)
		if err != nil {
			return nil, err
		}
		for _, version := range aliases {
			scorer, _, err := r.Load(registry.Ref{Name: name, Version: version})
			if err != nil {
				return nil, err
			}
			if text := scorer.Artifact().Features; len(text) > 0 {
				q, err := spec.Parse(text)
				if err != nil {
					return nil, fmt.Errorf("%s version %d: %w", name, version, err)
				}
				all = append(all, online.SinceOf(q, moment))
			}
		}
	}
	return func(source string, occurred, end int64) bool {
		return slices.ContainsFunc(all, func(since online.Since) bool { return since(source, occurred, end) })
	}, nil
}
