package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"propensity/serve"
)

func (a *app) serveCommand() *cobra.Command {
	var addr, store string
	var poll time.Duration
	var parts serveParts
	var how serveHow
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve scores over HTTP from the registry",
		Long: `Serve scores over HTTP. A moved alias is picked up without a restart; a version
that fails its own replay rows never takes traffic. With --store an account is scored
by its id alone, from the facts that were posted or loaded (propensity load).

  POST /v1/models/{name}/score        one account
  POST /v1/score                      one account, by every model
  POST /v1/models/{name}/score:batch  many, as a JSON array, NDJSON or an Arrow stream
  POST /v2/models/{name}/infer        the Open Inference Protocol
  POST /invocations                   MLflow's
  POST /v1/events                     facts, with --store
  PUT, GET /v1/accounts/{id}          attributes; what is known of an account
  POST /v1/outcomes                   what then happened
  GET  /v1/accounts/{id}/scores       the scores that were given, and what became of them
  DELETE /v1/accounts/{id}            forget an account
  GET  /v1/models, /v1/models/{name}, /livez, /readyz, /metrics
  GET  /docs, /openapi.yaml           all of this API, to read and for machines

Settings come from the flags, then the environment (--max-connections is
PROPENSITY_SERVE_MAX_CONNECTIONS), then serve.yaml in the working directory or the file of
--settings, then propensity/serve.yaml in the user's configuration ($XDG_CONFIG_HOME).`,
		Example: `  propensity serve --addr 127.0.0.1:8080
  propensity serve --keys keys.json --tls-cert cert.pem --tls-key key.pem --addr :8443
  propensity serve --check             # is all there and sound? listens to nothing
  propensity serve --print-settings    # what holds, and where it was said`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.serveAs(c, &how, func(ctx context.Context) error {
				if how.check {
					return a.checkServe(ctx, addr, store, &parts)
				}
				return a.serve(ctx, addr, store, poll, &parts, nil)
			})
		},
	}
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:8080", "`host:port` to listen on")
	c.Flags().DurationVar(&poll, "poll", time.Second, "how often to look for moved aliases")
	storeFlag(c, &store)
	parts.describe(c)
	how.describe(c.Flags())
	return c
}

// serveParts are the flags of the parts of a server, each in a file of its own.
type serveParts struct {
	ledger  ledgerFlags
	observe observeFlags
	access  accessFlags
	limits  limitFlags
	monitor monitorFlags
	notify  notifyFlags
	traces  tracesFlags
	change  changeFlags
	jobs    jobsFlags
}

// flagGroup are flags that --help shows together.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

// describe adds the flags to those of c, whose --help then shows them in groups.
func (p *serveParts) describe(c *cobra.Command) {
	var groups []flagGroup
	for _, g := range []struct {
		title string
		parts []func(*pflag.FlagSet)
	}{
		{"Who may reach it", []func(*pflag.FlagSet){p.access.describe}},
		{"What it remembers, watches and tells", []func(*pflag.FlagSet){p.ledger.describe, p.monitor.describe, p.notify.describe, p.change.describe, p.jobs.describe}},
		{"Log, profiles, traces", []func(*pflag.FlagSet){p.observe.describe, p.traces.describe}},
		{"Limits of size and time", []func(*pflag.FlagSet){p.limits.describe}},
	} {
		flags := pflag.NewFlagSet(g.title, pflag.ContinueOnError)
		flags.SortFlags = false
		for _, part := range g.parts {
			part(flags)
		}
		c.Flags().AddFlagSet(flags)
		groups = append(groups, flagGroup{g.title, flags})
	}
	c.SetUsageFunc(func(c *cobra.Command) error { return groupedUsage(c, groups) })
}

// groupedUsage is the usage of a command with groups of flags; those of none come first.
func groupedUsage(c *cobra.Command, groups []flagGroup) error {
	rest := pflag.NewFlagSet(c.Name(), pflag.ContinueOnError)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !slices.ContainsFunc(groups, func(g flagGroup) bool { return g.flags.Lookup(f.Name) != nil }) {
			rest.AddFlag(f)
		}
	})
	text := "Usage:\n  " + c.UseLine() + "\n\nExamples:\n" + c.Example + "\n"
	for _, g := range slices.Concat([]flagGroup{{"Flags", rest}}, groups, []flagGroup{{"Global Flags", c.InheritedFlags()}}) {
		text += "\n" + g.title + ":\n" + g.flags.FlagUsages()
	}
	_, err := io.WriteString(c.OutOrStderr(), text)
	return err
}

// fill puts them in cfg. closing, never nil, is to be called after the server's Close.
func (p *serveParts) fill(ctx context.Context, cfg *serve.Config) (closing func(), err error) {
	p.access.fill(cfg)
	if err := errors.Join(p.limits.fill(cfg), p.monitor.fill(cfg)); err != nil {
		return func() {}, err
	}
	p.change.fill(cfg)
	p.jobs.fill(cfg)
	p.observe.fill(cfg)
	p.traces.fill(cfg)
	if closing, err = p.ledger.fill(ctx, cfg); err != nil {
		return closing, err
	}
	return closing, p.notify.fill(cfg)
}

// serve serves until ctx is done; ready, which may be nil, is told the address.
func (a *app) serve(ctx context.Context, addr, store string, poll time.Duration, parts *serveParts, ready func(addr string)) error {
	logger, err := parts.observe.logger(a.stderr, a.quiet)
	if err != nil {
		return err
	}
	// On one processor Go runs one thread, and a write of a store, one long row of system
	// calls, would hold up every answer; of two threads the system lets both go on.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	heap, stop := context.WithCancel(ctx)
	var steady sync.WaitGroup
	steady.Go(func() { serve.SteadyHeap(heap) })
	defer steady.Wait()
	defer stop()
	cfg := serve.Config{Registry: a.open(), Logger: logger, Poll: poll, Version: version()}
	if store != "" {
		facts, err := openStore(ctx, store)
		if err != nil {
			return err
		}
		defer facts.Close()
		cfg.Store = facts
	}
	closing, err := parts.fill(ctx, &cfg)
	defer closing()
	if err != nil {
		return err
	}
	closeProfiles, err := parts.observe.profiles(ctx, logger)
	if err != nil {
		return err
	}
	defer closeProfiles()
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
