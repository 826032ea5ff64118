package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// benchmark is one sitting.
type benchmark struct {
	rows  []int    // of the tables, ascending
	runs  int      // of each contender
	only  []string // names of sections, empty: all
	work  string   // tables and models, made once
	peers bool
	log   io.Writer

	scratch string // of this sitting
	self    string // this program
	program string // propensity, built from the tree
	python  string // of the peers, empty without them
	servers string // the Python of those that serve, likewise
	built   map[string]string
	wholes  []whole
}

// section is one part of the benchmark.
type section struct {
	name, title string
	tables      func(ctx context.Context) ([]table, error)
}

func (b *benchmark) sections() []section {
	return []section{
		{"train", "Training", b.trainTables},
		{"logistic", "Logistic regression", b.logisticTables},
		{"process", "Whole process", b.processTables},
		{"row", "One row", b.rowTables},
		{"batch", "Many rows", b.batchTables},
		{"shap", "Explanations", b.shapTables},
		{"score", "A table scored", b.scoreTables},
		{"read", "A table read", b.readTables},
		{"features", "Feature tables from raw events", b.featureTables},
		{"online", "Facts and scores, live", b.onlineTables},
		{"http", "Scores over HTTP", b.httpTables},
		{"memory", "Memory", b.memoryTables},
		{"growth", "Growth", b.growthTables},
	}
}

// chosen says that the section of that name is to run.
func (b *benchmark) chosen(name string) bool {
	return len(b.only) == 0 || slices.Contains(b.only, name)
}

// most is the number of rows of the largest table.
func (b *benchmark) most() int { return b.rows[len(b.rows)-1] }

// benchmarkFlags makes a command run the benchmark.
func benchmarkFlags(c *cobra.Command) {
	b := &benchmark{built: make(map[string]string)}
	var write bool
	var names []string
	for _, s := range b.sections() {
		names = append(names, s.name)
	}
	f := c.Flags()
	f.BoolVar(&b.peers, "peers", false, "run other libraries too, in a Python environment of their own")
	f.BoolVar(&write, "write", false, "write the tables into "+benchmarksFile)
	f.StringSliceVar(&b.only, "only", nil, "these `parts`: "+strings.Join(names, ", "))
	f.IntVar(&b.runs, "runs", 3, "runs of each program, in turn")
	f.IntSliceVar(&b.rows, "rows", []int{100_000, 1_000_000}, "`rows` of the tables")
	f.StringVar(&b.work, "work", "", "`directory` of tables and models, which are made once (default: in the user's cache)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		for _, name := range b.only {
			if !slices.Contains(names, name) {
				return fmt.Errorf("--only %s: there is %s", name, strings.Join(names, ", "))
			}
		}
		slices.Sort(b.rows)
		if b.runs < 1 || len(b.rows) == 0 || b.rows[0] < 1000 {
			return errors.New("--runs wants 1 or more, --rows 1000 or more")
		}
		b.log = c.ErrOrStderr()
		if err := b.run(c.Context(), c.OutOrStdout(), write); err != nil {
			return &failure{err}
		}
		return nil
	}
}

// run runs the sections and prints their tables. Times decide nothing; an error
// is a program of ours that failed.
func (b *benchmark) run(ctx context.Context, out io.Writer, write bool) error {
	if _, err := os.Stat("go.mod"); err != nil {
		return fmt.Errorf("the benchmark runs at the top of the repository: %w", err)
	}
	stamp, err := b.stamp(ctx)
	if err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer os.RemoveAll(b.scratch)
	var failed []error
	for _, s := range b.sections() {
		if !b.chosen(s.name) {
			continue
		}
		tables, err := s.tables(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for i := range tables {
			tables[i].show(out)
			for _, f := range tables[i].failed {
				failed = append(failed, errors.New(b.shown(f)))
			}
		}
		if write {
			if err := writeSection(s.title, b.page(s, tables, stamp)); err != nil {
				return err
			}
		}
	}
	return errors.Join(failed...)
}

const benchmarksFile = "docs/BENCHMARKS.md"

const benchmarksTitle = `# Benchmarks

By ` + "`go run ./bench --peers --write`" + `: ours and other libraries in turn, run after run, on the same data and machine. Less is
better in every table. A ratio is ours over the other's of the same round: the median over the rounds, with the least and the
largest. Ahead and behind say that this median is more than 15 % off; less is a tie. Libraries are those of
bench/peers/requirements.txt, with OMP_NUM_THREADS=2 and GOMP_SPINCOUNT=1000; Go runs with GOMAXPROCS=2. The table is made by
bench/table.go: 28 numbers, 8 categories of 3 to 200 levels, 4 booleans, about 10 % positive.

In the commands, WORK is the directory of tables and models (--work), SCRATCH a temporary one, python that of the libraries'
environment, bench this benchmark's program.
`

func writeSection(title, section string) error {
	page, err := os.ReadFile(benchmarksFile)
	if errors.Is(err, fs.ErrNotExist) {
		page, err = []byte(benchmarksTitle), nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(benchmarksFile, replaceSection(page, title, section), 0o644)
}

// page is a section of docs/BENCHMARKS.md.
func (b *benchmark) page(s section, tables []table, stamp string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "## %s\n\n%s\n", s.title, stamp)
	for i := range tables {
		out.WriteString("\n" + b.shown(tables[i].markdown()))
	}
	return out.String()
}

// shown is text without the machine's own paths.
func (b *benchmark) shown(s string) string {
	pairs := []string{}
	for _, p := range [][2]string{{b.program, "propensity"}, {b.scratch, "SCRATCH"}, {b.work, "WORK"}, {b.python, "python"}, {b.servers, "python"}, {filepath.Dir(filepath.Dir(b.python)), "PYTHON"}, {b.self, "bench"}} {
		if p[0] != "" && p[0] != "." {
			pairs = append(pairs, p[0], p[1])
		}
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// stamp says when, where and of what the figures are.
func (b *benchmark) stamp(ctx context.Context) (string, error) {
	commit, err := commitNow(ctx)
	if err != nil {
		return "", err
	}
	runs := "once"
	if b.runs > 1 {
		runs = fmt.Sprintf("%d times, in turn", b.runs)
	}
	s := fmt.Sprintf("%s, commit %s, on %s, %s. Each program ran %s.", time.Now().UTC().Format(time.DateOnly), commit, machine(), memory(), runs)
	if b.peers {
		versions, err := pinned()
		if err != nil {
			return "", err
		}
		s += " Libraries: " + strings.Join(versions, ", ") + "."
	}
	return s, nil
}

// memory is the size of the machine's, where the system tells it.
func memory() string {
	b, err := os.ReadFile("/proc/meminfo")
	if err == nil {
		for line := range strings.Lines(string(b)) {
			var kb float64
			if _, err := fmt.Sscanf(line, "MemTotal: %f kB", &kb); err == nil {
				return fmt.Sprintf("%.0f GiB", kb/(1<<20))
			}
		}
	}
	return "memory unknown"
}
