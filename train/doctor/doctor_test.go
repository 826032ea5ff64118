package doctor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/models/evaluate"
)

// At an area of 1/2 all is known: two of three equal ones are above with chance 1/3.
func TestBothAbove(t *testing.T) {
	if q := bothAbove(0.5); math.Abs(q-1./3) > 1e-14 {
		t.Errorf("%v, want 1/3", q)
	}
	// The variance of a rank sum without a difference: (m + n + 1) / 12mn.
	if got, want := halfWidth(0.5, 30, 70), normal*math.Sqrt(101./12/30/70); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
}

// The formula against the spread of areas of drawn scores.
func TestHalfWidthOfDrawnScores(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ positives, negatives int }{{20, 200}, {100, 100}, {60, 1000}} {
		var areas []float64
		y, score := make([]float64, c.positives+c.negatives), make([]float64, c.positives+c.negatives)
		for i := range c.positives {
			y[i] = 1
		}
		for range 4000 {
			for i := range score {
				score[i] = r.NormFloat64() + y[i]*math.Sqrt2*0.6744897501960817 // an area of 0.75
			}
			areas = append(areas, evaluate.ROCAUC(y, score))
		}
		mean, square := 0.0, 0.0
		for _, a := range areas {
			mean += a / float64(len(areas))
		}
		for _, a := range areas {
			square += (a - mean) * (a - mean) / float64(len(areas)-1)
		}
		got, want := halfWidth(taken, float64(c.positives), float64(c.negatives)), normal*math.Sqrt(square)
		if math.Abs(got/want-1) > 0.04 { // chance is 1 % of it
			t.Errorf("%d and %d: ±%.4f, drawn ±%.4f", c.positives, c.negatives, got, want)
		}
	}
}

// labelled is n rows, the first of them positive.
func labelled(n, positives int) Input {
	in := Input{Label: make([]float64, n), Holdout: 0.2}
	for i := range positives {
		in.Label[i] = 1
	}
	return in
}

func TestPowerHalves(t *testing.T) {
	for _, c := range [][2]int{{100, 900}, {400, 400}, {3000, 1000}, {7, 3}} {
		p := powerOf(c[0], c[1], labelled(c[0]+c[1], c[0]))
		times := 1 + float64(p.ToHalve)/float64(c[0])
		got := halfWidth(taken, times*float64(c[0])*0.2, times*float64(c[1])*0.2)
		fewer := 1 + float64(p.ToHalve-1)/float64(c[0])
		before := halfWidth(taken, fewer*float64(c[0])*0.2, fewer*float64(c[1])*0.2)
		if got > p.HalfWidth/2 || before <= p.HalfWidth/2 {
			t.Errorf("%v: %d more positives give ±%.4f, one fewer ±%.4f, half of ±%.4f is wanted", c, p.ToHalve, got, before, p.HalfWidth)
		}
	}
}

// One positive a day: as many days as positives are still to come.
func TestPowerByDay(t *testing.T) {
	in := labelled(1000, 0)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range in.Label {
		in.Moments = append(in.Moments, start.Add(time.Duration(i)*6*time.Hour).UnixMicro())
		if i%4 == 0 {
			in.Label[i] = 1
		}
	}
	r, err := Examine(in)
	if err != nil {
		t.Fatal(err)
	}
	last := time.UnixMicro(in.Moments[len(in.Moments)-1]).UTC()
	by, err := time.Parse(time.DateOnly, r.Power.By)
	if err != nil {
		t.Fatal(err)
	}
	if days := by.Sub(last).Hours() / 24; math.Abs(days-float64(r.Power.ToHalve)) > 0.02*float64(r.Power.ToHalve)+2 {
		t.Errorf("%d positives, one a day, by %s: in %.0f days", r.Power.ToHalve, r.Power.By, days)
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		rows, positives, columns int
		want                     Verdict
		why                      string
	}{
		{20000, 5000, 10, Enough, ""},
		{20000, 5000, 0, TooLittle, "no column"},
		{20000, 400, 10, Thin, "a ROC AUC"}, // ±0.053
		{20000, 2000, 201, Thin, "9.9 a column"},
		{20000, 49, 2, TooLittle, "49 accounts"},
		{300, 255, 2, TooLittle, "45 accounts"},
	} {
		in := labelled(c.rows, c.positives)
		r := rand.New(rand.NewPCG(1, 2))
		for k := range c.columns {
			column := datasets.Column{Name: fmt.Sprint("x", k), Kind: datasets.Number}
			for range c.rows {
				column.Numbers = append(column.Numbers, float64(r.IntN(100)))
			}
			in.Columns = append(in.Columns, column)
		}
		got, err := Examine(in)
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict != c.want || !strings.Contains(strings.Join(got.Why, "; "), c.why) {
			t.Errorf("%+v: %s, %q, ±%.4f", c, got.Verdict, got.Why, got.Power.HalfWidth)
		}
	}
}

