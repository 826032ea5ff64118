package serve

import (
	"bytes"
	queue "container/list"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// ErrOpen is a server without keys that others than this machine could reach.
var ErrOpen = errors.New("without keys, only an address of this machine alone is served")

// mayServe refuses an address that others can reach if there are no keys.
func (s *Server) mayServe(at net.Addr) error {
	if loopback(at) {
		return nil
	}
	if s.keys != nil || s.cfg.WithoutKeys {
		if s.tls == nil {
			s.log.Warn("without TLS, keys and rows can be read on their way: set --tls-cert and --tls-key, or let a proxy in front speak TLS", slog.String("address", at.String()))
		}
		if s.keys == nil {
			s.log.Warn("without keys, everyone who can reach the address may do everything", slog.String("address", at.String()))
		}
		return nil
	}
	return fmt.Errorf("serve: %w: %s can be reached from elsewhere: make a key (propensity keys create) and name the file with --keys, or say --without-keys", ErrOpen, at)
}

// loopback says that an address can be reached from this machine alone.
func loopback(at net.Addr) bool {
	a, ok := at.(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// secure puts on every answer what keeps browsers from making something else of it.
func (s *Server) secure(c *gin.Context) {
	h := c.Writer.Header()
	h["X-Content-Type-Options"] = s.headers.nosniff
	h["Content-Security-Policy"] = s.headers.policy // pages have their own
	if c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		h["Cache-Control"] = s.headers.private
	} else {
		h["Cache-Control"] = s.headers.noStore
	}
	if s.tls != nil {
		h["Strict-Transport-Security"] = s.headers.transport
	}
}

// headers are values of headers that every answer has, made once.
type headers struct{ nosniff, policy, private, noStore, transport []string }

func newHeaders() headers {
	return headers{
		nosniff:   []string{"nosniff"},
		policy:    []string{"default-src 'none'; frame-ancestors 'none'"},
		private:   []string{"private, no-cache"}, // to be kept by who asked alone, and asked about before it is used
		noStore:   []string{"no-store"},
		transport: []string{"max-age=31536000"},
	}
}

// pagePolicy is the policy of a page that has its style within itself, and no script: the
// style is named by its hash (Content Security Policy Level 3, section 8.3), so that
// nothing that slips into the page can bring another.
func pagePolicy(page []byte) string {
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	style, _, _ := bytes.Cut(rest, []byte("</style>"))
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// guard is before a server without keys on an address of this machine alone. A page in a
// browser of this machine can send requests there too: those of other origins that could
// change something are refused, and those in the name of another host, to which a page
// can make its own name point ("DNS rebinding").
func (s *Server) guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := origin.Check(r)
		if err == nil && !localHost(r.Host) {
			err = fmt.Errorf("%q is no name of this machine alone", clip(r.Host))
		}
		if err != nil {
			s.access.refused.WithLabelValues("origin").Inc()
			p := refuse(http.StatusForbidden, err.Error()+": a server without keys answers programs of its own machine; start it with --keys for others")
			b, _ := marshal(p) // of text and a number
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(p.Status)
			_, _ = w.Write(b)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// localHost says that a Host header names this machine alone. An empty one is of
// HTTP/1.0, which no browser speaks.
func localHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.EqualFold(host, "localhost") || len(host) > 10 && strings.EqualFold(host[len(host)-10:], ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// connections bounds how many are open. Beyond that, the one that has waited longest
// without a request makes room for a new one, so that whoever keeps thousands open,
// silent or with half a header, shuts out nobody; and if all are at work, the new one is
// closed.
type connections struct {
	most   int
	closed *prometheus.CounterVec // reason

	mu      sync.Mutex
	open    int
	waiting queue.List // of *connection, the longest first
}

func newConnections(most int, m *metrics) *connections {
	n := &connections{most: most, closed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "propensity_connections_closed_total", Help: "Connections closed because too many were open, by which (waiting: the one that had waited longest; new: all others were at work).",
	}, []string{"which"})}
	m.registry.MustRegister(n.closed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "propensity_connections", Help: "Connections that are open.",
	}, func() float64 { return float64(n.count()) }))
	n.closed.WithLabelValues("waiting")
	n.closed.WithLabelValues("new")
	return n
}

func (n *connections) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open
}

