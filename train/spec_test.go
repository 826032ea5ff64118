package train

import (
	"bytes"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
)

func TestSpecValidateListsEveryFault(t *testing.T) {
	s := Spec{Name: "Up Sell", ID: "a", Time: "a", Value: "a", Drop: []string{"a"}, Split: "sideways", Holdout: 0.9,
		Horizon: -1, Bands: []float64{0.5, 0.6, 0}, Learners: []string{"cart", "magic", "cart"},
		Boosting: BoostingSettings{Trees: -1, Leaves: 1, Rate: 1.5}}
	err := s.Validate()
	says(t, err, ErrSpec, `"Up Sell"`, "no label", `"a" cannot be both id and time`, `cannot be dropped`, "cannot be the value",
		`"sideways"`, "time, order or group", "0.9", "-1", "[0.5 0.6 0]", `"magic"`, `"cart" is named twice`,
		"trees -1", "leaves 1 is", "rate 1.5", "boosting, which is not among cart, magic, cart")
	if n := strings.Count(err.Error(), "\n") + 1; n != 15 {
		t.Errorf("%d lines for 15 faults:\n%v", n, err)
	}
	for name, s := range map[string]Spec{
		"split time without a time":  {Name: "m", Label: "y", Split: SplitTime},
		"bands that do not end at 0": {Name: "m", Label: "y", Bands: []float64{0.5, 0.1}},
		"a band above 1":             {Name: "m", Label: "y", Bands: []float64{1.1, 0}},
		"six bands":                  {Name: "m", Label: "y", Bands: []float64{.5, .4, .3, .2, .1, 0}},
		"label is the id":            {Name: "m", Label: "y", ID: "y"},
		"holdout too small":          {Name: "m", Label: "y", Holdout: 0.01},
		"too many trees":             {Name: "m", Label: "y", Boosting: BoostingSettings{Trees: 1e9}},
		"too many leaves":            {Name: "m", Label: "y", Boosting: BoostingSettings{Leaves: 1e6}},
		"a rate that is not one":     {Name: "m", Label: "y", Boosting: BoostingSettings{Rate: math.NaN()}},
	} {
		if err := s.Validate(); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	if err := (Spec{Name: "m", Label: "y"}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestSpecDefaults(t *testing.T) {
	if s := (Spec{}).withDefaults(); s.Split != SplitGroup || s.Holdout != 0.2 || !reflect.DeepEqual(s.Learners, []string{"logistic", "boosting"}) {
		t.Errorf("%+v", s)
	}
	if s := (Spec{Time: "when"}).withDefaults(); s.Split != SplitTime {
		t.Errorf("with a time column the split is %s", s.Split)
	}
}

func TestReadKinds(t *testing.T) {
	s := Spec{ID: "who", Time: "when", Value: "money", Types: map[string]datasets.Kind{"zip": datasets.Category}}
	want := map[string]datasets.Kind{"who": datasets.Text, "when": datasets.Time, "money": datasets.Number, "zip": datasets.Category}
	if got := s.ReadKinds(); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if len(s.Types) != 1 {
		t.Error("the spec itself was changed")
	}
}

// The same spec gives the same bytes, whatever the order of its maps and lists of
// columns, and reads back as what it was.
func TestSpecRoundTrip(t *testing.T) {
	column := rapid.StringMatching(`[A-Za-z][A-Za-z0-9 _:#'"-]{0,8}x`)
	rapid.Check(t, func(t *rapid.T) {
		drop := rapid.SliceOfNDistinct(column, 0, 4, rapid.ID).Draw(t, "drop")
		s := Spec{
			Name: "churn", ID: "the id", Label: "the label", Positive: rapid.SampledFrom([]string{"", "Yes", "1", "true", "no", "1.0", "~", "null", " x"}).Draw(t, "positive"),
			Types:   rapid.MapOf(column, rapid.SampledFrom([]datasets.Kind{datasets.Number, datasets.Category, datasets.Text})).Draw(t, "types"),
			Drop:    drop,
			Horizon: rapid.IntRange(0, 400).Draw(t, "horizon"), Holdout: rapid.Float64Range(0.05, 0.5).Draw(t, "holdout"),
			Boosting: BoostingSettings{Trees: rapid.IntRange(0, 9).Draw(t, "trees"), Rate: rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "rate")},
			Refit:    rapid.Bool().Draw(t, "refit"), Seed: rapid.Uint64().Draw(t, "seed"),
		}
		one, err := s.YAML()
		if err != nil {
			t.Fatal(err)
		}
		other := s
		other.Types = map[string]datasets.Kind{}
		for c, k := range s.Types {
			other.Types[c] = k
		}
		other.Drop = nil
		for i := len(drop) - 1; i >= 0; i-- {
			other.Drop = append(other.Drop, drop[i])
		}
		two, err := other.YAML()
		if err != nil || !bytes.Equal(one, two) {
			t.Fatalf("%s\n%s\n%v", one, two, err)
		}
		back, err := ParseSpec(one)
		if err != nil {
			t.Fatalf("%v\n%s", err, one)
		}
		if again, err := back.YAML(); err != nil || !bytes.Equal(one, again) {
			t.Fatalf("%s\n%s\n%v", one, again, err)
		}
		if back.Positive != s.Positive || back.Seed != s.Seed || back.Holdout != s.Holdout || back.Boosting != s.Boosting || !maps.Equal(back.Types, s.Types) {
			t.Fatalf("%+v\n%+v", s, back)
		}
	})
}

func TestParseSpecRefuses(t *testing.T) {
	for _, text := range []string{"", "3", "name: m\nlabel: y\nbogus: 1\n", "name: m\nlabel: y\ntypes: {a: nonsense}\n", "name: M\nlabel: y\n", "name: [m"} {
		if s, err := ParseSpec([]byte(text)); err == nil {
			t.Errorf("%q gave %+v", text, s)
		}
	}
}
