package serve

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"propensity/models/registry"
	"propensity/serve/database/databasetest"
	"propensity/serve/keys"
)

// schemathesis, which reads openapi.yaml and knows nothing else of this server, finds no
// answer that the file does not promise, no request that is taken and should not be, and
// no fault of the server. Its settings are in testdata/schemathesis.toml.
func TestSchemathesis(t *testing.T) {
	python := os.Getenv("PROPENSITY_CLIENTS")
	if python == "" {
		t.Skip("PROPENSITY_CLIENTS names no Python")
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	made, key := makeKey(t, path, keys.Key{Scopes: []string{keys.Admin}})
	f := withFacts(t, Config{Database: databasetest.Open(t, databasetest.SQLite(t)), Keys: path, Shadow: true, JobsDir: t.TempDir()})
	publish(t, f.registry, "churn", 2, "challenger", money("mrr", "90d"))
	publish(t, f.registry, "upsell", 1, registry.Champion, money("seats", "90d"))
	wantStatus(t, f.ask(t, "POST", "/v1/events", key, knownEvents), 202)
	plain := httptest.NewServer(f.server.Handler())
	defer plain.Close()
	files, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, python, "-m", "schemathesis.cli", "--config-file", filepath.Join(files, "schemathesis.toml"), "run", plain.URL+"/openapi.json") //nolint:gosec // a Python that the tester names
	c.Dir = t.TempDir()                                                                                                                                           // where it leaves what it remembers
	c.Env = append(os.Environ(), "SCHEMATHESIS_SERVER="+plain.URL, "SCHEMATHESIS_KEY="+key, "SCHEMATHESIS_KEY_ID="+made.ID,
		"SCHEMATHESIS_HOOKS_FILE="+filepath.Join(files, "schemathesis_hooks.py"), "NO_COLOR=1", "COLUMNS=120")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
