// Package markup writes HTML, without html/template, for whose sake the linker keeps every
// method of every type in the whole program (docs/decisions/0019-size.md). Tests hold the
// pages that are written so against that template's.
package markup

import "strings"

// HTML is markup as it is; a text becomes HTML by Plain.
type HTML string

// Plain escapes what html/template does, in texts and in attributes between quotes.
func Plain(text string) HTML {
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
	return HTML(b.String())
}

// Writer collects HTML.
type Writer struct{ strings.Builder }

// Put adds parts as they are.
func (w *Writer) Put(parts ...HTML) {
	for _, p := range parts {
		w.WriteString(string(p))
	}
}

// Some puts parts around a text, unless that is empty.
func (w *Writer) Some(before HTML, text string, after HTML) {
	if text != "" {
		w.Put(before, Plain(text), after)
	}
}
