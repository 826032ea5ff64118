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
// (visible ASCII, up to 128), or one made here. It goes back in the answer.
func (s *Server) identify(c *gin.Context) {
	id := ""
	if own := c.Request.Header[requestIDName]; len(own) == 1 && len(own[0]) <= maxRequestID {
		id = own[0]
	}
	if id == "" || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		id = rand.Text()
	}
	c.Writer.Header()[requestIDName] = []string{id}
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
