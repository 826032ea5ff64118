package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// threads that everything measured may use.
const threads = 2

// measures are the figures of one run, by name. Of every run are known: wall (seconds
// from start to end of the process), cpu (seconds of all its threads), peak
// (resident size in MB).
type measures map[string]float64

// contender is one program in a comparison. It is started anew for every run.
type contender struct {
	name  string
	ours  bool
	argv  []string
	env   []string                              // besides what command gives to all
	parse func(stdout []byte) (measures, error) // nil: only what is known of every run
	fresh string                                // a file or folder removed before each run
	okay  []int                                 // exit codes besides 0 of a run that did its work
	once  bool                                  // runs in the first round only
}

// outcome is what the runs of a contender gave: a run a round, or why it failed.
type outcome struct {
	contender
	runs   []measures
	failed error
}

// line is its name and how it was started.
func (o *outcome) line() [2]string {
	return [2]string{o.name, strings.Join(append(slices.Clip(o.env), o.argv...), " ")}
}

// values are the figures of that name; runs that lack it are left out.
func (o *outcome) values(name string) []float64 {
	var out []float64
	for _, r := range o.runs {
		if x, ok := r[name]; ok {
			out = append(out, x)
		}
	}
	return out
}

// alternate runs the contenders in turn, so many rounds: what the machine does
// meanwhile meets all of them. One that fails does not stop the others; it is
// not run again.
func alternate(ctx context.Context, log io.Writer, title string, rounds int, all []contender) ([]outcome, error) {
	out := make([]outcome, len(all))
	for i, c := range all {
		out[i].contender = c
	}
	for round := range rounds {
		for i := range out {
			o := &out[i]
			if o.failed != nil || o.once && round > 0 {
				continue
			}
			f, err := o.measure(ctx)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				o.failed = err
				fmt.Fprintf(log, "%s, run %d of %d: %s failed: %v\n", title, round+1, rounds, o.name, err)
				continue
			}
			o.runs = append(o.runs, f)
			fmt.Fprintf(log, "%s, run %d of %d: %s %.1f s\n", title, round+1, rounds, o.name, f["wall"])
		}
	}
	return out, nil
}

// measure runs the program once.
func (c contender) measure(ctx context.Context) (measures, error) {
	if c.fresh != "" {
		if err := os.RemoveAll(c.fresh); err != nil {
			return nil, err
		}
	}
	cmd := command(ctx, c.argv, c.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start).Seconds()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if !slices.Contains(c.okay, exit.ExitCode()) {
			return nil, fmt.Errorf("%w: %s", err, lastLine(stderr.Bytes()))
		}
	} else if err != nil {
		return nil, err
	}
	f := measures{}
	if c.parse != nil {
		if f, err = c.parse(stdout.Bytes()); err != nil {
			return nil, err
		}
	}
	f["wall"] = wall
	f["cpu"] = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	f["peak"] = peak(cmd.ProcessState)
	return f, nil
}

// command is a program with the surroundings that all measured ones get. An
// OpenMP thread that waits by spinning takes the processor from others.
func command(ctx context.Context, argv []string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	n := fmt.Sprint(threads)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+n, "OMP_NUM_THREADS="+n, "POLARS_MAX_THREADS="+n,
		"GOMP_SPINCOUNT=1000", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// lastObject reads the last line that is a JSON object of numbers; libraries
// may have talked before it.
func lastObject(stdout []byte) (measures, error) {
	lines := strings.Split(string(stdout), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "{") {
			var f measures
			err := json.Unmarshal([]byte(line), &f)
			return f, err
		}
	}
	return nil, errors.New("it printed no line of figures")
}
