package serve

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"propensity/datasets"
	"propensity/models/registry"
	"propensity/serve/ledger"
)

// shadow scores what champions have scored once more, by their challengers, behind the
// answers: nobody waits for it, and what finds no room is counted and left out.
type shadow struct {
	server *Server
	// free and queue hold the same tasks, so many in all, and bytes are what those in the
	// queue hold: memory is bounded, and to put one into the queue never waits.
	free, queue chan *shadowed
	bytes       atomic.Int64
	results     *prometheus.CounterVec   // model, result
	differences *prometheus.HistogramVec // model
}

// shadowed is what is kept of one score that was given, for the challenger.
type shadowed struct {
	pair        *pair
	request     request // its text is a copy; without a text its cells are
	text        []byte
	probability float64
	band        string
	key, id     string // of the API key and of the HTTP request
	size        int64
}

// openShadow starts to score challengers, if that is wanted.
func (s *Server) openShadow(ctx context.Context) {
	s.pushing = make(chan struct{}, 1)
	if !s.cfg.Shadow {
		return
	}
	h := &shadow{
		server: s, free: make(chan *shadowed, s.cfg.ShadowQueue), queue: make(chan *shadowed, s.cfg.ShadowQueue),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "propensity_shadow_total", Help: "Scores of champions shown to challengers, by result (scored; unfit: it needs other columns; failed; dropped: there was no room).",
		}, []string{"model", "result"}),
		differences: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "propensity_shadow_difference", Help: "How far the challenger's probability is from the champion's, without sign.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
		}, []string{"model"}),
	}
	s.metrics.registry.MustRegister(h.results, h.differences)
	for range s.cfg.ShadowQueue {
		h.free <- new(shadowed)
	}
	s.shadow = h
	s.background.Go(func() { h.run(ctx) })
}

// pairOf is the champion of a model and its challenger, with what was found of them; nil
// if there are not both. Of the same two it is the pair before.
func (h *shadow) pairOf(m, before *model) *pair {
	champion, challenger := m.aliases[registry.Champion].version, m.aliases[Challenger].version
	if champion == nil || challenger == nil || champion.number == challenger.number {
		return nil
	}
	if p := before.pair; p != nil && p.champion == champion && p.challenger == challenger {
		return p
	}
	p := &pair{champion: champion, challenger: challenger, since: h.server.cfg.Now(), agreement: newAgreement(champion, challenger), difference: h.differences.WithLabelValues(champion.name)}
	for result, t := range map[string]*tally{"scored": &p.scored, "unfit": &p.unfit, "failed": &p.failed, "dropped": &p.dropped} {
		t.all = h.results.WithLabelValues(champion.name, result)
	}
	return p
}

// offer keeps a score of a champion for its challenger, if there is room.
func (h *shadow) offer(g *given) {
	m := h.server.state.Load().models[g.version.name]
	if m == nil || m.pair == nil || m.pair.champion.number != g.version.number {
		return
	}
	var t *shadowed
	size := int64(len(g.request.text) + cellBytes*len(g.request.row))
	if h.bytes.Add(size) <= maxShadowBytes {
		select {
		case t = <-h.free:
		default:
		}
	}
	if t == nil {
		h.bytes.Add(-size)
		m.pair.dropped.add()
		return
	}
	t.size = size
	t.pair, t.probability, t.band, t.key, t.id = m.pair, g.answer.Probability, g.answer.Band, caller(g.c), requestID(g.c)
	t.text = append(t.text[:0], g.request.text...)
	t.request = request{account: cloneText(g.request.account), moment: g.request.moment}
	if g.request.text != nil {
		t.request.text = t.text
	} else {
		t.request.store = g.request.store
		t.request.row, t.request.present = cloneCells(g.request.row), slices.Clone(g.request.present)
	}
	h.queue <- t
}

// cloneText copies a text that may lie in memory that is used again.
func cloneText(text string) string { return string([]byte(text)) }

func cloneCells(row []datasets.Value) []datasets.Value {
	out := make([]datasets.Value, len(row))
	for j := range row {
		out[j] = row[j]
		out[j].Text = cloneText(row[j].Text)
	}
	return out
}

func (h *shadow) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-h.queue:
			h.score(ctx, t)
			if cap(t.text) > maxShadowText {
				t.text = nil
			}
			h.bytes.Add(-t.size)
			t.pair, t.request = nil, request{}
			h.free <- t
		}
	}
}

const (
	// maxShadowBytes bounds what waits for challengers, and maxShadowText what a task holds
	// on to between requests.
	maxShadowBytes = 16 << 20
	maxShadowText  = 16 << 10
	cellBytes      = 64 // of a cell, about
)

// score has the challenger score, without reasons, and compares. A fault of ours costs
// that one score.
func (h *shadow) score(ctx context.Context, t *shadowed) {
	s, p := h.server, t.pair
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("panic in the shadow", slog.Any("value", v))
			p.failed.add()
		}
	}()
	w := s.works.Get().(*work)
	defer s.put(w)
	q, v := &w.request, p.challenger
	q.keep(&t.request)
	fits, err := s.refit(q, p.champion, v, "")
	if q.text == nil && q.store { // its cells are of the champion's features already
		fits, q.store = fits && bytes.Equal(p.champion.scorer.Artifact().Features, v.scorer.Artifact().Features), false
	}
	if fits && q.store {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		_, err = s.fill(ctx, v, q, "")
		cancel()
	}
	if fits && err == nil {
		err = v.scorer.Score(&w.answer, q.row, q.moment, 0)
	}
	switch {
	case !fits || err != nil && problemOf(err).Status < http.StatusInternalServerError:
		p.unfit.add()
		return
	case err != nil:
		if p.failed.own.Load() == 0 { // the rest is counted
			s.log.Warn("a challenger could not be scored", slog.String("model", v.name), slog.Int("version", v.number), slog.Any("error", err))
		}
		p.failed.add()
		return
	}
	p.scored.add()
	p.difference.Observe(p.compare(t.probability, t.band, w.answer.Probability, w.answer.Band))
	s.recordShadow(t, w)
}

// recordShadow hands the challenger's score to the ledger.
func (s *Server) recordShadow(t *shadowed, w *work) {
	if s.ledger == nil {
		return
	}
	v, q, a := t.pair.challenger, &w.request, &w.answer
	// What cannot be kept the ledger counts and tells of.
	_ = s.ledger.Record(&ledger.Score{
		At: s.now(), Key: t.key, Request: t.id, Origin: ledger.OriginShadow,
		Account: q.account, Model: v.name, Version: v.number, Hash: v.hash, AsOf: q.moment,
		Columns: v.columns.names, Kinds: v.columns.kinds, Row: q.row, Horizon: v.columns.horizon,
		Probability: a.Probability, Raw: a.Raw, Score: a.Score, Percentile: a.Percentile, Band: a.Band,
	})
}

// getShadow tells how far the challenger agrees with the champion.
func (s *Server) getShadow(c *gin.Context) {
	name, err := modelName(c)
	var m *model
	switch {
	case err != nil:
	case s.shadow == nil:
		err = refuse(http.StatusNotImplemented, "this server scores no challengers: start it with --shadow")
	default:
		if m = s.state.Load().models[name]; m == nil {
			err = errNoModel(name)
		} else if m.pair == nil {
			err = refuse(http.StatusNotFound, "model "+name+" has no "+Challenger+" beside its champion: point that alias at another version")
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readJSON(c, m.pair.report())
}
