// Package notify tells other systems what happened, by webhooks as Standard Webhooks
// 1.0.0 has them (https://github.com/standard-webhooks/standard-webhooks, spec): signed,
// tried again over three days, and kept in a database until they are delivered, so that
// neither a restart nor a receiver that is down loses one. Each is delivered at least
// once; its id tells a receiver what it has had before.
package notify

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"propensity/serve/database"
)

var (
	// ErrNotFound is an endpoint or a delivery that is not there.
	ErrNotFound = errors.New("not found")
	// ErrEndpoint is wrapped by errors about what an endpoint was to be.
	ErrEndpoint = errors.New("this cannot be a webhook")
	// ErrDisabled is an endpoint that nothing is sent to.
	ErrDisabled = errors.New("the webhook is disabled")
	// ErrFull is one endpoint more than there may be.
	ErrFull = errors.New("there are as many webhooks as there may be")
	// ErrUnavailable is wrapped by errors of the database.
	ErrUnavailable = errors.New("the database of webhooks does not answer")
)

// Config is what a Notifier is made from. Every zero field but DB stands for its default.
type Config struct {
	DB *database.DB
	// Logger gets endpoints that were disabled and failures of the database; default: none.
	Logger *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Poll is how often what is due is looked for; what this process enqueues is sent at
	// once. Default 1 s.
	Poll time.Duration
	// Timeout bounds one attempt; default 20 s.
	Timeout time.Duration
	// Concurrency bounds the requests under way to one endpoint; default 4.
	Concurrency int
	// Keep is how long a delivery can be looked at after its last attempt, and a dead one
	// replayed; default 30 days.
	Keep time.Duration
	// Private allows private addresses and plain http.
	Private bool
	// Wrap, if set, stands around the transport: for traces.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Tried, if set, is told the result of each attempt: done, failed or dead; and of each
	// event that cannot be sent, as it is too large: unfit.
	Tried func(result string)
}

// Notifier keeps endpoints and events and delivers these. It may be used by several
// goroutines, and by several processes on one database.
type Notifier struct {
	cfg       Config
	log       *slog.Logger
	transport *http.Transport
	client    *http.Client
	wake      chan struct{}
	grace     time.Duration

	mu    sync.Mutex
	ready bool // the tables are there
}

// New makes a notifier without asking the database anything: it may be away. Run delivers.
func New(cfg Config) *Notifier {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 20 * time.Second
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 4
	}
	if cfg.Keep == 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	if cfg.Tried == nil {
		cfg.Tried = func(string) {}
	}
	n := &Notifier{cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1), grace: endGrace}
	n.transport = newTransport(cfg.Private, cfg.Concurrency)
	var trip http.RoundTripper = n.transport
	if cfg.Wrap != nil {
		trip = cfg.Wrap(trip)
	}
	n.client = &http.Client{Transport: trip, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return n
}

func (n *Notifier) now() int64 { return n.cfg.Now().UnixMicro() }

// Ready sees to it that the tables are there.
func (n *Notifier) Ready(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ready {
		return nil
	}
	if err := n.cfg.DB.Migrate(ctx, "notify", tables()...); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	n.ready = true
	return nil
}

// Update runs do in a transaction that writes and enqueues the events it gives: they are
// there if, and only if, what do wrote is. Do may be run again, so it must have no other
// effects.
func (n *Notifier) Update(ctx context.Context, do func(tx *sql.Tx) ([]Event, error)) error {
	if err := n.Ready(ctx); err != nil {
		return err
	}
	unfit := 0
	err := n.cfg.DB.Update(ctx, func(tx *sql.Tx) (err error) {
		events, err := do(tx)
		if err != nil || len(events) == 0 {
			return err
		}
		unfit, err = n.enqueue(ctx, tx, events)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	for range unfit {
		n.cfg.Tried("unfit")
	}
	n.nudge()
	return nil
}

// unavailable marks what is not an error of our own as one of the database.
func unavailable(err error) error {
	for _, own := range []error{ErrNotFound, ErrEndpoint, ErrDisabled, ErrFull, context.Canceled} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Tell enqueues events.
func (n *Notifier) Tell(ctx context.Context, events ...Event) error {
	return n.Update(ctx, func(*sql.Tx) ([]Event, error) { return events, nil })
}

// nudge has the next turn of Run come at once.
func (n *Notifier) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// enqueue adds events and a delivery of each for every endpoint that wants it. What no
// endpoint wants is not kept. It tells how many cannot be sent: what cannot must not hold
// up the rest.
func (n *Notifier) enqueue(ctx context.Context, tx *sql.Tx, events []Event) (unfit int, err error) {
	endpoints, err := n.endpoints(ctx, tx)
	if err != nil {
		return 0, err
	}
	for i := range events {
		e := &events[i]
		body, err := e.body()
		if err != nil || len(body) > maxBody {
			n.log.Error("an event cannot be sent", slog.String("type", e.Type), slog.String("model", e.Model), slog.Int("bytes", len(body)), slog.Any("error", err))
			unfit++
			continue
		}
		id := ""
		for j := range endpoints {
			if !endpoints[j].wants(e, n.now()) {
				continue
			}
			if id == "" {
				id = newID("msg_", n.now())
				if _, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(`INSERT INTO notify_events (id, type, model, account, at, body) VALUES (?, ?, ?, ?, ?, ?)`),
					id, e.Type, e.Model, accountKey(e.Account), e.At, string(body)); err != nil {
					return 0, err
				}
			}
			if err := n.addDelivery(ctx, tx, endpoints[j].ID, id); err != nil {
				return 0, err
			}
		}
	}
	return unfit, nil
}

func (n *Notifier) addDelivery(ctx context.Context, tx *sql.Tx, endpoint, event string) error {
	_, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(`INSERT INTO notify_deliveries (endpoint, event, state, attempts, due, lease, tried, status, error) VALUES (?, ?, ?, 0, ?, '', 0, 0, '')`),
		endpoint, event, StateWaiting, n.now())
	return err
}

// newID makes an id that nobody can guess and that sorts by the time it was made at: 48
// bits of milliseconds and 80 random ones in 26 digits. It has no full stop, which
// would make what is signed ambiguous.
func newID(prefix string, us int64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(us/1000)<<16)
	_, _ = rand.Read(b[6:]) // it never fails
	return prefix + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}
