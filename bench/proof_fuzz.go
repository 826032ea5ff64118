package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// fuzzProof gives strangers' bytes to everything that reads them.
func fuzzProof() proof {
	return proof{
		name: "fuzz",
		what: "Every decoder either reads what it is given or says what is wrong with it, and keeps its properties: each fuzz target for ten minutes (with --budget: all of them, for five seconds), a processor each; a case is as many targets as there are processors.",
		n:    1000, // or as many as there are
		run:  proveFuzz,
	}
}

// fuzzTarget is a fuzz target of a package.
type fuzzTarget struct{ Package, Name string }

func proveFuzz(ctx context.Context, r *run) error {
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	duration, long := 10*time.Minute, r.budget == 0
	if !long {
		duration, r.budget = 5*time.Second, 0 // all of them, whatever time that takes
	}
	at := runtime.NumCPU()
	r.n = min(r.n, (len(targets)+at-1)/at)
	r.state.Tally["targets in all"] = len(targets)
	known := fuzzed{path: filepath.Join(filepath.Dir(r.dir), "fuzzed.json"), commits: map[string]string{}}
	if err := known.read(); err != nil {
		return err
	}
	// Those that were fuzzed before come first, so that what is left fills whole cases.
	slices.SortStableFunc(targets, func(a, b fuzzTarget) int {
		return cmp.Compare(min(len(known.commit(b)), 1), min(len(known.commit(a)), 1))
	})
	return r.each(ctx, func(ctx context.Context, i int, _ *rand.Rand) error {
		commit, err := headCommit(ctx)
		if err != nil {
			return err
		}
		var together errgroup.Group
		for _, t := range targets[i*at : min((i+1)*at, len(targets))] {
			if before := known.commit(t); before != "" {
				r.tally("targets at " + before)
				continue
			}
			r.tally("targets at " + commit)
			fmt.Fprintf(r.log, "fuzz: %s %s\n", t.Package, t.Name)
			together.Go(func() error {
				if err := t.fuzz(ctx, duration); err != nil || !long {
					return err
				}
				return known.add(t, commit)
			})
		}
		return together.Wait()
	})
}

// fuzz runs the target on one processor.
func (t fuzzTarget) fuzz(ctx context.Context, duration time.Duration) error {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.Name+"$", "-fuzztime", duration.String(), "-fuzzminimizetime", "20x", "-parallel", "1", t.Package).CombinedOutput()
	// Until Go 1.27, fuzzing may fail by its own end, with no input to show for it
	// (golang/go#75804).
	if err != nil && (!bytes.Contains(out, []byte("\n    context deadline exceeded\n")) || bytes.Contains(out, []byte("Failing input"))) {
		return fmt.Errorf("%s %s: %w\n%s", t.Package, t.Name, err, out)
	}
	return nil
}

// fuzzed says of the targets that were fuzzed at length at which commit that was. It is
// kept in a file, over changes of the code: all of them take hours, and every one is
// fuzzed for seconds in each run of .ci/run.
type fuzzed struct {
	path    string
	mu      sync.Mutex
	commits map[string]string
}

func (f *fuzzed) read() error {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, &f.commits)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: remove it to start anew", f.path, err)
	}
	return nil
}

// commit is where the target was fuzzed, "" if it was not.
func (f *fuzzed) commit(t fuzzTarget) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits[t.Package+" "+t.Name]
}

func (f *fuzzed) add(t fuzzTarget, commit string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commits[t.Package+" "+t.Name] = commit
	b, err := json.MarshalIndent(f.commits, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(f.path, append(b, '\n'), 0o644)
}

// fuzzTargets are all fuzz targets; those of the server, to which strangers speak, come
// first.
func fuzzTargets(ctx context.Context) (targets []fuzzTarget, err error) {
	packages, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var others []fuzzTarget
	for _, name := range strings.Fields(string(packages)) {
		list, err := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go test -list, %s: %w", name, err)
		}
		for _, target := range strings.Fields(string(list)) {
			switch t := (fuzzTarget{name, target}); {
			case !strings.HasPrefix(target, "Fuzz"):
			case strings.Contains(name, "/serve"):
				targets = append(targets, t)
			default:
				others = append(others, t)
			}
		}
	}
	return append(targets, others...), nil
}
