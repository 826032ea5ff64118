package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"propensity/models/registry"
)

func TestMain(m *testing.M) {
	if addr, number, ok := strings.Cut(os.Getenv("PROPENSITY_TEST_FLOOD"), " "); ok {
		if err := flood(addr, number); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// running is a server that Run runs.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func run(t *testing.T, f *fixture) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{stop: stop, done: make(chan error, 1)}
	addr := make(chan string, 1)
	go func() { r.done <- f.server.Run(ctx, "127.0.0.1:0", func(a string) { addr <- a }) }()
	t.Cleanup(stop)
	select {
	case a := <-addr:
		r.url = "http://" + a
	case err := <-r.done:
		t.Fatal(err)
	}
	return r
}

// A request in flight when the server stops is answered to its end.
func TestShutdownDrains(t *testing.T) {
	f := churn(t, Config{})
	r := run(t, f)
	in, out := io.Pipe()
	req, err := http.NewRequest("POST", r.url+batchPath, in)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	go io.WriteString(out, requestOf("first", wholeRow)+"\n")
	resp, err := client.Do(req) // its header is here: the request is in flight
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.stop()
	f.eventually(t, "closed to new connections", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-r.done:
		t.Fatalf("Run returned with a request in flight: %v", err)
	default:
	}
	io.WriteString(out, requestOf("last", wholeRow)+"\n")
	out.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(b, []byte("\n")); lines != 2 || !bytes.Contains(b, []byte(`"last"`)) {
		t.Errorf("%d answers: %s", lines, b)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// What does not finish in time is cut off, and Run says so.
func TestShutdownTimeout(t *testing.T) {
	f := churn(t, Config{ShutdownTimeout: 20 * time.Millisecond})
	r := run(t, f)
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST "+batchPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{")
	time.Sleep(20 * time.Millisecond)
	r.stop()
	if err := <-r.done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
}

// A body that stops coming is given up, also in the middle of a batch, and so is
// a header.
func TestSlowClients(t *testing.T) {
	f := churn(t, Config{ReadTimeout: 60 * time.Millisecond})
	r := run(t, f)
	for name, text := range map[string]string{
		"header": "POST /v1/models/churn/score HTTP/1.1\r\nHost: localhost\r\n",
		"single": "POST /v1/models/churn/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"batch":  "POST " + batchPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"rows\":[",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		b, err := io.ReadAll(c)
		c.Close()
		if err != nil {
			t.Errorf("%s: the server waits on: %v", name, err)
		}
		if name != "header" && !bytes.Contains(b, []byte("408 Request Timeout")) {
			t.Errorf("%s: %s", name, b)
		}
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func TestRunCannotListen(t *testing.T) {
	f := churn(t, Config{})
	if err := f.server.Run(context.Background(), "127.0.0.1:99999", nil); err == nil {
		t.Error("no error")
	}
}

// A panic of ours is a 500 without its stack, and the server goes on.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s, err := New(Config{Registry: registry.Open(t.TempDir()), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.engine.GET("/panic", func(*gin.Context) { panic("the secret") })
	f := &fixture{server: s}
	got := f.record("/panic")
	if got.status != 500 || bytes.Contains(got.body, []byte("secret")) || bytes.Contains(got.body, []byte("goroutine")) {
		t.Errorf("%d %s", got.status, got.body)
	}
	checkProblem(t, got, 500)
	if !strings.Contains(log.String(), "the secret") || !strings.Contains(log.String(), "goroutine") {
		t.Errorf("log: %s", log.String())
	}
}
