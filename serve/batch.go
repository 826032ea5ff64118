package serve

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/serve/ledger"
)

const (
	batchRead  = 64 << 10
	batchWrite = 32 << 10
)

// inPlace is what stands for the answer to a request that cannot be answered.
type inPlace struct {
	Error *problem `json:"error"`
}

// scoreBatch answers the requests of a batch in their order, all by one version
// but for the accounts of a canary, as they come: it holds one of them at a time, and
// reads no faster than the client takes the answers.
func (s *Server) scoreBatch(c *gin.Context) {
	err := wantType(c.Request, "application/json", "application/x-ndjson", arrowType)
	if err == nil && wantType(c.Request, arrowType) == nil {
		s.scoreArrow(c)
		return
	}
	if err == nil && c.Request.URL.RawQuery != "" {
		err = refuse(http.StatusUnprocessableEntity, "the query says something of all rows, which is for Arrow streams: here each request has its own reasons, allow_missing and as_of")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	v, err := s.version(c.Request.Context(), c.Param("name"))
	if err != nil {
		s.fail(c, err)
		return
	}
	control := http.NewResponseController(c.Writer)
	_ = control.EnableFullDuplex() // HTTP/2 and tests without a connection have no need of it
	ndjson := wantType(c.Request, "application/x-ndjson") == nil
	stream := &stream{c: c, control: control, server: s, ndjson: ndjson,
		body: s.patient(c, control, s.cfg.MaxBatchBody)}
	stream.out = bufio.NewWriterSize(writerFunc(stream.write), batchWrite)
	stream.kept = s.keepMany(c)
	in := bufio.NewReaderSize(stream, batchRead)
	var f frames = &elements{r: in, max: int(s.cfg.MaxBody)}
	if ndjson {
		f = &lines{r: in, max: int(s.cfg.MaxBody)}
	}
	if err := s.answerAll(stream, v, f); err != nil {
		s.failBatch(stream, err)
	}
}

// stream is the two directions of one batch.
type stream struct {
	c       *gin.Context
	control *http.ResponseController
	server  *Server
	body    *patient
	out     *bufio.Writer
	ndjson  bool
	begun   bool // the client has been sent something
	answers int
	kept    *tickets // of what the ledger has to commit before it goes out
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Read reads the body. Before NDJSON waits for more of it, the answers so far go
// out: a client may send a line and wait for its answer.
func (t *stream) Read(p []byte) (int, error) {
	if t.ndjson && t.out.Buffered() > 0 {
		if err := t.out.Flush(); err != nil {
			return 0, err
		}
		if err := t.control.Flush(); err != nil {
			return 0, fmt.Errorf("%w: %w", errGone, err)
		}
	}
	return t.body.Read(p)
}

// errGone is a client that no longer takes answers.
var errGone = errors.New("the client takes no answers")

func (t *stream) write(p []byte) (int, error) {
	if err := t.kept.wait(); err != nil {
		return 0, err
	}
	if !t.begun {
		t.begun = true
		t.c.Header("Content-Type", "application/json")
		if t.ndjson {
			t.c.Header("Content-Type", "application/x-ndjson")
		}
		t.c.Status(http.StatusOK)
	}
	_ = t.control.SetWriteDeadline(time.Now().Add(t.server.cfg.WriteTimeout))
	n, err := t.c.Writer.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", errGone, err)
	}
	return n, err
}

// put adds one answer, a line of JSON.
func (t *stream) put(line []byte) error {
	t.answers++
	if t.ndjson {
		_, err := t.out.Write(line)
		return err
	}
	t.out.WriteString(t.opening()) // its error stays with out
	_, err := t.out.Write(bytes.TrimSuffix(line, []byte("\n")))
	return err
}

// opening is what stands before an answer in a JSON batch.
func (t *stream) opening() string {
	if t.answers > 1 {
		return ",\n"
	}
	return `{"answers":[`
}

func (t *stream) putError(p *problem) error {
	b, err := marshal(inPlace{p})
	if err != nil {
		return err
	}
	return t.put(b)
}

func (s *Server) answerAll(t *stream, v *version, f frames) error {
	w := s.works.Get().(*work)
	defer s.put(w)
	now := s.now()
	for rows := 0; ; rows++ {
		text, at, err := f.next()
		if err == io.EOF {
			break
		}
		if err == nil && rows == s.cfg.MaxBatchRows {
			err = refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the batch has more than %d rows", rows))
		}
		if err != nil {
			return err
		}
		if text == nil {
			err = refuse(http.StatusRequestEntityTooLarge, "the request is larger than "+bytesText(s.cfg.MaxBody))
		} else if err = s.scoreRow(t.c, w, v, text, now, at.prefix); err == nil {
			if err := t.put(w.out.Bytes()); err != nil {
				return err
			}
			continue
		}
		if err := t.putError(s.rowProblem(t, err, at)); err != nil {
			return err
		}
	}
	if !t.ndjson {
		if t.answers == 0 {
			t.out.WriteString(t.opening())
		}
		t.out.WriteString("]}\n")
	}
	if !t.begun && t.out.Buffered() == 0 {
		_, err := t.write(nil) // an empty batch has a header too
		return err
	}
	return t.out.Flush()
}

// rowProblem is the problem of one request, with its place.
func (s *Server) rowProblem(t *stream, err error, at place) *problem {
	p := *problemOf(err)
	if p.Status >= 500 {
		s.log.Error("row failed", "route", t.c.FullPath(), "error", err)
	}
	p.Line = at.line
	if len(p.Errors) == 0 {
		p.Errors = []fault{{p.Detail, at.prefix}}
	}
	return &p
}

// failBatch ends a batch that cannot go on: with a status of its own if nothing
// has been sent, otherwise by an error after the last answer.
func (s *Server) failBatch(t *stream, err error) {
	if errors.Is(err, errGone) {
		return
	}
	if !t.begun {
		t.c.Header("Connection", "close") // the rest of the body stays unread
		s.fail(t.c, err)
		return
	}
	if errors.Is(err, ledger.ErrUnavailable) {
		panic(http.ErrAbortHandler) // answers that are not kept stay back, from within a line
	}
	p := problemOf(err)
	if p.Status >= 500 {
		s.log.Error("batch failed", "route", t.c.FullPath(), "error", err)
	}
	if t.ndjson {
		_ = t.putError(p)
	} else if b, err := marshal(p); err == nil {
		t.out.WriteString(`],"error":`)
		t.out.Write(bytes.TrimSuffix(b, []byte("\n")))
		t.out.WriteString("}\n")
	}
	if t.out.Flush() != nil {
		return // a client that is gone cannot be told
	}
	// net/http wants the body of a full-duplex request read to its end, or the
	// connection closed, which after a status of 200 only an abort does.
	_ = t.control.Flush()
	if _, err := io.Copy(io.Discard, t); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// bytesText spells a limit.
func bytesText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
