package serve

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/features"
)

// The Open Inference Protocol, version 2, REST: specification/protocol/inference_rest.md of
// github.com/kserve/open-inference-protocol, with Triton's binary tensor data extension
// (docs/protocol/extension_binary_data.md of github.com/triton-inference-server/server).

const oipBinary = "binary_tensor_data"

func (s *Server) oipRoutes(e *gin.Engine) {
	read, score := s.allow(scopeRead), s.allow(scopeScore)
	e.GET("/v2", read, s.oipServer)
	e.GET("/v2/health/live", func(c *gin.Context) { writeJSON(c, http.StatusOK, "application/json", oipLive{true}) })
	e.GET("/v2/health/ready", s.oipReady)
	for _, path := range []string{"/v2/models/:name", "/v2/models/:name/versions/:version"} {
		e.GET(path, read, s.oipModel)
		e.GET(path+"/ready", read, s.oipModelReady)
		e.POST(path+"/infer", score, s.oipInfer)
	}
}

// isOIP says that a path is the protocol's, whose errors have a form of their own.
func isOIP(path string) bool { return path == "/v2" || strings.HasPrefix(path, "/v2/") }

// oipError is the body of every answer that is no 2xx.
type oipError struct {
	Error string `json:"error"`
}

// oipErrorOf puts all that a problem says into one text.
func oipErrorOf(p *problem) oipError {
	const most = 20
	var b strings.Builder
	b.WriteString(p.Detail)
	if len(p.Errors) > 1 {
		for _, f := range p.Errors[1:min(len(p.Errors), most)] {
			b.WriteString("; " + f.Detail)
		}
		if len(p.Errors) > most {
			b.WriteString("; ...")
		}
	}
	return oipError{b.String()}
}

// oipLive is what the specification gives both health endpoints.
type oipLive struct {
	Live bool `json:"live"`
}

type oipServerAnswer struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

type oipModelAnswer struct {
	Name     string          `json:"name"`
	Versions []string        `json:"versions,omitempty"`
	Platform string          `json:"platform"`
	Inputs   []oipTensorType `json:"inputs"`
	Outputs  []oipTensorType `json:"outputs"`
}

type oipTensorType struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

type oipModelReadyAnswer struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
}

func (s *Server) oipServer(c *gin.Context) {
	writeJSON(c, http.StatusOK, "application/json", oipServerAnswer{"propensity", s.cfg.Version, []string{oipBinary}})
}

func (s *Server) oipReady(c *gin.Context) {
	r := s.readiness(c)
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(c, status, "application/json", oipLive{r.Ready})
}

// oipReference is the version that a path means: churn, churn@7, or churn and 7.
func oipReference(c *gin.Context) string {
	if v := c.Param("version"); v != "" {
		return c.Param("name") + "@" + v
	}
	return c.Param("name")
}

func (s *Server) oipModelReady(c *gin.Context) {
	v, err := s.oneVersion(c, oipReference(c))
	if err == nil {
		writeJSON(c, http.StatusOK, "application/json", oipModelReadyAnswer{v.name, true})
		return
	}
	if problemOf(err).Status != http.StatusServiceUnavailable {
		s.fail(c, err)
		return
	}
	name, _, _ := strings.Cut(c.Param("name"), "@")
	writeJSON(c, http.StatusServiceUnavailable, "application/json", oipModelReadyAnswer{name, false})
}

