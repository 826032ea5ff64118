package ledger

import (
	"context"
	"testing"
	"time"

	"propensity/serve/database"
	"propensity/serve/database/databasetest"
)

// By a clock that stands a year ahead for three sweeps, scores that are kept for a day go
// at most four hours too early, and none once it is put right; with one that goes on, they
// go when they are a day old.
func TestClockAheadDeletesLittle(t *testing.T) {
	const hour = int64(time.Hour / time.Microsecond)
	now := 1_772_357_400_000_000 + 30*hour
	db, err := database.Open(context.Background(), databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l := Open(db, Options{})
	defer l.Close()
	l.o.Keep = 24 * time.Hour // now that nothing sweeps besides the test
	for age := range 30 {     // 0 to 29 hours
		if err := l.Record(&Score{At: now - int64(age)*hour - 1, Account: "A", Model: "churn", Version: 1, AsOf: now - int64(age)*hour - 1, Band: "A", Probability: 0.5}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	oldest := func() (age int64) {
		t.Helper()
		if err := db.QueryRow(`SELECT min(at) FROM ledger_scores`).Scan(&age); err != nil {
			t.Fatal(err)
		}
		return (now - age) / hour
	}
	sweep := func(last int64) int64 {
		t.Helper()
		at := nextExpiry(last, now)
		if _, err := l.expireAt(context.Background(), at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	last := sweep(now)
	if age := oldest(); age != 23 {
		t.Fatalf("the oldest is %d hours old", age)
	}
	const year = 365 * 24 * hour
	now += hour + year
	last = sweep(last)
	now += hour
	last = sweep(last)
	now += hour
	last = sweep(last)
	if now -= year; last != now+3*hour {
		t.Fatalf("after three sweeps it is believed by %d hours", (last-now)/hour)
	}
	if age := oldest(); age != 20 { // 24 and 3 too early
		t.Errorf("the oldest is %d hours old", age)
	}
	now += hour
	if last = sweep(last); last != now || oldest() != 21 {
		t.Errorf("put right: %d hours off, the oldest is %d hours old", (last-now)/hour, oldest())
	}
}
