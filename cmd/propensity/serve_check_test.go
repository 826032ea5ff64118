package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
)

// The check says all that is wrong at once and exits with 3; of a sound server, with 0.
func TestServeCheck(t *testing.T) {
	inFolder(t)
	twoVersions(t)
	mentions(t, must(t, exitDone, "serve", "--check").out, "ready to serve")
	if err := os.Truncate("registry/churn/v2/model.arrow", 10); err != nil {
		t.Fatal(err)
	}
	got := must(t, exitNo, "serve", "--check", "--addr", "0.0.0.0:8080", "--store", "sqlite:/nowhere/at/all.db", "--ledger", "oracle://x", "--log", "loud", "--pprof", ":6060")
	mentions(t, got.out, "churn@champion is version 2", "can be reached from elsewhere", "--store", "--ledger", `--log "loud"`, "profiles are for this machine alone")
	mentions(t, got.err, "6 faults")
	mentions(t, must(t, exitNo, "serve", "--check", "--json").out, `"ready": false`, "churn@champion")
}

// Profiles stand at a port of their own while the server runs, the log is JSON, and a
// request is a line of it.
func TestServeObserved(t *testing.T) {
	inFolder(t)
	twoVersions(t)
	mentions(t, must(t, exitUsage, "serve", "--addr", "127.0.0.1:0", "--pprof", "0.0.0.0:0").err, "this machine alone")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, log page
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--pprof", "127.0.0.1:0", "--log", "json", "--log-requests", "--ledger", "off"}, strings.NewReader(""), &out, &log)
	}()
	profiles := "http://" + log.await(t, `"msg":"profiles","address":"([^"]+)"`) + "/debug/pprof/heap"
	url := log.await(t, `serving on (http://\S+) `)
	if code, _ := get(t, url+"/v1/models"); code != http.StatusOK {
		t.Error(code)
	}
	log.await(t, `"msg":"request","request":"([A-Z0-9]+)","method":"GET","route":"/v1/models","status":200`)
	if code, text := get(t, profiles); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := get(t, url+"/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("profiles at the server's own address: %d", code)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d: %s", code, log.String())
	}
}
