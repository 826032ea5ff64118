package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"propensity/models/registry"
	"propensity/serve"
	"propensity/serve/monitor"
)

func TestMonitorTable(t *testing.T) {
	before := inFolder(t)
	trainChurn(t, "--quick")
	write(t, "same.csv", accountsCSV(400, 2))
	s := must(t, exitDone, "monitor", "churn", "--data", "same.csv")
	mentions(t, s.out, "churn version 1: 400 scores", "fine: ", "expected, assuming", "outcomes of 400 scores")
	write(t, "few.csv", accountsCSV(35, 3))
	mentions(t, must(t, exitDone, "monitor", "churn", "--data", "few.csv").out, "wait: 35 scores")

	// A pipe has burst: plans have other names.
	write(t, "burst.csv", strings.ReplaceAll(accountsCSV(400, 2), ",free,", ",Free,"))
	s = must(t, exitNo, "monitor", "churn", "--data", "burst.csv")
	mentions(t, s.out, "fix_the_pipe: plan: ", "unseen")
	mentions(t, s.err, "fix_the_pipe")
	golden(t, before, "monitor.txt", s.out)
	example, err := os.ReadFile(filepath.Join(before, "../../docs/MONITORING.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(example), "```\n"+s.out+"```\n") {
		t.Error("docs/MONITORING.md shows something else than testdata/monitor.txt")
	}
	r := decode[monitor.Report](t, must(t, exitNo, "monitor", "churn", "--data", "burst.csv", "--json").out)
	if r.Verdict != monitor.FixPipe || r.Findings[0].Column != "plan" || r.Settled == nil {
		t.Errorf("%+v", r.Findings)
	}

	for _, c := range []struct {
		code int
		args string
		says string
	}{
		{exitUsage, "monitor", "arg"},
		{exitUsage, "monitor churn --since never", "length of time"},
		{exitUsage, "monitor churn --ledger nowhere", "address"},
		{exitUsage, "monitor CHURN@ --data same.csv", "CHURN"},
		{exitFailed, "monitor churn", "ledger.db"},
		{exitFailed, "monitor nobody --data same.csv", "nobody"},
		{exitFailed, "monitor churn --data none.csv", "none.csv"},
	} {
		if s := must(t, c.code, strings.Fields(c.args)...); !strings.Contains(s.err, c.says) {
			t.Errorf("%s: %s", c.args, s.err)
		}
	}
}

// What a server gave, the command judges from its ledger, with rows and without.
func TestMonitorLedger(t *testing.T) {
	inFolder(t)
	trainChurn(t, "--quick")
	for _, rows := range []bool{true, false} {
		address := "sqlite:" + map[bool]string{true: "with.db", false: "without.db"}[rows]
		db, err := openDatabase(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		server, err := serve.New(serve.Config{Registry: registry.Open(defaultRegistry), Database: db, LedgerNoRows: !rows})
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		for line := range strings.Lines(accountsCSV(150, 4)) {
			f := strings.Split(strings.TrimSpace(line), ",")
			if f[0] == "id" {
				continue
			}
			seats := f[3]
			if seats == "" {
				seats = "null"
			}
			body.WriteString(`{"account":"` + f[0] + `","row":{"plan":"` + f[1] + `","logins":` + f[2] + `,"seats":` + seats + `,"annual":` + f[4] + `,"mrr":` + f[5] + "}}\n")
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			w := httptest.NewRecorder()
			q := httptest.NewRequest(http.MethodPost, "/v1/models/churn/score:batch", strings.NewReader(body.String()))
			q.Header.Set("Content-Type", "application/x-ndjson")
			server.Handler().ServeHTTP(w, q)
			if w.Code == http.StatusOK {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		s := must(t, exitDone, "monitor", "churn", "--ledger", address, "--since", "1d", "--json")
		r := decode[monitor.Report](t, s.out)
		if r.Scores != 150 || r.Verdict != monitor.Fine || r.From == "" {
			t.Errorf("rows %v: %d scores, %s: %s", rows, r.Scores, r.Verdict, r.Detail)
		}
		if strings.Contains(s.err, "without their rows") == rows {
			t.Errorf("rows %v: %s", rows, s.err)
		}
	}
}
