package models_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/tree"
)

func replayOf(t testing.TB, f models.Files) *datasets.Table {
	t.Helper()
	r, err := datasets.UnmarshalIPC(f[models.ReplayFile])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The replay rows hold every state of a value in every column that can have it.
func TestReplayHasEveryState(t *testing.T) {
	a := artifact(t, "tree", calibrations()[0])
	r := replayOf(t, files(t, a))
	for j := range a.Encoder.Columns {
		c := &a.Encoder.Columns[j]
		seen := map[features.State]int{}
		for i := range r.Rows() {
			_, s, err := c.Encode(r.Column("row/"+c.Name).At(i), r.Column("expected/moment").Times[i])
			if err != nil {
				t.Fatal(err)
			}
			seen[s]++
		}
		want := map[datasets.Kind][]features.State{
			datasets.Category: {features.Known, features.Missing, features.Unseen, features.Empty},
			datasets.Boolean:  {features.Known, features.Missing},
			datasets.Number:   {features.Known, features.Missing, features.OutOfRange},
			datasets.Time:     {features.Known, features.Missing, features.OutOfRange},
		}
		for _, s := range want[c.Kind] {
			if seen[s] == 0 {
				t.Errorf("%s is never %s in the replay: %v", c.Name, s, seen)
			}
		}
	}
}

// Up to forty categories of a column are all there.
func TestReplayHasEveryCategory(t *testing.T) {
	c := datasets.Column{Name: "country", Kind: datasets.Category}
	for i := range 40 {
		c.Values = append(c.Values, string(rune('A'+i)))
		c.Codes = append(c.Codes, int32(i), int32(i), int32(i))
	}
	e, left, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{c}}, nil)
	if err != nil || len(left) > 0 {
		t.Fatal(err, left)
	}
	a := artifact(t, "linear", calibrations()[0])
	a.Encoder, a.Model = e, linear(e)
	got := replayOf(t, files(t, a)).Column("row/country").Values
	for _, level := range c.Values {
		if !slices.Contains(got, level) {
			t.Errorf("%q is not in the replay: %q", level, got)
		}
	}
}

// Every cut of a number in bins is there, so that a reader that puts a number on a
// cut into the bin above is found out.
func TestReplayHasEveryCut(t *testing.T) {
	a := artifact(t, "linear", calibrations()[0])
	r := replayOf(t, files(t, a))
	j := a.Encoder.Find("logins_28d")
	for _, cut := range a.Model.(*models.Linear).Terms[j].Cuts {
		if !slices.Contains(r.Column("row/logins_28d").Numbers, cut) {
			t.Errorf("%v is not in the replay: %v", cut, r.Column("row/logins_28d").Numbers)
		}
	}
}

// A recorded figure may be off by rounding and by no more.
func TestReplayTolerance(t *testing.T) {
	for _, kind := range []string{"linear", "tree"} {
		sound := files(t, artifact(t, kind, calibrations()[1]))
		for _, column := range []string{"expected/raw", "expected/base", "expected/probability", "expected/explained"} {
			for _, c := range []struct {
				off  float64
				fits bool
			}{{1e-10, true}, {-1e-10, true}, {1e-7, false}, {-1e-7, false}} {
				r := replayOf(t, sound)
				r.Column(column).Numbers[40] += c.off
				b, err := datasets.MarshalIPC(r)
				if err != nil {
					t.Fatal(err)
				}
				g := maps.Clone(sound)
				g[models.ReplayFile] = b
				_, err = models.NewScorer(rehash(t, g, nil))
				if c.fits && err != nil || !c.fits && !(errors.Is(err, models.ErrReplay) && strings.Contains(err.Error(), column)) {
					t.Errorf("%s: %s off by %v: error %v", kind, column, c.off, err)
				}
			}
		}
	}
}

