package train

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"propensity/datasets"
)

func TestSchema(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "table.csv")
	if err := os.WriteFile(path, []byte("n,c,extra,leak,y\n1,7,x,1,no\n2,8,y,2,yes\n3,7,z,3,no\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := ParseSchema([]byte(`{"label": "y", "positive": "yes", "numeric": ["n", "leak"], "categorical": ["c"],
		"drop": ["leak"], "variants": {"with leak": [], "less": ["leak", "n"]}, "max_rows": 2}`))
	if err != nil {
		t.Fatal(err)
	}
	for variant, want := range map[string][]string{"": {"n", "c", "y"}, "with leak": {"n", "c", "leak", "y"}, "less": {"c", "y"}} {
		table, spec, err := s.Read(path, variant, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Names(); !slices.Equal(got, want) || table.Rows() != 2 {
			t.Errorf("%q: columns %q, %d rows", variant, got, table.Rows())
		}
		if table.Column("c").Kind != datasets.Category || spec.Label != "y" || spec.Positive != "yes" || len(spec.Types) != len(want)-1 {
			t.Errorf("%q: %+v", variant, spec)
		}
		if err := spec.Validate(); err != nil {
			t.Error(err)
		}
	}
	_, _, err = s.Read(path, "more", nil)
	says(t, err, ErrSpec, `"more"`, "less, with leak")

	s.Numeric = append(s.Numeric, "gone")
	_, _, err = s.Read(path, "", nil)
	says(t, err, datasets.ErrColumn, "table.csv", `"gone"`)
}

func TestParseSchemaRefuses(t *testing.T) {
	for text, word := range map[string]string{
		``:                                    "schema",
		`{"label": "y"}`:                      "columns",
		`{"numeric": ["x"]}`:                  "label",
		`{"label": "y", "colour": "red"}`:     "colour",
		`{"label": "y", "numeric": ["x"]} {}`: "follows",
		`{"label": 3}`:                        "label",
	} {
		_, err := ParseSchema([]byte(text))
		says(t, err, ErrSpec, word)
	}
}
