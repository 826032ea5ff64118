package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"propensity/serve"
	"propensity/serve/database"
)

const defaultLedger = "sqlite:ledger.db"

// ledgerFlags say what a server remembers.
type ledgerFlags struct {
	address    string
	sync       bool
	rows, keep string
}

func (o *ledgerFlags) describe(f *pflag.FlagSet) {
	ledgerFlag(f, &o.address)
	f.Lookup("ledger").Usage += "; off: nothing is kept"
	f.BoolVar(&o.sync, "ledger-sync", false, "no score goes out before it is in the ledger")
	f.StringVar(&o.rows, "ledger-rows", "on", "`on` or off: keep the rows that were scored")
	f.StringVar(&o.keep, "ledger-keep", "", "how long scores are kept, such as `400d` (default: for ever)")
}

// ledgerFlag names the database of the ledger.
func ledgerFlag(f *pflag.FlagSet, address *string) {
	f.StringVar(address, "ledger", defaultLedger, "`address` of the ledger: sqlite:PATH or postgres://...; ${env:NAME} and ${file:PATH} in it stand for secrets")
}

// fill opens the database and puts it in cfg; close is to be called after the server's.
func (o *ledgerFlags) fill(ctx context.Context, cfg *serve.Config) (closing func(), err error) {
	closing = func() {}
	switch o.rows {
	case "", "on", "off":
		cfg.LedgerNoRows = o.rows == "off"
	default:
		return closing, fmt.Errorf("%w: --ledger-rows %q: use on or off", errUsage, o.rows)
	}
	cfg.LedgerSync = o.sync
	if o.keep != "" {
		if cfg.LedgerKeep, err = parseDays(o.keep); err != nil {
			return closing, fmt.Errorf("%w: --ledger-keep: %w", errUsage, err)
		}
	}
	if o.address == "off" || o.address == "" {
		if o.sync {
			return closing, fmt.Errorf("%w: --ledger-sync needs a ledger", errUsage)
		}
		return closing, nil
	}
	if cfg.Database, err = openDatabase(ctx, o.address); err != nil {
		return closing, fmt.Errorf("%w; name another place for what the server is to remember, or say --ledger off", err)
	}
	return func() { _ = cfg.Database.Close() }, nil
}

// openDatabase opens the database that --ledger names.
func openDatabase(ctx context.Context, address string) (*database.DB, error) {
	db, err := database.Open(ctx, address)
	if errors.Is(err, database.ErrAddress) {
		return nil, fmt.Errorf("%w: --ledger: %w", errUsage, err)
	}
	if err != nil {
		return nil, fmt.Errorf("--ledger: %w", err)
	}
	return db, nil
}

// parseDays reads a length of time in days (400d) or as Go spells one (36h).
func parseDays(text string) (time.Duration, error) {
	const most = 36500
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && strings.TrimLeft(text, "0123456789") == "d" && days > 0 && days <= most {
		return time.Duration(days) * 24 * time.Hour, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q is no length of time: write days as 400d, or hours as 36h", text)
}
