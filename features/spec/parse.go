package spec

import (
	"errors"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"propensity/features/expr"
)

// mostBytes is the size of a project file that is still read: a thousand features
// have half of it, and the YAML parser takes time with the square of the size.
const mostBytes = 256 << 10

var (
	topKeys = [...]string{"version", "account", "timezone", "sources", "features", "presets", "derived", "populations", "models"}

	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Parse reads a project file, at most 256 KiB of YAML. What is wrong with it comes back
// as Faults, all at once; the Project is nil then. What it says of training alone is
// not looked at.
func Parse(b []byte) (*Project, error) {
	if len(b) > mostBytes {
		return nil, faultsError([]Fault{{Line: 1, Message: fmt.Sprintf("the file has %d bytes, of at most %d: is it a project file?", len(b), mostBytes)}})
	}
	if !utf8.Valid(b) {
		return nil, faultsError([]Fault{{Line: 1, Message: "the file is not UTF-8: save it so"}})
	}
	tree, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, faultsError([]Fault{syntaxFault(err)})
	}
	if len(tree.Docs) > 1 {
		at := placeOf(tree.Docs[1].Body)
		return nil, faultsError([]Fault{{Line: at.line, Message: fmt.Sprintf("it holds %d YAML documents (---), of which only one would count", len(tree.Docs))}})
	}
	var body ast.Node
	if len(tree.Docs) == 1 {
		body = tree.Docs[0].Body
	}
	w := &writer{reader: reader{anchors: map[string]ast.Node{}}, p: &Project{}, places: map[string]place{}}
	if body != nil {
		w.anchors = findAnchors(body)
	}
	w.project(body)
	if len(w.faults) > 0 {
		return nil, faultsError(w.faults)
	}
	return w.p, nil
}

// syntaxFault is what the YAML parser says.
func syntaxFault(err error) Fault {
	f := Fault{Line: 1, Message: "it is no YAML: " + err.Error()}
	if syntax := new(yaml.SyntaxError); errors.As(err, &syntax) {
		f.Message = "it is no YAML: " + syntax.Message
		if t := syntax.Token; t != nil && t.Position != nil {
			f.Line, f.Column = t.Position.Line, t.Position.Column
		}
	}
	return f
}

// writer makes the project of what it reads.
type writer struct {
	reader
	p       *Project
	columns int              // of the row so far, derived ones apart
	places  map[string]place // of what is looked at again, by path: "features/0/where"
}

func (w *writer) project(body ast.Node) {
	top := w.fields(body, place{1, 1}, "the project file", topKeys[:])
	if len(w.faults) > 0 && len(top.list) == 0 {
		return
	}
	if v := top.text("version"); v != "1" {
		top.fault("version", "version is %q; begin the file with version: 1", v)
	}
	w.p.Account = top.text("account")
	w.p.Timezone = top.text("timezone")
	if w.p.Timezone == "" {
		w.p.Timezone = "UTC"
	}
	if _, err := location(w.p.Timezone); err != nil {
		top.fault("timezone", "%v", err)
		w.p.Timezone = "UTC"
	}
	for _, e := range top.pairs("sources") {
		w.source(e)
	}
	w.settleSources()
	w.checkReferences()
	before := len(w.faults)
	for i, it := range top.items("features") {
		w.feature(it, i)
	}
	for _, it := range top.items("presets") {
		w.preset(fields{r: &w.reader, what: "presets", at: it.at, list: []entry{{key: "preset", at: it.at, value: it.node}}})
	}
	for _, it := range top.items("derived") {
		w.derived(it)
	}
	for _, e := range top.pairs("populations") {
		w.population(e)
	}
	w.checkNames()
	sound := len(w.faults) == before
	for _, e := range top.pairs("models") {
		w.model(e)
	}
	w.p.useColumns()
	typed := w.p.check(w.at)
	w.faults = append(w.faults, typed...)
	if sound && len(typed) == 0 { // else columns of the row may seem unknown that are only at fault
		w.faults = append(w.faults, w.p.checkRows(w.at)...)
	}
}

// at is the place of a path, or else the line.
func (w *writer) at(path string, line int) place {
	if p, ok := w.places[path]; ok {
		return p
	}
	return place{line: line}
}

// location is a timezone by its IANA name.
func location(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New(`timezone "Local" differs from machine to machine: name it, such as Europe/Berlin`)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("unknown timezone %q: use an IANA name such as UTC or Europe/Berlin", name)
	}
	return loc, nil
}

// Location is the timezone of days, months and midnights.
func (p *Project) Location() *time.Location {
	loc, err := location(p.Timezone)
	if err != nil {
		return time.UTC // Parse refuses others
	}
	return loc
}

// expression reads one, to be compiled when the columns are known.
func (w *writer) expression(f fields, key, path string) *expr.Expr {
	if !f.has(key) {
		return nil
	}
	return w.compileLater(f.text(key), f.placeOf(key), f.what+": "+key, path)
}

func (w *writer) compileLater(text string, at place, what, path string) *expr.Expr {
	if text == "" {
		return nil
	}
	w.places[path] = at
	e, err := expr.Compile(text, nil)
	for _, detail := range details(err) {
		w.fault(at, "%s: %s", what, detail)
	}
	return e
}

// details are the faults of an expression, each with its place in it.
func details(err error) []string {
	var faults expr.Faults
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &faults):
		return []string{err.Error()}
	}
	var out []string
	for _, f := range faults {
		place := ""
		switch {
		case f.Line > 1:
			place = fmt.Sprintf("at its line %d, letter %d: ", f.Line, f.Column)
		case f.Column > 1:
			place = fmt.Sprintf("at letter %d: ", f.Column)
		}
		out = append(out, place+f.Detail)
	}
	return out
}

// checkNames refuses two things of one name.
func (w *writer) checkNames() {
	seen := map[string]string{}
	for _, o := range w.p.Outputs() {
		path, line, what := fmt.Sprintf("features/%d", o.Feature), 0, ""
		if o.Feature >= 0 {
			f := &w.p.Features[o.Feature]
			line, what = f.Line, "feature "+f.Name
		} else {
			d := &w.p.Derived[o.Derived]
			path, line, what = fmt.Sprintf("derived/%d", o.Derived), d.Line, "derived "+d.Name
		}
		if other, taken := seen[o.Name]; taken {
			w.fault(w.at(path, line), "%s makes a column %s, which %s makes too: give one another name", what, o.Name, other)
			continue
		}
		seen[o.Name] = what
	}
}

// Source is the source of that name, nil if there is none.
func (p *Project) Source(name string) *Source {
	if i := p.SourceIndex(name); i >= 0 {
		return &p.Sources[i]
	}
	return nil
}

// SourceIndex is the place of the source of that name in Sources, -1 if there is none.
func (p *Project) SourceIndex(name string) int {
	for i := range p.Sources { // a Source is large to be passed to a function
		if p.Sources[i].Name == name {
			return i
		}
	}
	return -1
}

// sourceNames are those of all sources.
func (p *Project) sourceNames() []string {
	var out []string
	for i := range p.Sources {
		out = append(out, p.Sources[i].Name)
	}
	return out
}
