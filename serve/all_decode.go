package serve

import (
	"bytes"
	"slices"

	"propensity/features"
	"propensity/models/registry"
)

// allRequest is a decoded POST /v1/score: what every model is asked, and the rows.
type allRequest struct {
	request          // account, moment and options
	models  []string // nil: every model with a champion
	shared  []byte   // the one row of all models, as JSON; nil: there is none
	rows    []rowOf  // or a row of each
	sent    []byte   // fields that are for each model as they came, each after a comma
}

type rowOf struct {
	model string
	row   []byte // JSON
}

const (
	maxModels = 100
	allFields = "account, row or rows, models, as_of, reasons, allow_missing, threshold, fields and dry_run"
)

// decode reads the request. The error is a *problem, as of request.decode.
func (q *allRequest) decode(text []byte, now int64, maxFields int) error {
	none := &features.Encoder{}
	q.reset(none, now)
	q.everyModel = true
	s := scanner{text: text}
	if err := s.validUTF8(); err != nil {
		return err
	}
	if s.next() != '{' {
		if err := s.skip(1); err != nil {
			return err
		}
		q.fault("", "a request is an object with "+allFields)
	} else if err := s.object(func(name string) error { return q.part(&s, none, name, maxFields) }); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	q.checkOptions("")
	switch {
	case len(q.faults) > 0:
	case q.shared != nil && q.rows != nil:
		q.fault("/rows", "row and rows are both given: send one row for all models, or a row for each")
	case q.shared == nil && q.rows == nil && q.account == "":
		q.fault("/row", "row is missing: an object with a value for each column; or name an account whose facts the server keeps")
	}
	return faultsProblem(q.faults)
}

// part reads one field of the request.
func (q *allRequest) part(s *scanner, none *features.Encoder, name string, maxFields int) error {
	start := s.at
	switch name {
	case "row", "rows", "models":
		s.pointer = "/" + name
		if err := q.once(s, name, name); err != nil {
			return err
		}
	case "account", "as_of", "reasons", "allow_missing", "dry_run":
		err := q.member(s, none, name, "", maxFields)
		q.sent = append(append(append(append(q.sent, ',', '"'), name...), '"', ':'), s.text[start:s.at]...)
		return err
	case "threshold", "fields": // of how the answers are written
		return q.member(s, none, name, "", maxFields)
	default:
		s.pointer = "/" + escapePointer(name)
		if err := q.once(s, name, name); err != nil {
			return err
		}
		q.fault(s.pointer, "unknown field %q: a request has %s", clip(name), allFields)
		return s.skip(2)
	}
	switch name {
	case "models":
		return q.readModels(s)
	case "rows":
		return q.readRows(s, none, maxFields)
	}
	err := q.readRow(s, none, maxFields)
	q.shared = s.text[start:s.at]
	return err
}

// readRow reads a row for what is wrong with it whatever the model.
func (q *allRequest) readRow(s *scanner, none *features.Encoder, maxFields int) error {
	if s.next() != '{' {
		q.fault(s.pointer, "a row must be an object: a name and a value for each column")
		return s.skip(3)
	}
	q.fields, q.unknown = 0, q.unknown[:0]
	err := q.cells(s, none, maxFields)
	for _, name := range q.unknown {
		delete(q.seen, "/"+name)
	}
	return err
}

// readModels takes an array of references: churn, churn@8, churn@challenger.
func (q *allRequest) readModels(s *scanner) error {
	here := s.pointer
	if s.next() != '[' {
		q.fault(here, "models must be an array of models, such as churn or churn@8")
		return s.skip(2)
	}
	s.at++
	q.models = []string{}
	for n := 0; ; n++ {
		if s.next() == ']' && n == 0 {
			q.fault(here, "models is empty: leave it out for every model, or name those that are wanted")
			s.at++
			return nil
		}
		s.pointer = here
		if err := q.readModel(s, elementOf(here, n)); err != nil {
			return err
		}
		if s.next() == ']' {
			s.at++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

func (q *allRequest) readModel(s *scanner, pointer string) error {
	if s.next() != '"' {
		q.fault(pointer, "models must be an array of models, such as churn or churn@8")
		return s.skip(3)
	}
	name, err := s.text8()
	if err != nil {
		return err
	}
	_, bad := registry.ParseRef(name)
	switch {
	case bad != nil:
		q.fault(pointer, "%s", bad)
	case slices.Contains(q.models, name):
		q.fault(pointer, "%s is named twice", clip(name))
	case len(q.models) == maxModels:
		q.fault(pointer, "there are more than %d models", maxModels)
	default:
		q.models = append(q.models, name)
	}
	return nil
}

// readRows takes an object of a row for each model.
func (q *allRequest) readRows(s *scanner, none *features.Encoder, maxFields int) error {
	here := s.pointer
	if s.next() != '{' {
		q.fault(here, "rows must be an object: the name of a model and its row")
		return s.skip(2)
	}
	q.rows = []rowOf{}
	return s.object(func(model string) error {
		s.pointer = here + "/" + escapePointer(model)
		if slices.ContainsFunc(q.rows, func(r rowOf) bool { return r.model == model }) {
			return s.fail("%q is given twice", model)
		}
		if len(q.rows) == maxModels {
			return faultsProblem([]fault{{"rows has too many models", here}})
		}
		start := s.at
		err := q.readRow(s, none, maxFields)
		q.rows = append(q.rows, rowOf{model, s.text[start:s.at]})
		return err
	})
}

// rowOf gives the row of a model, nil if it has none, and where it lies in the body.
func (q *allRequest) rowOf(model string) (row []byte, pointer string) {
	if q.rows == nil {
		return q.shared, "/row"
	}
	for _, r := range q.rows {
		if r.model == model {
			row = r.row
		}
	}
	return row, "/rows/" + escapePointer(model)
}

// textOf is the request of one model alone, and where its row lies in the body.
func (q *allRequest) textOf(model string) (text []byte, pointer string) {
	row, pointer := q.rowOf(model)
	text = slices.Concat([]byte("{"), bytes.TrimPrefix(q.sent, []byte(",")))
	if row != nil {
		if len(q.sent) > 0 {
			text = append(text, ',')
		}
		text = append(append(text, `"row":`...), row...)
	}
	return append(text, '}'), pointer
}
