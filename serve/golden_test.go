package serve

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"propensity/models/registry"
)

var update = flag.Bool("update", false, "write the golden files and the examples of the documents anew")

// published is the one figure of the answers that is not the same every time.
var published = regexp.MustCompile(`"published":"[^"]*"`)

// Requests in testdata get the answers in testdata.
func TestGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another architecture may round the last digit another way")
	}
	f := churn(t, Config{})
	publish(t, f.registry, "churn", 2, "challenger")
	f.eventually(t, "there", func() bool { return len(f.server.state.Load().models["churn"].aliases) == 2 })
	for _, c := range []struct{ name, path, contentType, extension string }{
		{"score", "/v1/models/churn/score", "application/json", ".json"},
		{"warnings", "/v1/models/churn@champion/score", "application/json", ".json"},
		{"tree", "/v1/models/upsell@1/score", "application/json", ".json"},
		{"refused", "/v1/models/churn/score", "application/json", ".json"},
		{"malformed", "/v1/models/churn/score", "application/json", ".json"},
		{"batch", batchPath, "application/json", ".json"},
		{"lines", batchPath, "application/x-ndjson", ".ndjson"},
		{"models", "/v1/models", "", ".json"},
		{"model", "/v1/models/churn", "", ".json"},
		{"ready", "/readyz", "", ".json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got reply
			if c.contentType == "" {
				got = f.get(t, c.path)
			} else {
				body, err := os.ReadFile(filepath.Join("testdata", c.name+".request"+c.extension))
				if err != nil {
					t.Fatal(err)
				}
				got = f.post(t, c.path, c.contentType, bytes.NewReader(body))
			}
			text := published.ReplaceAll(got.body, []byte(`"published":"2026-03-01T10:00:00Z"`))
			if c.extension == ".json" {
				var b bytes.Buffer
				if err := json.Indent(&b, text, "", "  "); err != nil {
					t.Fatal(err)
				}
				text = b.Bytes()
			}
			golden(t, filepath.Join("testdata", c.name+".answer"+c.extension), text)
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// The examples of the documents are the golden files.
func TestDocs(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)(<!-- serve/testdata/(\\S+) -->\n```json\n)(.*?)(```\n)")
	found := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !example.Match(text) {
			continue
		}
		golden(t, path, example.ReplaceAllFunc(text, func(block []byte) []byte {
			found++
			part := example.FindSubmatch(block)
			file, err := os.ReadFile(filepath.Join("testdata", string(part[2])))
			if err != nil {
				t.Error(err)
				return block
			}
			file = append(bytes.TrimRight(file, "\n"), '\n')
			return bytes.Join([][]byte{part[1], file, part[4]}, nil)
		}))
	}
	if found < 5 {
		t.Errorf("%d examples", found)
	}
}

// Each route is named in the documents.
func TestDocsRoutes(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	parameter := regexp.MustCompile(`([^\\]):(\w+)`)
	s, err := New(Config{Registry: registry.Open(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, r := range s.engine.Routes() {
		route := r.Method + " " + strings.ReplaceAll(parameter.ReplaceAllString(r.Path, "$1{$2}"), `\:`, ":")
		if !strings.Contains(string(text), route) {
			t.Errorf("no word of %s", route)
		}
	}
}
