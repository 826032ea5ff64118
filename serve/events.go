package serve

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

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
	var err error
	if wantType(c.Request, "application/x-ndjson") == nil {
		err = s.eventLines(l, w.body.Bytes())
	} else {
		err = s.eventArray(l, w.body.Bytes())
	}
	s.add(c, l, err)
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

// eventLines reads a fact a line; lines of white space alone are skipped. Faults point
// to it as if the body were an array of the facts.
func (s *Server) eventLines(l *events, body []byte) error {
	n, number := 0, 0
	l.list = make([]facts.Fact, 0, min(bytes.Count(body, []byte("\n"))+1, s.cfg.MaxEvents))
	for line := range bytes.Lines(body) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := s.tooMany(n); err != nil {
			return err
		}
		faults := len(l.faults)
		if err := l.decode(line, n, ""); err != nil {
			p := *problemOf(err)
			p.Line = number
			return &p
		}
		for i := faults; i < len(l.faults); i++ {
			l.faults[i].Detail = fmt.Sprintf("line %d: %s", number, l.faults[i].Detail)
		}
		n++
	}
	return nil
}

// eventArray reads one fact, or an array of them.
func (s *Server) eventArray(l *events, body []byte) error {
	scan := scanner{text: body}
	if err := scan.validUTF8(); err != nil {
		return err
	}
	scan.at = 0
	if scan.next() != '[' {
		return l.decode(body, -1, "")
	}
	scan.at++
	for n := 0; ; n++ {
		if b := scan.next(); b == ']' && n == 0 {
			scan.at++
			return scan.end()
		}
		if err := s.tooMany(n); err != nil {
			return err
		}
		start := scan.at
		scan.pointer = "/" + strconv.Itoa(n)
		if err := scan.skip(2); err != nil {
			return err
		}
		if err := l.decode(body[start:scan.at], n, ""); err != nil {
			return err
		}
		if scan.next() == ']' {
			scan.at++
			scan.pointer = ""
			return scan.end()
		}
		if err := scan.take(','); err != nil {
			return err
		}
	}
}

func (s *Server) tooMany(n int) error {
	if n < s.cfg.MaxEvents {
		return nil
	}
	return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("there are more than %d facts: send them in several requests", s.cfg.MaxEvents))
}

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
