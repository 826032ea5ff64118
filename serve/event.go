package serve

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/features/spec"
	"propensity/models"
)

// events are decoded facts, with all that is wrong or strange about them.
type events struct {
	schema *schema
	now    int64
	most   int // fields of properties
	// attributes is the source of a fact that is posted as an account's attributes and
	// names none.
	attributes string
	list       []facts.Fact
	faults     []fault
	known      map[string]string // texts that come again and again, such as the names of columns
	event      event             // that is being read
	// Warnings are about what was taken although no model looks at it.
	warnings []models.Warning
}

// Instants of facts: before 1990 clocks were not set; what is dated much later than
// now, and is no interval, has not happened; and what says that it arrived was known.
const (
	earliestFact = int64(631_152_000_000_000)
	aheadOfNow   = int64(24 * time.Hour / time.Microsecond)
	aheadOfClock = int64(5 * time.Minute / time.Microsecond)
)

// event is one fact on its way.
type event struct {
	*events
	row                               int    // of several, from 0; -1: it is all of the body
	seen                              uint16 // bits by eventField
	source, account, user, id         string
	occurred, arrived, ended          int64
	hasOccurred, hasArrived, hasEnded bool
	values                            map[string]datasets.Value
	attributesOnly                    bool // the body of an account's attributes
	faulty                            bool
}

func (e *event) fault(pointer, format string, args ...any) {
	e.faulty = true
	e.faults = append(e.faults, fault{fmt.Sprintf(format, args...), pointer})
}

func (e *event) warn(field, state, format string, args ...any) {
	const most = 100 // of one answer: they are there to be read
	if len(e.warnings) < most {
		e.warnings = append(e.warnings, models.Warning{Field: field, State: state, Detail: fmt.Sprintf(format, args...)})
	}
}

// eventField numbers the fields of a fact, for the bits of event.seen; -1: there is no such.
func eventField(name []byte) int {
	switch string(name) {
	case "source":
		return 0
	case "id":
		return 1
	case "account":
		return 2
	case "user":
		return 3
	case "occurred_at":
		return 4
	case "arrived_at":
		return 5
	case "ended_at":
		return 6
	case "properties":
		return 7
	}
	return -1
}

// prefix is the JSON Pointer to the fact within the body.
func (e *event) prefix() string {
	if e.row < 0 {
		return ""
	}
	return "/" + strconv.Itoa(e.row)
}

// decode reads one event, that of a row of the body (from 0, or -1 for all of it); an
// account that is given is that of the path. The error is of a text that is no JSON; all
// other faults are gathered.
func (l *events) decode(text []byte, row int, account string) error {
	if l.known == nil {
		l.known = map[string]string{}
	}
	l.event = event{events: l, row: row, account: account, attributesOnly: account != ""}
	e := &l.event
	s := scanner{text: text}
	err := s.validUTF8()
	switch {
	case err != nil:
	case s.next() == '{':
		err = s.members(func(name []byte) error { return e.member(&s, name) })
	default:
		if err = s.skip(1); err == nil {
			e.fault(e.prefix(), "a fact is an object with source, account, id, occurred_at and properties")
		}
	}
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return within(err, e.prefix())
	}
	e.check()
	return nil
}

// at is the JSON Pointer to what is being read, within the body.
func (e *event) at(s *scanner) string { return e.prefix() + s.place() }

// within puts a prefix before the places of a problem.
func within(err error, prefix string) error {
	var p *problem
	if prefix != "" && errors.As(err, &p) {
		for i := range p.Errors {
			p.Errors[i].Pointer = prefix + p.Errors[i].Pointer
		}
	}
	return err
}

// again gives the text, the very one that was there before if it is short.
func (l *events) again(text []byte) string {
	const long, most = 32, 4096
	if len(text) > long {
		return string(text)
	}
	if had, ok := l.known[string(text)]; ok {
		return had
	}
	out := string(text)
	if len(l.known) < most {
		l.known[out] = out
	}
	return out
}

