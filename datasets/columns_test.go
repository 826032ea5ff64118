package datasets

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is read column by column is what is read whole, and has its fingerprint.
func TestColumns(t *testing.T) {
	for name, o := range map[string]ReadOptions{
		"typed.parquet":     {},
		"typed_old.parquet": {},
		"mixed.parquet":     {},
		"odd.parquet":       {Columns: []string{"ok"}},
	} {
		for _, kinds := range []map[string]Kind{nil, {"ids": Text, "f64": Category, "large": Category}} {
			o.Kinds = kinds
			path := filepath.Join("testdata", name)
			whole, err := Read(path, o)
			if err != nil {
				t.Fatal(err)
			}
			c, err := OpenColumns(path, o)
			if err != nil {
				t.Fatal(err)
			}
			if c.Rows() != whole.Rows() || !cmp.Equal(c.Names(), whole.Names()) {
				t.Errorf("%s: %d rows of %q", name, c.Rows(), c.Names())
			}
			var parts Table
			for _, column := range c.Names() {
				part, err := c.Column(column)
				if err != nil {
					t.Fatal(err)
				}
				parts.Columns = append(parts.Columns, part)
			}
			if d := cmp.Diff(spell(whole), spell(&parts)); d != "" {
				t.Error(name, d)
			}
			if sum, err := c.Fingerprint(); err != nil || sum != whole.Fingerprint() {
				t.Errorf("%s: fingerprint %s, %v", name, sum, err)
			}
			if _, err := c.Column("none"); !errors.Is(err, ErrColumn) {
				t.Errorf("%s: %v", name, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := OpenColumns(filepath.Join("testdata", "typed.arrow"), ReadOptions{}); !errors.Is(err, ErrEncoding) {
		t.Errorf("an Arrow file: %v", err)
	}
}
