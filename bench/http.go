package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"propensity/datasets"
)

// httpTables compares servers that score one account at a time.
func (b *benchmark) httpTables(ctx context.Context) ([]table, error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return nil, errors.New("the load comes from wrk: install it (Debian: apt-get install wrk)")
	}
	data, err := b.table(ctx, b.rows[0], "parquet")
	if err != nil {
		return nil, err
	}
	m, err := b.models(ctx, "lightgbm")
	if err != nil {
		return nil, err
	}
	registry := filepath.Join(b.scratch, "registry-http")
	for _, argv := range [][]string{b.trainArgv(data, registry, boosting()...), {b.program, "models", "promote", "m@1", "--registry", registry}} {
		if _, err := (contender{argv: argv, okay: []int{3}}).measure(ctx); err != nil {
			return nil, fmt.Errorf("the model to serve: %w", err)
		}
	}
	if err := httpBodies(data, b.scratch); err != nil {
		return nil, err
	}
	const addr = "127.0.0.1:18201"
	serve := func(ledger string) []string {
		return []string{b.program, "serve", "--registry", registry, "--addr", addr, "--ledger", ledger, "--quiet"}
	}
	ledger := filepath.Join(b.scratch, "ledger")
	load := func(name, path, bodies string, ours bool, argv ...string) contender {
		return contender{name: name, ours: ours, fresh: ledger, parse: lastObject,
			argv: append([]string{b.self, "measure", "http", "http://" + addr + path, filepath.Join(b.scratch, bodies), ledger}, argv...)}
	}
	const score = "/v1/models/m/score"
	reasons := []contender{load("propensity, three reasons, each score in the ledger (SQLite)", score, "reasons", true, serve("sqlite:"+filepath.Join(ledger, "ledger.db"))...)}
	only := []contender{
		load("propensity", score, "plain", true, serve("off")...),
		load("propensity, each score in the ledger (SQLite)", score, "plain", true, serve("sqlite:"+filepath.Join(ledger, "ledger.db"))...),
	}
	if gin := b.tool(ctx, "gin", "go", "build", "-C", filepath.Join(peersDir, "gin"), "-o"); gin != "" && b.peers {
		only = append(only, load("Gin, which reads the JSON and does nothing", "/echo", "peers", false, gin, addr))
	}
	if b.peers {
		if b.servers, err = b.httpPeers(ctx); err != nil {
			return nil, err
		}
		fastapi := func(name, path string) contender {
			c := load(name, path, "peers", false, b.servers, "-m", "uvicorn", "http_fastapi:app", "--app-dir", peersDir, "--host", "127.0.0.1", "--port", strings.Split(addr, ":")[1],
				"--workers", "2", "--no-access-log", "--log-level", "warning")
			c.env = []string{"MODEL=" + m.model, "OMP_NUM_THREADS=1"}
			return c
		}
		only = append(only, fastapi("FastAPI, orjson, LightGBM's fast C call, 2 workers", "/score"))
		reasons = append(reasons, fastapi("FastAPI, orjson, LightGBM's fast C call, 2 workers, five reasons", "/explain"))
	}
	account := []contender{}
	for _, kind := range []string{"memory", "sqlite"} {
		c := load("propensity, by the id of an account, facts in "+kind, "/v1/models/churn/score", "accounts", true, b.self, "measure", "online-server", kind, ledger)
		account = append(account, c)
	}
	var out []table
	for _, part := range []struct {
		title string
		all   []contender
	}{{"with reasons", reasons}, {"score only", only}, {"from facts, three reasons", account}} {
		title := "One account over HTTP, " + part.title
		outcomes, err := alternate(ctx, b.log, title, b.runs, part.all)
		if err != nil {
			return nil, err
		}
		note := "Server and clients on the same two cores. JSON of 40 fields, 200 different accounts in turn, models of 200 trees of 31 leaves (from facts: 24 features of 300 facts an account, a linear model)."
		out = append(out,
			compare(title+", as fast as wrk asks over 16 connections, microseconds a request", note, "us", outcomes,
				column{"per_second", "requests a second", figure}, column{"per_second_64", "over 64 connections", figure}, column{"cpu_us", "server, CPU microseconds a request", figure}, column{"server_peak", "server, peak MB", figure}),
			compare(title+", 2,000 requests a second, 99th percentile, milliseconds", note+" Each request is sent when it is due, whatever became of those before it.", "fixed_p99_ms", outcomes,
				column{"fixed_p50_ms", "median", figure}))
	}
	return out, nil
}

// httpPeers is the Python of the servers that are compared, in an environment of its own.
func (b *benchmark) httpPeers(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return b.pythonOf(ctx, filepath.Join(cache, "propensity"), filepath.Join(peersDir, "requirements_http.txt"))
}

