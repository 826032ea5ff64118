package monitor

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/serve/database"
	"propensity/serve/database/databasetest"
)

// each runs a test with a new database of each kind; open gives another connection to it.
func each(t *testing.T, test func(t *testing.T, open func() *database.DB)) {
	databasetest.Each(t, func(t *testing.T, address string) {
		test(t, func() *database.DB { return databasetest.Open(t, address) })
	})
}

// Counts outlive a server, add up over several, and go when their time is over.
func TestCountsAreKept(t *testing.T) {
	w := &world{}
	scorer := w.scorer(t, 500, 1)
	each(t, func(t *testing.T, open func() *database.DB) {
		ctx := context.Background()
		now := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC).UnixMicro()
		start := func() (*Monitor, *Live) {
			m := Open(Options{Database: open(), Keep: 48 * time.Hour, Now: func() int64 { return now }})
			return m, m.Watch("churn", 1, scorer.Artifact().Hash(), func() *Shape { return NewShape("churn", 1, scorer) })
		}
		rng := rand.New(rand.NewPCG(1, 1))
		count := func(l *Live, n int) {
			for range n {
				l.Count(answerAt(t, w, scorer, rng), "A-1")
			}
		}
		rows := func(m *Monitor, l *Live, back time.Duration) int64 {
			t.Helper()
			c, err := m.Counts(ctx, l.Shape, Span{now - back.Microseconds(), now + 1})
			if err != nil {
				t.Fatal(err)
			}
			return c.Rows
		}
		flush := func(m *Monitor) {
			t.Helper()
			if err := m.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		first, l := start()
		count(l, 3)
		flush(first)
		count(l, 4)
		now += hour
		count(l, 5) // the hour is that in which they are collected
		if got := rows(first, l, 2*time.Hour); got != 12 {
			t.Fatalf("%d rows, want 12", got)
		}
		flush(first)
		flush(first)

		second, k := start()
		count(k, 7)
		if a, b := rows(first, l, 2*time.Hour), rows(second, k, 2*time.Hour); a != 12 || b != 19 {
			t.Fatalf("%d and %d rows, want 12 and 19", a, b)
		}
		flush(second)
		if a, b := rows(first, l, 2*time.Hour), rows(first, l, time.Minute); a != 19 || b != 16 {
			t.Fatalf("%d and %d rows, want 19 and 16", a, b)
		}
		if second.Watch("churn", 1, scorer.Artifact().Hash(), nil) != k {
			t.Error("a version is watched twice")
		}
		now += 50 * hour
		flush(first)
		flush(second)
		if a, b := rows(first, l, 100*time.Hour), rows(second, k, 100*time.Hour); a != 0 || b != 0 {
			t.Errorf("%d and %d rows are left after their time", a, b)
		}
		var left int
		if err := open().QueryRow(`SELECT COUNT(*) FROM monitor_hours`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d hours are left in the database, %v", left, err)
		}
	})
}

// A database that does not answer loses nothing that was counted.
func TestCountsWaitForTheDatabase(t *testing.T) {
	w := &world{}
	scorer := w.scorer(t, 500, 1)
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := database.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := Open(Options{Database: db})
	l := m.Watch("churn", 1, scorer.Artifact().Hash(), func() *Shape { return NewShape("churn", 1, scorer) })
	l.Count(answerAt(t, w, scorer, rand.New(rand.NewPCG(1, 1))), "A-1")
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Flush(gone); err == nil {
		t.Fatal("flushed without a database")
	}
	if err := m.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	var b []byte
	if err := db.QueryRow(`SELECT counts FROM monitor_hours`).Scan(&b); err != nil {
		t.Fatal(err)
	}
	if c, err := l.Shape.Parse(b); err != nil || c.Rows != 1 || !bytes.Equal(c.Append(nil), b) {
		t.Errorf("%v: %+v", err, c)
	}
}

// Versions that are not asked for make room for those that are.
func TestVersionsThatAreWatchedAreBounded(t *testing.T) {
	w := &world{}
	scorer := w.scorer(t, 500, 1)
	m := Open(Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	a := answerAt(t, w, scorer, rng)
	var lives []*Live
	for v := range mostWatched + 5 {
		lives = append(lives, m.Watch("churn", v+1, scorer.Artifact().Hash(), func() *Shape { return NewShape("churn", v+1, scorer) }))
	}
	lives[0].Count(a, "")
	if err := m.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(m.watched) != mostWatched || m.watched[mostWatched-1].live != lives[0] || m.watched[0].live != lives[6] {
		t.Errorf("%d are watched", len(m.watched))
	}
}

// Totals go on from hour to hour, by states, and name a version once.
func TestTotals(t *testing.T) {
	w := &world{}
	scorer := w.scorer(t, 500, 1)
	now := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC).UnixMicro()
	m := Open(Options{Keep: time.Hour, Now: func() int64 { return now }})
	watch := func(hash string) *Live {
		return m.Watch("churn", 1, hash, func() *Shape {
			s := NewShape("churn", 1, scorer)
			s.Hash = hash
			return s
		})
	}
	old, l := watch("old"), watch("new")
	rng := rand.New(rand.NewPCG(1, 1))
	old.Count(answerAt(t, w, scorer, rng), "")
	if len(m.Totals()) != 1 {
		t.Fatal("a version is told twice")
	}
	w.change = func(row map[string]datasets.Value, _ *rand.Rand) {
		row["seats"], row["plan"] = datasets.Value{}, text("Pro")
	}
	for range 3 {
		l.Count(answerAt(t, w, scorer, rng), "")
		now += 5 * hour // what was counted before is forgotten
		if err := m.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]int64{}
	for _, c := range m.Totals()[0].Columns {
		for _, s := range c.States {
			got[c.Name+" "+s.State] = s.Rows
		}
	}
	for what, n := range map[string]int64{"seats known": 0, "seats missing": 3, "plan unseen": 3, "plan known": 0, "logins known": 3, "logins missing": 0} {
		if got[what] != n {
			t.Errorf("%s: %d, want %d", what, got[what], n)
		}
	}
}
