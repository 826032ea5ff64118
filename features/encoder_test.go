package features_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features"
)

// A number is an id only if its name says so and every row has another whole one.
func TestNumberedRows(t *testing.T) {
	const rows = 60
	distinct := func(i int) float64 { return float64(660737 - 9*(i*37%rows)) }
	for _, c := range []struct {
		name string
		n    int
		f    func(i int) float64
		id   bool
	}{
		{"Lead Number", rows, distinct, true}, {"customer_id", rows, distinct, true}, {"accountId", rows, distinct, true},
		{"ID", rows, distinct, true}, {"invoice-no", rows, distinct, true},
		{"paid", rows, distinct, false}, {"revenue", rows, distinct, false}, {"piano", rows, distinct, false}, {"monkey", rows, distinct, false},
		{"Lead Number", 40, distinct, false}, // too few to tell
		{"region_id", rows, func(i int) float64 { return float64(i % 7) }, false},
		{"index", rows, func(i int) float64 { return float64(i) + 0.5 }, false},
		{"customer_id", rows, func(i int) float64 { return []float64{nan, float64(i)}[min(i, 1)] }, false},
	} {
		col := datasets.Column{Name: c.name, Kind: datasets.Number}
		for i := range c.n {
			col.Numbers = append(col.Numbers, c.f(i))
		}
		_, left, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{col}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(left) == 1 && strings.Contains(left[0].Reason, "60 different whole numbers"); got != c.id || len(left) == 1 != c.id {
			t.Errorf("%s: left out %v", c.name, left)
		}
	}
}

func TestLeftOut(t *testing.T) {
	const rows = 60
	var ids, few []string
	for i := range rows {
		ids = append(ids, fmt.Sprint("A-", i))
		few = append(few, fmt.Sprint("B-", i*i%7))
	}
	column := func(kind datasets.Kind, name string, f func(i int) float64) datasets.Column {
		c := datasets.Column{Name: name, Kind: kind}
		for i := range rows {
			if kind == datasets.Time {
				c.Times = append(c.Times, int64(f(i)))
			} else {
				c.Numbers = append(c.Numbers, f(i))
			}
		}
		return c
	}
	repeat := func(s string) []string { return slices.Repeat([]string{s}, rows) }
	name := categories("name", ids...)
	name.Kind = datasets.Text
	table := &datasets.Table{Columns: []datasets.Column{
		categories("id", ids...), name,
		column(datasets.Number, "void", func(int) float64 { return nan }),
		categories("blank", repeat("-")...), categories("same", repeat("x")...),
		column(datasets.Number, "seven", func(int) float64 { return 7 }),
		column(datasets.Boolean, "yes", func(int) float64 { return 1 }),
		column(datasets.Time, "seen", func(i int) float64 { return float64(i) }),
		column(datasets.Number, "seven or missing", func(i int) float64 { return []float64{7, nan}[i%2] }),
		categories("x or missing", append(repeat("x")[1:], "-")...),
		categories("few", few...),
		column(datasets.Number, "count", func(i int) float64 { return float64(i) }), // a number may well be different in each row
	}}
	e, left, err := features.FitEncoder(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []features.LeftOut{
		{Column: "id", Reason: "it looks like an id: 60 different values in 60 rows"},
		{Column: "name", Reason: "it is text, kept letter by letter"},
		{Column: "void", Reason: "it is missing in every training row"},
		{Column: "blank", Reason: "it is missing in every training row"},
		{Column: "same", Reason: `it is "x" in every training row`},
		{Column: "seven", Reason: "it is 7 in every training row"},
		{Column: "yes", Reason: "it is 1 in every training row"},
		{Column: "seen", Reason: "it is a time, and without a moment (--time) a time says nothing that lasts"},
	}
	if d := cmp.Diff(want, left); d != "" {
		t.Error(d)
	}
	var kept []string
	for _, f := range e.Features() {
		kept = append(kept, fmt.Sprint(f.Name, " ", f.Levels))
	}
	if d := cmp.Diff([]string{"seven or missing 0", "x or missing 1", "few 4", "count 0"}, kept); d != "" {
		t.Error(d)
	}
	for i := range e.Columns {
		if name := e.Columns[i].Name; e.Find(name) != i || e.Kinds()[name] != e.Columns[i].Kind {
			t.Errorf("%s: found at %d", name, e.Find(name))
		}
	}
	if e.Find("id") != -1 {
		t.Error("a column left out is found")
	}
}

// The order of the rows, and of a column's values, leaves no trace in the encoder.
func TestOrderOfRowsDoesNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 2, 40).Draw(t, "xs")
		n := len(xs)
		texts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "-", "é"}), n, n).Draw(t, "texts")
		times := rapid.SliceOfN(rapid.Int64Range(0, 1e15), n, n).Draw(t, "times")
		moments := rapid.SliceOfN(rapid.Int64Range(0, 2e15), n, n).Draw(t, "moments")
		encode := func(order []int) []byte {
			c := categories("c", pick(texts, order)...)
			e, left, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{
				numbers("n", pick(xs, order)...), c,
				{Name: "t", Kind: datasets.Time, Times: pick(times, order)},
			}}, pick(moments, order))
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal([]any{e, left})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		straight := make([]int, n)
		for i := range straight {
			straight[i] = i
		}
		mixed := rapid.Permutation(straight).Draw(t, "order")
		if a, b := encode(straight), encode(mixed); !bytes.Equal(a, b) {
			t.Fatalf("%s\nin another order\n%s", a, b)
		}
	})
}

