package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"propensity/models/registry"
	"propensity/serve/keys"
)

// page is a log that can be read while it is written.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) { p.mu.Lock(); defer p.mu.Unlock(); return p.text.Write(b) }

func (p *page) String() string { p.mu.Lock(); defer p.mu.Unlock(); return p.text.String() }

func (p *page) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// makeKey makes a key in a file and gives its text.
func makeKey(t testing.TB, path string, like keys.Key) (keys.Key, string) {
	t.Helper()
	if like.Name == "" {
		like.Name = "test"
	}
	k, text, err := keys.Create(context.Background(), path, like, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

// keyed is a server with a key of each scope.
type keyed struct {
	*fixture
	path  string
	texts map[string]string // by scope
	ids   map[string]string
}

func withKeys(t testing.TB, cfg Config) *keyed {
	t.Helper()
	k := &keyed{path: filepath.Join(t.TempDir(), "keys.json"), texts: map[string]string{}, ids: map[string]string{}}
	for _, scope := range keys.Scopes() {
		made, text := makeKey(t, k.path, keys.Key{Scopes: []string{scope}})
		k.texts[scope], k.ids[scope] = text, made.ID
	}
	cfg.Keys = k.path
	k.fixture = churn(t, cfg)
	return k
}

// ask makes one request, with a key unless it is "".
func (f *fixture) ask(t testing.TB, method, path, key, body string) reply {
	t.Helper()
	req, err := http.NewRequest(method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

const scorePath = "/v1/models/churn/score"

// openToAll are the routes that need no key.
func openToAll(route string) bool {
	return slices.Contains([]string{
		"GET /livez", "GET /readyz", "GET /openapi.yaml", "GET /openapi.json", "GET /docs",
		"GET /v2/health/live", "GET /v2/health/ready", "GET /ping", "GET /health",
	}, route)
}

// No route but those of health and of the contract is reached without a key, whoever adds
// it; and none but by a key that is its own or admin's.
func TestEveryRouteNeedsAKey(t *testing.T) {
	f := withKeys(t, Config{})
	for _, r := range f.server.engine.Routes() {
		route := r.Method + " " + strings.ReplaceAll(r.Path, `\:`, ":")
		path := strings.NewReplacer(`\:`, ":", ":name", "churn", ":id", "A-17", ":alias", "challenger", ":version", "1").Replace(r.Path)
		got := f.ask(t, r.Method, path, "", "")
		if (got.status == http.StatusUnauthorized) == openToAll(route) {
			t.Errorf("%s without a key: %d", route, got.status)
		}
		if openToAll(route) {
			continue
		}
		if wrong := f.ask(t, r.Method, path, "prop_aaaaaaaa_"+strings.Repeat("a", 52), ""); wrong.status != http.StatusUnauthorized {
			t.Errorf("%s with a wrong key: %d", route, wrong.status)
		}
		passed := 0
		for _, scope := range keys.Scopes()[:3] {
			if f.ask(t, r.Method, path, f.texts[scope], "").status != http.StatusForbidden {
				passed++
			}
		}
		if passed > 1 {
			t.Errorf("%s is open to %d scopes", route, passed)
		}
	}
}

func TestScopes(t *testing.T) {
	f := withKeys(t, Config{})
	for _, c := range []struct{ method, path, scope, body string }{
		{"POST", scorePath, scopeScore, requestOf("A", wholeRow)},
		{"POST", batchPath, scopeScore, `{"rows": []}`},
		{"GET", "/v1/models", scopeRead, ""},
		{"GET", "/metrics", scopeRead, ""},
		{"GET", "/v1/keys", scopeAdmin, ""},
	} {
		for scope, text := range f.texts {
			want := http.StatusForbidden
			if scope == c.scope || scope == scopeAdmin {
				want = http.StatusOK
			}
			got := f.ask(t, c.method, c.path, text, c.body)
			if got.status != want {
				t.Errorf("%s %s with %s: %d %s", c.method, c.path, scope, got.status, got.body)
			}
			if want != http.StatusForbidden {
				continue
			}
			checkProblem(t, got, want)
			if challenge := got.header.Get("WWW-Authenticate"); challenge != realm+`, error="insufficient_scope", scope="`+c.scope+`"` || !strings.Contains(string(got.body), c.scope) {
				t.Errorf("%q %s", challenge, got.body)
			}
		}
	}
}

func TestOpenMetrics(t *testing.T) {
	f := withKeys(t, Config{OpenMetrics: true})
	if got := f.ask(t, "GET", "/metrics", "", ""); got.status != 200 || !bytes.Contains(got.body, []byte("propensity_refused_total")) {
		t.Errorf("%d", got.status)
	}
}

// How a key comes, and what is said of one that does not count.
func TestPresentingAKey(t *testing.T) {
	f := withKeys(t, Config{})
	good := f.texts[scopeScore]
	expired, expiredText := makeKey(t, f.path, keys.Key{Scopes: []string{scopeScore}, Expires: time.Now().Add(time.Hour)})
	_ = expired
	for _, c := range []struct {
		name    string
		headers http.Header
		status  int
		says    string
	}{
		{"bearer", http.Header{"Authorization": {"Bearer " + good}}, 200, ""},
		{"any case, more spaces", http.Header{"Authorization": {"bEARER   " + good + " "}}, 200, ""},
		{"own header", http.Header{"X-Api-Key": {good}}, 200, ""},
		{"both the same", http.Header{"X-Api-Key": {good}, "Authorization": {"Bearer " + good}}, 200, ""},
		{"beside another's", http.Header{"X-Api-Key": {good}, "Authorization": {"Basic dTpw"}}, 200, ""},
		{"not yet expired", http.Header{"X-Api-Key": {expiredText}}, 200, ""},
		{"none", http.Header{}, 401, "a key is needed"},
		{"empty", http.Header{"Authorization": {"Bearer"}, "X-Api-Key": {""}}, 401, "a key is needed"},
		{"only another's", http.Header{"Authorization": {"Basic dTpw"}}, 401, "a key is needed"},
		{"two", http.Header{"X-Api-Key": {good, good}}, 401, "several"},
		{"two bearers", http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, 401, "several"},
		{"two that differ", http.Header{"X-Api-Key": {good}, "Authorization": {"Bearer " + f.texts[scopeAdmin]}}, 401, "several"},
		{"no key of ours", http.Header{"X-Api-Key": {"secret"}}, 401, "not known"},
		{"a part", http.Header{"X-Api-Key": {good[:len(good)-1]}}, 401, "not known"},
		{"very long", http.Header{"X-Api-Key": {strings.Repeat("a", 8000)}}, 401, "not known"},
	} {
		req, err := http.NewRequest("POST", f.http.URL+scorePath, strings.NewReader(requestOf("A", wholeRow)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = c.headers
		req.Header.Set("Content-Type", "application/json")
		resp, err := f.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got := readReply(t, resp)
		if got.status != c.status || !strings.Contains(string(got.body), c.says) {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
		if c.status == 401 {
			checkProblem(t, got, 401)
			want := realm
			if strings.Contains(c.says, "not known") {
				want += `, error="invalid_token"`
			}
			if got.header.Get("WWW-Authenticate") != want {
				t.Errorf("%s: WWW-Authenticate: %s", c.name, got.header.Get("WWW-Authenticate"))
			}
		}
	}
}

// A key that is revoked by the command, in the file, is refused from the next request on;
// requests that were let in are answered.
func TestRevocationHoldsFromTheNextRequest(t *testing.T) {
	f := withKeys(t, Config{})
	text, body := f.texts[scopeScore], requestOf("A", wholeRow)
	in, out := io.Pipe()
	req, err := http.NewRequest("POST", f.http.URL+batchPath, in)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("X-API-Key", text)
	go io.WriteString(out, body+"\n")
	resp, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.ask(t, "POST", scorePath, text, body); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if _, err := keys.Revoke(context.Background(), f.path, f.ids[scopeScore], time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := f.ask(t, "POST", scorePath, text, body); got.status != 401 {
		t.Fatalf("a revoked key is answered: %d", got.status)
	}
	io.WriteString(out, body+"\n")
	out.Close()
	if got := readReply(t, resp); got.status != 200 || bytes.Count(got.body, []byte("\n")) != 2 {
		t.Errorf("the batch that was let in: %d %s", got.status, got.body)
	}
}

func TestWithoutKeysAllIsAllowed(t *testing.T) {
	f := churn(t, Config{})
	if got := f.ask(t, "POST", scorePath, "any", requestOf("A", wholeRow)); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	got := f.ask(t, "GET", "/v1/keys", "", "")
	if got.status != 501 || !strings.Contains(string(got.body), "--keys") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Nothing that is secret, or of an account, comes into the log, whatever is asked.
func TestNoSecretsInTheLog(t *testing.T) {
	var log page
	f := withKeys(t, Config{Logger: log.logger()})
	admin := f.texts[scopeAdmin]
	made := decodeAs[keyAnswer](t, f.ask(t, "POST", "/v1/keys", admin, `{"name": "crm", "scopes": ["score"]}`).body)
	secrets := []string{made.Key, "ACCOUNT-77", "pro-plus-row"}
	for _, text := range f.texts {
		secrets = append(secrets, text)
	}
	row := strings.Replace(wholeRow, `"pro"`, `"pro-plus-row"`, 1)
	for _, key := range secrets {
		f.ask(t, "POST", scorePath, key, requestOf("ACCOUNT-77", row))
		f.ask(t, "POST", scorePath, key, requestOf("ACCOUNT-77", `{"plan": "pro-plus-row"}`))
		f.ask(t, "GET", "/v1/accounts/ACCOUNT-77", key, "")
		f.ask(t, "DELETE", "/v1/keys/"+key, key, "")
	}
	if !strings.Contains(log.String(), "keys.create") {
		t.Fatal("nothing was logged")
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in\n%s", secret, log.String())
		}
	}
	metrics := string(f.ask(t, "GET", "/metrics", admin, "").body)
	for _, secret := range secrets {
		if strings.Contains(metrics, secret) {
			t.Errorf("%q is in the metrics", secret)
		}
	}
}

func TestRefusesToBeOpen(t *testing.T) {
	f := churn(t, Config{})
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0"} {
		err := f.server.Run(context.Background(), addr, func(string) { t.Errorf("%s is served", addr) })
		if !errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), "--keys") || !strings.Contains(err.Error(), "--without-keys") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	makeKey(t, path, keys.Key{Scopes: []string{scopeRead}})
	for addr, cfg := range map[string]Config{"0.0.0.0:0": {Keys: path}, "[::]:0": {WithoutKeys: true}, "127.0.0.1:0": {}, "localhost:0": {}} {
		f := churn(t, cfg)
		ctx, stop := context.WithCancel(context.Background())
		served := false
		err := f.server.Run(ctx, addr, func(string) { served = true; stop() })
		stop()
		if err != nil && strings.Contains(addr, ":") && !errors.Is(err, ErrOpen) {
			t.Logf("%s: %v", addr, err) // a machine without IPv6
			continue
		}
		if err != nil || !served {
			t.Errorf("%s with %+v: %v", addr, cfg, err)
		}
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	_, err := New(Config{Registry: registry.Open(dir), Keys: filepath.Join(dir, "none.json"), TLS: TLS{Cert: "none.pem"}})
	if err == nil || !strings.Contains(err.Error(), "propensity keys create") || !strings.Contains(err.Error(), "--tls-key") {
		t.Errorf("%v", err)
	}
	f := withKeys(t, Config{})
	replaceFile(t, f.path, []byte(`{"version": 1,`))
	ready := f.get(t, "/readyz")
	if ready.status != 200 || !strings.Contains(string(ready.body), "the file of keys cannot be used") {
		t.Errorf("%d %s", ready.status, ready.body)
	}
	if got := f.ask(t, "POST", scorePath, f.texts[scopeScore], requestOf("A", wholeRow)); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := f.ask(t, "POST", "/v1/keys", f.texts[scopeAdmin], `{"name": "a", "scopes": ["read"]}`); got.status != 503 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A page in a browser of the same machine cannot use a server without keys.
func TestGuardAgainstPages(t *testing.T) {
	f := churn(t, Config{})
	h := f.server.guard(f.server.Handler())
	for _, c := range []struct {
		method, host string
		headers      []string
		status       int
	}{
		{"POST", "127.0.0.1:8080", nil, 200},
		{"POST", "localhost:8080", nil, 200},
		{"POST", "[::1]:8080", nil, 200},
		{"POST", "[::1]", nil, 200},
		{"POST", "scores.localhost", nil, 200},
		{"GET", "", nil, 200},
		{"POST", "evil.example", nil, 403},
		{"GET", "evil.example:8080", nil, 403},
		{"GET", "10.0.0.1", nil, 403},
		{"GET", "127.0.0.1.evil.example", nil, 403},
		{"GET", "localhost.evil.example", nil, 403},
		{"GET", "evillocalhost", nil, 403},
		{"POST", "127.0.0.1:8080", []string{"Origin", "https://evil.example"}, 403},
		{"POST", "127.0.0.1:8080", []string{"Origin", "null"}, 403},
		{"POST", "127.0.0.1:8080", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"POST", "127.0.0.1:8080", []string{"Origin", "http://127.0.0.1:8080"}, 200},
		{"POST", "127.0.0.1:8080", []string{"Sec-Fetch-Site", "none"}, 200},
	} {
		path := "/v1/models"
		if c.method == "POST" {
			path = scorePath
		}
		r := httptest.NewRequest(c.method, path, strings.NewReader(requestOf("A", wholeRow)))
		r.Host = c.host
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s %s %v: %d %s", c.method, c.host, c.headers, w.Code, w.Body)
		}
		if c.status == 403 {
			checkProblem(t, reply{w.Code, w.Header(), w.Body.Bytes()}, 403)
		}
	}
}

func TestSecureHeaders(t *testing.T) {
	f := withKeys(t, Config{})
	for _, c := range []struct {
		method, path, key, cache string
	}{
		{"POST", scorePath, f.texts[scopeScore], "no-store"},
		{"POST", scorePath, "", "no-store"},
		{"DELETE", "/v1/keys/none", f.texts[scopeAdmin], "no-store"},
		{"GET", "/v1/models", f.texts[scopeRead], "private, no-cache"},
		{"GET", "/nowhere", "", "private, no-cache"},
		{"GET", "/livez", "", "private, no-cache"},
	} {
		got := f.ask(t, c.method, c.path, c.key, "")
		if h := got.header; h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'" ||
			h.Get("Cache-Control") != c.cache || h.Get("Strict-Transport-Security") != "" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Server") != "" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: %v", c.method, c.path, h)
		}
	}
}

// The page of the API may have its own style and nothing else; the hash is that of what
// stands between the tags, as a browser takes it.
func TestPolicyOfThePage(t *testing.T) {
	f := churn(t, Config{})
	got := f.get(t, "/docs")
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllSubmatch(got.body, -1)
	if len(style) != 1 || bytes.Contains(got.body, []byte(" style=")) || bytes.Contains(got.body, []byte("<script")) {
		t.Fatalf("%d styles", len(style))
	}
	sum := sha256.Sum256(style[0][1])
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if policy := got.header.Get("Content-Security-Policy"); policy != want {
		t.Errorf("%s\nwant %s", policy, want)
	}
}

func TestRequestIDs(t *testing.T) {
	f := churn(t, Config{})
	for own, taken := range map[string]bool{"abc-123": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false, "a b": false, "a\tb": false, "é": false, "": false} {
		req, err := http.NewRequest("GET", f.http.URL+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Request-Id", own)
		resp, err := f.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got := readReply(t, resp).header.Get("X-Request-Id")
		if (got == own) != taken || len(got) < 7 {
			t.Errorf("%q gives %q", own, got)
		}
	}
}

// Whatever the headers say, a key is found only if it is one of theirs, whole.
func FuzzPresented(f *testing.F) {
	f.Add("Bearer prop_abcdefgh_"+strings.Repeat("a", 52), "")
	f.Add("bearer  x ", "x")
	f.Add("Basic dTpw", "prop_")
	f.Fuzz(func(t *testing.T, authorization, own string) {
		h := http.Header{"Authorization": {authorization}}
		if own != "" {
			h["X-Api-Key"] = []string{own}
		}
		text, err := presented(h)
		if (text == "") == (err == nil) {
			t.Fatalf("%q, %v", text, err)
		}
		if err == nil && text != own && !strings.Contains(authorization, text) {
			t.Fatalf("%q of %q and %q", text, authorization, own)
		}
	})
}
