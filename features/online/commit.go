package online

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"propensity/features/facts"
)

// committer gathers the calls of Append that come while a transaction is being
// written into the next one, so that they share its sync to disk or its round trip.
type committer struct {
	clock
	write func(ctx context.Context, list []record) error // all or nothing
	calls chan *call
	// sync, unless nil, makes all that was written last, while more is being written.
	sync   func() error
	synced chan []*call
	mu     sync.RWMutex // held by calls that enter; by close alone
	ended  bool
	done   chan struct{}
}

// call is one Append that waits.
type call struct {
	records []record
	done    chan error
}

const (
	// maxGroup bounds the records of a transaction that further calls are gathered
	// into: what a call waits for those that came before it stays short.
	maxGroup = 256
	// writeTimeout and, for each record, writeEach bound one transaction: a hundred times
	// what it takes, as a writer of low priority may get a tenth of a busy processor.
	writeTimeout = 20 * time.Second
	writeEach    = 2 * time.Millisecond
)

// errClosed is an Append after Close.
var errClosed = errors.New("the store is closed")

func (c *committer) start(write func(ctx context.Context, list []record) error) {
	c.write, c.calls, c.done = write, make(chan *call, 256), make(chan struct{})
	last, apart := c.done, c.sync != nil
	if apart {
		c.synced, last = make(chan []*call, 16), make(chan struct{})
		go func() {
			defer close(c.done)
			for group := range c.synced {
				c.settle(group)
			}
		}()
	}
	go func() {
		defer close(last)
		if apart {
			defer close(c.synced)
			giveWay()
		}
		for first := range c.calls {
			c.commit(first)
		}
	}()
}

// settle syncs what these calls and those that wait behind them have written.
func (c *committer) settle(group []*call) {
	for {
		select {
		case more, ok := <-c.synced:
			if ok {
				group = append(group, more...)
				continue
			}
		default:
		}
		break
	}
	err := c.sync()
	for _, call := range group {
		call.done <- err
	}
}

// commit writes a call with those that wait behind it.
func (c *committer) commit(first *call) {
	group, records := []*call{first}, first.records
	for len(records) < maxGroup {
		select {
		case next, ok := <-c.calls:
			if ok {
				group, records = append(group, next), append(records[:len(records):len(records)], next.records...)
				continue
			}
		default:
		}
		break
	}
	if len(group) > 1 {
		slices.SortStableFunc(records, compareNames)
	}
	// Whoever has stopped waiting, the others have not.
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout+time.Duration(len(records))*writeEach)
	defer cancel()
	err := c.write(ctx, records)
	if err == nil && c.sync != nil {
		c.synced <- group
		return
	}
	for _, call := range group {
		call.done <- err
	}
}

func (c *committer) append(ctx context.Context, list []facts.Fact) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	records, err := recordsOf(list, c.now())
	if err != nil || len(records) == 0 {
		return err
	}
	one := &call{records: records, done: make(chan error, 1)}
	if err := c.enter(ctx, one); err != nil {
		return err
	}
	select {
	case err := <-one.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *committer) enter(ctx context.Context, one *call) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.ended {
		return fmt.Errorf("%w: %w", ErrUnavailable, errClosed)
	}
	select {
	case c.calls <- one:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop waits until all calls that have entered are written.
func (c *committer) stop() {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		close(c.calls)
	}
	c.mu.Unlock()
	<-c.done
}
