package models

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"propensity/datasets"
)

var _ Model = (*Linear)(nil)

func smallLinear() *Linear {
	return &Linear{Intercept: -0.5, Terms: []Term{
		{Center: 10, Scale: 4, Weight: 2, Missing: 0.25, Mean: 0.125, Spread: 1.5},
		{Levels: []float64{1, -2, 0.5}, Missing: 0.75, Mean: -0.25, Spread: 0.5},
		{Scale: 1, Missing: -0.125, Mean: -0.0625},
	}}
}

// binnedLinear has numbers in bins among others.
func binnedLinear() *Linear {
	m := smallLinear()
	m.Terms = append([]Term{
		{Cuts: []float64{-1, 0, 2.5}, Levels: []float64{-4, 8, 16, 32}, Missing: 64, Mean: 0.5, Spread: 3},
	}, append(m.Terms, Term{Cuts: []float64{math.MaxFloat64}, Levels: []float64{0.25, 0.5}})...)
	return m
}

func TestNumberInBins(t *testing.T) {
	m := binnedLinear()
	inf := math.Inf(1)
	for _, c := range []struct{ x, want float64 }{
		{-inf, -4}, {-1.5, -4}, {-1, -4}, {math.Nextafter(-1, 0), 8}, {-0.5, 8}, {0, 8}, {math.Copysign(0, -1), 8},
		{math.SmallestNonzeroFloat64, 16}, {2.5, 16}, {math.Nextafter(2.5, 3), 32}, {1e300, 32}, {inf, 32}, {math.NaN(), 64},
	} {
		if got := m.Terms[0].At(c.x); got != c.want {
			t.Errorf("At(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if got := m.Terms[4].At(math.MaxFloat64); got != 0.25 {
		t.Errorf("the largest number of all contributes %v, want 0.25", got)
	}
}

// TestBinsAreThoseOfAScan compares with going through the cuts one by one.
func TestBinsAreThoseOfAScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		term := anyBins(t)
		x := rapid.OneOf(rapid.Float64(), rapid.SampledFrom(term.Cuts)).Draw(t, "x")
		k := 0
		for k < len(term.Cuts) && !(x <= term.Cuts[k]) {
			k++
		}
		if got := term.At(x); got != term.Levels[k] {
			t.Fatalf("At(%v) = %v, want that of bin %d, %v", x, got, k, term.Levels[k])
		}
	})
}

// anyBins draws cuts and levels.
func anyBins(t *rapid.T) Term {
	cuts := rapid.SliceOfNDistinct(rapid.Float64Range(-1e6, 1e6), 1, 30, func(x float64) float64 { return x + 0 }).Draw(t, "cuts")
	slices.Sort(cuts)
	levels := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), len(cuts)+1, len(cuts)+1).Draw(t, "bins")
	return Term{Cuts: cuts, Levels: levels}
}

func TestLinearRaw(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name string
		x    []float64
		want float64
	}{
		{"ordinary", []float64{12, 1, 7}, -0.5 + 1 - 2},
		{"missing", []float64{nan, nan, nan}, -0.5 + 0.25 + 0.75 - 0.125},
		{"unseen", []float64{10, -1, 0}, -0.5},
		{"code too high", []float64{10, 3, 0}, -0.5},
		{"code of no level", []float64{10, 0.5, 0}, -0.5},
		{"infinite code", []float64{10, inf, 0}, -0.5},
		{"minus infinite code", []float64{10, -inf, 0}, -0.5},
		{"infinite number of no weight", []float64{10, 0, inf}, 0.5},
		{"infinite number", []float64{inf, 0, 0}, 1e4 - 0.5 + 1},
		{"minus infinite number", []float64{-inf, 0, 0}, -1e4 - 0.5 + 1},
	} {
		if got := smallLinear().Raw(c.x); got != c.want {
			t.Errorf("%s: Raw(%v) = %v, want %v", c.name, c.x, got, c.want)
		}
	}
}

