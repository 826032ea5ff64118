package main_test

import (
	"slices"
	"strings"
	"testing"
)

// What would make the program larger by a fifth or a third is not in it
// (docs/decisions/0019-size.md).
func TestNotLinked(t *testing.T) {
	heavy := map[string]string{
		"github.com/apache/arrow/go/v15/arrow/compute":   "Arrow's engine of computations, 12 MB",
		"github.com/apache/arrow/go/v15/parquet/pqarrow": "brings arrow/compute",
		"google.golang.org/grpc":                         "its init reaches html/template",
		"github.com/getkin/kin-openapi/openapi3":         "for tests alone",
	}
	for _, p := range list(t, "-deps", "./cmd/propensity") {
		if why := heavy[p.ImportPath]; why != "" {
			t.Errorf("%s is linked: %s", p.ImportPath, why)
		}
		if !strings.HasPrefix(p.ImportPath, module+"/") {
			continue
		}
		for _, template := range []string{"text/template", "html/template"} {
			if slices.Contains(p.Imports, template) {
				t.Errorf("%s imports %s, for whose sake every method of every type is linked, 20 MB", p.ImportPath, template)
			}
		}
	}
}
