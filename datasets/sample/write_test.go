package sample

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	c := Simulate(Options{Accounts: 200, Seed: 2})
	dir := filepath.Join(t.TempDir(), "new", "place")
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string]int{
		"raw/accounts.csv": c.Accounts.Rows(), "raw/answers.csv": c.Answers.Rows(), "raw/events.csv": c.Events.Rows(),
		"raw/subscriptions.csv": c.Subscriptions.Rows(), "conversion.csv": c.Conversion.Rows(),
		"churn.csv": c.Churn.Rows(), "upsell.csv": c.Upsell.Rows(), "truth.csv": c.Truth.Rows(),
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(text, []byte("\n")); lines != rows+1 {
			t.Errorf("%s has %d lines, want a header and %d rows", name, lines, rows)
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
