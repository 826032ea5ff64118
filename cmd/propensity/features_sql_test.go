package main

import (
	"os"
	"strings"
	"testing"
)

func TestFeaturesSQL(t *testing.T) {
	inFolder(t)
	write(t, "propensity.yaml", showFile)
	const types = "account_id,created\nA-17,2024-01-01\n"
	s := must(t, exitFailed, "features", "sql", "--dialect", "duckdb")
	mentions(t, s.err, `the type of column "reason" is not known`, "types: {reason: category}")
	write(t, "accounts.csv", types)
	write(t, "events.csv", "account_id,id,event,n,at,seen\nA-17,1,login,1,2024-02-25,2024-02-25\n")
	write(t, "subscriptions.csv", "account_id,started,ended,reason\nA-17,2024-01-01,2024-03-15,price\n")
	s = must(t, exitDone, "features", "sql", "--dialect", "duckdb", "--table", "events=raw.events")
	mentions(t, s.out, "-- The rows of model churn, by propensity for duckdb.", `FROM "raw"."events" AS t`, `FROM "accounts" AS t`, `"twice"`)
	if strings.Contains(s.out, `"reason"`) && !strings.Contains(s.out, `"v_reason"`) {
		t.Error("a column that the model does not take is in the rows")
	}
	s = must(t, exitDone, "features", "sql", "--dialect", "postgres", "--labels", "--as-of", "2024-06-01", "-o", "churn.sql")
	text, err := os.ReadFile("churn.sql")
	if err != nil {
		t.Fatal(err)
	}
	mentions(t, string(text), "-- The labels of model churn, by propensity for postgres.", `AS "churn"`, "1717200000000000")
	if s.out != "" {
		t.Errorf("to stdout: %s", s.out)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--dialect", "oracle"}, exitUsage, `unknown dialect "oracle": use duckdb, postgres or spark`},
		{nil, exitUsage, "unknown dialect"},
		{[]string{"--dialect", "spark", "--table", "events"}, exitUsage, `--table "events": write source=table`},
		{[]string{"--dialect", "spark", "--table", "events=a", "--table", "events=b"}, exitUsage, "given twice"},
		{[]string{"--dialect", "spark", "--as-of", "soon"}, exitUsage, "--as-of"},
		{[]string{"--dialect", "spark", "--table", "none=a"}, exitFailed, "the project has no source of that name"},
		{[]string{"--dialect", "spark", "--model", "none"}, exitFailed, `the project has no model "none"`},
	} {
		s := must(t, c.code, append([]string{"features", "sql"}, c.args...)...)
		mentions(t, s.err, c.want)
	}
}
