package tree

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"propensity/datasets"
)

func TestTableGivesTheSameEnsemble(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := fromRapid(rt)
		levels := randomLevels(draw, 5)
		b := NewBuilder(levels, float64(draw(100))/7)
		for range draw(4) {
			if err := b.Add(randomTree(draw, levels, 1+draw(8))); err != nil {
				rt.Fatal(err)
			}
		}
		e, err := b.Build()
		if err != nil {
			rt.Fatal(err)
		}
		table := e.Table()
		got, err := FromTable(table, levels)
		if err != nil {
			rt.Fatal(err)
		}
		same(t, got, e, [][]float64{randomRow(draw, levels), randomRow(draw, levels)})
		if diff := cmp.Diff(table, got.Table(), cmpopts.EquateNaNs()); diff != "" {
			rt.Fatalf("another table (-first +second):\n%s", diff)
		}
	})
}

// small is two trees whose table has every kind of row:
//
//	row 0 base
//	1 numeric split, 2 categorical split, 3 leaf, 4 leaf, 5 leaf
//	6 leaf of the second tree
func small(t testing.TB) (*Ensemble, []int) {
	levels := []int{0, 3}
	return build(t, levels, 0.25,
		[]Node{
			{Feature: 0, Threshold: 1.5, MissingYes: true, Yes: 1, No: 2, Cover: 10},
			{Feature: 1, Set: []int32{0, 2}, UnseenYes: true, Yes: 3, No: 4, Cover: 6},
			leaf(1, 4), leaf(2, 5), leaf(3, 1),
		},
		[]Node{leaf(0.5, 10)},
	), levels
}