func TestLinearIsNeverNaN(t *testing.T) {
	huge := math.MaxFloat64
	m := &Linear{Terms: []Term{
		{Center: -huge, Scale: math.SmallestNonzeroFloat64, Weight: huge},
		{Center: huge, Scale: huge, Weight: -huge},
		{Levels: []float64{1e100, -1e100}},
	}}
	values := []float64{math.Inf(1), math.Inf(-1), huge, -huge, math.SmallestNonzeroFloat64, 0, 1, -1, math.NaN()}
	phi := make([]float64, 3)
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				x := []float64{a, b, c}
				sum := m.Explain(phi, x)
				for _, p := range phi {
					sum += p
				}
				if raw := m.Raw(x); math.IsNaN(raw) || math.IsInf(raw, 0) || math.IsNaN(sum) {
					t.Fatalf("%v: Raw %v, base + phi %v", x, raw, sum)
				}
			}
		}
	}
}

// TestLinearExplainIsShapley compares with the definition: the value of a coalition
// is the mean of Raw over all combinations of background values of the features
// outside it, since these are taken as independent.
func TestLinearExplainIsShapley(t *testing.T) {
	background := [][]float64{{3, 12, math.NaN(), 8, 20}, {0, 1, 1, -1, math.NaN()}, {1, 2, 3, 4, math.NaN()}}
	m := smallLinear()
	m.Terms[2].Weight = 0.375
	n := len(m.Terms)
	for j := range m.Terms {
		m.Terms[j].Mean = 0
		for _, b := range background[j] {
			m.Terms[j].Mean += m.Terms[j].At(b) / float64(len(background[j]))
		}
	}
	x := []float64{15, 2, 9}
	value := func(coalition uint) float64 {
		sum, count := 0.0, 0
		var walk func(row []float64)
		walk = func(row []float64) {
			switch j := len(row); {
			case j == n:
				sum += m.Raw(row)
				count++
			case coalition>>j&1 == 1:
				walk(append(row, x[j]))
			default:
				for _, b := range background[j] {
					walk(append(row, b))
				}
			}
		}
		walk(make([]float64, 0, n))
		return sum / float64(count)
	}
	factorial := []float64{1, 1, 2, 6}
	want := make([]float64, n)
	for j := range n {
		for s := range uint(1 << n) {
			if s>>j&1 == 0 {
				size := bits.OnesCount(s)
				want[j] += factorial[size] * factorial[n-size-1] / factorial[n] * (value(s|1<<j) - value(s))
			}
		}
	}
	got := make([]float64, n)
	base := m.Explain(got, x)
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Errorf("phi (-brute force +got):\n%s", d)
	}
	if v := value(0); math.Abs(base-v) > 1e-12 {
		t.Errorf("base %v, the mean of Raw is %v", base, v)
	}
}

func anyLinear(t *rapid.T) (*Linear, []int) {
	number := rapid.Float64Range(-1e6, 1e6)
	m := &Linear{Intercept: number.Draw(t, "intercept"), Terms: make([]Term, rapid.IntRange(0, 5).Draw(t, "terms"))}
	levels := make([]int, len(m.Terms))
	for j := range m.Terms {
		term := &m.Terms[j]
		term.Missing, term.Mean = number.Draw(t, "missing"), number.Draw(t, "mean")
		term.Spread = math.Abs(number.Draw(t, "spread"))
		if levels[j] = rapid.IntRange(0, 4).Draw(t, "levels"); levels[j] == 0 {
			if rapid.Bool().Draw(t, "binned") {
				bins := anyBins(t)
				term.Cuts, term.Levels = bins.Cuts, bins.Levels
				continue
			}
			term.Center, term.Weight = number.Draw(t, "center"), number.Draw(t, "weight")
			term.Scale = rapid.Float64Range(1e-3, 1e6).Draw(t, "scale")
			continue
		}
		for range levels[j] {
			term.Levels = append(term.Levels, number.Draw(t, "level"))
		}
	}
	return m, levels
}

func TestLinearExplainAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, levels := anyLinear(t)
		x, phi := make([]float64, len(levels)), make([]float64, len(levels))
		for j, n := range levels {
			switch rapid.IntRange(0, 2).Draw(t, "state") {
			case 0:
				x[j] = math.NaN()
			case 1:
				x[j] = float64(rapid.IntRange(-1, n).Draw(t, "code"))
			default:
				x[j] = rapid.Float64Range(-1e6, 1e6).Draw(t, "x")
			}
		}
		sum, size := m.Explain(phi, x), 1.0
		for j := range phi {
			sum += phi[j]
			size = max(size, math.Abs(phi[j]), math.Abs(m.Terms[j].Mean))
		}
		if raw := m.Raw(x); math.Abs(sum-raw) > 1e-14*max(size, math.Abs(raw))*float64(2+len(x)) {
			t.Fatalf("base + sum(phi) = %v, Raw = %v", sum, raw)
		}
	})
}

func TestLinearTableRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, levels := anyLinear(t)
		got, err := LinearFromTable(m.Table(), levels)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		for j, want := range m.Importance() {
			if want != m.Terms[j].Spread {
				t.Fatalf("importance of %d is %v, spread %v", j, want, m.Terms[j].Spread)
			}
		}
	})
}

// TestLinearFromDamagedTable changes every cell, row and column of a good table.
func TestLinearFromDamagedTable(t *testing.T) {
	t.Run("weights", func(t *testing.T) {
		testDamagedTables(t, smallLinear, []int{0, 3, 0})
	})
	t.Run("bins", func(t *testing.T) {
		testDamagedTables(t, binnedLinear, []int{0, 0, 3, 0, 0})
	})
	for name, cuts := range map[string][]float64{
		"twice": {-1, -1, 2.5}, "falling": {0, -1, 2.5}, "the last below": {-1, 0, -0.5}, "infinite": {-1, 0, math.Inf(1)},
		"missing": {-1, math.NaN(), 2.5}, "minus infinite": {math.Inf(-1), 0, 2.5},
	} {
		table := binnedLinear().Table()
		copy(table.Columns[3].Numbers[1:], cuts)
		if m, err := LinearFromTable(table, []int{0, 0, 3, 0, 0}); err == nil {
			t.Errorf("cuts %s: no error, got %+v", name, m)
		}
	}
	// A cut too many, with or without the level that belongs to it.
	table := binnedLinear().Table()
	for _, order := range [][]int{append([]int{0, 1}, upTo(table.Rows())[1:]...), append([]int{0, 1, 2, 3, 3, 4}, upTo(table.Rows())[4:]...)} {
		if m, err := LinearFromTable(table.Take(order), []int{0, 0, 3, 0, 0}); err == nil {
			t.Errorf("rows %v: no error, got %+v", order, m)
		}
	}
}

func testDamagedTables(t *testing.T, model func() *Linear, levels []int) {
	rows := model().Table().Rows()
	type damage struct {
		name string
		do   func(t *datasets.Table)
	}
	cases := []damage{
		{"no columns", func(t *datasets.Table) { t.Columns = nil }},
		{"one column more", func(t *datasets.Table) {
			t.Columns = append(t.Columns, datasets.Column{Name: "more", Kind: datasets.Number, Numbers: make([]float64, rows)})
		}},
		{"short column", func(t *datasets.Table) { t.Columns[3].Numbers = t.Columns[3].Numbers[1:] }},
		{"row twice", func(t *datasets.Table) { *t = *t.Take(append(upTo(rows), rows-1)) }},
		{"rows turned", func(t *datasets.Table) {
			order := upTo(rows)
			slices.Reverse(order)
			*t = *t.Take(order)
		}},
		{"negative scale", func(t *datasets.Table) { t.Columns[3].Numbers[placeOf(t, "scale")] = -4 }},
		{"zero scale", func(t *datasets.Table) { t.Columns[3].Numbers[placeOf(t, "scale")] = 0 }},
		{"negative spread", func(t *datasets.Table) { t.Columns[3].Numbers[placeOf(t, "spread")] = -1e-9 }},
		{"level of 1e101", func(t *datasets.Table) { t.Columns[3].Numbers[placeOf(t, "level")] = 1e101 }},
	}
	for j := range 4 {
		cases = append(cases,
			damage{fmt.Sprintf("column %d gone", j), func(t *datasets.Table) { t.Columns = slices.Delete(t.Columns, j, j+1) }},
			damage{fmt.Sprintf("column %d of another name", j), func(t *datasets.Table) { t.Columns[j].Name += "s" }},
			damage{fmt.Sprintf("column %d of another kind", j), func(t *datasets.Table) {
				t.Columns[j] = datasets.Column{Name: t.Columns[j].Name, Kind: datasets.Time, Times: make([]int64, rows)}
			}})
	}
	for i := range rows {
		cases = append(cases, damage{fmt.Sprintf("without row %d", i), func(t *datasets.Table) {
			*t = *t.Take(slices.Delete(upTo(rows), i, i+1))
		}}, damage{fmt.Sprintf("row %d: part missing", i), func(t *datasets.Table) { t.Columns[1].Codes[i] = -1 }},
			damage{fmt.Sprintf("row %d: other part", i), func(t *datasets.Table) {
				t.Columns[1].Codes[i] = (t.Columns[1].Codes[i] + 1) % int32(len(t.Columns[1].Values))
			}})
		for _, j := range []int{0, 2, 3} {
			for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0.5, -1, 1e300} {
				if j == 3 && !math.IsNaN(x) && !math.IsInf(x, 0) {
					continue // may well be a value
				}
				if x0 := model().Table().Columns[j].Numbers[i]; sameNumber(x, x0) {
					continue
				}
				cases = append(cases, damage{fmt.Sprintf("row %d, column %d: %v", i, j, x), func(t *datasets.Table) {
					t.Columns[j].Numbers[i] = x
				}})
			}
		}
	}
	for _, c := range cases {
		table := model().Table()
		c.do(table)
		if m, err := LinearFromTable(table, levels); err == nil {
			t.Errorf("%s: no error, got %+v", c.name, m)
		}
	}
	others := [][]int{nil, levels[1:], append(slices.Clone(levels), 0), {0, math.MaxInt, math.MaxInt}}
	for j := range levels {
		for _, n := range []int{-3, 0, 1, 2, 3, 4} {
			if other := slices.Clone(levels); n != levels[j] {
				other[j] = n
				others = append(others, other)
			}
		}
	}
	for _, other := range others {
		if m, err := LinearFromTable(model().Table(), other); err == nil {
			t.Errorf("levels %v: no error, got %+v", other, m)
		}
	}
}

