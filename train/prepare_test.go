package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	regression "propensity/train/logistic"
)

// numbers, booleans, categories and times make columns; NaN, "" and MissingTime
// are missing.
func numbers(name string, xs ...float64) datasets.Column {
	return datasets.Column{Name: name, Kind: datasets.Number, Numbers: xs}
}

func booleans(name string, xs ...float64) datasets.Column {
	return datasets.Column{Name: name, Kind: datasets.Boolean, Numbers: xs}
}

func times(name string, days ...int) datasets.Column {
	c := datasets.Column{Name: name, Kind: datasets.Time}
	for _, d := range days {
		c.Times = append(c.Times, int64(d)*24*60*60*1e6)
	}
	return c
}

func categories(name string, texts ...string) datasets.Column {
	c := datasets.Column{Name: name, Kind: datasets.Category}
	for _, s := range texts {
		k := slices.Index(c.Values, s)
		switch {
		case s == "":
			k = -1
		case k < 0:
			k = len(c.Values)
			c.Values = append(c.Values, s)
		}
		c.Codes = append(c.Codes, int32(k))
	}
	return c
}

func ids(name string, texts ...string) datasets.Column {
	c := categories(name, texts...)
	c.Kind = datasets.Text
	return c
}

func tableOf(columns ...datasets.Column) *datasets.Table { return &datasets.Table{Columns: columns} }

// says fails unless the error is of that kind and its text holds all the words.
func says(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, expected %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestReadLabel(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name     string
		column   datasets.Column
		positive string
		want     []float64
		rows     []int
		spelled  string
	}{
		{"booleans", booleans("y", 1, 0, 0), "", []float64{1, 0, 0}, []int{0, 1, 2}, "true"},
		{"booleans by a number", booleans("y", 1, 0), "1", []float64{1, 0}, []int{0, 1}, "true"},
		{"booleans in capitals", booleans("y", 1, 0), "TRUE", []float64{1, 0}, []int{0, 1}, "true"},
		{"booleans, false is positive", booleans("y", 1, 0), "0", []float64{0, 1}, []int{0, 1}, "false"},
		{"zero and one", numbers("y", 0, 1, 1), "", []float64{0, 1, 1}, []int{0, 1, 2}, "1"},
		{"numbers spelled otherwise", numbers("y", 0, 1), "1.0", []float64{0, 1}, []int{0, 1}, "1"},
		{"other numbers", numbers("y", 2, 3), "2", []float64{1, 0}, []int{0, 1}, "2"},
		{"texts", categories("y", "No", "Yes"), "Yes", []float64{0, 1}, []int{0, 1}, "Yes"},
		{"texts, the other", categories("y", "No", "Yes"), "No", []float64{1, 0}, []int{0, 1}, "No"},
		{"texts of 0 and 1", categories("y", "0", "1"), "", []float64{0, 1}, []int{0, 1}, "1"},
		{"missing between", numbers("y", nan, 1, nan, 0), "", []float64{1, 0}, []int{1, 3}, "1"},
		{"missing text", categories("y", "", "a", "b"), "b", []float64{0, 1}, []int{1, 2}, "b"},
	} {
		rows, label, spelled, err := readLabel(&c.column, c.positive)
		if err != nil || !slices.Equal(label, c.want) || !slices.Equal(rows, c.rows) || spelled != c.spelled {
			t.Errorf("%s: rows %v, label %v, spelled %q, %v", c.name, rows, label, spelled, err)
		}
	}
}

