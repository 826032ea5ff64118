package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"propensity/datasets"
	"propensity/features/online"
	"propensity/models/registry"
	"propensity/serve/database"
	"propensity/serve/ledger"
)

// soakProof keeps the program busy while everything around it moves and breaks.
func soakProof() proof {
	return proof{
		name: "soak",
		what: "A minute a case at 70 % of what it can take: scores of posted rows and by account, the champion moved every second, the challenger in the shadow, " +
			"facts, outcomes and webhooks, slow clients and some that go away, Redis killed and started again, the receiver of webhooks away: " +
			"no request fails but those that needed the dead store, memory and goroutines stay flat, no acknowledged outcome, fact or change of band is lost.",
		n:   30,
		run: proveSoak,
	}
}

// soak is the program under load, with what it was told.
type soak struct {
	dir    string
	url    string
	client *http.Client
	server *exec.Cmd
	store  *redisServer
	hooks  *receiver
	peak   float64 // requests a second
	scored atomic.Int64

	mu       sync.Mutex
	failed   []string // what went wrong, the first few
	failures int
	unsure   time.Time // until when the store may fail
	outcomes map[string]bool
	facts    map[string]int // acknowledged, by account
}

func proveSoak(ctx context.Context, r *run) (err error) {
	s, err := startSoak(ctx, r.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.kill()) }()
	if s.peak, err = s.most(ctx, 5*time.Second); err != nil {
		return err
	}
	fmt.Fprintf(r.log, "soak: at most %.0f requests a second\n", s.peak)
	var resident, goroutines []float64
	err = r.each(ctx, func(ctx context.Context, _ int, rng *rand.Rand) error {
		before := s.scored.Load()
		if err := s.minute(ctx, rng); err != nil {
			return err
		}
		time.Sleep(time.Second) // until the last answers are out
		m, err := s.metrics()
		if err != nil {
			return err
		}
		resident, goroutines = append(resident, m["process_resident_memory_bytes"]/(1<<20)), append(goroutines, m["go_goroutines"])
		fmt.Fprintf(r.log, "soak: %d scores, %.0f MB, %.0f goroutines, %.0f scores dropped by the ledger\n", s.scored.Load()-before, resident[len(resident)-1], goroutines[len(goroutines)-1], m["propensity_ledger_dropped_total"])
		for range (s.scored.Load() - before) / 1000 {
			r.tally("thousand scores")
		}
		if m["propensity_ledger_dropped_total"] > 0 {
			return errors.New("the ledger dropped scores")
		}
		return s.fault()
	})
	if err != nil {
		return err
	}
	if err := flat("goroutines", goroutines, 1.2, 20); err != nil {
		return err
	}
	if err := flat("MB resident", resident, 1.2, 40); err != nil {
		return err
	}
	return s.settle(ctx)
}

// flat judges figures of minutes: the last ones are no more than the early ones, but for
// a share and so many. The first minute fills what is kept.
func flat(what string, figures []float64, share, more float64) error {
	if len(figures) < 6 {
		return nil
	}
	third := len(figures) / 3
	early, late := slices.Max(figures[1:1+third]), slices.Max(figures[len(figures)-third:])
	if late > early*share+more {
		return fmt.Errorf("%s grow: at most %.0f in the early minutes, %.0f in the last", what, early, late)
	}
	return nil
}

const (
	soakAccounts = 300
	soakWorkers  = 16
)

// startSoak starts Redis, the program and a receiver of webhooks.
func startSoak(ctx context.Context, dir string) (*soak, error) {
	s := &soak{dir: dir, outcomes: map[string]bool{}, facts: map[string]int{},
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * soakWorkers}}}
	program := filepath.Join(dir, "propensity")
	if err := build(ctx, program); err != nil {
		return nil, err
	}
	models := filepath.Join(dir, "registry")
	r := registry.Open(models)
	p, err := onlineModel(ctx, r, 0.1)
	if err != nil {
		return nil, err
	}
	if _, err := onlineModel(ctx, r, 0.10001); err != nil {
		return nil, err
	}
	if err := r.Promote(ctx, "churn", 1, "challenger", registry.Event{}); err != nil {
		return nil, err
	}
	if s.store, err = startRedis(ctx, dir); err != nil {
		return nil, err
	}
	store, err := online.Open(ctx, s.store.url())
	if err != nil {
		return nil, errors.Join(err, s.kill())
	}
	if err := errors.Join(onlinePast(ctx, store, p), store.Close()); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	if s.hooks, err = startReceiver(); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, errors.Join(err, s.kill())
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, errors.Join(err, s.kill())
	}
	defer log.Close()
	s.url = "http://" + addr
	s.server = exec.CommandContext(ctx, program, "serve", "--registry", models, "--addr", addr, "--store", s.store.url(),
		"--ledger", "sqlite:"+filepath.Join(dir, "ledger.db"), "--ledger-rows", "off", "--shadow", "--webhook-allow-private", "--quiet")
	s.server.Stdout, s.server.Stderr = log, log
	if err := s.server.Start(); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, s.begin(ctx)
}

