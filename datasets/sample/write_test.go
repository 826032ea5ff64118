package sample

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
)

func TestWrite(t *testing.T) {
	c := Simulate(Options{Accounts: 200, Seed: 2})
	dir := filepath.Join(t.TempDir(), "new", "place")
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]*datasets.Table{
		"raw/accounts.csv": c.Accounts, "raw/answers.csv": c.Answers, "raw/events.parquet": c.Events,
		"raw/subscriptions.csv": c.Subscriptions, "conversion.csv": c.Conversion,
		"churn.csv": c.Churn, "upsell.csv": c.Upsell, "truth.csv": c.Truth,
	} {
		got, err := datasets.Read(filepath.Join(dir, name), datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Names(), want.Names()) || got.Rows() != want.Rows() {
			t.Fatalf("%s has %d rows of %v, want %d of %v", name, got.Rows(), got.Names(), want.Rows(), want.Names())
		}
		for k := range want.Columns {
			a, b := &got.Columns[k], &want.Columns[k]
			if a.Kind != b.Kind && b.Kind != datasets.Text { // CSV cannot tell ids from categories
				t.Errorf("%s: %s is read as %s, not %s", name, a.Name, a.Kind, b.Kind)
			}
			for i := range want.Rows() {
				if x, y := a.At(i), b.At(i); x.String() != y.String() || x.Missing() != y.Missing() {
					t.Fatalf("%s, row %d: %s is read as %v, not %v", name, i, a.Name, x, y)
				}
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "README.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "A simulated company") {
		t.Errorf("the README does not begin by saying that all is simulated:\n%s", text)
	}
}
