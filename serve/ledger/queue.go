package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"propensity/datasets"
)

// versionKey is a version as scores name it.
type versionKey struct {
	model   string
	version int
	hash    string
}

// version is what all scores of a version have in common.
type version struct {
	versionKey
	columns []string
	kinds   []datasets.Kind
	index   map[string]int // of columns
	horizon int64
	number  int64 // in ledger_versions; 0 until that is known; the writer's
}

// Origins are kept as numbers.
func originNumber(origin string) uint8 {
	return uint8(slices.Index([]string{OriginRequest, OriginShadow, OriginJob}, origin) + 1)
}

func originName(n int64) string {
	if n < 1 || n > 3 {
		return ""
	}
	return []string{OriginRequest, OriginShadow, OriginJob}[n-1]
}

const originShadow = 2

// Record takes in a score, of which it keeps a copy. It waits for nothing, unless the
// ledger is in Sync; then an error, which wraps ErrUnavailable, says that the score is
// not in it.
func (l *Ledger) Record(s *Score) error {
	t, err := l.queued(context.Background(), s, false)
	if err != nil || !l.o.Sync {
		return err
	}
	return t.Wait()
}

// RecordMany is Record of one of many scores that are not in a hurry: while the queue is
// full and the database answers, it waits for room. In Sync the score is committed once
// Wait of the ticket returns nil, so that many can be committed together; otherwise Wait
// returns at once.
func (l *Ledger) RecordMany(ctx context.Context, s *Score) (Ticket, error) {
	return l.queued(ctx, s, true)
}

// Ticket is a score on its way into the database; the zero Ticket is of none.
type Ticket struct{ chunk *chunk }

// Wait waits until the score is committed; the error, which wraps ErrUnavailable, says that
// it is not.
func (t Ticket) Wait() error {
	if t.chunk == nil {
		return nil
	}
	<-t.chunk.done
	return t.chunk.err
}

// queued puts a score into the queue; with wait it waits for room.
func (l *Ledger) queued(ctx context.Context, s *Score, wait bool) (Ticket, error) {
	v := l.versionOf(s)
	scratch := l.scratch.Get().(*[]byte)
	b := append((*scratch)[:0], s.Account...)
	b = append(b, s.Band...)
	b = appendBody(b, s, v.index, !l.o.NoRows && len(s.Row) == len(v.columns))
	e := entry{
		version: v, at: s.At, asOf: s.AsOf, origin: originNumber(s.Origin), probability: s.Probability,
		account: len(s.Account), band: len(s.Band), body: len(b) - len(s.Account) - len(s.Band),
	}
	c, err := l.queue.put(e, b, l.o.Sync)
	for wait && errors.Is(err, errFull) && l.Err() == nil && l.queue.room(ctx) {
		c, err = l.queue.put(e, b, l.o.Sync)
	}
	*scratch = b
	l.scratch.Put(scratch)
	switch {
	case err != nil && l.o.Sync:
		return Ticket{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case err != nil:
		l.drop(1, err)
		return Ticket{}, nil
	case !l.o.Sync:
		return Ticket{}, nil
	}
	return Ticket{c}, nil
}

// room waits until something has left the queue, or might have; false once ctx is done.
func (q *queue) room(ctx context.Context) bool {
	q.mu.Lock()
	progress := q.progress
	q.mu.Unlock()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-progress:
	case <-timer.C: // it may have left before, or the database may have gone away
	case <-ctx.Done():
		return false
	}
	return true
}

// drop counts scores that are not in the ledger, and logs the first of many.
func (l *Ledger) drop(n int64, err error) {
	if before := l.dropped.Add(n) - n; before == 0 || (before+n)/1000 > before/1000 {
		l.log.Error("scores are not in the ledger", "dropped", before+n, "error", err)
	}
}

func (l *Ledger) versionOf(s *Score) *version {
	key := versionKey{s.Model, s.Version, s.Hash}
	l.known.RLock()
	v := l.known.versions[key]
	l.known.RUnlock()
	if v != nil {
		return v
	}
	l.known.Lock()
	defer l.known.Unlock()
	if v = l.known.versions[key]; v != nil {
		return v
	}
	v = &version{versionKey: versionKey{strings.Clone(s.Model), s.Version, strings.Clone(s.Hash)},
		columns: slices.Clone(s.Columns), kinds: slices.Clone(s.Kinds), horizon: s.Horizon, index: make(map[string]int, len(s.Columns))}
	for j, name := range v.columns {
		v.index[name] = j
	}
	l.known.versions[v.versionKey] = v
	return v
}

