package twin

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Company is a project with facts and moments.
type Company struct {
	Project *spec.Project
	Plan    *build.Plan
	Facts   []facts.Fact
	Part    *facts.Part
	Moments []build.Moment
}

// Draw draws a company of at most three accounts.
func Draw(rng *rand.Rand) (*Company, error) {
	c := &Company{Project: Project(rng)}
	accounts := 1 + rng.IntN(3)
	for range 5 + rng.IntN(120) {
		c.Facts = append(c.Facts, Fact(rng, c.Project, accounts))
	}
	var err error
	if c.Plan, err = build.Compile(c.Project); err != nil {
		return nil, err
	}
	if c.Part, err = facts.Assemble(c.Project, nil, c.Facts); err != nil {
		return nil, err
	}
	c.Moments = Moments(rng, c.Part, 1+rng.IntN(12))
	return c, nil
}

// Travel takes one of the company's moments, adds facts that are dated or arrived at that
// moment or after it, changes ends that had not come by then and what is known with them,
// and says whether the rows up to the moment are still the same, bit for bit.
func (c *Company) Travel(rng *rand.Rand) error {
	if len(c.Moments) == 0 {
		return nil
	}
	now := c.Moments[rng.IntN(len(c.Moments))].At
	moments := slices.DeleteFunc(slices.Clone(c.Moments), func(m build.Moment) bool { return m.At > now })
	before, err := c.Plan.Rows(c.Part, moments)
	if err != nil {
		return err
	}
	list := slices.Clone(c.Facts)
	for i := range list {
		f, s := &list[i], c.Project.Source(list[i].Source)
		if s.Kind != spec.Intervals || f.ID != "" || f.End != datasets.MissingTime && f.End < now || rng.IntN(2) == 0 {
			continue
		}
		f.Values = cloneValues(f.Values)
		for _, name := range s.AtEnd {
			delete(f.Values, name)
			if v := Fact(rng, c.Project, 1).Values[name]; rng.IntN(2) == 0 && !v.Missing() {
				f.Values[name] = v
			}
		}
		if f.End = datasets.MissingTime; rng.IntN(3) > 0 {
			f.End = max(f.Occurred, now) + int64(rng.IntN(3))*dayMicros
		}
	}
	for range 1 + rng.IntN(5) {
		f := Fact(rng, c.Project, len(c.Part.Accounts))
		if rng.IntN(3) > 0 && len(list) > 0 { // about what is known already
			f = list[rng.IntN(len(list))]
			f.Values = cloneValues(f.Values)
			for name, v := range Fact(rng, c.Project, 1).Values {
				if old := f.Values[name]; old.Kind == v.Kind && rng.IntN(2) == 0 {
					f.Values[name] = v
				}
			}
		}
		later := now + int64(rng.IntN(3))*int64(rng.IntN(10))*dayMicros/4
		dated := f.Occurred != datasets.MissingTime
		if !dated || rng.IntN(2) == 0 {
			f.Arrived = later
		} else {
			f.Occurred = later
			if f.End != datasets.MissingTime {
				f.End = max(f.End, later)
			}
			if rng.IntN(4) > 0 {
				f.Arrived = max(f.Arrived, later)
			}
		}
		list = append(list, f)
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	part, err := facts.Assemble(c.Project, c.Part.Accounts, list)
	if err != nil {
		return err
	}
	after, err := c.Plan.Rows(part, moments)
	if err != nil {
		return err
	}
	return Same(before, after)
}

func cloneValues(values map[string]datasets.Value) map[string]datasets.Value {
	out := make(map[string]datasets.Value, len(values))
	for name, v := range values {
		out[name] = v
	}
	return out
}

// Same is nil if two tables of one project hold the same values, bit for bit.
func Same(a, b []datasets.Column) error {
	for k := range a {
		if a[k].Len() != b[k].Len() {
			return fmt.Errorf("%s has %d rows and %d", a[k].Name, a[k].Len(), b[k].Len())
		}
		for row := range a[k].Len() {
			if x, y := a[k].At(row), b[k].At(row); x != y {
				return fmt.Errorf("row %d: %s is %q and %q", row, a[k].Name, x, y)
			}
		}
	}
	return nil
}
