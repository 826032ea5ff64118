package serve

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	tablestream "propensity/models/stream"
)

// arrowType is the media type of an Arrow IPC stream (IANA).
const arrowType = "application/vnd.apache.arrow.stream"

// scoreArrow answers a batch that comes as an Arrow stream by an Arrow stream, a record
// batch at a time, all by one version: it holds one record batch and its answer, and reads
// no faster than the client takes the answers. What the columns mean, and those of the
// answer, is as in the command score.
func (s *Server) scoreArrow(c *gin.Context) {
	t := &arrowStream{c: c, server: s, control: http.NewResponseController(c.Writer)}
	err := t.run()
	switch {
	case err == nil || errors.Is(err, errGone):
	case !t.begun:
		c.Header("Connection", "close") // the rest of the body stays unread
		s.fail(c, err)
	default: // the end of the stream is missing, which tells the client
		if p := problemOf(err); p.Status >= 500 {
			s.log.Error("batch failed", "route", c.FullPath(), "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// arrowStream is the two directions of one batch.
type arrowStream struct {
	c       *gin.Context
	server  *Server
	control *http.ResponseController
	body    *patient
	failed  error // what ended the body
	begun   bool  // the client has been sent something
}

func (t *arrowStream) run() error {
	s, c := t.server, t.c
	if !accepts(c.Request, arrowType) {
		return refuse(http.StatusNotAcceptable, "the answer to an Arrow stream is one: accept "+arrowType)
	}
	v, err := s.oneVersion(c, c.Param("name"))
	if err != nil {
		return err
	}
	o, err := arrowOptions(c, v, s.now())
	if err != nil {
		return err
	}
	_ = t.control.EnableFullDuplex() // HTTP/2 and tests without a connection have no need of it
	t.body = s.patient(c, t.control, s.cfg.MaxBatchBody)
	in, err := datasets.OpenRecords(t, "the stream", datasets.RecordOptions{
		Kinds: tablestream.Kinds(v.scorer, o), MaxBytes: s.cfg.MaxRecordBatch,
	})
	if err != nil {
		return t.fault(err)
	}
	if err := t.columns(in.Columns(), v, o); err != nil {
		return err
	}
	batches, err := tablestream.NewBatches(v.scorer, in.Columns(), o)
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, err.Error())
	}
	return t.answer(v, in, batches, o)
}

// columns checks that a stream has what the model needs.
func (t *arrowStream) columns(names []string, v *version, o tablestream.Options) error {
	if most := t.server.cfg.MaxFields; len(names) > most {
		return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("the stream has more than %d columns", most))
	}
	if o.AllowMissing {
		return nil
	}
	var absent []fault
	for j := range v.scorer.Encoder().Columns {
		if name := v.scorer.Encoder().Columns[j].Name; !slices.Contains(names, name) {
			absent = append(absent, fault{name + " is absent, and the model needs it: send the column, or set allow_missing", "/" + escapePointer(name)})
		}
	}
	return faultsProblem(absent)
}

func (t *arrowStream) answer(v *version, in *datasets.Records, batches *tablestream.Batches, o tablestream.Options) error {
	s := t.server
	out := datasets.NewWriter(t, datasets.ArrowStream)
	w := s.works.Get().(*work)
	defer s.put(w)
	for rows := 0; ; {
		table, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return t.fault(err)
		}
		if rows += table.Rows(); rows > s.cfg.MaxBatchRows {
			return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the batch has more than %d rows", s.cfg.MaxBatchRows))
		}
		b, err := batches.Score(table)
		if err != nil { // of a row
			return refuse(http.StatusUnprocessableEntity, err.Error(), fault{err.Error(), ""})
		}
		if err := s.giveBatch(t.c, w, v, b, o); err != nil {
			return err
		}
		if err := t.put(out, b.Scored); err != nil {
			return err
		}
	}
	if !t.begun {
		none, err := batches.None()
		if err == nil {
			err = out.Write(none)
		}
		if err != nil {
			return err
		}
	}
	return out.Commit()
}

// put writes a batch of answers and sends it off: the client may wait for it before it
// sends more.
func (t *arrowStream) put(out *datasets.Writer, b *datasets.Table) error {
	if err := out.Write(b); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := t.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

func (t *arrowStream) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if err != nil && err != io.EOF {
		t.failed = err
	}
	return n, err
}

func (t *arrowStream) Write(p []byte) (int, error) {
	if !t.begun {
		t.begun = true
		t.c.Header("Content-Type", arrowType)
		t.c.Status(http.StatusOK)
	}
	_ = t.control.SetWriteDeadline(time.Now().Add(t.server.cfg.WriteTimeout))
	n, err := t.c.Writer.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", errGone, err)
	}
	return n, err
}

