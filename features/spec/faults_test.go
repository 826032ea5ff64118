package spec_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"propensity/features/spec"
)

// faulty are project files with everything that is wrong with them.
var faulty = readFaulty()

type faultyFile struct{ name, text, want string }

// readFaulty reads testdata/faults.txt: a name after ===, the file, and its faults after
// ---. @sources stands for three good sources.
func readFaulty() (out []faultyFile) {
	b, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		panic(err)
	}
	for _, block := range strings.Split(string(b), "=== ")[1:] {
		name, rest, _ := strings.Cut(block, "\n")
		text, want, _ := strings.Cut(rest, "--- faults\n")
		out = append(out, faultyFile{name, strings.ReplaceAll(text, "@sources\n", goodSources), want})
	}
	return out
}

const goodSources = `version: 1
account: account_id
sources:
  accounts:      {path: accounts.csv, time: created_at}
  events:        {path: events.csv, time: occurred_at}
  subscriptions: {path: subscriptions.csv, start: started_at, end: ended_at, amount: mrr}
`

// Every fault is listed, at its line, with what to do. REWRITE=1 writes them anew.
func TestFaults(t *testing.T) {
	var rewritten strings.Builder
	raw, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(raw), "=== ")[1:]
	for i, c := range faulty {
		p, err := spec.Parse([]byte(c.text))
		var faults *spec.Faults
		got := ""
		switch {
		case err == nil:
			got = "none\n"
		case !errors.As(err, &faults) || p != nil:
			t.Errorf("%s: %v, %v", c.name, p, err)
		default:
			for _, f := range faults.List {
				got += f.String() + "\n"
			}
		}
		text, _, _ := strings.Cut(blocks[i], "--- faults\n")
		rewritten.WriteString("=== " + text + "--- faults\n" + got)
		if got != c.want {
			t.Errorf("%s:\n%s\nis not\n%s", c.name, got, c.want)
		}
	}
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile("testdata/faults.txt", []byte(rewritten.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
