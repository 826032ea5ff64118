package serve

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// The dialects (the Open Inference Protocol, MLflow's) bring many rows that are answered
// as a whole, by one version: all of them or, for a fault, none. What reads them makes of
// each row a request, as of POST /score, and from there on nothing is theirs.

// dialectRows are the rows of such a request, in order. They are gone through twice: no
// score goes out, nor into the ledger, before the last of them is known to be sound.
type dialectRows interface {
	// rewind goes back before the first row.
	rewind()
	// next reads a row into q, which has been reset: cells, account and moment, with
	// faults whose pointer is "/row/" and the name of the column. The end is io.EOF.
	next(q *request) error
	// place is where a column of a row, counted from 0, lies in the request.
	place(row int, column string) string
}

// options are what a request says about all its rows.
type options struct {
	reasons      int
	moment       int64
	allowMissing bool
}

// read reads one of them, judged as by POST /score; false if there is none of that name.
func (o *options) read(q *request, s *scanner, e *features.Encoder, name, prefix string) (bool, error) {
	if name != "reasons" && name != "allow_missing" && name != "as_of" {
		return false, nil
	}
	q.reset(e, o.moment)
	q.reasons, q.allowMissing = o.reasons, o.allowMissing
	if err := q.member(s, e, name, prefix, 0); err != nil {
		return true, err
	}
	o.reasons, o.moment, o.allowMissing = q.reasons, q.moment, q.allowMissing
	return true, faultsProblem(q.faults)
}

// What a column of a request is for, if it is no column of the encoder.
const (
	toNothing = -1 - iota
	toAccount
	toMoment
)

// target is the column of the encoder that a name means, or one of the above. Names are
// those of a table to score: the model's own for the account and the moment.
func (v *version) target(name string) int {
	if j := v.scorer.Encoder().Find(name); j >= 0 {
		return j
	}
	switch m := &v.scorer.Artifact().Manifest; name {
	case "":
	case m.Account:
		return toAccount
	case m.Moment:
		return toMoment
	}
	return toNothing
}

// take reads one cell of JSON for a target.
func (q *request) take(s *scanner, e *features.Encoder, target int) error {
	switch target {
	case toNothing:
		return s.skip(4)
	case toAccount:
		return q.readAccount(s)
	case toMoment:
		var v datasets.Value
		moment := features.Column{Kind: datasets.Time}
		err := q.cell(s, &moment, &v)
		q.setMoment(s.pointer, v)
		return err
	}
	q.present[target] = true
	return q.cell(s, &e.Columns[target], &q.row[target])
}

// set is take of a value that is known already.
func (q *request) set(target int, pointer string, v datasets.Value) {
	switch target {
	case toNothing:
	case toAccount:
		q.account = v.String() // empty: of no account, as in a table
	case toMoment:
		q.setMoment(pointer, v)
	default:
		q.present[target], q.row[target] = true, v
	}
}

func (q *request) setMoment(pointer string, v datasets.Value) {
	if v.Kind == datasets.Time {
		q.moment = v.Time
	} else if len(q.faults) == 0 {
		q.fault(pointer, "the row has no moment: send a time such as 2026-03-01T09:30:00Z, or leave the column out")
	}
}

// scoreRows scores the rows of a dialect and hands each answer to put, valid until the
// next. The error is one that fail can answer with, of the first row that has one.
func (s *Server) scoreRows(c *gin.Context, w *work, v *version, o options, rows dialectRows, put func(*models.Answer) error) error {
	q, e := &w.request, v.scorer.Encoder()
	read := func(n int) error {
		q.reset(e, o.moment)
		q.reasons, q.allowMissing, q.hasRow = o.reasons, o.allowMissing, true
		if err := rows.next(q); err != nil {
			return err
		}
		if n == s.cfg.MaxInferRows {
			return errManyRows(n, v.name)
		}
		if err := q.whole(e, ""); err != nil || !q.store || s.accounts != nil {
			return err
		}
		q.absent(e, "")
		return q.typeFaults(e, "")
	}
	rows.rewind()
	for n := 0; ; n++ {
		err := read(n)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = q.check(e)
		}
		if err != nil {
			return inRow(err, n, rows)
		}
	}
	rows.rewind()
	for n := 0; ; n++ {
		err := read(n)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = s.answer(c, w, v, "")
		}
		if err != nil {
			return inRow(err, n, rows)
		}
		if err := put(&w.answer); err != nil {
			return err
		}
	}
}

// check finds the cells that the encoder cannot take.
func (q *request) check(e *features.Encoder) error {
	for j := range e.Columns {
		if _, _, err := e.Columns[j].Encode(q.row[j], q.moment); err != nil {
			return q.typeFaults(e, "")
		}
	}
	return nil
}

// inRow tells the row, counted from 1, in what the client gets to read. A fault of the
// server's stays as it is.
func inRow(err error, row int, rows dialectRows) error {
	p := *problemOf(err)
	if p.Status >= 500 || p.Status == http.StatusTooManyRequests {
		return err
	}
	if p.Status != http.StatusRequestEntityTooLarge {
		p.Detail = fmt.Sprintf("row %d: %s", row+1, p.Detail)
	}
	p.Errors = slices.Clone(p.Errors)
	for i := range p.Errors {
		name, ok := strings.CutPrefix(p.Errors[i].Pointer, "/row/")
		if !ok {
			name = ""
		}
		p.Errors[i].Pointer = rows.place(row, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
	}
	return &p
}

// oneVersion is the version that a reference means, without a canary: a request whose
// answer names one version gets all of it from that one.
func (s *Server) oneVersion(c *gin.Context, reference string) (*version, error) {
	v, err := s.version(c.Request.Context(), reference)
	if err != nil || v.canary == nil {
		return v, err
	}
	plain := *v
	plain.canary = nil
	return &plain, nil
}

// begin takes a work and reads the body into it.
func (s *Server) begin(c *gin.Context) (*work, error) {
	w := s.works.Get().(*work)
	if err := w.read(c, s.cfg.MaxInferBody); err != nil {
		s.put(w)
		return nil, err
	}
	return w, nil
}

func errManyRows(most int, model string) error {
	return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d rows: send several, or a batch to POST /v1/models/%s/score:batch", most, model))
}