func TestTableByHand(t *testing.T) {
	e, _ := small(t)
	var got []string
	table := e.Table()
	got = append(got, strings.Join(table.Names(), ","))
	for i := range table.Rows() {
		var cells []string
		for k := range table.Columns {
			cells = append(cells, table.Columns[k].At(i).String())
		}
		got = append(got, strings.Join(cells, ","))
	}
	want := []string{
		"tree,feature,threshold,categories,missing_yes,unseen_yes,yes,no,value,cover",
		"-1,,,,,,,,0.25,",
		"0,0,1.5,,true,,1,2,,10",
		"0,1,,0 2,false,true,3,4,,6",
		"0,,,,,,,,1,4",
		"0,,,,,,,,2,5",
		"0,,,,,,,,3,1",
		"1,,,,,,,,0.5,10",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestFromTableRefuses(t *testing.T) {
	nan := math.NaN()
	set := func(column, row int, x float64) func(*datasets.Table) {
		return func(t *datasets.Table) { t.Columns[column].Numbers[row] = x }
	}
	text := func(row int, s string) func(*datasets.Table) {
		return func(t *datasets.Table) {
			c := &t.Columns[categoriesColumn]
			c.Values = append(c.Values, s)
			c.Codes[row] = int32(len(c.Values) - 1)
		}
	}
	for name, c := range map[string]struct {
		damage func(*datasets.Table)
		want   string
	}{
		"no columns":          {func(t *datasets.Table) { t.Columns = nil }, "0 columns"},
		"a column less":       {func(t *datasets.Table) { t.Columns = t.Columns[:9] }, "9 columns"},
		"a column more":       {func(t *datasets.Table) { t.Columns = append(t.Columns, t.Columns[0]) }, "11 columns"},
		"columns in disorder": {func(t *datasets.Table) { slices.Reverse(t.Columns) }, "column 0"},
		"another kind":        {func(t *datasets.Table) { t.Columns[missingColumn].Kind = datasets.Number }, "column 4"},
		"a short column":      {func(t *datasets.Table) { t.Columns[coverColumn].Numbers = nil }, `"cover" has 0 rows of 7`},
		"text out of range":   {func(t *datasets.Table) { t.Columns[categoriesColumn].Codes[2] = 1 }, "value 1 of 1"},
		"no rows":             {func(t *datasets.Table) { *t = *t.Take([]int{}) }, "no first row"},
		"no base row":         {func(t *datasets.Table) { *t = *t.Take([]int{1, 2, 3, 4, 5}) }, "no first row"},
		"base with a cover":   {set(coverColumn, 0, 1), "row 0: cover"},
		"base missing":        {set(valueColumn, 0, nan), "row 0: value is missing"},
		"base infinite":       {set(valueColumn, 0, math.Inf(1)), "base +Inf"},
		"tree missing":        {set(treeColumn, 3, nan), "row 3"},
		"tree back":           {set(treeColumn, 6, 0), "tree 0, node 5"},
		"tree skipped":        {set(treeColumn, 6, 2), "row 6: tree 2 after tree 0"},
		"first tree skipped":  {set(treeColumn, 1, 1), "row 1: tree 1 after tree 0"},
		"tree cut":            {func(t *datasets.Table) { *t = *t.Take([]int{0, 1, 2, 3, 4}) }, "tree 0, node 1: child 4"},
		"feature half":        {set(featureColumn, 1, 0.5), "row 1: feature is 0.5"},
		"feature negative":    {set(featureColumn, 1, -1), "row 1: feature is -1"},
		"feature beyond":      {set(featureColumn, 1, 2), "row 1: feature 2 of 2"},
		"feature infinite":    {set(featureColumn, 1, math.Inf(1)), "row 1: feature is +Inf"},
		"feature of no kind":  {set(featureColumn, 1, nan), "row 1: threshold is 1.5"},
		"number to category":  {set(featureColumn, 1, 1), "row 1: threshold is 1.5"},
		"category to number":  {set(featureColumn, 2, 0), "row 2: threshold is missing"},
		"leaf to split":       {set(featureColumn, 3, 0), "row 3: threshold is missing"},
		"threshold missing":   {set(thresholdColumn, 1, nan), "row 1: threshold is missing"},
		"threshold infinite":  {set(thresholdColumn, 1, math.Inf(1)), "tree 0, node 0: threshold +Inf"},
		"both splits":         {text(1, "1"), "row 1: categories is 1"},
		"empty set":           {text(1, ""), "row 1: categories is "},
		"no code":             {text(2, "0 x"), `row 2: categories: "x"`},
		"code with a plus":    {text(2, "+1"), `row 2: categories: "+1"`},
		"code with a zero":    {text(2, "01"), `row 2: categories: "01"`},
		"two spaces":          {text(2, "0  2"), `row 2: categories: ""`},
		"codes in disorder":   {text(2, "2 0"), "tree 0, node 1: category 0 after 2"},
		"code beyond":         {text(2, "3"), "tree 0, node 1: category 3"},
		"code beyond int32":   {text(2, "4294967296"), `row 2: categories: "4294967296"`},
		"missing_yes missing": {set(missingColumn, 1, nan), "row 1: missing_yes is missing"},
		"missing_yes two":     {set(missingColumn, 1, 2), "row 1: missing_yes is 2"},
		"unseen_yes two":      {set(unseenColumn, 2, 2), "row 2: unseen_yes is 2"},
		"unseen of a number":  {set(unseenColumn, 1, 1), "row 1: unseen_yes is true"},
		"yes half":            {set(yesColumn, 1, 1.5), "row 1: yes is 1.5"},
		"no missing":          {set(noColumn, 1, nan), "row 1: no is missing"},
		"no huge":             {set(noColumn, 1, 1e18), "row 1: no is 1e+18"},
		"value of a split":    {set(valueColumn, 1, 1), "row 1: value is 1"},
		"value missing":       {set(valueColumn, 3, nan), "row 3: value is missing"},
		"cover missing":       {set(coverColumn, 3, nan), "row 3: cover is missing"},
		"cover changed":       {set(coverColumn, 3, 5), "tree 0, node 0: cover 10"},
	} {
		e, levels := small(t)
		table := e.Table()
		c.damage(table)
		got, err := FromTable(table, levels)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	e, _ := small(t)
	for _, levels := range [][]int{nil, {0}, {0, 0}, {0, 2}, {3, 0}, {0, -3}} {
		if _, err := FromTable(e.Table(), levels); !errors.Is(err, ErrInvalid) {
			t.Errorf("levels %v: error %v", levels, err)
		}
	}
}

// Any change of any two cells is an error or a model that serves; what serves
// writes itself down the same.
func FuzzFromTable(f *testing.F) {
	place := func(column, row uint16) uint16 { return row*uint16(len(columns)) + column }
	f.Add(place(treeColumn, 0), -1.0, "", place(valueColumn, 0), 3.5, "")
	f.Add(place(yesColumn, 2), 4.0, "", place(noColumn, 2), 3.0, "")
	f.Add(place(treeColumn, 6), 0.0, "", place(yesColumn, 2), 5.0, "")
	f.Add(place(featureColumn, 2), 0.0, "", place(thresholdColumn, 2), 1.0, "")
	f.Add(place(thresholdColumn, 1), math.Inf(-1), "", place(missingColumn, 1), 0.0, "")
	f.Add(place(categoriesColumn, 2), 0.0, "0 1 2", place(missingColumn, 2), 1.0, "")
	f.Add(place(categoriesColumn, 2), math.NaN(), "9", place(unseenColumn, 2), 0.0, "")
	f.Add(place(coverColumn, 6), 5e-324, "", place(valueColumn, 3), -7.5, "")
	f.Fuzz(func(t *testing.T, cell1 uint16, number1 float64, text1 string, cell2 uint16, number2 float64, text2 string) {
		e, levels := small(t)
		table := e.Table()
		change := func(cell uint16, number float64, text string) {
			c := &table.Columns[int(cell)%len(columns)]
			row := int(cell) / len(columns) % table.Rows()
			switch {
			case c.Kind != datasets.Text:
				c.Numbers[row] = number
			case math.IsNaN(number):
				c.Codes[row] = -1
			default:
				c.Values = append(c.Values, text)
				c.Codes[row] = int32(len(c.Values) - 1)
			}
		}
		change(cell1, number1, text1)
		change(cell2, number2, text2)
		got, err := FromTable(table, levels)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, err := FromTable(got.Table(), levels)
		if err != nil {
			t.Fatal(err)
		}
		scale := math.Abs(got.base)
		for _, n := range got.nodes {
			if n.feature < 0 {
				scale = max(scale, math.Abs(n.number))
			}
		}
		phi := make([]float64, 2)
		for _, x := range [][]float64{{1, 0}, {2, 1}, {math.NaN(), -1}, {math.Inf(1), math.NaN()}, {1.5, 2}} {
			raw, sum := got.Raw(x), got.Explain(phi, x)
			sum += phi[0] + phi[1]
			if math.IsNaN(raw) || math.IsInf(raw, 0) {
				t.Fatalf("raw %v", raw)
			}
			if !(math.Abs(raw-sum) <= 1e-12*scale) {
				t.Fatalf("base + sum(phi) is %v, raw %v", sum, raw)
			}
			same(t, again, got, [][]float64{x})
		}
	})
}

func TestTableSurvivesItsFile(t *testing.T) {
	e, rows := big(t, 30, 15)
	b, err := datasets.MarshalIPC(e.Table())
	if err != nil {
		t.Fatal(err)
	}
	table, err := datasets.UnmarshalIPC(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := FromTable(table, e.Levels())
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, e, rows[:30])
}