func TestReadLabelRefuses(t *testing.T) {
	nan := math.NaN()
	many := make([]float64, 0, 100)
	for i := range 100 {
		many = append(many, float64(i/2))
	}
	for _, c := range []struct {
		name     string
		column   datasets.Column
		positive string
		words    []string
	}{
		{"only missing", numbers("y", nan, nan), "", []string{`"y"`, "missing in every row"}},
		{"one class", numbers("y", 1, 1, nan), "", []string{`"y"`, `only the value "1"`}},
		{"three classes", categories("y", "a", "b", "c", "a"), "a", []string{`"a" (2 rows)`, `"c" (1 rows)`, "merge values"}},
		{"many classes", numbers("y", many...), "1", []string{"more than 5 values", `"0" (2 rows)`}},
		{"positive unsaid", categories("y", "No", "Yes", "Yes"), "", []string{`"No" (1 rows)`, `"Yes" (2 rows)`, "--label y=Yes"}},
		{"positive absent", categories("y", "No", "Yes"), "yes", []string{`positive value "yes"`, `"Yes" (1 rows)`}},
		{"positive of another kind", numbers("y", 0, 1), "Yes", []string{`positive value "Yes"`, `"0"`, `"1"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, _, err := readLabel(&c.column, c.positive)
			says(t, err, ErrLabel, c.words...)
			if (c.name == "one class") != errors.Is(err, regression.ErrOneClass) {
				t.Errorf("ErrOneClass: %v", err)
			}
		})
	}
}

func TestPrepareNamesAllAbsentColumns(t *testing.T) {
	table := tableOf(numbers("x", 1, 2), numbers("y", 0, 1))
	s := Spec{Name: "m", ID: "who", Time: "when", Label: "what", Value: "money", Drop: []string{"gone", "x"},
		Types: map[string]datasets.Kind{"typo": datasets.Number}}
	_, err := prepare(inMemory{table}, s)
	says(t, err, ErrTable, `"who"`, `"when"`, `"what"`, `"money"`, `"gone"`, `"typo"`, `["x" "y"]`)

	_, err = prepare(inMemory{&datasets.Table{Columns: []datasets.Column{numbers("y")}}}, Spec{Label: "y"})
	says(t, err, ErrTable, "no rows")
}

func TestPrepareRoles(t *testing.T) {
	nan := math.NaN()
	table := tableOf(
		ids("who", "a", "b", "a", "c"), times("when", 1, 1, 2, 3), numbers("x", 1, 2, 3, 4),
		numbers("money", 10, nan, 30, 40), categories("note", "p", "q", "r", "s"), numbers("y", 0, nan, 1, 0))
	p, err := prepare(inMemory{table}, Spec{Name: "m", ID: "who", Time: "when", Label: "y", Value: "money", Drop: []string{"note"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.candidates; !slices.Equal(got, []string{"x", "money"}) {
		t.Errorf("candidates %v: the value is a feature, other roles are not", got)
	}
	if p.unlabelled != 1 || len(p.notes) != 1 || !slices.Equal(p.places, []int{0, 2, 3}) {
		t.Errorf("unlabelled %d, notes %q, places %v", p.unlabelled, p.notes, p.places)
	}
	if !slices.Equal(p.value, []float64{10, 30, 40}) || !slices.Equal(p.group, []int{0, 0, 1}) || p.accounts != 2 {
		t.Errorf("value %v, group %v, accounts %d", p.value, p.group, p.accounts)
	}
	if d := p.data("f"); d.Rows != 3 || d.Positives != 1 || d.Unlabelled != 1 || d.Accounts != 2 {
		t.Errorf("data %+v", d)
	}
}

func TestPrepareRefuses(t *testing.T) {
	y := numbers("y", 0, 1, 0, 1)
	missing := times("when", 1, 2, 3, 4)
	missing.Times[2] = datasets.MissingTime
	for _, c := range []struct {
		name  string
		table *datasets.Table
		spec  Spec
		words []string
	}{
		{"moment missing", tableOf(missing, y), Spec{Time: "when"}, []string{"row 3", `"when"`}},
		{"moment not a time", tableOf(categories("when", "May", "June", "July", "May"), y), Spec{Time: "when"}, []string{`"when"`, "category", "2026-03-01"}},
		{"account missing", tableOf(ids("who", "a", "", "b", "c"), y), Spec{ID: "who"}, []string{"row 2", `"who"`}},
		{"value is text", tableOf(categories("money", "a", "b", "c", "d"), y), Spec{Value: "money"}, []string{`"money"`, "category"}},
		{"an account twice at a moment", tableOf(ids("who", "a", "b", "a", "b"), times("when", 1, 2, 1, 2), y), Spec{ID: "who", Time: "when"},
			[]string{"2 rows repeat", `"a" at 1970-01-02T00:00:00Z in rows 1 and 3`, `"b"`, "rows 2 and 4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Label = "y"
			_, err := prepare(inMemory{c.table}, c.spec)
			says(t, err, ErrTable, c.words...)
		})
	}
	t.Run("rows are those of the file", func(t *testing.T) {
		table := tableOf(ids("who", "u", "a", "b", "a"), times("when", 9, 1, 2, 1), numbers("y", math.NaN(), 0, 1, 1))
		_, err := prepare(inMemory{table}, Spec{ID: "who", Time: "when", Label: "y"})
		says(t, err, ErrTable, "rows 2 and 4")
	})
	t.Run("an account may come again", func(t *testing.T) {
		table := tableOf(ids("who", "a", "a", "b", "b"), times("when", 1, 2, 1, 2), y)
		if _, err := prepare(inMemory{table}, Spec{ID: "who", Time: "when", Label: "y"}); err != nil {
			t.Error(err)
		}
	})
}

// Rows of the same content are one account, however NaN, 0 and the order of the
// columns are written; rows that differ anywhere are not.
func TestContentKeys(t *testing.T) {
	keysOf := func(t *testing.T, table *datasets.Table, seed uint64) []uint64 {
		p := &prepared{source: inMemory{table}, candidates: table.Names(), label: make([]float64, table.Rows())}
		if err := p.contentKeys(seed); err != nil {
			t.Fatal(err)
		}
		return p.keys
	}
	otherNaN := math.Float64frombits(0x7ff8000000000123)
	x := numbers("x", 1, 1, math.NaN(), otherNaN, 0, math.Copysign(0, -1), 2)
	c := categories("c", "a", "a", "b", "b", "", "", "a")
	w := times("w", 1, 1, 2, 2, 3, 3, 1)
	keys := keysOf(t, tableOf(x, c, w), 7)
	for i := 0; i < 6; i += 2 {
		if keys[i] != keys[i+1] {
			t.Errorf("rows %d and %d hold the same", i, i+1)
		}
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(keys)))
	if len(distinct) != 4 {
		t.Errorf("%d different rows, expected 4", len(distinct))
	}
	if !slices.Equal(keys, keysOf(t, tableOf(w, x, c), 7)) {
		t.Error("the order of columns counts")
	}
	if slices.Equal(keys, keysOf(t, tableOf(x, c, w), 8)) {
		t.Error("the seed does not count")
	}
	codes := categories("c", "b", "b", "a", "a", "", "", "b") // other codes for the same texts
	codes.Values[0], codes.Values[1] = "a", "b"
	if !slices.Equal(keys, keysOf(t, tableOf(x, codes, w), 7)) {
		t.Error("the codes count, not the texts")
	}
	swapped := keysOf(t, tableOf(numbers("a", 1, 2), numbers("b", 2, 1)), 7)
	if swapped[0] == swapped[1] {
		t.Error("values in other columns give the same key")
	}
}

func TestLeaveOutCopies(t *testing.T) {
	label := []float64{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}
	nan := math.NaN()
	n := len(label)
	grow := make([]float64, n)
	for i := range grow {
		grow[i] = float64(i)
	}
	missing, coarse, nearly := make([]float64, n), make([]string, n), make([]float64, n)
	for i, y := range label {
		missing[i] = nan
		if y == 1 {
			missing[i] = 3
		}
		coarse[i] = fmt.Sprintf("%v-%d", y, i%4/2)
		nearly[i] = y
	}
	nearly[0] = 1
	table := tableOf(numbers("copy", label...), numbers("says by being missing", missing...), categories("finer", coarse...),
		numbers("nearly", nearly...), numbers("all different", grow...), numbers("constant", make([]float64, n)...))
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	p := &prepared{source: inMemory{table}, candidates: table.Names(), label: label, group: all}
	e, err := p.encode(all)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.encoder.Columns) != 2 || e.encoder.Columns[0].Name != "nearly" || e.encoder.Columns[1].Name != "all different" {
		t.Errorf("kept %+v", e.encoder.Columns)
	}
	if len(e.left) != 4 || !strings.Contains(e.left[0].Reason, "copy of the label") || strings.Contains(e.left[3].Reason, "label") {
		t.Errorf("left out %+v", e.left)
	}
}
