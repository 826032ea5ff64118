package features_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features"
)

const day = int64(24 * 60 * 60 * 1e6)

func number(x float64) datasets.Value {
	return datasets.Value{Kind: datasets.Number, Number: x}
}

func boolean(x float64) datasets.Value {
	return datasets.Value{Kind: datasets.Boolean, Number: x}
}

func category(s string) datasets.Value {
	return datasets.Value{Kind: datasets.Category, Text: s}
}

func instant(us int64) datasets.Value {
	return datasets.Value{Kind: datasets.Time, Time: us}
}

// categories makes a column; "-" is missing.
func categories(name string, texts ...string) datasets.Column {
	c := datasets.Column{Name: name, Kind: datasets.Category}
	for _, s := range texts {
		if s == "-" {
			c.Codes = append(c.Codes, -1)
			continue
		}
		k := slices.Index(c.Values, s)
		if k < 0 {
			k = len(c.Values)
			c.Values = append(c.Values, s)
		}
		c.Codes = append(c.Codes, int32(k))
	}
	return c
}

func numbers(name string, xs ...float64) datasets.Column {
	return datasets.Column{Name: name, Kind: datasets.Number, Numbers: xs}
}

// fit fits an encoder that uses every column.
func fit(t testing.TB, moments []int64, columns ...datasets.Column) *features.Encoder {
	t.Helper()
	e, left, err := features.FitEncoder(&datasets.Table{Columns: columns}, moments)
	if err != nil || len(left) > 0 {
		t.Fatalf("error %v, left out %v", err, left)
	}
	return e
}

var nan = math.NaN()

// kinds has a column of every kind; the moment of all rows is day 100.
func kinds(t testing.TB) *features.Encoder {
	return fit(t, []int64{100 * day, 100 * day, 100 * day, 100 * day},
		numbers("seats", 1, 5, nan, 3),
		datasets.Column{Name: "sso", Kind: datasets.Boolean, Numbers: []float64{0, 1, 1, nan}},
		categories("plan", "pro", "free", "-", "pro"),
		categories("code", "001", "002", "001", "002"),
		categories("tier", "28", "1.5", "28", "-1"),
		categories("note", "", "x", "", "-"),
		datasets.Column{Name: "created", Kind: datasets.Time, Times: []int64{90 * day, 98 * day, datasets.MissingTime, 70 * day}},
	)
}

func TestStates(t *testing.T) {
	e := kinds(t)
	const moment = 200 * day
	for _, c := range []struct {
		column string
		value  datasets.Value
		x      float64
		state  features.State
	}{
		{"seats", number(3), 3, features.Known},
		{"seats", number(1), 1, features.Known},
		{"seats", number(5), 5, features.Known},
		{"seats", number(0.5), 0.5, features.OutOfRange},
		{"seats", number(6), 6, features.OutOfRange},
		{"seats", number(math.Copysign(0, -1)), 0, features.OutOfRange},
		{"seats", number(math.MaxFloat64), math.MaxFloat64, features.OutOfRange},
		{"seats", number(nan), nan, features.Missing},
		{"seats", datasets.Value{}, nan, features.Missing},
		{"sso", boolean(0), 0, features.Known},
		{"sso", boolean(1), 1, features.Known},
		{"sso", datasets.Value{}, nan, features.Missing},
		{"plan", category("free"), 0, features.Known}, // codes follow the sorted levels
		{"plan", category("pro"), 1, features.Known},
		{"plan", datasets.Value{Kind: datasets.Text, Text: "pro"}, 1, features.Known},
		{"plan", category("Pro"), -1, features.Unseen},
		{"plan", category("pro "), -1, features.Unseen},
		{"plan", category(""), -1, features.Empty},
		{"plan", boolean(1), -1, features.Unseen},
		{"plan", datasets.Value{}, nan, features.Missing},
		{"code", category("001"), 0, features.Known},
		{"code", category("1"), -1, features.Unseen},
		{"tier", number(28), 2, features.Known}, // sorted by bytes: -1, 1.5, 28
		{"tier", category("28"), 2, features.Known},
		{"tier", category("28.0"), 2, features.Known},
		{"tier", category("2.8e1"), 2, features.Known},
		{"tier", category("028"), -1, features.Unseen},
		{"tier", number(1.5), 1, features.Known},
		{"tier", number(-1), 0, features.Known},
		{"tier", number(math.Copysign(0, -1)), -1, features.Unseen},
		{"tier", number(math.Inf(1)), -1, features.Unseen},
		{"tier", number(nan), nan, features.Missing},
		{"note", category(""), 0, features.Empty},
		{"note", category("x"), 1, features.Known},
		{"created", instant(195 * day), 5, features.Known},
		{"created", instant(198 * day), 2, features.Known},
		{"created", instant(170 * day), 30, features.Known},
		{"created", instant(199 * day), 1, features.OutOfRange},
		{"created", instant(201 * day), -1, features.OutOfRange},
		{"created", instant(0), 200, features.OutOfRange},
		{"created", datasets.Value{}, nan, features.Missing},
	} {
		col := &e.Columns[e.Find(c.column)]
		x, state, err := col.Encode(c.value, moment)
		if err != nil || state != c.state || !(x == c.x || math.IsNaN(x) && math.IsNaN(c.x)) {
			t.Errorf("%s %v: %v, %v, error %v; want %v, %v", c.column, c.value, x, state, err, c.x, c.state)
		}
	}
}

