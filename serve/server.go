// Package serve answers over HTTP with the models of a registry: one account at
// a time, in batches, and with what there is to know about a model. A version
// that an alias moves to is loaded, replayed and only then put in the place of
// the old one, without a restart; each answer comes from exactly one version.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/features/online"
	"propensity/models/registry"
	"propensity/serve/database"
	"propensity/serve/jobs"
	"propensity/serve/keys"
	"propensity/serve/ledger"
	"propensity/serve/notify"
)

// Config is what a server is made from. Every zero field but Registry stands for
// its default.
type Config struct {
	Registry *registry.Registry
	// Logger gets reloads, refused versions and internal errors; default: none. LogRequests
	// gives it a line of each request, too: its id and route, never an account or a value.
	Logger      *slog.Logger
	LogRequests bool
	// Now is the clock of the wall, by which moments, arrivals and expiries are; the store
	// goes by it, too. It may jump. Default time.Now, of which timeouts always are.
	Now func() time.Time
	// Poll is how often the registry is looked at for moved aliases and new
	// models; default 1 s.
	Poll time.Duration
	// Versions is how many versions are kept that were asked for by number and
	// that no alias points at; default 8.
	Versions int

	// MaxBody bounds one request, also one within a batch, in bytes; default 1 MiB.
	MaxBody int64
	// MaxBatchBody and MaxBatchRows bound a whole batch; default 256 MiB and
	// 1,000,000.
	MaxBatchBody int64
	MaxBatchRows int
	// MaxFields bounds the fields of a row; default 10,000.
	MaxFields int

	// MaxInferBody and MaxInferRows bound a request of another dialect (OIP, MLflow), which
	// is answered as a whole; default 16 MiB and 10,000. MaxRecordBatch bounds a record batch
	// of an Arrow stream, in bytes; default 64 MiB. Version is that of the program, which
	// these protocols tell.
	MaxInferBody, MaxRecordBatch int64
	MaxInferRows                 int
	Version                      string

	// Store keeps the facts of accounts; default: none, and only rows that are posted are
	// scored. The server does not close it. Cache is how many bytes of it are kept in
	// memory, about; default online.DefaultCache.
	Store online.Store
	Cache int64
	// MaxEventsBody and MaxEvents bound a request that adds facts; default 16 MiB and
	// 10,000.
	MaxEventsBody int64
	MaxEvents     int

	// Database keeps what the server must not forget: scores, outcomes, deliveries, jobs.
	// Default: none, and nothing is kept. The server does not close it.
	Database *database.DB
	// LedgerSync lets a score go out only once it is committed; LedgerNoRows leaves the
	// rows of scores out of the ledger. LedgerKeep is how long scores are kept; default: for
	// ever. LedgerQueue is how many bytes of them may wait for the database; default 32 MiB.
	LedgerSync, LedgerNoRows bool
	LedgerKeep               time.Duration
	LedgerQueue              int

	// MonitorWindow is the time over whose scores a version is judged, MonitorKeep how long
	// what was counted is kept; default 7 days and 30 days.
	MonitorWindow, MonitorKeep time.Duration

	// Keys is the path of a file of API keys (serve/keys), of which every change holds from
	// the next request on; default: none, and then everyone may do everything, and Run
	// refuses an address that others can reach unless WithoutKeys is set. /metrics needs a
	// key, unless OpenMetrics is set.
	Keys                     string
	WithoutKeys, OpenMetrics bool
	// TLS are the files of a server that speaks TLS; default: none.
	TLS TLS
	// MaxHeader bounds the header of a request, in bytes, MaxConnections the connections
	// that are open; default 16 KiB and 10,000.
	MaxHeader, MaxConnections int

	// Shadow has the alias challenger of each model score what its champion scores, without
	// anybody waiting; ShadowQueue is how many scores may wait for it, default 1000.
	// MaxVersionBytes bounds the files of a version that is pushed; default 256 MiB.
	Shadow          bool
	ShadowQueue     int
	MaxVersionBytes int64

	// WebhookPrivate lets webhooks go to private addresses, and over plain http. Falls are
	// the rules of when usage has fallen; default: none.
	WebhookPrivate bool
	Falls          []notify.Fall

	// JobsDir is the directory of the tables that jobs score, and of what they write;
	// default: none, and no jobs are done.
	JobsDir string

	// Traces sends OpenTelemetry spans to where the OTEL_* variables say.
	Traces bool

	// ReadTimeout bounds the reading of a request, WriteTimeout that of an answer
	// from the end of the request's header; default 30 s each. In a batch they
	// start anew with every part that is read or written.
	ReadTimeout, WriteTimeout time.Duration
	// IdleTimeout is how long a connection is kept between requests; default 2 min.
	IdleTimeout time.Duration
	// ShutdownTimeout is how long requests in flight may take once the server
	// stops; default 30 s.
	ShutdownTimeout time.Duration
}

