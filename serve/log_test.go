package serve

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// logText is a log that can be read while it is written.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A request is a line with its id and route; no account, value, path or key is in it, nor
// in what is logged of what failed.
func TestLogRequests(t *testing.T) {
	var log logText
	f := churn(t, Config{LogRequests: true, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	ask := func(path, body string) {
		req, err := http.NewRequest("POST", f.http.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Request-Id", "the-request")
		req.Header.Set("Authorization", "Bearer the-credential")
		resp, err := f.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		readReply(t, resp)
	}
	ask("/v1/models/churn/score", requestOf("secret-account", strings.Replace(wholeRow, `"pro"`, `"secret-value"`, 1)))
	ask("/v1/models/churn/score?secret=query", `{"account": "secret-account"}`)
	ask("/v1/accounts/secret-account", "{}")
	f.get(t, "/readyz")
	text := log.String()
	for _, secret := range []string{"secret-account", "secret-value", "secret=query", "the-credential", "readyz"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the log:\n%s", secret, text)
		}
	}
	var got struct {
		Msg, Request, Method, Route string
		Status, In, Out             int
		Seconds                     float64
	}
	for line := range strings.Lines(text) {
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if got.Msg == "request" {
			break
		}
	}
	if got.Request != "the-request" || got.Method != "POST" || got.Route != "/v1/models/:name/score" || got.Status != 200 || got.In == 0 || got.Out == 0 || got.Seconds <= 0 {
		t.Errorf("%+v in\n%s", got, text)
	}
	if n := strings.Count(text, `"msg":"request"`); n != 3 {
		t.Errorf("%d requests in\n%s", n, text)
	}
}

// A caller without an id of its own is told by its trace. Vectors of W3C Trace Context,
// section 3.2.2 and 4.3.
func TestTraceOf(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	for parent, want := range map[string]string{
		"00-" + trace + "-b7ad6b7169203331-01":                              trace,
		"00-" + trace + "-b7ad6b7169203331-00":                              trace,
		"cc-" + trace + "-b7ad6b7169203331-01-what-the-future-will-be-like": trace,
		"cc-" + trace + "-b7ad6b7169203331-01.what":                         "",
		"00-" + trace + "-b7ad6b7169203331-01-more":                         "",
		"ff-" + trace + "-b7ad6b7169203331-01":                              "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":           "",
		"00-" + strings.ToUpper(trace) + "-b7ad6b7169203331-01":             "",
		"00-" + trace + "-b7ad6b7169203331-0":                               "",
		"00_" + trace + "-b7ad6b7169203331-01":                              "",
		"":                                                                  "", "00-\x00": "",
	} {
		if got := traceOf(parent); got != want {
			t.Errorf("%q gives %q, want %q", parent, got, want)
		}
	}
}

func FuzzTraceOf(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, parent string) {
		got := traceOf(parent)
		if got != "" && (len(got) != 32 || strings.Trim(got, "0123456789abcdef") != "" || strings.Trim(got, "0") == "" || !strings.Contains(parent, got)) {
			t.Errorf("%q gives %q", parent, got)
		}
	})
}
