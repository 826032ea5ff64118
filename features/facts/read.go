package facts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"propensity/datasets"
	"propensity/features/spec"
)

// ReadOptions say how the facts of a project are read. The zero value reads all that
// is known until now, into as much memory as is the default.
type ReadOptions struct {
	// Dir is what the paths of sources are relative to.
	Dir string
	// AsOf leaves out what arrived, or is dated, later; microseconds since 1970 UTC,
	// 0 is none. Without it what is dated after Now is left out.
	AsOf int64
	Now  int64
	// Memory is how many bytes of facts are kept in memory, packed; what is more goes
	// to a temporary file in Temp ("" is that of the system). 0: DefaultMemory.
	Memory int64
	Temp   string
	// Threads read at once; 0: as many as there are processors.
	Threads int
	// Progress, if not nil, is told of the bytes read; it may be called by several
	// goroutines at once.
	Progress func(done, total int64)

	buckets uint // their logarithm, for tests; 0: as many as the size asks for
}

// DefaultMemory is how many bytes of packed facts are kept in memory: 25 million
// events of six columns or so.
const DefaultMemory int64 = 512 << 20

// Collection is all facts of a project, read once, in buckets of accounts. Part may
// be called by several goroutines at once.
type Collection struct {
	project  *spec.Project
	layouts  []*layout
	tallies  []tally
	accounts *accounts
	ids      [][]uint32 // the numbers of the accounts of each bucket, in order
	store    store
	joined   joined
	shapes   []shape
	limit    int64 // instants after it are in the future
}

// batchRows are read at a time: enough that the facts of a bucket among them are
// worth a run, few enough to stay in the second cache.
const batchRows = 1 << 17

