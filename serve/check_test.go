package serve

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/features/online"
	"propensity/models/registry"
)

// Check says all that is wrong at once, serves nothing and leaves everything as it was.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	r := registry.Open(dir)
	texts := func(cfg Config, addr string) string {
		t.Helper()
		var all []string
		for _, err := range Check(context.Background(), cfg, addr) {
			all = append(all, err.Error())
		}
		return strings.Join(all, "\n")
	}
	if got := texts(Config{Registry: r}, "127.0.0.1:0"); !strings.Contains(got, "no models") {
		t.Errorf("an empty registry: %q", got)
	}
	publish(t, r, "churn", 1, registry.Champion)
	publish(t, r, "upsell", 1, registry.Champion)
	publish(t, r, "upsell", 2, "challenger")
	if got := texts(Config{Registry: r}, "127.0.0.1:0"); got != "" {
		t.Errorf("a sound server: %s", got)
	}
	before := filesUnder(t, dir)
	f := &fixture{dir: dir, registry: r}
	f.damage(t, "upsell", 2, "model.arrow")
	path := filepath.Join(dir, "upsell", "v2", "model.arrow")
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	store, err := online.Open(context.Background(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	store.Close() // it is gone
	got := texts(Config{Registry: r, Store: store, Keys: filepath.Join(dir, "keys.json"), TLS: TLS{Cert: "none.pem", Key: "none.pem"}}, "0.0.0.0:0")
	for _, part := range []string{"upsell@challenger is version 2", "keys.json", "none.pem"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not said:\n%s", part, got)
		}
	}
	if got := texts(Config{Registry: r}, "0.0.0.0:0"); !strings.Contains(got, "can be reached from elsewhere") {
		t.Errorf("open to the world: %s", got)
	}
	if got := texts(Config{Registry: r}, ":0"); !strings.Contains(got, "can be reached from elsewhere") {
		t.Errorf("open to the world: %s", got)
	}
	if after := filesUnder(t, dir); after != before {
		t.Errorf("the registry holds other files: %s, before %s", after, before)
	}
}

// filesUnder lists the files under a directory.
func filesUnder(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}