const readHeaderTimeout = 10 * time.Second

func (c *Config) complete() error {
	if c.Registry == nil {
		return errors.New("serve: a registry is needed")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	var faults []error
	faults = append(faults,
		setDefault("Poll", &c.Poll, time.Second),
		setDefault("Versions", &c.Versions, 8),
		setDefault("MaxBody", &c.MaxBody, 1<<20),
		setDefault("MaxBatchBody", &c.MaxBatchBody, 256<<20),
		setDefault("MaxBatchRows", &c.MaxBatchRows, 1_000_000),
		setDefault("Cache", &c.Cache, online.DefaultCache),
		setDefault("MaxEventsBody", &c.MaxEventsBody, 16<<20),
		setDefault("MaxEvents", &c.MaxEvents, 10_000),
		setDefault("MaxFields", &c.MaxFields, 10_000),
		setDefault("MaxInferBody", &c.MaxInferBody, 16<<20),
		setDefault("MaxInferRows", &c.MaxInferRows, 10_000),
		setDefault("MaxRecordBatch", &c.MaxRecordBatch, 64<<20),
		setDefault("MaxHeader", &c.MaxHeader, 16<<10),
		setDefault("MaxConnections", &c.MaxConnections, 10_000),
		setDefault("ShadowQueue", &c.ShadowQueue, 1000),
		setDefault("MaxVersionBytes", &c.MaxVersionBytes, 256<<20),
		setDefault("MonitorWindow", &c.MonitorWindow, 7*24*time.Hour),
		setDefault("MonitorKeep", &c.MonitorKeep, 30*24*time.Hour),
		setDefault("ReadTimeout", &c.ReadTimeout, 30*time.Second),
		setDefault("WriteTimeout", &c.WriteTimeout, 30*time.Second),
		setDefault("IdleTimeout", &c.IdleTimeout, 2*time.Minute),
		setDefault("ShutdownTimeout", &c.ShutdownTimeout, 30*time.Second))
	return errors.Join(faults...)
}

func setDefault[T ~int | ~int64](name string, v *T, value T) error {
	if *v < 0 {
		return fmt.Errorf("serve: %s is %v, it must be above 0", name, *v)
	}
	if *v == 0 {
		*v = value
	}
	return nil
}

// Server scores with the models of a registry. Close it after use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	engine  *gin.Engine
	metrics *metrics
	state   atomic.Pointer[state]
	pinned  *pinned
	// refreshing is held while the state is changed, and while a model is loaded for it.
	refreshing sync.Mutex
	shadow     *shadow       // nil: no challenger is scored
	pushing    chan struct{} // held by the one version that is taken in
	works      sync.Pool     // *work

	accounts *online.Accounts // nil: there is no store
	known    atomic.Pointer[schema]
	seen     seen
	answers  answers        // to writes that may be sent again
	ledger   *ledger.Ledger // nil: there is no database
	monitor  *watcher

	access      access
	keys        *keys.Ring    // nil: there are none
	tls         *certificates // nil: no TLS
	headers     headers
	connections *connections
	auditLog    auditLog
	days        dayLog         // unused without keys or a database
	background  sync.WaitGroup // what Close waits for besides

	notifier *notify.Notifier // nil: there is no database
	jobs     *jobs.Runner     // nil: there is no directory
	fallen   *usage           // nil: no rule is about it
	traces   *traces          // nil: they are off

	stop    context.CancelFunc
	stopped chan struct{}
}

