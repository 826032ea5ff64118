package serve

import (
	"bytes"
	"html/template"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// templated is the page as html/template writes it.
func templated(t testing.TB, r *reference) string {
	t.Helper()
	text, err := os.ReadFile("testdata/reference.html.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := template.New("reference").Parse(strings.Replace(string(text), "STYLE", referenceStyle, 1))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, r); err != nil {
		t.Fatal(err)
	}
	return squeezed(out.String())
}

// squeezed leaves out empty lines, which mean nothing outside examples.
func squeezed(page string) string {
	for strings.Contains(page, "\n\n") {
		page = strings.ReplaceAll(page, "\n\n", "\n")
	}
	return page
}

// The page is what html/template, which knows where a text stands, makes of it: whatever
// the texts are.
func TestReferencePageTwin(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "", "a model", `<script>alert("x")</script>`, `"'><&+`, "a\x00b", "é &amp;", "</title></style><!--"}), rapid.String())
	slug := rapid.StringMatching(`[a-zA-Z][a-zA-Z-]{0,8}`) // of the file, which is ours
	words := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) word {
		return word{text.Draw(t, "text"), rapid.OneOf(rapid.Just(""), slug).Draw(t, "link")}
	}), 0, 2)
	fields := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) referenceField {
		return referenceField{text.Draw(t, "name"), rapid.Bool().Draw(t, "needed"), words.Draw(t, "kind"), text.Draw(t, "description")}
	}), 0, 2)
	bodies := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) referenceBody {
		return referenceBody{text.Draw(t, "type"), text.Draw(t, "description"), fields.Draw(t, "fields"), words.Draw(t, "kind"), text.Draw(t, "example")}
	}), 0, 2)
	answers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) referenceAnswer {
		return referenceAnswer{text.Draw(t, "status"), text.Draw(t, "description"), bodies.Draw(t, "bodies"), rapid.SliceOfN(text, 0, 2).Draw(t, "headers")}
	}), 0, 2)
	operations := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) referenceOperation {
		return referenceOperation{
			slug.Draw(t, "id"), text.Draw(t, "method"), slug.Draw(t, "verb"), text.Draw(t, "path"), text.Draw(t, "summary"), text.Draw(t, "description"), text.Draw(t, "scope"),
			fields.Draw(t, "parameters"), bodies.Draw(t, "bodies"), answers.Draw(t, "answers"),
		}
	}), 0, 2)
	rapid.Check(t, func(rt *rapid.T) {
		r := &reference{Title: text.Draw(rt, "title"), Summary: text.Draw(rt, "summary"), Description: text.Draw(rt, "description")}
		for range rapid.IntRange(0, 2).Draw(rt, "groups") {
			r.Groups = append(r.Groups, referenceGroup{text.Draw(rt, "group"), text.Draw(rt, "description"), operations.Draw(rt, "operations")})
		}
		for range rapid.IntRange(0, 2).Draw(rt, "schemas") {
			r.Schemas = append(r.Schemas, referenceSchema{slug.Draw(rt, "id"), text.Draw(rt, "name"), text.Draw(rt, "description"), fields.Draw(rt, "fields"), words.Draw(rt, "kind"), text.Draw(rt, "example")})
		}
		if d := cmp.Diff(templated(t, r), squeezed(r.html())); d != "" {
			rt.Fatal(d)
		}
	})
}