// Read reads the sources of a project, each once. Records that cannot be used are
// left out and counted; see Excluded. It resolves the project first, as Resolve does.
// A source that is not as the project says is ErrSource.
func Read(ctx context.Context, p *spec.Project, o ReadOptions) (*Collection, error) {
	c := &Collection{project: p, tallies: make([]tally, len(p.Sources)), limit: o.Now}
	if o.AsOf != 0 {
		c.limit = o.AsOf
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	c.store.most, c.store.dir = o.Memory, o.Temp
	var errs []error
	for i := range p.Sources {
		l, err := resolve(ctx, &p.Sources[i], o.Dir)
		errs = append(errs, err)
		c.layouts = append(c.layouts, l)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := c.read(ctx, &o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// reading is a Read that is under way.
type reading struct {
	*Collection
	o        *ReadOptions
	users    users
	workers  chan *worker
	mu       sync.Mutex
	done     int64
	total    int64
	lastTold int64
}

func (c *Collection) read(ctx context.Context, o *ReadOptions) error {
	r := &reading{Collection: c, o: o, users: users{of: map[string]membership{}}, workers: make(chan *worker, o.Threads)}
	records := r.size()
	c.accounts = newAccounts(max(o.buckets, bucketsFor(records)))
	for i := range c.layouts {
		c.shapes = append(c.shapes, shapeOf(c.layouts[i]))
	}
	for range o.Threads {
		r.workers <- &worker{reading: r}
	}
	// What says whose facts are comes first.
	var last []int
	for s := range c.layouts {
		if k := c.project.Sources[s].Kind; k != spec.Users && k != spec.Merges {
			last = append(last, s)
			continue
		}
		if err := r.sources(ctx, s); err != nil {
			return err
		}
	}
	r.users.settle(c.accounts)
	c.joined.settle(func(ids []string) []uint32 { return c.accounts.numbers(ids, nil) })
	if err := r.sources(ctx, last...); err != nil {
		return err
	}
	for s, l := range c.layouts {
		if err := l.oneCurrency(&c.tallies[s], summedBy(c.project, l.source)); err != nil {
			return err
		}
	}
	c.store.sort()
	c.ids = c.accounts.sorted()
	return nil
}

// size gives about how many records there are.
func (r *reading) size() (records int64) {
	const aFile, aDatabase = 20, 10_000_000 // bytes a record; records
	for _, l := range r.layouts {
		for _, f := range l.files {
			if info, err := os.Stat(f); err == nil {
				r.total += info.Size()
			}
		}
		if l.files == nil {
			records += aDatabase
		}
	}
	return records + r.total/aFile
}

// bucketsFor is the logarithm of the number of buckets: a bucket is small beside
// memory, and there are many for each thread.
func bucketsFor(records int64) (log uint) {
	for ; log < 12 && (log < 8 && records>>log > 50_000 || records>>log > 200_000); log++ {
	}
	return log
}

// sources reads some sources, by several goroutines at once.
func (r *reading) sources(ctx context.Context, list ...int) error {
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Threads)
	for _, s := range list {
		l := r.layouts[s]
		for file := range max(1, len(l.files)) {
			if within.Err() != nil {
				break
			}
			r.file(within, g, s, file)
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// file starts the reading of the pieces of a file.
func (r *reading) file(ctx context.Context, g *errgroup.Group, s, file int) {
	l := r.layouts[s]
	fault := func(err error) error {
		if err == nil || ctx.Err() != nil {
			return err
		}
		return l.fault("%w", err)
	}
	var before int64
	pieces, err := l.open(ctx, file, datasets.ReadOptions{Batch: batchRows, Progress: func(read, _ int64) {
		r.tell(read - before)
		before = read
	}})
	if err != nil {
		g.Go(func() error { return fault(err) })
		return
	}
	var mu sync.Mutex
	left := pieces.Len()
	if left == 0 {
		pieces.Close()
	}
	for i := range pieces.Len() {
		g.Go(func() (err error) {
			defer func() {
				mu.Lock()
				left--
				last := left == 0
				mu.Unlock()
				if last {
					err = errors.Join(err, fault(pieces.Close()))
				}
			}()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			w := <-r.workers
			defer func() { r.workers <- w }()
			w.begin(s, pieces.Keeps())
			return fault(pieces.Read(i, func(t *datasets.Table, row int) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				at := place{s, file, row}
				if !pieces.Keeps() && g.TryGo(func() error { return fault(r.apart(t, at)) }) {
					return nil // the file is one piece: its batches go apart while it is read on
				}
				return w.batch(t, at)
			}))
		})
	}
}

// apart takes a batch of its own memory.
func (r *reading) apart(t *datasets.Table, at place) error {
	w := <-r.workers
	defer func() { r.workers <- w }()
	w.begin(at.source, false)
	return w.batch(t, at)
}

func (r *reading) tell(bytes int64) {
	if r.o.Progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += bytes
	if r.done-r.lastTold > 1<<20 {
		r.lastTold = r.done
		r.o.Progress(min(r.done, r.total-1), r.total)
	}
}

// Newest is the newest arrival, microseconds since 1970 UTC; 0 if there is no dated
// fact. The end of an interval is one too.
func (c *Collection) Newest() (newest int64) {
	for s := range c.tallies {
		newest = max(newest, c.tallies[s].newest)
	}
	return newest
}

// Excluded are the records that were left out, by source and reason.
func (c *Collection) Excluded() (out []Exclusion) {
	for s, l := range c.layouts {
		out = append(out, l.exclusions(&c.tallies[s], c.limit)...)
	}
	return out
}

// Records is the number of records of source s that were kept, and of those that its
// where left out.
func (c *Collection) Records(s int) (kept, filtered int64) {
	return c.tallies[s].kept, c.tallies[s].counts[filteredOut]
}

// Parts is the number of parts. All together hold each account once.
func (c *Collection) Parts() int { return len(c.ids) }

// Close lets go of the facts.
func (c *Collection) Close() error { return c.store.close() }

// summedBy names what adds up the amount of a source, "" if nothing does. What
// chooses by the currency knows what it does.
func summedBy(p *spec.Project, s *spec.Source) string {
	if s.Currency == "" {
		return ""
	}
	for i := range p.Features {
		f := &p.Features[i]
		sums := []spec.Agg{spec.Sum, spec.Mean, spec.ActiveAmount, spec.Slope, spec.Share, spec.Ratio}
		if f.From == s.Name && (f.Value == s.Amount || f.Over == s.Amount) && slices.Contains(sums, f.Agg) &&
			f.By != s.Currency && (f.Where == nil || !slices.Contains(f.Where.Vars, s.Currency)) {
			return "feature " + f.Name
		}
	}
	for i := range p.Models {
		m := &p.Models[i]
		if m.Label.Kind == spec.LabelChange && m.Label.From == s.Name && m.Label.Value == s.Amount {
			return fmt.Sprintf("the label of model %s", m.Name)
		}
	}
	return ""
}

const noNumber = math.MaxUint32