// queue are scores on their way into the database: bytes in chunks, so that neither
// does a score cost an allocation nor has the collector anything to look at.
type queue struct {
	mu      sync.Mutex
	most    int
	bytes   int // of all that is not done with
	filling *chunk
	full    []*chunk
	spare   []*chunk
	closed  bool
	// wake has an item if there is something to do.
	wake chan struct{}

	come, done int64         // scores that have come in; that are done with
	wanted     int64         // as many are to be done with soon: see Flush
	progress   chan struct{} // closed when done grows
}

// chunk is a number of scores; those in it are committed together.
type chunk struct {
	buf     []byte
	entries []entry
	done    chan struct{} // closed when err is set; nil if nobody waits
	err     error
}

// entry is one score: account, band and body are their lengths, one after the other in buf.
type entry struct {
	version             *version
	at, asOf            int64
	probability         float64
	account, band, body int
	origin              uint8
}

const (
	chunkBytes   = 256 << 10
	chunkEntries = 512
	// entryBytes are what an entry takes beside its bytes, about.
	entryBytes = 80
	maxSpare   = 4
)

func (q *queue) open(most int) {
	q.most, q.wake, q.progress = most, make(chan struct{}, 1), make(chan struct{})
	q.filling = &chunk{}
}

// put adds a score; with wait the chunk that it is in can be waited for.
func (q *queue) put(e entry, b []byte, wait bool) (*chunk, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return nil, errClosed
	case q.bytes+len(b)+entryBytes > q.most:
		return nil, errFull
	}
	c := q.filling
	if len(c.entries) == chunkEntries || len(c.entries) > 0 && len(c.buf)+len(b) > chunkBytes {
		q.full = append(q.full, c)
		q.filling = q.fresh()
		c = q.filling
	}
	c.buf = append(c.buf, b...)
	c.entries = append(c.entries, e)
	q.bytes += len(b) + entryBytes
	q.come++
	if wait && c.done == nil {
		c.done = make(chan struct{})
	}
	if len(c.entries) == 1 {
		q.call()
	}
	return c, nil
}

func (q *queue) fresh() *chunk {
	if n := len(q.spare); n > 0 {
		c := q.spare[n-1]
		q.spare = q.spare[:n-1]
		return c
	}
	return &chunk{buf: make([]byte, 0, chunkBytes), entries: make([]entry, 0, chunkEntries)}
}

// call makes the writer look.
func (q *queue) call() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// maxGroup bounds the chunks of one transaction.
const maxGroup = 4

// take gives the chunks that came first; none if there is nothing.
func (q *queue) take(out []*chunk) []*chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(maxGroup, len(q.full))
	out = append(out, q.full[:n]...)
	q.full = slices.Delete(q.full, 0, n)
	if len(out) < maxGroup && len(q.filling.entries) > 0 {
		out = append(out, q.filling)
		q.filling = q.fresh()
	}
	return out
}

// finish is done with chunks.
func (q *queue) finish(list []*chunk, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range list {
		q.bytes -= len(c.buf) + entryBytes*len(c.entries)
		q.done += int64(len(c.entries))
		if c.done != nil { // it is no longer ours alone
			c.err = err
			close(c.done)
			continue
		}
		if len(q.spare) < maxSpare && cap(c.buf) <= 2*chunkBytes {
			clear(c.entries) // of their pointers
			c.buf, c.entries = c.buf[:0], c.entries[:0]
			q.spare = append(q.spare, c)
		}
	}
	close(q.progress)
	q.progress = make(chan struct{})
}

func (q *queue) size() (scores, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.come - q.done, int64(q.bytes)
}

// hurried says that the queue should be emptied at once: there is enough for a transaction,
// it fills up, or somebody waits.
func (q *queue) hurried() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed || len(q.full) >= maxGroup || 4*q.bytes >= q.most || q.done < q.wanted
}

// rest says whether there is something to do, and whether nothing more will come.
func (q *queue) rest() (some, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.full) > 0 || len(q.filling.entries) > 0, q.closed
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.call()
}

// Flush waits until all scores that were recorded before are committed, or dropped.
func (l *Ledger) Flush(ctx context.Context) error {
	q := &l.queue
	q.mu.Lock()
	target := q.come
	q.wanted = max(q.wanted, target)
	for q.done < target {
		progress := q.progress
		q.call()
		q.mu.Unlock()
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		}
		q.mu.Lock()
	}
	q.mu.Unlock()
	return nil
}
