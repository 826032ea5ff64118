package serve

import (
	"crypto/rand"
	"strings"

	"github.com/gin-gonic/gin"
)

const (
	requestIDName = "X-Request-Id"
	maxRequestID  = 128
)

// identify gives a request its id: the caller's own X-Request-Id, if it is fit for a log
// (visible ASCII, up to 128), the trace it is part of, or one made here. It goes back in
// the answer and stands in the log, the ledger and the audit log.
func (s *Server) identify(c *gin.Context) {
	id := ""
	if own := c.Request.Header[requestIDName]; len(own) == 1 && len(own[0]) <= maxRequestID {
		id = own[0]
	}
	if id == "" || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		id = ""
		if parent := c.Request.Header["Traceparent"]; len(parent) == 1 {
			id = traceOf(parent[0])
		}
	}
	if id == "" {
		id = rand.Text()
	}
	c.Writer.Header()[requestIDName] = []string{id}
}

// traceOf is the trace of a traceparent (W3C Trace Context, section 3.2): of
// version-trace-parent-flags the 32 hexadecimal digits of the trace, lower case and not all
// zero; "" if it is none.
func traceOf(parent string) string {
	const version, trace, length = 3, 32, 55 // "00-", the trace, the whole
	if len(parent) < length || parent[:2] == "ff" || len(parent) > length && (parent[:2] == "00" || parent[length] != '-') {
		return ""
	}
	zero := true
	for i := range length {
		switch d := parent[i]; i {
		case 2, version + trace, length - 3:
			if d != '-' {
				return ""
			}
		default:
			if (d < '0' || d > '9') && (d < 'a' || d > 'f') {
				return ""
			}
			zero = zero && (i < version || i >= version+trace || d == '0')
		}
	}
	if zero {
		return ""
	}
	return parent[version : version+trace]
}

// requestID is the id of a request; "" where there is none.
func requestID(c *gin.Context) string {
	if c == nil {
		return ""
	}
	if v := c.Writer.Header()[requestIDName]; len(v) == 1 {
		return v[0]
	}
	return ""
}
