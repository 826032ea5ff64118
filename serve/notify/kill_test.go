package notify

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"propensity/serve/database"
	"propensity/serve/database/databasetest"
)

// killedEnv names the database of the process that TestKill kills.
const killedEnv = "PROPENSITY_NOTIFY_KILLED"

// enqueues is that process: it delivers, and enqueues event after event, saying so of each
// once it is acknowledged.
func enqueues(address string) {
	ctx := context.Background()
	db, err := database.Open(ctx, address)
	if err != nil {
		panic(err)
	}
	n := New(Config{DB: db, Poll: time.Millisecond, Private: true})
	go n.Run(ctx)
	for k := 0; ; k++ {
		e := bandChanged(fmt.Sprint("A-", k), "churn")
		e.At = time.Now().UnixMicro()
		if err := n.Tell(ctx, e); err != nil {
			panic(err)
		}
		fmt.Println(k)
	}
}

// After kill -9 at any moment, with requests under way to a receiver that does not answer,
// each event that was acknowledged is delivered by the next process.
func TestKill(t *testing.T) {
	if address := os.Getenv(killedEnv); address != "" {
		enqueues(address)
	}
	address := "sqlite:" + filepath.Join(t.TempDir(), "state.db")
	db := databasetest.Open(t, address)
	c := &clock{at: time.Now()}
	n, r := newNotifier(db, c), newReceiver(t, c)
	hang := make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) { <-hang })
	e := r.add(t, n, Endpoint{})
	p := exec.Command(os.Args[0], "-test.run=^TestKill$")
	p.Env = append(os.Environ(), killedEnv+"="+address)
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); acknowledged++ {
		if acknowledged == 20 {
			eventually(t, "a request is under way", func() bool { return r.count() > 0 })
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Wait(); err == nil || acknowledged < 20 {
		t.Fatalf("%v after %d events", err, acknowledged)
	}
	c.advance(time.Since(c.now())) // to where the clock of the dead process was, which leased by it
	close(hang)
	r.answers(nil)
	runs(t, n)
	eventually(t, "what the dead process did not hold", func() bool {
		left := 0
		for _, d := range deliveriesOf(t, n, e.ID, StateWaiting) {
			if d.Due <= c.now().UnixMicro() {
				left++
			}
		}
		return left == 0
	})
	if len(deliveriesOf(t, n, e.ID, StateWaiting)) == 0 {
		t.Error("the dead process held nothing: it was not killed in the middle of a request")
	}
	c.advance(n.cfg.Timeout + leaseMargin + time.Second)
	eventually(t, "all", func() bool { return len(deliveriesOf(t, n, e.ID, StateWaiting)) == 0 })
	bodies := &strings.Builder{}
	for _, d := range deliveriesOf(t, n, e.ID, StateDone) {
		d, err := n.Delivery(context.Background(), e.ID, d.Event)
		if err != nil {
			t.Fatal(err)
		}
		bodies.WriteString(d.Body)
	}
	got := map[string]bool{}
	for _, d := range r.all() {
		got[d.body] = true
	}
	for k := range acknowledged {
		account := fmt.Sprintf(`"account":"A-%d"`, k)
		arrived := false
		for body := range got {
			arrived = arrived || strings.Contains(body, account)
		}
		if !arrived || !strings.Contains(bodies.String(), account) {
			t.Errorf("%s was acknowledged and is lost", account)
		}
	}
}

// While the database is away Run waits, says so once, and goes on when it is back.
func TestDatabaseAway(t *testing.T) {
	c := newClock()
	db := sqlite(t)
	var log logged
	n, r := newNotifier(db, c), newReceiver(t, c)
	n.log = log.logger()
	e := r.add(t, n, Endpoint{})
	if _, err := db.Exec(`ALTER TABLE notify_endpoints RENAME TO notify_away`); err != nil {
		t.Fatal(err)
	}
	runs(t, n)
	eventually(t, "said", func() bool { return strings.Contains(log.String(), "does not answer") })
	time.Sleep(5 * time.Millisecond) // several turns
	if _, err := db.Exec(`ALTER TABLE notify_away RENAME TO notify_endpoints`); err != nil {
		t.Fatal(err)
	}
	tell(t, n, bandChanged("A", "churn"))
	eventually(t, "delivered", func() bool { return len(deliveriesOf(t, n, e.ID, StateDone)) == 1 })
	eventually(t, "said", func() bool { return strings.Contains(log.String(), "sent again") })
	if strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("%s", log.String())
	}
}
