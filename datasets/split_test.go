package datasets

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const testDay = int64(24 * time.Hour / time.Microsecond)

func onDays(days ...int64) []int64 {
	out := make([]int64, len(days))
	for i, d := range days {
		out[i] = d * testDay
	}
	return out
}

func TestSplitTime(t *testing.T) {
	// Days 7 and 8 hold 3 of 10 rows. A horizon of 2 days from day 5 ends on day
	// 7, in time; one from day 6 does not.
	s, err := SplitTime(onDays(1, 8, 2, 7, 3, 5, 6, 7, 6, 4), 48*time.Hour, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	want := Split{
		Train:  []int{0, 2, 4, 5, 9},
		Test:   []int{1, 3, 7},
		Purged: []int{6, 8},
		Note:   "by time: tested on the newest 3 of 10 rows, from 1970-01-08T00:00:00Z; trained on 5; 2 purged, their horizon of 2d reaches into the test part",
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
}

func TestSplitOrder(t *testing.T) {
	s, err := SplitOrder(100, 0.07) // 0.07 * 100 is a hair above 7 as a float64
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Train) != 93 || len(s.Test) != 7 || s.Test[0] != 93 || s.Test[6] != 99 {
		t.Errorf("trained on %d rows, tested on %v", len(s.Train), s.Test)
	}
}

func TestSplitGroup(t *testing.T) {
	//          accounts: 1 and 3 without a positive row, 2, 4, 6 with, 5 and 7 without
	keys := []uint64{4, 1, 4, 2, 2, 3, 5, 6, 7, 1}
	label := []float64{0, 0, 1, 1, 0, 0, 0, 1, 0, 0}
	s, bound, err := SplitGroup(keys, label, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	// Without: 1 3 | 5 7. With: 2 4 | 6. The lowest key in training is 5.
	want := Split{
		Train: []int{6, 7, 8},
		Test:  []int{0, 1, 2, 3, 4, 5, 9},
		Note:  "by account: tested on 7 rows of 4 of 7 accounts, trained on the other 3 rows",
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if bound != 5 {
		t.Errorf("bound %d, want 5", bound)
	}
}

func TestFoldsTime(t *testing.T) {
	folds, err := FoldsTime(onDays(1, 2, 3, 4, 5, 6, 7, 8, 9), 48*time.Hour, 3)
	if err != nil {
		t.Fatal(err)
	}
	// The block of days 4 to 6 spans until day 8; day 2's horizon ends on day 4.
	want := []Fold{
		{Test: []int{0, 1, 2}, Train: []int{4, 5, 6, 7, 8}},
		{Test: []int{3, 4, 5}, Train: []int{0, 1, 7, 8}},
		{Test: []int{6, 7, 8}, Train: []int{0, 1, 2, 3, 4}},
	}
	if diff := cmp.Diff(want, folds); diff != "" {
		t.Error(diff)
	}
}

func TestFoldsOrder(t *testing.T) {
	folds, err := FoldsOrder(5, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := []Fold{{Test: []int{0, 1, 2}, Train: []int{3, 4}}, {Test: []int{3, 4}, Train: []int{0, 1, 2}}}
	if diff := cmp.Diff(want, folds); diff != "" {
		t.Error(diff)
	}
}

func TestSplitErrors(t *testing.T) {
	hour := time.Hour
	for name, f := range map[string]func() error{
		"time, one moment": func() error { _, err := SplitTime(onDays(1, 1, 1), hour, 0.5); return err },
		"time, all purged": func() error { _, err := SplitTime(onDays(1, 2, 3), 240*hour, 0.5); return err },
		"time, no moment":  func() error { _, err := SplitTime([]int64{0, MissingTime, 5}, hour, 0.5); return err },
		"time, no rows":    func() error { _, err := SplitTime(nil, hour, 0.5); return err },
		"time, share 1":    func() error { _, err := SplitTime(onDays(1, 2, 3), hour, 1); return err },
		"time, share NaN":  func() error { _, err := SplitTime(onDays(1, 2, 3), hour, math.NaN()); return err },
		"time, horizon":    func() error { _, err := SplitTime(onDays(1, 2, 3), -hour, 0.5); return err },
		"order, one row":   func() error { _, err := SplitOrder(1, 0.5); return err },
		"order, all":       func() error { _, err := SplitOrder(2, 0.9); return err },
		"group, lengths":   func() error { _, _, err := SplitGroup([]uint64{1, 2}, []float64{1}, 0.5); return err },
		"group, one class": func() error { _, _, err := SplitGroup([]uint64{1, 2}, []float64{1, 1}, 0.5); return err },
		"group, label":     func() error { _, _, err := SplitGroup([]uint64{1, 2}, []float64{1, math.NaN()}, 0.5); return err },
		"group, one account positive": func() error {
			_, _, err := SplitGroup([]uint64{1, 2, 3, 4}, []float64{1, 0, 0, 0}, 0.5)
			return err
		},
		"folds, k 1":           func() error { _, err := FoldsTime(onDays(1, 2, 3), hour, 1); return err },
		"folds, few moments":   func() error { _, err := FoldsTime(onDays(1, 2, 2, 1), hour, 3); return err },
		"folds, all purged":    func() error { _, err := FoldsTime(onDays(1, 2, 3), 240*hour, 3); return err },
		"folds, few rows":      func() error { _, err := FoldsOrder(2, 3); return err },
		"folds, few accounts":  func() error { _, err := FoldsGroup([]uint64{1, 1, 2, 2}, []float64{1, 0, 1, 0}, 3); return err },
		"folds, one positive":  func() error { _, err := FoldsGroup([]uint64{1, 2, 3}, []float64{1, 0, 0}, 2); return err },
		"folds, nothing in it": func() error { return CheckFolds(FoldsOf([]int{0, 0}, 2), []float64{0, 1}) },
	} {
		if err := f(); !errors.Is(err, ErrSplit) {
			t.Errorf("%s: got %v, want ErrSplit", name, err)
		}
	}
}

// allOnce fails unless the lists together hold 0 to n-1, each once and ascending.
func allOnce(t *rapid.T, n int, lists ...[]int) {
	var all []int
	for _, list := range lists {
		if !slices.IsSorted(list) {
			t.Fatalf("not ascending: %v", list)
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	if !slices.Equal(all, sequence(0, n)) {
		t.Fatalf("not each of %d rows once: %v", n, all)
	}
}

var (
	drawShare   = rapid.Float64Range(0.05, 0.95)
	drawMoments = rapid.SliceOfN(rapid.Int64Range(0, 60), 10, 60)
)

func TestSplitTimeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moments, share := drawMoments.Draw(t, "moments"), drawShare.Draw(t, "share")
		h := rapid.Int64Range(0, 10).Draw(t, "horizon")
		s, err := SplitTime(moments, time.Duration(h)*time.Microsecond, share)
		if err != nil {
			if !errors.Is(err, ErrSplit) {
				t.Fatal(err)
			}
			t.Skip(err) // drawn again; too many of these fail the test
		}
		allOnce(t, len(moments), s.Train, s.Test, s.Purged)
		first := int64(math.MaxInt64)
		for _, i := range s.Test {
			first = min(first, moments[i])
		}
		newer := 0
		for i, m := range moments {
			if m > first {
				newer++
			}
			if tested := slices.Contains(s.Test, i); tested != (m >= first) {
				t.Fatalf("row %d, moment %d, tested %t; the window begins at %d", i, m, tested, first)
			}
			if trained := slices.Contains(s.Train, i); trained != (m < first && m+h <= first) {
				t.Fatalf("row %d, moment %d, trained %t; the window begins at %d", i, m, trained, first)
			}
		}
		want := share * float64(len(moments))
		if float64(len(s.Test)) < want-1e-6 || float64(newer) >= want+1e-6 {
			t.Fatalf("%d tested, %d of them newer than the first moment, for a share of %v rows", len(s.Test), newer, want)
		}
	})
}

func TestFoldsTimeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moments, k := drawMoments.Draw(t, "moments"), rapid.IntRange(2, 6).Draw(t, "k")
		h := rapid.Int64Range(0, 10).Draw(t, "horizon")
		folds, err := FoldsTime(moments, time.Duration(h)*time.Microsecond, k)
		if err != nil {
			if !errors.Is(err, ErrSplit) {
				t.Fatal(err)
			}
			t.Skip(err) // drawn again; too many of these fail the test
		}
		var tests [][]int
		newest := int64(math.MinInt64)
		for _, f := range folds {
			tests = append(tests, f.Test)
			first, last := int64(math.MaxInt64), int64(math.MinInt64)
			for _, i := range f.Test {
				first, last = min(first, moments[i]), max(last, moments[i])
			}
			if first <= newest {
				t.Fatalf("a block begins at %d, the one before ends at %d", first, newest)
			}
			newest = last
			// By definition, microsecond by microsecond.
			for i, m := range moments {
				overlap := false
				for u := m; u < m+h; u++ {
					overlap = overlap || first <= u && u < last+h
				}
				want := !overlap && !slices.Contains(f.Test, i)
				if got := slices.Contains(f.Train, i); got != want {
					t.Fatalf("row %d, moment %d: trains %t, want %t, for the block %d to %d", i, m, got, want, first, last)
				}
			}
		}
		allOnce(t, len(moments), tests...)
	})
}

