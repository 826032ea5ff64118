package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/features/spec"
)

// With too many values to remember, those that are remembered are counted as they
// are counted when there is room for all.
func TestOfTooManyIdsASampleIsCountedWhole(t *testing.T) {
	const ids = 20_000
	r := rand.New(rand.NewPCG(1, 2))
	all, few := newRepeats(1<<20), newRepeats(1000)
	add := func(id int, content uint64, account int32) {
		h := hashText(fmt.Sprintf("id-%d", id))
		for _, x := range []*repeats{all, few} {
			x.add(h, content, account, func() Example { return Example{Value: fmt.Sprint(id)} })
		}
	}
	var twice, changed, elsewhere int64
	for id := range ids {
		add(id, 1, 1)
		switch r.IntN(10) {
		case 0:
			twice++
			add(id, 1, 1)
		case 1:
			twice++
			changed++
			add(id, 2, 1)
		case 2:
			twice++
			elsewhere++
			add(id, 2, 2)
			add(id, 1, 1)
		}
	}
	if a, b, c := all.count(); a != twice || b != elsewhere || c != changed || len(all.first) != ids || all.oneIn() != 0 {
		t.Errorf("%d %d %d of %d, not %d %d %d", a, b, c, len(all.first), twice, elsewhere, changed)
	}
	// What the sample holds is what the whole says of the same ids.
	for h, s := range all.first {
		if few.keeps(h) != (few.first[h] == s) {
			t.Fatalf("%x: %v in the sample, %v in the whole", h, few.first[h], s)
		}
	}
	if n := len(few.first); n > 1000 || n < 400 || few.oneIn() != 32 {
		t.Errorf("%d of %d are sampled, one in %d", n, ids, few.oneIn())
	}
}

// A lookup that is a sample is only asked for what it would know.
func TestASampledLookupIsAskedOnlyForWhatItHolds(t *testing.T) {
	c := &checker{o: Options{keys: 100}}
	l := &lookup{sample: sample{most: 100}, values: map[uint64]int64{}}
	b := &batch{source: &spec.Source{Name: "subscriptions"}, columns: []datasets.Column{{Name: "id", Kind: datasets.Text}}}
	for i := range int32(5000) {
		b.columns[0].Values = append(b.columns[0].Values, fmt.Sprint("s", i))
		b.columns[0].Codes = append(b.columns[0].Codes, i)
		b.occurred, b.account, b.kept = append(b.occurred, int64(i)), append(b.account, noAccount), append(b.kept, i)
	}
	l.take(b, key{column: "id"})
	if len(l.values) > 100 || len(l.values) < 30 {
		t.Fatal(len(l.values))
	}
	j := &joined{c: c, check: "references", name: "id", lookup: l}
	j.begin(b)
	for _, row := range b.kept {
		j.record(b, row)
	}
	if j.t.count != 0 || j.asked != int64(len(l.values)) {
		t.Errorf("%d of %d unknown, %d held", j.t.count, j.asked, len(l.values))
	}
	if l.oneIn() != 64 {
		t.Errorf("one in %d", l.oneIn())
	}
}

func TestQuantilesAreWithinASixteenth(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var l lateness
	var all []int64
	for range 20_000 {
		us := int64(1) << r.IntN(45)
		us += r.Int64N(us)
		if r.IntN(5) == 0 {
			us = -us
		}
		all = append(all, max(0, us))
		l.add(us)
	}
	slices.Sort(all)
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99, 1} {
		want := all[min(len(all)-1, int(q*float64(len(all))+0.999999)-1)]
		if got := l.quantile(q); got < want || float64(got) > float64(want)*17/16+1 {
			t.Errorf("%g: %d, not %d", q, got, want)
		}
	}
	for us, want := range map[int64]string{0: "0s", 1_500_000: "1.5s", 120_000_000: "2m", 7_200_000_000: "2h", 36 * 3_600_000_000: "36h", 10 * 86_400_000_000: "10d", 9e18: "104166667d"} {
		if got := spell(us); got != want {
			t.Errorf("%d is %s, not %s", us, got, want)
		}
	}
}
