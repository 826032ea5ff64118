package ledger_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

// Of a forgotten account nothing is left, nor is it in the file of SQLite; of others all
// is as it was, and numbers go on.
func TestForgetLeavesNothingOfAnAccount(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, address string) {
		ctx := context.Background()
		l := open(t, address, ledger.Options{Every: time.Hour}) // what waits is forgotten too
		const secret = "account-to-forget"
		for i, account := range []string{secret, "B", secret, "B", "B"} {
			s := score(account, start+int64(i), string(rune('A'+i)), 0.5)
			s.Row[0].Text = "row of " + account
			if err := l.Record(s); err != nil {
				t.Fatal(err)
			}
			add(t, l, outcome("", account, datasets.MissingTime, start+int64(i), true))
		}
		f, err := l.Forget(ctx, secret)
		if err != nil || f != (ledger.Forgotten{Scores: 2, Outcomes: 2, Changes: 1}) {
			t.Fatalf("%+v, %v", f, err)
		}
		if list := scores(t, l, secret); len(list) != 0 {
			t.Errorf("%d scores are left", len(list))
		}
		if list, err := l.Outcomes(ctx, secret, ""); err != nil || len(list) != 0 {
			t.Errorf("outcomes %v, %v are left", list, err)
		}
		changes, err := l.Changes(ctx, 0, 10)
		if err != nil || len(changes) != 2 || changes[0].Account != "B" || changes[1].Number != 3 {
			t.Errorf("%+v, %v", changes, err)
		}
		if list := scores(t, l, "B"); len(list) != 3 || list[0].Label != 1 {
			t.Errorf("of the other account are left %+v", list)
		}
		if err := l.Record(score("C", start, "A", 0.5)); err != nil {
			t.Fatal(err)
		}
		if list := scores(t, l, "C"); list[0].Number != 6 {
			t.Errorf("the next score has number %d", list[0].Number)
		}
		if usesPostgres(address) {
			return
		}
		files, err := filepath.Glob(strings.TrimPrefix(address, "sqlite:") + "*")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, path := range files {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s still has the account", filepath.Base(path))
			}
		}
	})
}

// What is older than is kept goes; an outcome stays as long as a score may need it.
func TestExpireKeepsWhatIsNeeded(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, address string) {
		now := start
		l := open(t, address, ledger.Options{Now: func() int64 { return now }})
		reader := l
		for d := range int64(1203) { // several steps
			s := score("A", start+d*1000, string(rune('A'+d%2)), 0.5)
			if err := l.Record(s); err != nil {
				t.Fatal(err)
			}
		}
		young := score("A", start+50*day, "A", 0.5)
		if err := l.Record(young); err != nil {
			t.Fatal(err)
		}
		old, late := outcome("old", "A", datasets.MissingTime, start, true), outcome("late", "A", datasets.MissingTime, start+60*day, true)
		add(t, l, old, late, outcome("of", "B", start+60*day, start, true))
		flush(t, l)
		now = start + 101*day
		l = open(t, address, ledger.Options{Now: func() int64 { return now }})
		if n, err := l.Expire(context.Background()); err != nil || n != 0 {
			t.Fatalf("for ever: %d rows, %v", n, err)
		}
		l = open(t, address, ledger.Options{Now: func() int64 { return now }, Keep: 100 * 24 * time.Hour})
		eventually(t, "gone, what is old", func() bool { // it begins by itself
			changes, err := reader.Changes(context.Background(), 0, 1)
			outcomes, err2 := reader.Outcomes(context.Background(), "A", "")
			return err == nil && err2 == nil && len(changes) == 0 && len(outcomes) == 1 && len(scores(t, reader, "A")) == 1
		})
		if n, err := l.Expire(context.Background()); err != nil || n != 0 {
			t.Fatalf("%d more rows, %v", n, err)
		}
		if s := scores(t, reader, "A")[0]; s.AsOf != young.AsOf || s.Outcome != "late" {
			t.Errorf("%+v is left", s)
		}
		if list, err := reader.Outcomes(context.Background(), "A", ""); err != nil || len(list) != 1 {
			t.Errorf("outcomes %v are left, %v", list, err)
		}
		if list, err := reader.Outcomes(context.Background(), "B", ""); err != nil || len(list) != 1 {
			t.Errorf("outcomes %v of a later moment are left, %v", list, err)
		}
		if list, err := reader.Changes(context.Background(), 0, 2000); err != nil || len(list) != 0 {
			t.Errorf("%d changes are left, %v", len(list), err)
		}
	})
}
