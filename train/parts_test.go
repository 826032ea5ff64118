package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
)

// history is a table of accounts seen on several days, with an outcome that is
// positive on every other row of every other account; the file is not in order of time.
func history(accounts, days int) *datasets.Table {
	who, when, x, y := datasets.Column{Name: "who", Kind: datasets.Text}, datasets.Column{Name: "when", Kind: datasets.Time},
		datasets.Column{Name: "x", Kind: datasets.Number}, datasets.Column{Name: "y", Kind: datasets.Number}
	for a := range accounts {
		who.Values = append(who.Values, fmt.Sprintf("account-%d", a))
	}
	for i := range accounts * days {
		a, d := i*11%accounts, i/accounts
		who.Codes = append(who.Codes, int32(a))
		when.Times = append(when.Times, int64((d*5)%days)*24*60*60*1e6)
		x.Numbers = append(x.Numbers, float64(i))
		y.Numbers = append(y.Numbers, float64((a+1)%2*((a/2+d)%2)))
	}
	return tableOf(who, when, x, y)
}

func prepared1(t *testing.T, table *datasets.Table, s Spec) (*prepared, Spec) {
	t.Helper()
	s.Name, s.Label = "m", "y"
	s = s.withDefaults()
	p, err := prepare(inMemory{table}, s)
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

// Every row is in one part; none that judges is learnt from, by the rule of its
// kind of split.
func TestParts(t *testing.T) {
	for _, s := range []Spec{
		{ID: "who", Time: "when", Horizon: 3}, {ID: "who", Time: "when", Holdout: 0.4},
		{ID: "who", Split: SplitGroup}, {Split: SplitGroup, Drop: []string{"who", "when"}}, {ID: "who", Split: SplitOrder},
	} {
		p, s := prepared1(t, history(35, 12), s)
		cut, about, err := p.parts(s)
		if err != nil {
			t.Fatal(err)
		}
		all := slices.Concat(cut.Train, cut.Test, cut.Purged)
		slices.Sort(all)
		if len(slices.Compact(all)) != 420 || len(cut.Train)+len(cut.Test)+len(cut.Purged) != 420 {
			t.Errorf("%+v: %d, %d and %d rows of 420", s, len(cut.Train), len(cut.Test), len(cut.Purged))
		}
		if about.Trained != len(cut.Train) || about.Judged != len(cut.Test) || about.Purged != len(cut.Purged) || about.Kind != s.Split {
			t.Errorf("told %+v", about)
		}
		switch s.Split {
		case SplitTime:
			first := slices.Min(datasets.Take(p.moments, cut.Test))
			horizon := s.horizon().Microseconds()
			for _, i := range cut.Train {
				if p.moments[i]+horizon > first || p.moments[i] >= first {
					t.Fatalf("row %d at %d is learnt from, judging begins at %d", i, p.moments[i], first)
				}
			}
			for _, i := range cut.Purged {
				if p.moments[i]+horizon <= first || p.moments[i] >= first {
					t.Fatalf("row %d at %d is purged for nothing", i, p.moments[i])
				}
			}
			if want := datasets.FormatTime(slices.Max(datasets.Take(p.moments, cut.Train))); about.TrainedUntil != want {
				t.Errorf("trained until %s, told %s", want, about.TrainedUntil)
			}
		case SplitGroup:
			learnt := map[int]bool{}
			for _, i := range cut.Train {
				learnt[p.group[i]] = true
			}
			for _, i := range cut.Test {
				if learnt[p.group[i]] {
					t.Fatalf("account %d is on both sides", p.group[i])
				}
			}
		case SplitOrder:
			if slices.Max(cut.Train) >= slices.Min(cut.Test) {
				t.Error("a row to learn from stands behind one that judges")
			}
		}
	}
}

func TestPartsRefuse(t *testing.T) {
	p, s := prepared1(t, history(35, 12), Spec{ID: "who", Time: "when", Horizon: 30})
	_, _, err := p.parts(s)
	says(t, err, ErrTable, "horizon", "30d")

	table := history(10, 2)
	for i := range table.Columns[3].Numbers {
		table.Columns[3].Numbers[i] = 0
	}
	table.Columns[3].Numbers[19] = 1
	p, s = prepared1(t, table, Spec{Split: SplitOrder})
	_, _, err = p.parts(s)
	says(t, err, ErrTable, "0 positive", "both labels")
}

// What a later run takes for unseen was never among the rows learnt from.
func TestUnseenBy(t *testing.T) {
	all := make([]int, 420)
	for i := range all {
		all[i] = i
	}
	for _, s := range []Spec{
		{ID: "who", Time: "when", Horizon: 3}, {ID: "who", Split: SplitGroup}, {Split: SplitGroup, Drop: []string{"who", "when"}}, {Split: SplitOrder},
	} {
		p, s := prepared1(t, history(35, 12), s)
		cut, about, err := p.parts(s)
		if err != nil {
			t.Fatal(err)
		}
		unseen, err := p.unseenBy(about, s, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range unseen {
			if slices.Contains(cut.Train, i) {
				t.Fatalf("%s: row %d was learnt from", s.Split, i)
			}
		}
		if s.Split != SplitGroup { // there the bound is that of the nearer of two strata
			// By time, purged rows do not count: the labels learnt from saw what became of them.
			if len(unseen) != len(cut.Test) {
				t.Errorf("%s: %d unseen of %d", s.Split, len(unseen), len(cut.Test))
			}
		} else if len(unseen) < len(cut.Test)/2 {
			t.Errorf("%s: only %d unseen of %d", s.Split, len(unseen), len(cut.Test))
		}

		// Fitted again on all rows, nothing of the same table is unseen.
		again := about
		again.Refit = true
		p.learntFrom(&again, all)
		unseen, err = p.unseenBy(again, s, all)
		if s.Split == SplitGroup {
			if err == nil || !strings.Contains(err.Error(), "all rows") {
				t.Errorf("after a refit: %v", err)
			}
		} else if err != nil || len(unseen) > 0 {
			t.Errorf("%s: after a refit %d rows are unseen, %v", s.Split, len(unseen), err)
		}
	}
}

func TestUnseenByCannotTell(t *testing.T) {
	p, s := prepared1(t, history(35, 12), Spec{ID: "who", Split: SplitGroup})
	_, about, err := p.parts(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]Spec{
		"another split": {ID: "who", Split: SplitOrder}, "another seed": {ID: "who", Split: SplitGroup, Seed: 9},
		"another id": {Split: SplitGroup},
	} {
		p, s := prepared1(t, history(35, 12), change)
		if rows, err := p.unseenBy(about, s, []int{0}); err == nil {
			t.Errorf("%s: told of %v", name, rows)
		}
	}
	_, plain := prepared1(t, history(35, 12), Spec{Split: SplitGroup, Drop: []string{"who"}})
	one, _ := prepared1(t, history(35, 12), plain)
	typed := history(35, 12)
	typed.Columns[2].Kind = datasets.Category
	typed.Columns[2] = categories("x", strings.Fields(strings.Repeat("a b c ", 140))...)
	other, _ := prepared1(t, typed, plain)
	if one.keyOf(plain) == other.keyOf(plain) {
		t.Error("keys of a number and of a category cannot be compared")
	}
	about.KeyBound = "not hex"
	if _, err := p.unseenBy(about, s, []int{0}); err == nil {
		t.Error("a bound that is no number was taken")
	}
	about.Kind, about.TrainedUntil = SplitTime, "yesterday"
	if _, err := p.unseenBy(about, Spec{Split: SplitTime}, []int{0}); err == nil {
		t.Error("a time that is none was taken")
	}
	_ = s
}

// Folds are among the rows to learn from, and no account or overlapping horizon
// is on both sides of one.
func TestFolds(t *testing.T) {
	for _, s := range []Spec{{ID: "who", Time: "when", Horizon: 1}, {ID: "who", Split: SplitGroup}, {ID: "who", Split: SplitOrder}} {
		p, s := prepared1(t, history(35, 12), s)
		cut, _, err := p.parts(s)
		if err != nil {
			t.Fatal(err)
		}
		by, err := p.folds(s, cut.Train, partsOf(len(cut.Train)))
		folds, note := by.rounds, by.note
		if err != nil || note != "" || len(folds) != foldCount {
			t.Fatalf("%s: %d folds, %q, %v", s.Split, len(folds), note, err)
		}
		tested := make([]int, len(cut.Train))
		for _, f := range folds {
			for _, k := range f.Test {
				tested[k]++
				if slices.Contains(f.Train, k) {
					t.Fatal("a row is on both sides of a fold")
				}
			}
			if s.Split == SplitGroup {
				for _, k := range f.Train {
					if slices.ContainsFunc(f.Test, func(j int) bool { return p.group[cut.Train[j]] == p.group[cut.Train[k]] }) {
						t.Fatal("an account is on both sides of a fold")
					}
				}
			}
		}
		if slices.Min(tested) != 1 || slices.Max(tested) != 1 {
			t.Errorf("%s: rows are predicted %d to %d times", s.Split, slices.Min(tested), slices.Max(tested))
		}
	}
}

// With fewer moments than folds the settings come from folds by account, and that is said.
func TestFoldsFallBack(t *testing.T) {
	p, s := prepared1(t, history(35, 4), Spec{ID: "who", Time: "when"})
	cut, _, err := p.parts(s)
	if err != nil {
		t.Fatal(err)
	}
	by, err := p.folds(s, cut.Train, partsOf(len(cut.Train)))
	folds, note := by.rounds, by.note
	if err != nil || len(folds) != foldCount {
		t.Fatal(err)
	}
	if !strings.Contains(note, "by account, not by time") || !strings.Contains(note, "only 3 distinct moments") {
		t.Errorf("note %q", note)
	}
}

func TestTakeAndFinite(t *testing.T) {
	if got := datasets.Take([]string{"a", "b", "c"}, []int{2, 0}); !slices.Equal(got, []string{"c", "a"}) {
		t.Error(got)
	}
	if datasets.Take[int](nil, []int{1}) != nil {
		t.Error("nothing picked from nothing is nothing")
	}
	if got := finite([]float64{math.NaN(), 1, math.NaN(), 0}); !slices.Equal(got, []int{1, 3}) {
		t.Error(got)
	}
}

// Of many rows, one slice settles and calibrates, cut as the split of the spec
// would, and no account or horizon is on both sides of it.
func TestSliceOfManyRows(t *testing.T) {
	table := history(10_900, 12)
	for _, s := range []Spec{{ID: "who", Time: "when", Horizon: 2}, {ID: "who", Split: SplitGroup}, {ID: "who", Split: SplitOrder}} {
		p, s := prepared1(t, table, s)
		cut, _, err := p.parts(s)
		if err != nil {
			t.Fatal(err)
		}
		// Rows to judge by are many enough in number only: all that count are the places.
		rows := slices.Sorted(slices.Values(slices.Concat(cut.Train, cut.Purged, cut.Test)))
		by, err := p.folds(s, rows, partsOf(len(rows)))
		folds, note := by.rounds, by.note
		if err != nil || len(folds) != 1 || !strings.Contains(note, fmt.Sprintf("%d of the 130800 training rows", len(folds[0].Test))) {
			t.Fatalf("%s: %d folds, %q, %v", s.Split, len(folds), note, err)
		}
		f := folds[0]
		if share := float64(len(f.Test)) / 130_800; share < 0.09 || share > 0.2 {
			t.Errorf("%s: a slice of %v", s.Split, share)
		}
		learnt := map[int]bool{}
		for _, i := range f.Train {
			learnt[p.group[i]] = true
		}
		for _, i := range f.Test {
			switch s.Split {
			case SplitGroup:
				if learnt[p.group[i]] {
					t.Fatalf("account %d is on both sides", p.group[i])
				}
			case SplitOrder:
				if i <= f.Train[len(f.Train)-1] {
					t.Fatalf("row %d settles what later rows learn", i)
				}
			}
		}
		if s.Split == SplitTime {
			newest, first := slices.Max(datasets.Take(p.moments, f.Train)), slices.Min(datasets.Take(p.moments, f.Test))
			if newest+s.horizon().Microseconds() > first {
				t.Errorf("learnt from %d, settled from %d", newest, first)
			}
		}
	}
}

// Where the slice cannot be cut by time, it is cut by account, and the note says so.
func TestSliceFallsBack(t *testing.T) {
	p, s := prepared1(t, history(60_000, 2), Spec{ID: "who", Time: "when"})
	for i := range p.moments {
		p.moments[i] = 5
	}
	rows := make([]int, len(p.label))
	for i := range rows {
		rows[i] = i
	}
	by, err := p.folds(s, rows, partsOf(len(rows)))
	folds, note := by.rounds, by.note
	if err != nil || len(folds) != 1 || !strings.Contains(note, "by account, not by time") || !strings.Contains(note, "120000 training rows") {
		t.Errorf("%d folds, %q, %v", len(folds), note, err)
	}
}
