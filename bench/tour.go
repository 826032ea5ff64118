package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

func tourCommand() *cobra.Command {
	var write bool
	c := &cobra.Command{
		Use:   "tour [PAGE]",
		Short: "follow a page's console blocks word for word in an empty folder: README.md or another",
		Long: `Runs every command of a page's console blocks, in order, by one shell in an empty
folder, and compares what it prints with what the page shows. Times, hashes and users
may differ. --write puts what was printed into the page.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, pages []string) error {
			if err := tour(c.Context(), append(pages, "README.md")[0], write); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&write, "write", false, "rewrite the page's output")
	return c
}

// step is one command of the tour and what the README says it prints.
type step struct{ command, shown, printed string }

// tour follows the console blocks of a page. A line that starts with "$ " is a
// command, what follows up to the next one or the end of the block its output.
func tour(ctx context.Context, page string, write bool) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tour")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	if err := build(ctx, filepath.Join(bin, "propensity")); err != nil {
		return err
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		return err
	}
	steps := readSteps(string(text))
	if len(steps) == 0 {
		return fmt.Errorf("%s has no console block with a command", page)
	}
	if err := follow(ctx, steps, empty, bin); err != nil {
		return err
	}
	if write {
		return os.WriteFile(page, []byte(rewritten(string(text), steps)), 0o644)
	}
	differ := 0
	for _, s := range steps {
		if masked(s.printed) != masked(s.shown) {
			differ++
			fmt.Printf("$ %s\n--- %s shows\n%s--- printed\n%s", s.command, page, s.shown, s.printed)
		}
	}
	if differ > 0 {
		return fmt.Errorf("%d of %d commands print something else than %s shows; look, then run with --write", differ, len(steps), page)
	}
	fmt.Printf("%s: %d commands in an empty folder, each prints what the page shows\n", page, len(steps))
	return nil
}

func build(ctx context.Context, path string) error {
	c := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-tags", "nomsgpack", "-o", path, "./cmd/propensity") // as it is deployed
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	return c.Run()
}

func readSteps(text string) []*step {
	var steps []*step
	inside := false
	for line := range strings.Lines(text) {
		switch trimmed := strings.TrimRight(line, "\n"); {
		case strings.HasPrefix(trimmed, "```"):
			inside = trimmed == "```console"
		case inside && strings.HasPrefix(line, "$ "):
			steps = append(steps, &step{command: strings.TrimPrefix(trimmed, "$ ")})
		case inside && len(steps) > 0:
			steps[len(steps)-1].shown += line
		}
	}
	return steps
}

// rewritten is the page with the output that was printed.
func rewritten(text string, steps []*step) string {
	var b strings.Builder
	inside, next := false, 0
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = strings.TrimSpace(line) == "```console"
			b.WriteString(line)
		case inside && strings.HasPrefix(line, "$ "):
			b.WriteString(line)
			b.WriteString(steps[next].printed)
			next++
		case !inside:
			b.WriteString(line)
		}
	}
	return b.String()
}

// follow runs the commands in one shell, so that a server started by one of them
// answers the next. Only what goes to stdout counts; a command that fails ends it.
func follow(ctx context.Context, steps []*step, dir, bin string) error {
	const mark = "=== end of command"
	var script bytes.Buffer
	for _, s := range steps {
		fmt.Fprintf(&script, "%s\ncode=$?\nprintf '\\n%s %%d\\n' $code\nif [ $code -gt 0 ]; then kill $(jobs -p) 2>/dev/null; exit $code; fi\n", s.command, mark)
	}
	script.WriteString("kill $(jobs -p) 2>/dev/null\nwait\n")
	c := exec.CommandContext(ctx, "bash", "-c", script.String())
	c.Dir, c.Stderr = dir, os.Stderr
	c.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, failed := c.Output()
	k := 0
	in := bufio.NewScanner(bytes.NewReader(out))
	in.Buffer(nil, len(out)+1)
	var printed []string
	for in.Scan() {
		if !strings.HasPrefix(in.Text(), mark) {
			printed = append(printed, in.Text())
			continue
		}
		if n := len(printed); n > 0 && printed[n-1] == "" {
			printed = printed[:n-1] // the line break before the mark
		}
		if len(printed) > 0 {
			steps[k].printed = strings.TrimRight(strings.Join(printed, "\n"), "\n") + "\n"
		}
		k, printed = k+1, nil
		if strings.HasSuffix(in.Text(), " 0") {
			continue
		}
		return fmt.Errorf("$ %s\nended with %s", steps[k-1].command, strings.TrimPrefix(in.Text(), mark))
	}
	if k < len(steps) {
		return errors.Join(fmt.Errorf("the shell stopped at: %s", steps[k].command), failed)
	}
	return nil
}

// varying are the parts of the output that differ from run to run.
var varying = []*regexp.Regexp{
	regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`),
	regexp.MustCompile(`\b[0-9a-f]{12}\b`),
	regexp.MustCompile(`\b\d+(\.\d+)?(ms|s)\b`),
}

func masked(s string) string {
	for _, v := range varying {
		s = v.ReplaceAllString(s, "*")
	}
	return s
}
