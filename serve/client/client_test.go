package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"propensity/serve/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script answers requests in turn, and notes what was asked and how long was waited.
type script struct {
	mu      sync.Mutex
	answers []func(w http.ResponseWriter)
	keys    []string
	bodies  []string
	waits   []time.Duration
}

func status(code int, retryAfter string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"type":"about:blank","title":"t","status":%d,"detail":"d","errors":[{"detail":"d","pointer":"/row"}]}`, code)
	}
}

func done(w http.ResponseWriter) { fmt.Fprint(w, `{"accepted":1,"warnings":[]}`) }

// cut breaks the connection off.
func cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func (s *script) client(t *testing.T, answers ...func(http.ResponseWriter)) *client.Client {
	t.Helper()
	s.answers = answers
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.keys, s.bodies = append(s.keys, r.Header.Get("Idempotency-Key")), append(s.bodies, string(body))
		answer := s.answers[0]
		s.answers = s.answers[1:]
		s.mu.Unlock()
		answer(w)
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(server.URL, client.Options{HTTP: &http.Client{Transport: transport}, Wait: func(_ context.Context, d time.Duration) error {
		s.waits = append(s.waits, d)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A write that is answered with "later", or not at all, is sent again under one key,
// after the wait that the server asks for.
func TestWritesAreSentAgain(t *testing.T) {
	var s script
	c := s.client(t, status(503, "2"), status(429, "7"), cut, status(409, "1"), done)
	got, err := c.AddFacts(t.Context(), []client.Fact{{Source: "events", Account: "A", ID: "1"}})
	if err != nil || got.Accepted != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(s.keys) != 5 || s.keys[0] == "" || slices.ContainsFunc(s.keys, func(k string) bool { return k != s.keys[0] }) {
		t.Errorf("keys: %q", s.keys)
	}
	if slices.ContainsFunc(s.bodies, func(b string) bool { return b != s.bodies[0] }) || s.bodies[0] == "" {
		t.Errorf("bodies: %q", s.bodies)
	}
	// net/http itself sends at once what was cut off, since it has a key.
	if want := []time.Duration{2 * time.Second, 7 * time.Second, time.Second}; !slices.Equal(s.waits, want) {
		t.Errorf("waits: %v", s.waits)
	}
	s.answers = append(s.answers, done)
	if _, err := c.AddFacts(t.Context(), nil); err != nil || s.keys[5] == s.keys[0] || s.bodies[5] != "[]" {
		t.Errorf("another write has another key: %q, %q, %v", s.keys, s.bodies[5], err)
	}
}

func TestWhatIsRefusedIsNotSentAgain(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 409, 422, 500, 501} {
		var s script
		c := s.client(t, status(code, ""))
		_, err := c.Score(t.Context(), "churn", client.Request{})
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != code || p.Detail != "d" || len(p.Errors) != 1 || p.Errors[0].Pointer != "/row" || len(s.keys) != 1 {
			t.Errorf("%d: %v after %d requests", code, err, len(s.keys))
		}
	}
}

// Retries end, and what a server says last is told.
func TestRetriesEnd(t *testing.T) {
	var s script
	later := status(503, "")
	c := s.client(t, later, later, later, later, later, later)
	_, err := c.Models(t.Context())
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != 503 || len(s.keys) != 5 {
		t.Errorf("%v after %d requests", err, len(s.keys))
	}
	if want := []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}; !slices.Equal(s.waits, want) {
		t.Errorf("waits: %v", s.waits)
	}
	// A wait beyond the context's end, or a minute, is not begun.
	s = script{}
	c = s.client(t, status(503, "30"), status(503, "3600"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, ctx := range []context.Context{ctx, t.Context()} {
		if _, err := c.Models(ctx); !errors.As(err, &p) || p.Status != 503 || len(s.waits) != 0 {
			t.Errorf("%v, waits %v", err, s.waits)
		}
	}
}

// What came from no server of scores is an error too.
func TestForeignAnswers(t *testing.T) {
	var s script
	html := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code); fmt.Fprint(w, "<html>") }
	}
	c := s.client(t, html(502), html(200))
	var p *client.Problem
	if _, err := c.Models(t.Context()); !errors.As(err, &p) || p.Status != 502 {
		t.Errorf("%v", err)
	}
	if _, err := c.Models(t.Context()); err == nil {
		t.Error("HTML was taken for models")
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "scores.example.com", "ftp://x", "http://", "http://user:secret@x", "http://x?a=b", "http://x\x00"} {
		if _, err := client.New(address, client.Options{}); !errors.Is(err, client.ErrAddress) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
