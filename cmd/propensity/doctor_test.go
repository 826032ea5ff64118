package main

import (
	"testing"

	"propensity/train/doctor"
)

func TestDoctor(t *testing.T) {
	home := inFolder(t)
	write(t, "accounts.csv", accountsCSV(1500, 1))
	asked := []string{"doctor", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes"}
	s := must(t, exitDone, append(asked, "-q")...)
	golden(t, home, "doctor.txt", s.out)
	r := decode[examined](t, must(t, exitDone, append(asked, "--json")...).out)
	if r.Data != "accounts.csv" || r.Rows != 1500 || r.Accounts != 1500 || r.Verdict == doctor.TooLittle || len(r.Columns) == 0 {
		t.Errorf("%+v", r)
	}
}

// Too little is a no, not a failure; a pipeline can tell the two apart.
func TestDoctorSaysNo(t *testing.T) {
	inFolder(t)
	write(t, "few.csv", accountsCSV(120, 1))
	s := must(t, exitNo, "doctor", "--data", "few.csv", "--id", "id", "--label", "churned=Yes")
	mentions(t, s.out, "verdict: too little", "of at least 50")
	mentions(t, s.err, "too little to learn from: few.csv")
}

// The tables of a project are examined without flags; a table may be bad in the
// ways that training refuses.
func TestDoctorOfProject(t *testing.T) {
	inFolder(t)
	write(t, "accounts.csv", accountsCSV(1500, 1))
	write(t, "propensity.yaml", "version: 1\naccount: id\nmodels:\n  churn:\n    data: accounts.csv\n    label: {column: churned, positive: \"Yes\"}\n")
	mentions(t, must(t, exitDone, "doctor", "churn").out, "accounts.csv: 1500 rows")
	must(t, exitUsage, "doctor", "--label", "churned")
	must(t, exitUsage, "doctor", "churn", "--data", "accounts.csv", "--label", "churned=Yes")
	must(t, exitUsage, "doctor", "--data", "accounts.csv", "--label", "churned=Yes", "--holdout", "0")
	mentions(t, must(t, exitFailed, "doctor", "--data", "accounts.csv", "--label", "nobody").err, "no column")
	mentions(t, must(t, exitFailed, "doctor", "--data", "accounts.csv", "--label", "churned").err, "say which is positive")
}
