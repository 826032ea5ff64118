package serve

import (
	"fmt"
	"strings"
)

// kind says in words what values a schema takes.
func (r reader) kind(schema any) []word {
	if path := named(schema); path != "" {
		name := path[strings.LastIndexByte(path, '/')+1:]
		return []word{{Text: name, Link: anchor(name)}}
	}
	for _, choice := range [...]string{"anyOf", "oneOf"} {
		if among := items(r.at(schema, choice)); len(among) > 0 {
			var out []word
			for i, one := range among {
				if i > 0 {
					out = append(out, word{Text: " or "})
				}
				out = append(out, r.kind(one)...)
			}
			return out
		}
	}
	types := items(r.at(schema, "type"))
	if one, ok := r.at(schema, "type").(string); ok {
		types = []any{one}
	}
	var out []word
	for i, t := range types {
		if i > 0 {
			out = append(out, word{Text: " or "})
		}
		out = append(out, r.typed(schema, fmt.Sprint(t))...)
	}
	return append(out, word{Text: r.bounds(schema)})
}

// typed is one of the types of a schema.
func (r reader) typed(schema any, name string) []word {
	switch name {
	case "array":
		if each := r.at(schema, "items"); each != nil {
			return append([]word{{Text: "array of "}}, r.kind(each)...)
		}
	case "object":
		if each := r.at(schema, "additionalProperties"); members(each) != nil {
			return append([]word{{Text: "object, each "}}, r.kind(each)...)
		}
	case "string":
		switch format := r.text(schema, "format"); format {
		case "":
		case "date-time":
			return []word{{Text: "time (RFC 3339)"}}
		default:
			return []word{{Text: "string (" + format + ")"}}
		}
	}
	return []word{{Text: name}}
}

// bounds are those of a number, the values of an enum, and what stands for none.
func (r reader) bounds(schema any) string {
	out := ""
	low, high := r.at(schema, "minimum"), r.at(schema, "maximum")
	switch {
	case low != nil && high != nil:
		out = fmt.Sprintf(", %v to %v", low, high)
	case low != nil:
		out = fmt.Sprintf(", from %v", low)
	case high != nil:
		out = fmt.Sprintf(", to %v", high)
	}
	if values := items(r.at(schema, "enum")); len(values) > 0 {
		var names []string
		for _, v := range values {
			names = append(names, fmt.Sprint(v))
		}
		out += ": " + strings.Join(names, ", ")
	}
	if value := r.at(schema, "default"); value != nil {
		out += fmt.Sprintf(", default %v", value)
	}
	return out
}