func TestWrongType(t *testing.T) {
	e := kinds(t)
	for _, c := range []struct {
		column string
		value  datasets.Value
		want   string
	}{
		{"seats", category("3"), `column "seats" wants a number, got the category "3"`},
		{"seats", boolean(1), `column "seats" wants a number, got the boolean true`},
		{"seats", number(math.Inf(-1)), `column "seats" wants a number, got the number -Inf: it must be finite`},
		{"seats", instant(0), `column "seats" wants a number, got the time 1970-01-01T00:00:00Z`},
		{"sso", number(1), `column "sso" wants a boolean, got the number 1`},
		{"sso", category("true"), `column "sso" wants a boolean, got the category "true"`},
		{"plan", number(1), `column "plan" wants a category, got the number 1: its categories are text, send text`},
		{"code", number(1), `column "code" wants a category, got the number 1: its categories are text, send text`},
		{"plan", instant(0), `column "plan" wants a category, got the time 1970-01-01T00:00:00Z`},
		{"created", number(5), `column "created" wants a time, got the number 5: write it as 2026-03-01T09:30:00Z`},
		{"created", category("soon"), `column "created" wants a time, got the category "soon": write it as 2026-03-01T09:30:00Z`},
	} {
		_, _, err := e.Columns[e.Find(c.column)].Encode(c.value, 0)
		if !errors.Is(err, features.ErrType) || err.Error() != c.want {
			t.Errorf("%s %v: error %q, want %q", c.column, c.value, err, c.want)
		}
	}
}

// A column at once and cell by cell: the same numbers, or the same error at the
// first row that has one.
func TestEncodeAllIsEncode(t *testing.T) {
	e := kinds(t)
	rapid.Check(t, func(t *rapid.T) {
		c := &e.Columns[rapid.IntRange(0, len(e.Columns)-1).Draw(t, "column")]
		rows := rapid.IntRange(0, 20).Draw(t, "rows")
		col := datasets.Column{Name: c.Name, Kind: rapid.SampledFrom([]datasets.Kind{
			c.Kind, c.Kind, c.Kind, datasets.Number, datasets.Boolean, datasets.Category, datasets.Time, datasets.Text,
		}).Draw(t, "kind")}
		moments := make([]int64, rows)
		if col.Kind == datasets.Category || col.Kind == datasets.Text {
			col.Values = []string{"pro", "", "001", "28.0", "28", "x", "never"}
		}
		for i := range rows {
			moments[i] = rapid.Int64Range(0, 400*day).Draw(t, "moment")
			switch col.Kind {
			case datasets.Number:
				col.Numbers = append(col.Numbers, rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 3, 28, -1, nan, math.Inf(1), math.Inf(-1)}).Draw(t, "number"))
			case datasets.Boolean:
				col.Numbers = append(col.Numbers, rapid.SampledFrom([]float64{0, 1, nan}).Draw(t, "truth"))
			case datasets.Time:
				col.Times = append(col.Times, rapid.SampledFrom([]int64{0, 95 * day, datasets.MissingTime}).Draw(t, "time"))
			default:
				col.Codes = append(col.Codes, int32(rapid.IntRange(-1, len(col.Values)-1).Draw(t, "code")))
			}
		}
		got := make([]float64, rows)
		err := c.EncodeAll(got, &col, moments)
		again := make([]float64, rows)
		marks, markedErr := c.EncodeMarked(again, nil, &col, moments)
		if fmt.Sprint(err) != fmt.Sprint(markedErr) {
			t.Fatalf("error %v, with marks %v", err, markedErr)
		}
		for i := range rows {
			want, state, oneErr := c.Encode(col.At(i), moments[i])
			if oneErr == nil {
				if math.Float64bits(again[i]) != math.Float64bits(want) {
					t.Fatalf("row %d: %v with marks, cell by cell %v", i, again[i], want)
				}
				if state != features.Known {
					if len(marks) == 0 || marks[0] != (features.Mark{Row: int32(i), State: state}) {
						t.Fatalf("row %d: %v is not among the marks %v", i, state, marks)
					}
					marks = marks[1:]
				}
			}
			if oneErr != nil {
				if err == nil || err.Error() != fmt.Sprintf("row %d: %v", i, oneErr) {
					t.Fatalf("row %d: error %v, cell by cell %v", i, err, oneErr)
				}
				if len(marks) > 0 {
					t.Fatalf("marks behind the fault: %v", marks)
				}
				return
			}
			if math.Float64bits(got[i]) != math.Float64bits(want) {
				t.Fatalf("row %d: %v, cell by cell %v", i, got[i], want)
			}
		}
		if err != nil || len(marks) > 0 {
			t.Fatalf("error %v, marks %v; cell by cell none", err, marks)
		}
	})
}

