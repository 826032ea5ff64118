package serve

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

func (s *Server) scoreRoutes(e *gin.Engine) {
	may := s.allow(scopeScore)
	e.POST("/v1/score", may, s.scoreAll)
	e.POST("/v1/models/:name/score", may, s.score)
	e.POST(`/v1/models/:name/score\:batch`, may, s.scoreBatch)
}

// work is the memory of one request, used again for the next.
type work struct {
	body    bytes.Buffer
	request request
	answer  models.Answer
	out     bytes.Buffer
}

// maxKept bounds what a work may hold on to between requests.
const maxKept = 1 << 20

func (s *Server) put(w *work) {
	if w.body.Cap() <= maxKept && w.out.Cap() <= maxKept && len(w.request.seen) <= 1000 {
		s.works.Put(w)
	}
}

// read takes in the whole body of a request.
func (w *work) read(c *gin.Context, most int64) error {
	w.body.Reset()
	if _, err := w.body.ReadFrom(http.MaxBytesReader(c.Writer, c.Request.Body, most)); err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	return nil
}

// score answers one request.
func (s *Server) score(c *gin.Context) {
	if err := wantType(c.Request, "application/json"); err != nil {
		s.fail(c, err)
		return
	}
	v, err := s.version(c.Request.Context(), c.Param("name"))
	if err != nil {
		s.fail(c, err)
		return
	}
	w := s.works.Get().(*work)
	defer s.put(w)
	if err := w.read(c, s.cfg.MaxBody); err != nil {
		s.fail(c, err)
		return
	}
	defer s.hurry()()
	if err := s.scoreRow(c, w, v, w.body.Bytes(), s.now(), ""); err != nil {
		s.fail(c, err)
		return
	}
	c.Data(http.StatusOK, "application/json", w.out.Bytes())
}

// hurry tells the store of facts that an answer is waited for, until done is called.
func (s *Server) hurry() (done func()) {
	if s.accounts == nil {
		return func() {}
	}
	return s.accounts.Hurry()
}

// scoreRow answers one request text into w.out: one line of JSON. The request
// lies at the JSON Pointer prefix of its body.
func (s *Server) scoreRow(c *gin.Context, w *work, v *version, text []byte, now int64, prefix string) error {
	end := s.traces.child(c.Request.Context(), "decode", v)
	err := w.request.decode(text, v.scorer.Encoder(), now, s.cfg.MaxFields, prefix)
	end(err)
	if err != nil {
		return err
	}
	if err := s.answer(c, w, v, prefix); err != nil {
		return err
	}
	w.out.Reset()
	if err := writeAnswer(&w.out, &w.answer, &w.request.scoreOptions); err != nil {
		return fmt.Errorf("%s version %d: %w", v.name, v.number, err)
	}
	return nil
}

// answer scores w.request, whose row is decoded, into w.answer, and tells of it.
func (s *Server) answer(c *gin.Context, w *work, v *version, prefix string) error {
	if v.canary != nil {
		return s.answerFront(c, w, v, prefix)
	}
	return s.answerBy(c, w, v, prefix)
}

// answerBy is answer by this very version.
func (s *Server) answerBy(c *gin.Context, w *work, v *version, prefix string) error {
	q, a := &w.request, &w.answer
	var posted []models.Warning
	if q.store {
		var err error
		if posted, err = s.fill(c.Request.Context(), v, q, prefix); err != nil {
			return err
		}
	}
	a.Account, a.Model, a.Version, a.AsOf = q.account, v.name, v.number, datasets.FormatTime(q.moment)
	end := s.traces.child(c.Request.Context(), "score", v)
	err := v.scorer.Score(a, q.row, q.moment, q.reasons)
	end(err)
	if err != nil {
		if errors.Is(err, features.ErrType) {
			return errors.Join(q.typeFaults(v.scorer.Encoder(), prefix), err)
		}
		return refuse(http.StatusUnprocessableEntity, err.Error(), fault{err.Error(), prefix + "/row"})
	}
	a.Warnings = append(a.Warnings, posted...)
	for _, name := range q.unknown {
		detail := clip(name) + " is no column of this model and was ignored"
		if why, ok := v.leftOut[name]; ok {
			detail = fmt.Sprintf("%s was left out of this model and was ignored: %s", clip(name), why)
		}
		a.Warnings = append(a.Warnings, models.Warning{Field: "row." + name, State: "unknown", Detail: detail})
	}
	if !q.dryRun {
		v.scores[a.Band].Inc()
	}
	return s.give(&given{c: c, version: v, request: q, answer: a})
}

// wantType checks the Content-Type, which must be one of the given; it must be
// UTF-8 and not compressed.
func wantType(r *http.Request, types ...string) error {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return refuse(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Encoding %q is not taken: send the body as it is", clip(coding)))
	}
	header := r.Header.Get("Content-Type")
	got, params, err := mime.ParseMediaType(header)
	charset := params["charset"]
	if err == nil && (charset == "" || strings.EqualFold(charset, "utf-8")) {
		for _, t := range types {
			if got == t {
				return nil
			}
		}
	}
	return refuse(http.StatusUnsupportedMediaType,
		fmt.Sprintf("Content-Type %q is not taken: send %s in UTF-8", clip(header), strings.Join(types, " or ")))
}
