package spec_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"propensity/features/expr"
	"propensity/features/spec"
)

// equal compares projects as the artifact keeps them: lines, places of data and the
// names of exports apart.
func equal(a, b *spec.Project) string {
	return cmp.Diff(a, b,
		cmpopts.IgnoreFields(spec.Source{}, "Line", "Path", "From", "Query", "Table", "Export"),
		cmpopts.IgnoreFields(spec.Feature{}, "Line"), cmpopts.IgnoreFields(spec.Derived{}, "Line"),
		cmpopts.IgnoreFields(spec.Population{}, "Line"), cmpopts.IgnoreFields(spec.Model{}, "Line"),
		cmpopts.IgnoreFields(spec.Label{}, "Line"), cmpopts.IgnoreFields(spec.Checks{}, "Line"),
		cmpopts.EquateNaNs(), cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b *expr.Expr) bool {
			return (a == nil) == (b == nil) && (a == nil || a.Source == b.Source && cmp.Equal(a.Root, b.Root, cmpopts.EquateNaNs()))
		}))
}

// again writes a project, reads it back and asks that nothing has changed.
func again(t *testing.T, p *spec.Project) {
	t.Helper()
	written, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	back, err := spec.Parse(written)
	if err != nil {
		t.Fatalf("%v\n%s", err, written)
	}
	if diff := equal(p, back); diff != "" {
		t.Errorf("%s\n%s", diff, written)
	}
	twice, err := back.YAML()
	if err != nil || !bytes.Equal(written, twice) {
		t.Errorf("%v\n%s\n%s", err, written, twice)
	}
}

// Whatever the bytes, a project file is read or refused with faults that have a line;
// what is read is written and read back the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(company))
	for _, c := range faulty {
		f.Add([]byte(c.text))
	}
	f.Add([]byte("a: &a [*a, *a]\nversion: 1\n<<: {<<: {account: b}}\n"))
	f.Add([]byte("version: 1\nsources: &x\n  <<: *x\n"))
	f.Add([]byte("version: &x *x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := spec.Parse(b)
		if err != nil {
			var faults *spec.Faults
			if p != nil || !errors.Is(err, spec.ErrProject) || !errors.As(err, &faults) || len(faults.List) == 0 {
				t.Fatalf("%v, %v", p, err)
			}
			for _, fault := range faults.List {
				if fault.Line < 1 || fault.Message == "" {
					t.Errorf("%+v", fault)
				}
			}
			return
		}
		again(t, p)
		for _, s := range p.Sources {
			if slices.ContainsFunc(s.Columns, func(c spec.Column) bool { return c.Kind == 0 }) {
				return
			}
		}
		for _, m := range p.Models {
			again(t, p.Of(m.Name))
		}
	})
}
