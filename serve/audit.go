package serve

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/serve/database"
)

// act is one administrative act, or the attempt.
type act struct {
	name   string // "alias.move"; of what names itself not, the method and route
	detail string // of what; never an account, a row or a key
}

// acts are those of one request, to be recorded at its end.
type acts struct{ list []act }

const actsName = "propensity.acts"

// audit notes an administrative act: its name, such as "alias.move", and what it was
// about in words without account, row or key, such as "churn@champion from 6 to 7". Of a
// request it is recorded when the request ends, with its status, before the client has
// the answer; outside of one (c is nil), at once.
func (s *Server) audit(c *gin.Context, name, detail string) {
	a := act{name, detail}
	if c != nil {
		v, _ := c.Get(actsName)
		if list, ok := v.(*acts); ok {
			list.list = append(list.list, a)
			return
		}
	}
	s.record1(c, a)
}

// audited runs what is left of a request that needs admin, and records its acts; if it
// notes none, that it was made at all.
func (s *Server) audited(c *gin.Context) {
	noted := new(acts)
	c.Set(actsName, noted)
	over := false
	defer func() {
		if len(noted.list) == 0 {
			noted.list = append(noted.list, act{name: route(c)})
		}
		if !over { // a panic of ours, which is going to be a 500
			c.Status(http.StatusInternalServerError)
		}
		for _, a := range noted.list {
			s.record1(c, a)
		}
	}()
	c.Next()
	over = true
}

func route(c *gin.Context) string { return c.Request.Method + " " + c.FullPath() }

// auditTimeout bounds what a request waits for its record.
const auditTimeout = 5 * time.Second

// record1 writes an act to the log and, if there is one, to the database. It comes to
// the log first: that it cannot be kept in the database does not undo it.
func (s *Server) record1(c *gin.Context, a act) {
	now := s.clock()
	r := record{Act: a.name, Detail: a.detail, Result: "done"}
	ctx := context.Background()
	if c != nil {
		ctx = context.WithoutCancel(c.Request.Context())
		r.Key, r.Request, r.Status = caller(c), requestID(c), c.Writer.Status()
		switch {
		case r.Status >= 500:
			r.Result = "failed"
		case r.Status >= 400:
			r.Result = "refused"
		}
	}
	s.log.Info("audit", slog.String("act", r.Act), slog.String("detail", r.Detail), slog.String("key", r.Key),
		slog.String("request", r.Request), slog.String("result", r.Result), slog.Int("status", r.Status))
	if s.cfg.Database == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	if err := s.auditLog.add(ctx, now, &r); err != nil {
		s.log.Error("an act could not be kept in the database", slog.String("act", r.Act), slog.Any("error", err))
	}
}

// record is one act as it is kept and shown.
type record struct {
	Number  int64  `json:"number"`
	At      string `json:"at"`
	Key     string `json:"key,omitempty"` // id of the key; none: a server without keys, or none of a request
	Act     string `json:"act"`
	Detail  string `json:"detail,omitempty"`
	Result  string `json:"result"` // done, refused, failed
	Status  int    `json:"status,omitempty"`
	Request string `json:"request,omitempty"` // id of the HTTP request
}

// auditLog is the table of acts. Nothing in it is ever changed, which the database
// itself holds everyone to.
type auditLog struct {
	db    *database.DB // nil: there is none
	mu    sync.Mutex
	there bool // the table
}

