package online_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"propensity/features/facts"
	"propensity/features/online"
)

// A store of SQLite that was closed is one file: nothing stands beside it that a copy
// could leave behind.
func TestSQLiteClosed(t *testing.T) {
	dir := t.TempDir()
	s, err := online.Open(context.Background(), "sqlite:"+filepath.Join(dir, "facts.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(context.Background(), []facts.Fact{{Source: "events", Account: "A", ID: "1", Occurred: 1, Arrived: 1}}); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Facts(context.Background(), "A", nil); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v: left %v", err, entries)
	}
}
