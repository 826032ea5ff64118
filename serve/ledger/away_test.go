package ledger_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"propensity/datasets"
	"propensity/serve/database"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

// door is a way to a database that can be shut.
type door struct {
	net.Listener
	to   string
	mu   sync.Mutex
	open bool
	have []net.Conn
	wait sync.WaitGroup
}

// doorTo gives the address of a database behind a door.
func doorTo(t *testing.T, address string) (*door, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Listener: l, to: u.Host}
	u.Host = l.Addr().String()
	d.wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.serve(c)
		}
	})
	t.Cleanup(func() {
		d.set(false)
		_ = l.Close()
		d.wait.Wait()
	})
	return d, u.String()
}

func (d *door) serve(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		_ = c.Close()
		return
	}
	to, err := net.Dial("tcp", d.to)
	if err != nil {
		_ = c.Close()
		return
	}
	d.have = append(d.have, c, to)
	for _, p := range [][2]net.Conn{{c, to}, {to, c}} {
		d.wait.Go(func() {
			_, _ = io.Copy(p[0], p[1])
			_ = p[0].Close()
			_ = p[1].Close()
		})
	}
}

func (d *door) set(open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open = open; !open {
		for _, c := range d.have {
			_ = c.Close()
		}
		d.have = nil
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not " + what)
		}
	}
}

// With Postgres away at the start and later, scores wait, those beyond the bound are
// counted, an outcome is refused, and all goes on by itself when it is back. In Sync
// nothing is taken that is not kept.
func TestPostgresAway(t *testing.T) {
	ctx := context.Background()
	d, address := doorTo(t, databasetest.Postgres(t))
	l := open(t, address, ledger.Options{Queue: 4000})
	give := func(n int) {
		t.Helper()
		for range n {
			if err := l.Record(score("A", start, "B", 0.5)); err != nil {
				t.Fatal(err)
			}
		}
	}
	give(3)
	eventually(t, "away", func() bool { return l.Err() != nil })
	if _, err := l.AddOutcomes(ctx, []ledger.Outcome{outcome("x", "A", start, datasets.MissingTime, true)}); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("an outcome: %v", err)
	}
	if _, err := l.Scores(ctx, "A", ledger.Query{}); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("scores: %v", err)
	}
	d.set(true)
	if list := scores(t, l, "A"); len(list) != 3 || l.Err() != nil {
		t.Fatalf("%d scores are kept of 3; %v", len(list), l.Err())
	}
	d.set(false)
	give(100)
	eventually(t, "away again", func() bool { return l.Err() != nil })
	dropped := l.Stats().Dropped
	if dropped < 50 || dropped > 99 {
		t.Errorf("%d of 100 scores were dropped; %+v", dropped, l.Stats())
	}
	d.set(true)
	if list := scores(t, l, "A"); int64(len(list)) != 103-dropped {
		t.Errorf("%d scores are kept, and %d of 103 were dropped", len(list), dropped)
	}

	sync_ := open(t, address, ledger.Options{Sync: true})
	if err := sync_.Record(score("B", start, "B", 0.5)); err != nil {
		t.Fatal(err)
	}
	d.set(false)
	refused := 0
	for range 3 {
		if err := sync_.Record(score("B", start, "B", 0.5)); errors.Is(err, ledger.ErrUnavailable) {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d of 3 scores were refused", refused)
	}
	d.set(true)
	eventually(t, "back", func() bool { return sync_.Record(score("B", start, "B", 0.5)) == nil })
	if list := scores(t, sync_, "B"); len(list) < 2 {
		t.Errorf("%d scores are kept", len(list))
	}
}

// A ledger that is closed while its database is away gives up after a while, and says what
// is lost; nothing goes on in the background.
func TestCloseLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	db, err := database.Open(context.Background(), "sqlite:"+t.TempDir()+"/l.db")
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.Open(db, ledger.Options{Every: time.Hour, Keep: time.Hour})
	for range 3 {
		if err := l.Record(score("A", start, "B", 0.5)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil { // commits what waits
		t.Error(err)
	}
	if n := l.Stats().Committed; n != 3 {
		t.Errorf("%d scores are kept of 3", n)
	}
	if err := l.Record(score("A", start, "B", 0.5)); err != nil || l.Stats().Dropped != 1 {
		t.Errorf("a score after the end: %v, %+v", err, l.Stats())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

// A full disk is a database that is away: what waits is committed once there is room.
func TestFullDisk(t *testing.T) {
	db := databasetest.Open(t, "sqlite:"+t.TempDir()+"/l.db")
	db.SetMaxOpenConns(1) // the limit is one of the connection
	l := ledger.Open(db, ledger.Options{Every: time.Millisecond, Queue: 1 << 20})
	t.Cleanup(func() { _ = l.Close() })
	if err := l.Record(score("A", start, "B", 0.5)); err != nil {
		t.Fatal(err)
	}
	flush(t, l)
	limit := func(pages string) {
		t.Helper()
		if _, err := db.Exec(`PRAGMA max_page_count = ` + pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // no more than it has
	for range 500 {
		if err := l.Record(score("A", start, "B", 0.5)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "full", func() bool { return l.Err() != nil })
	limit("100000")
	if list := scores(t, l, "A"); len(list) != 501 || l.Err() != nil || l.Stats().Dropped != 0 {
		t.Errorf("%d scores are kept of 501; %v; %+v", len(list), l.Err(), l.Stats())
	}
}
