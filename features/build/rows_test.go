package build_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/build/twin"
	"propensity/features/facts"
	"propensity/features/spec"
)

func draw(t *testing.T, seed uint64) *twin.Company {
	c, err := twin.Draw(rand.New(rand.NewPCG(seed, 7)))
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return c
}

func rowsOf(t *testing.T, c *twin.Company, list []facts.Fact, accounts []string, at []build.Moment) []datasets.Column {
	part, err := facts.Assemble(c.Project, accounts, list)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := c.Plan.Rows(part, at)
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

// The rows are, bit for bit, those that follow from the definition of each aggregate.
func TestRowsAreTheirDefinition(t *testing.T) {
	for seed := range uint64(200) {
		c := draw(t, seed)
		columns := rowsOf(t, c, c.Facts, nil, c.Moments)
		for k, o := range c.Project.Outputs() {
			for row, m := range c.Moments {
				if got, want := columns[k].At(row), twin.Value(c.Project, c.Part, m, o); got != want {
					t.Fatalf("seed %d: %s of %s at %s is %v, not %v: %+v", seed, o.Name, c.Part.Accounts[m.Account], datasets.FormatTime(m.At), got, want, c.Project.Features[o.Feature])
				}
			}
		}
	}
}

// No bit depends on the order of input, on how accounts are spread over parts, on which
// moments are asked for together or on the facts of other accounts.
func TestRowsAloneAreThoseAmongOthers(t *testing.T) {
	for seed := range uint64(100) {
		c := draw(t, seed)
		columns := rowsOf(t, c, c.Facts, nil, c.Moments)
		rng := rand.New(rand.NewPCG(seed, 8))
		list := slices.Clone(c.Facts)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for row, m := range c.Moments {
			alone := rowsOf(t, c, list, []string{c.Part.Accounts[m.Account]}, []build.Moment{{At: m.At}})
			for k := range columns {
				if a, b := columns[k].At(row), alone[k].At(0); a != b {
					t.Fatalf("seed %d: %s at %s is %v among others and %v alone", seed, columns[k].Name, datasets.FormatTime(m.At), a, b)
				}
			}
		}
	}
}

// A fact dated or arrived at a moment or after it never changes the moment's row. The
// proof timetravel of bench has 100,000 cases.
func TestTimeTravel(t *testing.T) {
	for seed := range uint64(1000) {
		if err := twin.TimeTravel(rand.New(rand.NewPCG(seed, 9))); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// What is older than the longest window does not matter to a bit, if no feature is of
// all time.
func TestOnlyWindowsMatter(t *testing.T) {
	dropped := 0
	for seed := range uint64(300) {
		c := draw(t, seed)
		oldest := int64(1) << 62
		features := c.Project.Features[:0]
		for _, f := range c.Project.Features {
			if len(f.Windows) > 0 {
				features = append(features, f)
			}
		}
		c.Project.Features = features
		for _, m := range c.Moments {
			for _, f := range features {
				for _, w := range f.Windows {
					twice := spec.Window{Months: 2 * w.Months, Micros: 2 * w.Micros}
					oldest = min(oldest, twice.Start(m.At, c.Project.Location()))
				}
			}
		}
		var err error
		if c.Plan, err = build.Compile(c.Project); err != nil {
			t.Fatal(err)
		}
		// A fact goes if no version of it is of the windows.
		type name struct{ source, account, id string }
		keep := map[name]bool{}
		young := func(f facts.Fact) bool {
			return f.Occurred >= oldest || f.End != datasets.MissingTime && f.End >= oldest
		}
		for _, f := range c.Facts {
			if f.ID != "" && young(f) {
				keep[name{f.Source, f.Account, f.ID}] = true
			}
		}
		list := slices.DeleteFunc(slices.Clone(c.Facts), func(f facts.Fact) bool {
			return !young(f) && !keep[name{f.Source, f.Account, f.ID}]
		})
		dropped += len(c.Facts) - len(list)
		if err := twin.Same(rowsOf(t, c, c.Facts, c.Part.Accounts, c.Moments), rowsOf(t, c, list, c.Part.Accounts, c.Moments)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if dropped < 300 {
		t.Errorf("only %d facts were older", dropped)
	}
}
