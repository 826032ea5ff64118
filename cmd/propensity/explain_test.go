package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	home := inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	s := must(t, exitDone, "explain", "churn@champion", "--data", "new.csv", "--account", "N-2", "--at", "2026-03-01T09:30:00Z")
	golden(t, home, "explain.txt", s.out)
	if s.err != "" {
		t.Errorf("stderr has %s", s.err)
	}
	// What is shown adds up: the first number is the reference, the last the probability.
	var sum, last float64
	for line := range strings.Lines(s.out[strings.Index(s.out, "points"):]) {
		var x float64
		if err := json.Unmarshal([]byte(strings.TrimPrefix(strings.Fields(line + " x")[0], "+")), &x); err != nil {
			continue
		}
		sum, last = sum+x, x
	}
	if sum -= last; math.Abs(sum-last) > 0.05 || last == 0 {
		t.Errorf("the points make %v, the probability is %v", sum, last)
	}
	few := must(t, exitDone, "explain", "churn", "--data", "new.csv", "--account", "N-2", "--reasons", "1")
	mentions(t, few.out, "others)", "(reference)", "(probability)")
}

// The JSON is the server's answer to the same row.
func TestExplainIsTheServersAnswer(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	text := must(t, exitDone, "explain", "churn", "--data", "new.csv", "--account", "N-2", "--at", "2026-03-01T09:30:00Z", "--reasons", "3", "--json").out
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, registry: "registry", quiet: true}
	url := startServer(t, a)
	r, err := http.Post(url+"/v1/models/churn/score", "application/json", strings.NewReader(
		`{"account": "N-2", "as_of": "2026-03-01T09:30:00Z", "row": {"plan": "team", "logins": 55, "seats": null, "annual": true, "mrr": 250}, "reasons": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", r.Status, err, b)
	}
	if got, want := decode[map[string]any](t, text), parse[map[string]any](t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Of several rows of an account the moment tells which is meant.
func TestExplainMoments(t *testing.T) {
	inFolder(t)
	lines := strings.Split(strings.TrimSpace(accountsCSV(1500, 1)), "\n")
	timed := []string{"seen," + lines[0]}
	for i, line := range lines[1:] { // three rows of each account
		_, rest, _ := strings.Cut(line, ",")
		timed = append(timed, fmt.Sprintf("%s,B-%d,%s", []string{"2025-01-10", "2025-06-10", "2025-03-10"}[i%3], i/3, rest))
	}
	write(t, "timed.csv", strings.Join(timed, "\n")+"\n")
	must(t, exitDone, "train", "churn", "--data", "timed.csv", "--id", "id", "--time", "seen", "--label", "churned=Yes", "--learner", "logistic")
	explain := func(code int, more ...string) said {
		return must(t, code, append([]string{"explain", "churn", "--data", "timed.csv", "--account", "B-7"}, more...)...)
	}
	mentions(t, explain(exitDone).out, "as of 2025-06-10T00:00:00Z")
	mentions(t, explain(exitDone, "--at", "2025-05-01").out, "as of 2025-03-10T00:00:00Z")
	mentions(t, explain(exitDone, "--at", "2025-01-10").out, "as of 2025-01-10T00:00:00Z")
	mentions(t, explain(exitFailed, "--at", "2024-05-01").err, "timed.csv", `"B-7" has no row up to 2024-05-01`, "2025-01-10")
	if all := decode[[]map[string]any](t, explain(exitDone, "--all", "--json").out); len(all) != 3 || all[1]["as_of"] != "2025-06-10T00:00:00Z" {
		t.Errorf("%+v", all)
	}
	if n := strings.Count(explain(exitDone, "--all", "--at", "2025-04-01").out, "(probability)"); n != 2 {
		t.Errorf("%d answers", n)
	}
	write(t, "timed.csv", "seen,id,plan,logins,seats,annual,mrr\n2025-01-01,B-7,free,1,1,true,10\n,B-7,free,1,1,true,10\n")
	mentions(t, explain(exitFailed).err, "timed.csv", `row 2 of account "B-7" has no moment`)
}

func TestExplainBadInput(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts+"N-3,free,1,1,true,10,\n")
	write(t, "less.csv", "id,plan,logins\nN-1,free,2\n")
	write(t, "wrong.csv", "id,plan,logins,seats,annual,mrr\nN-1,free,often,1,true,10\n")
	for _, c := range []struct {
		code  int
		args  string
		words []string
	}{
		{exitUsage, "explain churn --account N-1", []string{"--data"}},
		{exitUsage, "explain churn --data new.csv", []string{"--account"}},
		{exitUsage, "explain churn --data new.csv --account N-1 --at soon", []string{"--at", "soon"}},
		{exitUsage, "explain churn --data new.csv --account N-1 --reasons -3", []string{"--reasons"}},
		{exitUsage, "explain churn@@ --data new.csv --account N-1", []string{`alias "@"`}},
		{exitUsage, "explain", []string{"accepts 1 arg"}},
		{exitFailed, "explain upsell --data new.csv --account N-1", []string{"upsell"}},
		{exitFailed, "explain churn --data gone.csv --account N-1", []string{"gone.csv"}},
		{exitFailed, "explain churn --data new.csv --account N-9", []string{"new.csv", `no account "N-9" in column "id"`}},
		{exitFailed, "explain churn --data new.csv --account N-1 --id customer", []string{`no column "customer"`}},
		{exitFailed, "explain churn --data new.csv --account N-3", []string{"2 rows", "[3 4]", "--all"}},
		{exitFailed, "explain churn --data less.csv --account N-1", []string{"less.csv", `"seats", "annual", "mrr"`, "--allow-missing"}},
		{exitFailed, "explain churn --data wrong.csv --account N-1", []string{"wrong.csv:2", `"logins"`, `"often"`}},
	} {
		mentions(t, must(t, c.code, strings.Fields(c.args)...).err, c.words...)
	}
	mentions(t, must(t, exitDone, "explain", "churn", "--data", "less.csv", "--account", "N-1", "--allow-missing").out, "seats is missing", "known of it")
	in := doWith(t, t.Context(), strings.NewReader(newAccounts), "explain", "churn", "--data", "-", "--format", "csv", "--account", "N-3", "--id", "id")
	mentions(t, in.out, "N-3 by churn@1", "enterprise", "warning:")
	if in.code != exitDone {
		t.Error(in.err)
	}
	must(t, exitDone, "train", "plain", "--data", "accounts.csv", "--label", "churned=Yes", "--drop", "id", "--learner", "logistic")
	mentions(t, must(t, exitUsage, "explain", "plain", "--data", "new.csv", "--account", "N-1").err, "plain@1", "--id")
	mentions(t, must(t, exitDone, "explain", "plain", "--data", "new.csv", "--account", "N-1", "--id", "id").out, "N-1 by plain@1")
}
