package serve

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"propensity/models"
	"propensity/serve/ledger"
	"propensity/serve/monitor"
	"propensity/serve/notify"
)

const (
	// flushEvery is how often counts go to the database: what a kill forgets.
	flushEvery = 30 * time.Second
	// judgeEvery is how often the versions that aliases point at are judged for /metrics
	// and for those who are told of drift.
	judgeEvery = time.Minute
	// settledFor is how long what is known of outcomes is taken for the present: to find it
	// out, many scores are read.
	settledFor = 15 * time.Minute
	// settledOver is the time over whose scores outcomes are summed up, from when the last
	// of their horizons was over.
	settledOver = 90 * 24 * time.Hour
	// mostSettled bounds the scores that are read for it.
	mostSettled = 200_000
)

// watcher judges the versions that are served by what is counted of them.
type watcher struct {
	*monitor.Monitor

	mu      sync.Mutex
	reports []*monitor.Report // of the last round, by model and version
	settled map[*monitor.Shape]settled

	one chan struct{} // held while outcomes are read
}

type settled struct {
	at time.Time
	is *monitor.Settled
}

// holds says whether it is still taken for the present, also by a clock that was set back.
func (s *settled) holds(now time.Time) bool {
	age := now.Sub(s.at)
	return age >= 0 && age < settledFor
}

func (s *Server) openMonitor(ctx context.Context) {
	s.monitor = &watcher{
		Monitor: monitor.Open(monitor.Options{Database: s.cfg.Database, Keep: s.cfg.MonitorKeep, Now: s.clock}),
		settled: map[*monitor.Shape]settled{}, one: make(chan struct{}, 1),
	}
	s.metrics.registry.MustRegister(&monitorMetrics{s})
	s.background.Go(func() { s.watchCounts(ctx) })
}

// closeMonitor brings what was counted into the database.
func (s *Server) closeMonitor() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.monitor.Flush(ctx)
}

func (s *Server) watchCounts(ctx context.Context) {
	flush, judge := time.NewTicker(flushEvery), time.NewTicker(judgeEvery)
	defer flush.Stop()
	defer judge.Stop()
	down := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			err := s.monitor.Flush(ctx)
			if err != nil && !down && ctx.Err() == nil {
				s.log.Error("counts wait for the database", slog.Any("error", err))
			}
			down = err != nil
		case <-judge.C:
			s.judgeAll(ctx)
		}
	}
}

// countsOf is what counts the scores of a version.
func (s *Server) countsOf(name string, number int, scorer *models.Scorer) *monitor.Live {
	return s.monitor.Watch(name, number, scorer.Artifact().Hash(), func() *monitor.Shape { return monitor.NewShape(name, number, scorer) })
}

// judgeAll judges every version that an alias points at.
func (s *Server) judgeAll(ctx context.Context) {
	var reports []*monitor.Report
	seen := map[*monitor.Shape]bool{}
	numbers := map[string]bool{}
	now := s.state.Load()
	for _, name := range slices.Sorted(maps.Keys(now.models)) {
		aliases := now.models[name].aliases
		for _, alias := range slices.Sorted(maps.Keys(aliases)) {
			v := aliases[alias].version
			if v == nil || numbers[name+"@"+strconv.Itoa(v.number)] {
				continue
			}
			seen[v.counts.Shape], numbers[name+"@"+strconv.Itoa(v.number)] = true, true
			r, err := s.judgeVersion(ctx, v, s.cfg.MonitorWindow)
			if err != nil {
				if ctx.Err() == nil {
					s.log.Error("version cannot be judged", slog.String("model", name), slog.Int("version", v.number), slog.Any("error", err))
				}
				continue
			}
			reports = append(reports, r)
		}
	}
	slices.SortFunc(reports, func(a, b *monitor.Report) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Version, b.Version))
	})
	s.monitor.mu.Lock()
	defer s.monitor.mu.Unlock()
	s.monitor.reports = reports
	present := s.cfg.Now()
	maps.DeleteFunc(s.monitor.settled, func(of *monitor.Shape, is settled) bool { return !seen[of] && !is.holds(present) })
}

// judgeVersion judges a version by the scores that it gave in the last so long.
func (s *Server) judgeVersion(ctx context.Context, v *version, window time.Duration) (*monitor.Report, error) {
	now := s.cfg.Now()
	span := monitor.Span{From: now.Add(-window).UnixMicro(), To: now.UnixMicro()}
	counts, err := s.monitor.Counts(ctx, v.counts.Shape, span)
	if err != nil {
		return nil, err
	}
	settled, err := s.settledOf(ctx, v, now)
	if err != nil {
		return nil, err
	}
	return v.counts.Shape.Judge(counts, span, settled), nil
}

// settledOf is what is known of the outcomes of a version; nil without a ledger.
func (s *Server) settledOf(ctx context.Context, v *version, now time.Time) (*monitor.Settled, error) {
	if s.ledger == nil {
		return nil, nil
	}
	select {
	case s.monitor.one <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.monitor.one }()
	s.monitor.mu.Lock()
	known, ok := s.monitor.settled[v.counts.Shape]
	s.monitor.mu.Unlock()
	if ok && known.holds(now) {
		return known.is, nil
	}
	is, err := monitor.ReadOutcomes(ctx, s.ledger, v.counts.Shape, monitor.OutcomeQuery{
		Now: now.UnixMicro(), Horizon: v.columns.horizon, Over: settledOver.Microseconds(), Most: mostSettled,
	})
	if err != nil {
		return nil, err
	}
	s.monitor.mu.Lock()
	defer s.monitor.mu.Unlock()
	s.monitor.settled[v.counts.Shape] = settled{now, is}
	return is, nil
}

// judgements are those of the last round.
func (s *Server) judgements() []*monitor.Report {
	s.monitor.mu.Lock()
	defer s.monitor.mu.Unlock()
	return s.monitor.reports
}

// findings says of each column of the versions that were judged last, and of their
// answers and outcomes under no column, whether something is the matter. Of a version that
// was asked too little to tell there is nothing.
func (s *Server) findings() []notify.Finding {
	var out []notify.Finding
	for _, r := range s.judgements() {
		out = append(out, findingsOf(r)...)
	}
	return out
}

func findingsOf(r *monitor.Report) []notify.Finding {
	found := map[string]monitor.Finding{}
	for _, f := range r.Findings {
		if _, ok := found[f.Column]; !ok {
			found[f.Column] = f
		}
	}
	names := []string{""}
	for i := range r.Columns {
		names = append(names, r.Columns[i].Name)
	}
	var out []notify.Finding
	for _, name := range names {
		f, ok := found[name]
		if ok || r.Verdict != monitor.Wait {
			out = append(out, notify.Finding{Model: r.Model, Version: r.Version, Column: name, Found: ok, Verdict: f.Verdict, Detail: f.Detail})
		}
	}
	return out
}

var _ monitor.Ledger = (*ledger.Ledger)(nil)
