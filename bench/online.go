package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"propensity/datasets"
	"propensity/features"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/features/spec"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/registry"
	"propensity/serve"
)

// onlineTables measures how scores by account fare while facts are posted.
func (b *benchmark) onlineTables(ctx context.Context) ([]table, error) {
	var all []contender
	for _, s := range [][3]string{{"memory, 50,000 facts a second asked for", "memory", "50000"}, {"SQLite, 20,000 facts a second asked for", "sqlite", "20000"}} {
		c := b.ours(s[0], "online", s[1], s[2], filepath.Join(b.scratch, "online"))
		if taskset, err := exec.LookPath("taskset"); err == nil {
			c.argv = append([]string{taskset, "-c", "1"}, c.argv...) // the clients
		} else {
			fmt.Fprintln(b.log, "online: without taskset the server may use more than one core")
		}
		c.fresh = filepath.Join(b.scratch, "online")
		all = append(all, c)
	}
	const title = "Scores by account while facts of others are posted, over HTTP, 99th percentile, milliseconds"
	outcomes, err := alternate(ctx, b.log, title, b.runs, all)
	if err != nil {
		return nil, err
	}
	return []table{compare(title, "The server on one core, the clients on another (taskset). Four clients post 200 facts a request (NDJSON; SQLite syncs before each answer) of 20,000 accounts "+
		"for ten seconds; one asks for 100 scores a second of 500 other accounts, which have 300 facts each and are not in memory at first, by 24 features. "+
		"A score's time counts from when it was due. At most is without scores, four clients as fast as they can.",
		"score_p99_ms", outcomes, column{"score_p50_ms", "median", figure}, column{"facts_per_second", "facts a second meanwhile", figure},
		column{"most_per_second", "at most", figure}, column{"server_cpu", "server, CPU seconds", figure}, column{"server_peak", "server, peak MB", figure})}, nil
}

const onlineProject = `
version: 1
account: account_id
sources:
  events:        {path: e.csv, time: at, id: id, types: {event: category, seconds: number}}
  subscriptions: {path: s.csv, start: started_at, end: ended_at, id: id, amount: mrr, types: {plan: category, mrr: number}}
features:
  - {name: logins, from: events, where: 'event == "login"', agg: count, windows: [7d, 28d, 90d], trend: true}
  - {name: exports, from: events, where: 'event == "export"', agg: count, windows: [7d, 28d, 90d]}
  - {name: seconds, from: events, agg: sum, value: seconds, windows: [7d, 28d, 90d], trend: true}
  - {name: kinds, from: events, agg: distinct, value: event, windows: [7d, 28d, 90d]}
  - {name: days, from: events, agg: active_days, windows: [7d, 28d, 90d]}
  - {name: since, from: events, agg: days_since, windows: [90d]}
  - {name: plan, from: subscriptions, agg: last, value: plan}
  - {name: mrr, from: subscriptions, agg: active_sum, value: mrr}
models:
  churn: {moments: {every: 1mo}, label: {event: subscriptions.end, within: 90d}}
`

// onlineModel publishes a linear model over the features, all of one weight, as champion.
func onlineModel(ctx context.Context, r *registry.Registry, weight float64) (*spec.Project, error) {
	p, err := spec.Parse([]byte(onlineProject))
	if err != nil {
		return nil, err
	}
	text, err := p.Of("churn").YAML()
	if err != nil {
		return nil, err
	}
	t := &datasets.Table{}
	for _, o := range p.Outputs() {
		c := datasets.Column{Name: o.Name, Kind: o.Kind, Values: map[datasets.Kind][]string{datasets.Category: {"free", "pro"}}[o.Kind]}
		for i := range 64 {
			if o.Kind == datasets.Number {
				c.Numbers = append(c.Numbers, float64(i*i%53))
			} else {
				c.Codes = append(c.Codes, int32(i%2))
			}
		}
		t.Columns = append(t.Columns, c)
	}
	e, _, err := features.FitEncoder(t, nil)
	if err != nil {
		return nil, err
	}
	m := &models.Linear{}
	for j := range e.Columns {
		term := models.Term{Scale: 50, Weight: weight}
		if e.Columns[j].Kind == datasets.Category {
			term = models.Term{Levels: []float64{0.1, -0.1}}
		}
		m.Terms = append(m.Terms, term)
	}
	ranking, err := evaluate.NewRanking([]float64{-2, -1, 0, 1})
	if err != nil {
		return nil, err
	}
	a := &models.Artifact{
		Manifest: models.Manifest{Name: "churn", Learner: "logistic", BaseRate: 0.5, Bands: []models.Band{{Name: "A", From: 0.5}, {Name: "B"}}},
		Encoder:  e, Model: m, Calibration: models.Calibration{Kind: "none"}, Ranking: ranking,
		Spec: []byte("version: 1\n"), Card: []byte("# Online\n"), Report: []byte("<!DOCTYPE html>\n"), Features: text,
	}
	f, err := a.Files()
	if err != nil {
		return nil, err
	}
	n, err := r.Publish(ctx, "churn", f, registry.Event{})
	if err != nil {
		return nil, err
	}
	return p, r.Promote(ctx, "churn", n, registry.Champion, registry.Event{})
}

