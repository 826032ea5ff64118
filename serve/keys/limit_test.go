package keys

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A token bucket by its definition: a request may pass if, with it, no stretch of time
// sees more than burst + rate x its length. Times are in eighths of a second and rates
// powers of two, so that nothing is rounded.
func TestBucketAgainstItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Key{Rate: float64(int(1) << rapid.IntRange(0, 4).Draw(t, "rate")), Burst: rapid.IntRange(1, 6).Draw(t, "burst")}
		var u usage
		var passed []time.Time
		now := noon
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 8, 80}).Draw(t, "eighths")) * time.Second / 8)
			may, count := true, 1.0
			for i := len(passed) - 1; i >= 0; i-- {
				count++
				may = may && count <= float64(k.Burst)+k.Rate*now.Sub(passed[i]).Seconds()
			}
			l := u.take(&k, now, 1)
			if (l.Wait == 0) != may {
				t.Fatalf("at %v of %v: wait %v, by the definition it may pass: %v", now.Sub(noon), passed, l.Wait, may)
			}
			if may {
				passed = append(passed, now)
				continue
			}
			// After the wait, and no sooner, it may.
			before, after := copyOf(&u), copyOf(&u)
			if got := before.take(&k, now.Add(l.Wait-time.Millisecond), 1); got.Wait == 0 {
				t.Fatalf("a wait of %v was too long", l.Wait)
			}
			if got := after.take(&k, now.Add(l.Wait), 1); got.Wait != 0 {
				t.Fatalf("after a wait of %v: %+v", l.Wait, got)
			}
		}
	})
}

func copyOf(u *usage) *usage {
	return &usage{tokens: u.tokens, at: u.at, days: u.days}
}

func TestLimitsByHand(t *testing.T) {
	k := Key{Rate: 2, Burst: 3, Daily: 5}
	var u usage
	at := time.Date(2026, 3, 1, 23, 59, 50, 0, time.UTC)
	want := func(l Limits, left int, full, wait time.Duration, daily int64, midnight time.Duration, spent bool) {
		t.Helper()
		w := Limits{Rate: 2, Burst: 3, Left: left, Full: full, Wait: wait, Daily: 5, DailyLeft: daily, Midnight: midnight, Spent: spent}
		if l != w {
			t.Errorf("got  %+v\nwant %+v", l, w)
		}
	}
	const s = time.Second
	want(u.take(&k, at, 1), 2, s/2, 0, 4, 10*s, false)
	want(u.take(&k, at, 1), 1, s, 0, 3, 10*s, false)
	want(u.take(&k, at, 0), 0, 3*s/2, 0, 3, 10*s, false) // a score: it takes of the day when it goes out
	want(u.take(&k, at, 1), 0, 3*s/2, s/2, 3, 10*s, false)
	if !u.spend(&k, at, 3) || u.spend(&k, at, 1) {
		t.Error("three scores are left, and no fourth")
	}
	want(u.take(&k, at.Add(s), 1), 2, s/2, 0, 0, 9*s, true)
	want(u.take(&k, at.Add(s), 0), 2, s/2, 0, 0, 9*s, true)
	want(u.take(&k, at.Add(10*s), 1), 2, s/2, 0, 4, 86400*s, false)
	// A clock set back brings no tokens, and of the day before there is still nothing left;
	// then the new day goes on.
	want(u.take(&k, at, 1), 2, s/2, 0, 0, 10*s, true)
	want(u.take(&k, at.Add(10*s), 1), 2, s/2, 0, 3, 86400*s, false)
	var free usage
	if l := free.take(&Key{}, at, 1); l.Wait != 0 || l.Spent || !free.spend(&Key{}, at, 1e9) {
		t.Errorf("no limits: %+v", l)
	}
}

// Two rings that tell each other what they took give no more together than one alone;
// what one took before it began anew counts; a new day counts from 0.
func TestSharedDays(t *testing.T) {
	path, c := newPath(t), &clock{at: noon}
	_, text := create(t, path, Key{Daily: 10})
	a, b := open(t, path, c, nil), open(t, path, c, nil)
	total := map[int64]int64{}
	share := func(r *Ring) {
		list := r.Usage()
		for i := range list {
			total[list[i].Day] += list[i].New
			list[i].Total = total[list[i].Day]
		}
		r.Share(list)
	}
	spend := func(r *Ring, n int, want bool) {
		t.Helper()
		h, err := r.Find(text)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if h.Spend(1) != want {
				t.Fatalf("a score is given: %v", !want)
			}
		}
	}
	spend(a, 4, true)
	spend(b, 3, true)
	share(a)
	share(b)
	share(a)
	spend(a, 1, true)
	share(a)
	share(a)
	share(b)
	if ra, rb := a.Usage()[0], b.Usage()[0]; ra.Total != 8 || rb.Total != 8 || ra.New+rb.New != 0 {
		t.Errorf("%+v %+v", ra, rb)
	}
	spend(b, 2, true)
	spend(b, 1, false)
	share(b)
	again := open(t, path, c, nil)
	share(again)
	spend(again, 1, false)
	spend(a, 2, true) // it does not know of those of b yet
	share(a)
	spend(a, 1, false)
	c.pass(12 * time.Hour)
	spend(a, 10, true)
	share(a)
	share(b)
	spend(b, 1, false)
}
