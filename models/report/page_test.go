package report

import (
	"bytes"
	"html/template"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"propensity/models/report/markup"
)

// templated is the page as html/template writes it.
func templated(t testing.TB, p *page) string {
	t.Helper()
	text, err := os.ReadFile("testdata/report.html.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	funcs := template.FuncMap{"raw": func(m markup.HTML) template.HTML { return template.HTML(m) }}
	tmpl, err := template.New("report").Funcs(funcs).Parse(strings.Replace(strings.ReplaceAll(string(text), "{{.Chart}}", "{{raw .Chart}}"), "STYLE", style, 1))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The page is what html/template, which knows where a text stands, makes of it: whatever
// the texts are.
func TestPageTwin(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "", "churn", `<script>alert("x")</script>`, `"'><&+`, "a\x00b", "é &amp; \u2028", "</title></style><!--", "javascript:x"}), rapid.String())
	texts := rapid.SliceOfN(text, 0, 3)
	slug := rapid.StringMatching(`[a-z][a-z-]{0,8}`) // ours
	tables := rapid.Custom(func(t *rapid.T) *table {
		b := &table{Head: texts.Draw(t, "head"), Left: rapid.IntRange(0, 2).Draw(t, "left"), More: text.Draw(t, "more")}
		for range rapid.IntRange(0, 3).Draw(t, "rows") {
			b.Rows, b.Marks = append(b.Rows, texts.Draw(t, "row")), append(b.Marks, rapid.SampledFrom([]string{"", "good", "bad"}).Draw(t, "mark"))
		}
		return b
	})
	blocks := rapid.Custom(func(t *rapid.T) block {
		b := block{
			Title: text.Draw(t, "title"), Caption: text.Draw(t, "caption"), Half: rapid.Bool().Draw(t, "half"), Wide: rapid.Bool().Draw(t, "wide"), Folded: rapid.Bool().Draw(t, "folded"),
			Chart: rapid.SampledFrom([]markup.HTML{"", `<svg viewBox="0 0 1 1"><text>a &lt; b</text></svg>`}).Draw(t, "chart"),
		}
		if rapid.Bool().Draw(t, "has table") {
			b.Table = tables.Draw(t, "table")
		}
		for range rapid.IntRange(0, 2).Draw(t, "legend") {
			b.Legend = append(b.Legend, key{text.Draw(t, "sign"), slug.Draw(t, "ink"), text.Draw(t, "name")})
		}
		return b
	})
	sections := rapid.Custom(func(t *rapid.T) section {
		return section{ID: slug.Draw(t, "id"), Title: text.Draw(t, "title"), Text: texts.Draw(t, "text"), Blocks: rapid.SliceOfN(blocks, 0, 3).Draw(t, "blocks")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		p := &page{
			Name: text.Draw(rt, "name"), Subtitle: text.Draw(rt, "subtitle"), Sections: rapid.SliceOfN(sections, 0, 3).Draw(rt, "sections"),
			Verdict: Verdict{Good: rapid.Bool().Draw(rt, "good"), Headline: text.Draw(rt, "headline"), Points: texts.Draw(rt, "points"), Care: texts.Draw(rt, "care")},
		}
		if d := cmp.Diff(templated(t, p), p.html()); d != "" {
			rt.Fatal(d)
		}
	})
}
