package ledger

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/models"
)

func names() []string { return []string{"a", "b", "c", "d"} }

func indexOf(names []string) map[string]int {
	index := map[string]int{}
	for j, name := range names {
		index[name] = j
	}
	return index
}

// Whatever a row holds comes back: a number with its bits, but that -0 is 0 and NaN is
// missing, as it is everywhere.
func TestBodyRoundTrip(t *testing.T) {
	cell := rapid.Custom(func(t *rapid.T) datasets.Value {
		switch datasets.Kind(rapid.IntRange(0, 6).Draw(t, "kind")) {
		case datasets.Number:
			x := rapid.Float64().Draw(t, "number")
			return datasets.Value{Kind: datasets.Number, Number: x + 0}
		case datasets.Boolean:
			return datasets.Value{Kind: datasets.Boolean, Number: float64(rapid.IntRange(0, 1).Draw(t, "truth"))}
		case datasets.Category:
			return datasets.Value{Kind: datasets.Category, Text: rapid.String().Draw(t, "category")}
		case datasets.Time:
			return datasets.Value{Kind: datasets.Time, Time: rapid.Int64().Draw(t, "time")}
		case datasets.Text:
			return datasets.Value{Kind: datasets.Text, Text: rapid.String().Draw(t, "text")}
		case 6:
			return datasets.Value{Kind: datasets.Number, Number: float64(rapid.Int64Range(-maxWhole-2, maxWhole+2).Draw(t, "whole"))}
		}
		return datasets.Value{}
	})
	rapid.Check(t, func(t *rapid.T) {
		s := Score{Columns: names(), Raw: rapid.Float64().Draw(t, "raw"), Percentile: rapid.Float64Range(0, 100).Draw(t, "percentile"),
			Score: rapid.IntRange(-1, 100).Draw(t, "score"), Key: rapid.String().Draw(t, "key"), Request: rapid.String().Draw(t, "request"),
			Row: rapid.SliceOfN(cell, 4, 4).Draw(t, "row")}
		for _, k := range rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "reasons")[:rapid.IntRange(0, 4).Draw(t, "n")] {
			s.Reasons = append(s.Reasons, models.Reason{Feature: s.Columns[k], Points: rapid.Float64().Draw(t, "points")})
		}
		b := appendBody(nil, &s, indexOf(s.Columns), true)
		got := Score{Columns: s.Columns}
		if err := decodeBody(b, &got); err != nil {
			t.Fatal(err)
		}
		if again := appendBody(nil, &got, indexOf(s.Columns), true); !bytes.Equal(b, again) {
			t.Fatalf("%+v came back as %+v", s, got)
		}
		for j, v := range s.Row {
			if w := got.Row[j]; v != w && !(math.IsNaN(v.Number) && w.Missing()) {
				t.Fatalf("%+v came back as %+v", v, w)
			}
		}
		for i, r := range got.Reasons {
			if r.Feature != s.Reasons[i].Feature || math.Float64bits(r.Points) != math.Float64bits(s.Reasons[i].Points) || r.Value != got.Row[indexOf(s.Columns)[r.Feature]] {
				t.Fatalf("%+v came back as %+v", s.Reasons[i], r)
			}
		}
	})
}

// Whatever bytes are in the database, they are a score or damage, never a panic, and what
// is read has at most as many cells and reasons as there are columns.
func FuzzBody(f *testing.F) {
	s := Score{Columns: names(), Row: []datasets.Value{{Kind: datasets.Number, Number: 0.5}, {Kind: datasets.Category, Text: "x"}, {}, {Kind: datasets.Time, Time: 9}},
		Reasons: []models.Reason{{Feature: "b", Points: 3}}, Key: "k"}
	f.Add(appendBody(nil, &s, indexOf(s.Columns), true))
	f.Add(appendBody(nil, &s, indexOf(s.Columns), false))
	f.Add(appendColumns(nil, names(), []datasets.Kind{1, 2, 3, 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Score{Columns: names()}
		if err := decodeBody(b, &got); err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
		if len(got.Row) > 4 || len(got.Reasons) > 4 {
			t.Errorf("%+v", got)
		}
		columns, kinds, err := decodeColumns(b)
		if err != nil && !errors.Is(err, ErrDamaged) || len(columns) != len(kinds) {
			t.Error(columns, kinds, err)
		}
		if err == nil {
			if again := appendColumns(nil, columns, kinds); len(again) > len(b) {
				t.Errorf("%q is written longer, as %q", b, again)
			}
		}
	})
}
