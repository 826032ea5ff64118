// Package databasetest gives tests databases of each kind: SQLite always, Postgres where
// PROPENSITY_POSTGRES names a server.
package databasetest

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"propensity/serve/database"
)

// Each runs a test with the address of a new database of each kind.
func Each(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite is the address of a file that is not there yet.
func SQLite(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "state.db") }

// Postgres is the address of an empty schema, which goes with the test.
func Postgres(t testing.TB) string {
	t.Helper()
	address := os.Getenv("PROPENSITY_POSTGRES")
	if address == "" {
		t.Skip("PROPENSITY_POSTGRES names no server")
	}
	schema := "test_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	admin := Open(t, address)
	if _, err := admin.Exec(`CREATE SCHEMA ` + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = admin.Exec(`DROP SCHEMA ` + schema + ` CASCADE`) })
	return address + "?search_path=" + schema
}

// Open opens a database until the end of the test.
func Open(t testing.TB, address string) *database.DB {
	t.Helper()
	db, err := database.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