// placeOf is the first row of a part.
func placeOf(t *datasets.Table, part string) int {
	for i := range t.Rows() {
		if t.Columns[1].At(i).Text == part {
			return i
		}
	}
	return -1
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// FuzzLinearFromTable changes one row: the table is refused, or it is a model
// that writes that very table and never answers NaN.
func FuzzLinearFromTable(f *testing.F) {
	f.Add(0, 0.0, 0.0, 0.0, int32(0), 1.0)
	f.Add(3, 0.0, math.NaN(), 1e308, int32(3), math.Inf(1))
	f.Add(8, 1.0, 1.0, -1e100, int32(7), 1.0)
	f.Add(2, 0.0, 1.0, 0.5, int32(1), -1.0)
	f.Add(3, 0.0, 2.0, 1e308, int32(1), 1e308)
	f.Fuzz(func(t *testing.T, row int, feature, level, value float64, part int32, x float64) {
		table := binnedLinear().Table()
		row = int(uint(row) % uint(table.Rows()))
		table.Columns[0].Numbers[row] = feature
		table.Columns[1].Codes[row] = max(-1, part%int32(len(table.Columns[1].Values)))
		table.Columns[2].Numbers[row] = level
		table.Columns[3].Numbers[row] = value
		m, err := LinearFromTable(table, []int{0, 0, 3, 0, 0})
		if err != nil {
			return
		}
		if d := cmp.Diff(table, m.Table(), cmpopts.EquateNaNs()); d != "" {
			t.Fatalf("(-read +written):\n%s", d)
		}
		if raw := m.Raw([]float64{x, x, x, x, x}); math.IsNaN(raw) || math.IsInf(raw, 0) {
			t.Fatalf("Raw(%v) = %v", x, raw)
		}
	})
}

func BenchmarkLinearRawBins(b *testing.B) {
	m := &Linear{}
	x := make([]float64, 20)
	for j := range x {
		m.Terms = append(m.Terms, Term{Cuts: []float64{1, 2, 4, 8, 16, 32}, Levels: []float64{1, 2, 3, 4, 5, 6, 7}})
		x[j] = float64(j * 2)
	}
	for b.Loop() {
		m.Raw(x)
	}
}

func BenchmarkLinearRaw(b *testing.B) {
	m := &Linear{}
	x := make([]float64, 20)
	for j := range x {
		if j%2 == 0 {
			m.Terms = append(m.Terms, Term{Center: 3, Scale: 2, Weight: 0.1})
		} else {
			m.Terms = append(m.Terms, Term{Levels: []float64{1, 2, 3}})
		}
		x[j] = float64(j % 3)
	}
	for b.Loop() {
		m.Raw(x)
	}
}