// accountsTable draws rows of a few accounts with 0/1 labels.
func accountsTable(t *rapid.T) (keys []uint64, label []float64) {
	n := rapid.IntRange(15, 60).Draw(t, "rows")
	for i := range n {
		account := rapid.IntRange(0, 20).Draw(t, "account")
		keys = append(keys, RowKeys(7, []string{strconv.Itoa(account)})[0])
		label = append(label, float64(rapid.IntRange(0, 1).Draw(t, fmt.Sprint("label", i))))
	}
	return keys, label
}

func TestSplitGroupProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys, label := accountsTable(t)
		share := drawShare.Draw(t, "share")
		s, bound, err := SplitGroup(keys, label, share)
		if err != nil {
			if !errors.Is(err, ErrSplit) {
				t.Fatal(err)
			}
			t.Skip(err) // drawn again; too many of these fail the test
		}
		allOnce(t, len(keys), s.Train, s.Test)
		trained, lowest := map[uint64]bool{}, uint64(math.MaxUint64)
		for _, i := range s.Train {
			trained[keys[i]] = true
			lowest = min(lowest, keys[i])
		}
		for _, i := range s.Test {
			if trained[keys[i]] {
				t.Fatalf("the account of row %d is in both parts", i)
			}
		}
		if bound != lowest {
			t.Fatalf("bound %d, lowest key trained on %d", bound, lowest)
		}
		// The same rows in another order: the same parts.
		order := rapid.Permutation(sequence(0, len(keys))).Draw(t, "order")
		mixed, mixedBound, err := SplitGroup(Take(keys, order), Take(label, order), share)
		if err != nil || mixedBound != bound {
			t.Fatalf("in another order: bound %d, not %d, error %v", mixedBound, bound, err)
		}
		for i, from := range order {
			if slices.Contains(mixed.Test, i) != slices.Contains(s.Test, from) {
				t.Fatalf("row %d changes its part when the rows change their order", from)
			}
		}
		// Negative rows of new accounts: no account with a positive row moves, the
		// others only at the boundary.
		more, moreLabel := slices.Clone(keys), slices.Clone(label)
		for i := range rapid.IntRange(1, 30).Draw(t, "appended") {
			more = append(more, RowKeys(7, []string{fmt.Sprint("new", i)})[0])
			moreLabel = append(moreLabel, 0)
		}
		grown, _, err := SplitGroup(more, moreLabel, share)
		if err != nil {
			t.Fatal(err)
		}
		strata := strataOf(keys, label)
		var highest, lowestTrained uint64 = 0, math.MaxUint64
		for i, key := range more {
			tested := slices.Contains(grown.Test, i)
			if slices.Contains(strata[1], key) {
				if tested != slices.Contains(s.Test, slices.Index(keys, key)) {
					t.Fatal("an account with a positive row moved for new accounts without")
				}
			} else if tested {
				highest = max(highest, key)
			} else {
				lowestTrained = min(lowestTrained, key)
			}
		}
		if highest >= lowestTrained {
			t.Fatalf("the stratum is not cut at a key: %d tested, %d trained on", highest, lowestTrained)
		}
	})
}

func TestFoldsGroupProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys, label := accountsTable(t)
		k := rapid.IntRange(2, 5).Draw(t, "k")
		folds, err := FoldsGroup(keys, label, k)
		if err != nil {
			if !errors.Is(err, ErrSplit) {
				t.Fatal(err)
			}
			t.Skip(err) // drawn again; too many of these fail the test
		}
		var tests [][]int
		home := map[uint64]int{}
		accounts := [2]map[int]map[uint64]bool{{}, {}}
		strata := strataOf(keys, label)
		for f := range folds {
			tests = append(tests, folds[f].Test)
			allOnce(t, len(keys), folds[f].Train, folds[f].Test)
			for _, i := range folds[f].Test {
				if at, ok := home[keys[i]]; ok && at != f {
					t.Fatalf("the account of row %d is in folds %d and %d", i, at, f)
				}
				home[keys[i]] = f
				for s := range strata {
					if slices.Contains(strata[s], keys[i]) {
						if accounts[s][f] == nil {
							accounts[s][f] = map[uint64]bool{}
						}
						accounts[s][f][keys[i]] = true
					}
				}
			}
		}
		allOnce(t, len(keys), tests...)
		for s := range strata {
			for f := range folds {
				if n := len(accounts[s][f]); n != len(strata[s])/k && n != (len(strata[s])+k-1)/k {
					t.Fatalf("fold %d has %d of the %d accounts of stratum %d", f, n, len(strata[s]), s)
				}
			}
		}
	})
}

