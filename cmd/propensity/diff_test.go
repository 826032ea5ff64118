package main

import (
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models/registry"
)

// trainTwo trains churn@1, and churn@2 on other accounts by other columns.
func trainTwo(t *testing.T) {
	t.Helper()
	trainChurn(t)
	write(t, "more.csv", strings.ReplaceAll(accountsCSV(1200, 2), ",free,", ",trial,"))
	do(t, "train", "churn", "--data", "more.csv", "--id", "id", "--label", "churned=Yes", "--learner", "boosting", "--trees", "20", "--drop", "seats")
}

func TestModelsDiff(t *testing.T) {
	home := inFolder(t)
	trainTwo(t)
	s := must(t, exitDone, "models", "diff", "churn@1", "churn@2", "--data", "accounts.csv", "--most", "3")
	golden(t, home, "diff.txt", s.out)
	if s.err != "" {
		t.Errorf("stderr has %s", s.err)
	}
	c := decode[compared](t, must(t, exitDone, "models", "diff", "churn@1", "churn@2", "--data", "accounts.csv", "--json").out)
	if c.Before != "churn@1" || c.After != "churn@2" || c.Identical || c.SameData || len(c.Quality) != 7 || len(c.Bands) != 5 || len(c.Scores.Moved) != 10 {
		t.Errorf("%+v", c)
	}
	table, err := datasets.Read("accounts.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The moves are those of the two scorers.
	var p [2][]float64
	for k := range p {
		scorer, _, err := registry.Open("registry").Load(registry.Ref{Name: "churn", Version: k + 1})
		if err != nil {
			t.Fatal(err)
		}
		answers, err := scorer.ScoreTable(table, make([]int64, table.Rows()), 0)
		if err != nil {
			t.Fatal(err)
		}
		p[k] = answers.Probability
	}
	rows := 0
	for _, row := range c.Scores.Bands {
		for _, n := range row {
			rows += n
		}
	}
	for _, m := range c.Scores.Moved {
		if m.Before != p[0][m.Row-1] || m.After != p[1][m.Row-1] || m.Account != table.Column("id").At(m.Row-1).Text || len(m.Why) != 3 {
			t.Errorf("%+v", m)
		}
	}
	if rows != 1500 || c.Scores.Rows != 1500 {
		t.Errorf("%d rows in bands of %d", rows, c.Scores.Rows)
	}
	if !strings.Contains(must(t, exitDone, "models", "diff", "churn@1", "churn@champion").out, "churn@1 and churn@") {
		t.Error("an alias is not taken")
	}
	mentions(t, must(t, exitDone, "models", "diff", "churn@1", "churn@1", "--data", "accounts.csv").out, "the same to the bit", "1500 rows not at all")
	if same := decode[compared](t, must(t, exitDone, "models", "diff", "churn@1", "churn@1", "--json").out); !same.Identical || same.Scores != nil {
		t.Errorf("%+v", same)
	}
}

func TestModelsDiffBadInput(t *testing.T) {
	inFolder(t)
	trainTwo(t)
	write(t, "less.csv", "id,plan,logins\nN-1,free,2\n")
	for _, c := range []struct {
		code  int
		args  string
		words []string
	}{
		{exitUsage, "churn@1", []string{"accepts 2 arg"}},
		{exitUsage, "churn@1 churn@@", []string{`alias "@"`}},
		{exitUsage, "churn@1 churn@2 --most -1", []string{"--most"}},
		{exitUsage, "churn@1 churn@2 --data accounts.csv --as-of soon", []string{"--as-of", "soon"}},
		{exitUsage, "churn@1 churn@2 --data -", []string{"twice"}},
		{exitFailed, "churn@1 churn@9", []string{"9"}},
		{exitFailed, "churn@1 churn@2 --data gone.csv", []string{"gone.csv"}},
		{exitFailed, "churn@1 churn@2 --data less.csv", []string{"less.csv", `"seats"`, "--allow-missing"}},
	} {
		mentions(t, must(t, c.code, append([]string{"models", "diff"}, strings.Fields(c.args)...)...).err, c.words...)
	}
	s := must(t, exitDone, "models", "diff", "churn@1", "churn@2", "--data", "less.csv", "--allow-missing")
	mentions(t, s.out, "1 rows:", "N-1")
}
