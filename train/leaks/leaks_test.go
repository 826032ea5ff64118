package leaks_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/models"
	"propensity/train/leaks"
)

const day = 24 * 3600 * 1_000_000

// table is a table in the making, of honest columns that know a little and of
// others that the tests add. Its rows are dated, ten a day.
type table struct {
	leaks.Input
	columns []datasets.Column
	r       *rand.Rand
}

func honest(rows int, seed uint64) *table {
	t := &table{Input: leaks.Input{Seed: seed, LabelName: "y"}, r: rand.New(rand.NewPCG(seed, 11))}
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for i := range rows {
		y := 0.0
		if t.r.Float64() < 0.2 {
			y = 1
		}
		t.Label = append(t.Label, y)
		t.Moments = append(t.Moments, start+int64(i/10)*day+int64(t.r.IntN(day)))
	}
	for k := range 8 {
		t.number(fmt.Sprint("usage ", k), func(_ int, y float64) float64 { return t.r.NormFloat64() + 0.5*y })
	}
	t.category("plan", func(_ int, y float64) string {
		return []string{"free", "team", "pro", "key"}[min(3, int(4*t.r.Float64()+0.4*y))]
	})
	t.time("signed_up_at", func(i int, _ float64) int64 { return t.Moments[i] - int64(t.r.IntN(300*day)) })
	return t
}

func (t *table) add(c datasets.Column) {
	t.columns, t.Names = append(t.columns, c), append(t.Names, c.Name)
	t.Column = columnsOf(t.columns)
}

func (t *table) number(name string, f func(i int, y float64) float64) {
	c := datasets.Column{Name: name, Kind: datasets.Number}
	for i, y := range t.Label {
		c.Numbers = append(c.Numbers, f(i, y))
	}
	t.add(c)
}

func (t *table) time(name string, f func(i int, y float64) int64) {
	c := datasets.Column{Name: name, Kind: datasets.Time}
	for i, y := range t.Label {
		c.Times = append(c.Times, f(i, y))
	}
	t.add(c)
}

// category takes "" for missing.
func (t *table) category(name string, f func(i int, y float64) string) {
	c := datasets.Column{Name: name, Kind: datasets.Category}
	codes := map[string]int32{"": -1}
	for i, y := range t.Label {
		s := f(i, y)
		if _, ok := codes[s]; !ok {
			codes[s] = int32(len(c.Values))
			c.Values = append(c.Values, s)
		}
		c.Codes = append(c.Codes, codes[s])
	}
	t.add(c)
}

// says holds that column is found by evidence of that kind, and nothing else is
// found at all.
func (tab *table) says(t *testing.T, column, kind, verdict string) models.Leak {
	t.Helper()
	found := examine(t, tab.Input)
	if len(found) != 1 || found[0].Column != column {
		t.Fatalf("found %d columns, want %s", len(found), column)
	}
	l := found[0]
	if !slices.ContainsFunc(l.Evidence, func(e models.Evidence) bool { return e.Kind == kind }) || l.Verdict != verdict {
		t.Errorf("want %s by %s", verdict, kind)
	}
	if l.Kept != (verdict == models.LeakSuspect) {
		t.Errorf("kept: %v", l.Kept)
	}
	for _, e := range l.Evidence {
		if f := e.Figure; f != nil && !(f.Low <= f.Value && f.Value <= f.High) {
			t.Errorf("%s: %+v", e.Kind, *f)
		}
	}
	return l
}

