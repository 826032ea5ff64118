package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"propensity/models/registry"
	"propensity/serve/ledger"
	"propensity/serve/notify"
)

// openNotifier starts to tell others what happens, if there is a database to keep it in
// until it is told.
func (s *Server) openNotifier(ctx context.Context) {
	if s.cfg.Database == nil {
		return
	}
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "propensity_webhooks_total", Help: "Attempts to deliver an event, by result (done; failed: it will be tried again; dead), and events that cannot be sent (unfit) or were not looked for (unseen), as there was too much to do.",
	}, []string{"result"})
	for _, result := range []string{"done", "failed", "dead", "unfit", "unseen"} {
		results.WithLabelValues(result) // from the start, so that the first one is seen as a rise
	}
	var waiting atomic.Int64
	s.metrics.registry.MustRegister(results, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "propensity_webhooks_waiting", Help: "Deliveries that wait for their next attempt.",
	}, func() float64 { return float64(waiting.Load()) }))
	s.notifier = notify.New(notify.Config{
		DB: s.cfg.Database, Logger: s.log, Now: s.cfg.Now, Private: s.cfg.WebhookPrivate, Wrap: s.traces.outgoing,
		Tried: func(result string) { results.WithLabelValues(result).Inc() },
	})
	s.background.Go(func() { s.notifier.Run(ctx) })
	always := func() <-chan struct{} { return nil }
	s.telling(ctx, "waiting", 10*time.Second, always, func(ctx context.Context) error {
		n, err := s.notifier.Waiting(ctx)
		waiting.Store(n)
		return err
	})
	s.telling(ctx, "aliases", s.cfg.Poll, always, s.aliasTeller())
	if s.ledger != nil {
		s.telling(ctx, "bands", s.cfg.Poll, s.ledger.Changed, func(ctx context.Context) error { return s.tellBands(ctx, s.ledger) })
	}
	s.telling(ctx, "drift", judgeEvery, always, func(ctx context.Context) error { return s.notifier.Drifted(ctx, s.findings()) })
	if len(s.cfg.Falls) > 0 {
		u := &usage{falls: s.cfg.Falls, seen: make(chan []notify.Usage, maxSeenUsage), unseen: results.WithLabelValues("unseen")}
		s.fallen = u
		s.background.Go(func() { u.run(ctx, s) })
	}
}

// tellPause bounds how often a source of events is looked at.
const tellPause = 100 * time.Millisecond

// telling looks at a source of events at once, whenever it wakes, and else every so
// often, until ctx is done. That it cannot is logged once, and that it can again.
func (s *Server) telling(ctx context.Context, source string, every time.Duration, wake func() <-chan struct{}, look func(context.Context) error) {
	s.background.Go(func() {
		failing := false
		for {
			woken := wake() // before the look, so that nothing falls between
			err := look(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil && !failing:
				s.log.Error("events for webhooks cannot be looked for", slog.String("source", source), slog.Any("error", err))
			case err == nil && failing:
				s.log.Info("events for webhooks are looked for again", slog.String("source", source))
			}
			failing = err != nil
			pause := time.NewTimer(min(tellPause, every))
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Reset(max(0, every-tellPause))
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			case <-woken:
			}
			pause.Stop()
		}
	})
}

// changes are the bands that accounts come into, in order: the ledger.
type changes interface {
	Changes(ctx context.Context, after int64, most int) ([]ledger.Change, error)
}

// tellBands tells of the bands that accounts have come into since it last did.
func (s *Server) tellBands(ctx context.Context, from changes) error {
	const cursor, most = "bands", 500
	for {
		at, err := s.notifier.Cursor(ctx, cursor)
		if err != nil {
			return err
		}
		list, err := from.Changes(ctx, at, most)
		if err != nil || len(list) == 0 {
			return err
		}
		var events []notify.Event
		for i := range list {
			c := &list[i]
			events = append(events, notify.Event{Type: notify.TypeBandChanged, Model: c.Model, Account: c.Account, At: c.At, Data: notify.BandChanged{
				Account: c.Account, Model: c.Model, Version: c.Version, Previous: c.From, Band: c.To, Was: c.Was, Is: c.Is,
			}})
		}
		if err := s.notifier.Advance(ctx, cursor, at, list[len(list)-1].Number, events); err != nil {
			return err
		}
	}
}

// aliasTeller gives what tells of aliases that were moved, by the logs of the registry:
// also of moves made while no server ran. A log is read when its model changes.
func (s *Server) aliasTeller() func(context.Context) error {
	told := map[string]*model{}
	return func(ctx context.Context) error {
		now := s.state.Load().models
		maps.DeleteFunc(told, func(name string, _ *model) bool { return now[name] == nil })
		var faults []error
		for _, name := range slices.Sorted(maps.Keys(now)) {
			m := now[name]
			if told[name] == m {
				continue
			}
			entries, err := s.cfg.Registry.Log(name)
			if err == nil {
				err = s.tellAliases(ctx, name, entries)
			}
			if err != nil {
				faults = append(faults, err)
			} else if logged(entries, m) {
				told[name] = m
			}
		}
		return errors.Join(faults...)
	}
}

// logged says that the log has the moves that the model is the outcome of. An alias
// moves first and is logged then; until it is, the log is read again.
func logged(entries []registry.Entry, m *model) bool {
	at := map[string]int{}
	for _, e := range entries {
		switch e.Action {
		case registry.ActionPromote, registry.ActionRollback:
			at[e.Alias] = e.Version
		case registry.ActionUnalias:
			delete(at, e.Alias)
		}
	}
	for alias, p := range m.aliases {
		if at[alias] != p.want {
			return false
		}
		delete(at, alias)
	}
	return len(at) == 0
}

// tellAliases tells of the moves in a log that were not told yet. Each log has a cursor of
// its own: servers may share their database and have each a registry.
func (s *Server) tellAliases(ctx context.Context, name string, entries []registry.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	first, err := marshal(entries[0])
	if err != nil {
		return err
	}
	hash := sha256.Sum256(first)
	cursor := "aliases " + name + " " + hex.EncodeToString(hash[:8])
	at, err := s.notifier.Cursor(ctx, cursor)
	if err != nil || at == int64(len(entries)) {
		return err
	}
	var events []notify.Event
	for _, e := range entries[min(at, int64(len(entries))):] {
		moved := notify.AliasMoved{
			Model: name, Alias: e.Alias, Version: e.Version, Previous: e.Previous, Action: e.Action,
			Actor: clipTo(e.Actor, 200), Note: clipTo(e.Note, 1000),
		}
		switch e.Action {
		case registry.ActionPromote, registry.ActionRollback:
		case registry.ActionUnalias:
			moved.Version = 0
		default:
			continue
		}
		events = append(events, notify.Event{Type: notify.TypeAliasMoved, Model: name, At: e.Time.UnixMicro(), Data: moved})
	}
	return s.notifier.Advance(ctx, cursor, at, int64(len(entries)), events)
}
