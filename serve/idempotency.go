package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotent-Replayed"
	maxIdempotencyKey = 255
)

// once is a write that may be sent again: who asks for it, under which key.
type once struct{ caller, key string }

// print tells one request from another.
type print [sha256.Size]byte

// kept is the answer to a write that was done.
type keptAnswer struct {
	status                int
	contentType, location string
	body                  []byte
}

var (
	// errOther is a key under which another request was sent.
	errOther = errors.New("this Idempotency-Key was used for another request: take a new one")
	// errInFlight is a key whose request is still at work, here or on another server.
	errInFlight = errors.New("the request with this Idempotency-Key is still at work: send it again later")
)

// answers keeps what was answered to writes for a day.
type answers interface {
	// claim lets one request be the one that is done. An answer that is not nil is that
	// of the one that was done before; errOther and errInFlight are refusals; other
	// errors are of the database.
	claim(ctx context.Context, o once, p print) (*keptAnswer, error)
	// settle keeps the answer of the request that was done.
	settle(ctx context.Context, o once, a *keptAnswer) error
	// release forgets a claim: the request was not done.
	release(ctx context.Context, o once) error
}

const (
	// answersKept is how long an answer is kept.
	answersKept = 24 * time.Hour
	// claimKept is how long a claim counts whose server may have died: longer than any
	// request takes.
	claimKept = 5 * time.Minute
	// answersTimeout bounds what a request waits for the answers.
	answersTimeout = 10 * time.Second
)

// idempotent is between allow and a write whose body has at most so many bytes: sent
// again with the same Idempotency-Key it is not done again, but answered as it was. Only
// what was done (2xx) is kept; a request that was refused may be sent again, mended.
// It is not for answers that hold secrets.
//
// See draft-ietf-httpapi-idempotency-key-header-07; the key is taken letter by letter.
func (s *Server) idempotent(most int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		values := c.Request.Header.Values(idempotencyHeader)
		if len(values) == 0 || c.IsAborted() {
			return
		}
		if err := s.onlyOnce(c, values, most); err != nil {
			s.fail(c, err)
		}
	}
}

func (s *Server) onlyOnce(c *gin.Context, values []string, most int64) error {
	if err := checkIdempotencyKey(values); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, most))
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	o := once{caller(c), values[0]}
	ctx, cancel := context.WithTimeout(c.Request.Context(), answersTimeout)
	defer cancel()
	before, err := s.answers.claim(ctx, o, printOf(c.Request, body))
	switch {
	case errors.Is(err, errOther):
		return refuse(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, errInFlight):
		c.Header("Retry-After", "1")
		return refuse(http.StatusConflict, err.Error())
	case err != nil:
		s.log.Error("idempotency", slog.Any("error", err))
		return refuse(http.StatusServiceUnavailable, "the database does not answer: send the request again")
	case before != nil:
		c.Header(replayedHeader, "true")
		if before.location != "" {
			c.Header("Location", before.location)
		}
		c.Abort()
		c.Data(before.status, before.contentType, before.body)
		return nil
	}
	s.doOnce(c, o)
	return nil
}

// doOnce lets the request be done and keeps its answer before that goes out.
func (s *Server) doOnce(c *gin.Context, o once) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), answersTimeout)
	defer cancel()
	held := &heldAnswer{ResponseWriter: c.Writer, status: http.StatusOK}
	c.Writer = held
	done := false
	defer func() {
		c.Writer = held.ResponseWriter
		if done {
			return
		}
		if err := s.answers.release(ctx, o); err != nil {
			s.log.Error("idempotency", slog.Any("error", err))
		}
	}()
	c.Next()
	if done = held.status >= 200 && held.status < 300; done {
		h := held.Header()
		a := &keptAnswer{held.status, h.Get("Content-Type"), h.Get("Location"), held.body.Bytes()}
		if err := s.answers.settle(ctx, o, a); err != nil { // it is done all the same
			s.log.Error("idempotency", slog.Any("error", err))
		}
	}
	held.send()
}

// checkIdempotencyKey takes visible ASCII, which any log and database can hold.
func checkIdempotencyKey(values []string) error {
	good := len(values) == 1 && values[0] != "" && len(values[0]) <= maxIdempotencyKey
	for i := 0; good && i < len(values[0]); i++ {
		good = values[0][i] > ' ' && values[0][i] <= '~'
	}
	if !good {
		return refuse(http.StatusBadRequest, fmt.Sprintf("Idempotency-Key must be 1 to %d visible ASCII characters, such as a UUID", maxIdempotencyKey))
	}
	return nil
}

// printOf covers all of a request that says what is to be done.
func printOf(r *http.Request, body []byte) (p print) {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type")} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(body)
	h.Sum(p[:0])
	return p
}

// heldAnswer holds an answer back. Only its header is set on the writer below.
type heldAnswer struct {
	gin.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) WriteHeader(status int) {
	if status > 0 {
		h.status = status
	}
}
func (h *heldAnswer) WriteHeaderNow()                      {}
func (h *heldAnswer) Write(p []byte) (int, error)          { return h.body.Write(p) }
func (h *heldAnswer) WriteString(text string) (int, error) { return h.body.WriteString(text) }
func (h *heldAnswer) Status() int                          { return h.status }
func (h *heldAnswer) Size() int                            { return h.body.Len() }
func (h *heldAnswer) Written() bool                        { return false }
func (h *heldAnswer) Flush()                               {}

func (h *heldAnswer) send() {
	h.ResponseWriter.WriteHeader(h.status)
	if h.body.Len() == 0 {
		h.ResponseWriter.WriteHeaderNow()
		return
	}
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // a client that is gone asks again
}
