package serve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The endpoints of facts, one after the other.
func TestGoldenFacts(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another architecture may round the last digit another way")
	}
	f := withFacts(t, Config{})
	for _, c := range []struct {
		name, method, path string
		status             int
	}{
		{"events", http.MethodPost, "/v1/events", 202},
		{"events-refused", http.MethodPost, "/v1/events", 422},
		{"account", http.MethodPut, "/v1/accounts/A-17", 202},
		{"facts", http.MethodGet, "/v1/accounts/A-17?as_of=2026-03-01T09:30:00Z", 200},
		{"live", http.MethodPost, "/v1/models/renewal/score", 200},
		{"posted", http.MethodPost, "/v1/models/renewal/score", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := ""
			if c.method != http.MethodGet {
				b, err := os.ReadFile(filepath.Join("testdata", c.name+".request.json"))
				if err != nil {
					t.Fatal(err)
				}
				// What has no arrival arrives now: in these examples as it occurred.
				body = strings.ReplaceAll(string(b), `"occurred_at": "2026-02-20T08:00:00Z",`, `"occurred_at": "2026-02-20T08:00:00Z", "arrived_at": "2026-02-20T08:00:00Z",`)
				body = strings.ReplaceAll(body, `"occurred_at": "2025-12-01"`, `"occurred_at": "2025-12-01", "arrived_at": "2025-12-01"`)
			}
			got := wantStatus(t, f.do(t, c.method, c.path, body), c.status)
			var b bytes.Buffer
			if err := json.Indent(&b, got.body, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", c.name+".answer.json"), b.Bytes())
		})
	}
}
