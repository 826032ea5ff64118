package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A key goes alone to stdout, once; the file has no more than its hash.
func TestKeys(t *testing.T) {
	before := inFolder(t)
	made := must(t, exitDone, "keys", "create", "crm", "--scopes", "score", "--rate", "50", "--daily", "100000")
	key := strings.TrimSuffix(made.out, "\n")
	if !regexp.MustCompile(`^prop_[a-z2-7]{8}_[a-z2-7]{52}$`).MatchString(key) {
		t.Fatalf("stdout is %q", made.out)
	}
	id := key[5:13]
	mentions(t, made.err, id+" may score", "once")
	ops := strings.TrimSpace(must(t, exitDone, "keys", "create", "ops", "--scopes", "admin", "--expires", "90d", "-q").out)
	rotated := must(t, exitDone, "keys", "rotate", id, "--overlap", "12h")
	if next := strings.TrimSpace(rotated.out); next == key || next[:13] != key[:13] {
		t.Errorf("the new text is %q", next)
	}
	mentions(t, rotated.err, "the text before until")
	old := strings.TrimSpace(must(t, exitDone, "keys", "create", "old importer", "--scopes", "write,read").out)
	mentions(t, must(t, exitDone, "keys", "revoke", old[5:13]).out, old[5:13]+" (old importer) is revoked")
	list := must(t, exitDone, "keys", "list").out
	for text, as := range map[string]string{id: "k3x7ab2q", ops[5:13]: "m5ta6yrw", old[5:13]: "zq2c4hfd"} {
		list = strings.ReplaceAll(list, text, as)
	}
	golden(t, before, "keys/list.txt", list)
	documented(t, before, "ACCESS.md", "keys/list.txt")
	var shown []shownKey
	if err := json.Unmarshal([]byte(must(t, exitDone, "keys", "list", "--json").out), &shown); err != nil || len(shown) != 3 {
		t.Fatalf("%v, %+v", err, shown)
	}
	if k := shown[0]; k.ID != id || k.Rate != 50 || k.Burst != 100 || k.Daily != 100_000 || k.Key != "" {
		t.Errorf("%+v", k)
	}
	if k := shown[1]; k.Expires.Sub(k.Created) != 90*24*time.Hour {
		t.Errorf("%+v", k)
	}
	b, err := os.ReadFile("keys.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{key, ops, old} {
		if strings.Contains(string(b), text[14:]) {
			t.Errorf("the file has a key: %s", b)
		}
	}
}

func TestKeysUsedWrongly(t *testing.T) {
	inFolder(t)
	for _, c := range []struct {
		code int
		args string
		says string
	}{
		{exitUsage, "create crm", "no scope"},
		{exitUsage, "create crm --scopes root", `"root" is no scope`},
		{exitUsage, "create crm --scopes score --rate -1", "rate"},
		{exitUsage, "create crm --scopes score --expires soon", "--expires"},
		{exitUsage, "create", "accepts 1 arg"},
		{exitFailed, "list", "propensity keys create"},
		{exitFailed, "revoke aaaaaaaa", "propensity keys create"},
		{exitUsage, "rotate aaaaaaaa --overlap x", "--overlap"},
	} {
		mentions(t, must(t, c.code, append([]string{"keys"}, strings.Fields(c.args)...)...).err, c.says)
	}
	if _, err := os.Stat("keys.json"); err == nil {
		t.Error("a file was made")
	}
	must(t, exitDone, "keys", "create", "crm", "--scopes", "score")
	mentions(t, must(t, exitFailed, "keys", "revoke", "aaaaaaaa").err, "aaaaaaaa", "no such key")
	write(t, "keys.json", `{"version": 1, "keys": [{"id": 5}]}`)
	mentions(t, must(t, exitFailed, "keys", "list").err, "keys.json", "no JSON of keys")
}

// A server to which all can come refuses to start without keys, and with them answers
// those who have one, until it is revoked.
func TestServeWithKeys(t *testing.T) {
	inFolder(t)
	twoVersions(t)
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0"} {
		mentions(t, must(t, exitUsage, "serve", "--addr", addr, "--ledger", "off").err, "--keys", "--without-keys", "propensity keys create")
	}
	mentions(t, must(t, exitFailed, "serve", "--keys", "keys.json", "--ledger", "off").err, "propensity keys create")
	key := strings.TrimSpace(must(t, exitDone, "keys", "create", "ops", "--scopes", "read").out)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var stdout, stderr page
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--addr", "0.0.0.0:0", "--keys", "keys.json", "--ledger", "off"}, strings.NewReader(""), &stdout, &stderr)
	}()
	port := stderr.await(t, `serving on http://\S+:(\d+) `)
	status := func(path, key string) int {
		t.Helper()
		req, err := http.NewRequest("GET", "http://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("X-API-Key", key)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if a, b, c := status("/livez", ""), status("/v1/models", ""), status("/v1/models", key); a != 200 || b != 401 || c != 200 {
		t.Errorf("%d %d %d", a, b, c)
	}
	must(t, exitDone, "keys", "revoke", key[5:13])
	if got := status("/v1/models", key); got != 401 {
		t.Errorf("a revoked key: %d", got)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if log := stderr.String(); strings.Contains(log, key) || !strings.Contains(log, "act=keys.revoke") || !strings.Contains(log, "without TLS") {
		t.Errorf("%s", log)
	}
}

// documented fails unless a page of docs shows what testdata has.
func documented(t *testing.T, dir, page, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := os.ReadFile(filepath.Join(dir, "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if want := "<!-- cmd/propensity/testdata/" + name + " -->\n```\n" + string(shown) + "```\n"; !strings.Contains(string(text), want) {
		t.Errorf("docs/%s does not show\n%s", page, want)
	}
}
