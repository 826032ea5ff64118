package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// traces sends spans of requests to a collector by OTLP over HTTP. A nil *traces does
// nothing. No attribute has an account, a row, a key, or a path in which they could be.
type traces struct {
	provider *sdktrace.TracerProvider
	to       *collector
	tracer   trace.Tracer
	carrier  propagation.TraceContext // W3C Trace Context: traceparent, tracestate
}

// maxChildren bounds the spans within one request, so that a batch has not one for each of
// its rows.
const maxChildren = 32

// openTraces starts to send spans, if that is wanted. Where to, how often and by what
// name are the OTEL_* variables of the environment, by the OpenTelemetry specification:
// OTEL_EXPORTER_OTLP_* (see newCollector), OTEL_BSP_*, OTEL_TRACES_SAMPLER (parentbased_always_on),
// OTEL_SERVICE_NAME (propensity) and OTEL_RESOURCE_ATTRIBUTES.
func (s *Server) openTraces(ctx context.Context) error {
	if !s.cfg.Traces {
		return nil
	}
	to, err := newCollector(os.Getenv)
	if err != nil {
		return fmt.Errorf("serve: traces: %w", err)
	}
	exporter, err := otlptrace.New(ctx, to)
	if err != nil {
		return fmt.Errorf("serve: traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "propensity"), attribute.String("service.version", s.cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return errors.Join(fmt.Errorf("serve: traces: %w", err), exporter.Shutdown(ctx))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(&tracesExporter{SpanExporter: exporter, log: s.log}), sdktrace.WithResource(about))
	s.traces = &traces{provider: provider, to: to, tracer: provider.Tracer("propensity/serve")}
	return nil
}

// tracesTimeout bounds the sending of the last spans when the server ends.
const tracesTimeout = 2 * time.Second

// close sends what is left, if the collector takes it: one that is away holds up nothing.
func (t *traces) close() error {
	if t == nil {
		return nil
	}
	give := time.AfterFunc(tracesTimeout, t.to.giveUp)
	defer give.Stop()
	if err := t.provider.Shutdown(context.Background()); err != nil {
		return fmt.Errorf("serve: traces: %w", err)
	}
	return nil
}

// tracesExporter says once that the collector does not take what it is sent, and once
// that it does again: the library would say it every few seconds.
type tracesExporter struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

func (e *tracesExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing.Swap(true):
		e.log.Warn("traces cannot be sent and are dropped", slog.Any("error", err))
	case err == nil && e.failing.Swap(false):
		e.log.Info("traces are sent again")
	}
	return nil
}

// traced is what a request carries of its trace.
type traced struct {
	left atomic.Int32 // children that it may still have
}

type tracedKey struct{}

// trace is around each request while traces are on: a span by the semantic conventions of
// HTTP servers, within the trace that the caller names in traceparent.
func (s *Server) trace(c *gin.Context) {
	t, route := s.traces, routeTemplate(c.FullPath())
	method := methodOf(c.Request.Method)
	name := method
	if route != "" {
		name += " " + route
	}
	ctx := t.carrier.Extract(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header))
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("http.route", route),
		attribute.String("url.scheme", schemeOf(c.Request)), attribute.String("network.protocol.version", protocolOf(c.Request))))
	if span.IsRecording() {
		carried := new(traced)
		carried.left.Store(maxChildren)
		ctx = context.WithValue(ctx, tracedKey{}, carried)
	}
	c.Request = c.Request.WithContext(ctx)
	over := false
	defer func() {
		status := c.Writer.Status()
		if !over { // the answer was cut off
			span.SetAttributes(attribute.String("error.type", "panic"))
			span.SetStatus(codes.Error, "")
		}
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}()
	c.Next()
	over = true
}

// child begins a span within that of a request and gives what ends it. Beyond the first
// few of a request, and where it is not sampled, there is none.
func (t *traces) child(ctx context.Context, name string, v *version) (end func(error)) {
	if t == nil {
		return noSpan
	}
	carried, ok := ctx.Value(tracedKey{}).(*traced)
	if !ok || carried.left.Add(-1) < 0 {
		return noSpan
	}
	_, span := t.tracer.Start(ctx, name, trace.WithAttributes(attribute.String("propensity.model", v.name), attribute.Int("propensity.version", v.number)))
	return func(err error) {
		if err != nil { // without its text, which may have a value of the row
			status := problemOf(err).Status
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
			if status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
		}
		span.End()
	}
}

func noSpan(error) {}

// outgoing is around requests to others: a span, and the trace in their header.
func (t *traces) outgoing(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, span := t.tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname())))
		defer span.End()
		r = r.Clone(ctx)
		t.carrier.Inject(ctx, propagation.HeaderCarrier(r.Header))
		answer, err := next.RoundTrip(r)
		if err != nil {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", "network"))
			return nil, err
		}
		span.SetAttributes(attribute.Int("http.response.status_code", answer.StatusCode))
		if answer.StatusCode >= http.StatusBadRequest {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(answer.StatusCode)))
		}
		return answer, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// routeTemplate is a route as the API writes it: /v1/models/{name}/score.
func routeTemplate(route string) string {
	parts := strings.Split(route, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.ReplaceAll(strings.Join(parts, "/"), `\:`, ":")
}

// methodOf is a method as the conventions name it: those that HTTP does not have are one.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "_OTHER"
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func protocolOf(r *http.Request) string {
	if r.ProtoMajor >= 2 {
		return strconv.Itoa(r.ProtoMajor)
	}
	return strconv.Itoa(r.ProtoMajor) + "." + strconv.Itoa(r.ProtoMinor)
}
