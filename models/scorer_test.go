package models_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

// strange is rows with every state of a value, drawn by seed.
func strange(e *features.Encoder, seed uint64, n int) *datasets.Table {
	rng := rand.New(rand.NewPCG(seed, 0))
	t := &datasets.Table{}
	for j := range e.Columns {
		c := &e.Columns[j]
		col := datasets.Column{Name: c.Name, Kind: c.Kind}
		if c.Kind == datasets.Category {
			col.Values = append(slices.Clone(c.Levels), "never")
			if !slices.Contains(col.Values, "") {
				col.Values = append(col.Values, "")
			}
		}
		for range n {
			switch c.Kind {
			case datasets.Category:
				col.Codes = append(col.Codes, int32(rng.IntN(len(col.Values)+1)-1))
			case datasets.Boolean:
				col.Numbers = append(col.Numbers, []float64{0, 1, math.NaN()}[rng.IntN(3)])
			case datasets.Time:
				col.Times = append(col.Times, []int64{datasets.MissingTime, moment - rng.Int64N(100*day)}[min(1, rng.IntN(8))])
			default:
				x := c.Min + (1.2*rng.Float64()-0.1)*(c.Max-c.Min)
				k := min(3, rng.IntN(30))
				col.Numbers = append(col.Numbers, []float64{math.NaN(), 1e200, -1e200, x}[k])
			}
		}
		t.Columns = append(t.Columns, col)
	}
	return t
}

// One row at a time and columns at once: the same bits, and the parts add up.
func TestScoreIsScoreColumns(t *testing.T) {
	each(t, func(t *testing.T, a *models.Artifact) {
		s := scorer(t, a)
		const n = 500
		in := strange(a.Encoder, 3, n)
		moments := slices.Repeat([]int64{moment}, n)
		columns, err := a.Encoder.EncodeTable(in, moments)
		if err != nil {
			t.Fatal(err)
		}
		raw, probability := s.ScoreColumns(columns, n)
		var got models.Answer
		for i := range n {
			if err := s.Score(&got, cells(a.Encoder, in, i), moment, -1); err != nil {
				t.Fatal(err)
			}
			if math.Float64bits(got.Raw) != math.Float64bits(raw[i]) || math.Float64bits(got.Probability) != math.Float64bits(probability[i]) {
				t.Fatalf("row %d: %v, %v; by columns %v, %v", i, got.Raw, got.Probability, raw[i], probability[i])
			}
			sum := got.Base
			for _, r := range got.Reasons {
				sum += r.LogOdds
			}
			if math.Abs(sum-got.Raw) > 1e-9*max(1, math.Abs(got.Raw)) {
				t.Errorf("row %d: base and reasons make %v, raw is %v", i, sum, got.Raw)
			}
			if got.Score != int(math.Round(100*got.Probability)) {
				t.Errorf("row %d: score %d of %v", i, got.Score, got.Probability)
			}
		}
	})
}

// onlyLogins is a linear artifact whose log-odds are (logins - 10) / 10 and whose
// calibration keeps them.
func onlyLogins(t testing.TB) *models.Artifact {
	a := artifact(t, "linear", calibrations()[0])
	m := a.Model.(*models.Linear)
	m.Intercept = 0
	for j := range m.Terms {
		term := &m.Terms[j]
		clear(term.Levels)
		term.Missing, term.Weight, term.Mean = 0, 0, 0
	}
	m.Terms[a.Encoder.Find("logins_28d")] = models.Term{Center: 10, Scale: 10, Weight: 1, Missing: 5, Spread: 4}
	return a
}

// ordinary is a known value in each column.
func ordinary(e *features.Encoder) []datasets.Value {
	t, _ := history()
	return cells(e, t, 0)
}

