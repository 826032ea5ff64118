package ledger

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"propensity/serve/database"
)

var (
	// ErrUnavailable is wrapped by errors of a database that does not answer at present.
	ErrUnavailable = errors.New("the ledger is not available")
	// ErrOutcome is wrapped by errors about an outcome that no ledger takes.
	ErrOutcome = errors.New("unusable outcome")
	// ErrDamaged is wrapped by errors of what is kept and cannot be read.
	ErrDamaged = errors.New("the ledger is damaged")
	errClosed  = errors.New("the ledger is closed")
	errFull    = errors.New("its queue is full")
)

// Options of a ledger. Every zero field stands for its default.
type Options struct {
	// Sync makes Record wait until the score is committed. Otherwise scores are queued,
	// and those that find the queue full are dropped and counted.
	Sync bool
	// NoRows leaves the rows out: scores without the values they are of.
	NoRows bool
	// Queue is how many bytes of scores may wait; default 32 MiB.
	Queue int
	// Every is how long a score waits for others to be committed with; default 50 ms.
	// With Sync it waits for those that are being committed alone.
	Every time.Duration
	// Keep is how long scores and changes are kept; default: for ever. See Expire.
	Keep time.Duration
	// Logger is told of commits that fail and of scores that were dropped; default: none.
	Logger *slog.Logger
	// Now is the present moment in µs since 1970 UTC; default: that of the clock.
	Now func() int64
}

// Ledger keeps scores and outcomes in a database. It may be used by several
// goroutines, and its database by several servers.
type Ledger struct {
	db      *database.DB
	o       Options
	log     *slog.Logger
	scratch sync.Pool // *[]byte

	ready sync.Mutex // held while the tables are made
	made  atomic.Bool
	// The statements of the writer, by how many rows they are of.
	inserts, lasts map[int]*sql.Stmt

	known struct {
		sync.RWMutex
		versions map[versionKey]*version
	}
	queue queue
	state struct {
		sync.Mutex
		cause   error         // why the last commit failed; nil: it did not
		changed chan struct{} // closed when there are further changes
	}
	committed, dropped, failed, reported atomic.Int64

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// Open gives the ledger in a database, which need not answer yet: its tables are made
// when they are first needed. Close it after use; the database is the caller's.
func Open(db *database.DB, o Options) *Ledger {
	if o.Queue <= 0 {
		o.Queue = 32 << 20
	}
	if o.Every <= 0 {
		o.Every = 50 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = func() int64 { return time.Now().UnixMicro() }
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Ledger{db: db, o: o, log: o.Logger, stop: stop}
	l.scratch.New = func() any { return new([]byte) }
	l.known.versions = map[versionKey]*version{}
	l.queue.open(o.Queue)
	l.state.changed = make(chan struct{})
	l.stopped.Go(l.write)
	if o.Keep > 0 {
		l.stopped.Go(func() { l.expireOften(ctx) })
	}
	return l
}

// Close commits what is queued, if the database answers within a few seconds, and ends
// the ledger. The error is of scores that could not be committed any more.
func (l *Ledger) Close() error {
	lost := l.dropped.Load()
	l.stop()
	l.queue.close()
	l.stopped.Wait()
	if l.dropped.Load() > lost {
		return errors.Join(ErrUnavailable, l.Err())
	}
	return nil
}

// Stats are counts since the ledger was opened.
type Stats struct {
	Committed int64 // scores
	Dropped   int64 // scores that were given and are not in the ledger
	Failed    int64 // commits
	Outcomes  int64 // added
	Queued    int64 // scores that wait
	Bytes     int64 // that they take
}

// Stats counts.
func (l *Ledger) Stats() Stats {
	queued, bytes := l.queue.size()
	return Stats{l.committed.Load(), l.dropped.Load(), l.failed.Load(), l.reported.Load(), queued, bytes}
}

// Err is why the last commit failed; nil if it did not.
func (l *Ledger) Err() error {
	l.state.Lock()
	defer l.state.Unlock()
	return l.state.cause
}

// Ping asks whether the database answers.
func (l *Ledger) Ping(ctx context.Context) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	return unavailable(ctx, l.db.PingContext(ctx))
}

// unavailable marks an error of the database; that of a ctx that was given up stays
// its own.
func unavailable(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDamaged) || errors.Is(err, database.ErrNewer) {
		return err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return errors.Join(ErrUnavailable, err)
}
