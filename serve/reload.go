package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
	"propensity/serve/monitor"
)

// version is one version of a model, loaded, replayed and warm. It never changes.
type version struct {
	name    string
	number  int
	hash    string
	scorer  *models.Scorer
	live    live
	leftOut map[string]string             // column: why it is not used
	scores  map[string]prometheus.Counter // by band
	canary  *canary                       // who answers for some accounts in its place; nil: nobody
	columns columns
	counts  *monitor.Live
	watched []watched // columns that rules of usage are about
}

// state is what the server answers from. It never changes: whoever holds refreshing puts
// a new one in its place, and a request takes what it needs of it once.
type state struct {
	models  map[string]*model
	loading bool   // the first look at the registry is not over
	cause   string // why the registry cannot be listed
}

// model is one model with the versions its aliases point at.
type model struct {
	stamp    string
	aliases  map[string]pointer
	canary   pointer  // its version; wants 0 if there is none
	share    float64  // of the accounts that the canary answers for
	front    *version // answers for the bare name; nil: the champion for all accounts
	pair     *pair    // the champion and the challenger that is scored with it; nil: none is
	cause    string   // why its aliases cannot be read
	failures int      // in a row
	retry    time.Time
}

// pointer is where an alias points. If the version it should serve cannot be
// loaded, the one before stays, nil if there was none, and cause says why.
type pointer struct {
	version *version
	want    int
	cause   string
}

// maxRetry bounds the growing wait before a failed load is tried again.
const maxRetry = time.Minute

// watch looks at the registry at once and then at every tick.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
	for {
		s.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// refresh brings the state up to the registry, a model at a time, so that one
// slow or damaged model holds up no other.
func (s *Server) refresh(ctx context.Context) {
	was := s.state.Load() // first: a model that comes meanwhile is not taken for gone
	names, err := s.cfg.Registry.Models()
	if err != nil {
		if cause := "the registry: " + causeOf(err); cause != was.cause {
			s.log.Error("registry cannot be listed", slog.Any("error", err))
			s.change(func(now *state) { now.loading, now.cause = false, cause })
		}
		return
	}
	for name := range was.models {
		if !slices.Contains(names, name) {
			s.forget(name, was.models[name])
			s.change(func(now *state) { delete(now.models, name) })
		}
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return
		}
		s.refreshOne(name, true)
	}
	s.pinned.drop(func(name string, number int) bool {
		_, err := s.cfg.Registry.Resolve(registry.Ref{Name: name, Version: number})
		return errors.Is(err, registry.ErrNotFound)
	})
	if now := s.state.Load(); now.loading || now.cause != "" {
		s.change(func(now *state) { now.loading, now.cause = false, "" })
	}
}

// refreshOne brings one model up to the registry and gives what is served of it then. If
// patient, what failed is not tried again before its time.
func (s *Server) refreshOne(name string, patient bool) *model {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	before := s.state.Load().models[name]
	now := s.refreshModel(name, before, patient)
	if now != before {
		s.changeLocked(func(st *state) { st.models[name] = now })
	}
	return now
}

// change puts another state in the place of the present one.
func (s *Server) change(with func(now *state)) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	s.changeLocked(with)
}

func (s *Server) changeLocked(with func(now *state)) {
	now := *s.state.Load()
	if now.models = maps.Clone(now.models); now.models == nil {
		now.models = make(map[string]*model)
	}
	with(&now)
	s.state.Store(&now)
}

func (s *Server) forget(name string, m *model) {
	s.pinned.drop(func(other string, _ int) bool { return other == name })
	for alias := range m.aliases {
		s.metrics.loaded.DeleteLabelValues(name, alias)
	}
	s.metrics.loaded.DeleteLabelValues(name, canaryName)
	s.log.Info("model is gone", slog.String("model", name))
}

