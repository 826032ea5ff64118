package markup_test

import (
	"html/template"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/models/report/markup"
)

// A text is escaped as html/template does it, in a text and in an attribute.
func TestPlainIsTheTemplates(t *testing.T) {
	page := template.Must(template.New("").Parse(`<p title="{{.}}">{{.}}</p>`))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune("\x00\"&'+<>a\uFFFD")), 0, 20, -1)).Draw(t, "text")
		var want strings.Builder
		if err := page.Execute(&want, text); err != nil {
			t.Fatal(err)
		}
		var got markup.Writer
		got.Put(`<p title="`, markup.Plain(text), `">`, markup.Plain(text), `</p>`)
		if got.String() != want.String() {
			t.Fatalf("%q: %q, want %q", text, got.String(), want.String())
		}
	})
}