func TestBandsAndPercentile(t *testing.T) {
	a := onlyLogins(t)
	logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	a.Manifest.Bands = []models.Band{{Name: "A", From: logistic(1)}, {Name: "B", From: logistic(-0.5)}, {Name: "C"}}
	// The rows that judge have 0, 5, 5, 10, 10, 10, 20 logins.
	ranking, err := evaluate.NewRanking([]float64{-1, -0.5, -0.5, 0, 0, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	a.Ranking = ranking
	s := scorer(t, a)
	j := a.Encoder.Find("logins_28d")
	for _, c := range []struct {
		logins     float64
		band       string
		score      int
		percentile float64
	}{
		{20, "A", 73, 92.9}, {math.Nextafter(20, 0) - 1e-9, "B", 73, 85.7}, {10, "B", 50, 64.3}, {5, "B", 38, 28.6},
		{4.999999, "C", 38, 14.3}, {0, "C", 27, 7.1}, {1000, "A", 100, 100}, {-1000, "C", 0, 0},
	} {
		row := ordinary(a.Encoder)
		row[j] = datasets.Value{Kind: datasets.Number, Number: c.logins}
		var got models.Answer
		if err := s.Score(&got, row, moment, 3); err != nil {
			t.Fatal(err)
		}
		if got.Band != c.band || got.Score != c.score || got.Percentile != c.percentile || got.BaseRate != 0.2 || got.Reference != 0.5 {
			t.Errorf("%v logins: band %s, score %d, percentile %v, base rate %v, reference %v; want %s, %d, %v",
				c.logins, got.Band, got.Score, got.Percentile, got.BaseRate, got.Reference, c.band, c.score, c.percentile)
		}
	}
}

// The shares of importance are 1 to 6 of 21 in the order of the columns: plan,
// logins_28d, paid_seats, sso, created_at, tier.
func TestCoverage(t *testing.T) {
	s := scorer(t, artifact(t, "linear", calibrations()[0]))
	e := s.Encoder()
	for _, c := range []struct {
		change func(row []datasets.Value)
		want   float64
	}{
		{func([]datasets.Value) {}, 1},
		{func(row []datasets.Value) { row[0] = datasets.Value{} }, 20. / 21},
		{func(row []datasets.Value) { row[5] = datasets.Value{Kind: datasets.Category, Text: "9"} }, 15. / 21},
		{func(row []datasets.Value) { row[5], row[4] = datasets.Value{}, datasets.Value{} }, 10. / 21},
		{func(row []datasets.Value) { row[1] = datasets.Value{Kind: datasets.Number, Number: 1e9} }, 1},
		{func(row []datasets.Value) { clear(row) }, 0},
	} {
		row := ordinary(e)
		c.change(row)
		var got models.Answer
		if err := s.Score(&got, row, moment, 0); err != nil {
			t.Fatal(err)
		}
		if want := math.Round(c.want*1e4) / 1e4; got.Coverage != want {
			t.Errorf("%v: coverage %v, want %v", row, got.Coverage, want)
		}
	}
	importance := s.Importance()
	for j, share := range importance {
		if math.Abs(share-float64(j+1)/21) > 1e-15 {
			t.Errorf("importance %v", importance)
		}
	}
	importance[0] = 7 // a copy: the scorer's own stays
	if s.Importance()[0] == 7 {
		t.Error("the importance of the scorer can be changed")
	}
	var names []string
	for _, i := range models.RankImportance(s.Artifact()) {
		names = append(names, i.Feature)
	}
	if want := "tier created_at sso paid_seats logins_28d plan"; strings.Join(names, " ") != want {
		t.Errorf("ranked %q, want %q", names, want)
	}
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(b)+"\n"); d != "" {
		t.Errorf("%s (-want +got; write it with -update):\n%s", path, d)
	}
}

func TestWarnings(t *testing.T) {
	s := scorer(t, artifact(t, "linear", calibrations()[0]))
	e := s.Encoder()
	var all [][]models.Warning
	for _, change := range []func(set func(column string, v datasets.Value)){
		func(func(string, datasets.Value)) {},
		func(set func(string, datasets.Value)) {
			for j := range e.Columns {
				set(e.Columns[j].Name, datasets.Value{})
			}
		},
		func(set func(string, datasets.Value)) {
			set("plan", datasets.Value{Kind: datasets.Category, Text: strings.Repeat("é", 40)})
			set("tier", datasets.Value{Kind: datasets.Number, Number: 2.25})
			set("logins_28d", datasets.Value{Kind: datasets.Number, Number: -3})
			set("paid_seats", datasets.Value{Kind: datasets.Number, Number: 12345.678901})
			set("created_at", datasets.Value{Kind: datasets.Time, Time: moment + day})
		},
		func(set func(string, datasets.Value)) {
			set("plan", datasets.Value{Kind: datasets.Category})
			set("tier", datasets.Value{Kind: datasets.Text})
		},
	} {
		row := ordinary(e)
		change(func(column string, v datasets.Value) { row[e.Find(column)] = v })
		var got models.Answer
		if err := s.Score(&got, row, moment, 0); err != nil {
			t.Fatal(err)
		}
		if got.Warnings == nil || got.Reasons == nil {
			t.Error("no list where nothing is to list")
		}
		all = append(all, slices.Clone(got.Warnings))
	}
	golden(t, "warnings.json", all)
}

func TestScoreRefusesAType(t *testing.T) {
	s := scorer(t, artifact(t, "tree", calibrations()[0]))
	row := ordinary(s.Encoder())
	row[1] = datasets.Value{Kind: datasets.Category, Text: "six"}
	var got models.Answer
	if err := s.Score(&got, row, moment, 3); !errors.Is(err, features.ErrType) || !strings.Contains(err.Error(), `"logins_28d"`) {
		t.Errorf("error %v", err)
	}
	if err := s.Score(&got, row[1:], moment, 3); err == nil {
		t.Error("a row that is too short was scored")
	}
}

// An answer that is used again costs an allocation for each reason's text and none
// for the rest.
func TestScoreAllocations(t *testing.T) {
	for _, kind := range []string{"linear", "tree"} {
		s := scorer(t, artifact(t, kind, calibrations()[1]))
		row := ordinary(s.Encoder())
		var a models.Answer
		count := func(reasons int) float64 {
			return testing.AllocsPerRun(200, func() {
				if err := s.Score(&a, row, moment, reasons); err != nil {
					t.Fatal(err)
				}
			})
		}
		if none, three := count(0), count(3); none > 0 || three > 3 {
			t.Errorf("%s: %v allocations without reasons, %v with three", kind, none, three)
		}
	}
}

// BenchmarkScore is one row at a time, out of many different ones.
func BenchmarkScore(b *testing.B) {
	for _, kind := range []string{"linear", "tree"} {
		s := scorer(b, artifact(b, kind, calibrations()[2]))
		in := strange(s.Encoder(), 1, 1000)
		rows := make([][]datasets.Value, in.Rows())
		for i := range rows {
			rows[i] = cells(s.Encoder(), in, i)
		}
		for _, most := range []int{0, 3} {
			b.Run(fmt.Sprintf("%s reasons=%d", kind, most), func(b *testing.B) {
				var a models.Answer
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := s.Score(&a, rows[i%len(rows)], moment, most); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestScoreTogether(t *testing.T) {
	for _, kind := range []string{"linear", "tree"} {
		s := scorer(t, artifact(t, kind, calibrations()[2]))
		in := strange(s.Encoder(), 7, 100)
		score := func(i int) string {
			var a models.Answer
			if err := s.Score(&a, cells(s.Encoder(), in, i), moment, -1); err != nil {
				t.Error(err)
			}
			b, err := json.Marshal(a)
			if err != nil {
				t.Error(err)
			}
			return string(b)
		}
		var want []string
		for i := range in.Rows() {
			want = append(want, score(i))
		}
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				for i := range in.Rows() {
					if got := score(i); got != want[i] {
						t.Errorf("%s row %d: %s, alone %s", kind, i, got, want[i])
					}
				}
			})
		}
		wait.Wait()
	}
}
