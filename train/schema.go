package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"propensity/datasets"
)

// Schema describes a public table: which column is the label, which are numbers,
// which categories. Columns that it does not name are not read.
type Schema struct {
	Label       string              `json:"label"`
	Positive    string              `json:"positive"`
	Numeric     []string            `json:"numeric"`
	Categorical []string            `json:"categorical"`
	Drop        []string            `json:"drop"`
	Variants    map[string][]string `json:"variants"` // other lists of columns to drop, by name
	MaxRows     int                 `json:"max_rows"` // only the first so many; 0: all
}

// ParseSchema reads schema.json.
func ParseSchema(b []byte) (*Schema, error) {
	var s Schema
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: schema: %w", ErrSpec, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: schema: something follows its end", ErrSpec)
	}
	if s.Label == "" || len(s.Numeric)+len(s.Categorical) == 0 {
		return nil, fmt.Errorf("%w: schema: it needs a label and columns", ErrSpec)
	}
	return &s, nil
}

// dropped are the columns that a variant leaves out; "" is the plain table.
func (s *Schema) dropped(variant string) ([]string, error) {
	if variant == "" {
		return s.Drop, nil
	}
	drop, ok := s.Variants[variant]
	if !ok {
		return nil, fmt.Errorf("%w: schema has no variant %q; it has %s", ErrSpec, variant, strings.Join(slices.Sorted(maps.Keys(s.Variants)), ", "))
	}
	return drop, nil
}

// Columns are those to learn from in a variant, with their kinds.
func (s *Schema) columns(variant string) (map[string]datasets.Kind, error) {
	drop, err := s.dropped(variant)
	if err != nil {
		return nil, err
	}
	kinds := map[string]datasets.Kind{}
	for kind, names := range map[datasets.Kind][]string{datasets.Number: s.Numeric, datasets.Category: s.Categorical} {
		for _, c := range names {
			if !slices.Contains(drop, c) {
				kinds[c] = kind
			}
		}
	}
	return kinds, nil
}

// Read reads a table that the schema describes, in the given variant.
func (s *Schema) Read(path, variant string, progress func(read, total int64)) (*datasets.Table, Spec, error) {
	spec := Spec{Name: "table", Label: s.Label, Positive: s.Positive, Seed: 1}
	kinds, err := s.columns(variant)
	if err != nil {
		return nil, spec, err
	}
	columns := append(slices.Sorted(maps.Keys(kinds)), s.Label)
	t, err := datasets.Read(path, datasets.ReadOptions{Kinds: kinds, Columns: columns, Progress: progress})
	if err != nil {
		return nil, spec, err
	}
	if n := s.MaxRows; n > 0 && n < t.Rows() {
		rows := make([]int, n)
		for i := range rows {
			rows[i] = i
		}
		t = t.Take(rows)
	}
	spec.Types = kinds
	return t, spec, nil
}
