package database_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"propensity/serve/database"
	"propensity/serve/database/databasetest"
)

// each runs a test with a new database of each kind.
func each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	databasetest.Each(t, func(t *testing.T, address string) { test(t, databasetest.Open(t, address)) })
}

const counters = `CREATE TABLE test_counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL)`

func TestUpdatesAreWholeAndNoneIsLost(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		if err := db.Migrate(ctx, "test", counters, `INSERT INTO test_counters VALUES ('all', 0)`); err != nil {
			t.Fatal(err)
		}
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				for range 25 {
					err := db.Update(ctx, func(tx *sql.Tx) error {
						_, err := tx.Exec(`UPDATE test_counters SET n = n + 1`)
						return err
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		failed := errors.New("failed")
		err := db.Update(ctx, func(tx *sql.Tx) error {
			if _, err := tx.Exec(`UPDATE test_counters SET n = 0`); err != nil {
				return err
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Fatalf("got %v", err)
		}
		var n int
		if err := db.QueryRow(db.Rebind(`SELECT n FROM test_counters WHERE name = ?`), "all").Scan(&n); err != nil || n != 100 {
			t.Fatalf("%d updates stand, %v; 100 were committed", n, err)
		}
	})
}

func TestMigrateTakesNewStepsAlone(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		more := `ALTER TABLE test_counters ADD COLUMN note TEXT`
		for _, steps := range [][]string{{counters}, {counters}, {counters, more}, {counters, more}} {
			if err := db.Migrate(ctx, "test", steps...); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Migrate(ctx, "test", counters); !errors.Is(err, database.ErrNewer) {
			t.Fatalf("an older program opened newer tables: %v", err)
		}
		if _, err := db.Exec(`INSERT INTO test_counters VALUES ('a', 1, 'x')`); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for _, address := range []string{"", "ledger.db", "sqlite:", "mysql://user:secret@host/db", "postgres://a b:secret@%/x"} {
		_, err := database.Open(context.Background(), address)
		if !errors.Is(err, database.ErrAddress) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestFileIsForItsOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes of files")
	}
	path := filepath.Join(t.TempDir(), "state.db")
	db := databasetest.Open(t, "sqlite:"+path)
	if err := db.Migrate(context.Background(), "test", counters); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
