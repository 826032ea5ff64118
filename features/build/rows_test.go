package build_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
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
	for seed := range uint64(80) {
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

// Moments and labels are those that follow from their definitions.
func TestMomentsAndLabelsAreTheirDefinitions(t *testing.T) {
	answers := map[string]int{}
	for seed := range uint64(200) {
		c := draw(t, seed)
		asOf := c.Moments[rand.New(rand.NewPCG(seed, 8)).IntN(len(c.Moments))].At
		for i := range c.Project.Models {
			m := &c.Project.Models[i]
			at, err := c.Plan.Moments(m.Name, c.Part, asOf)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			var want []build.Moment
			for account := range c.Part.Accounts {
				for _, t := range twin.At(c.Project, m, c.Part, account, asOf) {
					want = append(want, build.Moment{Account: account, At: t})
				}
			}
			if !slices.Equal(at, want) {
				t.Fatalf("seed %d: moments %+v are %v, not %v", seed, m.Moments, at, want)
			}
			at = append(slices.Clone(at), c.Moments...)
			slices.SortFunc(at, compareMoments)
			label, open, err := c.Plan.Labels(m.Name, c.Part, at, asOf)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for k, x := range at {
				want, wantOpen := twin.Label(c.Project, m, c.Part, x, asOf)
				if open[k] != wantOpen || label[k] != want && (label[k] == label[k] || want == want) {
					t.Fatalf("seed %d: label %+v of %v at %s as of %s is %v (open: %t), not %v (open: %t)", seed, m.Label,
						c.Part.Accounts[x.Account], datasets.FormatTime(x.At), datasets.FormatTime(asOf), label[k], open[k], want, wantOpen)
				}
				answers[fmt.Sprint(m.Label.Kind, " ", label[k])]++
			}
		}
	}
	for _, kind := range []spec.LabelKind{spec.LabelEvent, spec.LabelState, spec.LabelChange} {
		for _, answer := range []string{"0", "1", "NaN"} {
			if n := answers[string(kind)+" "+answer]; n < 25 {
				t.Errorf("only %d labels of %s are %s", n, kind, answer)
			}
		}
	}
}

// No bit depends on the order of input, on how accounts are spread over parts, on which
// moments are asked for together or on the facts of other accounts.
func TestRowsAloneAreThoseAmongOthers(t *testing.T) {
	for seed := range uint64(60) {
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

// Several goroutines may ask one plan for rows of one part, and of others.
func TestRowsAtOnce(t *testing.T) {
	c := draw(t, 3)
	want := rowsOf(t, c, c.Facts, nil, c.Moments)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				got, err := c.Plan.Rows(c.Part, c.Moments)
				if err == nil {
					err = twin.Same(want, got)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// What no rows can be made of is an error that says where it is.
func TestUnusableProjects(t *testing.T) {
	base := func() *spec.Project {
		return &spec.Project{
			Sources: []spec.Source{
				{Name: "events", Kind: spec.Events, Time: "at", Columns: []spec.Column{{Name: "n", Kind: datasets.Number}, {Name: "event", Kind: datasets.Category}}},
				{Name: "subscriptions", Kind: spec.Intervals, Start: "from", End: "to"},
			},
			Features: []spec.Feature{{Name: "f", Line: 7, From: "events", Agg: spec.Count}},
			Models:   []spec.Model{{Name: "m", Line: 9, Moments: spec.Moments{Every: spec.Window{Months: 1}}, Label: spec.Label{Line: 11, Kind: spec.LabelEvent, From: "events", Horizon: spec.Window{Months: 1}}}},
		}
	}
	for name, c := range map[string]struct {
		change func(p *spec.Project)
		want   string
	}{
		"timezone":   {func(p *spec.Project) { p.Timezone = "Mars/Base" }, "Mars/Base"},
		"source":     {func(p *spec.Project) { p.Features[0].From = "clicks" }, `line 7: f: there is no source "clicks"`},
		"column":     {func(p *spec.Project) { p.Features[0].Agg, p.Features[0].Value = spec.Sum, "x" }, `events has no column "x"`},
		"value":      {func(p *spec.Project) { p.Features[0].Agg = spec.Sum }, "sum needs a value"},
		"aggregate":  {func(p *spec.Project) { p.Features[0].Agg = "median" }, `unknown aggregate "median"`},
		"kind":       {func(p *spec.Project) { p.Features[0].Agg, p.Features[0].Value = spec.Sum, "event" }, "event is a category"},
		"by":         {func(p *spec.Project) { p.Features[0].By, p.Features[0].Values = "n", []string{"1"} }, "n is a number"},
		"active":     {func(p *spec.Project) { p.Features[0].Agg = spec.Active }, "events are none"},
		"slope":      {func(p *spec.Project) { p.Features[0].Agg = spec.Slope }, "needs every"},
		"every":      {func(p *spec.Project) { p.Models[0].Moments.Every = spec.Window{Micros: 3600e6} }, "line 9: model m: moments: every 1h"},
		"no moments": {func(p *spec.Project) { p.Models[0].Moments.Every = spec.Window{} }, "none of every"},
		"while":      {func(p *spec.Project) { p.Models[0].Moments.While = "events" }, "events are no intervals"},
		"renewals": {func(p *spec.Project) {
			p.Models[0].Moments = spec.Moments{Before: []spec.Window{{Months: 1}}, Of: "subscriptions"}
		}, "renews"},
		"label":      {func(p *spec.Project) { p.Models[0].Label.From = "clicks" }, `line 11: model m: label: there is no source "clicks"`},
		"label kind": {func(p *spec.Project) { p.Models[0].Label.Kind, p.Models[0].Label.From = "guess", "subscriptions" }, `"guess"`},
		"lapse":      {func(p *spec.Project) { p.Models[0].Label.From = "events.lapse" }, "no intervals"},
		"change": {func(p *spec.Project) {
			p.Models[0].Label = spec.Label{Kind: spec.LabelChange, From: "subscriptions", Value: "mrr", By: 1}
		}, `no column "mrr"`},
		"population":    {func(p *spec.Project) { p.Models[0].Population = "some" }, `no population "some"`},
		"other columns": {func(p *spec.Project) { p.Sources[1].Columns = []spec.Column{{Name: "plan"}} }, "facts of subscriptions have 0 columns, not 1"},
		"other facts":   {func(p *spec.Project) { p.Sources = append(p.Sources, p.Sources[0]) }, "2 sources for a project of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			p := base()
			c.change(p)
			part, err := facts.Assemble(base(), nil, []facts.Fact{{Source: "events", Account: "A", Occurred: 5, Arrived: 5, Values: map[string]datasets.Value{"event": {Kind: datasets.Category, Text: "a"}}}})
			if err != nil {
				t.Fatal(err)
			}
			plan, err := build.Compile(p)
			var rows []datasets.Column
			if err == nil {
				rows, err = plan.Rows(part, nil)
			}
			if err == nil {
				_, err = plan.Moments("m", part, 1)
			}
			if err == nil {
				_, _, err = plan.Labels("m", part, nil, 1)
			}
			if err == nil {
				_, err = plan.Keep("m", rows)
			}
			if !errors.Is(err, build.ErrProject) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, which does not say %s", err, c.want)
			}
		})
	}
	plan, err := build.Compile(base())
	if err != nil {
		t.Fatal(err)
	}
	part, err := facts.Assemble(base(), []string{"A"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range [][]build.Moment{{{Account: 1}}, {{Account: -1}}, {{At: 2}, {At: 1}}} {
		if _, err := plan.Rows(part, at); !errors.Is(err, build.ErrProject) {
			t.Errorf("moments %v: %v", at, err)
		}
	}
	if _, err := plan.Moments("n", part, 1); !errors.Is(err, build.ErrProject) {
		t.Error(err)
	}
}

// A fact dated or arrived at a moment or after it never changes the moment's row. The
// proof timetravel of bench has 100,000 cases.
func TestTimeTravel(t *testing.T) {
	for seed := range uint64(200) {
		c, rng := draw(t, seed), rand.New(rand.NewPCG(seed, 9))
		for range 10 {
			if err := c.Travel(rng); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

// What is older than the longest window does not matter to a bit, if no feature is of
// all time.
func TestOnlyWindowsMatter(t *testing.T) {
	dropped := 0
	for seed := range uint64(150) {
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
			return f.Source != "merges" && !young(f) && !keep[name{f.Source, f.Account, f.ID}]
		})
		dropped += len(c.Facts) - len(list)
		if err := twin.Same(rowsOf(t, c, c.Facts, c.Part.Accounts, c.Moments), rowsOf(t, c, list, c.Part.Accounts, c.Moments)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if dropped < 150 {
		t.Errorf("only %d facts were older", dropped)
	}
}
