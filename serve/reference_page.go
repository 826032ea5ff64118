package serve

import (
	_ "embed"

	"propensity/models/report/markup"
)

//go:embed reference.css
var referenceStyle string

// pageWriter writes the parts of the page.
type pageWriter struct{ markup.Writer }

func (r *reference) html() string {
	w := &pageWriter{}
	w.Put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>`, markup.Plain(r.Title), `: reference</title>
<style>
`, markup.HTML(referenceStyle), `</style>
</head>
<body>
<header>
<h1>`, markup.Plain(r.Title), `</h1>
<p class="sub">`, markup.Plain(r.Summary), `</p>
<p>`, markup.Plain(r.Description), `</p>
<p>The same for machines: <a href="openapi.yaml">openapi.yaml</a>, <a href="openapi.json">openapi.json</a>.</p>
<nav>`)
	for i := range r.Groups {
		g := &r.Groups[i]
		w.Put("<b>", markup.Plain(g.Name), "</b>\n<ul>")
		for j := range g.Operations {
			o := &g.Operations[j]
			w.Put(`<li><a href="#`, markup.Plain(o.ID), `">`, o.heading(), `</a> <span class="muted">`, markup.Plain(o.Summary), "</span></li>\n")
		}
		w.Put("</ul>")
	}
	w.Put(`<b><a href="#schemas">schemas</a></b></nav>
</header>
<main>
`)
	for i := range r.Groups {
		w.group(&r.Groups[i])
	}
	w.Put(`<section id="schemas">
<h2>schemas</h2>
`)
	for i := range r.Schemas {
		s := &r.Schemas[i]
		w.Put(`<article id="`, markup.Plain(s.ID), `">
<h3>`, markup.Plain(s.Name), "</h3>\n")
		w.Some("<p>", s.Description, "</p>\n")
		if len(s.Fields) > 0 {
			w.fields(s.Fields)
		} else {
			w.Put("<p>")
			w.kind(s.Kind)
			w.Put("</p>\n")
		}
		w.Some("<pre>", s.Example, "</pre>\n")
		w.Put("</article>\n")
	}
	w.Put("</section>\n</main>\n</body>\n</html>\n")
	return w.String()
}

func (o *referenceOperation) heading() markup.HTML {
	return `<code><span class="verb ` + markup.Plain(o.Verb) + `">` + markup.Plain(o.Method) + `</span>` + markup.Plain(o.Path) + `</code>`
}

func (w *pageWriter) group(g *referenceGroup) {
	w.Put("<section>\n<h2>", markup.Plain(g.Name), "</h2>\n<p>", markup.Plain(g.Description), "</p>\n")
	for i := range g.Operations {
		o := &g.Operations[i]
		w.Put(`<article id="`, markup.Plain(o.ID), `">
<h3>`, o.heading(), "</h3>\n<p>", markup.Plain(o.Summary))
		w.Some(` <span class="scope">(scope: `, o.Scope, ")</span>")
		w.Put("</p>\n")
		w.Some("<p>", o.Description, "</p>\n")
		if len(o.Parameters) > 0 {
			w.Put("<h4>Parameters</h4>\n")
			w.fields(o.Parameters)
		}
		for j := range o.Bodies {
			w.body(&o.Bodies[j])
		}
		w.answers(o.Answers)
		w.Put("</article>\n")
	}
	w.Put("</section>\n")
}

func (w *pageWriter) answers(answers []referenceAnswer) {
	w.Put("<h4>Answers</h4>\n", `<div class="scroll"><table><tbody>`, "\n")
	for i := range answers {
		a := &answers[i]
		w.Put("<tr><td><b>", markup.Plain(a.Status), "</b></td><td>", markup.Plain(a.Description))
		for j := range a.Bodies {
			b := &a.Bodies[j]
			w.Put("<br><code>", markup.Plain(b.Type), "</code>")
			if len(b.Kind) > 0 {
				w.Put(": ")
				w.kind(b.Kind)
			}
		}
		for _, h := range a.Headers {
			w.Put(`<br><span class="muted">header <code>`, markup.Plain(h), "</code></span>")
		}
		w.Put("</td></tr>\n")
	}
	w.Put("</tbody></table></div>\n")
}

func (w *pageWriter) body(b *referenceBody) {
	w.Put("<h4>Body: <code>", markup.Plain(b.Type), "</code></h4>\n")
	w.Some("<p>", b.Description, "</p>\n")
	if len(b.Fields) > 0 {
		w.fields(b.Fields)
	} else if len(b.Kind) > 0 {
		w.Put("<p>")
		w.kind(b.Kind)
		w.Put("</p>\n")
	}
	w.Some("<pre>", b.Example, "</pre>\n")
}

func (w *pageWriter) kind(words []word) {
	for _, k := range words {
		if k.Link != "" {
			w.Put(`<a href="#`, markup.Plain(k.Link), `">`, markup.Plain(k.Text), "</a>")
		} else {
			w.Put(markup.Plain(k.Text))
		}
	}
}

func (w *pageWriter) fields(fields []referenceField) {
	w.Put(`<div class="scroll"><table><tbody>`, "\n")
	for i := range fields {
		f := &fields[i]
		w.Put("<tr><td><code>", markup.Plain(f.Name), "</code>")
		if f.Needed {
			w.Put(` <span class="need">needed</span>`)
		}
		w.Put("</td><td>")
		w.kind(f.Kind)
		w.Put("</td><td>", markup.Plain(f.Description), "</td></tr>\n")
	}
	w.Put("</tbody></table></div>\n")
}
