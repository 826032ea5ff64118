package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector sends spans by OTLP over HTTP, in protobuf (OpenTelemetry Protocol 1.5,
// "OTLP/HTTP"). The library's own client of HTTP needs all of gRPC, which adds 21 MB to
// the program.
type collector struct {
	url    string
	header http.Header
	gzip   bool
	pause  time.Duration // before it is tried again, doubled each time
	http   *http.Client
	life   context.Context // of what is sent
	giveUp context.CancelFunc
}

var _ otlptrace.Client = (*collector)(nil)

// newCollector reads where to send from the environment, by the specification of the
// OTLP exporter: of each variable, that for traces goes before that for all signals.
func newCollector(getenv func(string) string) (*collector, error) {
	get := func(name string) (variable, value string) {
		variable = "OTEL_EXPORTER_OTLP_TRACES_" + name
		if value = getenv(variable); value == "" {
			variable = "OTEL_EXPORTER_OTLP_" + name
			value = getenv(variable)
		}
		return variable, strings.TrimSpace(value)
	}
	c := &collector{url: "http://localhost:4318/v1/traces", pause: time.Second, header: http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"propensity"}}}
	var faults []error
	fault := func(variable, format string, args ...any) {
		faults = append(faults, fmt.Errorf(variable+": "+format, args...)) // never with the value: it may hold a secret
	}
	if variable, value := get("ENDPOINT"); value != "" {
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			fault(variable, "it is no URL such as http://localhost:4318")
		} else {
			if !strings.Contains(variable, "TRACES") { // the base of all signals
				u = u.JoinPath("v1", "traces")
			}
			c.url = u.String()
		}
	}
	if variable, value := get("PROTOCOL"); value != "" && value != "http/protobuf" {
		fault(variable, "this program speaks http/protobuf alone")
	}
	switch variable, value := get("COMPRESSION"); value {
	case "", "none":
	case "gzip":
		c.gzip = true
		c.header.Set("Content-Encoding", "gzip")
	default:
		fault(variable, "use gzip or none")
	}
	timeout := 10 * time.Second
	if variable, value := get("TIMEOUT"); value != "" {
		ms, err := strconv.Atoi(value)
		if err != nil || ms < 1 || ms > 3_600_000 {
			fault(variable, "it is no number of milliseconds from 1 to 3600000")
		} else {
			timeout = time.Duration(ms) * time.Millisecond
		}
	}
	if variable, value := get("HEADERS"); value != "" {
		for pair := range strings.SplitSeq(value, ",") {
			name, text, ok := strings.Cut(pair, "=")
			text, err := url.PathUnescape(strings.TrimSpace(text)) // as W3C Baggage encodes it
			if name = strings.TrimSpace(name); !ok || err != nil || name == "" || strings.ContainsFunc(name+text, func(r rune) bool { return r < ' ' || r > '~' }) {
				fault(variable, "write name=value, with commas between")
				break
			}
			c.header.Set(name, text)
		}
	}
	c.http = &http.Client{Timeout: timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second}}
	if variable, value := get("CERTIFICATE"); value != "" {
		fault(variable, "certificates of authorities are taken from SSL_CERT_FILE")
	}
	c.life, c.giveUp = context.WithCancel(context.Background())
	return c, errors.Join(faults...)
}

// Start has nothing to do.
func (c *collector) Start(context.Context) error { return nil }

// Stop closes what is open.
func (c *collector) Stop(context.Context) error {
	c.giveUp()
	c.http.CloseIdleConnections()
	return nil
}

// collectorRetries is how often spans are sent again that the collector could not take.
const collectorRetries = 3

// UploadTraces sends spans, and again where the specification says so: after 429, 502,
// 503 and 504, as late as Retry-After asks.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// ExportTraceServiceRequest, which is what is to be sent, has the same one field as
	// TracesData, and is the same on the wire.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if c.gzip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(body)
		if err := errors.Join(err, z.Close()); err != nil {
			return err
		}
		body = b.Bytes()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	for try := 0; ; try++ {
		after, err := c.post(ctx, body)
		if err == nil || after < 0 || try == collectorRetries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(after, c.pause<<try)):
		}
	}
}

// post sends once; after is how long to wait before it is tried again, below 0: it is not.
func (c *collector) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	r.Header = c.header.Clone()
	answer, err := c.http.Do(r)
	if err != nil {
		var u *url.Error // which would show the URL
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return time.Duration(min(max(seconds, 0), 30)) * time.Second, fmt.Errorf("the collector answered %d", answer.StatusCode)
	}
	if answer.StatusCode/100 != 2 {
		return -1, fmt.Errorf("the collector answered %d", answer.StatusCode)
	}
	return 0, nil
}
