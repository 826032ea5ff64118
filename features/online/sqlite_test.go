package online

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"propensity/features/facts"
)

// Every connection writes ahead, and the log is synced after a commit and before the call
// is acknowledged: what the promise of Append rests on, and no kill of a process would
// show.
func TestSQLiteIsSynced(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "facts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	store := s.(*sqliteStore)
	if n, err := store.writer.number(ctx, `PRAGMA synchronous`); err != nil || n < 1 {
		t.Errorf("synchronous is %d, %v; normal is 1", n, err)
	}
	for range 3 {
		conn, err := store.db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var mode string
		var synchronous int
		if err := conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
			t.Errorf("journal_mode is %q, %v", mode, err)
		}
		if err := conn.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous); err != nil || synchronous < 1 {
			t.Errorf("synchronous is %d, %v", synchronous, err)
		}
	}
	var synced []int // how many facts were committed at each sync
	sync, broken := store.sync, false
	store.sync = func() error {
		list, err := store.Facts(ctx, "A", nil)
		if synced = append(synced, len(list)); broken || err != nil {
			return errors.Join(ErrUnavailable, err)
		}
		return sync()
	}
	for n := 1; n <= 3; n++ {
		if err := store.Append(ctx, all(fact("A", fmt.Sprint(n), 1, 1, "a"))); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(synced, []int{1, 2, 3}[:n]) {
			t.Fatalf("acknowledged %d facts one by one; at the syncs there were %v", n, synced)
		}
	}
	broken = true
	if err := store.Append(ctx, all(fact("A", "4", 1, 1, "a"))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("acknowledged without a sync: %v", err)
	}
}

// What another process commits makes all accounts count as changed, what this one
// commits only those that it changes.
func TestChangesOfOtherProcesses(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "facts.db")
	var stores [2]Store
	for i := range stores {
		s, err := Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	versions := func() (out [2]uint64) {
		for i, account := range []string{"A", "B"} {
			out[i] = versionOf(t, stores[0], account)
		}
		return out
	}
	n := int64(0)
	step := func(server int, account string, wantA, wantB bool) {
		t.Helper()
		before := versions()
		n++
		if account != "" {
			appendTo(t, stores[server], fact(account, fmt.Sprint(n), n, n, "x"))
		}
		after := versions()
		if (before[0] != after[0]) != wantA || (before[1] != after[1]) != wantB {
			t.Errorf("step %d: versions %v, then %v", n, before, after)
		}
	}
	step(0, "A", true, false)
	step(0, "B", false, true)
	step(0, "", false, false)
	step(1, "A", true, true) // by another, who has not said what
	step(0, "", false, false)
	step(0, "A", true, false)
	step(1, "B", true, true)
	step(1, "", false, false)
	var again []facts.Fact
	again = append(again, factsIn(t, stores[0], "A")...)
	before := versions()
	appendTo(t, stores[0], again...)
	if after := versions(); after != before {
		t.Errorf("nothing was added, and the versions are %v, before %v", after, before)
	}
}
