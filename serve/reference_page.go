package serve

import (
	_ "embed"
	"strings"
)

// The page is written without html/template, for whose sake the linker keeps every method
// of every type in the whole program (docs/decisions/0019-size.md). A test holds the page
// against that template's.

//go:embed reference.css
var referenceStyle string

// markup is HTML as it is; a text becomes markup by plain.
type markup string

// plain escapes what html/template does, in texts and in attributes between quotes.
func plain(text string) markup {
	var b strings.Builder
	for i := range len(text) {
		switch text[i] {
		case 0:
			b.WriteString("\uFFFD")
		case '"':
			b.WriteString("&#34;")
		case '&':
			b.WriteString("&amp;")
		case '\'':
			b.WriteString("&#39;")
		case '+':
			b.WriteString("&#43;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		default:
			b.WriteByte(text[i])
		}
	}
	return markup(b.String())
}

// pageWriter collects markup.
type pageWriter struct{ strings.Builder }

func (w *pageWriter) put(parts ...markup) {
	for _, p := range parts {
		w.WriteString(string(p))
	}
}

// some puts parts around a text, unless that is empty.
func (w *pageWriter) some(before markup, text string, after markup) {
	if text != "" {
		w.put(before, plain(text), after)
	}
}

func (r *reference) html() string {
	w := &pageWriter{}
	w.put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>`, plain(r.Title), `: reference</title>
<style>
`, markup(referenceStyle), `</style>
</head>
<body>
<header>
<h1>`, plain(r.Title), `</h1>
<p class="sub">`, plain(r.Summary), `</p>
<p>`, plain(r.Description), `</p>
<p>The same for machines: <a href="openapi.yaml">openapi.yaml</a>, <a href="openapi.json">openapi.json</a>.</p>
<nav>`)
	for i := range r.Groups {
		g := &r.Groups[i]
		w.put("<b>", plain(g.Name), "</b>\n<ul>")
		for j := range g.Operations {
			o := &g.Operations[j]
			w.put(`<li><a href="#`, plain(o.ID), `">`, o.heading(), `</a> <span class="muted">`, plain(o.Summary), "</span></li>\n")
		}
		w.put("</ul>")
	}
	w.put(`<b><a href="#schemas">schemas</a></b></nav>
</header>
<main>
`)
	for i := range r.Groups {
		w.group(&r.Groups[i])
	}
	w.put(`<section id="schemas">
<h2>schemas</h2>
`)
	for i := range r.Schemas {
		s := &r.Schemas[i]
		w.put(`<article id="`, plain(s.ID), `">
<h3>`, plain(s.Name), "</h3>\n")
		w.some("<p>", s.Description, "</p>\n")
		if len(s.Fields) > 0 {
			w.fields(s.Fields)
		} else {
			w.put("<p>")
			w.kind(s.Kind)
			w.put("</p>\n")
		}
		w.some("<pre>", s.Example, "</pre>\n")
		w.put("</article>\n")
	}
	w.put("</section>\n</main>\n</body>\n</html>\n")
	return w.String()
}

func (o *referenceOperation) heading() markup {
	return `<code><span class="verb ` + plain(o.Verb) + `">` + plain(o.Method) + `</span>` + plain(o.Path) + `</code>`
}

func (w *pageWriter) group(g *referenceGroup) {
	w.put("<section>\n<h2>", plain(g.Name), "</h2>\n<p>", plain(g.Description), "</p>\n")
	for i := range g.Operations {
		o := &g.Operations[i]
		w.put(`<article id="`, plain(o.ID), `">
<h3>`, o.heading(), "</h3>\n<p>", plain(o.Summary))
		w.some(` <span class="scope">(scope: `, o.Scope, ")</span>")
		w.put("</p>\n")
		w.some("<p>", o.Description, "</p>\n")
		if len(o.Parameters) > 0 {
			w.put("<h4>Parameters</h4>\n")
			w.fields(o.Parameters)
		}
		for j := range o.Bodies {
			w.body(&o.Bodies[j])
		}
		w.answers(o.Answers)
		w.put("</article>\n")
	}
	w.put("</section>\n")
}

func (w *pageWriter) answers(answers []referenceAnswer) {
	w.put("<h4>Answers</h4>\n", `<div class="scroll"><table><tbody>`, "\n")
	for i := range answers {
		a := &answers[i]
		w.put("<tr><td><b>", plain(a.Status), "</b></td><td>", plain(a.Description))
		for j := range a.Bodies {
			b := &a.Bodies[j]
			w.put("<br><code>", plain(b.Type), "</code>")
			if len(b.Kind) > 0 {
				w.put(": ")
				w.kind(b.Kind)
			}
		}
		for _, h := range a.Headers {
			w.put(`<br><span class="muted">header <code>`, plain(h), "</code></span>")
		}
		w.put("</td></tr>\n")
	}
	w.put("</tbody></table></div>\n")
}

func (w *pageWriter) body(b *referenceBody) {
	w.put("<h4>Body: <code>", plain(b.Type), "</code></h4>\n")
	w.some("<p>", b.Description, "</p>\n")
	if len(b.Fields) > 0 {
		w.fields(b.Fields)
	} else if len(b.Kind) > 0 {
		w.put("<p>")
		w.kind(b.Kind)
		w.put("</p>\n")
	}
	w.some("<pre>", b.Example, "</pre>\n")
}

func (w *pageWriter) kind(words []word) {
	for _, k := range words {
		if k.Link != "" {
			w.put(`<a href="#`, plain(k.Link), `">`, plain(k.Text), "</a>")
		} else {
			w.put(plain(k.Text))
		}
	}
}

func (w *pageWriter) fields(fields []referenceField) {
	w.put(`<div class="scroll"><table><tbody>`, "\n")
	for i := range fields {
		f := &fields[i]
		w.put("<tr><td><code>", plain(f.Name), "</code>")
		if f.Needed {
			w.put(` <span class="need">needed</span>`)
		}
		w.put("</td><td>")
		w.kind(f.Kind)
		w.put("</td><td>", plain(f.Description), "</td></tr>\n")
	}
	w.put("</tbody></table></div>\n")
}
