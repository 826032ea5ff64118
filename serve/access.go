package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"propensity/serve/keys"
)

// Scopes of API keys. A key has any of them; admin has all.
const (
	scopeRead  = keys.Read  // models, accounts, the ledger, metrics
	scopeScore = keys.Score // to score
	scopeWrite = keys.Write // facts, attributes, outcomes
	scopeAdmin = keys.Admin // versions, aliases, keys, webhooks, jobs, to forget
)

// access is who may do what.
type access struct {
	refused *prometheus.CounterVec // reason
}

func newAccess(m *metrics) access {
	a := access{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "propensity_refused_total", Help: "Requests refused for their API key, by reason (missing, unknown, expired, scope, rate, quota), and for where they came from (origin).",
	}, []string{"reason"})}
	m.registry.MustRegister(a.refused)
	for _, reason := range []string{"missing", "unknown", "expired", "scope", "rate", "quota", "origin"} {
		a.refused.WithLabelValues(reason) // from the start, so that the first one is seen as a rise
	}
	return a
}

// holderName is where a request keeps its key.
const holderName = "propensity.key"

// holder is the API key of a request; nil if the server has no keys, or the endpoint
// needs none.
func holder(c *gin.Context) *keys.Holder {
	if c == nil {
		return nil
	}
	v, _ := c.Get(holderName)
	h, _ := v.(*keys.Holder)
	return h
}

// caller is the id of the API key of a request; "" if the server has no keys.
func caller(c *gin.Context) string {
	if h := holder(c); h != nil {
		return h.Key.ID
	}
	return ""
}

// allow is before each endpoint that needs a scope: without a key that has it, or with
// one that has used up its limits, the endpoint is not reached. What needs admin and is
// no mere look is audited, also if it is refused: see audit.
func (s *Server) allow(scope string) gin.HandlerFunc {
	if scope == scopeAdmin {
		return s.allowAdmin
	}
	return func(c *gin.Context) {
		if err := s.admit(c, scope); err != nil {
			s.fail(c, err)
		}
	}
}

func (s *Server) allowAdmin(c *gin.Context) {
	err := s.admit(c, scopeAdmin)
	if err != nil {
		s.fail(c, err)
	}
	if c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		return
	}
	if err == nil {
		s.audited(c)
	} else if c.Writer.Status() == http.StatusForbidden { // not who has no key: they could fill the log
		s.record1(c, act{name: route(c)})
	}
}

// realm is what a client is asked for (RFC 6750, section 3).
const realm = `Bearer realm="propensity"`

// admit finds the key of a request, and takes of its limits. A server without keys
// admits all.
func (s *Server) admit(c *gin.Context, scope string) error {
	if s.keys == nil {
		return nil
	}
	text, err := presented(c.Request.Header)
	if err != nil {
		return s.unknown(c, "missing", realm, err.Error())
	}
	h, err := s.keys.Find(text)
	if err != nil {
		reason := "unknown"
		if errors.Is(err, keys.ErrExpired) {
			reason = "expired"
		}
		return s.unknown(c, reason, realm+`, error="invalid_token"`, err.Error())
	}
	c.Set(holderName, h)
	if !h.May(scope) {
		s.access.refused.WithLabelValues("scope").Inc()
		c.Header("WWW-Authenticate", realm+`, error="insufficient_scope", scope="`+scope+`"`)
		return refuse(http.StatusForbidden, fmt.Sprintf("the key %s has not the scope %s, which this needs; it has: %s", h.Key.ID, scope, strings.Join(h.Key.Scopes, ", ")))
	}
	cost := int64(1)
	if scope == scopeScore {
		cost = 0 // each score that goes out costs one: see spend
	}
	return s.within(c, h, h.Take(cost))
}

func (s *Server) unknown(c *gin.Context, reason, challenge, detail string) error {
	s.access.refused.WithLabelValues(reason).Inc()
	c.Header("WWW-Authenticate", challenge)
	return refuse(http.StatusUnauthorized, detail)
}

// presented is the key that a request has, in its header Authorization or X-API-Key. A
// scheme other than Bearer is not ours: a proxy may have its own.
func presented(h http.Header) (string, error) {
	own, bearer := h["X-Api-Key"], ""
	several := len(own) > 1
	for _, value := range h["Authorization"] {
		scheme, rest, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		several = several || bearer != ""
		bearer = strings.Trim(rest, " ")
	}
	switch {
	case several, len(own) == 1 && bearer != "" && bearer != own[0]:
		return "", errors.New("there are several keys: send one")
	case bearer != "":
		return bearer, nil
	case len(own) == 1 && own[0] != "":
		return own[0], nil
	}
	return "", errors.New("a key is needed: send the header Authorization: Bearer KEY, or X-API-Key: KEY")
}

