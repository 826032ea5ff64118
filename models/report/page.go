package report

import (
	_ "embed"

	"propensity/models/report/markup"
)

//go:embed report.css
var style string

// page is what is written. Its texts are plain.
type page struct {
	Name     string
	Subtitle string
	Verdict  Verdict
	Sections []section
}

// writer writes the parts of a page.
type writer struct{ markup.Writer }

func (p *page) html() string {
	w := &writer{}
	w.Put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>`, markup.Plain(p.Name), `: report</title>
<style>
`, markup.HTML(style), `</style>
</head>
<body>
<header>
<h1>`, markup.Plain(p.Name), `</h1>
<p class="sub">`, markup.Plain(p.Subtitle), "</p>\n")
	w.verdict(&p.Verdict)
	w.Put("<nav>")
	for i := range p.Sections {
		w.Put(`<a href="#`, markup.Plain(p.Sections[i].ID), `">`, markup.Plain(p.Sections[i].Title), "</a> ")
	}
	w.Put("</nav>\n</header>\n<main>\n")
	for i := range p.Sections {
		w.section(&p.Sections[i])
	}
	w.Put("</main>\n</body>\n</html>\n\n")
	return w.String()
}

func (w *writer) verdict(v *Verdict) {
	no := markup.HTML(" no")
	if v.Good {
		no = ""
	}
	w.Put(`<div class="verdict`, no, `">
<p class="head">`, markup.Plain(v.Headline), "</p>\n")
	for _, text := range v.Points {
		w.Put("<p>", markup.Plain(text), "</p>\n")
	}
	w.Put("</div>\n")
	if len(v.Care) > 0 {
		w.Put(`<div class="care"><b>Use with care:</b><ul>`, "\n")
		for _, text := range v.Care {
			w.Put("<li>", markup.Plain(text), "</li>\n")
		}
		w.Put("</ul></div>\n")
	}
}

func (w *writer) section(s *section) {
	w.Put(`<section id="`, markup.Plain(s.ID), `">
<h2>`, markup.Plain(s.Title), "</h2>\n")
	for _, text := range s.Text {
		w.Put("<p>", markup.Plain(text), "</p>\n")
	}
	if len(s.Blocks) > 0 {
		w.Put(`<div class="blocks">`, "\n")
		for i := range s.Blocks {
			w.block(&s.Blocks[i])
		}
		w.Put("</div>\n")
	}
	w.Put("</section>\n")
}

func (w *writer) block(b *block) {
	w.Put("<figure")
	if b.Half {
		w.Put(` class="half"`)
	}
	w.Put(">\n")
	if b.Title != "" && (b.Chart != "" || !b.Folded) {
		w.Put("<h3>", markup.Plain(b.Title), "</h3>\n")
	}
	if len(b.Legend) > 0 {
		w.Put(`<div class="key">`)
		for _, k := range b.Legend {
			w.Put(`<span><span class="`, markup.Plain(k.Ink), `">`, markup.Plain(k.Sign), "</span> ", markup.Plain(k.Name), "</span> ")
		}
		w.Put("</div>\n")
	}
	switch {
	case b.Chart != "" && b.Wide:
		w.Put(`<div class="scroll">`, b.Chart, "</div>")
	default:
		w.Put(b.Chart)
	}
	if b.Caption != "" {
		w.Put("<figcaption>", markup.Plain(b.Caption), "</figcaption>\n")
	}
	if b.Table != nil && b.Folded {
		summary := markup.Plain("The numbers")
		if b.Title != "" && b.Chart == "" {
			summary = markup.Plain(b.Title)
		}
		w.Put("<details><summary>", summary, "</summary>")
		w.table(b.Table)
		w.Put("</details>\n")
	} else if b.Table != nil {
		w.table(b.Table)
	}
	w.Put("</figure>\n")
}

func (w *writer) table(t *table) {
	cell := func(tag markup.HTML, i int, text string) {
		left := markup.HTML("")
		if i < t.Left {
			left = ` class="l"`
		}
		w.Put("<", tag, left, ">", markup.Plain(text), "</", tag, ">")
	}
	w.Put(`<div class="scroll"><table><thead><tr>`)
	for i, text := range t.Head {
		cell("th", i, text)
	}
	w.Put("</tr></thead><tbody>\n")
	for k, row := range t.Rows {
		w.Put("<tr")
		if t.Marks[k] != "" {
			w.Put(` class="`, markup.Plain(t.Marks[k]), `"`)
		}
		w.Put(">")
		for i, text := range row {
			cell("td", i, text)
		}
		w.Put("</tr>\n")
	}
	w.Put("</tbody></table></div>")
	if t.More != "" {
		w.Put(`<p class="muted">`, markup.Plain(t.More), "</p>")
	}
}
