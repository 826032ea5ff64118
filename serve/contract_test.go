package serve

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"propensity/models/registry"
)

// Each route is in openapi.yaml, and each operation of it is a route.
func TestRoutesAreTheContracts(t *testing.T) {
	s, err := New(Config{Registry: registry.Open(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	parameter := regexp.MustCompile(`:(\w+)`)
	var routes []string
	for _, r := range s.engine.Routes() {
		path := strings.ReplaceAll(r.Path, `\:`, "\x00")
		path = strings.ReplaceAll(parameter.ReplaceAllString(path, "{$1}"), "\x00", ":")
		routes = append(routes, r.Method+" "+path)
	}
	slices.Sort(routes)
	if diff := cmp.Diff(promisedRoutes(t), routes); diff != "" {
		t.Errorf("openapi.yaml and the routes (+) differ:\n%s", diff)
	}
}

// Operations have what the page and the clients need of them.
func TestOperationsAreWhole(t *testing.T) {
	p, err := loadPromises()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for path, item := range p.document.Paths.Map() {
		for method, o := range item.Operations() {
			if o.OperationID == "" || ids[o.OperationID] || o.Summary == "" || len(o.Tags) != 1 || o.Security == nil {
				t.Errorf("%s %s: an operationId of its own, a summary, one tag and its security are needed", method, path)
			}
			ids[o.OperationID] = true
			for _, tag := range o.Tags {
				if p.document.Tags.Get(tag) == nil {
					t.Errorf("%s %s: its tag %s is not described", method, path, tag)
				}
			}
			if method != http.MethodGet && o.RequestBody != nil {
				for _, status := range []string{"400", "413", "415"} {
					if o.Responses.Value(status) == nil && !strings.HasPrefix(path, "/v2") {
						t.Errorf("%s %s takes a body, and has no %s", method, path, status)
					}
				}
			}
			if len(*o.Security) == 0 {
				continue
			}
			for _, status := range []string{"401", "403", "429", "500"} {
				if o.Responses.Value(status) == nil && !strings.HasPrefix(path, "/v2") {
					t.Errorf("%s %s needs a key, and has no %s", method, path, status)
				}
			}
		}
	}
}

// What is served is the file, its JSON says the same, and the page needs nothing else.
func TestContractIsServed(t *testing.T) {
	f := churn(t, Config{})
	if got := f.get(t, "/openapi.yaml"); got.status != 200 || string(got.body) != string(openapiYAML) || got.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%d %s, %d bytes", got.status, got.header.Get("Content-Type"), len(got.body))
	}
	p, err := loadPromises()
	if err != nil {
		t.Fatal(err)
	}
	got := wantStatus(t, f.get(t, "/openapi.json"), 200)
	again, err := openapi3.NewLoader().LoadFromData(got.body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(generic(t, p.document), generic(t, again)); diff != "" {
		t.Errorf("the JSON differs from the YAML:\n%s", diff)
	}
	page := string(wantStatus(t, f.get(t, "/docs"), 200).body)
	for _, foreign := range []string{"<script", "<link", `href="http`, "@import", "url(", "src="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %s", foreign)
		}
	}
	for _, o := range promisedRoutes(t) {
		_, path, _ := strings.Cut(o, " ")
		if !strings.Contains(page, path) {
			t.Errorf("the page has no word of %s", o)
		}
	}
	for name := range p.document.Components.Schemas {
		if !strings.Contains(page, `id="schema-`+name+`"`) {
			t.Errorf("the page does not show %s", name)
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !ids[m[1]] {
			t.Errorf("a link of the page leads to #%s, which is not there", m[1])
		}
	}
}

func generic(t *testing.T, document *openapi3.T) any {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The table of docs/API.md is that of openapi.yaml.
func TestDocsTable(t *testing.T) {
	p, err := loadPromises()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| | | scope |\n|---|---|---|\n")
	for _, tag := range p.document.Tags {
		table.WriteString("| **" + tag.Name + "** | " + tag.Description + " | |\n")
		for _, route := range promisedRoutes(t) {
			method, path, _ := strings.Cut(route, " ")
			o := p.document.Paths.Value(path).GetOperation(method)
			if o.Tags[0] != tag.Name {
				continue
			}
			scope := ""
			for _, way := range *o.Security {
				for _, s := range way["bearer"] {
					scope = s
				}
			}
			table.WriteString("| `" + route + "` | " + o.Summary + " | " + scope + " |\n")
		}
	}
	const path, from, to = "../docs/API.md", "<!-- routes -->\n", "<!-- /routes -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatal("docs/API.md has no place for the routes")
	}
	golden(t, path, []byte(before+from+table.String()+to+after))
}
