package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// Training again by what stands in the artifact gives the artifact, whatever the
// learner and although a champion's bands went into it; another table is refused.
func TestVerifyTrainsAgain(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "more.csv", accountsCSV(1800, 2))
	must(t, exitDone, "train", "churn", "--data", "more.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic,scorecard", "--capacity", "40",
		"--monotone", "logins=falling", "--learner", "boosting", "--trees", "20", "--promote", "always")
	mentions(t, must(t, exitDone, "models", "verify", "churn@1").out, "churn@1 is whole")
	for version, data := range map[string]string{"churn@1": "accounts.csv", "churn@2": "more.csv"} {
		mentions(t, must(t, exitDone, "models", "verify", version, "--data", data).out, version+" is whole", "the same to the bit")
		v := decode[verified](t, must(t, exitDone, "models", "verify", version, "--data", data, "--json").out)
		if v.Retrained == nil || !*v.Retrained || len(v.Differ) > 0 || !v.Whole {
			t.Errorf("%+v", v)
		}
	}
	s := must(t, exitFailed, "models", "verify", "churn@1", "--data", "more.csv")
	mentions(t, s.err, "more.csv is not the table", "fingerprint")
}

// A version that the program would not make again is told by name of its files.
func TestVerifyFindsAnother(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	same := false
	a := &app{stdout: io.Discard}
	err := a.showVerified(&verified{Model: "churn", Version: 3, Retrained: &same, Hash: "0123456789abcdef", Differ: []string{"model.arrow"}})
	if err == nil || !strings.Contains(err.Error(), "churn@3") || !strings.Contains(err.Error(), `"model.arrow"`) {
		t.Error(err)
	}
}

// Whether the new version becomes champion is the gate's word, or the caller's;
// the log keeps what the gate said either way.
func TestPromote(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	noise := strings.ReplaceAll(accountsCSV(1500, 9), "Yes", "No")
	lines := strings.Split(strings.TrimSpace(noise), "\n")
	for i := 1; i < len(lines); i += 3 { // an outcome that nothing tells
		lines[i] = strings.TrimSuffix(lines[i], "No") + "Yes"
	}
	write(t, "noise.csv", strings.Join(lines, "\n")+"\n")
	again := func(code int, seed, mode string) trained {
		return decode[trained](t, must(t, code, "train", "churn", "--data", "noise.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "--seed", seed, "--promote", mode, "--json").out)
	}
	for _, c := range []struct {
		seed, mode string
		code       int
		promoted   bool
	}{{"1", "gate", exitNo, false}, {"2", "never", exitDone, false}, {"3", "always", exitDone, true}} {
		r := again(c.code, c.seed, c.mode)
		if r.Gate.Passed || r.Promoted != c.promoted {
			t.Errorf("%s: gate %t, promoted %t", c.mode, r.Gate.Passed, r.Promoted)
		}
	}
	show := must(t, exitDone, "models", "show", "churn@2").out
	mentions(t, show, "decided ", "FAIL base rate", "champion: ")
	mentions(t, must(t, exitDone, "models", "log", "churn").out, "the gate of its training said no; promoted by --promote always")
	mentions(t, must(t, exitUsage, "train", "churn", "--data", "noise.csv", "--label", "churned=Yes", "--promote", "maybe").err, "gate, always, never")
}

// A scorecard goes out as a table, is edited and comes back as a model; an edit that
// leaves a gap is refused with its line.
func TestPoints(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	mentions(t, must(t, exitUsage, "models", "points", "churn").err, "logistic, not a scorecard")
	card := []string{"train", "card", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "scorecard"}
	must(t, exitDone, card...)
	table := must(t, exitDone, "models", "points", "card").out
	mentions(t, table, "feature,kind,from,to,levels,state,points", "logins,number,")
	write(t, "points.csv", table)
	r := decode[trained](t, must(t, exitDone, append(card, "--scorecard", "points.csv", "--json")...).out)
	if r.Metrics.Scorecard.Table != table {
		t.Errorf("the card changed:\n%s", r.Metrics.Scorecard.Table)
	}
	lines := strings.SplitAfter(table, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "logins,number,,") {
			write(t, "gap.csv", strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), ""))
		}
	}
	s := must(t, exitFailed, append(card, "--scorecard", "gap.csv")...)
	mentions(t, s.err, "gap.csv: scorecard: line ", "no bin holds logins up to")
	if strings.Contains(s.err, "accounts.csv") {
		t.Errorf("the fault is in another file: %s", s.err)
	}
	write(t, "propensity.yaml", "version: 1\naccount: id\nmodels:\n  card:\n    data: accounts.csv\n    label: {column: churned, positive: \"Yes\"}\n    learners: [scorecard]\n    scorecard: {file: points.csv}\n")
	again := decode[trained](t, must(t, exitDone, "train", "card", "--json").out)
	if !again.Identical || again.Hash != r.Hash {
		t.Errorf("by the project file it is another: %+v", again.Gate)
	}
	mentions(t, must(t, exitFailed, append(card, "--scorecard", "none.csv")...).err, "none.csv")
}