// within tells the client what its limits leave it (draft-ietf-httpapi-ratelimit-headers-10),
// and refuses what is beyond them.
func (s *Server) within(c *gin.Context, h *keys.Holder, l keys.Limits) error {
	if l.Rate == 0 && l.Daily == 0 {
		return nil
	}
	var policy, left []string
	if l.Rate > 0 {
		window := time.Duration(float64(l.Burst) / l.Rate * float64(time.Second)) // in which an empty bucket fills
		policy = append(policy, fmt.Sprintf(`"rate";q=%d;w=%d`, l.Burst, wholeSeconds(window)))
		left = append(left, fmt.Sprintf(`"rate";r=%d;t=%d`, l.Left, wholeSeconds(l.Full)))
	}
	if l.Daily > 0 {
		policy = append(policy, fmt.Sprintf(`"day";q=%d;w=86400`, l.Daily))
		left = append(left, fmt.Sprintf(`"day";r=%d;t=%d`, l.DailyLeft, wholeSeconds(l.Midnight)))
	}
	c.Header("RateLimit-Policy", strings.Join(policy, ", "))
	c.Header("RateLimit", strings.Join(left, ", "))
	switch {
	case l.Spent:
		s.access.refused.WithLabelValues("quota").Inc()
		c.Header("Retry-After", strconv.FormatInt(wholeSeconds(l.Midnight), 10))
		return errSpent(h)
	case l.Wait > 0:
		s.access.refused.WithLabelValues("rate").Inc()
		c.Header("Retry-After", strconv.FormatInt(wholeSeconds(l.Wait), 10))
		return refuse(http.StatusTooManyRequests, fmt.Sprintf("the key %s may make %g requests a second, %d at once", h.Key.ID, l.Rate, l.Burst))
	}
	return nil
}

func errSpent(h *keys.Holder) error {
	return refuse(http.StatusTooManyRequests, fmt.Sprintf("the key %s has had its %d scores and other requests of this day, which ends at midnight UTC", h.Key.ID, h.Key.Daily))
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// spend takes one score of the day of the key that asked for it.
func (s *Server) spend(c *gin.Context) error {
	h := holder(c)
	if h == nil || h.Spend(1) {
		return nil
	}
	s.access.refused.WithLabelValues("quota").Inc()
	return errSpent(h)
}

// openAccess makes ready what stands between the network and the answers: keys, TLS,
// limits. The error lists all that is wrong.
func (s *Server) openAccess(ctx context.Context) error {
	s.access, s.headers, s.auditLog.db = newAccess(s.metrics), newHeaders(), s.cfg.Database
	var faults []error
	if s.cfg.Keys != "" {
		ring, err := keys.Open(s.cfg.Keys, s.cfg.Now, s.keysChanged)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: make one with propensity keys create", err)
		}
		faults = append(faults, err)
		s.keys = ring
	}
	if s.cfg.TLS.on() {
		certificates, err := openTLS(s.cfg.TLS, s.log)
		faults = append(faults, err)
		s.tls = certificates
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	most := s.cfg.MaxConnections
	if files := fileLimit(); files < uint64(most)+otherFiles {
		most = max(1, int(files)-otherFiles)
		s.log.Warn("fewer connections are kept open than asked for: the system lets this process have few files open (ulimit -n)", slog.Int("connections", most))
	}
	s.connections = newConnections(most, s.metrics)
	if s.tls != nil {
		s.background.Go(func() { s.tls.watch(ctx, s.cfg.Poll) })
	}
	if s.keys != nil && s.cfg.Database != nil {
		s.days = dayLog{db: s.cfg.Database, ring: s.keys}
		s.background.Go(func() { s.days.watch(ctx, s.log) })
	}
	return nil
}

// otherFiles are those that a server may have open besides connections.
const otherFiles = 256

// keysChanged notes what someone else changed in the file of keys. A request waits for
// it, so it waits for nothing itself.
func (s *Server) keysChanged(change keys.Change) {
	if change.Err != nil {
		s.log.Error("the file of keys cannot be used: the keys stay as they were", slog.Any("error", change.Err))
		return
	}
	note := func(name string, ids []string) {
		for _, id := range ids {
			a := act{name: name, detail: "key " + id + ", in the file of keys"}
			s.background.Go(func() { s.record1(nil, a) })
		}
	}
	note("keys.create", change.Added)
	note("keys.change", change.Changed)
	note("keys.revoke", change.Revoked)
}

// keysCause is what /readyz says of the file of keys; "" if all is well.
func (s *Server) keysCause() string {
	if s.keys == nil || s.keys.Cause() == nil {
		return ""
	}
	return "the file of keys cannot be used as it is now: the keys that were known before hold on"
}
