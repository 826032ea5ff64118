package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/spec"
)

// defaultFeatures is where feature tables are.
const defaultFeatures = "features"

func (a *app) featuresBuildCommand() *cobra.Command {
	var o build.Options
	var asOf, memory string
	c := &cobra.Command{
		Use:   "build [MODEL...]",
		Short: "Make the feature tables of the project's models",
		Long: `Read the sources of the project file, each once, and make the feature table of each
model: one row an account and moment, of what had occurred and arrived strictly before
it. Rows and labels are separate files (OUT/MODEL/rows-*.parquet, labels-*.parquet):
rows are final, labels are settled when their horizon is over. Beside them are a
dictionary of the columns (features.md, features.json) and manifest.json.

A second build adds the rows of new moments to a file of their own, and settles labels
that were open; the old rows stay as they are. If the features have changed,
build again with --rebuild.

Records that cannot be used (no account, no time, dated in the future, ended before they
started) are left out, counted and told.`,
		Example: `  propensity features build
  propensity features build churn --as-of 2026-03-01 --out tables`,
		RunE: func(c *cobra.Command, names []string) error {
			var err error
			if o.Memory, err = parseBytes(memory); err != nil {
				return err
			}
			if o.AsOf, err = timeFlag("--as-of", asOf, 0); err != nil {
				return err
			}
			if o.Threads < 0 {
				return fmt.Errorf("%w: --threads %d: use 1 or more", errUsage, o.Threads)
			}
			if len(names) > 0 {
				o.Models = names
			}
			return a.buildFeatures(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Out, "out", defaultFeatures, "`directory` of the tables")
	f.StringVar(&asOf, "as-of", "", "`time` as of which they are made, 2006-01-02 or 2006-01-02T15:04:05Z (default: the newest arrival)")
	f.BoolVar(&o.Rebuild, "rebuild", false, "make all rows again")
	f.StringVar(&memory, "memory", "", "`limit`, such as 512MB or 4GB, of the facts kept in memory; more go to a temporary file (default: 512MB)")
	f.IntVar(&o.Threads, "threads", 0, "`number` of processors to use (default: all)")
	return c
}

// features reads what the project file says of features, and finds its directory.
func (a *app) features() (p *spec.Project, dir string, err error) {
	b, err := os.ReadFile(a.config)
	if err != nil {
		return nil, "", err
	}
	if p, err = spec.Parse(b); err != nil {
		return nil, "", fmt.Errorf("%s: %w", a.config, err)
	}
	return p, filepath.Dir(a.config), nil
}

// runBuild makes the tables of the project file, showing how far it is.
func (a *app) runBuild(ctx context.Context, o build.Options) (*spec.Project, *build.Summary, error) {
	p, dir, err := a.features()
	if err != nil {
		return nil, nil, err
	}
	var wait func()
	o.Dir, o.Now = dir, time.Now().UnixMicro()
	o.Progress, wait = a.progress()
	defer wait()
	sum, err := build.Run(ctx, p, o)
	return p, sum, err
}

func (a *app) buildFeatures(ctx context.Context, o build.Options) error {
	_, sum, err := a.runBuild(ctx, o)
	if errors.Is(err, build.ErrChanged) || errors.Is(err, build.ErrEarlier) {
		return fmt.Errorf("%w: %w", errNo, err)
	}
	if err != nil {
		return err
	}
	for _, e := range sum.Excluded {
		a.say("%s", e)
	}
	for _, m := range sum.Models {
		if m.Late > 0 {
			a.say("%s: %d moments before the last build came to be known too late for it: rows are final, --rebuild makes theirs", m.Name, m.Late)
		}
	}
	if a.json {
		return a.printJSON(sum)
	}
	rows := [][]string{{"model", "rows", "added", "columns", "yes", "no", "open"}}
	for _, m := range sum.Models {
		rows = append(rows, []string{m.Name, fmt.Sprint(m.Rows), fmt.Sprint(m.Added), fmt.Sprint(m.Columns), fmt.Sprint(m.Labels.Yes), fmt.Sprint(m.Labels.No), fmt.Sprint(m.Labels.Open)})
		if m.Rows == 0 {
			a.say("%s: no account has a moment: look at its moments and at while in the project file", m.Name)
		}
	}
	a.table(rows)
	a.say("as of %s, in %s", datasets.FormatTime(sum.AsOf), strings.TrimSuffix(o.Out, "/"))
	return nil
}
