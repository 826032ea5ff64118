package serve

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"propensity/features/facts"
	"propensity/models"
)

// accepted is the answer to facts that were added.
type accepted struct {
	Accepted int              `json:"accepted"`
	Warnings []models.Warning `json:"warnings"`
}

// addEvents adds one fact, a JSON array of them or one a line: all or none. It
// answers when they are kept.
func (s *Server) addEvents(c *gin.Context) {
	if err := wantType(c.Request, "application/json", "application/x-ndjson"); err != nil {
		s.fail(c, err)
		return
	}
	w := s.works.Get().(*work)
	defer s.put(w)
	if err := w.read(c, s.cfg.MaxEventsBody); err != nil {
		s.fail(c, err)
		return
	}
	l := &events{schema: s.schema(), now: s.now(), most: s.cfg.MaxFields}
	each := eachItem
	if wantType(c.Request, "application/x-ndjson") == nil {
		each = eachLine
		l.list = make([]facts.Fact, 0, min(bytes.Count(w.body.Bytes(), []byte("\n"))+1, s.cfg.MaxEvents))
	}
	s.add(c, l, each(w.body.Bytes(), s.cfg.MaxEvents, "facts", l.one))
}

// add adds what was decoded, if there is nothing wrong with any of it.
func (s *Server) add(c *gin.Context, l *events, err error) {
	if err == nil {
		err = faultsProblem(l.faults)
	}
	if err != nil {
		s.metrics.facts.WithLabelValues("refused").Add(float64(max(1, len(l.list))))
		s.fail(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), storeTimeout)
	defer cancel()
	if err := s.accounts.Append(ctx, l.schema.projects, l.list); err != nil {
		s.metrics.facts.WithLabelValues("failed").Add(float64(len(l.list)))
		s.fail(c, storeError(err))
		return
	}
	s.metrics.facts.WithLabelValues("accepted").Add(float64(len(l.list)))
	if l.warnings == nil {
		l.warnings = []models.Warning{}
	}
	writeJSON(c, http.StatusAccepted, "application/json", accepted{len(l.list), l.warnings})
}

// one reads the fact of a row; faults of a line of its own say which.
func (l *events) one(text []byte, row, line int) error {
	faults := len(l.faults)
	err := l.decode(text, row, "")
	for i := faults; line > 0 && i < len(l.faults); i++ {
		l.faults[i].Detail = fmt.Sprintf("line %d: %s", line, l.faults[i].Detail)
	}
	return err
}

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
