package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for s, want := range map[string]Ref{
		"churn":            {Name: "churn", Alias: "champion"},
		"churn@7":          {Name: "churn", Version: 7},
		"churn@champion":   {Name: "churn", Alias: "champion"},
		"churn@challenger": {Name: "churn", Alias: "challenger"},
		"a-b_9@x":          {Name: "a-b_9", Alias: "x"},
		"churn@999999999":  {Name: "churn", Version: 999999999},
		"churn@seven7":     {Name: "churn", Alias: "seven7"},
		"v7@7":             {Name: "v7", Version: 7},
		"churn@v":          {Name: "churn", Alias: "v"},
		"churn@v07":        {Name: "churn", Alias: "v07"},
	} {
		got, err := ParseRef(s)
		if err != nil || got != want {
			t.Errorf("ParseRef(%q) = %+v, %v; want %+v", s, got, err, want)
		}
		again, err := ParseRef(got.String())
		if err != nil || again != got {
			t.Errorf("%q spelled %q reads %+v, %v", s, got.String(), again, err)
		}
	}
	for _, s := range hostileRefs() {
		if got, err := ParseRef(s); !errors.Is(err, ErrReference) {
			t.Errorf("ParseRef(%q) = %+v, %v; want ErrReference", s, got, err)
		}
	}
}

func hostileRefs() []string {
	return []string{
		"", "@", "@7", "7", "7@7", "churn@", "churn@0", "churn@07", "churn@-1", "churn@+1", "churn@1.0", "churn@ 1", "churn@1000000000",
		"churn@99999999999999999999", "churn@v7", "churn@champion@7", "../x", "..", ".", "a/b", "a\\b", "/etc/passwd", "churn/../x", "churn@../x",
		"churn@..", "Churn", "churn@Champion", "ch urn", "churn\x00", "churn@\x00", "churn\n", "chürn", "churn@٧", "-x", "_x", ".lock", "con:",
		strings.Repeat("a", 65), "churn@" + strings.Repeat("a", 65), "http://x", "churn?x=1", "churn%2f..",
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range append(hostileRefs(), "churn", "churn@7", "churn@champion") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseRef(s)
		if err != nil {
			if !errors.Is(err, ErrReference) || ref != (Ref{}) {
				t.Fatalf("%q: %+v, %v", s, ref, err)
			}
			return
		}
		if (ref.Version == 0) == (ref.Alias == "") {
			t.Fatalf("%q: %+v has not one of version and alias", s, ref)
		}
		// What a reference leads to lies in the registry.
		if p := filepath.Join("root", ref.Name, ref.Alias); !strings.HasPrefix(p, "root"+string(os.PathSeparator)+ref.Name) || strings.Contains(p, "..") {
			t.Fatalf("%q leads to %s", s, p)
		}
		if again, err := ParseRef(ref.String()); err != nil || again != ref {
			t.Fatalf("%q: %+v, spelled %q: %+v, %v", s, ref, ref.String(), again, err)
		}
	})
}

func ExampleParseRef() {
	for _, s := range []string{"churn", "churn@7", "churn@challenger"} {
		ref, err := ParseRef(s)
		fmt.Println(ref, ref.Version, ref.Alias, err)
	}
	_, err := ParseRef("churn@v7")
	fmt.Println(err)
	// Output:
	// churn@champion 0 champion <nil>
	// churn@7 7  <nil>
	// churn@challenger 0 challenger <nil>
	// bad reference: alias "v7": write @7 for version 7
}