// fault is what the client gets to read of a stream that cannot be read on.
func (t *arrowStream) fault(err error) error {
	if t.failed != nil {
		return t.failed
	}
	status := http.StatusUnprocessableEntity
	switch {
	case errors.Is(err, datasets.ErrTooLong):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, datasets.ErrEncoding), errors.Is(err, datasets.ErrTruncated):
		status = http.StatusBadRequest
	}
	return refuse(status, err.Error(), fault{err.Error(), ""})
}

// arrowOptions reads the query: a stream has no room for options.
func arrowOptions(c *gin.Context, v *version, now int64) (tablestream.Options, error) {
	o := tablestream.Options{Model: v.name, Version: v.number, Reasons: defaultReasons, AsOf: now}
	query := c.Request.URL.Query()
	bad := func(name, wants string) error {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%s must be %s", name, wants))
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if len(values) > 1 {
			return o, bad(name, "there once")
		}
		switch text := values[0]; name {
		case "reasons":
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 || n > maxReasons {
				return o, bad(name, fmt.Sprintf("a whole number, 0 to %d", maxReasons))
			}
			o.Reasons = min(n, len(v.scorer.Encoder().Columns))
		case "allow_missing":
			if text != "true" && text != "false" {
				return o, bad(name, "true or false")
			}
			o.AllowMissing = text == "true"
		case "as_of":
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return o, bad(name, "a time such as 2026-03-01T09:30:00Z (RFC 3339)")
			}
			o.AsOf = at.UnixMicro()
		case "account":
			o.Account = text
		default:
			return o, refuse(http.StatusBadRequest, fmt.Sprintf("unknown parameter %q: there are reasons, allow_missing, as_of and account", clip(name)))
		}
	}
	return o, nil
}

// accepts says that a client takes a media type (RFC 9110, section 12.5.1).
func accepts(r *http.Request, want string) bool {
	header := r.Header.Values("Accept")
	if len(header) == 0 {
		return true
	}
	group, _, _ := strings.Cut(want, "/")
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		got, params, err := mime.ParseMediaType(part)
		if q, bad := strconv.ParseFloat(params["q"], 64); bad == nil && q == 0 {
			continue
		}
		if err == nil && (got == want || got == "*/*" || got == group+"/*") {
			return true
		}
	}
	return false
}

// giveBatch tells of every score of a batch, as of one that was asked for alone, but for its
// warnings and what is typical.
func (s *Server) giveBatch(c *gin.Context, w *work, v *version, b *tablestream.Batch, o tablestream.Options) error {
	q, a, e := &w.request, &w.answer, v.scorer.Encoder()
	columns := make([]*datasets.Column, len(e.Columns))
	for j := range columns {
		columns[j] = b.Rows.Column(e.Columns[j].Name)
	}
	account := b.Scored.Column("account")
	encoded, states := make([]float64, len(columns)), make([]features.State, len(columns))
	asOf := ""
	for i, moment := range b.Moments {
		if i == 0 || moment != b.Moments[i-1] {
			asOf = datasets.FormatTime(moment)
		}
		q.reset(e, moment)
		q.hasRow, q.allowMissing, q.reasons = true, o.AllowMissing, o.Reasons
		for j, column := range columns {
			if column != nil {
				q.row[j], q.present[j] = column.At(i), true
			}
		}
		if account != nil {
			q.account = account.At(i).Text
		}
		if err := e.EncodeRow(encoded, states, q.row, moment); err != nil {
			return err
		}
		from := b.Answers
		*a = models.Answer{
			Account: q.account, Model: v.name, Version: v.number, AsOf: asOf,
			Probability: from.Probability[i], Score: int(from.Score[i]), Percentile: from.Percentile[i], Band: from.Band.At(i).Text,
			BaseRate: v.scorer.Artifact().Manifest.BaseRate, Reference: from.Reference, Coverage: from.Coverage[i],
			Raw: from.Raw[i], Encoded: encoded, States: states, Reasons: a.Reasons[:0], Warnings: a.Warnings[:0],
		}
		for k := range from.Reasons {
			r := &from.Reasons[k]
			name := r.Feature.At(i).Text
			if name == "" {
				break
			}
			a.Reasons = append(a.Reasons, models.Reason{Feature: name, Value: q.row[e.Find(name)], Points: r.Points.Numbers[i], Text: r.Text.At(i).Text})
		}
		v.scores[a.Band].Inc()
		if err := s.give(&given{c: c, version: v, request: q, answer: a}); err != nil {
			return err
		}
	}
	return nil
}