// 0 and -0 are equal, so sorting keeps them as they come: one of them it must be.
func TestZeroHasNoSign(t *testing.T) {
	zero := math.Copysign(0, -1)
	e, _, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{numbers("n", 1, zero, 0, zero)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &e.Columns[0]
	x, _, err := c.Encode(datasets.Value{Kind: datasets.Number, Number: zero}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{c.Min, c.Median, x} {
		if v != 0 || math.Signbit(v) {
			t.Errorf("min %v, median %v, encoded %v, want 0 without a sign", c.Min, c.Median, x)
		}
	}
}

func pick[T any](xs []T, order []int) []T {
	out := make([]T, len(order))
	for k, i := range order {
		out[k] = xs[i]
	}
	return out
}

func TestEncodeTableIsEncodeRow(t *testing.T) {
	e := kinds(t)
	rng := rand.New(rand.NewPCG(1, 1))
	table := &datasets.Table{Columns: []datasets.Column{{Name: "stranger", Kind: datasets.Number}}}
	const rows = 50
	moments := make([]int64, rows)
	for j := len(e.Columns) - 1; j >= 0; j-- { // the table has them in another order
		c := datasets.Column{Name: e.Columns[j].Name, Kind: e.Columns[j].Kind}
		if c.Kind == datasets.Category {
			c.Values = append(slices.Clone(e.Columns[j].Levels), "never")
		}
		for range rows {
			switch c.Kind {
			case datasets.Category:
				c.Codes = append(c.Codes, int32(rng.IntN(len(c.Values)+1)-1))
			case datasets.Time:
				c.Times = append(c.Times, rng.Int64N(300*day))
			default:
				c.Numbers = append(c.Numbers, []float64{0, 1, nan}[rng.IntN(3)])
			}
		}
		table.Columns = append(table.Columns, c)
	}
	for i := range moments {
		moments[i] = rng.Int64N(300 * day)
		table.Columns[0].Numbers = append(table.Columns[0].Numbers, 1)
	}
	columns, err := e.EncodeTable(table, moments)
	if err != nil {
		t.Fatal(err)
	}
	x, states, row := make([]float64, len(e.Columns)), make([]features.State, len(e.Columns)), make([]datasets.Value, len(e.Columns))
	for i := range rows {
		for j := range row {
			row[j] = table.Column(e.Columns[j].Name).At(i)
		}
		if err := e.EncodeRow(x, states, row, moments[i]); err != nil {
			t.Fatal(err)
		}
		for j := range x {
			if math.Float64bits(x[j]) != math.Float64bits(columns[j][i]) {
				t.Errorf("row %d, %s: %v by row, %v by column", i, e.Columns[j].Name, x[j], columns[j][i])
			}
			if (states[j] == features.Missing) != math.IsNaN(x[j]) {
				t.Errorf("row %d, %s: %v is %v", i, e.Columns[j].Name, x[j], states[j])
			}
		}
	}
	if err := e.EncodeRow(x, states, row[1:], 0); err == nil {
		t.Error("a row that is too short was encoded")
	}
	if _, err := e.EncodeTable(table, nil); !errors.Is(err, features.ErrMoment) || !strings.Contains(err.Error(), `"created"`) {
		t.Errorf("a time without a moment: %v", err)
	}
	table.Columns = table.Columns[:3]
	_, err = e.EncodeTable(table, moments)
	if !errors.Is(err, features.ErrColumn) || !strings.Contains(err.Error(), `"seats"`) || !strings.Contains(err.Error(), `"sso"`) {
		t.Errorf("columns are missing: %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	e := kinds(t)
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	again, err := features.ParseEncoder(b)
	if err != nil {
		t.Fatal(err)
	}
	b2, err := json.Marshal(again)
	if err != nil || !bytes.Equal(b, b2) {
		t.Errorf("%v: %s\nbecame\n%s", err, b, b2)
	}
	for i := range e.Columns {
		for _, v := range []datasets.Value{number(28), category("pro"), category("001"), category("28.0"), category(""), boolean(1), instant(5), {}} {
			x, s, err := e.Columns[i].Encode(v, 100*day)
			x2, s2, err2 := again.Columns[i].Encode(v, 100*day)
			if math.Float64bits(x) != math.Float64bits(x2) || s != s2 || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Errorf("%s %v: %v, %v, %v became %v, %v, %v", e.Columns[i].Name, v, x, s, err, x2, s2, err2)
			}
		}
	}
}

const (
	soundNumber   = `{"name":"n","kind":"number","rows":4,"missing":1,"min":1,"median":2,"mean":2,"max":3}`
	soundBins     = `{"name":"n","kind":"number","cuts":[1,2],"counts":[2,1,0],"rows":4,"missing":1,"min":1,"median":2,"mean":2,"max":3}`
	soundCategory = `{"name":"c","kind":"category","levels":["a","b"],"counts":[1,2],"rows":4,"missing":1,"min":0,"median":0,"mean":0,"max":0}`
)

func TestParseEncoderRefuses(t *testing.T) {
	wrap := func(columns ...string) string { return `{"columns":[` + strings.Join(columns, ",") + `]}` }
	if _, err := features.ParseEncoder([]byte(wrap(soundNumber, soundBins[:9]+"m"+soundBins[10:], soundCategory))); err != nil {
		t.Fatal(err)
	}
	change := func(sound, from, to string) string {
		if !strings.Contains(sound, from) {
			t.Fatalf("%s is not in %s", from, sound)
		}
		return wrap(strings.Replace(sound, from, to, 1))
	}
	for name, text := range map[string]string{
		"nothing":               "",
		"no object":             "[]",
		"cut off":               wrap(soundNumber)[:40],
		"something after":       wrap(soundNumber) + "{}",
		"unknown field":         `{"columns":[],"more":1}`,
		"unknown column field":  change(soundNumber, `"rows"`, `"more":1,"rows"`),
		"no name":               change(soundNumber, `"n"`, `""`),
		"name twice":            wrap(soundNumber, soundNumber),
		"no kind":               change(soundNumber, `"kind":"number",`, ""),
		"unknown kind":          change(soundNumber, `"number"`, `"integer"`),
		"text":                  change(soundNumber, `"number"`, `"text"`),
		"negative rows":         change(soundNumber, `"rows":4`, `"rows":-4`),
		"more missing":          change(soundNumber, `"missing":1`, `"missing":5`),
		"negative missing":      change(soundNumber, `"missing":1`, `"missing":-1`),
		"fraction of a row":     change(soundNumber, `"rows":4`, `"rows":4.5`),
		"beyond a float64":      change(soundNumber, `"max":3`, `"max":1e999`),
		"median below min":      change(soundNumber, `"median":2`, `"median":0`),
		"mean above max":        change(soundNumber, `"mean":2`, `"mean":4`),
		"max below min":         change(soundNumber, `"max":3`, `"max":0`),
		"levels of a number":    change(soundNumber, `"rows"`, `"levels":["a"],"counts":[1],"rows"`),
		"numeric number":        change(soundNumber, `"rows"`, `"numeric":true,"rows"`),
		"counts without cuts":   change(soundBins, `"cuts":[1,2],`, ``),
		"cuts without counts":   change(soundBins, `,"counts":[2,1,0]`, ``),
		"cuts out of order":     change(soundBins, `[1,2]`, `[2,1]`),
		"cut twice":             change(soundBins, `[1,2]`, `[1,1]`),
		"cut out of range":      change(soundBins, `[1,2]`, `[1,4]`),
		"bin too few":           change(soundBins, `[2,1,0]`, `[2,1]`),
		"empty bin":             change(soundBins, `[2,1,0]`, `[3,0,0]`),
		"bins below the rows":   change(soundBins, `[2,1,0]`, `[1,1,0]`),
		"bins above the rows":   change(soundBins, `[2,1,0]`, `[2,1,1]`),
		"cuts of a category":    change(soundCategory, `"counts"`, `"cuts":[1],"counts"`),
		"levels out of order":   change(soundCategory, `["a","b"]`, `["b","a"]`),
		"level twice":           change(soundCategory, `["a","b"]`, `["a","a"]`),
		"level too many":        change(soundCategory, `["a","b"]`, `["a","b","c"]`),
		"no levels":             change(soundCategory, `"levels":["a","b"],"counts":[1,2],`, ``),
		"empty count":           change(soundCategory, `[1,2]`, `[0,3]`),
		"counts above the rows": change(soundCategory, `[1,2]`, `[1,3]`),
		"counts below the rows": change(soundCategory, `[1,2]`, `[1,1]`),
		"counts that overflow":  change(soundCategory, `[1,2]`, `[9223372036854775807,9223372036854775807]`),
		"numeric text":          change(soundCategory, `"rows"`, `"numeric":true,"rows"`),
		"text that is numeric":  change(soundCategory, `["a","b"]`, `["1","2"]`),
		"range of a category":   change(soundCategory, `"max":0`, `"max":1`),
	} {
		if e, err := features.ParseEncoder([]byte(text)); err == nil || e != nil {
			t.Errorf("%s was read: %s", name, text)
		}
	}
}

// Whatever is read encodes without a panic, and is written as it was read.
func FuzzParseEncoder(f *testing.F) {
	f.Add([]byte(`{"columns":[` + soundNumber + "," + soundCategory + `]}`))
	b, err := json.Marshal(kinds(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"columns":[{"name":"c","kind":"category","levels":["\ud800"],"counts":[1],"rows":1,"missing":0}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := features.ParseEncoder(b)
		if err != nil {
			return
		}
		first, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := features.ParseEncoder(first)
		if err != nil {
			t.Fatalf("%v in what was written: %s", err, first)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%v: %s\nbecame\n%s", err, first, second)
		}
		for i := range e.Columns {
			c := &e.Columns[i]
			for _, v := range []datasets.Value{number(1), number(-1e300), category("a"), category(""), boolean(0), instant(0), {}} {
				x, s, err := c.Encode(v, 1e15)
				if err == nil && c.Kind == datasets.Category && !(math.IsNaN(x) && s == features.Missing) &&
					(x < -1 || x >= float64(len(c.Levels)) || x != math.Trunc(x)) {
					t.Fatalf("%s %v: code %v", c.Name, v, x)
				}
			}
			c.Typical()
		}
	})
}

// Every training value lies in one bin, and no bin but that of a common value is large.
func TestBinsHoldTheTrainingValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55, -4, -7, nan}), 1, 300).Draw(t, "xs")
		e, left, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{numbers("n", xs...)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Skip("it was left out")
		}
		c := e.Columns[0]
		if len(c.Counts) != len(c.Cuts)+1 || !slices.IsSorted(c.Cuts) {
			t.Fatalf("cuts %v, counts %v", c.Cuts, c.Counts)
		}
		known := 0
		for k, n := range c.Counts {
			values := map[float64]int{}
			in := 0
			for _, x := range xs {
				if (k == len(c.Cuts) || x <= c.Cuts[k]) && (k == 0 || x > c.Cuts[k-1]) && !math.IsNaN(x) {
					values[x]++
					in++
				}
			}
			known += in
			if in != n {
				t.Fatalf("bin %d of %v holds %d, not %d", k, c.Cuts, in, n)
			}
			if len(values) < 2 {
				continue
			}
			for x, m := range values {
				if m*5 > c.Rows-c.Missing {
					t.Fatalf("%v has %d of %d rows, and shares bin %d of %v with %v", x, m, c.Rows, k, c.Cuts, values)
				}
			}
		}
		if known != c.Rows-c.Missing {
			t.Fatalf("%d of %d in bins", known, c.Rows-c.Missing)
		}
	})
}
