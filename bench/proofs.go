package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// proof is a claim about the product that takes many cases to believe. Each
// stands in a file of its own and in the list below.
type proof struct {
	name string
	what string // the claim, one sentence
	n    int    // cases unless --n says otherwise
	// run checks the cases through run.each and may tally what it met.
	run func(ctx context.Context, r *run) error
	// child, if the proof needs another process, is what that does: the proof
	// starts it with childProcess.
	child func(ctx context.Context, args []string) error
}

func proofs() []proof {
	return []proof{
		publishProof(),
		corruptProof(),
		leaksProof(),
		industriesProof(),
		recoveryProof(),
		coverageProof(),
		choiceProof(),
		timeTravelProof(),
		replayProof(),
		soakProof(),
		fuzzProof(),
	}
}

// run is one run of a proof. Its cases depend on the seed and their number
// alone, so that it goes on where it stopped and repeats a case that failed.
type run struct {
	proof  string
	seed   uint64
	n      int
	budget time.Duration // 0: none
	dir    string        // of its own, emptied at the start of a new run
	log    io.Writer
	state  state
}

// state is what a run leaves to go on from.
type state struct {
	Program string         `json:"program"` // hash of the executable: other code proves anew
	Done    int            `json:"done"`    // cases that were looked at and not the end of the proof
	Missed  int            `json:"missed"`  // of them, that did not hold and were allowed not to
	Seconds float64        `json:"seconds"`
	Tally   map[string]int `json:"tally"`
}

// each checks the cases from where the run stopped up to n, or until the
// budget is spent or ctx is done, and stops at the first that fails.
func (r *run) each(ctx context.Context, check func(ctx context.Context, i int, rng *rand.Rand) error) (err error) {
	start, before := time.Now(), r.state.Seconds
	said := start
	defer func() { err = errors.Join(err, r.save()) }()
	for r.state.Done < r.n && (r.budget == 0 || time.Since(start) < r.budget) {
		i, tally, missed := r.state.Done, maps.Clone(r.state.Tally), r.state.Missed
		err := check(ctx, i, rand.New(rand.NewPCG(r.seed, uint64(i))))
		if err != nil || ctx.Err() != nil { // the case comes again
			r.state.Tally, r.state.Missed = tally, missed
		}
		if ctx.Err() != nil { // the case may have failed only because it was interrupted
			return fmt.Errorf("stopped after %d of %d cases, run again to go on: %w", i, r.n, ctx.Err())
		}
		if err != nil {
			return fmt.Errorf("case %d of seed %d: %w", i, r.seed, err)
		}
		r.state.Done++
		r.state.Seconds = before + time.Since(start).Seconds()
		if now := time.Now(); now.Sub(said) > 5*time.Second {
			said = now
			fmt.Fprintf(r.log, "%s: %d of %d, %s\n", r.proof, r.state.Done, r.n, now.Sub(start).Round(time.Second))
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// tally counts something that the cases met, for the result.
func (r *run) tally(what string) { r.state.Tally[what]++ }

// allow takes a case that did not hold. It counts under what went wrong, of which
// most are allowed; one more is the end of the proof.
func (r *run) allow(what string, most int, detail string) error {
	if r.state.Tally[what] >= most {
		return fmt.Errorf("%s: %s; more than %d of such cases are not allowed", what, detail, most)
	}
	r.tally(what)
	r.state.Missed++
	return nil
}

func (r *run) statePath() string { return r.dir + ".json" }

func (r *run) save() error {
	b, err := json.Marshal(r.state)
	if err != nil {
		return err
	}
	return os.WriteFile(r.statePath(), append(b, '\n'), 0o644)
}

// resume takes up the state of an earlier run of the same program, or starts
// anew.
func (r *run) resume() error {
	program, err := executableHash()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(r.statePath())
	if err == nil {
		err = json.Unmarshal(b, &r.state)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w: remove it to start anew", r.statePath(), err)
	}
	switch {
	case r.state.Program == program && r.state.Done < r.n:
		fmt.Fprintf(r.log, "%s: going on after %d of %d cases\n", r.proof, r.state.Done, r.n)
	default:
		if r.state.Program != "" && r.state.Program != program && r.state.Done < r.n {
			fmt.Fprintf(r.log, "%s: the code has changed after %d of %d cases, starting anew\n", r.proof, r.state.Done, r.n)
		}
		r.state = state{Program: program}
		if err := os.RemoveAll(r.dir); err != nil {
			return err
		}
	}
	if r.state.Tally == nil {
		r.state.Tally = make(map[string]int)
	}
	return os.MkdirAll(r.dir, 0o755)
}

func executableHash() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// result is one line: how much was checked, and what was met on the way.
func (r *run) result() string {
	s := fmt.Sprintf("%s: %d of %d cases held (seed %d, %.0f s)", r.proof, r.state.Done-r.state.Missed, r.n, r.seed, r.state.Seconds)
	for i, what := range slices.Sorted(maps.Keys(r.state.Tally)) {
		s += fmt.Sprintf("%s %d %s", [2]string{":", ","}[min(i, 1)], r.state.Tally[what], what)
	}
	return s
}

func proofsCommand() *cobra.Command {
	var r run
	var out string
	var record bool
	cmd := &cobra.Command{
		Use: "proofs [NAME]", Short: "list the proofs, or run one", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, p := range proofs() {
					fmt.Fprintf(cmd.OutOrStdout(), "%-10s %s (%d cases)\n", p.name, p.what, p.n)
				}
				return nil
			}
			p, err := findProof(args[0])
			if err != nil {
				return err
			}
			if r.n == 0 {
				r.n = p.n
			}
			if r.n < 0 || r.budget < 0 {
				return fmt.Errorf("--n %d, --budget %s: they cannot be negative", r.n, r.budget)
			}
			r.proof, r.log = p.name, cmd.ErrOrStderr()
			if err := r.prove(cmd.Context(), p, out, record, cmd.OutOrStdout()); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.DurationVar(&r.budget, "budget", 0, "stop after this time with what was proved so far; run again to go on")
	f.Uint64Var(&r.seed, "seed", 1, "of the cases")
	f.IntVar(&r.n, "n", 0, "number of cases (default: the proof's own)")
	f.StringVar(&out, "out", "", "directory of states and scratch files (default: in the user's cache)")
	f.BoolVar(&record, "record", false, "write the result into "+recordFile)
	return cmd
}

func findProof(name string) (proof, error) {
	var names []string
	for _, p := range proofs() {
		if p.name == name {
			return p, nil
		}
		names = append(names, p.name)
	}
	return proof{}, fmt.Errorf("no proof %q: there is %s", name, strings.Join(names, ", "))
}

func (r *run) prove(ctx context.Context, p proof, out string, record bool, stdout io.Writer) error {
	if out == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("%w: give a directory with --out", err)
		}
		out = filepath.Join(cache, "propensity", "proofs")
	}
	r.dir = filepath.Join(out, fmt.Sprintf("%s-%d", p.name, r.seed))
	if err := r.resume(); err != nil {
		return err
	}
	err := p.run(ctx, r)
	fmt.Fprintln(stdout, r.result())
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if r.state.Done == 0 && r.n > 0 {
		return fmt.Errorf("%s: nothing was proved within %s", p.name, r.budget)
	}
	if record {
		return r.record(ctx, p)
	}
	return nil
}

// childCommand is what a proof starts as another process of its own.
func childCommand() *cobra.Command {
	return &cobra.Command{
		Use: "child NAME [ARG...]", Hidden: true, Args: cobra.MinimumNArgs(1), DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := findProof(args[0])
			if err != nil {
				return err
			}
			if p.child == nil {
				return fmt.Errorf("the proof %s has no child process", p.name)
			}
			if err := p.child(cmd.Context(), args[1:]); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
}

// childProcess is this program, to be started as the child of the proof.
func (r *run) childProcess(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"child", r.proof}, args...)...)
	cmd.Stderr = r.log
	return cmd, nil
}

