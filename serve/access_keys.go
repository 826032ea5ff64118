package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/serve/keys"
)

func (s *Server) keyRoutes(e *gin.Engine) {
	admin := s.allow(scopeAdmin)
	e.GET("/v1/keys", admin, s.needKeys, s.listKeys)
	e.POST("/v1/keys", admin, s.needKeys, s.createKey)
	e.DELETE("/v1/keys/:id", admin, s.needKeys, s.revokeKey)
	e.POST("/v1/keys/:id/rotate", admin, s.needKeys, s.rotateKey)
}

// needKeys is before the endpoints of keys.
func (s *Server) needKeys(c *gin.Context) {
	if s.keys == nil {
		s.fail(c, refuse(http.StatusNotImplemented, "this server has no keys: start it with --keys, a file made by propensity keys create"))
	}
}

// keyAnswer is a key as it is shown. It has its text once, when that is made.
type keyAnswer struct {
	ID      string   `json:"id"`
	Key     string   `json:"key,omitempty"`
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	Rate    float64  `json:"rate,omitempty"`
	Burst   int      `json:"burst,omitempty"`
	Daily   int64    `json:"daily,omitempty"`
	Used    int64    `json:"used"` // of the day so far, by this server
	Created string   `json:"created"`
	Expires string   `json:"expires,omitempty"`
	Revoked string   `json:"revoked,omitempty"`
	// Texts are those that hold, the newest first.
	Texts []textAnswer `json:"texts"`
}

type textAnswer struct {
	Created string `json:"created"`
	Until   string `json:"until,omitempty"`
}

func (s *Server) keyAnswer(k *keys.Key, text string) keyAnswer {
	a := keyAnswer{
		ID: k.ID, Key: text, Name: k.Name, Scopes: k.Scopes, Rate: k.Rate, Burst: k.Burst, Daily: k.Daily, Used: s.keys.Used(k.ID),
		Created: instant(k.Created), Expires: instant(k.Expires), Revoked: instant(k.Revoked), Texts: []textAnswer{},
	}
	for i := range k.Secrets {
		if t := &k.Secrets[i]; t.Until.IsZero() || s.cfg.Now().Before(t.Until) {
			a.Texts = append(a.Texts, textAnswer{instant(t.Created), instant(t.Until)})
		}
	}
	return a
}

// instant spells a time, and the zero time as nothing.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// keyList is the answer of GET /v1/keys.
type keyList struct {
	Keys []keyAnswer `json:"keys"`
}

func (s *Server) listKeys(c *gin.Context) {
	list := s.keys.List()
	out := keyList{Keys: []keyAnswer{}}
	for i := range list {
		out.Keys = append(out.Keys, s.keyAnswer(&list[i], ""))
	}
	writeJSON(c, http.StatusOK, "application/json", out)
}

// keyRequest asks for a key.
type keyRequest struct {
	Name    string     `json:"name"`
	Scopes  []string   `json:"scopes"`
	Rate    float64    `json:"rate"`
	Burst   int        `json:"burst"`
	Daily   int64      `json:"daily"`
	Expires *time.Time `json:"expires"`
}

func (s *Server) createKey(c *gin.Context) {
	var q keyRequest
	if err := s.readObject(c, &q); err != nil {
		s.fail(c, err)
		return
	}
	like := keys.Key{Name: q.Name, Scopes: q.Scopes, Rate: q.Rate, Burst: q.Burst, Daily: q.Daily}
	if q.Expires != nil {
		like.Expires = *q.Expires
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), keysTimeout)
	defer cancel()
	k, text, err := s.keys.Create(ctx, like)
	if err != nil {
		s.failKeys(c, err)
		return
	}
	s.audit(c, "keys.create", fmt.Sprintf("key %s (%s), scopes %s", k.ID, k.Name, strings.Join(k.Scopes, ", ")))
	writeJSON(c, http.StatusCreated, "application/json", s.keyAnswer(&k, text))
}

func (s *Server) revokeKey(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), keysTimeout)
	defer cancel()
	k, err := s.keys.Revoke(ctx, c.Param("id"))
	if err != nil {
		s.failKeys(c, err)
		return
	}
	s.audit(c, "keys.revoke", fmt.Sprintf("key %s (%s)", k.ID, k.Name))
	writeJSON(c, http.StatusOK, "application/json", s.keyAnswer(&k, ""))
}

// rotateRequest asks for another text of a key; Overlap is how many seconds the ones
// before hold on.
type rotateRequest struct {
	Overlap int64 `json:"overlap"`
}

// maxOverlap is a year, in seconds.
const maxOverlap = 366 * 24 * 60 * 60

func (s *Server) rotateKey(c *gin.Context) {
	var q rotateRequest
	err := s.readObject(c, &q)
	if err == nil && (q.Overlap < 0 || q.Overlap > maxOverlap) {
		detail := fmt.Sprintf("overlap is in seconds, 0 to %d", maxOverlap)
		err = refuse(http.StatusUnprocessableEntity, detail, fault{detail, "/overlap"})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), keysTimeout)
	defer cancel()
	k, text, err := s.keys.Rotate(ctx, c.Param("id"), time.Duration(q.Overlap)*time.Second)
	if err != nil {
		s.failKeys(c, err)
		return
	}
	s.audit(c, "keys.rotate", fmt.Sprintf("key %s (%s), the text before holds for %d s", k.ID, k.Name, q.Overlap))
	writeJSON(c, http.StatusOK, "application/json", s.keyAnswer(&k, text))
}

// keysTimeout bounds the wait for another who changes the file.
const keysTimeout = 10 * time.Second

// failKeys answers with what kept the file of keys from being changed.
func (s *Server) failKeys(c *gin.Context, err error) {
	switch {
	case errors.Is(err, keys.ErrKey):
		err = refuse(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, keys.ErrNone):
		err = refuse(http.StatusNotFound, "there is no such key in use")
	case errors.Is(err, keys.ErrFile):
		s.log.Error("the file of keys cannot be changed", "error", err)
		err = refuse(http.StatusServiceUnavailable, "the file of keys cannot be changed: the server's log says why")
	}
	s.fail(c, err)
}

// readObject reads a small JSON object into v, strictly: what it does not know could be
// a limit that someone relies on.
func (s *Server) readObject(c *gin.Context, v any) error {
	if err := wantType(c.Request, "application/json"); err != nil {
		return err
	}
	w := s.works.Get().(*work)
	defer s.put(w)
	if err := w.read(c, s.cfg.MaxBody); err != nil {
		return err
	}
	scan := scanner{text: w.body.Bytes()}
	if err := scan.validUTF8(); err != nil {
		return err
	}
	scan.at = 0
	if scan.next() != '{' {
		return refuse(http.StatusUnprocessableEntity, "the body must be a JSON object")
	}
	if err := scan.skip(1); err != nil {
		return err
	}
	if err := scan.end(); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(w.body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && err != io.EOF {
		detail := strings.TrimPrefix(err.Error(), "json: ")
		pointer := ""
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			pointer = "/" + escapePointer(strings.ReplaceAll(wrong.Field, ".", "/"))
			detail = fmt.Sprintf("%s cannot be a JSON %s", wrong.Field, wrong.Value)
		}
		return refuse(http.StatusUnprocessableEntity, clipTo(detail, 200), fault{clipTo(detail, 200), pointer})
	}
	return nil
}

func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