// An encoder at the edge of what there is still makes an artifact that loads.
func TestReplayOfExtremes(t *testing.T) {
	huge := math.MaxFloat64
	flat := datasets.Column{Name: "flat", Kind: datasets.Category, Values: []string{"never seen", "never seen!", ""}, Codes: []int32{0, 1, 2, 0}}
	e, left, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{
		{Name: "wide", Kind: datasets.Number, Numbers: []float64{-huge, huge, 0, 1}},
		{Name: "thin", Kind: datasets.Number, Numbers: []float64{0, math.SmallestNonzeroFloat64, 0, 0}},
		{Name: "row/x", Kind: datasets.Boolean, Numbers: []float64{1, math.NaN(), 1, 1}},
		{Name: "expected/raw", Kind: datasets.Number, Numbers: []float64{1, 2, 3, 4}},
		{Name: "old", Kind: datasets.Time, Times: []int64{math.MinInt64 + 1, math.MaxInt64, 0, 1}},
		flat,
	}}, []int64{0, 1, 2, 3})
	if err != nil || len(left) > 0 {
		t.Fatal(err, left)
	}
	a := artifact(t, "linear", calibrations()[0])
	a.Encoder, a.Model = e, linear(e)
	m := a.Model.(*models.Linear)
	for j := range m.Terms {
		m.Terms[j].Scale = max(math.SmallestNonzeroFloat64, min(huge, m.Terms[j].Scale))
	}
	f := files(t, a)
	if _, err := models.NewScorer(f); err != nil {
		t.Fatal(err)
	}
	if got := replayOf(t, f).Column("row/flat"); !slices.Contains(got.Values, "never seen!!") {
		t.Errorf("categories of the replay: %q", got.Values)
	}
}

// The example of FORMAT.md is what the program gives.
func TestFormatExample(t *testing.T) {
	e, _, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{
		{Name: "logins", Kind: datasets.Number, Numbers: []float64{0, 1, 2, 3, 5, 8}},
		{Name: "plan", Kind: datasets.Category, Codes: []int32{0, 1, 0, 1, 1, 0}, Values: []string{"free", "pro"}},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := tree.NewBuilder(levels(e), -0.5)
	if err := b.Add([]tree.Node{
		{Feature: 0, Threshold: 2.5, Yes: 1, No: 2, Cover: 6},
		{Feature: 1, Set: []int32{1}, Yes: 3, No: 4, Cover: 3},
		{Feature: -1, Value: -0.75, Cover: 3},
		{Feature: -1, Value: 1.25, Cover: 1},
		{Feature: -1, Value: 0.5, Cover: 2},
	}); err != nil {
		t.Fatal(err)
	}
	a := artifact(t, "tree", models.Calibration{Kind: models.CalibrationPlatt, Slope: 1.2, Intercept: -0.1})
	a.Encoder = e
	if a.Model, err = b.Build(); err != nil {
		t.Fatal(err)
	}
	f := files(t, a)
	s, err := models.NewScorer(f)
	if err != nil {
		t.Fatal(err)
	}
	var got models.Answer
	row := []datasets.Value{{Kind: datasets.Number, Number: 1}, {Kind: datasets.Category, Text: "pro"}}
	if err := s.Score(&got, row, moment, -1); err != nil {
		t.Fatal(err)
	}
	model, err := datasets.UnmarshalIPC(f[models.ModelFile])
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("`encoder.json`:\n\n```json\n" + string(f[models.EncoderFile]) + "```\n\n`model.arrow`:\n\n")
	out.WriteString("| " + strings.Join(model.Names(), " | ") + " |\n" + strings.Repeat("|---", len(model.Columns)) + "|\n")
	for i := range model.Rows() {
		for j := range model.Columns {
			out.WriteString(strings.TrimRight("| "+model.Columns[j].At(i).String(), " ") + " ")
		}
		out.WriteString("|\n")
	}
	out.WriteString("\n`calibration.json`:\n\n```json\n" + string(f[models.CalibrationFile]) + "```\n\nThe answer for 1 login and the plan `pro`:\n\n```\n")
	fmt.Fprintf(&out, "raw %v, base %v, probability %v, reference %v\n", got.Raw, got.Base, got.Probability, got.Reference)
	for _, r := range got.Reasons {
		fmt.Fprintf(&out, "%s: phi %.15g, %.12g points\n", r.Feature, r.LogOdds, r.Points)
	}
	out.WriteString("```\n")

	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "<!-- example -->\n")
	_, after, found := strings.Cut(rest, "<!-- end -->\n")
	want := before + "<!-- example -->\n" + out.String() + "<!-- end -->\n" + after
	if !found {
		t.Fatal("FORMAT.md has no place for the example")
	}
	if *update {
		if err := os.WriteFile("FORMAT.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(want, string(text)); d != "" {
		t.Errorf("FORMAT.md (-want +got; write it with -update):\n%s", d)
	}
}
