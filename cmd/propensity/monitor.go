package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
	"propensity/models/stream"
	"propensity/serve/ledger"
	"propensity/serve/monitor"
)

// monitorOptions are the flags of the monitor command.
type monitorOptions struct {
	address, since, data, format string
	missing                      []string
	allowMissing                 bool
}

func (a *app) monitorCommand() *cobra.Command {
	var o monitorOptions
	c := &cobra.Command{
		Use:   "monitor MODEL",
		Short: "Say whether a model still sees what it was trained for",
		Long: `Judge a version by the scores it gave, or by the rows of a table: whether columns or
probabilities have moved beyond chance and by enough to matter, what quality is to be
expected, and what the outcomes say that were reported. The verdict is a word:

  fine          nothing has moved enough to matter
  wait          there is too little to tell
  fix_the_pipe  a column is missing, unseen, empty, in another unit or constant
  retrain       the world has moved, or a promise was broken

It exits with 0 for fine and wait, and with 3 for the others: fit for a scheduler.`,
		Example: `  propensity monitor churn
  propensity monitor churn@challenger --since 30d --json
  propensity monitor churn --data accounts.parquet`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.monitor(c.Context(), args[0], o) },
	}
	f := c.Flags()
	ledgerFlag(f, &o.address)
	f.StringVar(&o.since, "since", "7d", "how far back scores are looked at, such as `7d`")
	f.StringVar(&o.data, "data", "", "`file` with a table to judge instead of a ledger; - for stdin")
	f.StringVar(&o.format, "format", "", "`format` of the table, if its name does not tell: csv, parquet, arrow, arrows, ndjson")
	f.BoolVar(&o.allowMissing, "allow-missing", false, "take columns that the table lacks as missing")
	f.StringSliceVar(&o.missing, "missing", nil, "`texts` that mean a missing value in every column")
	return c
}

func (a *app) monitor(ctx context.Context, name string, o monitorOptions) error {
	ref, err := registry.ParseRef(name)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	window, err := parseDays(o.since)
	if err != nil {
		return fmt.Errorf("%w: --since: %w", errUsage, err)
	}
	scorer, ref, err := a.open().Load(ref)
	if err != nil {
		return err
	}
	shape := monitor.NewShape(ref.Name, ref.Version, scorer)
	var r *monitor.Report
	if o.data != "" {
		r, err = a.monitorTable(ctx, scorer, shape, o)
	} else {
		r, err = a.monitorLedger(ctx, scorer, shape, o.address, window)
	}
	if err != nil {
		return err
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		a.showMonitor(r)
	}
	if r.Verdict == monitor.FixPipe || r.Verdict == monitor.Retrain {
		return fmt.Errorf("%w: %s version %d: %s", errNo, r.Model, r.Version, r.Verdict)
	}
	return nil
}

// monitorLedger judges by the scores of a ledger.
func (a *app) monitorLedger(ctx context.Context, scorer *models.Scorer, shape *monitor.Shape, address string, window time.Duration) (r *monitor.Report, err error) {
	now := time.Now()
	span := monitor.Span{From: now.Add(-window).UnixMicro(), To: now.UnixMicro()}
	// To open a ledger makes it if it is not there, and an empty one has nothing to say.
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok && !strings.Contains(path, "${") {
		if _, err := os.Stat(strings.TrimPrefix(path, "//")); err != nil {
			return nil, fmt.Errorf("--ledger: %w", err)
		}
	}
	db, err := openDatabase(ctx, address)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	l := ledger.Open(db, ledger.Options{})
	defer l.Close() //nolint:errcheck // nothing was recorded
	counted, err := monitor.CountLedger(ctx, l, scorer, shape, span)
	if err != nil {
		return nil, err
	}
	if counted.WithoutRows > 0 {
		// What the servers counted of the same scores tells as much.
		a.say("%d scores were kept without their rows: judged by what the servers counted, hour by hour", counted.WithoutRows)
		if counted.Counts, err = monitor.Open(monitor.Options{Database: db}).Counts(ctx, shape, span); err != nil {
			return nil, err
		}
	}
	const over = 90 * 24 * time.Hour
	settled, err := monitor.ReadOutcomes(ctx, l, shape, monitor.OutcomeQuery{Now: span.To, Horizon: shape.Horizon(), Over: over.Microseconds()})
	if err != nil {
		return nil, err
	}
	return shape.Judge(counted.Counts, span, settled), nil
}

