package serve

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"

	"propensity/models/registry"
)

// Clients that nobody here wrote get what POST /score says, to the bit.
func TestDialectClients(t *testing.T) {
	python := os.Getenv("PROPENSITY_CLIENTS")
	if python == "" {
		t.Skip("PROPENSITY_CLIENTS names no Python")
	}
	f := churn(t, Config{Version: "1.2.3"})
	one := serveRegistry(t, Config{Version: "1.2.3"}, func(f *fixture) { publish(t, f.registry, "churn", 1, registry.Champion) })
	// They send what openapi.yaml does not promise to take: NaN, and no Content-Type.
	both, alone := httptest.NewServer(f.server.Handler()), httptest.NewServer(one.server.Handler())
	defer both.Close()
	defer alone.Close()
	out, err := exec.Command(python, "testdata/dialects.py", both.URL, alone.URL).Output() //nolint:gosec // a Python that the tester names
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // it is never wrapped
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	type columns struct {
		Probability []float64
		Band        []string
	}
	got := decodeAs[map[string]columns](t, out)
	want := got["v1"]
	if len(got) < 20 || len(want.Probability) != 3 {
		t.Fatalf("%s", out)
	}
	for way, c := range got {
		if !slices.Equal(c.Probability, want.Probability) || c.Band != nil && !slices.Equal(c.Band, want.Band) {
			t.Errorf("%s: %v, POST /score says %v", way, c, want)
		}
	}
	t.Logf("%d ways", len(got))
}
