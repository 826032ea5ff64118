package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// remoteFlags name another server and the key for it.
type remoteFlags struct{ address, keyFile string }

func (o *remoteFlags) describe(f *pflag.FlagSet, flag, use string) {
	f.StringVar(&o.address, flag, "", "`url` of the server "+use)
	f.StringVar(&o.keyFile, "key-file", "", "`file` that holds an API key of that server, and nothing else; - is stdin")
}

// remote is another server.
type remote struct {
	base   *url.URL
	key    string
	client *http.Client
}

// open reads the key. One is never sent where others could read it on its way.
func (o *remoteFlags) open(flag string, stdin io.Reader) (*remote, error) {
	base, err := url.Parse(o.address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, fmt.Errorf("%w: --%s: write the address of a server, such as https://scores.example.com", errUsage, flag)
	}
	r := &remote{base: base}
	if o.keyFile != "" {
		if base.Scheme == "http" && !loopback(base.Hostname()) {
			return nil, fmt.Errorf("%w: --%s %s: a key would be sent for all to read: use https", errUsage, flag, base)
		}
		if r.key, err = readKey(o.keyFile, stdin); err != nil {
			return nil, err
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 5 * time.Minute // it checks and replays a version first
	r.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// maxKey bounds a file of a key, in bytes.
const maxKey = 4096

func readKey(path string, stdin io.Reader) (string, error) {
	from := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxKey+1))
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if key == "" || len(b) > maxKey || strings.ContainsAny(key, " \t\r\n") {
		return "", fmt.Errorf("%w: --key-file %s: it must hold one API key and nothing else", errUsage, path)
	}
	return key, nil
}

// close lets no connection wait for more.
func (r *remote) close() { r.client.CloseIdleConnections() }

// do asks the server and gives what it answers with a status of success; the caller closes
// its body. Any other answer is an error with the server's words.
func (r *remote) do(ctx context.Context, method string, path []string, contentType string, body io.Reader) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, r.base.JoinPath(path...).String(), body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		q.Header.Set("Content-Type", contentType)
	}
	if r.key != "" {
		q.Header.Set("Authorization", "Bearer "+r.key)
	}
	a, err := r.client.Do(q)
	if err != nil {
		return nil, err
	}
	if a.StatusCode >= 200 && a.StatusCode < 300 {
		return a, nil
	}
	defer a.Body.Close()
	var p struct {
		Detail string `json:"detail"`
	}
	const most = 64 << 10
	b, err := io.ReadAll(io.LimitReader(a.Body, most))
	if err == nil && json.Unmarshal(b, &p) != nil || p.Detail == "" {
		p.Detail = http.StatusText(a.StatusCode)
		if to := a.Header.Get("Location"); to != "" {
			p.Detail += " to " + to + ": name that address"
		}
	}
	return nil, &refusal{server: r.base.String(), status: a.StatusCode, detail: p.Detail}
}

// refusal is a server's answer that is no success.
type refusal struct {
	server string
	status int
	detail string
}

func (e *refusal) Error() string {
	return fmt.Sprintf("%s answers %d: %s", e.server, e.status, e.detail)
}

// json asks and reads an answer in JSON.
func (r *remote) json(ctx context.Context, method string, path []string, contentType string, body io.Reader, into any) error {
	a, err := r.do(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	const most = 1 << 20
	if err := json.NewDecoder(io.LimitReader(a.Body, most)).Decode(into); err != nil {
		return errors.Join(fmt.Errorf("%s: its answer cannot be read: is it a propensity server?", r.base), err)
	}
	return nil
}
