package serve

import (
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/serve/ledger"
)

// outcomesKept is the answer to outcomes that are committed.
type outcomesKept struct {
	Accepted int `json:"accepted"`
	Added    int `json:"added"` // those that said something new
}

// addOutcomes adds one outcome, a JSON array of them or one a line: all or none. It
// answers when they are committed.
func (s *Server) addOutcomes(c *gin.Context) {
	if err := wantType(c.Request, "application/json", "application/x-ndjson"); err != nil {
		s.fail(c, err)
		return
	}
	w := s.works.Get().(*work)
	defer s.put(w)
	if err := w.read(c, s.cfg.MaxEventsBody); err != nil {
		s.fail(c, err)
		return
	}
	d := &outcomes{now: s.clock(), models: s.state.Load()}
	each := eachItem
	if wantType(c.Request, "application/x-ndjson") == nil {
		each = eachLine
	}
	err := each(w.body.Bytes(), min(s.cfg.MaxEvents, ledger.MaxOutcomes), "outcomes", d.decode)
	if err == nil {
		err = faultsProblem(d.faults)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	added, err := s.ledger.AddOutcomes(c.Request.Context(), d.list)
	if err != nil {
		s.fail(c, err)
		return
	}
	writeJSON(c, http.StatusOK, "application/json", outcomesKept{len(d.list), added})
}

// outcomes are decoded outcomes, with all that is wrong about them.
type outcomes struct {
	now    int64
	models *state // whose names count; nil: any
	list   []ledger.Outcome
	faults []fault
	line   int
}

func (d *outcomes) fault(pointer, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	if d.line > 0 {
		detail = fmt.Sprintf("line %d: %s", d.line, detail)
	}
	d.faults = append(d.faults, fault{detail, pointer})
}

const outcomeFields = "an outcome has model, account, positive, occurred_at or as_of, and may have id and value"

// decode reads one outcome, that of a row of the body. The error is of a text that is no
// JSON; all other faults are gathered.
func (d *outcomes) decode(text []byte, row, line int) error {
	d.line = line
	prefix := ""
	if row >= 0 {
		prefix = "/" + strconv.Itoa(row)
	}
	s := scanner{text: text, pointer: prefix}
	if err := s.validUTF8(); err != nil {
		return err
	}
	o := outcome{outcomes: d, scan: &s, Outcome: ledger.Outcome{AsOf: datasets.MissingTime, Occurred: datasets.MissingTime, Value: math.NaN()}}
	before := len(d.faults)
	if s.next() != '{' {
		if err := s.skip(1); err != nil {
			return err
		}
		d.fault(prefix, "an outcome is an object: %s", outcomeFields)
		return s.end()
	}
	if err := s.object(o.member); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	o.check(prefix, len(d.faults) == before)
	d.list = append(d.list, o.Outcome)
	return nil
}

// outcome is one on its way.
type outcome struct {
	ledger.Outcome
	*outcomes
	scan *scanner
	seen [7]bool
}

func (o *outcome) member(name string) error {
	s := o.scan
	s.pointer += "/" + escapePointer(name)
	field := -1
	for i, known := range [...]string{"id", "model", "account", "as_of", "occurred_at", "positive", "value"} {
		if name == known {
			field = i
		}
	}
	if field < 0 {
		o.fault(s.pointer, "unknown field %q: %s", clip(name), outcomeFields)
		return s.skip(2)
	}
	if o.seen[field] {
		return s.fail("%q is given twice", name)
	}
	o.seen[field] = true
	if s.next() == 'n' && name != "model" && name != "account" && name != "positive" { // as if it were not there
		return s.skip(2)
	}
	switch name {
	case "id":
		return o.text(&o.ID, true)
	case "model":
		return o.text(&o.Model, false)
	case "account":
		return o.text(&o.Account, true)
	case "as_of":
		return o.instant(&o.AsOf)
	case "occurred_at":
		return o.instant(&o.Occurred)
	case "positive":
		b := s.next()
		if o.Positive = b == 't'; b != 't' && b != 'f' {
			o.fault(s.pointer, "positive must be true or false")
		}
		return s.skip(2)
	}
	if b := s.next(); b != '-' && (b < '0' || b > '9') {
		o.fault(s.pointer, "value must be a number")
		return s.skip(2)
	}
	digits, err := s.number()
	if err != nil {
		return err
	}
	if o.Value, err = strconv.ParseFloat(string(digits), 64); err != nil {
		o.fault(s.pointer, "%s is beyond what a 64-bit number holds", clip(string(digits)))
	}
	return nil
}

// text reads text or, where it may be, a number letter by letter.
func (o *outcome) text(dst *string, numbers bool) error {
	s := o.scan
	switch b := s.next(); {
	case b == '"':
		text, err := s.text8()
		if *dst = text; err == nil && text == "" {
			o.fault(s.pointer, "it is empty")
		}
		return err
	case numbers && (b == '-' || '0' <= b && b <= '9'):
		number, err := s.number()
		*dst = string(number)
		return err
	}
	o.fault(s.pointer, "it must be text")
	return s.skip(2)
}

func (o *outcome) instant(dst *int64) error {
	s := o.scan
	if s.next() != '"' {
		o.fault(s.pointer, "it must be a time such as 2026-03-01T09:30:00Z")
		return s.skip(2)
	}
	text, err := s.text8()
	if err != nil {
		return err
	}
	us, err := datasets.ParseTime(text)
	switch {
	case err != nil:
		o.fault(s.pointer, "%q is no time: write it as 2026-03-01T09:30:00Z or 2026-03-01", clip(text))
	case us > o.now+aheadOfNow:
		o.fault(s.pointer, "%s has not come", datasets.FormatTime(us))
	}
	*dst = us
	return nil
}

// check finds what is wrong with the whole, if its fields are well.
func (o *outcome) check(prefix string, well bool) {
	for i, name := range []string{"model", "account"} {
		if !o.seen[1+i] {
			o.fault(prefix+"/"+name, "%s is missing: %s", name, outcomeFields)
			well = false
		}
	}
	if !o.seen[5] {
		o.fault(prefix+"/positive", "positive is missing: true if it happened, false if it did not")
		well = false
	}
	if !well {
		return
	}
	if o.models != nil && !o.models.loading && o.models.cause == "" && o.models.models[o.Model] == nil {
		o.fault(prefix+"/model", "there is no model %q; there are: %s", clip(o.Model), list(o.models.models))
		return
	}
	if err := o.Check(); err != nil {
		o.fault(prefix, "%s", err)
	}
}
