package serve

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/models"
	tablestream "propensity/models/stream"
)

// MLflow's scoring server (mlflow.org, "Deploy MLflow Model as a Local Inference Server"):
// the forms of /invocations that hold a table, and the probes beside it.

func (s *Server) mlflowRoutes(e *gin.Engine) {
	score := s.allow(scopeScore)
	e.POST("/invocations", score, s.invocations)
	e.POST("/models/:name/invocations", score, s.invocations)
	e.GET("/ping", s.ping)
	e.GET("/health", s.ping)
	e.GET("/version", s.allow(scopeRead), func(c *gin.Context) { c.String(http.StatusOK, "%s", s.cfg.Version) })
}

func (s *Server) ping(c *gin.Context) {
	status := http.StatusOK
	if !s.readiness(c).Ready {
		status = http.StatusServiceUnavailable
	}
	c.String(status, "\n")
}

// invocations answers {"predictions": [...]} for the rows of a table.
func (s *Server) invocations(c *gin.Context) {
	v, w, err := s.mlflowBegin(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer s.put(w)
	i := invocation{options: options{reasons: 0, moment: s.now()}}
	if wantType(c.Request, "text/csv") == nil {
		err = i.table(w.body.Bytes(), v, s.cfg.MaxFields)
	} else {
		err = i.decode(nullForNaN(w.body.Bytes()), &w.request, v, s.cfg.MaxFields)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	w.out.Reset()
	w.out.WriteString(`{"predictions":[`)
	first := true
	if err := s.scoreRows(c, w, v, i.options, i.rows, func(a *models.Answer) error {
		if !first {
			w.out.WriteByte(',')
		}
		first = false
		if i.full {
			w.out.WriteString(inJSON(a))
		} else {
			w.out.Write(datasets.AppendNumber(w.out.AvailableBuffer(), a.Probability))
		}
		return nil
	}); err != nil {
		s.fail(c, err)
		return
	}
	w.out.WriteString("]}\n")
	c.Data(http.StatusOK, "application/json", w.out.Bytes())
}

func (s *Server) mlflowBegin(c *gin.Context) (*version, *work, error) {
	if err := wantType(c.Request, "application/json", "text/csv"); err != nil {
		return nil, nil, err
	}
	name, err := s.mlflowModel(c)
	if err != nil {
		return nil, nil, err
	}
	v, err := s.oneVersion(c, name)
	if err != nil {
		return nil, nil, err
	}
	w, err := s.begin(c)
	return v, w, err
}

// mlflowModel is the model that a request means: the one in the path or the query, or the
// only one there is.
func (s *Server) mlflowModel(c *gin.Context) (string, error) {
	if name := c.Param("name"); name != "" {
		return name, nil
	}
	if name := c.Query("model"); name != "" {
		return name, nil
	}
	now := s.state.Load()
	if len(now.models) == 1 {
		for name := range now.models {
			return name, nil
		}
	}
	if now.loading {
		return "", refuse(http.StatusServiceUnavailable, "the models are being loaded; ask /readyz")
	}
	return "", refuse(http.StatusBadRequest, fmt.Sprintf("which model? Name it: /models/NAME/invocations or /invocations?model=NAME; there are: %s", list(now.models)))
}

// invocation is a request to score.
type invocation struct {
	options
	full bool // answers are whole ones, not probabilities alone
	rows dialectRows
}

// The forms of a table in JSON.
const (
	mlflowSplit     = "dataframe_split"
	mlflowRecords   = "dataframe_records"
	mlflowInstances = "instances"
	mlflowInputs    = "inputs"
)

// decode reads a request in JSON.
func (i *invocation) decode(text []byte, q *request, v *version, most int) error {
	s := &scanner{text: text}
	if err := s.validUTF8(); err != nil {
		return err
	}
	if s.next() != '{' {
		return mlflowRefuse("", "a request is an object with one of dataframe_split, dataframe_records, instances and inputs, and maybe params")
	}
	form := ""
	seen := map[string]bool{}
	if err := s.object(func(name string) error {
		s.pointer = "/" + escapePointer(name)
		if seen[name] {
			return s.fail("%q is given twice", clip(name))
		}
		seen[name] = true
		switch name {
		case "params":
			return i.params(s, q, v)
		case mlflowSplit, mlflowRecords, mlflowInstances, mlflowInputs:
			if form != "" {
				return mlflowRefuse(s.pointer, "%s and %s: a request has one table", form, name)
			}
			form = name
			return i.form(s, form, v, most)
		}
		return mlflowRefuse(s.pointer, "unknown field %q: a request has one of dataframe_split, dataframe_records, instances and inputs, and maybe params", clip(name))
	}); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if form == "" {
		return mlflowRefuse("", "there is no table: send one of dataframe_split, dataframe_records, instances and inputs")
	}
	return nil
}

func mlflowRefuse(pointer, format string, args ...any) error {
	detail := fmt.Sprintf(format, args...)
	return refuse(http.StatusUnprocessableEntity, detail, fault{detail, pointer})
}

// params reads what a request says about all rows. To ask for reasons, even for none of
// them, is to ask for whole answers.
func (i *invocation) params(s *scanner, q *request, v *version) error {
	return i.members(s, "params must be an object", func(name string) error {
		pointer := s.pointer
		known, err := i.read(q, s, v.scorer.Encoder(), name, "/params")
		if !known {
			return mlflowRefuse(pointer, "unknown param %q: there are reasons, allow_missing and as_of", clip(name))
		}
		i.full = i.full || name == "reasons"
		return err
	})
}

// members reads an object whose names are each there once.
func (i *invocation) members(s *scanner, otherwise string, member func(name string) error) error {
	here := s.pointer
	if s.next() != '{' {
		return mlflowRefuse(here, "%s", otherwise)
	}
	seen := map[string]bool{}
	return s.object(func(name string) error {
		s.pointer = here + "/" + escapePointer(name)
		if seen[name] {
			return s.fail("%q is given twice", clip(name))
		}
		seen[name] = true
		return member(name)
	})
}

// form finds where the rows lie, and checks that it is JSON.
func (i *invocation) form(s *scanner, form string, v *version, most int) error {
	switch form {
	case mlflowSplit:
		return i.split(s, v, most)
	case mlflowInputs:
		if s.next() == '{' {
			return i.inputs(s, v, most)
		}
	}
	i.rows = &recordRows{version: v, text: s.text, at: s.at, pointer: s.pointer, most: most}
	if s.next() != '[' {
		return mlflowRefuse(s.pointer, "%s must be an array of objects: a name and a value for each column", form)
	}
	return s.skip(2)
}

// inputs reads columns, or the one row that names with single values are.
func (i *invocation) inputs(s *scanner, v *version, most int) error {
	here, at := s.pointer, s.at
	r := &columnRows{encoder: v.scorer.Encoder(), warn: true}
	r.at = func(row int, column string) string {
		if !r.names[column] {
			return here
		}
		return fmt.Sprintf("%s/%s/%d", here, escapePointer(column), row)
	}
	arrays, singles := 0, 0
	if err := i.members(s, "", func(name string) error {
		if s.next() != '[' {
			singles++
			return s.skip(3)
		}
		arrays++
		at := s.at
		if err := s.skip(3); err != nil {
			return err
		}
		return r.add(name, v.target(name), &jsonColumn{text: s.text, at: at, pointer: "/row/" + escapePointer(name)}, most)
	}); err != nil {
		return err
	}
	if arrays > 0 && singles > 0 {
		return mlflowRefuse(here, "inputs has arrays and single values: send an array for each column")
	}
	if i.rows = r; singles > 0 {
		i.rows = &recordRows{version: v, text: s.text, at: at, pointer: here, most: most, single: true}
	}
	return nil
}

// table reads CSV with a header line, its columns held to the model's kinds as by the
// command score.
func (i *invocation) table(text []byte, v *version, most int) error {
	if !utf8.Valid(text) { // nor is it compressed, then
		return refuse(http.StatusBadRequest, "the CSV is not UTF-8")
	}
	t, err := datasets.ReadFrom(bytes.NewReader(text), "csv", datasets.ReadOptions{
		Format: datasets.CSV, Kinds: tablestream.Kinds(v.scorer, tablestream.Options{}),
	})
	if err != nil {
		var parse *datasets.ParseError
		if errors.As(err, &parse) {
			return refuse(http.StatusUnprocessableEntity, err.Error(), fault{err.Error(), ""})
		}
		return err
	}
	r := &columnRows{encoder: v.scorer.Encoder(), warn: true, at: func(int, string) string { return "" }}
	for j := range t.Columns {
		name := t.Columns[j].Name
		if err := r.add(name, v.target(name), &tableColumn{column: &t.Columns[j]}, most); err != nil {
			return err
		}
	}
	i.rows = r
	return nil
}

// nullForNaN writes null for NaN, which is how Python spells a missing number in what it
// takes for JSON. Text stays as it is.
func nullForNaN(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/8)
	quoted := false
	for at := 0; at < len(text); at++ {
		b := text[at]
		switch {
		case quoted && b == '\\' && at+1 < len(text):
			out = append(out, b)
			at++
			b = text[at]
		case b == '"':
			quoted = !quoted
		case !quoted && b == 'N' && bytes.HasPrefix(text[at:], []byte("NaN")) && at > 0 && strings.IndexByte(" \t\r\n[:,", text[at-1]) >= 0:
			out = append(out, "null"...)
			at += 2
			continue
		}
		out = append(out, b)
	}
	return out
}
