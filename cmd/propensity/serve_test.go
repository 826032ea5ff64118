package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// page is a stderr that can be read while it is written.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// await waits until the page holds the pattern and gives its first group.
func (p *page) await(t *testing.T, pattern string) string {
	t.Helper()
	find := regexp.MustCompile(pattern)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if found := find.FindStringSubmatch(p.String()); found != nil {
			return found[1]
		}
	}
	t.Fatalf("no %s in\n%s", pattern, p.String())
	return ""
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// The server says where it listens, answers, takes a moved alias up, and ends
// with Ctrl-C: exit code 0.
func TestServe(t *testing.T) {
	inFolder(t)
	twoVersions(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var stdout, stderr page
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--poll", "10ms"}, strings.NewReader(""), &stdout, &stderr)
	}()
	url := stderr.await(t, `serving on (http://\S+) `)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if code, _ := get(t, url+"/readyz"); code == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal(stderr.String())
		}
	}
	score := func() string {
		t.Helper()
		row := `{"account": "A", "row": {"plan": "free", "logins": 2, "seats": 3, "annual": false, "mrr": 10}, "as_of": "2026-03-01T09:30:00Z"}`
		r, err := http.Post(url+"/v1/models/churn/score", "application/json", strings.NewReader(row))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%d %s %v", r.StatusCode, b, err)
		}
		return string(b)
	}
	mentions(t, score(), `"version":2`, `"probability":0.`)
	must(t, exitDone, "models", "rollback", "churn")
	for end := time.Now().Add(20 * time.Second); !strings.Contains(score(), `"version":1`); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the moved alias was not taken up")
		}
	}
	http.DefaultClient.CloseIdleConnections()
	start := time.Now()
	stop()
	if code := <-ended; code != exitDone || time.Since(start) > 2*time.Second {
		t.Errorf("exit code %d after %v: %s", code, time.Since(start), stderr.String())
	}
	if stdout.String() != "" {
		t.Errorf("the log is not a result: %s", stdout.String())
	}
}

func TestServeAddressTaken(t *testing.T) {
	inFolder(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, err page
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--addr", "127.0.0.1:0"}, strings.NewReader(""), &out, &err)
	}()
	addr := strings.TrimPrefix(err.await(t, `serving on (http://\S+) `), "http://")
	mentions(t, must(t, exitFailed, "serve", "--addr", addr, "-q").err, addr, "address already in use")
	stop()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d: %s", code, err.String())
	}
}
