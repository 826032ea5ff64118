package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"propensity/features/facts"
	"propensity/features/online"
)

func (a *app) loadCommand() *cobra.Command {
	var store string
	var o facts.ReadOptions
	c := &cobra.Command{
		Use:   "load",
		Short: "Bring the history of the project's sources into a store of facts",
		Long: `Read the sources of the project file and add their facts to the store that serve
answers from. Load again to bring in what is new: what is there already changes nothing.

A source whose records change, such as subscriptions, needs a column of ids (id: in the
project file) for a change to be seen as one; without, records are told apart by account
and date.`,
		Example: `  propensity load --store sqlite:facts.db
  propensity serve --store sqlite:facts.db`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.load(c.Context(), store, o) },
	}
	storeFlag(c, &store)
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
