package report

import (
	_ "embed"
	"strings"
)

// The page is written without html/template, for whose sake the linker keeps every method
// of every type in the whole program (docs/decisions/0019-size.md). A test holds the page
// against that template's.

//go:embed report.css
var style string

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

// page is what is written. Its texts are plain.
type page struct {
	Name     string
	Subtitle string
	Verdict  Verdict
	Sections []section
}

// writer collects markup.
type writer struct{ strings.Builder }

func (w *writer) put(parts ...markup) {
	for _, p := range parts {
		w.WriteString(string(p))
	}
}

func (p *page) html() string {
	w := &writer{}
	w.put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>`, plain(p.Name), `: report</title>
<style>
`, markup(style), `</style>
</head>
<body>
<header>
<h1>`, plain(p.Name), `</h1>
<p class="sub">`, plain(p.Subtitle), "</p>\n")
	w.verdict(&p.Verdict)
	w.put("<nav>")
	for i := range p.Sections {
		w.put(`<a href="#`, plain(p.Sections[i].ID), `">`, plain(p.Sections[i].Title), "</a> ")
	}
	w.put("</nav>\n</header>\n<main>\n")
	for i := range p.Sections {
		w.section(&p.Sections[i])
	}
	w.put("</main>\n</body>\n</html>\n\n")
	return w.String()
}

func (w *writer) verdict(v *Verdict) {
	no := markup(" no")
	if v.Good {
		no = ""
	}
	w.put(`<div class="verdict`, no, `">
<p class="head">`, plain(v.Headline), "</p>\n")
	for _, text := range v.Points {
		w.put("<p>", plain(text), "</p>\n")
	}
	w.put("</div>\n")
	if len(v.Care) > 0 {
		w.put(`<div class="care"><b>Use with care:</b><ul>`, "\n")
		for _, text := range v.Care {
			w.put("<li>", plain(text), "</li>\n")
		}
		w.put("</ul></div>\n")
	}
}

func (w *writer) section(s *section) {
	w.put(`<section id="`, plain(s.ID), `">
<h2>`, plain(s.Title), "</h2>\n")
	for _, text := range s.Text {
		w.put("<p>", plain(text), "</p>\n")
	}
	if len(s.Blocks) > 0 {
		w.put(`<div class="blocks">`, "\n")
		for i := range s.Blocks {
			w.block(&s.Blocks[i])
		}
		w.put("</div>\n")
	}
	w.put("</section>\n")
}

func (w *writer) block(b *block) {
	w.put("<figure")
	if b.Half {
		w.put(` class="half"`)
	}
	w.put(">\n")
	if b.Title != "" && (b.Chart != "" || !b.Folded) {
		w.put("<h3>", plain(b.Title), "</h3>\n")
	}
	if len(b.Legend) > 0 {
		w.put(`<div class="key">`)
		for _, k := range b.Legend {
			w.put(`<span><span class="`, plain(k.Ink), `">`, plain(k.Sign), "</span> ", plain(k.Name), "</span> ")
		}
		w.put("</div>\n")
	}
	switch {
	case b.Chart != "" && b.Wide:
		w.put(`<div class="scroll">`, b.Chart, "</div>")
	default:
		w.put(b.Chart)
	}
	if b.Caption != "" {
		w.put("<figcaption>", plain(b.Caption), "</figcaption>\n")
	}
	if b.Table != nil && b.Folded {
		summary := plain("The numbers")
		if b.Title != "" && b.Chart == "" {
			summary = plain(b.Title)
		}
		w.put("<details><summary>", summary, "</summary>")
		w.table(b.Table)
		w.put("</details>\n")
	} else if b.Table != nil {
		w.table(b.Table)
	}
	w.put("</figure>\n")
}

func (w *writer) table(t *table) {
	cell := func(tag markup, i int, text string) {
		left := markup("")
		if i < t.Left {
			left = ` class="l"`
		}
		w.put("<", tag, left, ">", plain(text), "</", tag, ">")
	}
	w.put(`<div class="scroll"><table><thead><tr>`)
	for i, text := range t.Head {
		cell("th", i, text)
	}
	w.put("</tr></thead><tbody>\n")
	for k, row := range t.Rows {
		w.put("<tr")
		if t.Marks[k] != "" {
			w.put(` class="`, plain(t.Marks[k]), `"`)
		}
		w.put(">")
		for i, text := range row {
			cell("td", i, text)
		}
		w.put("</tr>\n")
	}
	w.put("</tbody></table></div>")
	if t.More != "" {
		w.put(`<p class="muted">`, plain(t.More), "</p>")
	}
}
