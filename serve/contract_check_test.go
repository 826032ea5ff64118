package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// promises is openapi.yaml as a library that is not ours reads it.
type promises struct {
	document *openapi3.T
	paths    []promisedPath // those without a parameter first
}

type promisedPath struct {
	path    string
	pattern *regexp.Regexp
	names   []string
}

var loadPromises = sync.OnceValues(func() (*promises, error) {
	document, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		return nil, err
	}
	if err := document.Validate(context.Background()); err != nil {
		return nil, err
	}
	p := &promises{document: document}
	parameter := regexp.MustCompile(`\\\{(\w+)\\\}`)
	for path := range document.Paths.Map() {
		quoted, names := regexp.QuoteMeta(path), []string(nil)
		for _, m := range parameter.FindAllStringSubmatch(quoted, -1) {
			names = append(names, m[1])
		}
		p.paths = append(p.paths, promisedPath{path, regexp.MustCompile("^" + parameter.ReplaceAllString(quoted, "([^/]+)") + "$"), names})
	}
	slices.SortFunc(p.paths, func(a, b promisedPath) int {
		if a, b := strings.Count(a.path, "{"), strings.Count(b.path, "{"); a != b {
			return a - b
		}
		return strings.Compare(b.path, a.path) // score:batch before score
	})
	for _, kind := range []string{"application/x-ndjson", "text/html", "application/openmetrics-text", "application/vnd.apache.arrow.stream"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.PlainBodyDecoder)
	}
	return p, nil
})

// find gives the operation that a request asks for, nil if there is none.
func (p *promises) find(r *http.Request) (*routers.Route, map[string]string) {
	for _, candidate := range p.paths {
		m := candidate.pattern.FindStringSubmatch(r.URL.EscapedPath())
		if m == nil {
			continue
		}
		item := p.document.Paths.Value(candidate.path)
		operation := item.GetOperation(r.Method)
		if operation == nil {
			return nil, nil
		}
		values := map[string]string{}
		for i, name := range candidate.names {
			values[name] = m[i+1]
		}
		return &routers.Route{Spec: p.document, Path: candidate.path, PathItem: item, Method: r.Method, Operation: operation}, values
	}
	return nil, nil
}

// check says how an exchange breaks the promises; "" if it does not: what was answered
// is among the answers of the operation, and what was taken was a request of it.
func (p *promises) check(r *http.Request, request []byte, status int, header http.Header, answer []byte) string {
	route, values := p.find(r)
	if route == nil { // nothing is promised there
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
			if isOIP(r.URL.Path) {
				return p.line("OIPError", answer)
			}
			return p.line("Problem", answer)
		}
		return fmt.Sprintf("%s %s is not in the file, and the answer is %d", r.Method, r.URL.Path, status)
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true}
	again := r.Clone(context.Background())
	again.Body = io.NopCloser(bytes.NewReader(request))
	in := &openapi3filter.RequestValidationInput{Request: again, PathParams: values, Route: route, Options: options}
	// A batch is taken even if some of its requests are refused, and an empty one too.
	inPlace := len(request) == 0 || bytes.Contains(answer, []byte(`{"error":`))
	if status < 300 && !(route.Operation.OperationID == "scoreBatch" && inPlace) {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			return fmt.Sprintf("%d for a request that the file does not allow: %v", status, err)
		}
	}
	body := answer
	if status == http.StatusNotModified {
		body = nil
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Options: options}
	if err := openapi3filter.ValidateResponse(context.Background(), out.SetBodyBytes(body)); err != nil {
		return fmt.Sprintf("status %d: %v", status, err)
	}
	// An answer is whole unless the request names fields.
	if route.Operation.OperationID == "score" && status == http.StatusOK && !bytes.Contains(request, []byte(`"fields"`)) {
		return p.line("Answer", answer)
	}
	if header.Get("Content-Type") == "application/x-ndjson" {
		return p.lines(route.Operation.OperationID, request, answer)
	}
	return ""
}

// lines checks the answers of NDJSON, whose schema a library does not look into.
func (p *promises) lines(operation string, request, answer []byte) string {
	if operation != "scoreBatch" {
		return ""
	}
	for line := range bytes.Lines(answer) {
		name := "Answer"
		if bytes.HasPrefix(line, []byte(`{"error"`)) {
			name = "ErrorInPlace"
		} else if bytes.Contains(request, []byte(`"fields"`)) {
			name = "PartialAnswer"
		}
		if fault := p.line(name, line); fault != "" {
			return fault
		}
	}
	return ""
}

// line checks one JSON value against a schema.
func (p *promises) line(schema string, text []byte) string {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Sprintf("%v in %s", err, text)
	}
	if err := p.document.Components.Schemas[schema].Value.VisitJSON(v, openapi3.EnableJSONSchema2020()); err != nil {
		return fmt.Sprintf("no %s: %v", schema, err)
	}
	return ""
}

// promised is a handler each of whose answers must be what openapi.yaml promises. Of
// exchanges that are alike the first few are looked at, and none that are large.
func promised(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	if _, measured := t.(*testing.B); measured {
		return next
	}
	p, err := loadPromises()
	if err != nil {
		t.Fatal(err)
	}
	const few, large = 5, 1 << 16
	var mu sync.Mutex
	looked := map[string]int{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, request := r.Clone(context.Background()), &kept{most: large}
		// A copy: net/http must find its own body in its own request, to wait before it closes
		// a connection on which a client is still sending.
		r = r.WithContext(r.Context())
		r.Body = &heard{r.Body, request}
		out := &overheard{ResponseWriter: w, status: http.StatusOK, kept: kept{most: large}}
		next.ServeHTTP(out, r)
		mu.Lock()
		route, _ := p.find(asked)
		like := fmt.Sprint(asked.Method, out.status)
		if route != nil {
			like += route.Path
		}
		looked[like]++
		n := looked[like]
		mu.Unlock()
		if n > few || request.over || out.kept.over || !out.begun {
			return
		}
		// A request that was refused before it was read is not known whole.
		if fault := p.check(asked, request.Bytes(), out.status, w.Header(), out.kept.Bytes()); fault != "" {
			t.Errorf("openapi.yaml: %s %s: %s\nrequest: %.500s\nanswer: %.500s", asked.Method, asked.URL.Path, fault, request.Bytes(), out.kept.Bytes())
		}
	})
}

// kept is the beginning of what went by.
type kept struct {
	bytes.Buffer
	most int
	over bool
}

func (k *kept) add(p []byte) {
	if k.Len()+len(p) > k.most {
		k.over = true
		return
	}
	k.Write(p)
}

type heard struct {
	io.ReadCloser
	kept *kept
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.kept.add(p[:n])
	return n, err
}

type overheard struct {
	http.ResponseWriter
	status int
	begun  bool
	kept   kept
}

func (o *overheard) WriteHeader(status int) {
	if !o.begun {
		o.status, o.begun = status, true
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *overheard) Write(p []byte) (int, error) {
	o.begun = true
	o.kept.add(p)
	return o.ResponseWriter.Write(p)
}

func (o *overheard) Flush() {
	if f, ok := o.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func (o *overheard) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// promisedRoutes are the operations of openapi.yaml as Gin spells them.
func promisedRoutes(t testing.TB) []string {
	t.Helper()
	p, err := loadPromises()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for path, item := range p.document.Paths.Map() {
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			out = append(out, method+" "+path)
		}
	}
	slices.Sort(out)
	return out
}
