package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func readSchema(t *testing.T) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal([]byte(Schema()), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The keys of the schema are those that Parse knows, and no others; so are the names
// that keys may have.
func TestSchemaHasTheKeysOfParse(t *testing.T) {
	s := readSchema(t)
	defs := s["$defs"].(map[string]any)
	keys := func(object any) []string {
		return slices.Sorted(maps.Keys(object.(map[string]any)["properties"].(map[string]any)))
	}
	enum := func(def, key string) []string {
		var out []string
		for _, v := range defs[def].(map[string]any)["properties"].(map[string]any)[key].(map[string]any)["enum"].([]any) {
			out = append(out, v.(string))
		}
		return slices.Sorted(slices.Values(out))
	}
	for _, c := range []struct {
		what       string
		got, known []string
	}{
		{"the file", keys(s), topKeys[:]},
		{"source", keys(defs["source"]), sourceKeys[:]},
		{"checks", keys(defs["checks"]), checkKeys[:]},
		{"feature", keys(defs["feature"]), featureKeys[:]},
		{"derived", keys(defs["derived"]), derivedKeys[:]},
		{"moments", keys(defs["moments"]), momentKeys[:]},
		{"label", keys(defs["label"]), slices.Concat(labelKeys[:], trainLabelKeys[:])},
		{"model", keys(defs["model"]), slices.Concat(modelKeys[:], trainKeys[:])},
		{"kinds", enum("source", "kind"), kindNames[:]},
		{"exports", enum("source", "export"), exportNames()},
		{"aggregates", enum("feature", "agg"), aggNames()},
		{"presets", enum("feature", "preset"), presetNames()},
	} {
		if want := slices.Sorted(slices.Values(c.known)); !slices.Equal(c.got, want) {
			t.Errorf("%s:\n%v\n%v", c.what, c.got, want)
		}
	}
	for name, def := range defs {
		if object := def.(map[string]any); object["type"] == "object" && object["additionalProperties"] != false {
			t.Errorf("%s takes any key", name)
		}
	}
}

// What Parse reads, the schema takes; of what it refuses, the schema refuses what can be
// seen without knowing the rest of the file.
func TestSchemaAndParseAgree(t *testing.T) {
	v := validator{root: readSchema(t)}
	check := func(text string) []string {
		var file any
		if err := yaml.Unmarshal([]byte(text), &file); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return v.faults(v.root, file, "")
	}
	good, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(good) < 3 {
		t.Fatalf("%v, %v", good, err)
	}
	good = append(good, "../../datasets/sample/propensity.yaml")
	for _, name := range good {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		resolved, err := p.YAML()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(b), string(resolved)} {
			if faults := check(text); len(faults) > 0 {
				t.Errorf("%s: %s", name, strings.Join(faults, "\n"))
			}
		}
	}
	for _, bad := range []string{
		"version: 2", "account: a", "version: 1\nacount: a", "version: 1\nsources: {9: {time: t}}", "version: 1\nsources: {e: {tme: t}}",
		"version: 1\nsources: {e: {time: t, kind: event}}", "version: 1\nsources: {e: {time: t, lag: 7}}", "version: 1\nfeatures: [{name: a, windows: [0d]}]",
		"version: 1\nfeatures: [{name: a, agg: counts}]", "version: 1\nderived: [{name: a}]", "version: 1\nmodels: {m: {}}",
		"version: 1\nmodels: {m: {label: {events: e}}}", "version: 1\npresets: [trial]", "version: 1\nsources: {e: {checks: {colour: red}}}",
	} {
		if _, err := Parse([]byte(bad)); err == nil && !strings.Contains(bad, "m: {}") { // training refuses a model of nothing
			t.Errorf("Parse reads %s", bad)
		}
		if faults := check(bad); len(faults) == 0 {
			t.Errorf("the schema takes %s", bad)
		}
	}
}

// validator is as much of JSON Schema as the schema uses; anything else in it is a
// fault of the test.
type validator struct{ root map[string]any }

