package monitor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"propensity/serve/database"
)

// ErrUnavailable is a database of counts that does not answer.
var ErrUnavailable = errors.New("the counts are not to be had")

// Options of a Monitor.
type Options struct {
	// Database keeps the counts, so that a restart forgets no more than what was counted
	// since the last Flush; nil: they are kept in memory alone.
	Database *database.DB
	// Keep is how long counts are kept; default 30 days.
	Keep time.Duration
	// Now is the clock, µs since 1970 UTC; default: that of the machine.
	Now func() int64
}

// Monitor keeps the counts of versions by the hour in which the scores were given. Its
// memory is bounded by Keep and by the number of versions that are watched: it forgets
// those that have not been asked for longest.
type Monitor struct {
	o      Options
	server string // tells the counts of this process from those of others

	mu      sync.Mutex
	watched []*watched // the one that counted last comes last

	database sync.Mutex // held while it is written, never with mu
	migrated bool
	swept    int64 // the hour in which what is too old was last deleted
}

// watched is one version.
type watched struct {
	live  *Live
	hours map[int64][]byte // encoded counts by the start of the hour
	dirty map[int64]bool   // hours that the database does not have as they are
	total *Counts          // since the process began
}

const (
	hour        = int64(time.Hour / time.Microsecond)
	mostWatched = 64
)

// Open makes a monitor that watches nothing yet.
func Open(o Options) *Monitor {
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = func() int64 { return time.Now().UnixMicro() }
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	return &Monitor{o: o, server: hex.EncodeToString(id[:])}
}

// Watch gives what counts a version. One that is watched already, by its hash, goes on.
func (m *Monitor) Watch(model string, version int, hash string, shape func() *Shape) *Live {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.watched {
		if s := w.live.Shape; s.Model == model && s.Version == version && s.Hash == hash {
			return w.live
		}
	}
	of := shape()
	w := &watched{live: NewLive(of), hours: map[int64][]byte{}, dirty: map[int64]bool{}, total: of.NewCounts()}
	m.watched = append(m.watched, w)
	return w.live
}

// collect brings what was counted into the present hour. It is called with mu held.
func (m *Monitor) collect() {
	now := m.o.Now()
	at := now - now%hour
	for i, n := 0, len(m.watched); i < n; i++ {
		w := m.watched[i]
		fresh := w.live.Take()
		for h := range w.hours {
			if h+hour < now-m.o.Keep.Microseconds() {
				delete(w.hours, h)
				delete(w.dirty, h)
			}
		}
		if fresh.Rows == 0 {
			continue
		}
		w.total.Add(fresh)
		if have, err := w.live.Shape.Parse(w.hours[at]); err == nil {
			fresh.Add(have)
		}
		w.hours[at] = fresh.Append(nil)
		w.dirty[at] = true
		m.watched = append(append(m.watched[:i:i], m.watched[i+1:]...), w)
		i, n = i-1, n-1
	}
	for i := 0; len(m.watched) > mostWatched && i < len(m.watched); {
		if len(m.watched[i].dirty) > 0 && m.o.Database != nil {
			i++ // its counts are still to be kept
			continue
		}
		m.watched = append(m.watched[:i:i], m.watched[i+1:]...)
	}
}

// steps are the layouts of the tables.
func (m *Monitor) steps() []string {
	blob := "BLOB"
	if m.o.Database.Postgres {
		blob = "BYTEA"
	}
	return []string{`CREATE TABLE monitor_hours (model TEXT NOT NULL, version BIGINT NOT NULL, hash TEXT NOT NULL, hour BIGINT NOT NULL,
		server TEXT NOT NULL, counts ` + blob + ` NOT NULL, PRIMARY KEY (model, version, hash, hour, server))`}
}

func (m *Monitor) migrate(ctx context.Context) error {
	if m.migrated {
		return nil
	}
	err := m.o.Database.Migrate(ctx, "monitor", m.steps()...)
	m.migrated = err == nil
	return err
}

// unkept is an hour that the database does not have as it is.
type unkept struct {
	of    *watched
	hour  int64
	bytes []byte
}

// unkept gives them, with what was counted until now.
func (m *Monitor) unkept() (list []unkept) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collect()
	for _, w := range m.watched {
		for _, h := range slices.Sorted(maps.Keys(w.dirty)) {
			list = append(list, unkept{w, h, w.hours[h]})
		}
	}
	return list
}

