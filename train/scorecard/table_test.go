package scorecard

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

func write(t testing.TB, table Table) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, table); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// editors is an encoder of one column of each kind.
func editors() *features.Encoder {
	return features.NewEncoder([]features.Column{
		{Name: "days", Kind: datasets.Number, Min: 0, Median: 5, Mean: 7, Max: 40},
		{Name: "plan", Kind: datasets.Category, Levels: []string{"", `a\b`, "a|b", "basic", "line\r\nend", "pro"}, Counts: []int{1, 1, 1, 1, 1, 1}},
		{Name: "sso", Kind: datasets.Boolean, Max: 1},
		{Name: "created_at", Kind: datasets.Time, Min: 1, Median: 90, Mean: 100, Max: 400},
		{Name: "unused, as it is", Kind: datasets.Number},
	})
}

const edited = `feature,kind,from,to,levels,state,points
,base,,,,,600
,odds,,,,,50
,double,,,,,20
,start,,,,,640
days,number,,3,,,-12
days,number,3,14,,,0
days,number,14,,,,25.5
days,number,,,,missing,4
plan,category,,,pro|basic,,-20
plan,category,,,\e|a\\b,,8
plan,category,,,a\|b,other,3
sso,boolean,,,true,,-5
sso,boolean,,,false,,5
created_at,time,30,,,,-7
created_at,time,,30,,,7
`

func TestEditedTable(t *testing.T) {
	e := editors()
	table, err := Read(strings.NewReader(edited))
	if err != nil {
		t.Fatal(err)
	}
	r, err := FromTable(table, e)
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for _, c := range []struct {
		x      []float64 // of days, plan, sso, created_at, unused
		points float64
	}{
		{[]float64{3, 5, 1, 30, 9}, 640 - 12 - 20 - 5 + 7},
		{[]float64{3.5, 0, 0, 31, 9}, 640 + 0 + 8 + 5 - 7},
		{[]float64{15, 1, 0, 31, nan}, 640 + 25.5 + 8 + 5 - 7},
		{[]float64{nan, 2, nan, nan, 9}, 640 + 4 + 3},
		{[]float64{14, 4, 1, -3, 9}, 640 + 0 + 3 - 5 + 7},
		{[]float64{14, -1, 1, -3, 9}, 640 + 0 - 5 + 7},
	} {
		if got := r.Scale.points(r.Model.Raw(c.x)); math.Abs(got-c.points) > 1e-9 {
			t.Errorf("%v: %v points, want %v", c.x, got, c.points)
		}
	}
	if want := []string{"Missing values add no points, since no row has them: plan, sso, created_at."}; !slices.Equal(r.Notes, want) {
		t.Errorf("notes %q", r.Notes)
	}
	levels := []int{0, 6, 0, 0, 0}
	if m, err := models.LinearFromTable(r.Model.Table(), levels); err != nil || !cmp.Equal(m, r.Model) {
		t.Errorf("the model as it is stored: %v", err)
	}
	// Written again and read again it is the same model.
	text := write(t, r.Table(e))
	table, err = Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromTable(table, e)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if d := cmp.Diff(r, again, cmp.AllowUnexported(Result{}, Bin{})); d != "" {
		t.Errorf("(-first +again):\n%s", d)
	}
	if text2 := write(t, again.Table(e)); text2 != text {
		t.Errorf("written again:\n%s\nfirst:\n%s", text2, text)
	}
}