// refreshModel gives the model as the registry has it now, or before itself if
// nothing moved. What cannot be loaded leaves what was served in place.
func (s *Server) refreshModel(name string, before *model, patient bool) *model {
	if before == nil {
		before = &model{}
	}
	stamp, err := s.cfg.Registry.Stamp(name)
	wait := patient && time.Now().Before(before.retry)
	if err == nil && stamp == before.stamp && (before.failures == 0 || wait) || err != nil && wait {
		return before
	}
	now := &model{stamp: stamp, aliases: make(map[string]pointer)}
	var aliases map[string]int
	var trial registry.Canary
	if err == nil {
		aliases, err = s.cfg.Registry.Aliases(name)
	}
	if err == nil {
		trial, err = s.cfg.Registry.Canary(name)
	}
	if err != nil {
		now.aliases, now.canary, now.share, now.front, now.pair = before.aliases, before.canary, before.share, before.front, before.pair
		now.cause = "its aliases: " + causeOf(err)
		s.retryLater(now, before)
		s.metrics.reloads.WithLabelValues(name, "failure").Inc()
		s.log.Error("aliases cannot be read", slog.String("model", name), slog.Any("error", err))
		return now
	}
	s.pinned.drop(func(other string, _ int) bool { return other == name }) // reloaded if need be
	failed := false
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		p := s.follow(name, alias, aliases[alias], before, now)
		now.aliases[alias] = p
		failed = failed || p.cause != ""
	}
	if trial.Version != 0 {
		now.canary, now.share = s.follow(name, canaryName, trial.Version, before, now), trial.Share
		failed = failed || now.canary.cause != ""
	}
	if now.canary.version == nil {
		s.metrics.loaded.DeleteLabelValues(name, canaryName)
	}
	now.front = s.frontOf(now, trial)
	if s.shadow != nil {
		now.pair = s.shadow.pairOf(now, before)
	}
	for alias := range before.aliases {
		if _, ok := now.aliases[alias]; !ok {
			s.metrics.loaded.DeleteLabelValues(name, alias)
		}
	}
	if failed {
		s.retryLater(now, before)
	}
	return now
}

func (s *Server) retryLater(now, before *model) {
	now.failures = before.failures + 1
	wait := maxRetry
	if now.failures < 16 {
		wait = min(maxRetry, s.cfg.Poll<<now.failures)
	}
	now.retry = time.Now().Add(wait)
}

// follow loads the version that an alias points at, unless it is there already.
func (s *Server) follow(name, alias string, number int, before, now *model) pointer {
	was := before.at(alias)
	v, fresh, err := s.load(name, number, before, now)
	if err != nil {
		s.metrics.reloads.WithLabelValues(name, "failure").Inc()
		s.log.Error("version refused", slog.String("model", name), slog.String("alias", alias),
			slog.Int("version", number), slog.Any("error", err))
		return pointer{version: was.version, want: number, cause: fmt.Sprintf("version %d cannot be served: %s", number, causeOf(err))}
	}
	if fresh {
		s.metrics.reloads.WithLabelValues(name, "success").Inc()
	}
	if v != was.version {
		s.log.Info("version serves", slog.String("model", name), slog.String("alias", alias),
			slog.Int("version", number), slog.String("hash", v.hash))
	}
	s.metrics.loaded.WithLabelValues(name, alias).Set(float64(number))
	return pointer{version: v, want: number}
}

// load gives a version, fresh from the registry unless one with the same number
// and hash is there: a directory that was replaced by another is not mistaken.
func (s *Server) load(name string, number int, have ...*model) (v *version, fresh bool, err error) {
	for _, m := range have {
		if v := m.find(number); v != nil && s.unchanged(v) {
			return v, false, nil
		}
	}
	scorer, _, err := s.cfg.Registry.Load(registry.Ref{Name: name, Version: number})
	if err != nil {
		return nil, false, err
	}
	manifest := &scorer.Artifact().Manifest
	v = &version{
		name: name, number: number, hash: manifest.Hash, scorer: scorer, live: liveOf(scorer.Artifact(), have),
		leftOut: make(map[string]string), scores: make(map[string]prometheus.Counter),
	}
	v.columns = columnsOf(scorer)
	v.counts = s.countsOf(name, number, scorer)
	v.watched = watchedOf(scorer, s.cfg.Falls)
	for _, l := range manifest.LeftOut {
		v.leftOut[l.Column] = l.Reason
	}
	for _, b := range manifest.Bands {
		v.scores[b.Name] = s.metrics.scores.WithLabelValues(name, fmt.Sprint(number), b.Name)
	}
	s.warm(v)
	return v, true, nil
}