func (l *auditLog) ready(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.there {
		return nil
	}
	const columns = `at BIGINT NOT NULL, key TEXT NOT NULL, act TEXT NOT NULL, detail TEXT NOT NULL, result TEXT NOT NULL, status INTEGER NOT NULL, request TEXT NOT NULL)`
	steps := []string{`CREATE TABLE audit_acts (number INTEGER PRIMARY KEY AUTOINCREMENT, ` + columns}
	for _, what := range []string{"UPDATE", "DELETE"} {
		steps = append(steps, `CREATE TRIGGER audit_acts_no_`+what+` BEFORE `+what+` ON audit_acts BEGIN SELECT RAISE(ABORT, 'audit_acts is only added to'); END`)
	}
	if l.db.Postgres {
		steps = []string{
			`CREATE TABLE audit_acts (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ` + columns,
			`CREATE FUNCTION audit_acts_kept() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'audit_acts is only added to'; END$$`,
			`CREATE TRIGGER audit_acts_kept BEFORE UPDATE OR DELETE ON audit_acts FOR EACH ROW EXECUTE FUNCTION audit_acts_kept()`,
		}
	}
	err := l.db.Migrate(ctx, "audit", steps...)
	l.there = err == nil
	return err
}

func (l *auditLog) add(ctx context.Context, at int64, r *record) error {
	if err := l.ready(ctx); err != nil {
		return err
	}
	return l.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, l.db.Rebind(`INSERT INTO audit_acts (at, key, act, detail, result, status, request) VALUES (?, ?, ?, ?, ?, ?, ?)`),
			at, r.Key, r.Act, r.Detail, r.Result, r.Status, r.Request)
		return err
	})
}

// page is up to limit acts before a number, the newest first.
func (l *auditLog) page(ctx context.Context, before int64, limit int) ([]record, error) {
	if err := l.ready(ctx); err != nil {
		return nil, err
	}
	rows, err := l.db.QueryContext(ctx, l.db.Rebind(`SELECT number, at, key, act, detail, result, status, request FROM audit_acts WHERE number < ? ORDER BY number DESC LIMIT ?`), before, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []record{}
	for rows.Next() {
		var r record
		var at int64
		if err := rows.Scan(&r.Number, &at, &r.Key, &r.Act, &r.Detail, &r.Result, &r.Status, &r.Request); err != nil {
			return nil, err
		}
		r.At = datasets.FormatTime(at)
		list = append(list, r)
	}
	return list, rows.Err()
}

func (s *Server) auditRoutes(e *gin.Engine) {
	e.GET("/v1/audit", s.allow(scopeAdmin), s.getAudit)
}

// auditPage is the answer of GET /v1/audit.
type auditPage struct {
	Acts []record `json:"acts"`
	// Next is the before of the next page; none: this was the last.
	Next int64 `json:"next,omitempty"`
}

const (
	auditPageDefault = 100
	auditPageMost    = 1000
)

// getAudit shows what was done, the newest first, before the number ?before=, and
// ?limit= of it.
func (s *Server) getAudit(c *gin.Context) {
	if s.cfg.Database == nil {
		s.fail(c, refuse(http.StatusNotImplemented, "this server keeps no audit log but its log lines: start it with --ledger"))
		return
	}
	const most = 1<<63 - 1
	before, err := queryNumber(c, "before", most, most)
	limit, err2 := queryNumber(c, "limit", auditPageDefault, auditPageMost)
	for _, err := range []error{err, err2} {
		if err != nil {
			s.fail(c, err)
			return
		}
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), auditTimeout)
	defer cancel()
	list, err := s.auditLog.page(ctx, before, int(limit)+1)
	if err != nil {
		s.log.Error("the audit log cannot be read", slog.Any("error", err))
		s.fail(c, refuse(http.StatusServiceUnavailable, "the database does not answer: send the request again"))
		return
	}
	p := auditPage{Acts: list}
	if len(list) > int(limit) {
		p.Acts = list[:limit]
		p.Next = p.Acts[limit-1].Number
	}
	writeJSON(c, http.StatusOK, "application/json", p)
}

// queryNumber reads a parameter of the query: a whole number from 1 to most.
func queryNumber(c *gin.Context, name string, byDefault, most int64) (int64, error) {
	text, given := c.GetQuery(name)
	if !given {
		return byDefault, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		return 0, refuse(http.StatusBadRequest, fmt.Sprintf("%s %q is no whole number from 1 to %d", name, clip(text), most))
	}
	return n, nil
}