const (
	onlineWriters  = 4
	onlineBatch    = 200 // facts a request
	onlineAccounts = 20_000
	onlineScored   = 500
	onlineHistory  = 300 // facts of each account that is scored
	onlineScores   = 100 // a second
	onlineSeconds  = 10
)

// measureOnline starts a server of a store in a directory and posts so many facts a
// second.
func measureOnline(ctx context.Context, kind, rate, dir string) (measures, error) {
	// A collection of the clients' garbage, of which there is little, would hold up the
	// answers that they wait for.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(2 << 30)
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := []string{self, "measure", "online-server", kind, dir}
	if taskset, err := exec.LookPath("taskset"); err == nil {
		argv = append([]string{taskset, "-c", "0"}, argv...)
	}
	server := exec.CommandContext(ctx, argv[0], argv[1:]...)
	server.Stderr = os.Stderr
	end, err := server.StdinPipe() // it serves until its stdin is closed
	if err != nil {
		return nil, err
	}
	said, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(said)
	address, err := lines.ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, server.Wait())
	}
	l := &onlineLoad{url: "http://" + strings.TrimSpace(address), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * onlineWriters}}}
	f, err := l.run(ctx, perSecond)
	l.client.CloseIdleConnections()
	err = errors.Join(err, end.Close())
	_, drained := io.Copy(io.Discard, lines)
	if err := errors.Join(err, drained, server.Wait()); err != nil {
		return nil, err
	}
	f["server_cpu"] = (server.ProcessState.UserTime() + server.ProcessState.SystemTime()).Seconds()
	f["server_peak"] = peak(server.ProcessState)
	return f, nil
}

// serveOnline serves from a store in a directory until stdin is closed, after a line
// with its address.
func serveOnline(ctx context.Context, kind, dir string) (measures, error) {
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))) // as serve does
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	at := "memory:"
	if kind == "sqlite" {
		at = "sqlite:" + filepath.Join(dir, "facts.db")
	}
	store, err := online.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	r := registry.Open(filepath.Join(dir, "registry"))
	p, err := onlineModel(ctx, r, 0.1)
	if err != nil {
		return nil, err
	}
	if err := onlinePast(ctx, store, p); err != nil {
		return nil, err
	}
	s, err := serve.New(serve.Config{Registry: r, Store: store})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go serve.SteadyHeap(ctx) // as well
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return measures{}, s.Run(ctx, "127.0.0.1:0", func(addr string) { fmt.Println(addr) })
}

// onlinePast adds the facts of the accounts that are scored.
func onlinePast(ctx context.Context, store online.Store, p *spec.Project) error {
	rng := rand.New(rand.NewPCG(1, 1))
	a, now := online.NewAccounts(store, 0), time.Now().UnixMicro()
	for account := range onlineScored {
		list := make([]facts.Fact, 0, onlineHistory+1)
		for i := range onlineHistory {
			at := now - rng.Int64N(180*24*3600)*1e6 - 1e6
			list = append(list, facts.Fact{Source: "events", Account: fmt.Sprint("S-", account), ID: fmt.Sprint(i), Occurred: at, Arrived: at, End: datasets.MissingTime, Values: map[string]datasets.Value{
				"event": {Kind: datasets.Category, Text: []string{"login", "export", "view"}[rng.IntN(3)]}, "seconds": {Kind: datasets.Number, Number: rng.Float64() * 100},
			}})
		}
		at := now - 200*24*3600*1e6
		list = append(list, facts.Fact{Source: "subscriptions", Account: fmt.Sprint("S-", account), ID: "1", Occurred: at, Arrived: at, End: datasets.MissingTime, Values: map[string]datasets.Value{
			"plan": {Kind: datasets.Category, Text: "pro"}, "mrr": {Kind: datasets.Number, Number: 49},
		}})
		if err := a.Append(ctx, []*spec.Project{p}, list); err != nil {
			return err
		}
	}
	return nil
}