func (v *validator) faults(s map[string]any, x any, at string) (out []string) {
	fault := func(format string, a ...any) { out = append(out, at+": "+fmt.Sprintf(format, a...)) }
	for key, want := range s {
		switch key {
		case "$schema", "$defs", "title", "description", "examples":
		case "$ref":
			name := strings.TrimPrefix(want.(string), "#/$defs/")
			out = append(out, v.faults(v.root["$defs"].(map[string]any)[name].(map[string]any), x, at)...)
		case "type":
			names, ok := want.([]any)
			if !ok {
				names = []any{want}
			}
			if !slices.ContainsFunc(names, func(n any) bool { return isType(x, n.(string)) }) {
				fault("%v is no %v", x, want)
			}
		case "const":
			if fmt.Sprint(x) != fmt.Sprint(want) {
				fault("%v is not %v", x, want)
			}
		case "enum":
			if !slices.Contains(want.([]any), x) {
				fault("%v is not among %v", x, want)
			}
		case "anyOf":
			if !slices.ContainsFunc(want.([]any), func(s any) bool { return len(v.faults(s.(map[string]any), x, at)) == 0 }) {
				fault("%v fits none", x)
			}
		case "properties", "required", "additionalProperties", "propertyNames":
			if object, ok := x.(map[string]any); ok {
				out = append(out, v.object(s, key, object, at)...)
			}
		case "items", "minItems", "maxItems", "uniqueItems":
			list, ok := x.([]any)
			if !ok {
				continue
			}
			switch n, _ := want.(float64); {
			case key == "items":
				for i, e := range list {
					out = append(out, v.faults(want.(map[string]any), e, fmt.Sprintf("%s/%d", at, i))...)
				}
			case key == "minItems" && len(list) < int(n), key == "maxItems" && len(list) > int(n):
				fault("%d entries", len(list))
			}
		case "pattern":
			if text, ok := x.(string); ok && !regexp.MustCompile(want.(string)).MatchString(text) {
				fault("%q is not as %s", text, want)
			}
		case "minLength":
			if text, ok := x.(string); ok && text == "" {
				fault("it is empty")
			}
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
			n, ok := number(x)
			if limit := want.(float64); ok && (key == "minimum" && n < limit || key == "maximum" && n > limit ||
				key == "exclusiveMinimum" && n <= limit || key == "exclusiveMaximum" && n >= limit) {
				fault("%v: %s %v", n, key, limit)
			}
		default:
			fault("the test does not know %s", key)
		}
	}
	return out
}

func (v *validator) object(s map[string]any, key string, x map[string]any, at string) (out []string) {
	properties, _ := s["properties"].(map[string]any)
	switch key {
	case "properties":
		for name, inner := range properties {
			if value, ok := x[name]; ok {
				out = append(out, v.faults(inner.(map[string]any), value, at+"/"+name)...)
			}
		}
	case "required":
		for _, name := range s[key].([]any) {
			if _, ok := x[name.(string)]; !ok {
				out = append(out, at+": no "+name.(string))
			}
		}
	case "propertyNames":
		for name := range x {
			out = append(out, v.faults(s[key].(map[string]any), name, at+"/"+name)...)
		}
	case "additionalProperties":
		for name, value := range x {
			if _, known := properties[name]; known {
				continue
			}
			if inner, ok := s[key].(map[string]any); ok {
				out = append(out, v.faults(inner, value, at+"/"+name)...)
			} else if s[key] == false {
				out = append(out, at+": no key "+name)
			}
		}
	}
	return out
}

func number(x any) (float64, bool) {
	switch n := x.(type) {
	case uint64:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func isType(x any, name string) bool {
	n, isNumber := number(x)
	switch name {
	case "string":
		_, ok := x.(string)
		return ok
	case "boolean":
		_, ok := x.(bool)
		return ok
	case "number":
		return isNumber
	case "integer":
		return isNumber && n == float64(int64(n))
	case "object":
		_, ok := x.(map[string]any)
		return ok
	case "array":
		_, ok := x.([]any)
		return ok
	case "null":
		return x == nil
	}
	return false
}
