package models_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// compareAnswers holds the answers about a table against those of Score, row by row.
func compareAnswers(t *rapid.T, s *models.Scorer, in *datasets.Table, moments []int64, most int, got *models.Answers) {
	t.Helper()
	e := s.Encoder()
	bands, states := make([]int, len(s.Artifact().Manifest.Bands)), map[string]int{}
	row := make([]datasets.Value, len(e.Columns))
	for i := range moments {
		for j := range row {
			row[j] = datasets.Value{}
			if c := in.Column(e.Columns[j].Name); c != nil {
				row[j] = c.At(i)
			}
		}
		var want models.Answer
		if err := s.Score(&want, row, moments[i], most); err != nil {
			t.Fatal(err)
		}
		for what, pair := range map[string][2]float64{
			"raw": {got.Raw[i], want.Raw}, "probability": {got.Probability[i], want.Probability}, "score": {got.Score[i], float64(want.Score)},
			"percentile": {got.Percentile[i], want.Percentile}, "coverage": {got.Coverage[i], want.Coverage}, "reference": {got.Reference, want.Reference},
		} {
			if math.Float64bits(pair[0]) != math.Float64bits(pair[1]) {
				t.Fatalf("row %d: %s %v, of Score %v", i, what, pair[0], pair[1])
			}
		}
		var details []string
		for _, w := range want.Warnings {
			details = append(details, w.Detail)
			states[w.State]++
		}
		bands[slices.IndexFunc(s.Artifact().Manifest.Bands, func(b models.Band) bool { return b.Name == want.Band })]++
		if g := got.Band.At(i).Text; g != want.Band {
			t.Fatalf("row %d: band %q, of Score %q", i, g, want.Band)
		}
		if g := got.Warnings.At(i); g.Text != strings.Join(details, "; ") || g.Missing() != (len(details) == 0) {
			t.Fatalf("row %d: warnings %q, of Score %q", i, g.Text, details)
		}
		if len(got.Reasons) != most {
			t.Fatalf("%d columns of reasons, want %d", len(got.Reasons), most)
		}
		for k, g := range got.Reasons {
			if k >= len(want.Reasons) {
				if !g.Feature.At(i).Missing() || !g.Points.At(i).Missing() || !g.Text.At(i).Missing() {
					t.Fatalf("row %d: Score gives no reason %d", i, k+1)
				}
				continue
			}
			r := want.Reasons[k]
			if g.Feature.At(i).Text != r.Feature || math.Float64bits(g.Points.At(i).Number) != math.Float64bits(r.Points) || g.Text.At(i).Text != r.Text {
				t.Fatalf("row %d, reason %d: %s, %v, %q; of Score %+v", i, k+1, g.Feature.At(i).Text, g.Points.At(i).Number, g.Text.At(i).Text, r)
			}
		}
	}
	for state, n := range got.States {
		if name := features.State(state).String(); n != states[name] {
			t.Fatalf("%d cells are %s, by Score %d", n, name, states[name])
		}
	}
	if !slices.Equal(got.Bands, bands) {
		t.Fatalf("bands of %v rows, by Score %v", got.Bands, bands)
	}
	for _, c := range []datasets.Column{got.Band, got.Warnings} {
		if values := slices.Clone(c.Values); len(slices.Compact(slices.Sorted(slices.Values(values)))) != len(c.Values) || len(c.Codes) != len(moments) {
			t.Fatalf("values that are not distinct: %q, codes of %d rows", c.Values, len(c.Codes))
		}
	}
}

// A table at once and row by row: the same bits, bands, reasons and warnings.
func TestScoreTableIsScore(t *testing.T) {
	each(t, func(t *testing.T, a *models.Artifact) {
		s := scorer(t, a)
		rapid.Check(t, func(t *rapid.T) {
			in := strange(a.Encoder, rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 300).Draw(t, "rows"))
			rows := in.Rows()
			in.Columns = slices.DeleteFunc(in.Columns, func(datasets.Column) bool { return rapid.IntRange(0, 9).Draw(t, "absent") == 0 })
			in.Columns = append(in.Columns, datasets.Column{Name: "stranger", Kind: datasets.Number, Numbers: make([]float64, rows)})
			for j := range in.Columns {
				if in.Columns[j].Kind == datasets.Category && rapid.Bool().Draw(t, "text") {
					in.Columns[j].Kind = datasets.Text
				}
			}
			moments := make([]int64, rows)
			for i := range moments {
				moments[i] = moment + int64(i%3)*day
			}
			most := rapid.SampledFrom([]int{0, 1, 3, 5, 7, 20}).Draw(t, "reasons")
			got, err := s.ScoreTable(in, moments, most)
			if err != nil {
				t.Fatal(err)
			}
			compareAnswers(t, s, in, moments, most, got)
		})
	})
}

// The error is that of the first row that Score refuses, whatever the columns say.
func TestScoreTableRefuses(t *testing.T) {
	s := scorer(t, artifact(t, "tree", calibrations()[0]))
	const rows = 40
	rapid.Check(t, func(t *rapid.T) {
		in := strange(s.Encoder(), 9, rows)
		moments := slices.Repeat([]int64{moment}, rows)
		for _, name := range []string{"logins_28d", "paid_seats"} {
			for range rapid.IntRange(0, 2).Draw(t, "faults") {
				in.Column(name).Numbers[rapid.IntRange(0, rows-1).Draw(t, "row")] = math.Inf(1)
			}
		}
		_, err := s.ScoreTable(in, moments, 1)
		for i := range rows {
			var a models.Answer
			one := s.Score(&a, cells(s.Encoder(), in, i), moment, 1)
			if one == nil {
				continue
			}
			var row *features.RowError
			if !errors.As(err, &row) || row.Row != i || row.Err.Error() != one.Error() || !errors.Is(err, features.ErrType) {
				t.Fatalf("error %v, of Score row %d: %v", err, i, one)
			}
			return
		}
		if err != nil {
			t.Fatalf("error %v, of Score none", err)
		}
	})
}

// BenchmarkScoreTable is a batch of a file without reasons and with three.
func BenchmarkScoreTable(b *testing.B) {
	s := scorer(b, artifact(b, "tree", calibrations()[2]))
	const rows = 8192
	in := strange(s.Encoder(), 1, rows)
	moments := slices.Repeat([]int64{moment}, rows)
	for _, most := range []int{0, 3} {
		b.Run(fmt.Sprintf("reasons=%d", most), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.ScoreTable(in, moments, most); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