// Flush brings what was counted into the database, if there is one. After an error it is
// kept, and written by the next Flush.
func (m *Monitor) Flush(ctx context.Context) error {
	list := m.unkept()
	if m.o.Database == nil {
		return nil
	}
	m.database.Lock()
	defer m.database.Unlock()
	now := m.o.Now()
	sweep := now-now%hour != m.swept
	if len(list) == 0 && !(sweep && m.migrated) { // what was never asked for makes no tables
		return nil
	}
	if err := m.migrate(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	err := m.o.Database.Update(ctx, func(tx *sql.Tx) error {
		for _, u := range list {
			s := u.of.live.Shape
			_, err := tx.ExecContext(ctx, m.o.Database.Rebind(`INSERT INTO monitor_hours (model, version, hash, hour, server, counts) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (model, version, hash, hour, server) DO UPDATE SET counts = excluded.counts`), s.Model, s.Version, s.Hash, u.hour, m.server, u.bytes)
			if err != nil {
				return err
			}
		}
		if !sweep {
			return nil
		}
		_, err := tx.ExecContext(ctx, m.o.Database.Rebind(`DELETE FROM monitor_hours WHERE hour < ?`), now-m.o.Keep.Microseconds()-hour)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	m.swept = now - now%hour
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range list {
		if bytes.Equal(u.of.hours[u.hour], u.bytes) { // nothing was counted meanwhile
			delete(u.of.dirty, u.hour)
		}
	}
	return nil
}

// Counts adds up what all servers of the database counted of a version in the hours that
// the span touches.
func (m *Monitor) Counts(ctx context.Context, s *Shape, span Span) (*Counts, error) {
	from := span.From - span.From%hour
	sum := s.NewCounts()
	m.mu.Lock()
	m.collect()
	for _, w := range m.watched {
		if o := w.live.Shape; o.Model != s.Model || o.Version != s.Version || o.Hash != s.Hash {
			continue
		}
		for h, b := range w.hours {
			if h < from || h >= span.To {
				continue
			}
			if c, err := s.Parse(b); err == nil {
				sum.Add(c)
			}
		}
	}
	m.mu.Unlock()
	if m.o.Database == nil {
		return sum, nil
	}
	m.database.Lock()
	err := m.migrate(ctx)
	m.database.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return sum, m.others(ctx, s, from, span.To, sum)
}

// others adds what other servers counted, and this one before it was started again.
func (m *Monitor) others(ctx context.Context, s *Shape, from, to int64, sum *Counts) error {
	rows, err := m.o.Database.QueryContext(ctx, m.o.Database.Rebind(`SELECT counts FROM monitor_hours
		WHERE model = ? AND version = ? AND hash = ? AND hour >= ? AND hour < ? AND server <> ?`), s.Model, s.Version, s.Hash, from, to, m.server)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer rows.Close()
	var b []byte
	for rows.Next() {
		if err := rows.Scan(&b); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		c, err := s.Parse(b)
		if errors.Is(err, ErrCounts) {
			continue // of another program, which counts otherwise
		}
		sum.Add(c)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Total is how many values of each state a version was given since the process began.
type Total struct {
	Model   string
	Version int
	Columns []ColumnTotal // in the order of the encoder
}

// ColumnTotal is that of one column.
type ColumnTotal struct {
	Name   string
	States []StateRows
}

// StateRows are the rows in which the value had a state.
type StateRows struct {
	State string
	Rows  int64
}

// Totals are those of the versions that are watched, by model and version.
func (m *Monitor) Totals() []Total {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collect()
	type version struct {
		model  string
		number int
	}
	seen := map[version]bool{}
	var out []Total
	for _, w := range slices.Backward(m.watched) {
		s := w.live.Shape
		if seen[version{s.Model, s.Version}] {
			continue // another artifact under the number of one that is no longer there
		}
		seen[version{s.Model, s.Version}] = true
		t := Total{Model: s.Model, Version: s.Version}
		for j := range s.columns {
			c := &s.columns[j]
			total := ColumnTotal{Name: c.name}
			for _, state := range c.states(c.groups(w.total.cells), 1) { // shares of one row are rows
				total.States = append(total.States, StateRows{state.State, int64(state.Now)})
			}
			total.States[0].Rows = w.total.Rows
			for _, odd := range total.States[1:] {
				total.States[0].Rows -= odd.Rows
			}
			t.Columns = append(t.Columns, total)
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Total) int { return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Version, b.Version)) })
	return out
}
