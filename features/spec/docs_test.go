package spec

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The guide names every key and every word that a key may have, and its examples are
// read.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/FEATURES.md")
	if err != nil {
		t.Fatal(err)
	}
	guide, _, _ := strings.Cut(string(b), "\n## Building")
	for _, words := range [][]string{
		topKeys[:], sourceKeys[:], checkKeys[:], featureKeys[:], derivedKeys[:], momentKeys[:], labelKeys[:], trainLabelKeys[:], modelKeys[:],
		kindNames[:], aggNames(), exportNames(), presetNames(),
	} {
		for _, w := range words {
			if !strings.Contains(guide, "`"+w+"`") {
				t.Errorf("the guide does not name %s", w)
			}
		}
	}
	for _, e := range exports { // and what columns are taken for roles
		for _, r := range e.roles(&Source{}) {
			if r.column != "" && !strings.Contains(guide, "`"+r.column+"`") {
				t.Errorf("the guide does not name %s of %s", r.column, e.name)
			}
		}
	}
	examples := strings.Split(guide, "```yaml\n")[1:]
	for _, e := range examples {
		text, _, _ := strings.Cut(e, "```")
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if len(examples) == 0 {
		t.Error("the guide has no example")
	}
	for _, p := range presets {
		at := strings.Index(guide, "| `"+p.name+"` |")
		if at < 0 {
			t.Errorf("the guide has no row of %s", p.name)
			continue
		}
		row, _, _ := strings.Cut(guide[at:], "\n")
		for _, k := range slices.Concat(p.keys, p.from) {
			if !strings.Contains(row, k) {
				t.Errorf("the guide does not say that %s has %s", p.name, k)
			}
		}
	}
}