func TestCopies(t *testing.T) {
	for name, add := range map[string]func(tab *table){
		"two values": func(tab *table) {
			tab.category("x", func(_ int, y float64) string { return []string{"open", "closed"}[int(y)] })
		},
		"many values": func(tab *table) {
			tab.category("x", func(_ int, y float64) string { return fmt.Sprintf("%v %d", y, tab.r.IntN(30)) })
		},
		"a number": func(tab *table) { tab.number("x", func(_ int, y float64) float64 { return tab.r.NormFloat64() - 9*y }) },
		"but few": func(tab *table) {
			tab.number("x", func(i int, y float64) float64 { return math.Abs(y - float64(b2i(i%500 == 0))) })
		},
		"a value or none": func(tab *table) {
			tab.number("x", func(_ int, y float64) float64 { return []float64{math.NaN(), tab.r.Float64()}[int(y)] })
		},
		"texts that are all different": func(tab *table) {
			tab.category("x", func(i int, y float64) string { return strings.Repeat(fmt.Sprint("we leave: ", i), int(y)) })
		},
		"none or a value": func(tab *table) {
			tab.category("x", func(i int, y float64) string { return strings.Repeat(fmt.Sprint("invoice ", i), 1-int(y)) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			tab := honest(3000, 1)
			add(tab)
			tab.says(t, "x", leaks.Copy, models.LeakProven)
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// In eight rows a copy may be luck (one of 35), in sixty it is none.
func TestCopyOfFewRows(t *testing.T) {
	for rows, want := range map[int]int{8: 0, 60: 1} {
		tab := &table{Input: leaks.Input{Seed: 1}}
		for i := range rows {
			tab.Label = append(tab.Label, float64(i/2%2))
		}
		tab.number("x", func(_ int, y float64) float64 { return y })
		if found := examine(t, tab.Input); len(found) != want {
			t.Errorf("%d rows: %d found", rows, len(found))
		}
	}
}

// A proxy is suspect, an honest strong column is neither proven nor left out, and
// an ordinary one is not even named.
func TestAlone(t *testing.T) {
	score := func(shift float64) *table {
		tab := honest(6000, 2)
		tab.number("x", func(_ int, y float64) float64 { return tab.r.NormFloat64() + shift*y })
		return tab
	}
	tab := score(2.66) // an area of 0.97
	tab.says(t, "x", leaks.Alone, models.LeakSuspect)
	for _, l := range examine(t, score(1.47).Input) { // of 0.85, as much as the eight others together
		if l.Verdict == models.LeakProven || !l.Kept {
			t.Errorf("proven: %s", leaks.Describe(l))
		}
	}
	if found := examine(t, score(1).Input); len(found) > 0 { // of 0.76
		t.Errorf("found %v", found)
	}
}

func TestFilledForOneClass(t *testing.T) {
	tab := honest(4000, 3)
	tab.number("x", func(_ int, y float64) float64 {
		if y == 1 && tab.r.Float64() < 0.4 {
			return tab.r.NormFloat64()
		}
		return math.NaN()
	})
	tab.says(t, "x", leaks.FilledForOneClass, models.LeakSuspect)

	tab = honest(4000, 3)
	tab.number("x", func(_ int, y float64) float64 {
		if tab.r.Float64() < 0.3+0.4*y {
			return tab.r.NormFloat64()
		}
		return math.NaN()
	})
	l := tab.says(t, "x", leaks.FilledForOneClass, models.LeakSuspect)
	if f := l.Evidence[0].Figure; !(f.Low < 0.4 && f.High > 0.4) {
		t.Errorf("the gap is 0.4: %+v", *f)
	}

	tab = honest(4000, 3) // a tenth more is nothing
	tab.number("x", func(_ int, y float64) float64 {
		if tab.r.Float64() < 0.3+0.1*y {
			return tab.r.NormFloat64()
		}
		return math.NaN()
	})
	if found := examine(t, tab.Input); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestFilledAfterOutcome(t *testing.T) {
	tab := honest(5000, 4)
	newest := tab.Moments[3500]
	tab.category("x", func(i int, y float64) string {
		if y == 1 && tab.Moments[i] < newest && tab.r.Float64() < 0.6 {
			return "price"
		}
		return ""
	})
	tab.says(t, "x", leaks.FilledAfterOutcome, models.LeakProven)
}

// Rows whose outcome is open have no value yet.
func TestFilledAfterOutcomeByOpenRows(t *testing.T) {
	add := func(fill [2]float64) *table {
		tab := honest(4000, 5)
		tab.category("x", func(_ int, y float64) string {
			if tab.r.Float64() < fill[int(y)] {
				return "called"
			}
			return ""
		})
		tab.Open = func(name string) (datasets.Column, error) {
			c, err := tab.Column(name)
			c.Numbers, c.Times, c.Codes = head(c.Numbers), head(c.Times), head(c.Codes)
			if name == "x" {
				for i := range c.Codes {
					c.Codes[i] = -1
				}
			}
			return c, err
		}
		return tab
	}
	add([2]float64{0, 0.4}).says(t, "x", leaks.FilledAfterOutcome, models.LeakProven)
	// One that both outcomes have may have been given up.
	add([2]float64{0.4, 0.8}).says(t, "x", leaks.FilledAfterOutcome, models.LeakSuspect)
	if found := examine(t, add([2]float64{0.4, 0.4}).Input); len(found) > 0 {
		t.Errorf("a column that was given up: %v", found)
	}
}

// head is a copy of the first rows.
func head[T any](xs []T) []T { return slices.Clone(xs[:min(len(xs), 1000)]) }

func TestDatedAfter(t *testing.T) {
	after := func(name string, f func(i int, m int64) int64) *table {
		tab := honest(3000, 6)
		tab.time(name, func(i int, _ float64) int64 { return f(i, tab.Moments[i]) })
		return tab
	}
	l := after("last_seen_at", func(i int, m int64) int64 { return m - 5*day + int64(i%10)*day }).says(t, "last_seen_at", leaks.DatedAfter, models.LeakProven)
	if want := "1200 of its 3000 dates (40 %) are after the moment of their row, half of them by 3 days or more"; l.Evidence[0].Detail != want {
		t.Errorf("%q, want %q", l.Evidence[0].Detail, want)
	}
	// A date at the moment is not after it, and five of thousands are slips.
	for _, f := range []func(i int, m int64) int64{
		func(_ int, m int64) int64 { return m },
		func(i int, m int64) int64 { return m - day + int64(b2i(i%600 == 0))*9*day },
	} {
		if found := examine(t, after("seen", f).Input); len(found) > 0 {
			t.Errorf("found %v", found)
		}
	}
	// A plan may lie ahead.
	after("renewal_date", func(_ int, m int64) int64 { return m + 100*day }).says(t, "renewal_date", leaks.DatedAfter, models.LeakSuspect)
	// Where moments are days, what came that day is not after them; the next day is.
	for hours, want := range map[int64]int{20: 0, 30: 1} {
		tab := honest(3000, 7)
		for i, m := range tab.Moments {
			tab.Moments[i] = m - m%day
		}
		tab.time("seen", func(i int, _ float64) int64 { return tab.Moments[i] + hours*day/24 })
		found := slices.DeleteFunc(examine(t, tab.Input), func(l models.Leak) bool { return l.Column != "seen" })
		if len(found) != want {
			t.Errorf("%d hours after: %v", hours, found)
		}
	}
}

// shuffle deals the rows anew, or by label.
func (t *table) reorder(compare func(i, j int) int) {
	rows := make([]int, len(t.Label))
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, compare)
	t.Label, t.Moments = datasets.Take(t.Label, rows), datasets.Take(t.Moments, rows)
	t.columns = (&datasets.Table{Columns: t.columns}).Take(rows).Columns
	t.Column = columnsOf(t.columns)
}

func TestRowOrder(t *testing.T) {
	for name, moments := range map[string]bool{"dated": true, "without time": false} {
		t.Run(name, func(t *testing.T) {
			tab := honest(3000, 8)
			if !moments {
				tab.Moments = nil
			}
			if found := examine(t, tab.Input); len(found) > 0 {
				t.Errorf("found %v", found)
			}
			y := tab.Label
			tab.reorder(func(i, j int) int { return int(y[j] - y[i]) })
			tab.says(t, leaks.RowOrder, leaks.Order, models.LeakSuspect)
			tab.number("line", func(i int, _ float64) float64 { return float64(i) + 0.5 })
			found := examine(t, tab.Input)
			if !slices.ContainsFunc(found, func(l models.Leak) bool { return l.Column == "line" }) {
				t.Errorf("a number that follows the order is not found: %v", found)
			}
		})
	}
}

// A file that stands account by account, as tables made of facts do, is no file dealt
// by outcome, although histories that end with the outcome are beside the beginnings
// of others; one whose accounts are sorted by outcome is.
func TestRowOrderByAccount(t *testing.T) {
	tab := honest(3000, 18)
	tab.Moments = nil
	tab.Group = make([]int, len(tab.Label))
	for i := range tab.Label {
		tab.Group[i] = i / 5
		tab.Label[i] = 0
	}
	for i := 4; i < len(tab.Label); i += 5 { // most come to it in the end
		tab.Label[i] = float64(b2i(tab.r.Float64() < 0.7))
	}
	if found := examine(t, tab.Input); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	for i := 4; i < len(tab.Label); i += 5 {
		tab.Label[i] = float64(b2i(i < 2100))
	}
	tab.says(t, leaks.RowOrder, leaks.Order, models.LeakSuspect)
}

// A base rate that goes from 2 % to 60 % with time tells nothing that is not to be
// known, be the file in the order of time or not.
func TestDriftIsNoLeak(t *testing.T) {
	for name, change := range map[string]func(tab *table){
		"by moments":   func(*table) {},
		"by order":     func(tab *table) { tab.Moments, tab.InOrder = nil, true },
		"without time": func(tab *table) { tab.Moments = nil },
	} {
		t.Run(name, func(t *testing.T) {
			tab := honest(4000, 9)
			for i := range tab.Label {
				tab.Label[i] = float64(b2i(tab.r.Float64() < 0.02+0.58*float64(i)/4000))
			}
			change(tab)
			if found := examine(t, tab.Input); len(found) > 0 {
				t.Errorf("found %v", found)
			}
		})
	}
}

// An id that was given by outcome ranks it; one that was not does not.
func TestSerialNumbers(t *testing.T) {
	tab := honest(3000, 10)
	tab.Moments = nil
	ids := tab.r.Perm(3000)
	tab.number("record", func(i int, _ float64) float64 { return float64(100_000 + ids[i]) })
	if found := examine(t, tab.Input); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	tab = honest(3000, 10)
	tab.Moments = nil
	late := make([]float64, 3000) // positives were recorded later
	for i, y := range tab.Label {
		late[i], ids[i] = tab.r.Float64()+0.6*y, i
	}
	slices.SortFunc(ids, func(i, j int) int { return cmp.Compare(late[i], late[j]) })
	record := make([]float64, 3000)
	for k, i := range ids {
		record[i] = float64(5000 + k)
	}
	tab.number("record", func(i int, _ float64) float64 { return record[i] })
	l := tab.says(t, "record", leaks.Order, models.LeakSuspect)
	if !strings.Contains(leaks.Describe(l), "numbers the rows") {
		t.Error(leaks.Describe(l))
	}
}

func TestCleared(t *testing.T) {
	tab := honest(3000, 12)
	tab.number("cancel_at_period_end", func(_ int, y float64) float64 { return float64(b2i(tab.r.Float64() < 0.1+0.2*y)) })
	l := tab.says(t, "cancel_at_period_end", leaks.Named, models.LeakProven)
	if got := leaks.Describe(l); !strings.HasPrefix(got, "cancel_at_period_end: proven, left out: its name is known: a billing system") {
		t.Error(got)
	}
	tab.Cleared = map[string]string{"cancel_at_period_end": "kept as of the moment", "plan": "nobody asked"}
	found := examine(t, tab.Input)
	if len(found) != 1 || !found[0].Kept || found[0].Cleared != "kept as of the moment" || found[0].Verdict != models.LeakProven {
		t.Errorf("%+v", found)
	}
	if got := leaks.Describe(found[0]); !strings.HasPrefix(got, "cancel_at_period_end: proven, cleared: kept as of the moment: its name") {
		t.Error(got)
	}
}

// Proven ones come first, then the more suspicious, and equals as in the table.
func TestOrderOfFindings(t *testing.T) {
	tab := honest(4000, 13)
	some := func(share float64) func(int, float64) float64 {
		return func(_ int, y float64) float64 {
			if tab.r.Float64() < 0.2+share*y {
				return 1
			}
			return math.NaN()
		}
	}
	tab.number("a", some(0.35))
	tab.number("lead quality", some(0.6))
	tab.number("b", some(0.6))
	tab.number("churn_reason", some(0))
	tab.number("c", func(_ int, y float64) float64 { return y })
	var got []string
	for _, l := range examine(t, tab.Input) {
		got = append(got, l.Column)
	}
	if want := []string{"c", "churn_reason", "lead quality", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Columns that know nothing are never named, however many there are and however
// few the rows; the draws are fixed, for in one of a hundred chance may do it.
func TestNoiseNamesNobody(t *testing.T) {
	for seed, c := range []struct{ rows, columns int }{{30, 200}, {60, 200}, {200, 300}, {200, 40}, {1000, 100}, {5000, 40}} {
		for draw := range 3 {
			in := noise(c.rows, c.columns, uint64(10*seed+draw))
			if draw == 2 { // accounts of many rows, which have one outcome and one value each
				in = clustered(in)
			}
			if found := examine(t, in); len(found) > 0 {
				t.Errorf("%+v, draw %d: %v", c, draw, found)
			}
		}
	}
}

// clustered repeats every row ten times, as an account of its own.
func clustered(in leaks.Input) leaks.Input {
	out := in
	out.Label, out.Group = nil, nil
	var rows []int
	for i, y := range in.Label {
		for range 10 {
			rows = append(rows, i)
			out.Label, out.Group = append(out.Label, y), append(out.Group, i)
		}
	}
	out.Column = func(name string) (datasets.Column, error) {
		c, err := in.Column(name)
		c.Numbers, c.Times, c.Codes = datasets.Take(c.Numbers, rows), datasets.Take(c.Times, rows), datasets.Take(c.Codes, rows)
		return c, err
	}
	return out
}

// Any small table gets an answer or an error: no panic, figures that are numbers,
// proven columns left out, the same twice.
func TestAnyTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := noise(rapid.IntRange(2, 40).Draw(t, "rows"), rapid.IntRange(0, 9).Draw(t, "columns"), rapid.Uint64().Draw(t, "seed"))
		n := len(in.Label)
		if rapid.Bool().Draw(t, "dated") {
			in.Moments = rapid.SliceOfN(rapid.Int64Range(-5, 5), n, n).Draw(t, "moments")
		}
		if rapid.Bool().Draw(t, "accounts") {
			in.Group = rapid.SliceOfN(rapid.IntRange(0, n-1), n, n).Draw(t, "group")
		}
		in.InOrder = rapid.Bool().Draw(t, "in order")
		in.Label = rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1}), n, n).Draw(t, "label")
		found, err := leaks.Examine(context.Background(), in)
		if one := slices.Max(in.Label) == slices.Min(in.Label); one != errors.Is(err, leaks.ErrInput) {
			t.Fatalf("one class: %v; %v", one, err)
		}
		again, _ := leaks.Examine(context.Background(), in)
		if !reflect.DeepEqual(found, again) {
			t.Fatal("not the same twice")
		}
		for _, l := range found {
			if len(l.Evidence) == 0 || l.Kept != (l.Verdict == models.LeakSuspect) {
				t.Fatalf("%+v", l)
			}
			for _, e := range l.Evidence {
				if f := e.Figure; f != nil && !(f.Low <= f.Value && f.Value <= f.High) {
					t.Fatalf("%s: %+v", e.Kind, *f)
				}
			}
		}
	})
}

// The same bits on any number of processors.
func TestSameOnAnyProcessors(t *testing.T) {
	tab := honest(6000, 14)
	tab.number("x", func(_ int, y float64) float64 { return tab.r.NormFloat64() + 3*y })
	tab.number("z", func(_ int, y float64) float64 { return tab.r.NormFloat64() + 1.8*y })
	tab.Group = make([]int, 6000)
	for i := range tab.Group {
		tab.Group[i] = i / 3
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := examine(t, tab.Input)
	runtime.GOMAXPROCS(4)
	if four := examine(t, tab.Input); !reflect.DeepEqual(one, four) || len(one) != 2 {
		t.Errorf("%v and %v", one, four)
	}
}

func TestUnusableInput(t *testing.T) {
	fault := errors.New("disk")
	for name, c := range map[string]struct {
		change func(in *leaks.Input)
		want   error
		text   string
	}{
		"label":   {func(in *leaks.Input) { in.Label[6] = 2 }, leaks.ErrInput, "label 2 in row 7"},
		"class":   {func(in *leaks.Input) { clear(in.Label) }, leaks.ErrInput, "0 positive of 40 rows"},
		"moments": {func(in *leaks.Input) { in.Moments = in.Moments[1:] }, leaks.ErrInput, "39 moments"},
		"group":   {func(in *leaks.Input) { in.Group = make([]int, 39) }, leaks.ErrInput, "39 accounts"},
		"account": {func(in *leaks.Input) { in.Group = make([]int, 40); in.Group[3] = 40 }, leaks.ErrInput, "account 40 in row 4"},
		"no way":  {func(in *leaks.Input) { in.Column = nil }, leaks.ErrInput, "no way"},
		"rows": {func(in *leaks.Input) {
			in.Column = columnsOf([]datasets.Column{{Name: in.Names[0], Kind: datasets.Number}})
		}, leaks.ErrInput, `column "usage 0" has 0 rows, the label 40`},
		"fault": {func(in *leaks.Input) {
			in.Column = func(string) (datasets.Column, error) { return datasets.Column{}, fault }
		}, fault, `column "usage 0": disk`},
	} {
		in := honest(40, 15).Input
		in.Label[0], in.Label[1] = 0, 1
		c.change(&in)
		if _, err := leaks.Examine(context.Background(), in); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := leaks.Examine(ctx, honest(40, 15).Input); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