const recordFile = "docs/PROOFS.md"

const recordTitle = `# Proofs

What was checked at length, by ` + "`go run ./bench proofs NAME --record`" + `: one section a proof, its latest run.
`

// record puts the result into docs/PROOFS.md, in the place of the former one.
func (r *run) record(ctx context.Context, p proof) error {
	if _, err := os.Stat("go.mod"); err != nil {
		return fmt.Errorf("--record runs at the top of the repository: %w", err)
	}
	commit, err := commitNow(ctx)
	if err != nil {
		return err
	}
	section := fmt.Sprintf("## %s\n\n%s\n\n- Result: %s\n- Date: %s\n- Commit: %s\n- Machine: %s\n",
		p.name, p.what, r.result(), time.Now().UTC().Format(time.DateOnly), commit, machine())
	b, err := os.ReadFile(recordFile)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = []byte(recordTitle), nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(recordFile, replaceSection(b, p.name, section), 0o644)
}

// replaceSection puts a section of a Markdown file in the place of the one with
// the same title, or at its end.
func replaceSection(b []byte, title, section string) []byte {
	text := string(b)
	head := "## " + title + "\n"
	start := strings.Index("\n"+text, "\n"+head)
	if start < 0 {
		return []byte(strings.TrimRight(text, "\n") + "\n\n" + section)
	}
	rest := text[start+len(head):]
	if next := strings.Index(rest, "\n## "); next >= 0 {
		return []byte(text[:start] + section + rest[next:])
	}
	return []byte(text[:start] + section)
}

// headCommit is the commit that the tree comes from.
func headCommit(ctx context.Context) (string, error) {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("git rev-parse: %w", err)
	}
	return string(bytes.TrimSpace(head)), nil
}

// commitNow is the commit of the tree, and whether the tree differs from it.
func commitNow(ctx context.Context) (string, error) {
	commit, err := headCommit(ctx)
	if err != nil {
		return "", err
	}
	changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	if err != nil {
		return "", fmt.Errorf("git status: %w", err)
	}
	if len(bytes.TrimSpace(changes)) > 0 {
		commit += ", with uncommitted changes"
	}
	return commit, nil
}

func machine() string {
	return fmt.Sprintf("%s, %d cores, %s %s/%s", processor(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// processor is the name of the processor where the system tells it.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "processor unknown"
}
