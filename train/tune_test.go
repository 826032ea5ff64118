package train

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models/tree"
	"propensity/train/gbdt"
)

// Every trial is a valid setting, the first is the defaults, no two are the same,
// and what was set by hand stays.
func TestTrials(t *testing.T) {
	base := gbdt.Defaults()
	for n := 1; n <= mostTrials; n++ {
		if got := trials(n, base, BoostingSettings{}); len(got) != n || !reflect.DeepEqual(got[0], base) {
			t.Fatalf("%d trials of %d, the first %+v", len(got), n, got[0])
		}
	}
	all := trials(mostTrials, base, BoostingSettings{})
	for i, o := range all {
		if err := o.Validate(); err != nil {
			t.Errorf("trial %d: %v", i, err)
		}
		if slices.IndexFunc(all, func(other gbdt.Options) bool { return reflect.DeepEqual(other, o) }) != i {
			t.Errorf("trial %d is tried twice", i)
		}
	}
	base.Leaves, base.Rate = 5, 0.5
	for i, o := range trials(mostTrials, base, BoostingSettings{Leaves: 5, Rate: 0.5}) {
		if o.Leaves != 5 || o.Rate != 0.5 {
			t.Errorf("trial %d: %d leaves, rate %v, set by hand to 5 and 0.5", i, o.Leaves, o.Rate)
		}
	}
}

// The best go on, and the defaults with them.
func TestFinalists(t *testing.T) {
	field := make([]*trial, 8)
	for i := range field {
		field[i] = &trial{number: i, loss: 0.5 - 0.01*float64(i%5)}
	}
	var got []int
	for _, f := range finalists(field, 3) {
		got = append(got, f.number)
	}
	if want := []int{4, 3, 0}; !slices.Equal(got, want) {
		t.Errorf("%v go on, want %v", got, want)
	}
	if got := finalists(field[:1], 2); len(got) != 1 || got[0] != field[0] {
		t.Errorf("of one trial: %v", got)
	}
}

// A quarter shares no account with the others, and together they are all rows.
func TestQuarter(t *testing.T) {
	p, s := prepared1(t, known(4000, 5), Spec{ID: "who"})
	rows, e := encodeAll(t, p)
	quarter, others := quarterOf(&e.matrix, s.Seed)
	if all := slices.Sorted(slices.Values(append(slices.Clone(quarter), others...))); !slices.Equal(all, rows) {
		t.Errorf("%d and %d rows are not the %d there are", len(quarter), len(others), len(rows))
	}
	if share := float64(len(quarter)) / 4000; math.Abs(share-0.25) > 0.05 {
		t.Errorf("a quarter is %v of the rows", share)
	}
	in := map[int]bool{}
	for _, i := range quarter {
		in[e.matrix.Group[i]] = true
	}
	for _, i := range others {
		if in[e.matrix.Group[i]] {
			t.Fatalf("account %d is on both sides", e.matrix.Group[i])
		}
	}
	few := e.matrix.Take(rows[:100])
	if quarter, _ := quarterOf(&few, s.Seed); quarter != nil {
		t.Errorf("%d rows of 100 are enough for a quarter", len(quarter))
	}
}

// Tuning chooses settings no worse on its held-out rows than the defaults are,
// scores those rows and no others, and does the same twice.
func TestTuneBoosting(t *testing.T) {
	for _, rows := range []int{300, 2500} { // too few for a quarter, and enough
		p, s := prepared1(t, known(rows, 5), Spec{ID: "who", Tune: 3})
		all, e := encodeAll(t, p)
		folds := datasets.FoldsOf(datasets.FoldsRule(p.label, 3), 3)
		last := 0
		tune := func() settled {
			last = 0
			out, err := tuneBoosting(context.Background(), &e.matrix, folds, s, func(done, total int) {
				if done < last || done > total {
					t.Fatalf("%d rows: progress %d of %d after %d", rows, done, total, last)
				}
				last = done
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		out, again := tune(), tune()
		if out.settings["trials"] != 3 || out.settings["trees"] < 1 || out.settings["leaves"] < 2 {
			t.Errorf("%d rows: settings %v", rows, out.settings)
		}
		for i := range all {
			scored := slices.Contains(folds[2].Test, i)
			if math.IsNaN(out.raw[i]) == scored || scored && out.raw[i] != again.raw[i] {
				t.Fatalf("%d rows: row %d, held out %v, scores %v, again %v", rows, i, scored, out.raw[i], again.raw[i])
			}
		}
		last = 0 // the fit on all rows counts its own trees
		m, err := out.Fit(context.Background(), e.matrix, e.matrix.Take(nil))
		if err != nil || m.(*tree.Ensemble).Trees() == 0 {
			t.Errorf("%d rows: %v", rows, err)
		}
	}
}

func TestTuneIsForBoosting(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Tune: 9}, "tune 9 is not between 1 and 8"},
		{Spec{Tune: -1}, "tune -1"},
		{Spec{Tune: 3, Learners: []string{"logistic"}}, "not among logistic"},
		{Spec{Tune: 3, Boosting: BoostingSettings{Trees: 5}}, "leave out either"},
	} {
		c.spec.Name, c.spec.Label = "m", "y"
		if err := c.spec.Validate(); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.want)
		}
	}
}
