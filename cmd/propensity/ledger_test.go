package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/features/online"
	"propensity/models"
	"propensity/serve/database"
	"propensity/serve/ledger"
)

// remember puts the scores of 900 accounts over nine months into sqlite:ledger.db, and
// gives their outcomes as a table: who logs in little churns.
func remember(t *testing.T) (outcomes string) {
	t.Helper()
	ctx := context.Background()
	db, err := database.Open(ctx, defaultLedger)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l := ledger.Open(db, ledger.Options{})
	defer l.Close()
	rng := rand.New(rand.NewPCG(11, 2))
	var b strings.Builder
	b.WriteString("account,as_of,positive,value,reported_by\n")
	for i := range 900 {
		at := time.Date(2025, time.Month(1+i/100), 1+i%28, 9, 0, 0, 0, time.UTC).UnixMicro()
		logins := float64(rng.IntN(30))
		s := &ledger.Score{At: at, Origin: ledger.OriginRequest, Account: fmt.Sprintf("%04d", i), Model: "churn", Version: 1, Hash: "h", AsOf: at,
			Horizon: 30 * 24 * 3600 * 1e6, Columns: []string{"plan", "logins"}, Kinds: []datasets.Kind{datasets.Category, datasets.Number},
			Row:         []datasets.Value{{Kind: datasets.Category, Text: []string{"001", "pro"}[i%2]}, {Kind: datasets.Number, Number: logins}},
			Reasons:     []models.Reason{{Feature: "logins", Points: 15 - logins}, {Feature: "plan", Points: -2.5}},
			Probability: 0.25, Score: 25, Percentile: 50, Band: "C"}
		if err := l.Record(s); err != nil {
			t.Fatal(err)
		}
		if i%100 != 99 { // of some nothing is known
			fmt.Fprintf(&b, "%04d,%s,%v,%d,crm\n", i, datasets.FormatTime(at), rng.Float64() < 1/(1+math.Exp(0.3*logins-3-2*float64(i%2))), 10*i)
		}
	}
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The loop closes: scores that were given, with what became of them, are a table that
// train reads, and the new version has learnt what is in it.
func TestLedgerExportIsWhatTrainReads(t *testing.T) {
	home := inFolder(t)
	write(t, "outcomes.csv", remember(t))
	got := must(t, exitDone, "ledger", "import", "--model", "churn", "--outcomes", "outcomes.csv")
	ledgerDocs(t, home, got.out, got.err)
	mentions(t, got.out, "891 outcomes read, 891 of them new")
	mentions(t, got.err, `column "reported_by" is of no outcome`)
	mentions(t, must(t, exitDone, "ledger", "import", "--model", "churn", "--outcomes", "outcomes.csv").out, "891 outcomes read, 0 of them new")
	got = must(t, exitDone, "ledger", "export", "--model", "churn", "--out", "scored.parquet", "--settled-only")
	ledgerDocs(t, home, got.err, must(t, exitDone, "ledger", "show", "--account", "0003").out)
	mentions(t, got.err, "891 scores written", "9 whose outcome is not known are left out", "train churn --data scored.parquet --id account --time as_of --label outcome")
	next := strings.Fields(got.err[strings.LastIndex(got.err, "next: propensity ")+len("next: propensity "):])
	mentions(t, must(t, exitDone, append(next, "--learner", "logistic", "--quick")...).out, "churn@1", "logins")
	table, err := datasets.Read("scored.parquet", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := table.Column("plan"); c == nil || c.Kind != datasets.Category || c.At(0).Text != "001" {
		t.Errorf("%+v", c)
	}
	if c := table.Column("account"); c.Kind != datasets.Text || c.At(0).Text != "0000" {
		t.Errorf("%+v", c)
	}

	// With what was answered, which is not learnt from; as text on stdout.
	got = must(t, exitDone, "ledger", "export", "--model", "churn", "--out", "-", "--scores", "--since", "2025-09-01")
	mentions(t, got.out, "account,as_of,plan,logins,outcome,value,scored_at,version,origin,probability,score,percentile,band\n", "0800,")
	mentions(t, got.err, "--drop value,scored_at,version,origin,probability,score,percentile,band")
	if n := strings.Count(got.out, "\n"); n != 101 {
		t.Errorf("%d lines", n)
	}
}

// ledgerDocs fails unless docs/LEDGER.md has each line of what was said.
func ledgerDocs(t *testing.T, home string, said ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, "..", "..", "docs", "LEDGER.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.Join(said, "")) {
		if !strings.Contains(string(text), line) {
			t.Errorf("docs/LEDGER.md does not say: %s", line)
		}
	}
}

func TestLedgerShowAndForget(t *testing.T) {
	home := inFolder(t)
	write(t, "outcomes.csv", remember(t))
	must(t, exitDone, "ledger", "import", "--model", "churn", "--outcomes", "outcomes.csv")
	mentions(t, must(t, exitDone, "ledger", "show", "--account", "0003").out, "outcome", "churn@1", "2025-01-04T09:00:00Z", "0.2500")
	mentions(t, must(t, exitDone, "ledger", "show", "--account", "0003", "--json").out, `"logins":`, `"mature": true`)
	write(t, "logins.csv", "account,at,id\n0003,2025-01-01,1\n0004,2025-01-01,2\n")
	write(t, "ends.csv", "account,at,id\n0003,2025-01-20,1\n")
	must(t, exitDone, "load", "--store", "sqlite:facts.db", "--config", write(t, "p.yaml", forgetProject))
	got := must(t, exitDone, "forget", "0003", "--store", "sqlite:facts.db", "--config", "p.yaml")
	mentions(t, got.out, "1 scores, 1 outcomes, 0 changes and 2 facts were deleted", "446e21f212ab200933c4c9a0802e1ff0c410bbd75fca10168746fc49883096db")
	ledgerDocs(t, home, got.out)
	if strings.Contains(got.out, "0003") {
		t.Errorf("the account is named: %s", got.out)
	}
	mentions(t, must(t, exitFailed, "ledger", "show", "--account", "0003").err, "no score is kept")
	db, err := database.Open(context.Background(), defaultLedger)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var act, detail string
	if err := db.QueryRow(`SELECT act, detail FROM audit_acts`).Scan(&act, &detail); err != nil || act != "account.forget" || !strings.HasPrefix(detail, "account with SHA-256 446e21f2") {
		t.Errorf("%q %q, %v", act, detail, err)
	}
	s, err := online.Open(context.Background(), "sqlite:facts.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if list, err := s.Facts(context.Background(), "0004", nil); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

const forgetProject = `version: 1
account: account
sources:
  logins: {path: logins.csv, time: at, id: id}
  ends: {path: ends.csv, time: at, id: id}
features:
  - {name: logins, from: logins, agg: count, windows: [30d]}
models:
  churn: {moments: {every: 1mo}, label: {event: ends, within: 30d}}
`

// The sources answer what became of the moments that were scored; what is not over is left
// for later, and another answer corrects the first.
func TestLedgerSettleAsksTheSources(t *testing.T) {
	inFolder(t)
	remember(t)
	write(t, "propensity.yaml", forgetProject)
	write(t, "logins.csv", "account,at,id\n0000,2025-01-01,1\n0001,2025-01-01,2\n0899,2025-09-20,3\n")
	write(t, "ends.csv", "account,at,id\n0001,2025-01-20,1\n0899,2025-09-25,2\n")
	mentions(t, must(t, exitDone, "ledger", "settle", "--model", "churn").out, "3 moments were scored; of 2 the outcome is known, 2 of them new")
	show := func(account string) string { return must(t, exitDone, "ledger", "show", "--account", account).out }
	mentions(t, show("0000"), "C     no")
	mentions(t, show("0001"), "C     yes")
	mentions(t, show("0899"), "C     open")
	write(t, "ends.csv", "account,at,id\n0001,2025-03-20,1\n0899,2025-11-25,2\n")
	mentions(t, must(t, exitDone, "ledger", "settle", "--model", "churn").out, "of 3 the outcome is known, 2 of them new")
	mentions(t, show("0001"), "C     no")
	mentions(t, must(t, exitDone, "ledger", "import", "--model", "churn", "--complete", "2026-01-01").err, "complete until 2026-01-01")
	mentions(t, show("0100"), "C     no")
}

func TestLedgerUsedWrongly(t *testing.T) {
	inFolder(t)
	write(t, "bad.csv", "account,occurred_at,positive\nA,2025-01-01,true\nB,2025-01-01,\n")
	write(t, "none.csv", "account,positive\nA,true\n")
	for _, c := range []struct {
		code int
		args string
		want string
	}{
		{exitUsage, "ledger export --model churn", "--out"},
		{exitUsage, "ledger export --model churn --out x.csv --since soon", "--since"},
		{exitUsage, "ledger export --model churn --out x.csv --ledger off", "there is nothing"},
		{exitUsage, "ledger export --model churn --out x.csv --ledger nothing", "neither sqlite:PATH"},
		{exitUsage, "ledger import", "--outcomes"},
		{exitUsage, "ledger import --complete 2025-01-01", "--model"},
		{exitFailed, "ledger import --outcomes bad.csv", `no column "model"`},
		{exitFailed, "ledger import --outcomes bad.csv --model churn", "row 2"},
		{exitFailed, "ledger import --outcomes none.csv --model churn", "neither when it occurred"},
		{exitFailed, "ledger import --model churn --complete 2999-01-01", "has not come"},
		{exitUsage, "ledger settle", "--model"},
		{exitUsage, "ledger show", "--account"},
		{exitUsage, "serve --addr 127.0.0.1:0 --ledger-keep x", "400d"},
		{exitUsage, "serve --addr 127.0.0.1:0 --ledger-rows maybe", "on or off"},
		{exitUsage, "serve --addr 127.0.0.1:0 --ledger off --ledger-sync", "needs a ledger"},
	} {
		mentions(t, must(t, c.code, strings.Fields(c.args)...).err, c.want)
	}
	if _, err := os.Stat("x.csv"); err == nil {
		t.Error("a file was left behind")
	}
}