// monitorTable judges by the rows of a table, and by their outcomes if it has them.
func (a *app) monitorTable(ctx context.Context, scorer *models.Scorer, shape *monitor.Shape, o monitorOptions) (*monitor.Report, error) {
	format, err := parseFormat("--format", o.format)
	if err != nil {
		return nil, err
	}
	tick, wait := a.progress()
	defer wait()
	table, err := a.readTable(ctx, o.data, datasets.ReadOptions{
		Format: format, Kinds: stream.Kinds(scorer, stream.Options{}), Missing: o.missing, Progress: bytesTick(tick),
	})
	if err != nil {
		return nil, inFile(o.data, err)
	}
	if err := lacks(scorer, table.Names(), o.allowMissing); err != nil {
		return nil, inFile(o.data, err)
	}
	counts, err := monitor.CountTable(scorer, shape, table, time.Now().UnixMicro())
	if err != nil {
		return nil, inFile(o.data, err)
	}
	var settled *monitor.Settled
	if table.Column(scorer.Artifact().Manifest.Label.Column) != nil {
		rows, err := labelledRows(scorer, table)
		if err != nil {
			return nil, inFile(o.data, err)
		}
		if settled, err = shape.Settle(settledRows(scorer, rows), rows.unlabeled); err != nil {
			return nil, inFile(o.data, err)
		}
	}
	return shape.Judge(counts, monitor.Span{}, settled), nil
}

// settledRows are labelled rows as the monitor takes them.
func settledRows(scorer *models.Scorer, rows *labelled) []monitor.Outcome {
	m := &scorer.Artifact().Manifest
	account := rows.table.Column(m.Account)
	out := make([]monitor.Outcome, len(rows.y))
	for i := range out {
		out[i] = monitor.Outcome{Probability: rows.p[i], Raw: rows.raw[i], Positive: rows.y[i] == 1}
		if account != nil {
			out[i].Account = account.At(i).String()
		}
		for _, b := range m.Bands {
			if rows.p[i] >= b.From {
				out[i].Band = b.Name
				break
			}
		}
	}
	return out
}

// showMonitor shows a judgement to people.
func (a *app) showMonitor(r *monitor.Report) {
	when := ""
	if r.From != "" {
		when = ", from " + r.From + " to " + r.To
	}
	a.print("%s version %d: %d scores%s", r.Model, r.Version, r.Scores, when)
	a.print("%s: %s", r.Verdict, r.Detail)
	for _, f := range r.Findings {
		if f.Verdict != r.Verdict {
			a.print("also: %s", f.Detail)
		}
	}
	for _, remark := range r.Remarks {
		a.print("note: %s", remark)
	}
	if r.Scores == 0 {
		return
	}
	a.print("")
	rows := [][]string{{"column", "importance", "missing", "moved most", "by points", "at least", "p", "PSI"}}
	for i := range r.Columns {
		c := &r.Columns[i]
		missing := ""
		for _, s := range c.States {
			if s.State == "missing" {
				missing = fmt.Sprintf("%.1f %% (%.1f %%)", 100*s.Now, 100*s.Training)
			}
		}
		rows = append(rows, []string{
			c.Name, fmt.Sprintf("%.1f %%", 100*c.Importance), missing, c.Share,
			fmt.Sprintf("%+.1f", 100*c.Moved.Value), fmt.Sprintf("%.1f", 100*c.Sure()), spellP(c.P), fmt.Sprintf("%.3f", c.PSI),
		})
	}
	if s := r.Answers; s != nil {
		rows = append(rows, []string{"(answers)", "", "", s.Share, fmt.Sprintf("%+.1f", 100*s.Moved.Value), fmt.Sprintf("%.1f", 100*s.Sure()), spellP(s.P), fmt.Sprintf("%.3f", s.PSI)})
	}
	a.table(rows)
	if e := r.Expected; e != nil {
		a.print("")
		line := fmt.Sprintf("expected, assuming %s: Brier %.4f, log loss %.4f", e.Assumes, e.Brier, e.LogLoss)
		if e.ROCAUC != nil {
			line += fmt.Sprintf(", ROC AUC %.3f", *e.ROCAUC)
		}
		a.print("%s", line)
		if j := e.Judged; j != nil {
			a.print("when it was judged: Brier %.4f, log loss %.4f, ROC AUC %.3f", j.Brier.Value, j.LogLoss.Value, j.ROCAUC.Value)
		}
	}
	if s := r.Settled; s != nil && s.Scores > 0 {
		a.print("outcomes of %d scores of %d accounts: %.1f %% positive (%.1f to %.1f %%), %.1f %% promised; open: %d", s.Scores, s.Accounts,
			100*s.Observed.Value, 100*s.Observed.Low, 100*s.Observed.High, 100*s.Promised, s.Open)
		for _, b := range s.Bands {
			a.print("  band %s: %d scores, %.1f %% positive (%.1f to %.1f %%), %.1f %% promised", b.Band, b.Scores, 100*b.Observed.Value, 100*b.Observed.Low, 100*b.Observed.High, 100*b.Promised)
		}
	}
}

// spellP spells a chance.
func spellP(p float64) string {
	if p < 0.0001 {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", math.Min(p, 1))
}