// begin waits until the program is ready, and registers the receiver.
func (s *soak) begin(ctx context.Context) error {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status, _, err := s.do(ctx, http.MethodGet, "/readyz", nil)
		if err == nil && status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("the server is not ready: %d, %w", status, err), s.kill())
		}
	}
	body := fmt.Sprintf(`{"url": "http://%s/", "types": ["account.band_changed"]}`, s.hooks.addr)
	if status, answer, err := s.do(ctx, http.MethodPost, "/v1/webhooks", []byte(body)); err != nil || status != http.StatusCreated {
		return errors.Join(fmt.Errorf("a webhook: %d %s, %w", status, answer, err), s.kill())
	}
	return nil
}

// kill stops all that was started.
func (s *soak) kill() (err error) {
	if s.server != nil && s.server.ProcessState == nil {
		_ = s.server.Process.Kill()
		_ = s.server.Wait()
	}
	if s.store != nil {
		s.store.kill()
	}
	if s.hooks != nil {
		err = s.hooks.close()
	}
	s.client.CloseIdleConnections()
	return err
}

func (s *soak) do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	q, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// fail notes a request that failed.
func (s *soak) fail(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures++; len(s.failed) < 5 {
		s.failed = append(s.failed, fmt.Sprintf(format, args...))
	}
}

func (s *soak) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == 0 {
		return nil
	}
	return fmt.Errorf("%d requests failed, such as %s", s.failures, strings.Join(s.failed, "; "))
}

// storeMayFail says that the store is dead, or was a moment ago.
func (s *soak) storeMayFail() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.unsure)
}

// score asks for one score: of a posted row or, of each third, by the account alone.
func (s *soak) score(ctx context.Context, rng *rand.Rand) {
	account := rng.IntN(soakAccounts)
	body, stored := []byte(`{"account": "S-`+strconv.Itoa(account)+`"}`), true
	if rng.IntN(3) > 0 {
		stored = false
		plan := "pro"
		if rng.IntN(200) == 0 {
			plan = "free" // another band, until the next request
		}
		body = fmt.Appendf(nil, `{"account": "P-%d", "allow_missing": true, "row": {"logins_7d": %d, "seconds_28d": 12.5, "plan": %q, "mrr": 0}}`, account, account%30, plan)
	}
	sent := s.storeMayFail()
	status, answer, err := s.do(ctx, http.MethodPost, "/v1/models/churn/score", body)
	switch {
	case ctx.Err() != nil:
	case stored && (sent || s.storeMayFail()) && (err != nil || status == http.StatusServiceUnavailable):
	case err != nil:
		s.fail("a score: %v", err)
	case status != http.StatusOK:
		s.fail("a score: %d %s", status, answer)
	default:
		s.scored.Add(1)
	}
}

// most is how many scores a second some workers get, each asking as soon as it was
// answered.
func (s *soak) most(ctx context.Context, duration time.Duration) (float64, error) {
	before, start := s.scored.Load(), time.Now()
	var wait sync.WaitGroup
	for n := range soakWorkers {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(n)))
			for time.Since(start) < duration && ctx.Err() == nil {
				s.score(ctx, rng)
			}
		})
	}
	wait.Wait()
	return float64(s.scored.Load()-before) / time.Since(start).Seconds(), errors.Join(ctx.Err(), s.fault())
}

// minute is a minute of everything.
func (s *soak) minute(ctx context.Context, rng *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	seed := rng.Uint64()
	end := time.Now().Add(58 * time.Second)
	var wait sync.WaitGroup
	every := func(pause time.Duration, do func(n int, rng *rand.Rand)) {
		seed++
		rng := rand.New(rand.NewPCG(seed, 1))
		wait.Go(func() {
			for n, start := 0, time.Now(); time.Now().Before(end) && ctx.Err() == nil; n++ {
				time.Sleep(time.Until(start.Add(time.Duration(n) * pause)))
				do(n, rng)
			}
		})
	}
	for range soakWorkers {
		every(time.Duration(float64(soakWorkers)/(0.7*s.peak)*float64(time.Second)), func(_ int, rng *rand.Rand) { s.score(ctx, rng) })
	}
	every(time.Second, func(n int, _ *rand.Rand) { s.move(ctx, n) })
	every(100*time.Millisecond, func(n int, rng *rand.Rand) { s.addFacts(ctx, fmt.Sprintf("%x-%d", seed, n), rng) })
	every(100*time.Millisecond, func(n int, rng *rand.Rand) { s.addOutcome(ctx, fmt.Sprintf("%x-%d", seed, n), rng) })
	every(200*time.Millisecond, func(n int, rng *rand.Rand) { s.misbehave(n, rng) })
	wait.Go(func() { s.breakThings(ctx) })
	wait.Wait()
	return nil
}

