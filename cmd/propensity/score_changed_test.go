package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run is held against the last one: what is unchanged is left out, a jump is stopped, and
// nothing of it is left behind.
func TestScoreChangedOnly(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "monday.csv", newAccounts)
	must(t, exitDone, append(scoreNew, "--in", "monday.csv", "--out", "last.csv")...)

	same := must(t, exitDone, append(scoreNew, "--in", "monday.csv", "--last", "last.csv", "--changed-only", "--out", "none.csv")...)
	mentions(t, same.err, "0 accounts move up, 0 move down, 3 stay in their band, 0 are new, 0 are gone", "0 rows were written")
	if got := read(t, "none.csv"); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "account,") {
		t.Errorf("nothing has changed, and it wrote %q", got)
	}

	// N-1 and N-3 change places, N-2 is gone, N-4 is new.
	write(t, "tuesday.csv", strings.NewReplacer("N-1", "N-x", "N-3", "N-1", "N-2", "N-4").Replace(strings.Replace(newAccounts, "N-x", "N-3", 1)))
	tuesday := append(scoreNew, "--in", "tuesday.csv", "--last", "last.csv")
	s := must(t, exitDone, append(tuesday, "--dry-run", "--force", "--json")...)
	mentions(t, s.out, `"new": 2`, `"gone": 2`)
	s = must(t, exitNo, append(tuesday, "--changed-only", "--out", "changed.csv", "--whole", "whole.csv", "--max-shift", "0.0001")...)
	mentions(t, s.err, "nothing was written", "last.csv", "--force")
	if left, err := filepath.Glob("*changed*"); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if _, err := os.Stat("whole.csv"); err == nil {
		t.Error("whole.csv is there")
	}
	must(t, exitDone, append(tuesday, "--changed-only", "--out", "changed.csv", "--whole", "whole.csv", "--force")...)
	if got := read(t, "whole.csv"); strings.Count(got, "\n") != 4 {
		t.Errorf("the whole has %q", got)
	}
	must(t, exitDone, append(scoreNew, "--in", "tuesday.csv", "--out", "by-itself.csv")...)
	if read(t, "whole.csv") != read(t, "by-itself.csv") {
		t.Error("the whole is not what a run by itself writes")
	}
	for _, wrong := range [][]string{{"--changed-only"}, {"--dry-run"}, {"--last", "last.csv", "--max-changed", "2"}, {"--crm", "salesforce"}, {"--crm-id", "x"},
		{"--out", "crm", "--crm", "salesforce", "--crm-id", "Key__c", "--crm-field", "points=Points__c"}} {
		must(t, exitUsage, append(append(scoreNew, "--in", "tuesday.csv"), wrong...)...)
	}
}

func TestScoreForCRM(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	must(t, exitDone, append(scoreNew, "--in", "new.csv", "--out", "crm", "--crm", "salesforce", "--crm-id", "Key__c", "--crm-field", "probability=Churn__c,band=Band__c,reasons=Why__c")...)
	got := read(t, filepath.Join("crm", "scores-0001.csv"))
	if lines := strings.Split(got, "\n"); len(lines) != 5 || lines[0] != "Key__c,Churn__c,Band__c,Why__c" || !strings.HasPrefix(lines[1], "N-1,0.") || strings.Contains(got, "\r") {
		t.Errorf("got %q", got)
	}
	s := must(t, exitFailed, append(scoreNew, "--in", "new.csv", "--out", "crm", "--crm", "salesforce", "--crm-id", "Key__c", "--crm-field", "band=Band__c")...)
	mentions(t, s.err, "crm is there already")
}

// read is what a file holds.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
