package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"propensity/features/online"
)

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// redisServer is a Redis of the proof's own, which loses nothing that it has acknowledged.
type redisServer struct {
	dir, addr string
	cmd       *exec.Cmd
}

func startRedis(ctx context.Context, dir string) (*redisServer, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	r := &redisServer{dir: dir, addr: addr}
	return r, r.start(ctx)
}

func (r *redisServer) url() string { return "redis://" + r.addr }

func (r *redisServer) start(ctx context.Context) error {
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		return err
	}
	r.cmd = exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("the store that is killed is a Redis (Debian: apt-get install redis-server): %w", err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, err := online.Open(ctx, r.url())
		if err == nil {
			return s.Close()
		}
		if time.Now().After(end) {
			return errors.Join(err, r.cmd.Process.Kill())
		}
	}
}

func (r *redisServer) kill() {
	if r.cmd != nil && r.cmd.Process != nil && r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
}

// receiver takes webhooks.
type receiver struct {
	addr   string
	server *http.Server
	done   chan error
	mu     sync.Mutex
	events map[string]bool
}

func startReceiver() (*receiver, error) {
	addr, err := freeAddr(context.Background())
	if err != nil {
		return nil, err
	}
	r := &receiver{addr: addr, events: map[string]bool{}}
	return r, r.open()
}

func (r *receiver) open() error {
	l, err := net.Listen("tcp", r.addr) //nolint:noctx // it does not wait
	if err != nil {
		return err
	}
	r.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		r.mu.Lock()
		r.events[q.Header.Get("webhook-id")] = true
		r.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})}
	r.done = make(chan error, 1)
	go func() { r.done <- r.server.Serve(l) }()
	return nil
}

func (r *receiver) close() error {
	if r.server == nil {
		return nil
	}
	err := r.server.Close()
	if end := <-r.done; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	r.server = nil
	return err
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// misbehave is a client that is slow, or goes away in the middle.
func (s *soak) misbehave(n int, rng *rand.Rand) {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), 5*time.Second)
	if err != nil {
		s.fail("a connection: %v", err)
		return
	}
	defer conn.Close()
	body := `{"account": "S-1"}`
	text := fmt.Sprintf("POST /v1/models/churn/score HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	switch n % 3 {
	case 0: // gone within the request
		_, _ = io.WriteString(conn, text[:rng.IntN(len(text))])
	case 1: // gone before the answer
		_, _ = io.WriteString(conn, text)
	default: // a letter at a time
		for i := 0; i < len(text) && i < 20; i++ {
			_, _ = io.WriteString(conn, text[i:i+1])
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// breakThings kills the store for four seconds, and later takes the receiver away.
func (s *soak) breakThings(ctx context.Context) {
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	may := func(d time.Duration) {
		s.mu.Lock()
		s.unsure = time.Now().Add(d)
		s.mu.Unlock()
	}
	pause(10 * time.Second)
	may(time.Minute)
	s.store.kill()
	pause(4 * time.Second)
	if err := s.store.start(context.WithoutCancel(ctx)); err != nil {
		s.fail("Redis: %v", err)
	}
	may(5 * time.Second) // until it is connected to anew
	pause(15 * time.Second)
	if err := s.hooks.close(); err != nil {
		s.fail("the receiver: %v", err)
	}
	pause(4 * time.Second) // less than until the second attempt
	if err := s.hooks.open(); err != nil {
		s.fail("the receiver: %v", err)
	}
}
