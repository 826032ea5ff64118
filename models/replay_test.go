package models_test

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
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