// What may know the outcome is told before training, and how it was cleared.
func TestDoctorTellsLeaks(t *testing.T) {
	inFolder(t)
	lines := strings.Split(strings.TrimSpace(accountsCSV(1500, 1)), "\n")
	lines[0] += ",cancel_at_period_end"
	for i := 1; i < len(lines); i++ {
		lines[i] += []string{",true", ",false"}[i%2]
	}
	write(t, "trap.csv", strings.Join(lines, "\n")+"\n")
	asked := []string{"doctor", "--data", "trap.csv", "--id", "id", "--label", "churned=Yes"}
	mentions(t, must(t, exitDone, asked...).out, "may know the outcome", "cancel_at_period_end: proven, left out")
	cleared := append(asked, "--leaks", "cancel_at_period_end=a flag of an earlier contract")
	mentions(t, must(t, exitDone, cleared...).out, "cancel_at_period_end: proven, cleared: a flag of an earlier contract")
	r := decode[examined](t, must(t, exitDone, append(cleared, "--json")...).out)
	if len(r.Leaks) == 0 || r.Leaks[0].Column != "cancel_at_period_end" || !r.Leaks[0].Kept {
		t.Errorf("%+v", r.Leaks)
	}
	mentions(t, must(t, exitUsage, append(asked, "--leaks", "cancel_at_period_end")...).err, "name=text")
	mentions(t, must(t, exitUsage, append(asked, "--leaks", "cancel_at_period_end=")...).err, "say why")
}

// A champion that this program cannot read does not keep a new version from being
// trained; it is said.
func TestChampionOfAnotherFormat(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	path := "registry/churn/v1/manifest.json"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("registry/churn/v1", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, bytes.Replace(b, []byte(`"format": 2`), []byte(`"format": 1`), 1), 0o644)); err != nil {
		t.Fatal(err)
	}
	s := must(t, exitDone, "train", "churn", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "--seed", "2")
	mentions(t, s.err, "churn/v1", "another format", "train it again")
	mentions(t, s.out, "churn@2 is champion")
}

// One moment, or a newest window of one outcome, is too little: training would
// refuse it.
func TestDoctorOfOneMoment(t *testing.T) {
	inFolder(t)
	lines := strings.Split(strings.TrimSpace(accountsCSV(1500, 1)), "\n")
	for i := range lines {
		lines[i] = []string{"seen,", "2025-03-01,"}[min(i, 1)] + lines[i]
	}
	write(t, "once.csv", strings.Join(lines, "\n")+"\n")
	s := must(t, exitNo, "doctor", "--data", "once.csv", "--id", "id", "--label", "churned=Yes", "--time", "seen")
	mentions(t, s.out, "verdict: too little", "cannot split by time")
}
