package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"propensity/serve/database"
)

// TestMain lets the tests run the program as a process of its own, to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("PROPENSITY_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

const faultRow = `{"account": "A", "row": {"plan": "free", "logins": 2, "seats": 3, "annual": false, "mrr": 10}}`

// postJSON sends JSON and gives the status, 0 if there was no answer.
func postJSON(client *http.Client, url, body string) int {
	r, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return 0
	}
	return r.StatusCode
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s in 30 s", what)
		}
	}
}

// After kill -9 at any moment the server starts again as it is, and what it had answered
// is there: every outcome and, with --ledger-sync, every score.
func TestServeKilled(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	outcomes, scores := map[string]bool{}, 0
	for round := range 4 {
		var log page
		server := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--ledger-sync")
		server.Env = append(os.Environ(), "PROPENSITY_TEST_PROGRAM=1")
		server.Stderr = &log
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		url := log.await(t, `serving on (http://\S+) `)
		client := &http.Client{Transport: &http.Transport{}}
		until(t, "ready", func() bool {
			r, err := client.Get(url + "/readyz")
			if err == nil {
				r.Body.Close()
			}
			return err == nil && r.StatusCode == http.StatusOK
		})
		var mu sync.Mutex
		var senders sync.WaitGroup
		for sender := range 3 {
			senders.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d-%d", round, sender, i)
					status := postJSON(client, url+"/v1/outcomes", `{"id": "`+id+`", "model": "churn", "account": "A", "positive": true, "occurred_at": "2026-03-20T00:00:00Z"}`)
					scored := postJSON(client, url+"/v1/models/churn/score", faultRow)
					mu.Lock()
					if status == http.StatusOK {
						outcomes[id] = true
					}
					if scored == http.StatusOK {
						scores++
					}
					mu.Unlock()
					if status == 0 || scored == 0 {
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(20+rng.IntN(150)) * time.Millisecond)
		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait()
		senders.Wait()
		client.CloseIdleConnections()
	}
	db, err := database.Open(context.Background(), defaultLedger)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var whole string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&whole); err != nil || whole != "ok" {
		t.Errorf("%s %v", whole, err)
	}
	rows, err := db.Query(`SELECT id FROM ledger_outcomes`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	kept := map[string]bool{}
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		kept[string(id)] = true
	}
	for id := range outcomes {
		if !kept[id] {
			t.Errorf("outcome %s was acknowledged and is not there", id)
		}
	}
	var n int
	if err := db.QueryRow(`SELECT COUNT(*) FROM ledger_scores`).Scan(&n); err != nil || n < scores {
		t.Errorf("%d scores are there, of %d that were given: %v", n, scores, err)
	}
	if len(outcomes) == 0 || scores == 0 {
		t.Errorf("nothing was acknowledged: %d outcomes, %d scores", len(outcomes), scores)
	}
}

// gate is a way to a server that can be shut: what came through it is cut off, too.
type gate struct {
	l     net.Listener
	to    string
	mu    sync.Mutex
	open  bool
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{l: l, to: to, conns: map[net.Conn]bool{}}
	g.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.done.Go(func() { g.pass(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.set(false)
		g.done.Wait()
	})
	return g
}

func (g *gate) pass(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer to.Close()
	g.mu.Lock()
	open := g.open
	g.conns[c], g.conns[to] = true, true
	g.mu.Unlock()
	if !open {
		return
	}
	g.done.Go(func() { _, _ = io.Copy(to, c); to.Close() })
	_, _ = io.Copy(c, to)
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	if !open {
		for c := range g.conns {
			c.Close()
		}
		clear(g.conns)
	}
}

// through is an address with the gate in the place of its server.
func through(t *testing.T, address string) (*gate, *url.URL) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, u.Host)
	u.Host = g.l.Addr().String()
	return g, u
}