func (s *Server) oipModel(c *gin.Context) {
	v, err := s.oneVersion(c, oipReference(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	a := oipModelAnswer{Name: v.name, Platform: "propensity", Inputs: []oipTensorType{}, Outputs: []oipTensorType{}}
	for _, l := range s.listModel(v.name).Versions {
		a.Versions = append(a.Versions, strconv.Itoa(l.Version))
	}
	e := v.scorer.Encoder()
	for j := range e.Columns {
		a.Inputs = append(a.Inputs, oipTensorType{e.Columns[j].Name, oipDatatype(e.Columns[j].Kind), []int{-1}})
	}
	for _, o := range oipOutputs() {
		a.Outputs = append(a.Outputs, oipTensorType{o.name, o.datatype, []int{-1}})
	}
	writeJSON(c, http.StatusOK, "application/json", a)
}

// oipDatatype is the type that a column is said to have; what else it takes is the encoder's
// to judge.
func oipDatatype(k datasets.Kind) string {
	switch k {
	case datasets.Number:
		return "FP64"
	case datasets.Boolean:
		return "BOOL"
	}
	return "BYTES"
}

// inference is a request to score.
type inference struct {
	options
	id      string
	hasID   bool
	binary  bool // outputs, unless one says otherwise
	rows    int  // -1 before the first input
	inputs  columnRows
	outputs []oipOutput
	raw     []*rawColumn // of the inputs, in the order of their bytes
}

// oipInfer scores the rows of a request.
func (s *Server) oipInfer(c *gin.Context) {
	v, w, err := s.oipBegin(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer s.put(w)
	i := inference{options: options{reasons: defaultReasons, moment: s.now()}, rows: -1}
	i.inputs.encoder = v.scorer.Encoder()
	i.inputs.at = func(int, string) string { return "" }
	if err := i.decode(w, v, c.GetHeader(oipHeaderLength), s.cfg.MaxFields); err != nil {
		s.fail(c, err)
		return
	}
	if i.rows > s.cfg.MaxInferRows { // before memory is taken for the answers
		s.fail(c, errManyRows(s.cfg.MaxInferRows, v.name))
		return
	}
	a := newOIPAnswer(&i)
	if err := s.scoreRows(c, w, v, i.options, &i.inputs, a.add); err != nil {
		s.fail(c, err)
		return
	}
	a.write(c, v, &i)
}

func (s *Server) oipBegin(c *gin.Context) (*version, *work, error) {
	// Triton's clients name no type of what they send, or application/octet-stream.
	if c.GetHeader("Content-Type") == "" {
		c.Request.Header.Set("Content-Type", "application/json")
	}
	if err := wantType(c.Request, "application/json", "application/octet-stream"); err != nil {
		return nil, nil, err
	}
	v, err := s.oneVersion(c, oipReference(c))
	if err != nil {
		return nil, nil, err
	}
	w, err := s.begin(c)
	return v, w, err
}

// oipHeaderLength is the header that tells where the JSON ends and the bytes of tensors begin.
const oipHeaderLength = "Inference-Header-Content-Length"

// decode reads a request; length is that of its JSON, "" if there is nothing else.
func (i *inference) decode(w *work, v *version, length string, mostInputs int) error {
	text := w.body.Bytes()
	var rest []byte
	if length != "" {
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > len(text) {
			return refuse(http.StatusBadRequest, fmt.Sprintf("%s %q is no length within the body of %d bytes", oipHeaderLength, clip(length), len(text)))
		}
		text, rest = text[:n], text[n:]
	}
	s := &scanner{text: text}
	if err := s.validUTF8(); err != nil {
		return err
	}
	seen := map[string]bool{}
	once := func(name string) error {
		if seen[name] {
			return s.fail("%q is given twice", clip(name))
		}
		seen[name] = true
		return nil
	}
	if err := s.object(func(name string) error {
		if err := once(name); err != nil {
			return err
		}
		switch name {
		case "id":
			i.hasID = true
			return textMember(s, "id", &i.id)
		case "parameters":
			return i.parameters(s, &w.request, v.scorer.Encoder())
		case "inputs":
			return walkArray(s, "inputs", func() error { return i.input(s, v, mostInputs) })
		case "outputs":
			i.outputs = []oipOutput{}
			return walkArray(s, "outputs", func() error { return i.output(s) })
		case "model_name", "model_version": // the path says it, as Triton's own examples repeat
			return s.skip(2)
		}
		return oipRefuse("unknown field %q: a request has id, parameters, inputs and outputs", clip(name))
	}); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if !seen["inputs"] || i.rows < 0 {
		return oipRefuse("inputs is missing: a tensor for each column of the model, see GET /v2/models/%s", v.name)
	}
	if i.outputs == nil {
		i.outputs = oipOutputs()
	}
	i.wantReasons()
	return i.cut(rest)
}

// oipWants is the refusal of a value of another type than it must be.
func oipWants(s *scanner, what, want string) error {
	if s.next() == 0 {
		return s.unexpected(want)
	}
	return oipRefuse("%s must be %s", what, want)
}

func oipRefuse(format string, args ...any) error {
	return refuse(http.StatusUnprocessableEntity, fmt.Sprintf(format, args...))
}

// parameters reads those of a request.
func (i *inference) parameters(s *scanner, q *request, e *features.Encoder) error {
	return walkObject(s, "parameters", func(name string) error {
		if known, err := i.read(q, s, e, name, "/parameters"); known {
			return err
		}
		switch name {
		case "binary_data_output":
			return boolMember(s, name, &i.binary)
		case "content_type": // how clients of MLServer say what a Python server should make of it
			return s.skip(3)
		}
		return oipRefuse("unknown parameter %q: there are reasons, allow_missing, as_of and binary_data_output", clip(name))
	})
}

// walkObject reads an object that must be one.
func walkObject(s *scanner, what string, member func(name string) error) error {
	if s.next() != '{' {
		return oipWants(s, what, "an object")
	}
	seen := map[string]bool{}
	return s.object(func(name string) error {
		if seen[name] {
			return s.fail("%q is given twice", clip(name))
		}
		seen[name] = true
		return member(name)
	})
}

// walkArray reads an array that must be one.
func walkArray(s *scanner, what string, element func() error) error {
	if s.next() != '[' {
		return oipWants(s, what, "an array")
	}
	s.at++
	if s.next() == ']' {
		s.at++
		return nil
	}
	for {
		s.next()
		if err := element(); err != nil {
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

func textMember(s *scanner, what string, into *string) (err error) {
	if s.next() != '"' {
		return oipWants(s, what, "text")
	}
	*into, err = s.text8()
	return err
}

func boolMember(s *scanner, what string, into *bool) error {
	b := s.next()
	if b != 't' && b != 'f' {
		return oipWants(s, what, "true or false")
	}
	*into = b == 't'
	return s.skip(2)
}

// wholeMember reads a whole number from 0 up.
func wholeMember(s *scanner, what string, into *int) error {
	b := s.next()
	if b < '0' || b > '9' {
		return oipWants(s, what, "a whole number, 0 or more")
	}
	text, err := s.number()
	if err != nil {
		return err
	}
	if *into, err = strconv.Atoi(string(text)); err != nil {
		return oipRefuse("%s must be a whole number, 0 or more, not %s", what, clip(string(text)))
	}
	return nil
}
