package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"propensity/datasets/sample"
)

// demoFiles are what the demo leaves besides the registry.
var demoFiles = []string{"README.txt", "churn.csv", "conversion.csv", "facts.db", "propensity.yaml", "raw/README.txt", "raw/accounts.csv", "raw/events",
	"raw/merges.csv", "raw/nps.csv", "raw/outages.csv", "raw/outreach.csv", "raw/signups.csv", "raw/subscriptions.csv", "raw/tickets.csv",
	"raw/users.csv", "request.json", "tables.yaml", "telco.csv", "truth.csv", "truth.json", "truth_outreach.csv", "upsell.csv"}

// left are the files of a demo, without those of the registry and feature tables; those of events, one
// a month, as one.
func left(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for _, f := range files(t, dir) {
		f = strings.TrimPrefix(f, dir+"/")
		if strings.HasPrefix(f, "raw/events/") {
			f = "raw/events"
		}
		if !strings.HasPrefix(f, "registry/") && !strings.HasPrefix(f, "features/") {
			out = append(out, f)
		}
	}
	return slices.Compact(out)
}

// The demo on a smaller company: it trains, serves, answers over HTTP, and what
// it tells people to type next works.
func TestDemo(t *testing.T) {
	inFolder(t)
	var out, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &stderr, seed: 1}
	if err := a.demo(context.Background(), sample.Options{Accounts: 500, Seed: 1}, "demo", "127.0.0.1:0", true); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), stderr.String())
	}
	mentions(t, out.String(), "500 accounts", "conversion: is conversion = true?", "churn@1", "upsell@1", `"probability": 0.`, `"reasons": [`, "Try it yourself")
	if got := left(t, "demo"); !slices.Equal(got, demoFiles) {
		t.Errorf("left %q", got)
	}
	scored := false
	for _, line := range strings.Split(out.String(), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "propensity score churn") || strings.HasPrefix(line, "propensity features show ") || strings.HasPrefix(line, "propensity models list ") {
			scored = true
			must(t, exitDone, strings.Fields(line)[1:]...)
		}
	}
	if _, err := os.Stat("scores.csv"); err != nil || !scored {
		t.Errorf("the score command that the demo tells: %v", err)
	}
	s := do(t, "train", "--config", "demo/propensity.yaml", "--registry", "demo/registry", "--features", "demo/features", "churn", "--json")
	if r := decode[trained](t, s.out); !r.Identical || r.Version != 1 {
		t.Errorf("the same data and spec: %+v", r)
	}
}

// Interrupted while it trains, the demo leaves whole files and no half version.
func TestDemoInterrupted(t *testing.T) {
	inFolder(t)
	for _, stage := range []string{"read: done", "logistic: done"} {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		var at time.Time
		stderr := &listener{word: stage, heard: func() { at = time.Now(); stop() }}
		var out bytes.Buffer
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: stderr, seed: 1}
		err := a.demo(ctx, sample.Options{Accounts: 300, Seed: 1}, "demo", "127.0.0.1:0", true)
		if !errors.Is(err, context.Canceled) || time.Since(at) > time.Second {
			t.Errorf("%s: %v after %v", stage, err, time.Since(at))
		}
		for _, f := range files(t, "demo") {
			if base := filepath.Base(f); strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".tmp") {
				t.Errorf("%s: left %s", stage, f)
			}
		}
		if _, err := os.Stat("demo/registry/conversion/v1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a version: %v", stage, err)
		}
	}
}

// At its full size .ci/run runs it.
func TestDemoCommand(t *testing.T) {
	inFolder(t)
	write(t, "a-file", "")
	mentions(t, must(t, exitFailed, "demo", "--no-serve", "--out", "a-file").err, "a-file", "not a directory")
}
