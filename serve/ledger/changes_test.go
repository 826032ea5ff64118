package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

// Several servers give scores of the same accounts at the same time. The changes are
// those that a reader finds who takes the scores in the order in which they were
// committed, one by one; none is numbered twice and all are there in order.
func TestChangesAreThoseOfTheScoresInOrder(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, address string) {
		ctx := context.Background()
		servers := []*ledger.Ledger{open(t, address, ledger.Options{}), open(t, address, ledger.Options{}), open(t, address, ledger.Options{Sync: true})}
		if !usesPostgres(address) {
			servers = servers[:1] // SQLite is for one server
		}
		accounts := []string{"A", "B", "C"}
		var wait sync.WaitGroup
		for i, l := range servers {
			wait.Go(func() {
				rng := rand.New(rand.NewPCG(7, uint64(i)))
				for n := range int64(150) {
					s := score(accounts[rng.IntN(3)], start+n/10+rng.Int64N(4), string(rune('A'+rng.IntN(3))), rng.Float64())
					s.At = start + n/10 + 2 // some moments have not come
					s.Model = []string{"churn", "upsell"}[rng.IntN(2)]
					s.Origin = []string{ledger.OriginRequest, ledger.OriginShadow, ledger.OriginJob}[rng.IntN(3)]
					if err := l.Record(s); err != nil {
						t.Error(err)
					}
					if n%3 == 0 { // or else most are committed with the one before
						flush(t, l)
					}
				}
			})
		}
		wait.Wait()
		var all []ledger.Kept
		for _, l := range servers {
			flush(t, l)
		}
		for _, account := range accounts {
			all = append(all, scores(t, servers[0], account)...)
		}
		slices.SortFunc(all, func(a, b ledger.Kept) int { return int(a.Number - b.Number) })
		var want []ledger.Change
		for i, s := range all {
			if s.Number != int64(i+1) {
				t.Fatalf("score %d has number %d", i+1, s.Number)
			}
			var last *ledger.Kept
			for j := range all[:i] {
				if o := &all[j]; o.Account == s.Account && o.Model == s.Model && o.Origin != ledger.OriginShadow && o.AsOf <= o.At && (last == nil || o.AsOf >= last.AsOf) {
					last = o
				}
			}
			if s.Origin == ledger.OriginShadow || s.AsOf > s.At || last == nil || last.AsOf > s.AsOf || last.Band == s.Band {
				continue
			}
			want = append(want, ledger.Change{Number: int64(len(want) + 1), At: s.At, Account: s.Account, Model: s.Model, Version: s.Version,
				From: last.Band, To: s.Band, Was: last.Probability, Is: s.Probability})
		}
		var got []ledger.Change
		for {
			some, err := servers[0].Changes(ctx, int64(len(got)), 7)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, some...); len(some) < 7 {
				break
			}
		}
		if len(want) < 10 {
			t.Fatalf("%d changes are too few to show anything", len(want))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if n, err := servers[0].LastChange(ctx); err != nil || n != int64(len(want)) {
			t.Errorf("the last change is %d, %v", n, err)
		}
	})
}

// Whoever waits for changes is woken by one.
func TestChangedWakes(t *testing.T) {
	l := open(t, "sqlite:"+t.TempDir()+"/l.db", ledger.Options{})
	for i, band := range []string{"A", "A", "B"} {
		changed := l.Changed()
		if err := l.Record(score("A", start+int64(i), band, 0.5)); err != nil {
			t.Fatal(err)
		}
		flush(t, l)
		woken := false
		select {
		case <-changed:
			woken = true
		default:
		}
		if woken != (band == "B") {
			t.Errorf("score %d in band %s: woken %v", i, band, woken)
		}
	}
	list, err := l.Changes(context.Background(), 0, 10)
	if err != nil || len(list) != 1 || fmt.Sprint(list[0].From, list[0].To) != "AB" {
		t.Errorf("%+v, %v", list, err)
	}
}
