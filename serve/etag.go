package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// read answers a GET with a body, its ETag and its Last-Modified, or with 304 if that is
// what the client has (RFC 9110, sections 8.8 and 13). The ETag is strong, of the bytes.
// An answer that tells the time of asking gives what of it must be the same for it to
// count as unchanged; its ETag is weak. nil: all of it.
func (s *Server) read(c *gin.Context, contentType string, body, same []byte) {
	weak := ""
	if same == nil {
		same = body
	} else {
		weak = "W/"
	}
	sum := sha256.Sum256(same)
	tag := weak + `"` + hex.EncodeToString(sum[:16]) + `"`
	now := s.cfg.Now()
	modified := s.seen.since(c.Request.URL.RequestURI(), sum, now)
	h := c.Writer.Header()
	h.Set("ETag", tag)
	if !modified.IsZero() {
		h.Set("Last-Modified", modified.Format(http.TimeFormat))
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache") // to be kept, and asked about before it is used
	}
	if unchanged(c.Request.Header, tag, modified, now) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Data(http.StatusOK, contentType, body)
}

// readJSON is read of one JSON value.
func (s *Server) readJSON(c *gin.Context, v any) {
	body, err := marshal(v)
	if err != nil { // a value of our own that JSON cannot hold
		panic(err)
	}
	s.read(c, "application/json", body, nil)
}

// unchanged says that the client has what the tag stands for. Where it names tags, its
// date does not count.
func unchanged(h http.Header, tag string, modified, now time.Time) bool {
	if tags := h.Values("If-None-Match"); len(tags) > 0 {
		return matches(strings.Join(tags, ","), tag)
	}
	if modified.IsZero() {
		return false
	}
	// A date that has not come was given before a restart, by a clock that was ahead.
	since, err := http.ParseTime(h.Get("If-Modified-Since"))
	return err == nil && !modified.After(since) && !since.After(now)
}

// matches looks for a tag in a list of tags, compared weakly.
func matches(tags, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for rest := tags; ; {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			return false
		}
		if rest == "*" {
			return true
		}
		one := strings.TrimPrefix(rest, "W/")
		if one == "" || one[0] != '"' {
			return false // no list of tags
		}
		end := strings.IndexByte(one[1:], '"')
		if end < 0 {
			return false
		}
		if one[:end+2] == tag {
			return true
		}
		rest = one[end+2:]
	}
}

// maxSeen bounds the paths whose last change is remembered.
const maxSeen = 1000

// seen remembers since when each path has been answered as it is now. What changed
// before this server looked, or has been forgotten, counts as changed just now, which
// costs the client one more answer and never gives it a stale one.
type seen struct {
	mu     sync.Mutex
	paths  map[[16]byte]sight
	latest time.Time // that the clock said: one that is set back gives no date a second time
}

type sight struct {
	sum [sha256.Size]byte
	at  time.Time
}

// since is the first whole second at whose beginning the answer was the same already, zero
// until it begins: within the second before there may be another change, which a date
// without fractions would not tell.
func (n *seen) since(path string, sum [sha256.Size]byte, now time.Time) time.Time {
	hash := sha256.Sum256([]byte(path))
	key := [16]byte(hash[:])
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.After(n.latest) {
		n.latest = now
	}
	was, ok := n.paths[key]
	if !ok || was.sum != sum {
		if len(n.paths) >= maxSeen && !ok {
			clear(n.paths)
		}
		if n.paths == nil {
			n.paths = make(map[[16]byte]sight)
		}
		was = sight{sum, n.latest}
		n.paths[key] = was
	}
	at := was.at.UTC().Truncate(time.Second).Add(time.Second)
	if at.After(now) {
		return time.Time{}
	}
	return at
}
