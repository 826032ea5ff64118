package build_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

// company is a random project with facts and moments.
type company struct {
	project *spec.Project
	plan    *build.Plan
	facts   []facts.Fact
	part    *facts.Part
	moments []build.Moment
}

func randomCompany(t testing.TB, seed uint64) *company {
	rng := rand.New(rand.NewPCG(seed, 7))
	c := &company{project: randomProject(rng)}
	accounts := 1 + rng.IntN(3)
	for range 5 + rng.IntN(120) {
		c.facts = append(c.facts, randomFact(rng, c.project, accounts))
	}
	var err error
	if c.plan, err = build.Compile(c.project); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	c.part = c.assemble(t, c.facts, nil)
	c.moments = randomMoments(rng, c.part, 1+rng.IntN(12))
	return c
}

func (c *company) assemble(t testing.TB, list []facts.Fact, accounts []string) *facts.Part {
	part, err := facts.Assemble(c.project, accounts, list)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

func (c *company) rows(t testing.TB, part *facts.Part, at []build.Moment) []datasets.Column {
	columns, err := c.plan.Rows(part, at)
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

// The rows are, bit for bit, those that follow from the definition of each aggregate.
func TestRowsAreTheirDefinition(t *testing.T) {
	n := uint64(300)
	if testing.Short() {
		n = 50
	}
	for seed := range n {
		c := randomCompany(t, seed)
		columns := c.rows(t, c.part, c.moments)
		for k, o := range c.project.Outputs() {
			for row, m := range c.moments {
				w := twin{project: c.project, part: c.part, account: m.Account, moment: m.At}
				if got, want := columns[k].At(row), w.value(o); got != want {
					t.Fatalf("seed %d: %s of %s at %s is %v, not %v: %+v", seed, o.Name, c.part.Accounts[m.Account], datasets.FormatTime(m.At), got, want, c.project.Features[o.Feature])
				}
			}
		}
	}
}

// No bit depends on the order of input, on how accounts are spread over parts, on which
// moments are asked for together or on the facts of other accounts.
func TestRowsAloneAreThoseAmongOthers(t *testing.T) {
	for seed := range uint64(150) {
		c := randomCompany(t, seed)
		columns := c.rows(t, c.part, c.moments)
		rng := rand.New(rand.NewPCG(seed, 8))
		list := slices.Clone(c.facts)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for row, m := range c.moments {
			alone := c.rows(t, c.assemble(t, list, []string{c.part.Accounts[m.Account]}), []build.Moment{{At: m.At}})
			for k := range columns {
				if a, b := columns[k].At(row), alone[k].At(0); a != b {
					t.Fatalf("seed %d: %s at %s is %v among others and %v alone", seed, columns[k].Name, datasets.FormatTime(m.At), a, b)
				}
			}
		}
	}
}
