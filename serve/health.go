package serve

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/models/registry"
)

func (s *Server) healthRoutes(e *gin.Engine) {
	e.GET("/livez", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", s.readyz)
	metrics := []gin.HandlerFunc{s.allow(scopeRead), gin.WrapH(s.metrics.handler())}
	if s.cfg.OpenMetrics {
		metrics = metrics[1:]
	}
	e.GET("/metrics", metrics...)
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Causes say what is not served as it should be; with Ready, an older version
	// still answers.
	Causes []string `json:"causes"`
}

// pingTimeout is how long the store has to answer.
const pingTimeout = 2 * time.Second

// readyz is 200 if the champion of each model is loaded and replayed and the store of
// facts answers, if there is one. A model without a champion holds up nothing, nor does
// any other alias; a database that scores may wait for is a cause that holds up nothing.
func (s *Server) readyz(c *gin.Context) {
	r := s.readiness(c)
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(c, status, "application/json", r)
}

func (s *Server) readiness(c *gin.Context) readiness {
	r := s.state.Load().readiness()
	if s.accounts != nil {
		ctx, cancel := context.WithTimeout(c.Request.Context(), pingTimeout)
		defer cancel()
		if err := s.accounts.Ping(ctx); err != nil {
			r.Ready = false
			r.Causes = append(r.Causes, "the store of facts does not answer")
		}
	}
	s.ledgerReady(&r)
	if cause := s.keysCause(); cause != "" {
		r.Causes = append(r.Causes, cause)
	}
	return r
}

func (st *state) readiness() readiness {
	r := readiness{Ready: !st.loading, Causes: []string{}}
	if st.loading {
		r.Causes = append(r.Causes, "the models are being loaded")
	}
	if st.cause != "" {
		r.Ready = r.Ready && len(st.models) > 0
		r.Causes = append(r.Causes, st.cause)
	}
	for _, name := range slices.Sorted(maps.Keys(st.models)) {
		m := st.models[name]
		if m.cause != "" {
			r.Ready = r.Ready && m.aliases[registry.Champion].version != nil
			r.Causes = append(r.Causes, name+": "+m.cause)
		}
		for _, alias := range slices.Sorted(maps.Keys(m.aliases)) {
			p := m.aliases[alias]
			switch {
			case p.cause == "":
				continue
			case p.version != nil:
				r.Causes = append(r.Causes, fmt.Sprintf("%s@%s: %s; version %d still answers", name, alias, p.cause, p.version.number))
				continue
			case alias == registry.Champion:
				r.Ready = false
			}
			r.Causes = append(r.Causes, fmt.Sprintf("%s@%s: %s", name, alias, p.cause))
		}
		if m.canary.cause != "" {
			r.Causes = append(r.Causes, fmt.Sprintf("%s: %s: %s; the champion answers", name, canaryName, m.canary.cause))
		}
	}
	return r
}
