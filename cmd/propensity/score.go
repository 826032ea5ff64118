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
	"propensity/models"
	"propensity/models/registry"
	"propensity/models/stream"
)

// scoreOptions are the flags of the score command.
type scoreOptions struct {
	in, out             string
	inFormat, outFormat string
	asOf                string
	missing             []string
	facts               bool
	stream.Options
	changedOptions
}

func (a *app) scoreCommand() *cobra.Command {
	var o scoreOptions
	c := &cobra.Command{
		Use:   "score MODEL[@VERSION|@ALIAS]",
		Short: "Score every row of a table into another file",
		Long: `Score every row of a table, file to file, in bounded memory and in the order of
the rows: account, probability, score, percentile, band, reasons and warnings.
The output appears under its name only when it is whole.

With --facts the rows are made of the facts that the project file names, by the features
that the version learnt with: of the accounts that the model is about at --as-of (the
newest arrival).

With --last the scores are held against those of an earlier run: how many accounts move
up or down, leave band A or come into it. If more than --max-changed of them change their
band, or the mean probability moves by more than --max-shift, nothing is written and the
exit code is 3.`,
		Example: `  propensity score churn@champion --in accounts.parquet --out scores.csv
  cat accounts.ndjson | propensity score churn --in - --out - --out-format ndjson
  propensity score churn@7 --in accounts.csv.gz --out scores.parquet --reasons 3
  propensity score churn --facts --out scores.csv
  propensity score churn --in accounts.csv --last monday.csv --changed-only --out changed.csv --whole tuesday.csv
  propensity score churn --in accounts.csv --last monday.csv --dry-run
  propensity score churn --in accounts.csv --out crm --crm salesforce --crm-id Account_Key__c --crm-field probability=Churn__c,reasons=Churn_Why__c`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.score(c.Context(), args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.in, "in", "-", "`file` to score; - is stdin")
	f.BoolVar(&o.facts, "facts", false, "score the accounts of the project file, from its sources")
	c.MarkFlagsMutuallyExclusive("facts", "in")
	f.StringVar(&o.out, "out", "-", "`file` to write; - is stdout")
	f.StringVar(&o.inFormat, "in-format", "", "`format` of the input, if its name does not tell: csv, parquet, arrow, arrows, ndjson")
	f.StringVar(&o.outFormat, "out-format", "", "`format` of the output, if its name does not tell (stdout: csv)")
	f.IntVar(&o.Reasons, "reasons", 3, "`number` of reasons a row")
	f.StringVar(&o.asOf, "as-of", "", "the `moment` of all rows where the table has none (default: now)")
	f.BoolVar(&o.AllowMissing, "allow-missing", false, "take columns that the table lacks as missing")
	f.StringVar(&o.Account, "account", "", "`column` of the account (default: that of the training table)")
	f.StringSliceVar(&o.missing, "missing", nil, "`texts` that mean a missing value in every column")
	o.describe(f)
	return c
}

func (a *app) score(ctx context.Context, name string, o scoreOptions) error {
	ref, err := registry.ParseRef(name)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.Reasons < 0 {
		return fmt.Errorf("%w: --reasons %d is negative", errUsage, o.Reasons)
	}
	if err := o.check(o.out); err != nil {
		return err
	}
	if o.AsOf, err = timeFlag("--as-of", o.asOf, time.Now().UnixMicro()); err != nil {
		return err
	}
	inFormat, err := parseFormat("--in-format", o.inFormat)
	if err != nil {
		return err
	}
	outFormat, err := parseFormat("--out-format", o.outFormat)
	if err != nil {
		return err
	}
	scorer, ref, err := a.open().Load(ref)
	if err != nil {
		return err
	}
	o.Model, o.Version = ref.Name, ref.Version
	display := a.stages()
	defer display.wait()
	if o.facts {
		return a.scoreFacts(ctx, scorer, ref, &o, outFormat, display)
	}
	read := datasets.ReadOptions{Format: inFormat, Kinds: stream.Kinds(scorer, o.Options), Missing: o.missing}
	var all []string
	if all, read.Columns, err = a.needed(o.in, read); err != nil {
		return err
	}
	read.Progress = bytesTick(display.tick)
	in, err := a.source(ctx, o.in, read)
	if err != nil {
		return err
	}
	defer in.Close()
	if all == nil {
		all = in.Columns()
	}
	return a.scoreRows(ctx, scorer, ref, pruned{in, all}, &o, outFormat, display)
}

// scoreRows scores what a source gives.
func (a *app) scoreRows(ctx context.Context, scorer *models.Scorer, ref registry.Ref, in stream.Source, o *scoreOptions, f datasets.Format, display *stages) error {
	out, err := a.outputs(scorer, o, f)
	if err != nil {
		return err
	}
	sum, err := stream.Run(ctx, scorer, in, out, o.Options, func(rows int) { display.count("score", rows) })
	if err != nil {
		out.Abort()
		return inFile(o.in, err)
	}
	comparison, err := out.Commit(&o.changedOptions)
	if err != nil && !jumped(err) {
		return err
	}
	display.wait()
	if a.json && (o.out != "-" || o.dryRun) {
		return errors.Join(a.printJSON(summary{ref.Name, ref.Version, sum, comparison}), err)
	}
	a.showSummary(ref, sum)
	if comparison != nil {
		a.showComparison(&o.changedOptions, comparison)
	}
	return err
}

// timeFlag reads a time; absent if it was left out.
func timeFlag(flag, text string, absent int64) (int64, error) {
	if text == "" {
		return absent, nil
	}
	us, err := datasets.ParseTime(text)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", errUsage, flag, err)
	}
	return us, nil
}