// The keys were computed with Python: hashlib.sha256((7).to_bytes(8, "big") +
// b"A-17").digest()[:8], as a big-endian number. They must never change.
func TestRowKeys(t *testing.T) {
	got := RowKeys(7, []string{"A-17", "A-17", "", "Zoë"})
	want := []uint64{17509781394514208811, 17509781394514208811, 11811690271803249212, 9602023469445501449}
	if !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
	if other := RowKeys(8, []string{"A-17"})[0]; other == want[0] {
		t.Error("the seed changes nothing")
	}
}

// TestFoldsRule compares with the fold files of the shared tables.
func TestFoldsRule(t *testing.T) {
	if got := FoldsRule([]string{"a", "b", "a", "a", "b", "a"}, 3); !slices.Equal(got, []int{0, 0, 1, 2, 1, 0}) {
		t.Errorf("got %v", got)
	}
	dir := os.Getenv("PROPENSITY_SHARED")
	if dir == "" {
		t.Skip("PROPENSITY_SHARED is not set: the fold files of the shared tables are not compared")
	}
	files, err := filepath.Glob(filepath.Join(dir, "data", "*", "folds.csv"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fold files under %s: %v", dir, err)
	}
	for _, file := range files {
		table := filepath.Dir(file)
		var schema struct{ Label string }
		text, err := os.ReadFile(filepath.Join(table, "schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		label := readColumn(t, filepath.Join(table, "table.csv"), schema.Label)
		want := readColumn(t, file, "fold")
		got := FoldsRule(label, 5)
		if len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d", table, len(got), len(want))
			continue
		}
		for i := range got {
			if strconv.Itoa(got[i]) != want[i] {
				t.Errorf("%s: row %d is in fold %d, want %s", table, i, got[i], want[i])
				break
			}
		}
	}
}

func readColumn(t *testing.T, file, name string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(records[0], name)
	if at < 0 {
		t.Fatalf("%s has no column %s", file, name)
	}
	out := make([]string, 0, len(records)-1)
	for _, record := range records[1:] {
		out = append(out, record[at])
	}
	return out
}

// strataOf lists the distinct keys, ascending, by maps: [0] those of accounts
// without a positive row, [1] the others.
func strataOf(keys []uint64, label []float64) (strata [2][]uint64) {
	positive := map[uint64]bool{}
	for i, y := range label {
		positive[keys[i]] = positive[keys[i]] || y == 1
	}
	for _, key := range slices.Sorted(maps.Keys(positive)) {
		s := 0
		if positive[key] {
			s = 1
		}
		strata[s] = append(strata[s], key)
	}
	return strata
}

// Accounts are numbered by their first row and ordered by key, whatever the keys.
func TestAccounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 16, 32, 1 << 48, 1<<48 + 1, math.MaxUint64}))
		keys := rapid.SliceOfN(key, 1, 60).Draw(t, "keys")
		label := make([]float64, len(keys))
		for i := range label {
			label[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
		}
		a, err := accountsOf(keys, label)
		if err != nil {
			t.Fatal(err)
		}
		known := map[uint64]int{}
		for i, k := range keys {
			if _, ok := known[k]; !ok {
				known[k] = len(known)
			}
			if a.of[i] != known[k] || a.keys[a.of[i]] != k {
				t.Fatalf("row %d of %v: account %d", i, keys, a.of[i])
			}
		}
		for s, want := range strataOf(keys, label) {
			if got := Take(a.keys, a.strata[s]); !slices.Equal(got, want) {
				t.Fatalf("stratum %d: %v, not %v", s, got, want)
			}
		}
	})
}
