package serve

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Profiles can be had on this machine, by a name of this machine, and nowhere else.
func TestRunProfiles(t *testing.T) {
	if err := RunProfiles(context.Background(), "0.0.0.0:0", nil); !errors.Is(err, ErrProfiles) {
		t.Errorf("an address of the world: %v", err)
	}
	if err := RunProfiles(context.Background(), ":0", nil); !errors.Is(err, ErrProfiles) {
		t.Errorf("any address: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	at, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- RunProfiles(ctx, "127.0.0.1:0", func(addr string) { at <- addr }) }()
	url := "http://" + <-at + "/debug/pprof/goroutine?debug=1"
	client := &http.Client{Transport: &http.Transport{}}
	ask := func(host string) (int, string) {
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if status, text := ask(""); status != 200 || !strings.HasPrefix(text, "goroutine profile:") {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := ask("localhost:6060"); status != 200 {
		t.Errorf("by the name localhost: %d", status)
	}
	if status, text := ask("evil.example:6060"); status != 403 || strings.Contains(text, "goroutine") {
		t.Errorf("by another name: %d %s", status, text)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