func (e *event) member(s *scanner, name []byte) error {
	field := eventField(name)
	if field >= 0 {
		if e.seen&(1<<field) != 0 {
			return s.fail("%q is given twice", name)
		}
		e.seen |= 1 << field
	}
	var err error
	switch {
	case field == 0:
		e.source, err = e.text(s, "source")
	case field == 1:
		e.id, err = e.text(s, "id")
	case field == 2 && !e.attributesOnly:
		e.account, err = e.text(s, "account")
	case field == 3 && !e.attributesOnly:
		e.user, err = e.text(s, "user")
	case field == 4:
		e.occurred, e.hasOccurred, err = e.instant(s, "occurred_at")
	case field == 5:
		e.arrived, e.hasArrived, err = e.instant(s, "arrived_at")
	case field == 6 && !e.attributesOnly:
		e.ended, e.hasEnded, err = e.instant(s, "ended_at")
	case field == 7:
		if s.next() == '{' {
			return e.properties(s)
		}
		e.fault(e.at(s), "properties must be an object: a name and a value for each column")
		return s.skip(2)
	default:
		e.fault(e.at(s), "unknown field %q: a fact has source, account, user, id, occurred_at, arrived_at, ended_at and properties; columns belong in properties", clip(string(name)))
		return s.skip(2)
	}
	return err
}

// text reads a name: text, or a number letter by letter; null is none.
func (e *event) text(s *scanner, name string) (string, error) {
	switch b := s.next(); {
	case b == '"':
		text, err := s.letters()
		if err == nil && len(text) == 0 {
			e.fault(e.at(s), "%s is empty", name)
		}
		if name == "source" {
			return e.again(text), err
		}
		return string(text), err
	case b == '-' || '0' <= b && b <= '9':
		number, err := s.number()
		return string(number), err
	case b == 'n':
		return "", s.skip(2)
	}
	e.fault(e.at(s), "%s must be text or a number", name)
	return "", s.skip(2)
}

// instant reads a time; null is none.
func (e *event) instant(s *scanner, name string) (us int64, ok bool, err error) {
	switch s.next() {
	case '"':
		text, err := s.text8()
		if err != nil {
			return 0, false, err
		}
		us, err := datasets.ParseTime(text)
		if err != nil {
			e.fault(e.at(s), "%s %q is no time: write it as 2026-03-01T09:30:00Z or 2026-03-01", name, clip(text))
		}
		return us, true, nil
	case 'n':
		return 0, false, s.skip(2)
	}
	e.fault(e.at(s), "%s must be a time such as 2026-03-01T09:30:00Z", name)
	return 0, true, s.skip(2)
}

// properties reads the values of columns.
func (e *event) properties(s *scanner) error {
	n := 0
	e.values = make(map[string]datasets.Value, 4)
	return s.members(func(name []byte) error {
		if n++; n > e.most {
			return refuse(422, fmt.Sprintf("properties have more than %d fields", e.most), fault{"too many fields", "/properties"})
		}
		if _, twice := e.values[string(name)]; twice {
			return s.fail("%q is given twice", name)
		}
		column := e.again(name) // before the value is read, for it is no longer there then
		v, err := e.value(s)
		e.values[column] = v
		return err
	})
}

func (e *event) value(s *scanner) (v datasets.Value, err error) {
	switch b := s.next(); b {
	case '{', '[':
		e.fault(e.at(s), "properties are flat: send a number, text, true, false or null")
		return v, s.skip(3)
	case '"':
		text, err := s.letters()
		return datasets.Value{Kind: datasets.Category, Text: e.again(text)}, err
	case 't', 'f':
		v = datasets.Value{Kind: datasets.Boolean}
		if b == 't' {
			v.Number = 1
		}
		return v, s.skip(3)
	case 'n':
		return v, s.skip(3)
	default:
		if b != '-' && (b < '0' || b > '9') {
			return v, s.unexpected("a value")
		}
	}
	digits, err := s.number()
	if err != nil {
		return v, err
	}
	x, err := strconv.ParseFloat(string(digits), 64)
	if err != nil {
		e.fault(e.at(s), "%s is beyond what a 64-bit number holds", clip(string(digits)))
		return v, nil
	}
	return datasets.Value{Kind: datasets.Number, Number: x + 0}, nil // -0 + 0 is 0
}

// check looks at the fact as a whole, and adds it if there is nothing wrong with it.
func (e *event) check() {
	at := func(name string) string { return e.prefix() + "/" + name }
	if e.source == "" && e.attributesOnly {
		e.source = e.attributes
	}
	known := e.schema.sources[e.source]
	switch {
	case e.source == "" && !e.faulty:
		e.fault(at("source"), "source is missing: %s", e.sourcesHint())
	case known == nil && e.source != "":
		e.warn(strings.TrimPrefix(at("source"), "/"), "unknown", "no model looks at source %s; the fact was kept (%s)", clip(e.source), e.sourcesHint())
	}
	e.links(known, at)
	e.times(known, at)
	if e.id == "" && !e.faulty {
		if e.attributesOnly {
			e.id = "at " + datasets.FormatTime(e.occurred)
		} else {
			e.fault(at("id"), "id is missing: what tells this fact from others, so that it may be sent again")
		}
	}
	if known != nil {
		e.kinds(known)
	}
	if e.faulty {
		return
	}
	f := facts.Fact{Source: e.source, Account: e.account, ID: e.id, Occurred: e.occurred, Arrived: datasets.MissingTime, End: datasets.MissingTime, Values: e.values}
	if e.hasArrived {
		f.Arrived = e.arrived
	}
	if e.hasEnded {
		f.End = e.ended
	}
	named := f
	if named.Account == "" {
		named.Account = e.user
	}
	if err := online.Check(&named); err != nil {
		e.fault(e.prefix(), "%s", err)
		return
	}
	e.list = append(e.list, f)
}

