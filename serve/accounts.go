package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/features/spec"
	"propensity/models/registry"
)

func (s *Server) accountRoutes(e *gin.Engine) {
	e.POST("/v1/events", s.allow(scopeWrite), s.needStore, s.idempotent(s.cfg.MaxEventsBody), s.addEvents)
	e.PUT("/v1/accounts/:id", s.allow(scopeWrite), s.needStore, s.idempotent(s.cfg.MaxBody), s.putAccount)
	e.GET("/v1/accounts/:id", s.allow(scopeRead), s.needStore, s.getAccount)
}

// putAccount adds attributes of an account, as of now unless it says since when.
func (s *Server) putAccount(c *gin.Context) {
	if err := wantType(c.Request, "application/json"); err != nil {
		s.fail(c, err)
		return
	}
	w := s.works.Get().(*work)
	defer s.put(w)
	if err := w.read(c, s.cfg.MaxBody); err != nil {
		s.fail(c, err)
		return
	}
	l := &events{schema: s.schema(), now: s.now(), most: s.cfg.MaxFields}
	l.attributes = l.schema.attributes()
	s.add(c, l, l.decode(w.body.Bytes(), -1, c.Param("id")))
}

// accountFacts is the answer of GET /v1/accounts/{id}.
type accountFacts struct {
	Account string       `json:"account"`
	AsOf    string       `json:"as_of"`
	Known   int          `json:"known"` // versions of facts, of which the newest are shown
	Facts   []factAnswer `json:"facts"`
	Rows    []rowAnswer  `json:"rows"`
}

type factAnswer struct {
	Source     string                    `json:"source"`
	Account    string                    `json:"account,omitempty"` // if it is of another
	ID         string                    `json:"id"`
	OccurredAt string                    `json:"occurred_at"`
	ArrivedAt  string                    `json:"arrived_at"`
	EndedAt    string                    `json:"ended_at,omitempty"`
	Properties map[string]datasets.Value `json:"properties"`
}

type rowAnswer struct {
	Model   string                    `json:"model"`
	Version int                       `json:"version"`
	Row     map[string]datasets.Value `json:"row,omitempty"`
	Cause   string                    `json:"cause,omitempty"` // why there is none
}

// maxShown bounds the facts that are shown.
const maxShown = 1000

// getAccount tells what is known of an account, newest first, and the row that each
// champion sees at the moment as_of.
func (s *Server) getAccount(c *gin.Context) {
	moment := s.now()
	if text, given := c.GetQuery("as_of"); given {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			s.fail(c, refuse(http.StatusBadRequest, fmt.Sprintf("as_of %q is no time such as 2026-03-01T09:30:00Z (RFC 3339)", clip(text))))
			return
		}
		moment = t.UnixMicro()
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), storeTimeout)
	defer cancel()
	id := c.Param("id")
	list, err := s.accounts.Facts(ctx, s.schema().union(), id, nil)
	if err != nil {
		s.fail(c, storeError(err))
		return
	}
	list = slices.DeleteFunc(list, func(f facts.Fact) bool { return f.Arrived >= moment })
	if len(list) == 0 {
		s.fail(c, storeError(fmt.Errorf("%w %q at %s", online.ErrUnknown, clip(id), datasets.FormatTime(moment))))
		return
	}
	slices.SortStableFunc(list, func(a, b facts.Fact) int {
		return cmp.Or(cmp.Compare(b.Occurred, a.Occurred), cmp.Compare(b.Arrived, a.Arrived))
	})
	out := accountFacts{Account: id, AsOf: datasets.FormatTime(moment), Known: len(list), Facts: []factAnswer{}, Rows: []rowAnswer{}}
	for i := range list[:min(len(list), maxShown)] {
		out.Facts = append(out.Facts, answerOf(&list[i], id))
	}
	now := s.state.Load()
	for _, name := range slices.Sorted(maps.Keys(now.models)) {
		p, ok := now.models[name].aliases[registry.Champion]
		if !ok || p.version == nil {
			continue
		}
		row, err := s.rowOf(ctx, p.version, id, moment)
		if err != nil {
			s.fail(c, storeError(err))
			return
		}
		out.Rows = append(out.Rows, row)
	}
	s.readAccount(c, out)
}

// readAccount answers with what is known. At no given moment the moment itself is no
// part of what may be unchanged.
func (s *Server) readAccount(c *gin.Context, out accountFacts) {
	if _, given := c.GetQuery("as_of"); given {
		s.readJSON(c, out)
		return
	}
	body, err := marshal(out)
	if err != nil { // a value of our own that JSON cannot hold
		panic(err)
	}
	out.AsOf = ""
	same, err := marshal(out)
	if err != nil {
		panic(err)
	}
	s.read(c, "application/json", body, same)
}

func answerOf(f *facts.Fact, account string) factAnswer {
	out := factAnswer{Source: f.Source, ID: f.ID, OccurredAt: factTime(f.Occurred), ArrivedAt: factTime(f.Arrived), Properties: f.Values}
	if f.Account != account {
		out.Account = f.Account
	}
	if f.End != datasets.MissingTime {
		out.EndedAt = factTime(f.End)
	}
	if out.Properties == nil {
		out.Properties = map[string]datasets.Value{}
	}
	return out
}

// factTime spells an instant; what was always known has none.
func factTime(us int64) string {
	if us <= facts.Always {
		return "always"
	}
	return datasets.FormatTime(us)
}

// rowOf is the row that a version sees. An error is of the store.
func (s *Server) rowOf(ctx context.Context, v *version, account string, moment int64) (rowAnswer, error) {
	out := rowAnswer{Model: v.name, Version: v.number, Cause: v.live.why}
	if v.live.plan == nil {
		return out, nil
	}
	columns, err := s.accounts.Row(ctx, v.live.plan, account, moment)
	switch {
	case errors.Is(err, online.ErrUnavailable), ctx.Err() != nil:
		return out, err
	case err != nil:
		out.Cause = problemOf(err).Detail
		return out, nil
	}
	out.Row = make(map[string]datasets.Value, len(columns))
	for i := range columns {
		out.Row[columns[i].Name] = columns[i].At(0)
	}
	return out, nil
}

// union is a project of all sources that some model looks at.
func (k *schema) union() *spec.Project {
	p := &spec.Project{}
	for _, name := range sortedNames(k.sources) {
		s := k.sources[name].Source
		s.Columns = nil // the values are shown as they came
		p.Sources = append(p.Sources, s)
	}
	return p
}
