package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pipe is a connection that tells whether it was closed.
type pipe struct {
	net.Conn
	closed bool
}

func (p *pipe) Close() error { p.closed = true; return nil }

// The one that has waited longest makes room, never one that is at work; if all are, the
// new one goes.
func TestWhoMakesRoom(t *testing.T) {
	n := newConnections(3, newMetrics())
	var pipes []*pipe
	var open []*connection
	add := func() *connection {
		p := new(pipe)
		pipes = append(pipes, p)
		c := n.add(p)
		open = append(open, c)
		return c
	}
	closed := func(want string) {
		t.Helper()
		got := ""
		for i, p := range pipes {
			if p.closed {
				got += strconv.Itoa(i)
			}
		}
		if got != want {
			t.Fatalf("closed are %q, want %q", got, want)
		}
	}
	add()
	add()
	add()
	open[0].work(1) // at work, so the next one waits longest
	add()
	closed("1")
	open[0].work(1) // two requests of one connection (HTTP/2)
	open[0].work(-1)
	add()
	closed("12")
	open[0].work(-1) // it waits again, behind the others
	add()
	closed("123")
	add()
	closed("1234")
	add()
	closed("01234")
	for _, c := range open[5:] {
		c.work(1)
	}
	if add() != nil {
		t.Error("a fourth was let in though three are at work")
	}
	closed("01234")
	if n.count() != 3 {
		t.Errorf("%d are open", n.count())
	}
	for range 2 { // closed twice counts once
		for _, c := range open[:8] {
			c.Close()
		}
	}
	open[1].work(1) // late news of one that is gone
	open[1].work(-1)
	if n.count() != 0 || n.waiting.Len() != 0 {
		t.Errorf("%d are open, %d wait", n.count(), n.waiting.Len())
	}
}

// Thousands of connections, silent or with half a header, shut out nobody: health checks
// and scores are answered while they come and while they stay. They are made by another
// process, as one has not as many files. PROPENSITY_CONNECTIONS says how many.
func TestIdleConnections(t *testing.T) {
	many, _ := strconv.Atoi(os.Getenv("PROPENSITY_CONNECTIONS"))
	long := many > 0
	if !long {
		many = 600
	}
	cfg := Config{}
	if !long {
		cfg.MaxConnections = 300
	}
	f := churn(t, cfg)
	r := run(t, f)
	before := memory()
	flood := exec.Command(os.Args[0])
	flood.Env = append(os.Environ(), fmt.Sprintf("PROPENSITY_TEST_FLOOD=%s %d", strings.TrimPrefix(r.url, "http://"), many))
	flood.Stderr = os.Stderr
	in, err := flood.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := flood.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := flood.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	serves := func() {
		t.Helper()
		live, err := client.Get(r.url + "/livez")
		if err != nil {
			t.Fatalf("%d connections are open: %v", f.server.connections.count(), err)
		}
		scored, err := client.Post(r.url+scorePath, "application/json", strings.NewReader(requestOf("A", wholeRow)))
		if err != nil {
			t.Fatalf("%d connections are open: %v", f.server.connections.count(), err)
		}
		if a, b := readReply(t, live), readReply(t, scored); a.status != 200 || b.status != 200 {
			t.Fatalf("%d %d", a.status, b.status)
		}
	}
	flooded := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		flooded <- line
	}()
	asked := 0
	for line := ""; line == ""; asked++ {
		serves()
		select {
		case line = <-flooded:
			if line != "open\n" {
				t.Fatalf("the other process says %q", line)
			}
		default:
		}
	}
	most := f.server.connections.most
	f.eventually(t, "all of them", func() bool { return f.server.connections.count() >= min(most-1, many) })
	for range 20 {
		serves()
	}
	if n := f.server.connections.count(); n > most {
		t.Errorf("%d connections are open, at most %d may be", n, most)
	}
	t.Logf("%d connections, %d of them open, %d goroutines, %d MiB more; %d pairs of requests answered meanwhile",
		many, f.server.connections.count(), runtime.NumGoroutine(), (memory()-before)>>20, asked+20)
	in.Close()
	if err := flood.Wait(); err != nil {
		t.Error(err)
	}
	f.eventually(t, "rid of them", func() bool { return f.server.connections.count() == 0 })
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// memory is what the process holds, in bytes.
func memory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

// flood is the other process: it makes so many connections and holds them until its stdin
// ends.
func flood(addr, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	open := make([]net.Conn, 0, n)
	for i := range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		if i%2 == 0 {
			_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: loc") // may be cut off already
		}
		open = append(open, c)
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range open {
		c.Close()
	}
	return nil
}
