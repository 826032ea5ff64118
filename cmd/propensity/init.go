package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/features/spec"
)

// How much of a file init looks at: all of a small one, the first rows of others.
const (
	initBytes = 32 << 20
	initRows  = 50_000
)

func (a *app) initCommand() *cobra.Command {
	var out string
	var force, schema bool
	c := &cobra.Command{
		Use:   "init FILE...",
		Short: "Write a project file for the files of a company: a guess, to be read and corrected",
		Long: `Look at the files of a company (CSV, Parquet, Arrow, NDJSON): accounts, users, events,
subscriptions, tickets, surveys. Guess what each is, which columns say whose it is and
when it was, and write a project file with features and models that these files allow.
Comments say what was guessed and why, and what to check.

Files that differ in digits alone (events-2025-01.csv, events-2025-02.csv) are one source.
Export files of Segment, PostHog, Stripe and Chargebee are known by their columns.
An existing file is not overwritten, except with --force.

With --schema the JSON Schema of project files is printed, for editors to complete them.`,
		Example: `  propensity init exports/*.csv
  propensity init accounts.csv events.parquet --out - | less
  propensity init --schema > propensity.schema.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, files []string) error {
			if schema {
				if len(files) > 0 {
					return fmt.Errorf("%w: --schema takes no files", errUsage)
				}
				_, err := io.WriteString(a.stdout, spec.Schema())
				return err
			}
			if len(files) == 0 {
				return fmt.Errorf("%w: name the files to look at: propensity init accounts.csv events.csv", errUsage)
			}
			if out == "" {
				out = a.config
			}
			return a.draft(c.Context(), files, out, force)
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write, - for stdout (default: the one of --config)")
	c.Flags().BoolVarP(&force, "force", "f", false, "overwrite the file if it is there")
	c.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of project files")
	return c
}

// draft looks at the files and writes a project file beside whose folder they are named.
func (a *app) draft(ctx context.Context, files []string, out string, force bool) error {
	if out != "-" && !force {
		if _, err := os.Stat(out); err == nil {
			return fmt.Errorf("%w: %s is there already: choose another with --out, or overwrite it with --force", errUsage, out)
		}
	}
	var samples []spec.Sample
	for _, path := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := sampleFile(path, initBytes)
		if err != nil {
			return err
		}
		if s.Path, err = beside(out, path); err != nil {
			return err
		}
		switch {
		case s.Fault != nil:
			a.say("note: left out, since it cannot be read: %v", s.Fault)
		case s.Table.Rows() == 0:
			a.say("note: left out, since it has no rows: %s", path)
		default:
			for _, note := range s.Table.Notes {
				a.say("note: %s: %s", path, note)
			}
		}
		samples = append(samples, s)
	}
	text, err := spec.Draft(oneSource(samples))
	if err != nil {
		return err
	}
	if out == "-" {
		_, err := io.WriteString(a.stdout, text)
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(out, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s is there already: choose another with --out, or overwrite it with --force", errUsage, out)
	} else if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	a.print("%s", out)
	a.say("read it and correct it; then: propensity features check")
	return nil
}

// beside is the path of a file as a project file names it: relative to its folder
// where it can be.
func beside(out, path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.ToSlash(path), nil
	}
	dir := "."
	if out != "-" {
		dir = filepath.Dir(out)
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(at, to); err == nil {
		to = rel
	}
	return filepath.ToSlash(to), nil
}

// sampleFile reads a file of at most so many bytes, or the first rows of another. One
// that holds no table is a sample with a fault.
func sampleFile(path string, small int64) (spec.Sample, error) {
	info, err := os.Stat(path)
	if err != nil {
		return spec.Sample{}, err
	}
	if info.IsDir() {
		return spec.Sample{}, fmt.Errorf("%w: %s is a folder: name the files in it (%s/*)", errUsage, path, path)
	}
	var s spec.Sample
	if s.Whole = info.Size() <= small; s.Whole {
		s.Table, s.Fault = datasets.Read(path, datasets.ReadOptions{})
	} else {
		s.Table, s.Fault = typedRows(path)
	}
	return s, nil
}

// typedRows are the first rows of a file. A text file has no kinds: those rows tell
// them, then are read again by them.
func typedRows(path string) (*datasets.Table, error) {
	head, err := firstRows(path, nil)
	if err != nil {
		return nil, err
	}
	kinds := map[string]datasets.Kind{}
	for i := range head.Columns {
		c := &head.Columns[i]
		if c.Kind != datasets.Text {
			continue
		}
		kinds[c.Name] = datasets.Category
		if k := datasets.KindOf(c.Values, datasets.ReadOptions{}); k != 0 {
			kinds[c.Name] = k
		}
	}
	if len(kinds) == 0 {
		return head, nil
	}
	return firstRows(path, kinds)
}

// firstRows is the first batch of a file.
func firstRows(path string, kinds map[string]datasets.Kind) (*datasets.Table, error) {
	r, err := datasets.Open(path, datasets.ReadOptions{Kinds: kinds, Batch: initRows})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Next()
}

var digits = regexp.MustCompile(`[0-9]+`)

// oneSource takes files for one whose names differ in digits and whose columns do
// not: the pattern of their names stands for them, and the largest sample.
func oneSource(samples []spec.Sample) []spec.Sample {
	columns := func(s spec.Sample) string {
		names := slices.Clone(s.Table.Names())
		slices.Sort(names)
		return strings.Join(names, "\x00")
	}
	groups := map[string][]int{}
	var order []string
	var out []spec.Sample
	for i, s := range samples {
		if s.Fault != nil {
			out = append(out, s)
			continue
		}
		dir, name := filepath.Split(s.Path)
		k := dir + digits.ReplaceAllString(name, "*") + "\x00" + columns(s)
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], i)
	}
	for _, k := range order {
		best := samples[groups[k][0]]
		for _, i := range groups[k][1:] {
			if samples[i].Table.Rows() > best.Table.Rows() {
				best = samples[i]
			}
		}
		if len(groups[k]) > 1 {
			best.Path, _, _ = strings.Cut(k, "\x00")
			best.Whole = false
		}
		out = append(out, best)
	}
	return out
}
