package serve

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/gin-gonic/gin"

	"propensity/features"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/models"
	"propensity/models/registry"
	"propensity/serve/jobs"
	"propensity/serve/ledger"
	"propensity/serve/monitor"
	"propensity/serve/notify"
)

// problem is an error as the client sees it (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Line counts the lines of an NDJSON batch from 1.
	Line   int     `json:"line,omitempty"`
	Errors []fault `json:"errors,omitempty"`
}

// fault is one thing wrong with the request; the pointer is a JSON Pointer (RFC
// 6901) to the field, "" for the whole.
type fault struct {
	Detail  string `json:"detail"`
	Pointer string `json:"pointer"`
}

func (p *problem) Error() string { return p.Detail }

// refuse makes a problem that is the client's to solve.
func refuse(status int, detail string, faults ...fault) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: faults}
}

// errBody is a body that could not be read to its end.
var errBody = errors.New("the body could not be read")

// problemOf is the one table from errors to what the client is told. What is not
// the client's fault is told in general words only.
func problemOf(err error) *problem {
	var p *problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "the body is larger than "+bytesText(large.Limit))
	case errors.Is(err, online.ErrUnknown):
		return refuse(http.StatusNotFound, err.Error(), fault{err.Error(), "/account"})
	case errors.Is(err, online.ErrMerged):
		return refuse(http.StatusGone, err.Error(), fault{err.Error(), "/account"})
	case errors.Is(err, monitor.ErrUnavailable):
		return refuse(http.StatusServiceUnavailable, "what was counted cannot be read at present: send the request again")
	case errors.Is(err, online.ErrUnavailable):
		return refuse(http.StatusServiceUnavailable, "the store of facts does not answer: send the request again")
	case errors.Is(err, ledger.ErrUnavailable):
		return refuse(http.StatusServiceUnavailable, "the ledger does not answer: send the request again")
	case errors.Is(err, jobs.ErrUnknown):
		return refuse(http.StatusNotFound, err.Error())
	case errors.Is(err, jobs.ErrEnded):
		return refuse(http.StatusConflict, err.Error())
	case errors.Is(err, jobs.ErrFull):
		return refuse(http.StatusTooManyRequests, err.Error())
	case errors.Is(err, jobs.ErrSpec):
		return refuse(http.StatusUnprocessableEntity, err.Error(), fault{err.Error(), ""})
	case errors.Is(err, notify.ErrUnavailable):
		return refuse(http.StatusServiceUnavailable, "the database of webhooks does not answer: send the request again")
	case errors.Is(err, notify.ErrNotFound):
		return refuse(http.StatusNotFound, err.Error())
	case errors.Is(err, notify.ErrEndpoint):
		return refuse(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, notify.ErrDisabled), errors.Is(err, notify.ErrFull):
		return refuse(http.StatusConflict, err.Error())
	case errors.Is(err, ledger.ErrOutcome):
		return refuse(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, online.ErrFact):
		return refuse(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, facts.ErrFact), errors.Is(err, build.ErrProject):
		return refuse(http.StatusUnprocessableEntity, "the facts of this account do not fit the model: "+err.Error())
	case errors.Is(err, registry.ErrReference):
		return refuse(http.StatusBadRequest, clipTo(err.Error(), 300))
	case errors.Is(err, registry.ErrMoved):
		return refuse(http.StatusPreconditionFailed, err.Error())
	case errors.Is(err, registry.ErrInUse):
		return refuse(http.StatusConflict, err.Error())
	case errors.Is(err, registry.ErrCanary), errors.Is(err, registry.ErrTar):
		return refuse(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, syscall.ENOSPC):
		return refuse(http.StatusInsufficientStorage, "the disk of this server is full")
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return refuse(http.StatusServiceUnavailable, "a file of this server may not be read or written by it; the server's log has more")
	case errors.Is(err, registry.ErrNotFound):
		return refuse(http.StatusNotFound, "there is no such version")
	case errors.Is(err, features.ErrType), errors.Is(err, models.ErrScore):
		return refuse(http.StatusUnprocessableEntity, err.Error(), fault{err.Error(), "/row"})
	case errors.Is(err, models.ErrDamaged), errors.Is(err, models.ErrReplay), errors.Is(err, registry.ErrDamaged):
		return refuse(http.StatusServiceUnavailable, "this version cannot be served: "+causeOf(err))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "the body took too long")
	case errors.Is(err, errBody):
		return refuse(http.StatusBadRequest, "the body ends early")
	}
	return refuse(http.StatusInternalServerError, "an internal error; the server's log has more")
}

// causeOf says why a version or registry cannot be loaded, without paths.
func causeOf(err error) string {
	switch {
	case errors.Is(err, models.ErrReplay):
		return "it does not give the scores recorded in it"
	case errors.Is(err, models.ErrDamaged), errors.Is(err, registry.ErrDamaged):
		return "its files are damaged"
	case errors.Is(err, registry.ErrNotFound):
		return "it is not there"
	}
	return "it could not be read"
}

// fail answers with the problem that an error is. A 5xx is logged in full.
func (s *Server) fail(c *gin.Context, err error) {
	p := problemOf(err)
	if p.Status >= 500 {
		s.log.Error("request failed", slog.String("request", requestID(c)), slog.String("route", c.FullPath()), slog.Int("status", p.Status), slog.Any("error", err))
	}
	c.Abort()
	if p.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "1")
	}
	if isOIP(c.Request.URL.Path) {
		writeJSON(c, p.Status, "application/json", oipErrorOf(p))
		return
	}
	writeJSON(c, p.Status, "application/problem+json", p)
}

// writeJSON answers with one JSON value and a line end.
func writeJSON(c *gin.Context, status int, contentType string, v any) {
	b, err := marshal(v)
	if err != nil { // a value of our own that JSON cannot hold
		panic(err)
	}
	c.Data(status, contentType, b)
}

// marshal writes a value in one line, < and & as they are.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return []byte(b.String()), err
}
