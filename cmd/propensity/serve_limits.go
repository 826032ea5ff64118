package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"propensity/serve"
)

// limitFlags bound what a server takes on, and for how long.
type limitFlags struct {
	connections, batchRows, events, inferRows               int
	header, body, batchBody, eventsBody, inferBody, version int64
	read, write, idle, shutdown                             time.Duration
}

// What limits may be: what lies beyond is a slip of the pen.
const (
	leastBody  = 1 << 10 // bytes
	mostWhole  = 1 << 30 // of a body that is held whole
	mostStream = 1 << 40
	mostRows   = 1_000_000_000
	shortest   = 100 * time.Millisecond
	longest    = 24 * time.Hour
)

func (o *limitFlags) describe(f *pflag.FlagSet) {
	count := func(v *int, name string, value, most int, usage string) {
		*v = value
		f.Var(&bounded[int]{v, 1, most, "count", strconv.Atoi, strconv.Itoa}, name, usage)
	}
	size := func(v *int64, name string, value, least, most int64, usage string) {
		*v = value
		f.Var(&bounded[int64]{v, least, most, "size", parseSize, sizeText}, name, usage)
	}
	wait := func(v *time.Duration, name string, value time.Duration, usage string) {
		*v = value
		f.Var(&bounded[time.Duration]{v, shortest, longest, "time", time.ParseDuration, waitText}, name, usage)
	}
	count(&o.connections, "max-connections", 10_000, 1_000_000, "connections that may be open at once")
	size(&o.header, "max-header", 16<<10, 4<<10, 1<<20, "header of a request, such as 16KiB")
	size(&o.body, "max-body", 1<<20, leastBody, mostWhole, "body of a request, also of one within a batch")
	size(&o.batchBody, "max-batch-body", 256<<20, leastBody, mostStream, "body of a batch, which is never held whole")
	count(&o.batchRows, "max-batch-rows", 1_000_000, mostRows, "rows or lines of a batch")
	size(&o.eventsBody, "max-events-body", 16<<20, leastBody, mostWhole, "body of facts or outcomes that are posted")
	count(&o.events, "max-events", 10_000, mostRows, "facts or outcomes of a request; of outcomes 10000 at most")
	size(&o.inferBody, "max-infer-body", 16<<20, leastBody, mostWhole, "body of a request of the Open Inference Protocol or MLflow")
	count(&o.inferRows, "max-infer-rows", 10_000, mostRows, "rows of such a request")
	size(&o.version, "max-version", 256<<20, leastBody, mostWhole, "files of a version that is pushed")
	wait(&o.read, "read-timeout", 30*time.Second, "for a client to send its request; of a batch, each part of it. A header has 10s at most")
	wait(&o.write, "write-timeout", 30*time.Second, "for a client to take its answer; of a batch, each part of it")
	wait(&o.idle, "idle-timeout", 2*time.Minute, "that a connection is kept between requests")
	wait(&o.shutdown, "shutdown-timeout", 30*time.Second, "that requests in flight have once the server stops; whoever stops it must wait longer")
}

// fill puts them in cfg.
func (o *limitFlags) fill(cfg *serve.Config) error {
	cfg.MaxConnections, cfg.MaxHeader = o.connections, int(o.header)
	cfg.MaxBody, cfg.MaxBatchBody, cfg.MaxBatchRows = o.body, o.batchBody, o.batchRows
	cfg.MaxEventsBody, cfg.MaxEvents = o.eventsBody, o.events
	cfg.MaxInferBody, cfg.MaxInferRows = o.inferBody, o.inferRows
	cfg.MaxVersionBytes = o.version
	cfg.ReadTimeout, cfg.WriteTimeout, cfg.IdleTimeout, cfg.ShutdownTimeout = o.read, o.write, o.idle, o.shutdown
	if o.batchBody < o.body {
		return fmt.Errorf("%w: --max-batch-body %s is less than --max-body %s, which one request within a batch may have", errUsage, sizeText(o.batchBody), sizeText(o.body))
	}
	return nil
}

// bounded is a flag whose value lies from least to most.
type bounded[T int | int64 | time.Duration] struct {
	v           *T
	least, most T
	kind        string // what --help calls it
	parse       func(string) (T, error)
	text        func(T) string
}

func (b *bounded[T]) Set(text string) error {
	v, err := b.parse(text)
	var number *strconv.NumError
	switch {
	case errors.As(err, &number):
		return fmt.Errorf("write a whole number, %s to %s", b.text(b.least), b.text(b.most))
	case err != nil:
		return err
	case v < b.least || v > b.most:
		return fmt.Errorf("it is %s to %s", b.text(b.least), b.text(b.most))
	}
	*b.v = v
	return nil
}

func (b *bounded[T]) String() string {
	if b.v == nil { // pflag asks a value of its own making
		return ""
	}
	return b.text(*b.v)
}

func (b *bounded[T]) Type() string { return b.kind }

// waitText spells a time as it is written: 2m and not 2m0s.
func waitText(d time.Duration) string {
	for _, u := range []struct {
		name string
		of   time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if d >= u.of && d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	return d.String()
}