// warm scores an ordinary row a few times, so that the first request finds memory ready.
// The replay has gone the same ways before; a row that cannot be scored is no fault here.
func (s *Server) warm(v *version) {
	a := v.scorer.Artifact()
	row := make([]datasets.Value, len(a.Encoder.Columns))
	for j := range row {
		row[j] = ordinary(&a.Encoder.Columns[j])
	}
	w := s.works.Get().(*work)
	defer s.put(w)
	for range warmRows {
		if v.scorer.Score(&w.answer, row, exampleMoment, defaultReasons) != nil {
			return
		}
	}
}

const warmRows = 16

// at is where an alias points, or the canary under its name.
func (m *model) at(alias string) pointer {
	if alias == canaryName {
		return m.canary
	}
	return m.aliases[alias]
}

// find gives a version that is loaded; nil if it is not.
func (m *model) find(number int) *version {
	return m.any(func(v *version) bool { return v.number == number })
}

// any gives a version that is loaded and of which is says so; nil if there is none.
func (m *model) any(is func(v *version) bool) *version {
	for _, p := range m.aliases {
		if p.version != nil && is(p.version) {
			return p.version
		}
	}
	if v := m.canary.version; v != nil && is(v) {
		return v
	}
	return nil
}

func (s *Server) unchanged(v *version) bool {
	f, err := s.cfg.Registry.Read(v.name, v.number)
	if err != nil {
		return false
	}
	m, err := models.ParseManifest(f[models.ManifestFile])
	return err == nil && m.Hash == v.hash
}

// version finds the version that a reference (churn, churn@7, churn@champion)
// means at present.
func (s *Server) version(ctx context.Context, reference string) (*version, error) {
	ref, err := registry.ParseRef(reference)
	if err != nil {
		return nil, err
	}
	now := s.state.Load()
	m := now.models[ref.Name]
	if m == nil {
		if now.loading || now.cause != "" {
			return nil, refuse(503, fmt.Sprintf("model %q is not loaded; ask /readyz", ref.Name))
		}
		return nil, refuse(404, fmt.Sprintf("there is no model %q; there are: %s", ref.Name, list(now.models)))
	}
	if ref.Version != 0 {
		if v := m.find(ref.Version); v != nil {
			return v, nil
		}
		return s.pinned.get(ctx, ref.Name, ref.Version, func() (*version, error) {
			v, _, err := s.load(ref.Name, ref.Version)
			if errors.Is(err, registry.ErrNotFound) {
				return nil, refuse(404, fmt.Sprintf("model %q has no version %d", ref.Name, ref.Version))
			}
			return v, err
		})
	}
	if m.front != nil && ref.Name == reference { // neither a version nor an alias was named
		return m.front, nil
	}
	p, ok := m.aliases[ref.Alias]
	switch {
	case !ok && m.cause != "":
		return nil, refuse(503, fmt.Sprintf("model %q cannot be served: %s", ref.Name, m.cause))
	case !ok:
		return nil, refuse(404, fmt.Sprintf("model %q has no alias %q; it has: %s", ref.Name, ref.Alias, list(m.aliases)))
	case p.version == nil:
		return nil, refuse(503, fmt.Sprintf("model %q cannot be served: %s", ref, p.cause))
	}
	return p.version, nil
}

// list names what there is, in order.
func list[T any](m map[string]T) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
