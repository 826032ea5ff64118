package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"propensity/models/registry"
	"propensity/serve/notify"
)

// gathered is a collector that keeps what it is sent.
type gathered struct {
	http *httptest.Server

	mu       sync.Mutex
	spans    []*tracepb.Span
	resource map[string]string
	header   http.Header
	path     string
	answers  []int // the statuses of the next answers; then 200
}

func gather(t *testing.T) *gathered {
	t.Helper()
	g := &gathered{resource: map[string]string{}}
	g.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			body, err = io.ReadAll(z)
			if err != nil {
				t.Error(err)
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.header, g.path = r.Header, r.URL.Path
		if len(g.answers) > 0 {
			w.WriteHeader(g.answers[0])
			g.answers = g.answers[1:]
			return
		}
		var q collectorpb.ExportTraceServiceRequest // what a collector reads
		if err := errors.Join(err, proto.Unmarshal(body, &q)); err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s: %v", r.Header.Get("Content-Type"), err)
		}
		for _, of := range q.ResourceSpans {
			for _, a := range of.GetResource().GetAttributes() {
				g.resource[a.Key] = a.Value.GetStringValue()
			}
			for _, in := range of.ScopeSpans {
				g.spans = append(g.spans, in.Spans...)
			}
		}
	}))
	t.Cleanup(g.http.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", g.http.URL)
	return g
}

// named are the spans of a name.
func (g *gathered) named(name string) (out []*tracepb.Span) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.spans {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

func attributesOf(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[a.Key] = fmt.Sprint(v.IntValue)
		default:
			out[a.Key] = fmt.Sprint(v)
		}
	}
	return out
}

const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
)

