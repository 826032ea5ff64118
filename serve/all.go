package serve

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/models/registry"
)

// opinion is what one model says of the account.
type opinion struct {
	name        string // as it was asked for
	version     *version
	probability float64
	band        string
	err         error
}

// scoreAll answers for one account by the champion of every model, or by the models that
// are named: each answer or its error in place, the money at stake, and a warning where
// two of them cannot both be right.
func (s *Server) scoreAll(c *gin.Context) {
	if err := wantType(c.Request, "application/json"); err != nil {
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
	now := s.now()
	var q allRequest
	if err := q.decode(w.body.Bytes(), now, s.cfg.MaxFields); err != nil {
		s.fail(c, err)
		return
	}
	names, err := s.asked(&q)
	if err != nil {
		s.fail(c, err)
		return
	}
	opinions := make([]opinion, len(names))
	for i, name := range names {
		opinions[i].name = name
		opinions[i].version, opinions[i].err = s.version(c.Request.Context(), name)
	}
	if err := q.rowsAre(opinions); err != nil {
		s.fail(c, err)
		return
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"account":%s,"as_of":%q,"answers":[`, accountText(q.account), datasets.FormatTime(q.moment))
	for i := range opinions {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := s.opine(c, w, &q, opinions, i, &out); err != nil {
			s.fail(c, err)
			return
		}
	}
	if err := commonFault(opinions); err != nil {
		s.fail(c, err)
		return
	}
	warnings, err := marshal(contradictions(opinions))
	if err != nil {
		s.fail(c, err)
		return
	}
	out.WriteString(`],"warnings":`)
	out.Write(bytes.TrimSuffix(warnings, []byte("\n")))
	out.WriteString("}\n")
	c.Data(http.StatusOK, "application/json", out.Bytes())
}

// accountText is the account as JSON; "" is null.
func accountText(text string) []byte {
	if text == "" {
		return []byte("null")
	}
	b, err := marshal(text)
	if err != nil { // a string is always JSON
		panic(err)
	}
	return bytes.TrimSuffix(b, []byte("\n"))
}

// asked are the models that a request names, or else all that have a champion.
func (s *Server) asked(q *allRequest) ([]string, error) {
	if q.models != nil {
		return q.models, nil
	}
	now := s.state.Load()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(now.models)) {
		if _, ok := now.models[name].aliases[registry.Champion]; ok {
			names = append(names, name)
		}
	}
	switch {
	case len(names) > 0:
		return names, nil
	case now.loading || now.cause != "":
		return nil, refuse(http.StatusServiceUnavailable, "no model is loaded; ask /readyz")
	}
	return nil, refuse(http.StatusNotFound, "no model has a champion")
}

// opine writes what one model says, or why it says nothing. An error is of ours.
func (s *Server) opine(c *gin.Context, w *work, q *allRequest, opinions []opinion, i int, out *bytes.Buffer) error {
	o := &opinions[i]
	if o.err == nil {
		o.err = s.opinionOf(c, w, q, opinions, i)
	}
	if o.err != nil {
		p := *problemOf(o.err)
		if p.Status >= 500 {
			s.log.Error("model failed", "route", c.FullPath(), "model", o.name, "error", o.err)
		}
		b, err := marshal(struct {
			Model string   `json:"model"`
			Error *problem `json:"error"`
		}{o.name, &p})
		out.Write(bytes.TrimSuffix(b, []byte("\n")))
		return err
	}
	o.probability, o.band = w.answer.Probability, w.answer.Band
	options := q.scoreOptions
	if options.only != 0 {
		options.only |= 1 << fieldModel // whose answer it is
	}
	w.out.Reset()
	if err := writeAnswer(&w.out, &w.answer, &options); err != nil {
		return err
	}
	line := bytes.TrimSuffix(w.out.Bytes(), []byte("}\n"))
	out.Write(line)
	if options.only == 0 || options.only&(1<<fieldAtStake) != 0 {
		stake, err := s.stakeOf(c.Request.Context(), o, q)
		if err != nil {
			return err
		}
		if stake != nil {
			b, err := marshal(stake)
			if err != nil {
				return err
			}
			out.WriteString(`,"` + atStakeField + `":`)
			out.Write(bytes.TrimSuffix(b, []byte("\n")))
		}
	}
	out.WriteByte('}')
	return nil
}

// opinionOf scores by one model into w.answer, by the same way as POST
// /v1/models/{name}/score.
func (s *Server) opinionOf(c *gin.Context, w *work, q *allRequest, opinions []opinion, i int) error {
	v := opinions[i].version
	text, pointer := q.textOf(v.name)
	if err := w.request.decode(text, v.scorer.Encoder(), q.moment, s.cfg.MaxFields, ""); err != nil {
		return pointAt(err, pointer)
	}
	if pointer == "/row" { // a column of another model is no stranger
		w.request.unknown = slices.DeleteFunc(w.request.unknown, func(name string) bool {
			return slices.ContainsFunc(opinions, func(o opinion) bool {
				return o.version != nil && o.version.scorer.Encoder().Find(name) >= 0 || o.version != nil && o.version.scorer.Artifact().Manifest.Value == name
			})
		})
	}
	return pointAt(s.answer(c, w, v, ""), pointer)
}

// pointAt moves the faults of a row to where it lies in the body.
func pointAt(err error, pointer string) error {
	var p *problem
	if pointer == "/row" || !errors.As(err, &p) {
		return err
	}
	moved := *p
	moved.Errors = slices.Clone(p.Errors)
	for i := range moved.Errors {
		if rest, ok := cutPointer(moved.Errors[i].Pointer, "/row"); ok {
			moved.Errors[i].Pointer = pointer + rest
		}
	}
	return &moved
}

// cutPointer takes a JSON Pointer off the front of one that leads there or further.
func cutPointer(pointer, front string) (rest string, ok bool) {
	if len(pointer) < len(front) || pointer[:len(front)] != front {
		return "", false
	}
	rest = pointer[len(front):]
	return rest, rest == "" || rest[0] == '/'
}

// commonFault is the error of a request for which no model has an answer, all for the
// same kind of reason: who sends requests again looks at the status.
func commonFault(opinions []opinion) error {
	var all *problem
	for _, o := range opinions {
		if o.err == nil {
			return nil
		}
		p := problemOf(o.err)
		if all == nil {
			all = refuse(p.Status, p.Detail)
		}
		if p.Status != all.Status {
			return nil
		}
		for _, f := range p.Errors {
			if !slices.Contains(all.Errors, f) {
				all.Errors = append(all.Errors, f)
			}
		}
	}
	return all
}

// rowsAre checks that the rows of a request are of models that are asked for.
func (q *allRequest) rowsAre(opinions []opinion) error {
	var faults []fault
	for _, r := range q.rows {
		if !slices.ContainsFunc(opinions, func(o opinion) bool {
			ref, err := registry.ParseRef(o.name)
			return err == nil && ref.Name == r.model
		}) {
			faults = append(faults, fault{fmt.Sprintf("rows has a row of %q, which is not among the models that are asked for", clip(r.model)), "/rows/" + escapePointer(r.model)})
		}
	}
	return faultsProblem(faults)
}

func elementOf(pointer string, n int) string { return pointer + "/" + strconv.Itoa(n) }