// httpBodies writes the requests of 200 rows, a line each: for us with and without
// reasons, for the peers, and of accounts with facts.
func httpBodies(data, dir string) error {
	t, err := datasets.Read(data, datasets.ReadOptions{})
	if err != nil {
		return err
	}
	files := map[string]*bytes.Buffer{"plain": {}, "reasons": {}, "peers": {}, "accounts": {}}
	for i := range 200 {
		row := make(map[string]datasets.Value, len(t.Columns))
		for j := range t.Columns {
			if c := &t.Columns[j]; c.Name != "y" {
				row[c.Name] = c.At(i)
			}
		}
		id := fmt.Sprintf("acct-%06d", i)
		for name, body := range map[string]map[string]any{
			"plain": {"account": id, "row": row, "reasons": 0}, "reasons": {"account": id, "row": row, "reasons": 3},
			"peers": {"account_id": id, "features": row}, "accounts": {"account": fmt.Sprint("S-", i), "reasons": 3},
		} {
			if err := json.NewEncoder(files[name]).Encode(body); err != nil {
				return err
			}
		}
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), body.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const (
	httpSeconds = 8
	httpRate    = 2000 // requests a second
)

// measureHTTP starts a server, posts lines of a file to a URL of it, and stops it.
func measureHTTP(ctx context.Context, url, bodies, dir string, argv []string) (measures, error) {
	text, err := os.ReadFile(bodies)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	server := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var said bytes.Buffer
	server.Stderr = &said
	online := slices.Contains(argv, "online-server")
	if online { // it chooses its address, and says it
		var err error
		if url, err = startOnline(server, url); err != nil {
			return nil, err
		}
	} else if err := server.Start(); err != nil {
		return nil, err
	}
	f, err := loadHTTP(ctx, url, bodies, lines, server.Process.Pid)
	if stop := server.Process.Signal(syscall.SIGTERM); stop != nil {
		return nil, errors.Join(err, stop)
	}
	_ = server.Wait() // by the signal
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(said.Bytes()))
	}
	f["server_peak"] = peak(server.ProcessState)
	return f, nil
}

// startOnline starts a server of a store and gives the URL with its address.
func startOnline(server *exec.Cmd, url string) (string, error) {
	if _, err := server.StdinPipe(); err != nil { // it serves as long as that is open
		return "", err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := server.Start(); err != nil {
		return "", err
	}
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		return "", err
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return "http://" + addr + "/" + path, nil
}

func loadHTTP(ctx context.Context, url, bodies string, lines [][]byte, pid int) (measures, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	post := func(body []byte) error {
		resp, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, answer)
		}
		return err
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if err := post(lines[0]); err == nil {
			break
		} else if time.Now().After(end) || ctx.Err() != nil {
			return nil, err
		}
	}
	script := filepath.Join(filepath.Dir(bodies), "load.lua")
	err := os.WriteFile(script, fmt.Appendf(nil, `local b = {} for l in io.lines(%q) do b[#b+1] = l end
wrk.method = "POST" wrk.headers["Content-Type"] = "application/json" local i = 0
function request() i = i %% #b + 1 return wrk.format(nil, nil, nil, b[i]) end
`, bodies), 0o644)
	if err != nil {
		return nil, err
	}
	wrk := func(connections, seconds int) (requests float64, err error) {
		out, err := exec.CommandContext(ctx, "wrk", "-t2", "-c"+strconv.Itoa(connections), "-d"+strconv.Itoa(seconds)+"s", "-s", script, url).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
			return 0, fmt.Errorf("wrk: %w: %s", errors.Join(err, errors.New("some requests failed")), out)
		}
		found := regexp.MustCompile(`(\d+) requests in`).FindSubmatch(out)
		if found == nil {
			return 0, fmt.Errorf("wrk said %s", out)
		}
		return strconv.ParseFloat(string(found[1]), 64)
	}
	if _, err := wrk(16, 2); err != nil {
		return nil, err
	}
	before := processSeconds(pid)
	n, err := wrk(16, httpSeconds)
	if err != nil {
		return nil, err
	}
	cpu := processSeconds(pid) - before
	n64, err := wrk(64, httpSeconds)
	if err != nil {
		return nil, err
	}
	f := measures{"us": httpSeconds * 1e6 / n, "per_second": n / httpSeconds, "per_second_64": n64 / httpSeconds, "cpu_us": cpu / n * 1e6}
	took, err := paced(httpRate, httpSeconds*time.Second, func(i int) error { return post(lines[i%len(lines)]) })
	if err != nil {
		return nil, err
	}
	f["fixed_p50_ms"], f["fixed_p99_ms"] = took[len(took)/2], took[len(took)*99/100]
	return f, nil
}

// paced makes so many calls a second, whether or not those before have ended, and gives
// the milliseconds that each took, in order of size.
func paced(perSecond int, duration time.Duration, call func(i int) error) ([]float64, error) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var took []float64
	var failed error
	start := time.Now()
	for i := 0; ; i++ {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		if due.Sub(start) > duration {
			break
		}
		time.Sleep(time.Until(due))
		wait.Go(func() {
			sent := time.Now()
			err := call(i)
			ms := micros(sent) / 1e3
			mu.Lock()
			defer mu.Unlock()
			took = append(took, ms)
			failed = errors.Join(failed, err)
		})
	}
	wait.Wait()
	slices.Sort(took)
	return took, failed
}

// processSeconds is the processor time that a process has used; 0 where the system does
// not tell it.
func processSeconds(pid int) float64 {
	if runtime.GOOS != "linux" {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // in ticks of 10 ms, everywhere
}
