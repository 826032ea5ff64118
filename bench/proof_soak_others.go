package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
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