// New makes a server and starts to load the models; GET /readyz tells when all
// champions are there. An error is about the Config, all its faults at once.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, log: cfg.Logger, metrics: newMetrics(), pinned: newPinned(cfg.Versions),
		stop: stop, stopped: make(chan struct{}),
	}
	if err := s.openAccess(ctx); err != nil {
		stop()
		return nil, err
	}
	if err := s.openTraces(ctx); err != nil {
		stop()
		s.background.Wait()
		return nil, err
	}
	if cfg.Store != nil {
		s.accounts = online.NewAccounts(cfg.Store, cfg.Cache)
		s.accounts.SetClock(cfg.Now)
	}
	s.openLedger()
	s.openMonitor(ctx)
	s.answers = answersFor(cfg.Database, steady(cfg.Now))
	s.works.New = func() any { return new(work) }
	s.openShadow(ctx)
	s.state.Store(&state{loading: true})
	s.openNotifier(ctx)
	if err := s.openJobs(ctx); err != nil {
		stop()
		s.background.Wait()
		return nil, errors.Join(err, s.closeMonitor(), s.closeLedger(), s.traces.close())
	}
	s.engine = s.routes()
	go func() {
		defer close(s.stopped)
		s.watch(ctx)
	}()
	return s, nil
}

func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // its debug mode prints to stdout
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.UseRawPath = true          // the id of an account may have a slash
	_ = e.SetTrustedProxies(nil) // nil cannot fail
	if s.traces != nil {
		e.Use(s.trace)
	}
	e.Use(s.observe, s.identify)
	if s.cfg.LogRequests {
		e.Use(s.logged)
	}
	e.Use(s.secure, s.recovered)
	s.scoreRoutes(e)
	s.oipRoutes(e)
	s.mlflowRoutes(e)
	s.accountRoutes(e)
	s.ledgerRoutes(e)
	s.modelRoutes(e)
	s.monitorRoutes(e)
	s.changeRoutes(e)
	s.healthRoutes(e)
	s.keyRoutes(e)
	s.auditRoutes(e)
	s.webhookRoutes(e)
	s.jobRoutes(e)
	s.contractRoutes(e)
	e.NoRoute(func(c *gin.Context) { s.fail(c, refuse(http.StatusNotFound, "there is nothing at this path")) })
	e.NoMethod(func(c *gin.Context) {
		s.fail(c, refuse(http.StatusMethodNotAllowed, c.Request.Method+" is not for this path; use "+c.Writer.Header().Get("Allow")))
	})
	return e
}

// recovered turns a panic, a fault of ours, into a 500 without its stack, which
// is logged. An answer already under way is cut off.
func (s *Server) recovered(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler {
			panic(v)
		}
		s.log.Error("panic", slog.String("request", requestID(c)), slog.Any("value", v), slog.String("stack", string(debug.Stack())))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		s.fail(c, fmt.Errorf("panic: %v", v))
	}()
	c.Next()
}

// Handler serves all routes. The timeouts of Config are for Run to set.
func (s *Server) Handler() http.Handler { return s.engine }

// Run listens on addr ("127.0.0.1:0" takes a free port), calls ready with the
// address, and serves until ctx is done; then it lets requests in flight finish
// and returns nil. Any other end is an error.
func (s *Server) Run(ctx context.Context, addr string, ready func(addr string)) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	if err := s.mayServe(l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	h := s.httpServer()
	done := make(chan error, 1)
	go func() { done <- s.listen(h, l) }()
	if ready != nil {
		ready(l.Addr().String())
	}
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	err = h.Shutdown(wait)
	if err != nil {
		err = fmt.Errorf("serve: requests were cut off after %v: %w", s.cfg.ShutdownTimeout, errors.Join(err, h.Close()))
	}
	<-done
	return err
}

// Close stops looking at the registry and waits until that has ended. Requests
// may still be answered with what is loaded.
func (s *Server) Close() error {
	s.stop()
	<-s.stopped
	s.background.Wait()
	return errors.Join(s.closeMonitor(), s.closeLedger(), s.traces.close())
}

var _ io.Closer = (*Server)(nil)
