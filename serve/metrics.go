package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are kept in a registry of their own. Their labels are routes, models,
// versions, aliases and bands; never an account.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // route, code
	seconds  *prometheus.HistogramVec // route
	scores   *prometheus.CounterVec   // model, version, band
	reloads  *prometheus.CounterVec   // model, result
	loaded   *prometheus.GaugeVec     // model, alias
	facts    *prometheus.CounterVec   // result
	rows     *prometheus.CounterVec   // model, result
	canary   *prometheus.CounterVec   // model, result
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "propensity_requests_total", Help: "HTTP requests by route and status code.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "propensity_request_seconds", Help: "Time from a request's header to the end of its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"route"}),
		scores: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "propensity_scores_total", Help: "Rows scored by model, version and band.",
		}, []string{"model", "version", "band"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "propensity_reloads_total", Help: "Versions loaded for an alias, by result (success, failure).",
		}, []string{"model", "result"}),
		loaded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "propensity_loaded_version", Help: "The version that answers for an alias.",
		}, []string{"model", "alias"}),
	}
	m.facts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "propensity_facts_total", Help: "Facts posted, by result (accepted, refused, failed).",
	}, []string{"result"})
	m.rows = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "propensity_live_rows_total", Help: "Rows asked of the store of facts, by result (made, unknown, merged, failed).",
	}, []string{"model", "result"})
	m.canary = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "propensity_canary_total", Help: "Requests of a canary's accounts, by result (answered; unfit: the champion answered).",
	}, []string{"model", "result"})
	m.registry.MustRegister(m.canary)
	m.registry.MustRegister(m.requests, m.seconds, m.scores, m.reloads, m.loaded, m.facts, m.rows,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// observe counts a request and its time, also when its answer is cut off.
func (s *Server) observe(c *gin.Context) {
	start := time.Now()
	defer func() {
		route := c.FullPath()
		if route == "" {
			route = "none"
		}
		s.metrics.requests.WithLabelValues(route, strconv.Itoa(c.Writer.Status())).Inc()
		s.metrics.seconds.WithLabelValues(route).Observe(time.Since(start).Seconds())
	}()
	c.Next()
}