// Rows of one account count once.
func TestAccounts(t *testing.T) {
	in := labelled(6, 3)
	in.Group = []int{0, 0, 1, 1, 2, 2}
	r, err := Examine(in)
	if err != nil {
		t.Fatal(err)
	}
	if positive, negative := outcomes(in); positive != 2 || negative != 1 || r.Accounts != 3 {
		t.Errorf("%d positive and %d other accounts of %d", positive, negative, r.Accounts)
	}
}

func TestColumns(t *testing.T) {
	const n = 400
	nan := math.NaN()
	in := labelled(n, 100)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n { // not in order
		in.Moments = append(in.Moments, start.AddDate(0, 0, (i*7)%n).UnixMicro())
	}
	number := func(name string, f func(i int) float64) {
		c := datasets.Column{Name: name, Kind: datasets.Number}
		for i := range n {
			c.Numbers = append(c.Numbers, f(i))
		}
		in.Columns = append(in.Columns, c)
	}
	text := func(name string, f func(i int) string) {
		c := datasets.Column{Name: name, Kind: datasets.Category}
		codes := map[string]int32{}
		for i := range n {
			s := f(i)
			if _, ok := codes[s]; !ok {
				codes[s] = int32(len(c.Values))
				c.Values = append(c.Values, s)
			}
			c.Codes = append(c.Codes, codes[s])
		}
		in.Columns = append(in.Columns, c)
	}
	day := func(i int) int { return i * 7 % n }
	number("fine", func(i int) float64 { return math.Sqrt(float64(i * i % 97)) })
	number("measured", func(i int) float64 { return math.Sqrt(float64(i)) }) // all different, but no whole numbers
	number("empty", func(int) float64 { return nan })
	number("constant", func(int) float64 { return 3 })
	number("filled or not", func(i int) float64 {
		if i%3 == 0 {
			return nan
		}
		return 3
	})
	number("number", func(i int) float64 { return float64(i*i + 1000) })
	number("rare", func(i int) float64 {
		if i%30 == 0 {
			return float64(i % 7)
		}
		return nan
	})
	number("late", func(i int) float64 {
		if day(i) < 100 {
			return nan
		}
		return float64(i % 10)
	})
	number("ended", func(i int) float64 {
		if day(i) >= 350 || i%2 == 0 {
			return nan
		}
		return float64(i % 9)
	})
	text("plan", func(i int) string { return []string{"free", "team", "free", "pro"}[i%4] })
	number("price", func(i int) float64 { return []float64{0, 20, 0, 50}[i%4] })
	text("key", func(i int) string { return fmt.Sprint("k", i) })
	text("city", func(i int) string {
		if i%20 == 0 {
			return fmt.Sprint("village ", i)
		}
		return fmt.Sprint("city ", i%10)
	})
	r, err := Examine(in)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]FindingKind{
		"empty": {Empty}, "constant": {Constant}, "number": {Identity}, "rare": {Rare}, "late": {Late}, "ended": {Ended},
		"price": {Copy}, "key": {Identity}, "city": {Once},
	}
	for _, c := range r.Columns {
		var got []FindingKind
		for _, f := range c.Findings {
			got = append(got, f.What)
		}
		if !slices.Equal(got, want[c.Name]) {
			t.Errorf("%s: %v, want %v", c.Name, c.Findings, want[c.Name])
		}
	}
	for _, text := range []string{`tells the same as "plan"`, "no value before 2026-04-11", "no value after 2026-12-16", "20 of 30 categories are in one row each"} {
		if all := fmt.Sprint(r.Columns); !strings.Contains(all, text) {
			t.Errorf("no %q in %s", text, all)
		}
	}
	if days := r.Periods; len(days) != 14 || days[0].From != "2026-01-01" || days[0].Rows != 31 {
		t.Errorf("periods %v", days)
	}
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct {
		days, periods int
		first         string
	}{{20, 20, "2025-12-31"}, {100, 15, "2025-12-29"}, {600, 21, "2025-12-01"}, {1800, 21, "2025-10-01"}, {5000, 15, "2025-01-01"}} {
		in := labelled(c.days, c.days/2)
		for i := range c.days {
			in.Moments = append(in.Moments, time.Date(2025, 12, 31, 13, 0, 0, 0, time.UTC).AddDate(0, 0, i).UnixMicro())
		}
		r, err := Examine(in)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Periods
		rows := 0
		for _, p := range got {
			rows += p.Rows
		}
		if len(got) != c.periods || got[0].From != c.first || rows != c.days {
			t.Errorf("%d days: %d periods from %s with %d rows", c.days, len(got), got[0].From, rows)
		}
	}
}

func TestUnusableInput(t *testing.T) {
	for name, change := range map[string]func(in *Input){
		"rows":    func(in *Input) { in.Columns = []datasets.Column{{Name: "x", Kind: datasets.Number}} },
		"moments": func(in *Input) { in.Moments = []int64{1} },
		"group":   func(in *Input) { in.Group = []int{1} },
		"holdout": func(in *Input) { in.Holdout = math.NaN() },
		"label":   func(in *Input) { in.Label[3] = 2 },
	} {
		in := labelled(10, 4)
		change(&in)
		if _, err := Examine(in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