// traced posts a score within the trace of a caller.
func (f *fixture) traced(t *testing.T, path, body, flags string) reply {
	t.Helper()
	r, err := http.NewRequest("POST", f.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("traceparent", "00-"+callerTrace+"-"+callerSpan+"-"+flags)
	resp, err := f.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

// A request is a span within the trace of its caller, by the conventions of HTTP, and has
// few within it; none has an account or a value.
func TestTracesOfRequests(t *testing.T) {
	g := gather(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	f := withFacts(t, Config{Traces: true, Database: stateDB(t), LedgerSync: true, Version: "1.2.3"})
	wantStatus(t, f.event(t, knownEvents), 202)
	wantStatus(t, f.traced(t, "/v1/models/renewal/score", `{"account": "A-17", `+asOf+`}`, "01"), 200)
	wantStatus(t, f.traced(t, "/v1/models/renewal/score", `{"account": "secret-account"}`, "01"), 404)
	wantStatus(t, f.get(t, "/v1/accounts/A-17"), 200)
	wantStatus(t, f.get(t, "/secret-account"), 404)
	if err := f.server.Close(); err != nil {
		t.Fatal(err)
	}
	if g.path != "/v1/traces" || g.resource["service.name"] != "propensity" || g.resource["service.version"] != "1.2.3" || g.resource["deployment.environment.name"] != "test" {
		t.Errorf("%s, resource %v", g.path, g.resource)
	}
	scores := g.named("POST /v1/models/{name}/score")
	if len(scores) != 2 {
		t.Fatalf("%d spans of scores", len(scores))
	}
	for i, s := range scores {
		if hex.EncodeToString(s.TraceId) != callerTrace || hex.EncodeToString(s.ParentSpanId) != callerSpan || s.Kind != tracepb.Span_SPAN_KIND_SERVER || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%v", s)
		}
		want := map[string]string{
			"http.request.method": "POST", "http.route": "/v1/models/{name}/score", "url.scheme": "http", "network.protocol.version": "1.1",
			"http.response.status_code": []string{"200", "404"}[i],
		}
		if got := attributesOf(s); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v\nwant %v", got, want)
		}
		if s.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET { // a 4xx is the client's
			t.Errorf("status %v", s.Status)
		}
	}
	for name, count := range map[string]int{"decode": 2, "row": 2, "score": 1, "ledger": 1, "GET /v1/accounts/{id}": 1, "GET": 1} {
		if got := g.named(name); len(got) != count {
			t.Errorf("%d spans %q, want %d", len(got), name, count)
		} else if got := got[0]; count == 1 && !strings.HasPrefix(name, "GET") && string(got.ParentSpanId) != string(scores[0].SpanId) {
			t.Errorf("%s is not within its request", name)
		}
	}
	allowed := " http.request.method http.route url.scheme network.protocol.version http.response.status_code error.type propensity.model propensity.version server.address "
	for _, s := range g.spans {
		if text := s.String(); strings.Contains(text, "A-17") || strings.Contains(text, "secret-account") {
			t.Errorf("%s", text)
		}
		for name := range attributesOf(s) {
			if !strings.Contains(allowed, " "+name+" ") {
				t.Errorf("%s has %s", s.Name, name)
			}
		}
	}
}

// Who is sampled is for the caller to say, and for OTEL_TRACES_SAMPLER where it does not.
func TestTracesAreSampledByTheParent(t *testing.T) {
	g := gather(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	f := churn(t, Config{Traces: true})
	body := requestOf("A", wholeRow)
	wantStatus(t, f.traced(t, "/v1/models/churn/score", body, "00"), 200)
	wantStatus(t, f.traced(t, "/v1/models/churn/score", body, "01"), 200)
	wantStatus(t, f.score(t, "churn", body), 200)
	if err := f.server.Close(); err != nil {
		t.Fatal(err)
	}
	if got := g.named("POST /v1/models/{name}/score"); len(got) != 1 {
		t.Errorf("%d spans, want that of the caller who samples", len(got))
	}
}

// A batch has a few spans, not some for each row.
func TestTracesOfBatches(t *testing.T) {
	g := gather(t)
	f := churn(t, Config{Traces: true})
	wantStatus(t, f.post(t, batchPath, "application/x-ndjson", strings.NewReader(strings.Repeat(requestOf("A", wholeRow)+"\n", 500))), 200)
	if err := f.server.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(g.named("decode")) + len(g.named("score")); n > maxChildren || n == 0 {
		t.Errorf("%d spans within a batch", n)
	}
}

// A fault of ours is one in the span.
func TestTracesOfFaults(t *testing.T) {
	g := gather(t)
	f := churn(t, Config{Traces: true})
	f.damage(t, "upsell", 1, "model.arrow")
	publish(t, f.registry, "upsell", 2, "")
	f.damage(t, "upsell", 2, "model.arrow")
	wantStatus(t, f.score(t, "upsell@2", requestOf("A", wholeRow)), 503)
	if err := f.server.Close(); err != nil {
		t.Fatal(err)
	}
	got := g.named("POST /v1/models/{name}/score")
	if len(got) != 1 || got[0].Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || attributesOf(got[0])["error.type"] != "503" {
		t.Errorf("%v", got)
	}
}

// Webhooks carry a trace on.
func TestTracesOfWebhooks(t *testing.T) {
	g, h := gather(t), newHook(t)
	f := churn(t, Config{Traces: true, Database: stateDB(t), WebhookPrivate: true})
	w := f.register(t, h)
	if got := f.call(t, "POST", "/v1/webhooks/"+w.ID+"/test", ""); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	parts := strings.Split(h.next(t).header.Get("traceparent"), "-")
	f.eventually(t, "done", func() bool {
		list, err := f.server.notifier.Deliveries(context.Background(), w.ID, notify.StateDone, "", 10)
		return err == nil && len(list) == 1
	})
	if err := f.server.Close(); err != nil {
		t.Fatal(err)
	}
	var span *tracepb.Span
	for _, s := range g.named("POST") {
		if s.Kind == tracepb.Span_SPAN_KIND_CLIENT {
			span = s
		}
	}
	if span == nil || len(parts) != 4 || parts[1] != hex.EncodeToString(span.TraceId) || parts[2] != hex.EncodeToString(span.SpanId) || attributesOf(span)["http.response.status_code"] != "200" {
		t.Errorf("%v, span %v", parts, span)
	}
}

// Without traces there is nothing of them in the way.
func TestTracesOff(t *testing.T) {
	with, without := churn(t, Config{Traces: true}), churn(t, Config{})
	if a, b := len(with.server.engine.Handlers), len(without.server.engine.Handlers); without.server.traces != nil || a != b+1 {
		t.Errorf("%d handlers with traces, %d without", a, b)
	}
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { without.server.traces.child(ctx, "score", nil)(nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A collector that is away holds up nothing, and is said once.
func TestCollectorAway(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	var log bytes.Buffer
	writer := &syncWriter{w: &log}
	f := churn(t, Config{Traces: true, Logger: slog.New(slog.NewTextHandler(writer, nil))})
	f.server.traces.to.giveUp() // as at the end: nothing is waited for
	text := func() string {
		writer.mu.Lock()
		defer writer.mu.Unlock()
		return log.String()
	}
	for range 5 {
		wantStatus(t, f.score(t, "churn", requestOf("A", wholeRow)), 200)
	}
	f.eventually(t, "said", func() bool { return strings.Contains(text(), "traces cannot be sent") })
	wantStatus(t, f.score(t, "churn", requestOf("A", wholeRow)), 200)
	if err := f.server.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(text(), "traces cannot be sent"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestCollectorFromTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		environment map[string]string
		url, fault  string
	}{
		{nil, "http://localhost:4318/v1/traces", ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318/"}, "https://collector:4318/v1/traces", ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector/base"}, "https://collector/base/v1/traces", ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://all", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces/in"}, "https://traces/in", ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TIMEOUT": "5000", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, "http://localhost:4318/v1/traces", ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "", "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "secret token"}, "", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
		{map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "", "http/protobuf"},
		{map[string]string{"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, "", "gzip"},
		{map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "", "milliseconds"},
		{map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "0"}, "", "milliseconds"},
		{map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "secret"}, "", "name=value"},
		{map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "a=secret%0a"}, "", "name=value"},
		{map[string]string{"OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem"}, "", "SSL_CERT_FILE"},
	} {
		to, err := newCollector(func(name string) string { return c.environment[name] })
		switch {
		case c.fault == "" && (err != nil || to.url != c.url):
			t.Errorf("%v: %v", c.environment, err)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%v: %v", c.environment, err)
		}
		to.giveUp()
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if _, err := New(Config{Registry: registry.Open(t.TempDir()), Traces: true}); err == nil {
		t.Error("a server that cannot send traces as it should was made")
	}
}

// Spans are sent again where the protocol says so, and only there.
func TestCollectorRetries(t *testing.T) {
	for _, c := range []struct {
		answers []int
		spans   int
		ok      bool
	}{{[]int{503}, 1, true}, {[]int{400}, 0, false}} {
		g := gather(t)
		g.answers = c.answers
		to, err := newCollector(func(name string) string {
			return map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": g.http.URL, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
				"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x, a = b ",
			}[name]
		})
		if err != nil {
			t.Fatal(err)
		}
		to.pause = 0
		err = to.UploadTraces(context.Background(), []*tracepb.ResourceSpans{{Resource: nil, ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "one"}}}}}})
		if (err == nil) != c.ok || len(g.spans) != c.spans || g.header.Get("Authorization") != "Bearer x" || g.header.Get("A") != "b" {
			t.Errorf("%v: %v, %d spans, %v", c.answers, err, len(g.spans), g.header)
		}
		if err := to.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
