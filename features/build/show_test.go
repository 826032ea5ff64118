package build_test

import (
	"testing"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/spec"
)

// The facts that are shown behind a value are those that make it, and each version of a
// fact of the source is either among them or left out for a reason.
func TestShowAgreesWithTheRow(t *testing.T) {
	for seed := range uint64(40) {
		c := draw(t, seed)
		for i, m := range c.Moments {
			if i%3 > 0 {
				continue
			}
			shown, err := c.Plan.Show(c.Part, m, 1000)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			row, err := c.Plan.Rows(c.Part, []build.Moment{m})
			if err != nil {
				t.Fatal(err)
			}
			for k, o := range c.Project.Outputs() {
				x, f := shown.Columns[k], c.Project.Features[o.Feature]
				source, _, err := c.Project.Stream(f.From)
				if err != nil {
					t.Fatal(err)
				}
				want := x.Value
				switch {
				case x.Name != o.Name || x.Value != row[k].At(0):
					t.Fatalf("seed %d: %s is shown as %s = %v", seed, o.Name, x.Name, x.Value)
				case o.Trend:
				case f.Agg == spec.Count, f.Agg == spec.Active:
					want = datasets.Value{Kind: datasets.Number, Number: float64(x.Facts)}
				case f.Agg == spec.First && x.Facts > 0:
					want = x.First[0].Values[f.Value]
				case f.Agg == spec.Last && x.Facts > 0:
					want = x.First[len(x.First)-1].Values[f.Value]
				case f.Agg == spec.First, f.Agg == spec.Last:
					want = datasets.Value{}
				case f.Agg == spec.Share && f.Value == "" && x.Among > 0:
					want = datasets.Value{Kind: datasets.Number, Number: float64(x.Facts) / float64(x.Among)}
				}
				if x.Value != want {
					t.Fatalf("seed %d: %s is %v, but the facts shown make it %v: %+v", seed, x.Name, x.Value, want, f)
				}
				n := x.Facts + x.Earlier
				for _, e := range x.Excluded {
					n += e.Facts
				}
				all := &c.Part.Sources[source]
				if n != all.First[m.Account+1]-all.First[m.Account] {
					t.Fatalf("seed %d: of %s %d versions are told of, not %d", seed, x.Name, n, all.First[m.Account+1]-all.First[m.Account])
				}
			}
		}
	}
}
