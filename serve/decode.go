package serve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/features"
)

const (
	defaultReasons = 3
	maxReasons     = 1000
	requestFields  = "account, row, as_of, reasons, allow_missing, threshold, fields and dry_run"
)

// request is one decoded request. It is used again for the next one.
type request struct {
	text    []byte // that it was decoded from; nil: it came in another form
	account string
	row     []datasets.Value // a cell per column of the encoder
	moment  int64
	unknown []string // names in row that are no column, in their order
	scoreOptions

	hasRow  bool
	store   bool   // what the row lacks is for the store of facts to say
	present []bool // per column
	seen    map[string]bool
	fields  int
	faults  []fault
}

// decode reads one request for an encoder. The moment is now unless the request
// has as_of; prefix is the JSON Pointer to the request within the body. An error
// is a *problem: 400 if the text is no JSON, 422 if it is not a request that the
// model can answer, with all such faults.
func (q *request) decode(text []byte, e *features.Encoder, now int64, maxFields int, prefix string) error {
	q.reset(e, now)
	q.text = text
	s := scanner{text: text, pointer: prefix}
	if err := s.validUTF8(); err != nil {
		return err
	}
	if b := s.next(); b != '{' {
		if err := s.skip(1); err != nil {
			return err
		}
		q.fault(prefix, "a request is an object with "+requestFields)
	} else if err := s.object(func(name string) error { return q.member(&s, e, name, prefix, maxFields) }); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	q.checkOptions(prefix)
	return q.whole(e, prefix)
}

// whole judges a request that has been read: what its row lacks is for the store to
// say, or a fault.
func (q *request) whole(e *features.Encoder, prefix string) error {
	// A row that is whole, or is to be taken as it is, needs no store.
	q.store = q.account != "" && len(q.faults) == 0 && (!q.hasRow || !q.allowMissing && slices.Contains(q.present, false))
	if !q.store {
		q.absent(e, prefix)
	}
	if len(q.faults) > 0 {
		return q.typeFaults(e, prefix)
	}
	return nil
}

func (q *request) reset(e *features.Encoder, now int64) {
	n := len(e.Columns)
	if cap(q.row) < n {
		q.row, q.present = make([]datasets.Value, n), make([]bool, n)
	}
	q.row, q.present = q.row[:n], q.present[:n]
	clear(q.row)
	clear(q.present)
	q.text, q.account, q.reasons, q.moment = nil, "", defaultReasons, now
	q.scoreOptions = scoreOptions{reasons: defaultReasons}
	q.hasRow, q.store, q.fields = false, false, 0
	q.unknown, q.faults = q.unknown[:0], nil
	if q.seen == nil {
		q.seen = make(map[string]bool)
	}
	clear(q.seen)
}

func (q *request) fault(pointer, format string, args ...any) {
	q.faults = append(q.faults, fault{fmt.Sprintf(format, args...), pointer})
}

func faultsProblem(faults []fault) error {
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return refuse(422, faults[0].Detail, faults...)
	}
	return refuse(422, fmt.Sprintf("%d faults, the first: %s", len(faults), faults[0].Detail), faults...)
}

// once refuses a name that the same object had before.
func (q *request) once(s *scanner, key, name string) error {
	if q.seen[key] {
		return s.fail("%q is given twice", name)
	}
	q.seen[key] = true
	return nil
}

// member reads one field of the request.
func (q *request) member(s *scanner, e *features.Encoder, name, prefix string, maxFields int) error {
	s.pointer = prefix + "/" + escapePointer(name)
	if err := q.once(s, name, name); err != nil {
		return err
	}
	switch name {
	case "row":
		if s.next() == '{' {
			q.hasRow = true
			return q.cells(s, e, maxFields)
		}
		q.fault(s.pointer, "row must be an object: a name and a value for each column")
		return s.skip(2)
	case "account":
		return q.readAccount(s)
	case "as_of":
		return q.readAsOf(s)
	}
	if ok, err := q.option(s, name); ok {
		return err
	}
	q.fault(s.pointer, "unknown field %q: a request has %s; columns belong in row", clip(name), requestFields)
	return s.skip(2)
}

// readAccount takes text, or a number letter by letter.
func (q *request) readAccount(s *scanner) error {
	start := s.at
	switch b := s.next(); {
	case b == '"':
		text, err := s.text8()
		if err != nil {
			return err
		}
		if text == "" {
			q.fault(s.pointer, "account is empty: leave it out, or name the account")
		}
		q.account = text
		return nil
	case b == 'n':
	case b == '-' || '0' <= b && b <= '9':
		number, err := s.number()
		q.account = string(number)
		return err
	default:
		q.fault(s.pointer, "account must be text or a number")
	}
	s.at = start
	return s.skip(2)
}