// limited is a listener of a bounded number of connections.
type limited struct {
	net.Listener
	all *connections
}

// connection is one that counts. Its fields are all's to lock.
type connection struct {
	net.Conn
	all      *connections
	place    *queue.Element // among those that wait; nil: it is at work, or closed
	requests int            // in flight: of HTTP/2 there can be several
	gone     bool
}

func (l limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counted := l.all.add(c); counted != nil {
			return counted, nil
		}
		_ = c.Close()
	}
}

// add counts a new connection, and closes another for it if there are too many; nil: there
// is no room.
func (n *connections) add(c net.Conn) *connection {
	n.mu.Lock()
	var oldest *connection
	if n.open >= n.most {
		first := n.waiting.Front()
		if first == nil {
			n.mu.Unlock()
			n.closed.WithLabelValues("new").Inc()
			return nil
		}
		oldest = first.Value.(*connection)
		n.drop(oldest)
	}
	counted := &connection{Conn: c, all: n}
	counted.place = n.waiting.PushBack(counted)
	n.open++
	n.mu.Unlock()
	if oldest != nil {
		n.closed.WithLabelValues("waiting").Inc()
		_ = oldest.Conn.Close() // the server, which reads from it, then closes it too
	}
	return counted
}

// drop stops counting a connection; the lock is held.
func (n *connections) drop(c *connection) {
	if c.gone {
		return
	}
	c.gone = true
	n.open--
	if c.place != nil {
		n.waiting.Remove(c.place)
		c.place = nil
	}
}

// Close closes the connection and stops counting it.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.drop(c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets a client read what it was sent to the end, though its body was not:
// net/http looks for it.
func (c *connection) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// work tells that a request begins (1) or ends (-1).
func (c *connection) work(n int) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.requests += n
	switch {
	case c.gone:
	case c.requests > 0 && c.place != nil:
		c.all.waiting.Remove(c.place)
		c.place = nil
	case c.requests == 0 && c.place == nil:
		c.place = c.all.waiting.PushBack(c)
	}
}

// connectionKey is where a request finds its connection.
type connectionKey struct{}

// withConnection is the http.Server's ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // of TLS
		c = t.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, c)
}

// atWork tells the connections which of them have requests.
func atWork(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.work(1)
			defer c.work(-1)
		}
		next.ServeHTTP(w, r)
	})
}

// httpServer is the HTTP server of Run, with its limits.
func (s *Server) httpServer() *http.Server {
	h := http.Handler(s.engine)
	if s.keys == nil && !s.cfg.WithoutKeys {
		h = s.guard(h)
	}
	server := &http.Server{
		Handler:           atWork(h),
		ConnContext:       withConnection,
		ReadHeaderTimeout: min(readHeaderTimeout, s.cfg.ReadTimeout),
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      s.cfg.WriteTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      pingAfter,
			PingTimeout:          pingAfter,
			WriteByteTimeout:     s.cfg.WriteTimeout,
		},
	}
	if s.tls != nil {
		server.TLSConfig = s.tls.server()
	}
	return server
}

// listen serves until the server is shut down.
func (s *Server) listen(h *http.Server, l net.Listener) error {
	l = limited{l, s.connections}
	if s.tls != nil {
		return h.ServeTLS(l, "", "")
	}
	return h.Serve(l)
}

const (
	maxStreams = 100              // requests at once on one HTTP/2 connection
	pingAfter  = 15 * time.Second // of silence, a peer of HTTP/2 must show that it is there
)