func parseFormat(flag, name string) (datasets.Format, error) {
	if name == "" {
		return 0, nil
	}
	f, err := datasets.ParseFormat(name)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", errUsage, flag, err)
	}
	return f, nil
}

func (a *app) source(ctx context.Context, path string, o datasets.ReadOptions) (*datasets.Reader, error) {
	if path == "-" {
		return datasets.OpenFrom(a.input(ctx), "stdin", o)
	}
	return datasets.Open(path, o)
}

// pruned is a file of which only the needed columns are read.
type pruned struct {
	*datasets.Reader
	columns []string // all of them
}

func (t pruned) Columns() []string { return t.columns }

// needed are the columns of a Parquet file and those among them that a model
// takes, which alone are then read; nil where all are, as in other formats.
func (a *app) needed(path string, o datasets.ReadOptions) (all, needed []string, err error) {
	info, err := os.Stat(path)
	if path == "-" || err != nil || !info.Mode().IsRegular() {
		return nil, nil, nil // what is wrong with it is told when it is read
	}
	c, err := datasets.OpenColumns(path, o)
	if err != nil {
		return nil, nil, nil // likewise, or it is not Parquet
	}
	all = c.Names()
	for _, name := range all {
		if o.Kinds[name] != 0 {
			needed = append(needed, name)
		}
	}
	if needed == nil { // none at all cannot be read
		all = nil
	}
	return all, needed, c.Close()
}

// inFile names the file of an error about its content, unless it does so itself.
func inFile(path string, err error) error {
	if path == "-" {
		path = "stdin"
	}
	if errors.As(err, new(*datasets.ParseError)) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func (a *app) sink(path string, f datasets.Format) (*datasets.Writer, error) {
	if path == "-" {
		if f == 0 {
			f = datasets.CSV
		}
		return datasets.NewWriter(a.stdout, f), nil
	}
	if dir := filepath.Dir(path); !isDir(dir) {
		return nil, fmt.Errorf("--out %s: there is no directory %s; make it first", path, dir)
	}
	return datasets.Create(path, datasets.WriteOptions{Format: f})
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// summary is what --json prints about a run whose scores went to a file.
type summary struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	*stream.Summary
	Changes *stream.Comparison `json:"changes,omitempty"`
}

// showSummary tells people what was done; the result itself is the file.
func (a *app) showSummary(ref registry.Ref, sum *stream.Summary) {
	var bands []string
	if sum.Rows == 0 {
		bands = []string{"there were none"}
	}
	for _, b := range []string{"A", "B", "C", "D", "E"} {
		if n := sum.Bands[b]; n > 0 {
			bands = append(bands, fmt.Sprintf("%s %d", b, n))
		}
	}
	a.say("scored %d rows by %s@%d: %s", sum.Rows, ref.Name, ref.Version, strings.Join(bands, ", "))
	for _, s := range []struct{ state, text string }{
		{"missing", "cells were missing"}, {"unseen", "cells hold a category never seen in training"},
		{"out_of_range", "cells are beyond the training range"}, {"empty", "cells are empty text"},
	} {
		if n := sum.States[s.state]; n > 0 {
			a.say("  %d %s", n, s.text)
		}
	}
	if len(sum.Absent) > 0 {
		a.say("  columns taken as missing: %s", strings.Join(sum.Absent, ", "))
	}
	if len(sum.Ignored) > 0 {
		a.say("  columns the model does not know: %s", strings.Join(sum.Ignored, ", "))
	}
}