func (q *request) readAsOf(s *scanner) error {
	if s.next() != '"' {
		q.fault(s.pointer, "as_of must be a time such as 2026-03-01T09:30:00Z")
		return s.skip(2)
	}
	text, err := s.text8()
	if err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		q.fault(s.pointer, "as_of %q is no time such as 2026-03-01T09:30:00Z (RFC 3339)", clip(text))
		return nil
	}
	q.moment = t.UnixMicro()
	return nil
}

// cells reads the row. Within it, s.place names the field being read. Columns come most
// often in the order of the encoder, so that one is first looked for after the last.
func (q *request) cells(s *scanner, e *features.Encoder, maxFields int) error {
	expected := 0
	return s.members(func(name []byte) error {
		if q.fields++; q.fields > maxFields {
			return refuse(422, fmt.Sprintf("row has more than %d fields", maxFields), fault{"too many fields", s.pointer})
		}
		j := expected
		if j == len(e.Columns) || e.Columns[j].Name != string(name) {
			j = e.Find(string(name))
		}
		if j < 0 {
			// A slash first keeps them apart from the fields of the request.
			if err := q.once(s, "/"+string(name), string(name)); err != nil {
				return err
			}
			q.unknown = append(q.unknown, string(name))
			return q.cell(s, nil, nil)
		}
		if q.present[j] {
			return s.fail("%q is given twice", name)
		}
		q.present[j] = true
		expected = j + 1
		return q.cell(s, &e.Columns[j], &q.row[j])
	})
}

// cell reads one value of the row; without a column it is only checked.
func (q *request) cell(s *scanner, c *features.Column, dst *datasets.Value) error {
	var v datasets.Value
	switch b := s.next(); b {
	case '{', '[':
		q.fault(s.place(), "a row is flat: send a number, text, true, false or null")
		return s.skip(3)
	case '"':
		text, err := s.text8()
		if err != nil {
			return err
		}
		v = datasets.Value{Kind: datasets.Category, Text: text}
		if c != nil && c.Kind == datasets.Time {
			us, err := datasets.ParseTime(text)
			if err != nil {
				q.fault(s.place(), "%q is no time: write it as 2026-03-01T09:30:00Z or 2026-03-01", clip(text))
			}
			v = datasets.Value{Kind: datasets.Time, Time: us}
		}
	case 't', 'f':
		v = datasets.Value{Kind: datasets.Boolean}
		if b == 't' {
			v.Number = 1
		}
		if err := s.skip(3); err != nil {
			return err
		}
	case 'n':
		if err := s.skip(3); err != nil {
			return err
		}
	default:
		if b != '-' && (b < '0' || b > '9') {
			return s.unexpected("a value")
		}
		digits, err := s.number()
		if err != nil {
			return err
		}
		x, err := strconv.ParseFloat(string(digits), 64)
		if err != nil {
			q.fault(s.place(), "%s is beyond what a 64-bit number holds", clip(string(digits)))
			return nil
		}
		v = datasets.Value{Kind: datasets.Number, Number: x + 0} // -0 + 0 is 0
	}
	if dst != nil {
		*dst = v
	}
	return nil
}

// absent adds a fault for each column that the row lacks.
func (q *request) absent(e *features.Encoder, prefix string) {
	if !q.hasRow {
		if len(q.faults) == 0 { // another fault may well be why
			q.fault(prefix+"/row", "row is missing: an object with a value for each column; or name an account whose facts the server keeps")
		}
		return
	}
	if q.allowMissing {
		return
	}
	for j, ok := range q.present {
		if !ok {
			name := e.Columns[j].Name
			q.fault(prefix+"/row/"+escapePointer(name), "%s is absent, and the model needs it: send its value or null, or set allow_missing", name)
		}
	}
}

// typeFaults adds all cells of the wrong type, once it is known that something is
// wrong: of a sound row, Score finds that out.
func (q *request) typeFaults(e *features.Encoder, prefix string) error {
	for j := range e.Columns {
		c := &e.Columns[j]
		if _, _, err := c.Encode(q.row[j], q.moment); err != nil {
			q.fault(prefix+"/row/"+escapePointer(c.Name), "%s", err)
		}
	}
	return faultsProblem(q.faults)
}

// escapePointer spells a name within a JSON Pointer.
func escapePointer(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// clip keeps what a client sent from flooding a message.
func clip(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
