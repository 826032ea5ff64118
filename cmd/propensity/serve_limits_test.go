package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"propensity/serve"
)

// limitsBy are the limits that flags set.
func limitsBy(t *testing.T, args ...string) (cfg serve.Config) {
	t.Helper()
	var o limitFlags
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	o.describe(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := o.fill(&cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Each flag sets its own limit, and without any they are those that docs/ACCESS.md tells.
func TestLimitFlags(t *testing.T) {
	for name, c := range map[string]struct{ got, want serve.Config }{
		"defaults": {limitsBy(t), serve.Config{
			MaxConnections: 10_000, MaxHeader: 16384, MaxBody: 1048576, MaxBatchBody: 268435456, MaxBatchRows: 1_000_000,
			MaxEventsBody: 16777216, MaxEvents: 10_000, MaxInferBody: 16777216, MaxInferRows: 10_000, MaxVersionBytes: 268435456,
			ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, ShutdownTimeout: 30 * time.Second,
		}},
		"all": {limitsBy(t, "--max-connections=1", "--max-header=8KiB", "--max-body=2MB", "--max-batch-body=1GB", "--max-batch-rows=2", "--max-events-body=3KiB", "--max-events=3",
			"--max-infer-body=4KiB", "--max-infer-rows=4", "--max-version=0.5GiB", "--read-timeout=1s", "--write-timeout=1m30s", "--idle-timeout=1h", "--shutdown-timeout=100ms"),
			serve.Config{
				MaxConnections: 1, MaxHeader: 8192, MaxBody: 2_000_000, MaxBatchBody: 1_000_000_000, MaxBatchRows: 2,
				MaxEventsBody: 3072, MaxEvents: 3, MaxInferBody: 4096, MaxInferRows: 4, MaxVersionBytes: 536870912,
				ReadTimeout: time.Second, WriteTimeout: 90 * time.Second, IdleTimeout: time.Hour, ShutdownTimeout: 100 * time.Millisecond,
			}},
	} {
		if d := cmp.Diff(c.want, c.got, cmpopts.IgnoreUnexported(serve.Config{})); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// What no server can mean is refused, wherever it is said, and nothing is served.
func TestLimitsRefused(t *testing.T) {
	inFolder(t)
	for _, c := range []struct{ arg, why string }{
		{"--max-body=1000", "write an amount such as 512MB"},
		{"--max-body=0B", "write an amount"},
		{"--max-body=1B", "it is 1KiB to 1GiB"},
		{"--max-body=-1MB", "write an amount"},
		{"--max-body=2GB", "it is 1KiB to 1GiB"},
		{"--max-batch-body=2TiB", "it is 1KiB to 1TiB"},
		{"--max-batch-body=512KiB", "less than --max-body 1MiB"},
		{"--max-header=1KiB", "it is 4KiB to 1MiB"},
		{"--max-connections=0", "it is 1 to 1000000"},
		{"--max-connections=-3", "it is 1 to 1000000"},
		{"--max-events=many", "write a whole number, 1 to 1000000000"},
		{"--max-batch-rows=99999999999999999999", "write a whole number"},
		{"--read-timeout=30", "missing unit"},
		{"--read-timeout=0s", "it is 100ms to 24h"},
		{"--write-timeout=-5s", "it is 100ms to 24h"},
		{"--idle-timeout=1000h", "it is 100ms to 24h"},
	} {
		flag, _, _ := strings.Cut(strings.TrimPrefix(c.arg, "--"), "=")
		mentions(t, must(t, exitUsage, "serve", "--addr", "127.0.0.1:0", "--ledger", "off", c.arg).err, flag, c.why)
	}
	t.Setenv("PROPENSITY_SERVE_MAX_BODY", "1")
	write(t, "serve.yaml", "ledger: off\nread-timeout: 5\n")
	mentions(t, must(t, exitUsage, "serve", "--addr", "127.0.0.1:0").err, `environment: max-body cannot be "1": write an amount`, `serve.yaml:2: read-timeout cannot be "5"`)
}

// Settings are shown as they are written.
func TestLimitsShown(t *testing.T) {
	inFolder(t)
	out := must(t, exitDone, "serve", "--print-settings", "--max-body", "1.5KB", "--idle-timeout", "90s", "--max-version", "512MiB", "--max-batch-body=1000MB").out
	for _, want := range []string{"max-body 1500B flag", "idle-timeout 90s flag", "max-version 512MiB flag", "max-batch-body 1GB flag", "read-timeout 30s default", "max-header 16KiB default"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// The limits hold in the server that was started with them.
func TestLimitsHold(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	server, _ := serveWith(t, "--store", "memory:", "--max-body", "1KiB", "--max-batch-rows", "2", "--max-events-body", "2KiB", "--max-events", "1", "--max-header", "4KiB",
		"--max-infer-rows", "1", "--read-timeout", "150ms")
	until(t, "ready", ready(t, server, `"causes":[]`))
	post := func(path, contentType, body string) (int, string) {
		r, err := http.Post(server+path, contentType, strings.NewReader(body))
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
	long := strings.Repeat(" ", 1100)
	outcome := `{"id": "1", "model": "churn", "account": "A", "positive": true, "occurred_at": "2026-03-20T00:00:00Z"}`
	row := `{"plan": "free", "logins": 2, "seats": 3, "annual": false, "mrr": 10}`
	for _, c := range []struct {
		path, contentType, body string
		status                  int
	}{
		{"/v1/models/churn/score", "application/json", faultRow, http.StatusOK},
		{"/v1/models/churn/score", "application/json", faultRow + long, http.StatusRequestEntityTooLarge},
		{"/v1/outcomes", "application/json", outcome + long, http.StatusOK},
		{"/v1/outcomes", "application/json", outcome + long + long, http.StatusRequestEntityTooLarge},
		{"/v1/outcomes", "application/json", "[" + outcome + "," + outcome + "]", http.StatusRequestEntityTooLarge},
		{"/invocations", "application/json", `{"dataframe_records": [` + row + `]}`, http.StatusOK},
		{"/invocations", "application/json", `{"dataframe_records": [` + row + "," + row + `]}`, http.StatusRequestEntityTooLarge},
	} {
		if status, text := post(c.path, c.contentType, c.body); status != c.status {
			t.Errorf("%s, %d bytes: %d, want %d: %s", c.path, len(c.body), status, c.status, text)
		}
	}
	line := faultRow + "\n"
	if status, text := post("/v1/models/churn/score:batch", "application/x-ndjson", line+line+line); !strings.Contains(text, `"status":413`) || !strings.Contains(text, "more than 2 rows") {
		t.Errorf("a batch: %d %s", status, text)
	}
	q, err := http.NewRequest(http.MethodGet, server+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("X-Long", strings.Repeat("x", 9<<10))
	if r, err := http.DefaultClient.Do(q); err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header: %v %v", r, err)
	} else {
		r.Body.Close()
	}
	slow, err := net.Dial("tcp", strings.TrimPrefix(server, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "POST /v1/models/churn/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(slow); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 408 ") {
		t.Errorf("a slow body: %q %v", b, err)
	}
}

// --help shows each flag once, under the title of its group.
func TestServeHelpGroups(t *testing.T) {
	out := must(t, exitDone, "serve", "--help").out
	usage := out[strings.Index(out, "\nFlags:\n"):]
	serveFlags(t).VisitAll(func(f *pflag.Flag) {
		if n := strings.Count(usage, " --"+f.Name+" "); n != 1 {
			t.Errorf("--%s is shown %d times", f.Name, n)
		}
	})
	_, limits, ok := strings.Cut(usage, "\nLimits of size and time:\n")
	limits, global, ends := strings.Cut(limits, "\n\n")
	if !ok || !ends || !strings.HasPrefix(global, "Global Flags:\n") || strings.Count(limits, "\n")+1 != 14 {
		t.Errorf("the limits: %s", limits)
	}
	mentions(t, limits, "--max-body size ", "(default 1MiB)", "--read-timeout time ", "(default 30s)", "--max-batch-rows count ")
}

// The default of a timeout is shorter than what docs/deploy waits for the server to stop.
func TestShutdownWithinDeploy(t *testing.T) {
	for path, want := range map[string]string{"../../docs/deploy/propensity.service": "TimeoutStopSec=60", "../../docs/deploy/kubernetes/deployment.yaml": "terminationGracePeriodSeconds: 60"} {
		if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), want) || limitsBy(t).ShutdownTimeout >= time.Minute {
			t.Errorf("%s: %v", path, err)
		}
	}
}
