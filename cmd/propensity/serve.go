package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"propensity/serve"
)

func (a *app) serveCommand() *cobra.Command {
	var addr, store string
	var poll time.Duration
	var parts serveParts
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve scores over HTTP from the registry",
		Long: `Serve scores over HTTP. A moved alias is picked up without a restart; a version
that fails its own replay rows never takes traffic. With --store an account is scored
by its id alone, from the facts that were posted or loaded (propensity load).

  POST /v1/models/{name}/score        one account
  POST /v1/models/{name}/score:batch  many, as a JSON array or NDJSON
  POST /v1/events                     facts, with --store
  PUT, GET /v1/accounts/{id}          attributes; what is known of an account
  GET  /v1/models, /v1/models/{name}, /livez, /readyz, /metrics`,
		Example: `  propensity serve --addr 127.0.0.1:8080`,
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), addr, store, poll, &parts, nil) },
	}
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:8080", "`host:port` to listen on")
	c.Flags().DurationVar(&poll, "poll", time.Second, "how often to look for moved aliases")
	storeFlag(c, &store)
	parts.describe(c.Flags())
	return c
}

// serveParts are the flags of the parts of a server, each in a file of its own.
type serveParts struct {
	ledger ledgerFlags
	access accessFlags
	notify notifyFlags
	change changeFlags
}

func (p *serveParts) describe(f *pflag.FlagSet) {
	p.ledger.describe(f)
	p.access.describe(f)
	p.notify.describe(f)
	p.change.describe(f)
}

// serve serves until ctx is done; ready, which may be nil, is told the address.
func (a *app) serve(ctx context.Context, addr, store string, poll time.Duration, parts *serveParts, ready func(addr string)) error {
	level := slog.LevelInfo
	if a.quiet {
		level = slog.LevelError
	}
	logger := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	// On one processor Go runs one thread, and a write of a store, one long row of system
	// calls, would hold up every answer; of two threads the system lets both go on.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	cfg := serve.Config{Registry: a.open(), Logger: logger, Poll: poll}
	if store != "" {
		facts, err := openStore(ctx, store)
		if err != nil {
			return err
		}
		defer facts.Close()
		cfg.Store = facts
	}
	parts.access.fill(&cfg)
	parts.change.fill(&cfg)
	closeLedger, err := parts.ledger.fill(ctx, &cfg)
	if err != nil {
		return err
	}
	defer closeLedger()
	if err := parts.notify.fill(&cfg); err != nil {
		return err
	}
	s, err := serve.New(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	err = s.Run(ctx, addr, func(addr string) {
		a.say("serving on %s%s (Ctrl-C to stop)", parts.access.scheme(), addr)
		if ready != nil {
			ready(addr)
		}
	})
	if errors.Is(err, serve.ErrOpen) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return err
}
