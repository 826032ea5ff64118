// Package jobs scores whole tables, and all accounts of a store, behind the answers of a
// server: one at a time, piece by piece, so that a job goes on after a kill where it was,
// and ends with the very bytes that it would have ended with.
package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/stream"
)

var (
	// ErrSpec is wrapped by errors about what a job is asked to do.
	ErrSpec = errors.New("not a job")
	// ErrUnknown is a job that is not there.
	ErrUnknown = errors.New("there is no such job")
	// ErrEnded is a job that can no longer be cancelled.
	ErrEnded = errors.New("the job has ended")
	// ErrFull is a queue that takes no more jobs.
	ErrFull = errors.New("too many jobs wait")
	// ErrAway is wrapped by errors of Accounts that may answer later: the job is tried again.
	ErrAway = errors.New("tried again for an hour")
)

// Spec is what a job is to do. Paths are within the directory of the jobs.
type Spec struct {
	Model   string `json:"model"`
	Version int    `json:"version"` // pinned when the job is added
	In      string `json:"in,omitempty"`
	From    string `json:"from,omitempty"` // FromStore, in the place of In
	Out     string `json:"out"`            // a file or, with CRM, a new directory
	Reasons int    `json:"reasons"`
	// AsOf is the moment of all rows where the table has none, and of those of the store, µs
	// since 1970 UTC.
	AsOf         int64  `json:"as_of"`
	AllowMissing bool   `json:"allow_missing,omitempty"`
	Account      string `json:"account,omitempty"` // column of the account; "": the model's own
	// Last is the file of an earlier run to compare with; the rest is as in the command score.
	Last        string         `json:"last,omitempty"`
	ChangedOnly bool           `json:"changed_only,omitempty"`
	ChangedBy   float64        `json:"changed_by,omitempty"`
	Limits      *stream.Limits `json:"limits,omitempty"` // nil: none
	DryRun      bool           `json:"dry_run,omitempty"`
	CRM         *stream.CRM    `json:"crm,omitempty"`
}

// State of a job.
type State string

// States of a job. The last four are its end.
const (
	Queued    State = "queued"
	Running   State = "running"
	Finishing State = "finishing" // all is scored, and is being put together
	Done      State = "done"
	Failed    State = "failed"
	Stopped   State = "stopped" // the scores have jumped: nothing was written
	Cancelled State = "cancelled"
)

func (s State) ended() bool {
	return s == Done || s == Failed || s == Stopped || s == Cancelled
}

// Job is a job as it stands.
type Job struct {
	ID      string             `json:"id"`
	Key     string             `json:"key,omitempty"` // id of the API key that asked for it
	Spec    Spec               `json:"spec"`
	State   State              `json:"state"`
	Added   int64              `json:"added"`             // µs since 1970 UTC, as are the next two
	Started int64              `json:"started,omitempty"` // for the first time
	Ended   int64              `json:"ended,omitempty"`
	Rows    int                `json:"rows"`              // scored and on disk
	Skipped *Skipped           `json:"skipped,omitempty"` // of a job of the store
	Cause   string             `json:"cause,omitempty"`   // why it ended or, while it runs, waits
	Input   string             `json:"input,omitempty"`   // size and time of the file when it was begun
	Changes *stream.Comparison `json:"changes,omitempty"`
}

// Config of a Runner.
type Config struct {
	Dir string // of the tables and the outputs; jobs are kept in .jobs below it
	// Load gives a version to score with.
	Load func(model string, version int) (*models.Scorer, error)
	// Accounts gives the rows of the accounts of the store after the given one, "" for all
	// of them, as of the moment of a job; nil: there is no store.
	Accounts func(ctx context.Context, s *Spec, scorer *models.Scorer, after string) (Accounts, error)
	// KeepRows has Given told the rows of the store too, which no table has.
	KeepRows bool
	// Given, unless nil, is told the scores that a job is about to hand out, a table as the
	// command score writes it, with raw, the log-odds before calibration, and the row's
	// columns after RowPrefix; after a kill, some of them again.
	Given func(ctx context.Context, j *Job, scores *datasets.Table) error
	// PieceRows is how many rows are scored before they are put on disk, at least; default
	// 50,000.
	PieceRows int
	// Queue is how many jobs may wait; default 100.
	Queue  int
	Logger *slog.Logger

	firstRetry, patience time.Duration // of tests
}

// Runner does the jobs of a directory. Only one may be at work on it.
type Runner struct {
	cfg  Config
	root *os.Root

	mu      sync.Mutex
	jobs    []*Job // by id, which is by time
	cancel  context.CancelFunc
	current *Job
	wake    chan struct{}
}

// folder holds what is known of jobs, and their pieces.
const folder = ".jobs"

// Open reads the jobs of a directory; Run does those that have not ended.
func Open(c Config) (*Runner, error) {
	if c.PieceRows == 0 {
		c.PieceRows = 50_000
	}
	if c.Queue == 0 {
		c.Queue = 100
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.patience == 0 {
		c.firstRetry, c.patience = time.Second, time.Hour
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	r := &Runner{cfg: c, root: root, wake: make(chan struct{}, 1)}
	if err := r.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("jobs: %w", err), root.Close())
	}
	return r, nil
}

func (r *Runner) load() error {
	if err := r.root.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := fs.ReadDir(r.root.FS(), folder)
	if err != nil {
		return err
	}
	for _, e := range entries { // by name
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		b, err := r.root.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		j := new(Job)
		if err := json.Unmarshal(b, j); err != nil || j.ID != id {
			return fmt.Errorf("%s is no job of ours: remove it (%w)", filepath.Join(folder, e.Name()), err)
		}
		r.jobs = append(r.jobs, j)
	}
	r.call()
	return nil
}