// serveWith runs serve until the test ends.
func serveWith(t *testing.T, args ...string) (url string, log *page) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var out page
	log = &page{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"serve", "--addr", "127.0.0.1:0", "--poll", "10ms"}, args...), strings.NewReader(""), &out, log)
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if code := <-ended; code != exitDone {
			t.Errorf("exit code %d: %s", code, log.String())
		}
	})
	return log.await(t, `serving on (http://\S+) `), log
}

func ready(t *testing.T, url, want string) func() bool {
	return func() bool {
		code, text := get(t, url+"/readyz")
		return strings.Contains(text, want) && (code == http.StatusOK) == (want == `"causes":[]`)
	}
}

// A store that is killed is said by /readyz, rows that are posted whole are scored all the
// same, and all is well once it is back.
func TestStoreKilled(t *testing.T) {
	address := os.Getenv("PROPENSITY_REDIS")
	if address == "" {
		t.Skip("PROPENSITY_REDIS names no server")
	}
	inFolder(t)
	trainChurn(t)
	g, u := through(t, address)
	g.set(true)
	url, _ := serveWith(t, "--store", u.String(), "--ledger", "off")
	until(t, "ready", ready(t, url, `"causes":[]`))
	g.set(false)
	until(t, "said", ready(t, url, "the store of facts does not answer"))
	if status := postJSON(http.DefaultClient, url+"/v1/models/churn/score", faultRow); status != http.StatusOK {
		t.Errorf("a whole row: %d", status)
	}
	if code, _ := get(t, url+"/livez"); code != http.StatusOK {
		t.Errorf("/livez: %d", code)
	}
	g.set(true)
	until(t, "ready again", ready(t, url, `"causes":[]`))
}

// With Postgres away at the start the server serves; scores wait for it, outcomes are
// refused until it is back. So it is when it goes away later.
func TestPostgresAway(t *testing.T) {
	address := os.Getenv("PROPENSITY_POSTGRES")
	if address == "" {
		t.Skip("PROPENSITY_POSTGRES names no server")
	}
	inFolder(t)
	trainChurn(t)
	direct, err := database.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	schema := fmt.Sprintf("faults_%d", os.Getpid())
	if _, err := direct.Exec(`CREATE SCHEMA ` + schema); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = direct.Exec(`DROP SCHEMA ` + schema + ` CASCADE`) }()
	g, u := through(t, address)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	server, log := serveWith(t, "--ledger", u.String())
	outcome := func(id string) int {
		return postJSON(http.DefaultClient, server+"/v1/outcomes", `{"id": "`+id+`", "model": "churn", "account": "A", "positive": true, "occurred_at": "2026-03-20T00:00:00Z"}`)
	}
	kept := func(n int) func() bool {
		return func() bool {
			var got int
			err := direct.QueryRow(`SELECT COUNT(*) FROM ` + schema + `.ledger_scores`).Scan(&got)
			return err == nil && got == n
		}
	}
	until(t, "scoring", func() bool {
		return postJSON(http.DefaultClient, server+"/v1/models/churn/score", faultRow) == http.StatusOK
	})
	if status := outcome("1"); status != http.StatusServiceUnavailable {
		t.Errorf("an outcome without a database: %d", status)
	}
	g.set(true)
	until(t, "caught up", kept(1))
	until(t, "an outcome", func() bool { return outcome("1") == http.StatusOK })
	g.set(false)
	if status := postJSON(http.DefaultClient, server+"/v1/models/churn/score", faultRow); status != http.StatusOK {
		t.Errorf("a score without a database: %d", status)
	}
	if status := outcome("2"); status != http.StatusServiceUnavailable {
		t.Errorf("an outcome without a database: %d", status)
	}
	until(t, "said", func() bool {
		code, text := get(t, server+"/readyz")
		return code == http.StatusOK && strings.Contains(text, "its database does not answer; scores wait for it")
	})
	g.set(true)
	until(t, "caught up again", kept(2))
	until(t, "well", ready(t, server, `"causes":[]`))
	if bytes.Contains([]byte(log.String()), []byte("goroutine ")) {
		t.Error(log.String())
	}
}
