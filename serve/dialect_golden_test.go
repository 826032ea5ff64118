package serve

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// The examples of docs/DIALECTS.md.
func TestDialectsGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another architecture may round the last digit another way")
	}
	// Arrays of numbers and short texts stand in a line, and so does a tensor.
	flat, spaces := regexp.MustCompile(`\[[^\[\]{}]*\]|\{[^{}]*"datatype"[^{}]*\}`), regexp.MustCompile(`\s+`)
	f := churn(t, Config{})
	for _, c := range []struct{ name, path string }{
		{"oip", "/v2/models/churn/infer"},
		{"oip-refused", "/v2/models/churn/versions/1/infer"},
		{"oip-model", "/v2/models/churn"},
		{"mlflow", "/models/churn/invocations"},
		{"mlflow-whole", "/invocations?model=churn@champion"},
	} {
		var got reply
		if body, err := os.ReadFile(filepath.Join("testdata", c.name+".request.json")); err == nil {
			got = f.post(t, c.path, "application/json", bytes.NewReader(body))
		} else {
			got = f.get(t, c.path)
		}
		var b bytes.Buffer
		if err := json.Indent(&b, got.body, "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", c.name+".answer.json"), flat.ReplaceAllFunc(b.Bytes(), func(array []byte) []byte {
			return bytes.ReplaceAll(bytes.ReplaceAll(spaces.ReplaceAll(array, nil), []byte(","), []byte(", ")), []byte(`":`), []byte(`": `))
		}))
	}
}