// Close lets go of the directory, once Run has ended.
func (r *Runner) Close() error { return r.root.Close() }

func (r *Runner) call() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Add queues a job. The error wraps ErrSpec or ErrFull, or is about the disk.
func (r *Runner) Add(key string, s Spec) (Job, error) {
	if err := r.check(&s); err != nil {
		return Job{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := 0
	for _, j := range r.jobs {
		if !j.State.ended() {
			waiting++
		}
	}
	if waiting >= r.cfg.Queue {
		return Job{}, fmt.Errorf("%w: there are %d", ErrFull, waiting)
	}
	now := time.Now()
	j := &Job{ID: now.UTC().Format("20060102T150405.000000Z") + "-" + strings.ToLower(rand.Text()[:8]), Key: key, Spec: s, State: Queued, Added: now.UnixMicro()}
	if err := r.save(j); err != nil {
		return Job{}, err
	}
	r.jobs = append(r.jobs, j)
	r.call()
	return *j, nil
}

func (r *Runner) check(s *Spec) error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrSpec, fmt.Sprintf(format, args...))
	}
	switch {
	case (s.In == "") == (s.From == ""):
		return fault("name either a table in in, or the store of facts, from: store")
	case s.From != "" && s.From != FromStore:
		return fault("from is store, or left out")
	case s.From != "" && r.cfg.Accounts == nil:
		return fault("there is no store of facts to score from")
	case s.From != "" && s.Account != "":
		return fault("account is a column of a table: the store knows its accounts")
	}
	for _, p := range []struct{ name, path string }{{"in", s.In}, {"out", s.Out}, {"last", s.Last}} {
		switch {
		case p.path == "" && (p.name == "in" || p.name == "last" || p.name == "out" && s.DryRun):
		case !filepath.IsLocal(p.path) || strings.HasPrefix(filepath.ToSlash(filepath.Clean(p.path)), folder):
			return fault("%s must be a path within the directory of the jobs, such as accounts.parquet", p.name)
		}
	}
	for _, path := range []string{s.In, s.Last} {
		if path == "" {
			continue
		}
		if info, err := r.root.Stat(path); err != nil || !info.Mode().IsRegular() {
			return fault("there is no file %s in the directory of the jobs", path)
		}
	}
	switch {
	case s.Last == "" && (s.ChangedOnly || s.DryRun || s.Limits != nil):
		return fault("changed_only, dry_run and limits compare with the scores of an earlier run: name them in last")
	case s.Reasons < 0 || s.Reasons > 1000:
		return fault("reasons is 0 to 1000")
	case !(s.ChangedBy >= 0 && s.ChangedBy <= 1):
		return fault("changed_by is 0 to 1")
	case s.Limits != nil && (!(s.Limits.Changed >= 0 && s.Limits.Changed <= 1) || !(s.Limits.Shift >= 0 && s.Limits.Shift <= 1)):
		return fault("limits are 0 to 1")
	case s.DryRun:
		return nil
	}
	if s.CRM != nil {
		if err := s.CRM.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrSpec, err)
		}
	}
	switch _, err := r.root.Lstat(s.Out); {
	case err == nil:
		return fault("%s is there already: name a new file", s.Out)
	case !errors.Is(err, fs.ErrNotExist):
		return fault("%s cannot be written", s.Out)
	}
	if info, err := r.root.Stat(filepath.Dir(s.Out)); err != nil || !info.IsDir() {
		return fault("there is no directory %s to write into", filepath.Dir(s.Out))
	}
	return nil
}

// save keeps what is known of a job: whole, or as it was.
func (r *Runner) save(j *Job) error { return r.write(filepath.Join(folder, j.ID+".json"), j) }

func (r *Runner) write(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := r.root.Create(name + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return r.root.Rename(name+".tmp", name)
}

// update changes a job, in memory and on disk.
func (r *Runner) update(j *Job, change func(j *Job)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(j)
	return r.save(j)
}

// List gives the jobs, oldest first.
func (r *Runner) List() []Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Job, len(r.jobs))
	for i, j := range r.jobs {
		out[i] = *j
	}
	return out
}

// Get gives one job, or ErrUnknown.
func (r *Runner) Get(id string) (Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j := r.find(id); j != nil {
		return *j, nil
	}
	return Job{}, ErrUnknown
}

func (r *Runner) find(id string) *Job {
	i := slices.IndexFunc(r.jobs, func(j *Job) bool { return j.ID == id })
	if i < 0 {
		return nil
	}
	return r.jobs[i]
}

// Cancel ends a job, or takes it from the queue; what it had scored is forgotten.
func (r *Runner) Cancel(id string) (Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.find(id)
	switch {
	case j == nil:
		return Job{}, ErrUnknown
	case j.State.ended() || j.State == Finishing:
		return *j, ErrEnded
	}
	j.State, j.Ended = Cancelled, time.Now().UnixMicro()
	if err := r.save(j); err != nil {
		return Job{}, err
	}
	if r.current == j {
		r.cancel()
	} else {
		r.forget(j)
	}
	return *j, nil
}

// forget removes the pieces of a job.
func (r *Runner) forget(j *Job) {
	if err := r.root.RemoveAll(filepath.Join(folder, j.ID)); err != nil {
		r.cfg.Logger.Error("pieces of a job are left", "job", j.ID, "error", err)
	}
}
