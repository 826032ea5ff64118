package train

import (
	"reflect"
	"testing"

	"propensity/datasets"
)

func TestParseProject(t *testing.T) {
	p, err := ParseProject([]byte(`# a company
version: 1
account: account_id
models:
  zeta:
    data: z.csv
    label: {column: churned, within_days: 90}
    time: moment
    value: mrr
    drop: [notes]
    types: {zip: category}
    missing: ["-", ""]
    split: order
    holdout: 0.3
    learners: [boosting]
    boosting: {trees: 200, leaves: 31, rate: 0.1}
    refit: true
    bands: [0.5, 0.1, 0]
  "alpha":
    data: a.parquet
    id: other
    label: {column: converted, positive: "Yes"}
  mid: {data: m.csv, label: {column: y, positive: 1}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []ProjectModel{
		{Data: "z.csv", Missing: []string{"-", ""}, Spec: Spec{
			Name: "zeta", ID: "account_id", Time: "moment", Label: "churned", Horizon: 90, Value: "mrr", Drop: []string{"notes"},
			Types: map[string]datasets.Kind{"zip": datasets.Category}, Split: SplitOrder, Holdout: 0.3, Learners: []string{"boosting"},
			Boosting: BoostingSettings{Trees: 200, Leaves: 31, Rate: 0.1}, Refit: true, Bands: []float64{0.5, 0.1, 0}}},
		{Data: "a.parquet", Spec: Spec{Name: "alpha", ID: "other", Label: "converted", Positive: "Yes"}},
		{Data: "m.csv", Spec: Spec{Name: "mid", ID: "account_id", Label: "y", Positive: "1"}},
	}
	if !reflect.DeepEqual(p.Models, want) {
		t.Errorf("\n%+v\n%+v", p.Models, want)
	}
	some, err := p.Choose([]string{"mid", "zeta"})
	if err != nil || len(some) != 2 || some[0].Spec.Name != "mid" || some[1].Spec.Name != "zeta" {
		t.Errorf("%+v, %v", some, err)
	}
	if all, err := p.Choose(nil); err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = p.Choose([]string{"mid", "beta"})
	says(t, err, ErrSpec, `"beta"`, "zeta, alpha, mid")
}

// What features/spec reads of the file is passed over; the roles of the columns of
// rows made of facts are known.
func TestParseProjectFromFacts(t *testing.T) {
	p, err := ParseProject([]byte(`version: 1
account: customer
timezone: UTC
sources: {events: {path: e.csv, time: at}}
features: [{name: n, from: events, agg: count}]
models:
  churn:
    moments: {every: 1mo, while: subscriptions.active}
    label: {event: subscriptions.end, within: 90d}
    gap: 7d
    population: paying
    value: mrr
    learners: [logistic]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []ProjectModel{{Spec: Spec{Name: "churn", ID: "customer", Time: "moment", Label: "churn", Positive: "true", Value: "mrr", Learners: []string{"logistic"}}}}
	if !reflect.DeepEqual(p.Models, want) {
		t.Errorf("\n%+v\n%+v", p.Models, want)
	}
	_, err = ParseProject([]byte("version: 1\nmodels: {churn: {moments: {every: 1mo}, label: {column: x}}}"))
	says(t, err, ErrSpec, "leave out data, time, and column")
}

func TestParseProjectFaults(t *testing.T) {
	for _, c := range []struct {
		name, text string
		words      []string
	}{
		{"empty", "", []string{"version: 1"}},
		{"another version", "version: 2\nmodels: {m: {data: a, label: {column: y}}}", []string{"version is 2"}},
		{"no models", "version: 1\n", []string{"no models"}},
		{"unknown key", "version: 1\nmodelz: {}\n", []string{"[2:1]", "modelz"}},
		{"models is a number", "version: 1\nmodels: 3\n", []string{"[2:9]"}},
		{"a tab", "version: 1\nmodels:\n\tm: 3\n", []string{"[3:1]"}},
		{"a model twice", "version: 1\nmodels:\n  m: {data: a}\n  m: {data: b}\n", []string{"[4:3]", "already defined"}},
		{"two documents", "version: 1\nmodels: {m: {data: a, label: {column: y}}}\n---\nversion: 1\n", []string{"2 YAML documents"}},
		{"every model's faults", `version: 1
models:
  good: {data: a.csv, label: {column: y}}
  bogus:
    data: a.csv
    label: {column: y}
    colour: red
  many:
    label: {column: y}
    split: sideways
    holdout: 0.9
  none:
  Name: {data: a.csv, label: {column: y}}
  typed: {data: a.csv, label: {column: y}, types: {a: nonsense}}
`, []string{"line 4, model bogus", "[7:5]", "colour", "line 8, model many", `"sideways"`, "0.9", "names neither a table",
			"line 12, model none", "line 13, model Name", "lower-case", "line 14, model typed", `"nonsense"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseProject([]byte(c.text))
			says(t, err, ErrSpec, c.words...)
		})
	}
}

// Whatever the bytes, a project file is read or refused.
func FuzzParseProject(f *testing.F) {
	f.Add([]byte("version: 1\naccount: id\nmodels:\n  a: {data: x.csv, label: {column: c, positive: \"Yes\"}, types: {z: text}}\n"))
	f.Add([]byte("version: 1\nmodels:\n  a: &b {data: x.csv, label: {column: c}}\n  d: *b\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProject(b)
		if err != nil {
			return
		}
		for _, m := range p.Models {
			if m.Data == "" || m.Spec.Validate() != nil {
				t.Errorf("%+v", m)
			}
		}
	})
}
