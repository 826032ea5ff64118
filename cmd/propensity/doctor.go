package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/models"
	"propensity/train"
	"propensity/train/doctor"
)

// examined is what `doctor --json` prints of a table.
type examined struct {
	Name string `json:"name,omitempty"`
	Data string `json:"data"`
	*doctor.Report
	Leaks []models.Leak `json:"leaks,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	var in source
	var table *tableText
	c := &cobra.Command{
		Use:   "doctor [NAME...]",
		Short: "Say whether a table holds enough to learn from, before any training",
		Long: `Say whether a table holds enough to learn from: rows, accounts and positives, the
base rate over time, how well the quality of a model would be known and how many more
positives would halve that, rules of thumb beside it, what is the matter with which
column, and which of them may know the outcome, with the evidence: proven ones are
left out by train, suspects are kept.

With --data the table and its columns are given by flags. Without, the tables of the
models of the project file are examined: of the named ones, or all.

Exit code 3: a table holds too little for any model to be told from luck.`,
		Example: `  propensity doctor --data telco.csv --id customerID --label Churn=Yes
  propensity doctor --json              # every model of propensity.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, names []string) error {
			if in.data == "" {
				sources, err := a.withoutData(c, names)
				if err == nil {
					err = a.made(c.Context(), sources, build.Options{Out: defaultFeatures})
				}
				if err != nil {
					return err
				}
				return a.examineAll(c.Context(), sources)
			}
			if len(names) > 0 {
				return fmt.Errorf("%w: with --data there is no NAME", errUsage)
			}
			in.spec.Name, in.spec.Seed = "table", a.seed // a spec has a name; nothing comes of it
			if err := in.parse(table); err != nil {
				return err
			}
			return a.examineAll(c.Context(), []source{in})
		},
	}
	table = in.describe(c.Flags())
	return c
}

func (a *app) examineAll(ctx context.Context, sources []source) error {
	var all []examined
	var little []string
	for _, in := range sources {
		if err := in.spec.Validate(); err != nil {
			return err
		}
		tick, wait := a.progress()
		t, err := a.read(ctx, in.data, datasets.ReadOptions{Kinds: in.spec.ReadKinds(), Missing: in.missing, Progress: bytesTick(tick)})
		wait()
		if err != nil {
			return err
		}
		for _, note := range t.Notes {
			a.say("note: %s", note)
		}
		r, found, err := train.Examine(ctx, t, in.spec)
		if err != nil {
			return inFile(in.data, err)
		}
		if r.Verdict == doctor.TooLittle {
			little = append(little, in.data)
		}
		all = append(all, examined{in.spec.Name, in.data, r, found})
		if !a.json {
			a.showExamined(&all[len(all)-1])
		}
	}
	if a.json {
		var v any = all
		if len(all) == 1 {
			v = all[0]
		}
		if err := a.printJSON(v); err != nil {
			return err
		}
	}
	if len(little) > 0 {
		return fmt.Errorf("%w: too little to learn from: %s", errNo, strings.Join(little, ", "))
	}
	return nil
}

func (a *app) showExamined(e *examined) {
	r := e.Report
	a.print("%s: %d rows of %d accounts, %d positive: %s", e.Data, r.Rows, r.Accounts, r.Positives, percent(r.BaseRate.Value, r.BaseRate.Low, r.BaseRate.High))
	if r.Unlabelled > 0 {
		a.print("%d more rows have no label", r.Unlabelled)
	}
	a.print("\nverdict: %s", r.Verdict)
	for _, why := range r.Why {
		a.print("  %s", why)
	}
	p := r.Power
	a.print("  a ROC AUC of %v would be known to ±%.3f, judged by %d positive and %d other accounts", p.ROCAUC, p.HalfWidth, p.Positives, p.Negatives)
	if p.ToHalve > 0 {
		by := ""
		if p.By != "" {
			by = ", there by " + p.By + " at the present rate"
		}
		a.print("  %d more positive accounts would halve that%s", p.ToHalve, by)
	}
	if len(r.Periods) > 0 {
		a.print("")
		rows := [][]string{{"from", "rows", "positive", "base rate"}}
		for _, q := range r.Periods {
			rows = append(rows, []string{q.From, fmt.Sprint(q.Rows), fmt.Sprint(q.Positives), percent(q.Rate.Value, q.Rate.Low, q.Rate.High)})
		}
		a.table(rows)
	}
	a.print("")
	rows := [][]string{{"for comparison", "asks for", "here", ""}}
	for _, rule := range r.Rules {
		rows = append(rows, []string{rule.Source, rule.Asks, rule.Has, map[bool]string{true: "met", false: "not met"}[rule.Met]})
	}
	a.table(rows)
	a.print("")
	rows = [][]string{{"column", "kind", "missing", "distinct", "the matter"}}
	for _, c := range r.Columns {
		var matter []string
		for _, f := range c.Findings {
			matter = append(matter, fmt.Sprintf("%s: %s", f.What, f.Detail))
		}
		rows = append(rows, []string{c.Name, c.Kind, fmt.Sprintf("%.1f %%", 100*float64(c.Missing)/float64(r.Rows)), fmt.Sprint(c.Distinct), strings.Join(matter, "; ")})
	}
	a.table(rows)
	if len(e.Leaks) == 0 {
		return
	}
	a.print("\nmay know the outcome")
	for _, l := range e.Leaks {
		what := "suspect, learnt from"
		switch {
		case l.Cleared != "":
			what = l.Verdict + ", cleared: " + l.Cleared
		case !l.Kept:
			what = "proven, left out"
		}
		a.print("%s: %s", l.Column, what)
		for _, v := range l.Evidence {
			a.print("  %s", v.Detail)
		}
	}
}

// percent is a share with its interval.
func percent(x, low, high float64) string {
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*x, 100*low, 100*high)
}