func (e *event) sourcesHint() string {
	if len(e.schema.sources) == 0 {
		return "no model that is loaded was learnt from facts"
	}
	return "the models that are loaded look at " + e.schema.names()
}

// links sees to whose fact it is.
func (e *event) links(known *source, at func(string) string) {
	set := func(column, text string) {
		if e.values == nil {
			e.values = map[string]datasets.Value{}
		}
		e.values[column] = datasets.Value{Kind: datasets.Text, Text: text}
	}
	if known != nil && known.User != "" {
		if e.user == "" {
			e.user = e.values[known.User].String()
		}
		if e.user != "" {
			set(known.User, e.user)
		}
	}
	switch {
	case known != nil && known.Kind == spec.Users && e.user == "":
		e.fault(at("user"), "user is missing: a fact of %s says of which account a user is", e.source)
	case e.account != "":
	case known != nil && known.User != "" && known.Kind != spec.Users && e.user != "": // the account comes from the user
	case e.faulty:
	case known != nil && known.User != "" && known.Kind != spec.Users:
		e.fault(at("account"), "account and user are missing: one of them is needed")
	default:
		e.fault(at("account"), "account is missing")
	}
	if known != nil && known.Kind == spec.Merges {
		switch from := e.values[known.FromAccount].String(); from {
		case "":
			e.fault(at("properties/"+escapePointer(known.FromAccount)), "%s is missing: the account that was merged", known.FromAccount)
		case e.account:
			e.fault(at("properties/"+escapePointer(known.FromAccount)), "account %s cannot be merged into itself", clip(from))
		default:
			set(known.FromAccount, from)
		}
	}
}

// times sees to when it happened.
func (e *event) times(known *source, at func(string) string) {
	kind := spec.Kind("")
	if known != nil {
		kind = known.Kind
	}
	if !e.hasOccurred {
		switch {
		case kind == spec.Users:
			e.occurred = facts.Always
		case kind == spec.Attributes || e.attributesOnly:
			e.occurred = e.now
		case !e.faulty:
			e.fault(at("occurred_at"), "occurred_at is missing: when it happened, such as 2026-03-01T09:30:00Z")
		}
	}
	dated := func(name string, us, most int64) {
		if us < earliestFact && us != facts.Always {
			e.fault(at(name), "%s %s is before 1990", name, datasets.FormatTime(us))
		}
		if us > most {
			e.fault(at(name), "%s %s is in the future: it is %s", name, datasets.FormatTime(us), datasets.FormatTime(e.now))
		}
	}
	if e.faulty {
		return
	}
	most := e.now + aheadOfNow
	if kind == spec.Intervals {
		most = facts.Never // it is known when they will begin
	}
	dated("occurred_at", e.occurred, most)
	if e.hasArrived {
		dated("arrived_at", e.arrived, e.now+aheadOfClock)
	}
	if !e.hasEnded {
		return
	}
	switch {
	case known != nil && kind != spec.Intervals:
		e.fault(at("ended_at"), "facts of %s have no end: its kind is %s", e.source, kind)
	case e.ended < e.occurred:
		e.fault(at("ended_at"), "it ended before it occurred")
	}
}

// kinds sees to the values.
func (e *event) kinds(known *source) {
	var room [16]string
	names := room[:0]
	for name := range e.values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := e.values[name]
		kinds, ok := known.kinds[name]
		if !ok && name != known.User && name != known.FromAccount && !v.Missing() {
			e.warn(strings.TrimPrefix(e.prefix()+"/properties/"+escapePointer(name), "/"), "unknown", "no model looks at %s of source %s; it was kept", clip(name), e.source)
			continue
		}
		for _, kind := range kinds {
			if _, fits := online.Fit(v, kind); !fits {
				got := v.Kind.String()
				if v.Kind == datasets.Category {
					got = "text"
				}
				e.fault(e.prefix()+"/properties/"+escapePointer(name), "%s must be a %s, not the %s %s", name, kind, got, clip(v.String()))
				break
			}
		}
	}
}
