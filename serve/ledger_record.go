package serve

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"propensity/datasets"
	"propensity/models"
	"propensity/serve/ledger"
)

// columns are what the ledger keeps of a version.
type columns struct {
	names   []string
	kinds   []datasets.Kind
	horizon int64 // µs; 0 is not known
}

func columnsOf(s *models.Scorer) columns {
	var c columns
	e := s.Encoder()
	for j := range e.Columns {
		c.names, c.kinds = append(c.names, e.Columns[j].Name), append(c.kinds, e.Columns[j].Kind)
	}
	c.horizon = horizonOf(s.Artifact().Manifest.Split.Horizon)
	return c
}

// horizonOf reads a horizon of a manifest, which is in days, such as 90d.
func horizonOf(text string) int64 {
	days, err := strconv.Atoi(strings.TrimSuffix(text, "d"))
	const most = 100_000
	if err != nil || days < 0 || days > most {
		return 0
	}
	return int64(days) * int64(24*time.Hour/time.Microsecond)
}

// openLedger opens the ledger, if there is a database.
func (s *Server) openLedger() {
	if s.cfg.Database == nil {
		return
	}
	s.ledger = ledger.Open(s.cfg.Database, ledger.Options{
		Sync: s.cfg.LedgerSync, NoRows: s.cfg.LedgerNoRows, Keep: s.cfg.LedgerKeep, Queue: s.cfg.LedgerQueue, Logger: s.log, Now: s.clock,
	})
	count := func(name, help string, get func(ledger.Stats) int64) {
		s.metrics.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(get(s.ledger.Stats())) }))
	}
	count("propensity_ledger_scores_total", "Scores that were committed to the ledger.", func(t ledger.Stats) int64 { return t.Committed })
	count("propensity_ledger_dropped_total", "Scores that were given and are not in the ledger.", func(t ledger.Stats) int64 { return t.Dropped })
	count("propensity_ledger_outcomes_total", "Outcomes that were reported, those that said nothing new apart.", func(t ledger.Stats) int64 { return t.Outcomes })
	count("propensity_ledger_failures_total", "Commits to the ledger that failed.", func(t ledger.Stats) int64 { return t.Failed })
	s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "propensity_ledger_queued_bytes", Help: "What the scores take that wait for the ledger.",
	}, func() float64 { return float64(s.ledger.Stats().Bytes) }))
}

func (s *Server) closeLedger() error {
	if s.ledger == nil {
		return nil
	}
	return s.ledger.Close()
}

// record hands a score to the ledger.
func (s *Server) record(g *given) error {
	if s.ledger == nil {
		return nil
	}
	v, a := g.version, g.answer
	score := ledger.Score{
		At: s.now(), Key: caller(g.c), Request: requestID(g.c), Origin: ledger.OriginRequest,
		Account: g.request.account, Model: v.name, Version: v.number, Hash: v.hash, AsOf: g.request.moment,
		Columns: v.columns.names, Kinds: v.columns.kinds, Row: g.request.row, Horizon: v.columns.horizon,
		Probability: a.Probability, Raw: a.Raw, Score: a.Score, Percentile: a.Percentile, Band: a.Band, Reasons: a.Reasons,
	}
	if !strings.HasSuffix(g.c.FullPath(), ":batch") {
		return s.ledger.Record(&score)
	}
	if kept, ok := g.c.Get(ticketsName); ok {
		return kept.(*tickets).add(s.ledger.RecordMany(g.c.Request.Context(), &score))
	}
	if s.cfg.LedgerSync {
		return s.ledger.Record(&score)
	}
	_, err := s.ledger.RecordMany(g.c.Request.Context(), &score)
	return err
}

const ticketsName = "propensity.tickets"

// tickets are those of the scores of a batch that are to go out together.
type tickets struct{ list []ledger.Ticket }

// keepMany lets the scores of a batch be committed together, where each has to be committed
// before it goes out; nil: nothing waits.
func (s *Server) keepMany(c *gin.Context) *tickets {
	if s.ledger == nil || !s.cfg.LedgerSync {
		return nil
	}
	t := new(tickets)
	c.Set(ticketsName, t)
	return t
}

func (t *tickets) add(one ledger.Ticket, err error) error {
	if n := len(t.list); err == nil && (n == 0 || t.list[n-1] != one) { // many have the same
		t.list = append(t.list, one)
	}
	return err
}

// wait waits until all scores are committed; with an error one is not.
func (t *tickets) wait() error {
	if t == nil {
		return nil
	}
	for _, one := range t.list {
		if err := one.Wait(); err != nil {
			return err
		}
	}
	t.list = t.list[:0]
	return nil
}

// needLedger is before the endpoints of the ledger.
func (s *Server) needLedger(c *gin.Context) {
	if s.ledger == nil {
		s.fail(c, errNoLedger())
	}
}

// errNoLedger is the problem of whatever needs a database where there is none.
func errNoLedger() error {
	return refuse(http.StatusNotImplemented, "this server keeps nothing: start it with a ledger, such as --ledger sqlite:ledger.db")
}

// ledgerReady adds what is not kept as it should be. Scores that wait for the database
// hold up nothing, unless none goes out before it is committed.
func (s *Server) ledgerReady(r *readiness) {
	if s.ledger == nil {
		return
	}
	switch {
	case s.ledger.Err() == nil:
	case s.cfg.LedgerSync:
		r.Ready = false
		r.Causes = append(r.Causes, "the ledger: its database does not answer")
	default:
		r.Causes = append(r.Causes, "the ledger: its database does not answer; scores wait for it")
	}
	if n := s.ledger.Stats().Dropped; n > 0 {
		r.Causes = append(r.Causes, "the ledger: "+strconv.FormatInt(n, 10)+" scores were given and are not in it")
	}
}
