package serve

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"

	"propensity/features/online"
	"propensity/models/registry"
)

// Check looks at all that a server would be made from, without serving and without
// changing anything, and gives what is wrong, all at once: the Config, keys and TLS files,
// an address that others reach without keys, a store or database that does not answer, and
// each version that an alias points at and that does not load and replay.
func Check(ctx context.Context, cfg Config, addr string) (faults []error) {
	if err := cfg.complete(); err != nil {
		return []error{err}
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Server{cfg: cfg, log: cfg.Logger, metrics: newMetrics()}
	defer s.background.Wait()
	defer cancel()
	if err := s.openAccess(ctx); err != nil {
		faults = append(faults, err)
	} else if at, err := net.ResolveTCPAddr("tcp", addr); err != nil {
		faults = append(faults, fmt.Errorf("the address: %w", err))
	} else if at.IP == nil {
		faults = append(faults, s.mayServe(&net.TCPAddr{IP: net.IPv6unspecified, Port: at.Port}))
	} else {
		faults = append(faults, s.mayServe(at))
	}
	wait, done := context.WithTimeout(ctx, storeTimeout)
	defer done()
	if cfg.Store != nil {
		if err := online.NewAccounts(cfg.Store, 0).Ping(wait); err != nil {
			faults = append(faults, fmt.Errorf("the store of facts: %w", err))
		}
	}
	if cfg.Database != nil {
		if err := cfg.Database.PingContext(wait); err != nil {
			faults = append(faults, fmt.Errorf("the database of the ledger: %w", err))
		}
	}
	faults = append(faults, checkModels(ctx, cfg.Registry)...)
	kept := faults[:0]
	for _, err := range faults {
		if err != nil {
			kept = append(kept, err)
		}
	}
	return kept
}

// checkModels loads and replays each version that an alias points at.
func checkModels(ctx context.Context, r *registry.Registry) (faults []error) {
	names, err := r.Models()
	if err != nil {
		return []error{err}
	}
	if len(names) == 0 {
		return []error{fmt.Errorf("the registry has no models: train one (propensity train)")}
	}
	for _, name := range names {
		aliases, err := r.Aliases(name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if _, ok := aliases[registry.Champion]; !ok {
			faults = append(faults, fmt.Errorf("%s has no %s: nothing is scored by its name alone", name, registry.Champion))
		}
		seen := map[int]bool{}
		for _, alias := range slices.Sorted(maps.Keys(aliases)) {
			number := aliases[alias]
			if seen[number] || ctx.Err() != nil {
				continue
			}
			seen[number] = true
			if _, _, err := r.Load(registry.Ref{Name: name, Version: number}); err != nil {
				faults = append(faults, fmt.Errorf("%s@%s is version %d, which cannot be served: %w", name, alias, number, err))
			}
		}
	}
	return faults
}
