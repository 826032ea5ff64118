package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// reference is the contract, for people. Its texts are plain.
type reference struct {
	Title, Summary, Description string
	Groups                      []referenceGroup
	Schemas                     []referenceSchema
}

// referenceGroup is the operations of one tag.
type referenceGroup struct {
	Name, Description string
	Operations        []referenceOperation
}

type referenceOperation struct {
	ID, Method, Verb, Path      string
	Summary, Description, Scope string
	Parameters                  []referenceField
	Bodies                      []referenceBody
	Answers                     []referenceAnswer
}

type referenceAnswer struct {
	Status, Description string
	Bodies              []referenceBody
	Headers             []string
}

// referenceBody is a body of one media type: fields, or a kind of value.
type referenceBody struct {
	Type, Description string
	Fields            []referenceField
	Kind              []word
	Example           string
}

type referenceSchema struct {
	ID, Name, Description string
	Fields                []referenceField
	Kind                  []word
	Example               string
}

type referenceField struct {
	Name        string
	Needed      bool
	Kind        []word
	Description string
}

// word is a piece of the description of a type; Link leads to the schema it names.
type word struct{ Text, Link string }

// referencePage writes an OpenAPI file as one page of HTML: no script, nothing loaded
// from anywhere, legible in light and dark.
func referencePage(text []byte) ([]byte, error) {
	var root any
	if err := yaml.UnmarshalWithOptions(text, &root, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	r := reader{root}
	page := reference{Title: r.text(root, "info", "title"), Summary: r.text(root, "info", "summary"), Description: r.text(root, "info", "description")}
	for _, tag := range items(r.at(root, "tags")) {
		page.Groups = append(page.Groups, referenceGroup{Name: r.text(tag, "name"), Description: r.text(tag, "description")})
	}
	for _, part := range [...]string{"paths", "webhooks"} {
		for _, path := range members(r.at(root, part)) {
			r.operations(&page, path)
		}
	}
	for _, m := range members(r.at(root, "components", "schemas")) {
		name := fmt.Sprint(m.Key)
		page.Schemas = append(page.Schemas, referenceSchema{
			ID: anchor(name), Name: name, Description: r.text(m.Value, "description"),
			Fields: r.fields(m.Value, ""), Kind: r.kind(m.Value), Example: r.example(m.Value),
		})
	}
	return []byte(page.html()), nil
}

// reader walks a parsed OpenAPI file, following its references.
type reader struct{ root any }

func members(v any) yaml.MapSlice {
	m, _ := v.(yaml.MapSlice)
	return m
}

func items(v any) []any {
	l, _ := v.([]any)
	return l
}

// at finds what lies under names, nil if there is nothing.
func (r reader) at(v any, names ...string) any {
	for _, name := range names {
		v = r.follow(v)
		i := slices.IndexFunc(members(v), func(m yaml.MapItem) bool { return fmt.Sprint(m.Key) == name })
		if i < 0 {
			return nil
		}
		v = members(v)[i].Value
	}
	return v
}

func (r reader) text(v any, names ...string) string {
	s, _ := r.at(v, names...).(string)
	return s
}

// named is what a reference leads to; "" if v is none.
func named(v any) string {
	for _, m := range members(v) {
		if m.Key == "$ref" {
			s, _ := m.Value.(string)
			return s
		}
	}
	return ""
}

func (r reader) follow(v any) any {
	path, ok := strings.CutPrefix(named(v), "#/")
	if !ok {
		return v
	}
	return r.at(r.root, strings.Split(path, "/")...)
}

func anchor(schema string) string { return "schema-" + schema }

func (r reader) operations(page *reference, path yaml.MapItem) {
	for _, m := range members(path.Value) {
		verb := fmt.Sprint(m.Key)
		if !slices.Contains([]string{"get", "put", "post", "delete", "patch"}, verb) {
			continue
		}
		tag := "sent to webhooks" // of the file's webhooks, which have none
		if tags := items(r.at(m.Value, "tags")); len(tags) > 0 {
			tag, _ = tags[0].(string)
		}
		i := slices.IndexFunc(page.Groups, func(g referenceGroup) bool { return g.Name == tag })
		if i < 0 {
			i, page.Groups = len(page.Groups), append(page.Groups, referenceGroup{Name: tag})
		}
		page.Groups[i].Operations = append(page.Groups[i].Operations, r.operation(verb, path, m.Value))
	}
}

func (r reader) operation(verb string, path yaml.MapItem, v any) referenceOperation {
	o := referenceOperation{
		ID: r.text(v, "operationId"), Method: strings.ToUpper(verb), Verb: verb, Path: fmt.Sprint(path.Key),
		Summary: r.text(v, "summary"), Description: r.text(v, "description"), Scope: r.scope(v),
	}
	for _, p := range slices.Concat(items(r.at(path.Value, "parameters")), items(r.at(v, "parameters"))) {
		needed, _ := r.at(p, "required").(bool)
		kind := append(r.kind(r.at(p, "schema")), word{Text: ", in the " + r.text(p, "in")})
		o.Parameters = append(o.Parameters, referenceField{Name: r.text(p, "name"), Needed: needed, Kind: kind, Description: r.text(p, "description")})
	}
	o.Bodies = r.bodies(r.at(v, "requestBody"))
	for _, m := range members(r.at(v, "responses")) {
		a := referenceAnswer{Status: fmt.Sprint(m.Key), Description: r.text(m.Value, "description"), Bodies: r.bodies(m.Value)}
		for _, h := range members(r.at(m.Value, "headers")) {
			a.Headers = append(a.Headers, fmt.Sprint(h.Key))
		}
		o.Answers = append(o.Answers, a)
	}
	return o
}

// scope is that of the key which an operation needs where the server has keys.
func (r reader) scope(v any) string {
	for _, way := range items(r.at(v, "security")) {
		if scopes := items(r.at(way, "bearer")); len(scopes) > 0 {
			s, _ := scopes[0].(string)
			return s
		}
	}
	return ""
}

func (r reader) bodies(v any) (out []referenceBody) {
	for _, m := range members(r.at(v, "content")) {
		schema := r.at(m.Value, "schema")
		b := referenceBody{Type: fmt.Sprint(m.Key), Kind: r.kind(schema), Example: r.example(m.Value)}
		if named(schema) == "" {
			b.Description, b.Fields = r.text(schema, "description"), r.fields(schema, "")
		}
		out = append(out, b)
	}
	return out
}

// example is JSON, indented.
func (r reader) example(v any) string {
	e := r.at(v, "example")
	if e == nil {
		return ""
	}
	text, err := yaml.MarshalWithOptions(e, yaml.JSON())
	if err != nil {
		return ""
	}
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(text), "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

// fields lists those of an object, and those of objects within it that have no name.
func (r reader) fields(schema any, prefix string) (out []referenceField) {
	needed := items(r.at(schema, "required"))
	for _, m := range members(r.at(schema, "properties")) {
		name := fmt.Sprint(m.Key)
		f := referenceField{Name: prefix + name, Needed: slices.Contains(needed, any(name)), Kind: r.kind(m.Value), Description: r.text(m.Value, "description")}
		if named(m.Value) != "" {
			f.Description = "" // it stands with the schema
		}
		out = append(out, f)
		if inner := m.Value; named(inner) == "" {
			within := "."
			if each := r.at(inner, "items"); each != nil && named(each) == "" {
				inner, within = each, "[]."
			}
			out = append(out, r.fields(inner, prefix+name+within)...)
		}
	}
	return out
}
