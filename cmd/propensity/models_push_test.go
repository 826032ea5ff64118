package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"propensity/models/registry"
	"propensity/serve"
)

// serving starts a server over a registry, with the keys of a file.
func serving(t *testing.T, registryDir, keys string) (address string) {
	t.Helper()
	s, err := serve.New(serve.Config{Registry: registry.Open(registryDir), Keys: keys, Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return h.URL
}

// keyFile makes a key in keys.json and puts its text into a file.
func keyFile(t *testing.T, name, scopes string) string {
	t.Helper()
	return write(t, name+".key", must(t, exitDone, "keys", "create", name, "--scopes", scopes, "-q").out)
}

// A version goes to a server and from there to another registry, where it is the same,
// bit for bit, and may become champion.
func TestPushAndPull(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	admin, reader := keyFile(t, "ops", "admin"), keyFile(t, "reader", "read")
	url := serving(t, "central", "keys.json")

	mentions(t, must(t, exitDone, "models", "push", "churn", "--to", url, "--key-file", admin, "--alias", "champion").out,
		"churn@1 is churn@1 at "+url, "churn@champion is version 1 there now")
	mentions(t, must(t, exitDone, "models", "push", "churn@1", "--to", url, "--key-file", admin).out, "was already churn@1")
	entries, err := registry.Open("central").Log("churn")
	if err != nil || len(entries) != 2 || !strings.HasPrefix(entries[0].Actor, "key ") || entries[1].Action != registry.ActionPromote {
		t.Errorf("%+v, %v", entries, err)
	}

	pull := []string{"models", "pull", "churn@champion", "--from", url, "--key-file", reader, "--registry", "edge"}
	mentions(t, must(t, exitDone, append(pull, "--alias", "champion")...).out, "churn@1 at "+url+" is churn@1", "churn@champion is version 1 now")
	mentions(t, must(t, exitDone, pull...).out, "was already churn@1")
	for _, dir := range []string{"central", "edge"} {
		files, err := registry.Open("registry").Read("churn", 1)
		if err != nil {
			t.Fatal(err)
		}
		there, err := registry.Open(dir).Read("churn", 1)
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range files {
			if !bytes.Equal(b, there[name]) {
				t.Errorf("%s in %s is another", name, dir)
			}
		}
	}
	var got pulled
	if err := json.Unmarshal([]byte(must(t, exitDone, append(pull, "--json")...).out), &got); err != nil || got.Version != 1 || got.There != 1 || got.Published || got.Hash == "" {
		t.Errorf("%+v, %v", got, err)
	}

	mentions(t, must(t, exitFailed, "models", "push", "churn", "--to", url, "--key-file", reader).err, "403", "admin")
	mentions(t, must(t, exitFailed, "models", "pull", "churn", "--from", url).err, "401")
	mentions(t, must(t, exitFailed, "models", "pull", "churn@9", "--from", url, "--key-file", reader).err, "404", "no version 9")
	mentions(t, must(t, exitFailed, "models", "pull", "churn@nobody", "--from", url, "--key-file", reader).err, "404", "nobody")

	// A version that is damaged here is not sent.
	if err := os.WriteFile("registry/churn/v1/card.md", []byte("spoilt\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mentions(t, must(t, exitFailed, "models", "push", "churn@1", "--to", url, "--key-file", admin).err, "card.md")
}

// What a server sends is judged, whoever it is.
func TestPullFromStrangers(t *testing.T) {
	inFolder(t)
	reply := func(w http.ResponseWriter, r *http.Request) {}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(w, r) }))
	defer s.Close()
	pull := func(reference string) said {
		t.Helper()
		return must(t, exitFailed, "models", "pull", reference, "--from", s.URL)
	}
	text := func(code int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	reply = text(200, "<html>")
	mentions(t, pull("churn").err, "is it a propensity server?")
	mentions(t, pull("churn@1").err, "no tar of a version")
	reply = text(200, `{}`)
	mentions(t, pull("churn").err, "does not say which version")
	reply = text(502, "<html>Bad Gateway")
	mentions(t, pull("churn@1").err, "502", "Bad Gateway")
	reply = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
	}
	mentions(t, pull("churn@1").err, "302", "192.0.2.1", "name that address")
	if _, err := os.Stat("registry"); !os.IsNotExist(err) {
		t.Errorf("something is there: %v", err)
	}
	s.Close()
	pull("churn@1")
}

// Keys are read from a file that holds nothing else, and never sent in the clear.
func TestRemoteKeys(t *testing.T) {
	inFolder(t)
	key := write(t, "a.key", "secret-key\n")
	for _, c := range []struct{ to, key, says string }{
		{"http://scores.example.com", key, "use https"},
		{"scores.example.com", key, "such as https://"},
		{"ftp://scores.example.com", key, "such as https://"},
		{"https://ann:secret@scores.example.com", key, "such as https://"},
		{"", key, "such as https://"},
		{"http://127.0.0.1:1", write(t, "empty.key", "\n"), "one API key"},
		{"http://127.0.0.1:1", write(t, "two.key", "one two\n"), "one API key"},
		{"http://127.0.0.1:1", write(t, "long.key", strings.Repeat("x", 5000)), "one API key"},
	} {
		got := must(t, exitUsage, "models", "push", "churn", "--to", c.to, "--key-file", c.key)
		mentions(t, got.err, c.says)
		if strings.Contains(got.err, "secret") {
			t.Errorf("%s", got.err)
		}
	}
	must(t, exitFailed, "models", "push", "churn", "--to", "https://scores.example.com", "--key-file", "none.key")
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "127.8.8.8": true, "::1": true, "0.0.0.0": false, "10.0.0.1": false, "localhost.example.com": false} {
		if loopback(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
	var sent string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sent = r.Header.Get("Authorization") }))
	defer s.Close()
	o := remoteFlags{address: s.URL, keyFile: "-"}
	r, err := o.open("to", strings.NewReader("by-stdin"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	a, err := r.do(context.Background(), "GET", []string{"v1", "models"}, "", nil)
	if err != nil || sent != "Bearer by-stdin" {
		t.Fatalf("%q, %v", sent, err)
	}
	a.Body.Close()
}

func TestCanaryAndUnalias(t *testing.T) {
	inFolder(t)
	twoVersions(t)
	mentions(t, must(t, exitDone, "models", "canary", "churn").out, "churn has no canary")
	mentions(t, must(t, exitDone, "models", "canary", "churn@1", "--share", "5%", "--note", "try").out, "churn@1 answers for 5 % of the accounts, churn@2 for the rest")
	mentions(t, must(t, exitDone, "models", "canary", "churn", "--json").out, `"share": 0.05`, `"version": 1`, `"champion": 2`)
	mentions(t, must(t, exitFailed, "models", "delete", "churn@1").err, "canary")
	mentions(t, must(t, exitFailed, "models", "canary", "churn@2", "--share", "0.1").err, "champion itself")
	for _, args := range [][]string{
		{"churn@1", "--share", "0"}, {"churn@1", "--share", "101%"}, {"churn@1", "--share", "x"}, {"churn@1", "--share", "NaN"},
		{"churn", "--share", "5%"}, {"churn@1", "--share", "5%", "--end"},
	} {
		must(t, exitUsage, append([]string{"models", "canary"}, args...)...)
	}
	mentions(t, must(t, exitDone, "models", "canary", "churn", "--end").out, "churn has no canary")
	must(t, exitFailed, "models", "canary", "churn", "--end")
	mentions(t, must(t, exitDone, "models", "log", "churn").out, "canary, 5 %", "canary, ended", "try")

	must(t, exitDone, "models", "promote", "churn@1", "--alias", "challenger")
	mentions(t, must(t, exitDone, "models", "unalias", "churn@challenger").err, "churn@challenger is gone; it was version 1")
	must(t, exitFailed, "models", "unalias", "churn@challenger")
	must(t, exitUsage, "models", "unalias", "churn")
	must(t, exitUsage, "models", "unalias", "churn@1")
}