// What people see of the same card.
func TestCardInWords(t *testing.T) {
	table, err := Read(strings.NewReader(edited))
	if err != nil {
		t.Fatal(err)
	}
	e := editors()
	r, err := FromTable(table, e)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range r.Card(e).Rows {
		got = append(got, row.Feature+": "+row.Bin)
	}
	want := []string{
		": start", "days: up to 3", "days: above 3 up to 14", "days: above 14", "days: missing", "plan: basic, pro", `plan: (empty), a\b`,
		"plan: a|b, 1 other", "sso: false", "sso: true", "created_at: up to 30 days before", "created_at: above 30 days before",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestEditedTableWithFaults changes the good table; every fault is told with its
// line, all at once.
func TestEditedTableWithFaults(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		want           []string // "line: part of the detail"
	}{
		{"gap", "days,number,3,14", "days,number,5,14", []string{"7: a gap: no bin holds days above 3 (the end of line 6) up to 5"}},
		{"overlap", "days,number,3,14", "days,number,2,14", []string{"7: an overlap: this bin of days and that of line 6"}},
		{"bin within another", "days,number,3,14", "days,number,20,30", []string{"7: an overlap", "8: a gap: no bin holds days above 3 (the end of line 6) up to 14"}},
		{"bin twice", "days,number,3,14,,,0\n", "days,number,3,14,,,0\ndays,number,3,14,,,0\n", []string{"8: an overlap"}},
		{"bin gone", "days,number,3,14,,,0\n", "", []string{"7: a gap: no bin holds days above 3 (the end of line 6) up to 14"}},
		{"lowest bin gone", "days,number,,3,,,-12\n", "", []string{"6: no bin holds days up to 3"}},
		{"highest bin gone", "days,number,14,,,,25.5\n", "", []string{"7: no bin holds days above 14"}},
		{"turned round", "days,number,3,14", "days,number,14,3", []string{"7: from 14 to 3 holds nothing"}},
		{"comma for a point", "days,number,3,14", `days,number,"3,5",14`, []string{`7: from "3,5" is no number`}},
		{"unknown feature", "sso,boolean,,,true", "SSO,boolean,,,true", []string{`13: there is no feature "SSO"`, `14: no row has the levels "true" of sso`}},
		{"unknown level", "pro|basic", "pro|Basic", []string{`10: plan has no level "Basic": take it out, or write one of "", "a\\b", "a|b", "basic"`}},
		{"level twice", "pro|basic", "pro|basic|pro", []string{`10: the level "pro" stands here twice`}},
		{"level in two rows", "\\e|a\\\\b", "\\e|pro", []string{`11: the level "pro" of plan stands in line 10 already`}},
		{"level gone", `a\|b,other`, `a\|b,`, []string{`12: no row has the levels "line\r\nend" of plan`}},
		{"two rows of the others", "pro|basic,,", "pro|basic,other,", []string{"12: the other levels of plan stand in line 10 already"}},
		{"others of a number", "days,number,3,14,,,", "days,number,3,14,,other,", []string{`7: state "other" of a number: leave it empty, or write missing`}},
		{"no such state", "pro|basic,,", "pro|basic,rest,", []string{`10: state "rest" of a category: leave it empty, or write missing or other`}},
		{"no levels", "pro|basic,,", ",,", []string{"10: plan needs levels"}},
		{"backslash", `\e|`, `\x|`, []string{`11: levels: \x stands for nothing`}},
		{"points", "-12", "minus 12", []string{`6: points "minus 12" are no number`}},
		{"no points", "25.5", "", []string{`8: points "" are no number`}},
		{"infinite points", "25.5", "inf", []string{`8: points "inf" are no number`}},
		{"too many points", "25.5", "999999", []string{"8: 999999 points are log-odds of"}},
		{"kind", "days,number,3,14", "days,category,3,14", []string{`7: days is a number, not "category": set kind to number`}},
		{"missing twice", "days,number,,,,missing,4\n", "days,number,,,,missing,4\ndays,number,,,,missing,5\n", []string{"10: missing values of days stand in line 9 already"}},
		{"missing with bounds", "days,number,,,,missing", "days,number,1,,,missing", []string{"9: a row of missing values has neither"}},
		{"levels of a number", "days,number,3,14,,", "days,number,3,14,pro,", []string{"7: days is a number: clear levels"}},
		{"bounds of a category", "plan,category,,,pro", "plan,category,1,,pro", []string{"10: plan has levels: clear from and to"}},
		{"missing alone", "sso,boolean,,,true,,-5\nsso,boolean,,,false,,5\n", "sso,boolean,,,,missing,5\n", []string{"13: sso has a row for missing values alone"}},
		{"start gone", ",start,,,,,640\n", "", []string{"1: no row has the kind start"}},
		{"base twice", ",start", ",base", []string{"1: no row has the kind start", "5: base stands in line 2 already"}},
		{"no such setting", ",start", ",begin", []string{"1: no row has the kind start", "5: a row of no feature is of kind base"}},
		{"odds", ",odds,,,,,50", ",odds,,,,,0", []string{"2: base 600, odds 0, double 20"}},
		{"several", "pro|basic,,-20", "pro|basic,,x", []string{`10: points "x"`}},
	} {
		text := strings.Replace(edited, c.from, c.to, 1)
		if text == edited {
			t.Fatalf("%s: nothing changed", c.name)
		}
		table, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		r, err := FromTable(table, editors())
		var fault *TableError
		if !errors.As(err, &fault) {
			t.Errorf("%s: error %v, got %+v", c.name, err, r)
			continue
		}
		lines := strings.Split(strings.TrimPrefix(err.Error(), "scorecard: "), "\n")
		ok := len(lines) == len(c.want)
		for k := range c.want {
			ok = ok && strings.HasPrefix(lines[k], "line "+c.want[k])
		}
		if !ok {
			t.Errorf("%s: faults %q, want %q", c.name, lines, c.want)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	text := strings.NewReplacer("days,number,3,14", "days,number,5,14", "pro|basic", "pro|best", "-5", "five", "created_at,time,,30", "created,time,,30").Replace(edited)
	table, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = FromTable(table, editors())
	var fault *TableError
	if !errors.As(err, &fault) {
		t.Fatal(err)
	}
	var lines []int
	for _, f := range fault.Faults {
		lines = append(lines, f.Line)
	}
	if d := cmp.Diff([]int{7, 10, 13, 15, 16}, lines); d != "" {
		t.Errorf("lines (-want +got):\n%s\n%v", d, err)
	}
}

// TestReadForgives what spreadsheets do to a file: a mark before it, other line
// ends, columns moved and added, empty lines.
func TestReadForgives(t *testing.T) {
	want, err := Read(strings.NewReader(edited))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("\ufeff")
	for k, line := range strings.Split(strings.TrimSuffix(edited, "\n"), "\n") {
		f := strings.Split(line, ",")
		slices.Reverse(f)
		b.WriteString(strings.Join(append([]string{"a note"}, f...), ",") + "\r\n")
		if k == 5 {
			b.WriteString(",,,,,,,\r\n")
		}
	}
	got, err := Read(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(Row{}, "Line")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if line := got[len(got)-1].Line; line != 17 {
		t.Errorf("the last row is of line %d, want 17", line)
	}
}

func TestReadErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "line 1: the file is empty"},
		"no rows":       {"feature,kind,from,to,levels,state,points\n", "line 1: no rows"},
		"semicolons":    {"feature;kind;from;to;levels;state;points\n", `line 1: no column "feature"`},
		"column gone":   {"feature,kind,from,to,levels,points\n", `line 1: no column "state"`},
		"field more":    {edited + "days,number,,,,,3,1\n", "line 17: 8 fields, the first line has 7"},
		"quote":         {edited + "\"days,number\n", "line 17"},
		"bare quote":    {edited + "da\"ys,number\n", "line 17"},
		"bad backslash": {edited + "da\\ys,number,,,,,1\n", `line 17: feature: \y stands for nothing`},
	} {
		_, err := Read(strings.NewReader(c.text))
		var fault *TableError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	_, err := Read(failing{})
	if !errors.Is(err, errFailing) {
		t.Errorf("a reader that fails: error %v", err)
	}
}

var errFailing = errors.New("the disk is gone")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

// Any text is the same after it was written and read.
func TestTableRoundTrip(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("a|\\,\"\r\n e"))))
	rapid.Check(t, func(t *rapid.T) {
		levels := rapid.SliceOfNDistinct(text, 1, 5, rapid.ID).Draw(t, "levels")
		var spelt []string
		for _, level := range levels {
			spelt = append(spelt, escape(level, true))
		}
		row := Row{Line: 2, Feature: text.Draw(t, "feature"), Kind: "category", Levels: strings.Join(spelt, "|"), Points: "1"}
		var b bytes.Buffer
		if err := Write(&b, Table{row}); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(Table{row}, got); d != "" {
			t.Fatalf("(-written +read):\n%s", d)
		}
		again, err := unescape(got[0].Levels, true)
		if err != nil || !slices.Equal(again, levels) {
			t.Fatalf("levels %q, %v, want %q", again, err, levels)
		}
	})
}