// move points the champion at the other version, and the challenger at the one it leaves.
func (s *soak) move(ctx context.Context, n int) {
	for alias, version := range map[string]int{"champion": 1 + n%2, "challenger": 2 - n%2} {
		status, answer, err := s.do(ctx, http.MethodPut, "/v1/models/churn/aliases/"+alias, fmt.Appendf(nil, `{"version": %d}`, version))
		if ctx.Err() == nil && (err != nil || status != http.StatusOK) {
			s.fail("%s to version %d: %d %s, %v", alias, version, status, answer, err)
		}
	}
}

// addFacts adds three facts of an account; again, until it was acknowledged or the store
// may be dead.
func (s *soak) addFacts(ctx context.Context, id string, rng *rand.Rand) {
	account := "F-" + strconv.Itoa(rng.IntN(100))
	var facts []string
	for i := range 3 {
		facts = append(facts, fmt.Sprintf(`{"source": "events", "account": %q, "id": "%s-%d", "occurred_at": %q, "properties": {"event": "login", "seconds": 3}}`,
			account, id, i, datasets.FormatTime(time.Now().UnixMicro())))
	}
	sent := s.storeMayFail()
	status, answer, err := s.do(ctx, http.MethodPost, "/v1/events", []byte("["+strings.Join(facts, ",")+"]"))
	switch {
	case err == nil && status == http.StatusAccepted:
		s.mu.Lock()
		s.facts[account] += len(facts)
		s.mu.Unlock()
	case ctx.Err() == nil && !sent && !s.storeMayFail():
		s.fail("facts: %d %s, %v", status, answer, err)
	}
}

func (s *soak) addOutcome(ctx context.Context, id string, rng *rand.Rand) {
	body := fmt.Sprintf(`{"id": %q, "model": "churn", "account": "S-%d", "positive": %v, "occurred_at": %q}`, id, rng.IntN(soakAccounts), rng.IntN(5) == 0, datasets.FormatTime(time.Now().UnixMicro()))
	status, answer, err := s.do(ctx, http.MethodPost, "/v1/outcomes", []byte(body))
	switch {
	case err == nil && status == http.StatusOK:
		s.mu.Lock()
		s.outcomes[id] = true
		s.mu.Unlock()
	case ctx.Err() == nil:
		s.fail("an outcome: %d %s, %v", status, answer, err)
	}
}

// metrics are those of the program, summed over their labels.
func (s *soak) metrics() (map[string]float64, error) {
	status, text, err := s.do(context.Background(), http.MethodGet, "/metrics", nil)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %d, %w", status, err)
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(name, "#") {
			continue
		}
		if i := strings.IndexByte(name, '{'); i >= 0 {
			name, rest = name[:i], line[strings.LastIndexByte(strings.TrimSpace(line), ' ')+1:]
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q", line)
		}
		out[name] += x
	}
	return out, nil
}

// settle stops the load and looks for what was acknowledged.
func (s *soak) settle(ctx context.Context) error {
	for account, want := range s.facts {
		status, answer, err := s.do(ctx, http.MethodGet, "/v1/accounts/"+account, nil)
		var got struct {
			Known int `json:"known"`
		}
		if err == nil {
			err = json.Unmarshal(answer, &got)
		}
		if err != nil || status != http.StatusOK || got.Known < want {
			return fmt.Errorf("account %s: %d facts were acknowledged, %d are there (%d, %w)", account, want, got.Known, status, err)
		}
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) { // two attempts, and the queue
		m, err := s.metrics()
		if err != nil {
			return err
		}
		if m["propensity_webhooks_waiting"] == 0 && time.Now().After(end.Add(-18*time.Second)) {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%.0f deliveries still wait", m["propensity_webhooks_waiting"])
		}
	}
	if err := s.server.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.server.Wait(); err != nil {
		return fmt.Errorf("the program, asked to end: %w", err)
	}
	db, err := database.Open(ctx, "sqlite:"+filepath.Join(s.dir, "ledger.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	l := ledger.Open(db, ledger.Options{})
	defer l.Close()
	kept := map[string]bool{}
	for n := range soakAccounts {
		list, err := l.Outcomes(ctx, "S-"+strconv.Itoa(n), "churn")
		if err != nil {
			return err
		}
		for i := range list {
			kept[list[i].ID] = true
		}
	}
	for id := range s.outcomes {
		if !kept[id] {
			return fmt.Errorf("outcome %s was acknowledged and is not there", id)
		}
	}
	changes := 0
	for after := int64(0); ; {
		list, err := l.Changes(ctx, after, 1000)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		changes, after = changes+len(list), list[len(list)-1].Number
	}
	if told := s.hooks.count(); told != changes || changes == 0 {
		return fmt.Errorf("%d changes of band are in the ledger, %d were told", changes, told)
	}
	return nil
}
