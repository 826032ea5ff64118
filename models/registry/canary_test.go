package registry

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A canary begins, grows, ends, and is logged each time.
func TestCanary(t *testing.T) {
	t.Parallel()
	r := published(t, 3)
	ctx := t.Context()
	set := func(version int, share float64) error {
		_, err := r.SetCanary(ctx, "churn", version, share, Event{Actor: "ann"})
		return err
	}
	want := func(want Canary) {
		t.Helper()
		if got, err := r.Canary("churn"); err != nil || got != want {
			t.Fatalf("canary %+v, %v; want %+v", got, err, want)
		}
		checkSettled(t, r, "churn")
	}
	want(Canary{})
	if err := set(2, 0.1); !errors.Is(err, ErrCanary) {
		t.Errorf("without a champion: %v", err)
	}
	promote(t, r, Champion, 1)
	for _, share := range []float64{0, -0.1, 1.01, math.NaN(), math.Inf(1)} {
		if err := set(2, share); !errors.Is(err, ErrCanary) {
			t.Errorf("share %v: %v", share, err)
		}
	}
	if err := set(1, 0.1); !errors.Is(err, ErrCanary) {
		t.Errorf("the champion itself: %v", err)
	}
	if err := set(9, 0.1); !errors.Is(err, ErrNotFound) {
		t.Errorf("a version that is not there: %v", err)
	}
	if err := r.EndCanary(ctx, "churn", Event{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no canary to end: %v", err)
	}
	stamps := map[string]bool{}
	stamp := func() {
		t.Helper()
		s, err := r.Stamp("churn")
		if err != nil || stamps[s] {
			t.Fatalf("stamp %q again, %v", s, err)
		}
		stamps[s] = true
	}
	stamp()
	for _, share := range []float64{0.05, 0.5, 0.5, 1} {
		if err := set(2, share); err != nil {
			t.Fatal(err)
		}
		want(Canary{Version: 2, Share: share, Champion: 1})
	}
	stamp()
	if err := r.Delete(ctx, "churn", 2, Event{}); !errors.Is(err, ErrInUse) {
		t.Errorf("deleted under a canary: %v", err)
	}
	if err := set(3, 0.2); err != nil {
		t.Fatal(err)
	}
	want(Canary{Version: 3, Share: 0.2, Champion: 1})
	stamp()
	if err := r.EndCanary(ctx, "churn", Event{}); err != nil {
		t.Fatal(err)
	}
	want(Canary{})
	entries, err := r.Log("churn")
	if err != nil {
		t.Fatal(err)
	}
	var shares []float64
	for _, e := range entries {
		if e.Action == ActionCanary {
			shares = append(shares, e.Share)
			if e.Hash == "" || e.Version < 2 {
				t.Errorf("%+v", e)
			}
		}
	}
	if !slices.Equal(shares, []float64{0.05, 0.5, 1, 0.2, 0}) {
		t.Errorf("logged %v", shares)
	}
}

// A canary is over when the champion moves, also if a rollback brings that champion
// back; moves of other aliases do not touch it.
func TestCanaryEndsWithItsChampion(t *testing.T) {
	t.Parallel()
	r := published(t, 3)
	promote(t, r, Champion, 1)
	if _, err := r.SetCanary(t.Context(), "churn", 2, 0.5, Event{}); err != nil {
		t.Fatal(err)
	}
	promote(t, r, "challenger", 3)
	if c, err := r.Canary("churn"); err != nil || c.Version != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	promote(t, r, Champion, 2)
	if _, _, err := r.Rollback(t.Context(), "churn", Champion, Event{}); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Canary("churn"); err != nil || c.Version != 0 {
		t.Errorf("after a rollback: %+v, %v", c, err)
	}
	checkSettled(t, r, "churn")
	// The same where aliases.json was changed by hand.
	if _, err := r.SetCanary(t.Context(), "churn", 2, 0.5, Event{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.modelDir("churn"), aliasesFile)
	if err := os.WriteFile(path, []byte(`{"champion": 3}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Canary("churn"); err != nil || c.Version != 0 {
		t.Errorf("after a move by hand: %+v, %v", c, err)
	}
	if _, _, err := r.Rollback(t.Context(), "churn", Champion, Event{}); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Canary("churn"); err != nil || c.Version != 0 {
		t.Errorf("after a rollback: %+v, %v", c, err)
	}
}

func TestDamagedCanary(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `{}`, `null`, `[]`, `{"version": 2}`, `{"version": 2, "share": 0, "champion": 1}`, `{"version": 2, "share": 1.5, "champion": 1}`,
		`{"version": 2, "share": "x", "champion": 1}`, `{"version": 2, "share": 0.5, "champion": 1} {}`, `{"version": 2, "share": 0.5, "champion": 1, "more": 1}`,
		`{"version": -2, "share": 0.5, "champion": 1}`, `{"version": 1, "share": 0.5, "champion": 1}`,
	} {
		r := published(t, 2)
		promote(t, r, Champion, 1)
		if err := os.WriteFile(filepath.Join(r.modelDir("churn"), canaryFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if c, err := r.Canary("churn"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

// An alias taken away is gone, logged, and a rollback knows what it had before.
func TestUnalias(t *testing.T) {
	t.Parallel()
	r := published(t, 2)
	promote(t, r, "challenger", 1, 2)
	promote(t, r, Champion, 1)
	if n, err := r.Unalias(t.Context(), "churn", "challenger", Event{Actor: "ann"}); err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	checkSettled(t, r, "churn")
	if a, err := r.Aliases("churn"); err != nil || len(a) != 1 || a[Champion] != 1 {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := r.Unalias(t.Context(), "churn", "challenger", Event{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	if _, _, err := r.Rollback(t.Context(), "churn", "challenger", Event{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a rollback of what is not there: %v", err)
	}
	promote(t, r, "challenger", 2)
	if from, to, err := r.Rollback(t.Context(), "churn", "challenger", Event{}); err != nil || from != 2 || to != 1 {
		t.Errorf("from %d to %d, %v", from, to, err)
	}
	checkSettled(t, r, "churn")
	entries, err := r.Log("churn")
	if err != nil {
		t.Fatal(err)
	}
	if e := entries[5]; e.Action != ActionUnalias || e.Version != 2 || e.Alias != "challenger" || e.Actor != "ann" {
		t.Errorf("%+v", e)
	}
}

// PromoteFrom moves only from where the caller says the alias is.
func TestPromoteFrom(t *testing.T) {
	t.Parallel()
	r := published(t, 3)
	from := func(from, to int) error {
		return r.PromoteFrom(t.Context(), "churn", from, to, Champion, Event{})
	}
	if err := from(1, 2); !errors.Is(err, ErrMoved) {
		t.Errorf("an alias that is not there: %v", err)
	}
	if err := errors.Join(from(0, 1), from(1, 2)); err != nil {
		t.Fatal(err)
	}
	for _, was := range []int{0, 1, 3} {
		if err := from(was, 3); !errors.Is(err, ErrMoved) {
			t.Errorf("from %d: %v", was, err)
		}
	}
	if a, err := r.Aliases("churn"); err != nil || a[Champion] != 2 {
		t.Errorf("%v, %v", a, err)
	}
}