// FuzzFromTable: whatever a file holds, it is refused, or it is a model that can be
// stored, answers with a finite number and writes a table of the very same model.
func FuzzFromTable(f *testing.F) {
	f.Add(edited)
	f.Add(strings.Replace(edited, "3,14", "3,13", 1))
	f.Add("feature,kind,from,to,levels,state,points\n,base,,,,,1e6\n,odds,,,,,1e-300\n,double,,,,,-1e-6\n,start,,,,,-0\ndays,number,,,,,1\n")
	e := editors()
	f.Fuzz(func(t *testing.T, text string) {
		table, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		r, err := FromTable(table, e)
		if err != nil {
			return
		}
		if _, err := models.LinearFromTable(r.Model.Table(), []int{0, 6, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		for _, x := range []float64{math.NaN(), -1, 0, 1, 30, 1e300} {
			if raw := r.Model.Raw([]float64{x, x, x, x, x}); math.IsNaN(raw) || math.IsInf(raw, 0) {
				t.Fatalf("Raw(%v) = %v", x, raw)
			}
		}
		written, err := Read(strings.NewReader(write(t, r.Table(e))))
		if err != nil {
			t.Fatal(err)
		}
		again, err := FromTable(written, e)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r.Model, again.Model, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-first +again):\n%s", d)
		}
	})
}
