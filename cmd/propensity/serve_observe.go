package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/spf13/pflag"

	"propensity/serve"
)

// observeFlags say what a server tells of itself.
type observeFlags struct {
	format, pprof string
	requests      bool
}

func (o *observeFlags) describe(f *pflag.FlagSet) {
	f.StringVar(&o.format, "log", "text", "form of the log: `text` or json")
	f.BoolVar(&o.requests, "log-requests", false, "a line in the log for each request: its id and route, never an account or a value")
	f.StringVar(&o.pprof, "pprof", "", "`address` of this machine, such as 127.0.0.1:6060, at which profiles of the process can be had")
}

// fill puts them in cfg.
func (o *observeFlags) fill(cfg *serve.Config) { cfg.LogRequests = o.requests }

// logger writes the server's log.
func (o *observeFlags) logger(w io.Writer, quiet bool) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if quiet {
		options.Level = slog.LevelError
	}
	switch o.format {
	case "", "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("%w: --log %q: use text or json", errUsage, o.format)
}

// check says what is wrong with the address of profiles.
func (o *observeFlags) check() error {
	if o.pprof == "" {
		return nil
	}
	at, err := net.ResolveTCPAddr("tcp", o.pprof)
	if err != nil {
		return fmt.Errorf("--pprof: %w", err)
	}
	if !at.IP.IsLoopback() {
		return fmt.Errorf("--pprof: %w: %s can be reached from elsewhere", serve.ErrProfiles, at)
	}
	return nil
}

// profiles serves profiles, if they are asked for, until closing is called. It returns
// once they can be had.
func (o *observeFlags) profiles(ctx context.Context, log *slog.Logger) (closing func(), err error) {
	if o.pprof == "" {
		return func() {}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- serve.RunProfiles(ctx, o.pprof, func(addr string) { ready <- addr }) }()
	select {
	case addr := <-ready:
		log.Info("profiles", slog.String("address", addr))
		return func() {
			cancel()
			<-done
		}, nil
	case err := <-done:
		cancel()
		if errors.Is(err, serve.ErrProfiles) {
			return nil, fmt.Errorf("%w: --pprof: %w", errUsage, err)
		}
		return nil, fmt.Errorf("--pprof: %w", err)
	}
}
