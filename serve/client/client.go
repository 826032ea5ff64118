// Package client asks a server of scores over HTTP: docs/API.md, serve/openapi.yaml.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ErrAddress is wrapped by errors of New about the address.
var ErrAddress = errors.New("no address of a server")

// Options are how a server is asked; each zero field stands for its default.
type Options struct {
	// Key is the API key; default: none.
	Key string
	// HTTP does the requests; default: a client of its own without a timeout, since each
	// call has a context.
	HTTP *http.Client
	// Retries is how often a request is sent again that was answered with 429 or 503, or
	// was not answered; default 4, below 0 never.
	Retries int
	// Wait waits between two tries; default: by the clock. It is for tests.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client asks one server. It is safe for concurrent use. Its methods give a *Problem for
// what the server refuses.
type Client struct {
	base    *url.URL
	key     string
	http    *http.Client
	retries int
	wait    func(ctx context.Context, d time.Duration) error
}

// New makes a client of the server at an address such as https://scores.example.com.
func New(address string, o Options) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, fmt.Errorf("%w: write it as https://scores.example.com", ErrAddress) // it may hold a password, so it is not shown
	}
	c := &Client{base: base, key: o.Key, http: o.HTTP, retries: o.Retries, wait: o.Wait}
	if c.http == nil {
		c.http = &http.Client{}
	}
	if c.retries == 0 {
		c.retries = 4
	}
	if c.wait == nil {
		c.wait = sleep
	}
	return c, nil
}

// Problem is what a server says of a request that it refuses (RFC 9457).
type Problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Line   int     `json:"line,omitempty"` // of NDJSON, counted from 1
	Errors []Fault `json:"errors,omitempty"`
}

// Fault is one thing wrong with a request; Pointer is a JSON Pointer to the field.
type Fault struct {
	Detail  string `json:"detail"`
	Pointer string `json:"pointer"`
}

// Error is the detail and the status.
func (p *Problem) Error() string { return fmt.Sprintf("%s (status %d)", p.Detail, p.Status) }

// call is one request, which may be sent several times.
type call struct {
	method      string
	path        []string // its parts, as they are before they are escaped
	query       url.Values
	contentType string
	body        []byte
	header      http.Header
	// once is set of writes that the server does once for one key.
	once bool
}

// longestWait is the most that one wait takes, whatever a server asks for.
const longestWait = time.Minute

// do sends a request until it is answered with something else than "later", and gives
// the answer, whose body is to be closed. What may have been done is sent again only if
// that does no harm: reads, scores, and writes under a key of their own.
func (c *Client) do(ctx context.Context, k *call) (*http.Response, error) {
	if k.once {
		k.header = http.Header{"Idempotency-Key": {rand.Text()}}
	}
	for try := 0; ; try++ {
		resp, err := c.send(ctx, k)
		later := time.Duration(50<<min(try, 10)) * time.Millisecond
		switch {
		case ctx.Err() != nil || try >= c.retries:
			return resp, errors.Join(err, notFine(resp))
		case err != nil && k.method != http.MethodPut && !k.safe():
			return nil, err
		case err == nil && !again(resp):
			return resp, notFine(resp)
		case err == nil:
			later = max(later, retryAfter(resp.Header, time.Now()))
			problem := notFine(resp)
			if later > longestWait || !fits(ctx, later) {
				return nil, problem
			}
		}
		if waited := c.wait(ctx, later); waited != nil {
			return nil, errors.Join(err, waited)
		}
	}
}

// safe says that a request may be done twice.
func (k *call) safe() bool {
	return k.method == http.MethodGet || k.once || k.path[len(k.path)-1] == "score"
}

func (c *Client) send(ctx context.Context, k *call) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, k.method, c.target(k), bytes.NewReader(k.body))
	if err != nil {
		return nil, err
	}
	for name, values := range k.header {
		r.Header[name] = values
	}
	if k.contentType != "" {
		r.Header.Set("Content-Type", k.contentType)
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	return c.http.Do(r)
}

// target escapes the parts of the path, an id of dots too, which would lead elsewhere.
func (c *Client) target(k *call) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(c.base.String(), "/"))
	for _, part := range k.path {
		part = url.PathEscape(part)
		if part == "." || part == ".." {
			part = strings.ReplaceAll(part, ".", "%2E")
		}
		b.WriteString("/" + part)
	}
	if len(k.query) > 0 {
		b.WriteString("?" + k.query.Encode())
	}
	return b.String()
}

func again(r *http.Response) bool {
	return r.StatusCode == http.StatusServiceUnavailable || r.StatusCode == http.StatusTooManyRequests ||
		r.StatusCode == http.StatusConflict && r.Request.Header.Get("Idempotency-Key") != "" && r.Header.Get("Retry-After") != ""
}

// fits says that a wait ends before the context does.
func fits(ctx context.Context, wait time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > wait
}

// retryAfter reads Retry-After: seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 && n < int64(1)<<31 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notFine reads the problem of an answer that is not 2xx, and closes it.
func notFine(r *http.Response) error {
	if r == nil || r.StatusCode >= 200 && r.StatusCode < 300 {
		return nil
	}
	defer r.Body.Close()
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(r.Body, most))
	if err != nil {
		return err
	}
	p := &Problem{Type: "about:blank", Title: http.StatusText(r.StatusCode)}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/problem+json" || json.Unmarshal(text, p) != nil {
		p.Detail = strings.TrimSpace(fmt.Sprintf("%s %.200s", http.StatusText(r.StatusCode), text)) // a proxy's, say
	}
	p.Status = r.StatusCode
	return p
}

// ask sends a value as JSON, if it is not nil, and reads the answer into another.
func (c *Client) ask(ctx context.Context, k call, in, out any) error {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		k.contentType, k.body = "application/json", body
	}
	resp, err := c.do(ctx, &k)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the answer to %s /%s: %w", k.method, strings.Join(k.path, "/"), err)
	}
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return err
}
