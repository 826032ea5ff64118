package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/features"
	"propensity/features/build"
	"propensity/features/online"
	"propensity/features/spec"
	"propensity/models"
)

// live is how a version makes rows of facts.
type live struct {
	plan *build.Plan
	why  string // there is no plan
}

// liveOf reads the features of an artifact. A version whose features cannot be used
// scores rows that are posted all the same. One whose features are those of a version that
// is loaded has its plan, and finds in memory what was read of accounts for that.
func liveOf(a *models.Artifact, loaded []*model) live {
	const without = "the model was not learnt from facts"
	if len(a.Features) == 0 {
		return live{why: without}
	}
	for _, m := range loaded {
		if v := m.any(func(v *version) bool { return bytes.Equal(v.scorer.Artifact().Features, a.Features) }); v != nil {
			return v.live
		}
	}
	p, err := spec.Parse(a.Features)
	if err != nil {
		return live{why: "the features of the model cannot be read by this program"}
	}
	plan, err := build.Compile(p)
	if err != nil {
		return live{why: "the features of the model cannot be made by this program"}
	}
	return live{plan: plan}
}

// storeTimeout bounds what one request waits for the store.
const storeTimeout = 10 * time.Second

// errNoStore is the problem of whatever needs a store where there is none.
func errNoStore() error {
	return refuse(http.StatusNotImplemented, "this server keeps no facts: start it with a store, such as --store sqlite:facts.db")
}

// needStore is before the endpoints of facts.
func (s *Server) needStore(c *gin.Context) {
	if s.accounts == nil {
		s.fail(c, errNoStore())
	}
}

// clock is what the clock of the wall says, in µs since 1970 UTC.
func (s *Server) clock() int64 { return s.cfg.Now().UnixMicro() }

// steady is a clock that no jump of the wall's moves: what that said once, and the time
// since.
func steady(wall func() time.Time) func() time.Time {
	said, at := wall(), time.Now()
	return func() time.Time { return said.Add(time.Since(at)) }
}

// now is the present moment: later than all that this server has taken in.
func (s *Server) now() int64 {
	if s.accounts != nil {
		return s.accounts.Now()
	}
	return s.clock()
}

// fill completes a row by what the store knows of the account at the moment. What was
// posted wins, with a warning.
func (s *Server) fill(ctx context.Context, v *version, q *request, prefix string) ([]models.Warning, error) {
	e := v.scorer.Encoder()
	switch {
	case s.accounts == nil, v.live.plan == nil && q.hasRow: // as if there were no stores
		q.absent(e, prefix)
		return nil, q.typeFaults(e, prefix)
	case v.live.plan == nil:
		detail := fmt.Sprintf("%s version %d cannot score from facts: %s; post a row with a value for each column", v.name, v.number, v.live.why)
		return nil, refuse(http.StatusUnprocessableEntity, detail, fault{detail, prefix + "/row"})
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	end := s.traces.child(ctx, "row", v)
	columns, err := s.accounts.Row(ctx, v.live.plan, q.account, q.moment)
	end(err)
	if err != nil {
		s.metrics.rows.WithLabelValues(v.name, rowResult(err)).Inc()
		return nil, storeError(err)
	}
	s.metrics.rows.WithLabelValues(v.name, "made").Inc()
	var warnings []models.Warning
	for j := range e.Columns {
		name := e.Columns[j].Name
		if q.present[j] {
			warnings = append(warnings, models.Warning{Field: "row." + name, State: "posted", Detail: name + " is what was posted, not what the store of facts has"})
			continue
		}
		for k := range columns {
			if columns[k].Name == name {
				q.row[j], q.present[j] = liveValue(&e.Columns[j], columns[k].At(0)), true
			}
		}
	}
	q.hasRow = true
	q.absent(e, prefix)
	if len(q.faults) > 0 {
		return nil, q.typeFaults(e, prefix)
	}
	return warnings, nil
}

// liveValue is a value as a table would bring it to the encoder: a column that training
// took for a category has its numbers and truths spelled.
func liveValue(c *features.Column, v datasets.Value) datasets.Value {
	if w, ok := online.Fit(v, c.Kind); ok {
		return w
	}
	return v
}

// rowResult is why there is no row, for the metrics.
func rowResult(err error) string {
	switch {
	case errors.Is(err, online.ErrUnknown):
		return "unknown"
	case errors.Is(err, online.ErrMerged):
		return "merged"
	}
	return "failed"
}

// storeError tells a store that took too long from a client that went away.
func storeError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", online.ErrUnavailable, err)
	}
	return err
}