// onlineLoad are the clients.
type onlineLoad struct {
	url    string
	client *http.Client
	sent   atomic.Int64
	failed atomic.Pointer[error]
}

func (l *onlineLoad) fail(err error) { l.failed.CompareAndSwap(nil, &err) }

func (l *onlineLoad) run(ctx context.Context, perSecond int) (measures, error) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if err := l.post("/v1/models/churn/score", "application/json", []byte(`{"account": "S-0"}`), http.StatusOK); err == nil {
			break
		} else if time.Now().After(end) {
			return nil, err
		}
	}
	most := l.write(ctx, 0, 5*time.Second)
	var took []float64
	var wait sync.WaitGroup
	wait.Go(func() { took = l.score(onlineSeconds * time.Second) })
	paced := l.write(ctx, perSecond, onlineSeconds*time.Second)
	wait.Wait()
	if err := l.failed.Load(); err != nil {
		return nil, *err
	}
	slices.Sort(took)
	return measures{"facts_per_second": paced, "most_per_second": most, "scores": float64(len(took)),
		"score_p50_ms": took[len(took)/2], "score_p99_ms": took[len(took)*99/100], "score_max_ms": took[len(took)-1]}, nil
}

func (l *onlineLoad) post(path, contentType string, body []byte, want int) error {
	resp, err := l.client.Post(l.url+path, contentType, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: %d %s", path, resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	return err
}

// write posts facts, so many a second or as fast as it can, and gives how many a
// second were acknowledged.
func (l *onlineLoad) write(ctx context.Context, perSecond int, duration time.Duration) float64 {
	var wait sync.WaitGroup
	start, before := time.Now(), l.sent.Load()
	for writer := range onlineWriters {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(start.UnixNano()), uint64(writer)))
			at := time.Now().UTC().Format(time.RFC3339)
			var body []byte
			for n := 0; time.Since(start) < duration && ctx.Err() == nil; n++ {
				if perSecond > 0 {
					due := start.Add(time.Duration(n*onlineWriters+writer) * onlineBatch * time.Second / time.Duration(perSecond))
					time.Sleep(time.Until(due))
				}
				body = body[:0]
				for i := range onlineBatch {
					body = append(body, `{"source":"events","account":"A-`...)
					body = strconv.AppendInt(body, rng.Int64N(onlineAccounts), 10)
					body = append(body, `","id":"`...)
					body = strconv.AppendInt(body, start.UnixMicro(), 36)
					body = fmt.Appendf(body, `-%d-%d-%d`, writer, n, i)
					body = append(body, `","occurred_at":"`...)
					body = append(body, at...)
					body = append(body, `","properties":{"event":"login","seconds":12.5}}`+"\n"...)
				}
				if err := l.post("/v1/events", "application/x-ndjson", body, http.StatusAccepted); err != nil {
					l.fail(err)
					return
				}
				l.sent.Add(onlineBatch)
			}
		})
	}
	wait.Wait()
	return float64(l.sent.Load()-before) / time.Since(start).Seconds()
}

// score asks for scores at a steady rate and gives the milliseconds that each took from
// when it was due.
func (l *onlineLoad) score(duration time.Duration) (took []float64) {
	start := time.Now()
	var wait sync.WaitGroup
	var mu sync.Mutex
	for n := 0; time.Since(start) < duration; n++ {
		due := start.Add(time.Duration(n) * time.Second / onlineScores)
		time.Sleep(time.Until(due) - 2*time.Millisecond)
		for time.Now().Before(due) { // a sleep ends up to a millisecond late, which is no fault of the server's
			runtime.Gosched()
		}
		wait.Go(func() {
			if err := l.post("/v1/models/churn/score", "application/json", []byte(`{"account": "S-`+strconv.Itoa(n%onlineScored)+`"}`), http.StatusOK); err != nil {
				l.fail(err)
			}
			mu.Lock()
			took = append(took, micros(due)/1e3)
			mu.Unlock()
		})
	}
	wait.Wait()
	return took
}