// A column of a batch of the size that files are scored in.
func BenchmarkEncodeMarked(b *testing.B) {
	const rows = 8192
	texts := make([]string, 200)
	for k := range texts {
		texts[k] = fmt.Sprintf("level_%03d", k)
	}
	number := datasets.Column{Name: "n", Kind: datasets.Number}
	text := datasets.Column{Name: "c", Kind: datasets.Category, Values: texts}
	for i := range rows {
		x := float64(i * 7919 % 1000)
		if i%10 == 3 {
			x = nan
		}
		number.Numbers = append(number.Numbers, x)
		text.Codes = append(text.Codes, int32(i*7919%200))
	}
	e := fit(b, nil, number, text)
	for j, col := range []*datasets.Column{&number, &text} {
		b.Run(col.Kind.String(), func(b *testing.B) {
			dst, marks := make([]float64, rows), []features.Mark(nil)
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if marks, err = e.Columns[j].EncodeMarked(dst, marks[:0], col, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/cell")
		})
	}
}

func TestTypical(t *testing.T) {
	e := kinds(t)
	want := map[string]datasets.Value{
		"seats": number(3), "sso": boolean(1), "plan": category("pro"), "code": category("001"),
		"tier": category("28"), "note": category(""), "created": number(10),
	}
	for name, v := range want {
		if got := e.Columns[e.Find(name)].Typical(); got != v {
			t.Errorf("%s: %#v, want %#v", name, got, v)
		}
	}
	tied := fit(t, nil, datasets.Column{Name: "sso", Kind: datasets.Boolean, Numbers: []float64{0, 1}})
	if got := tied.Columns[0].Typical(); got != boolean(1) {
		t.Errorf("as many true as false: %#v", got)
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		xs                     []float64
		min, median, mean, max float64
	}{
		{[]float64{4, 1, 2}, 1, 2, 7. / 3, 4},
		{[]float64{4, 1, nan, 2, 3}, 1, 2.5, 2.5, 4},
		{[]float64{-math.MaxFloat64, math.MaxFloat64}, -math.MaxFloat64, 0, 0, math.MaxFloat64},
		{[]float64{math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, nan}, math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, math.MaxFloat64},
	} {
		got := fit(t, nil, numbers("x", c.xs...)).Columns[0]
		if got.Min != c.min || got.Median != c.median || math.Abs(got.Mean/c.mean-1) > 1e-12 && got.Mean != c.mean || got.Max != c.max {
			t.Errorf("%v: %v, %v, %v, %v", c.xs, got.Min, got.Median, got.Mean, got.Max)
		}
		if got.MissingShare() != float64(got.Missing)/float64(len(c.xs)) {
			t.Errorf("%v: missing %v", c.xs, got.MissingShare())
		}
	}
	_, _, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{numbers("x", 1, math.Inf(1))}}, nil)
	if !errors.Is(err, features.ErrType) || !strings.Contains(err.Error(), "row 1") {
		t.Errorf("infinity in training: %v", err)
	}
}

func TestStateNames(t *testing.T) {
	var got []string
	for s := features.Known; s <= features.Empty; s++ {
		got = append(got, s.String())
	}
	if d := cmp.Diff([]string{"known", "missing", "unseen", "out_of_range", "empty"}, got); d != "" {
		t.Error(d)
	}
}
