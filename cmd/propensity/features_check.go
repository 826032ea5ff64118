package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"propensity/features/check"
)

func (a *app) featuresCheckCommand() *cobra.Command {
	var asOf string
	c := &cobra.Command{
		Use:   "check",
		Short: "Hold the sources against what is asked of them",
		Long: `Read the sources of the project file and say what is the matter with them, with
counts and examples. Asked of every source: that its files are there and have the same
columns, of the right types; that records have an account, that accounts know of, and a
time, not before 1990, nor in the future, nor before the account signed up; that
intervals do not end before they start; which records repeat or correct others, arrive
late or before they occurred, overlap, or are in several currencies. Besides, what
checks: in the project file asks: unique, required, ranges, values, fresh, late,
references, after, agree.

An error is a broken contract, a source that cannot be read as the project says, or a
fault of all its records; a warning is records that features build leaves out, or that
contradict others; a note may well be meant.

Exit code 3: there are errors.`,
		Example: `  propensity features check
  propensity features check --json | jq '.sources[].findings[] | select(.severity == "error")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			now, err := timeFlag("--as-of", asOf, 0)
			if err != nil {
				return err
			}
			if now == 0 {
				now = time.Now().UnixMicro()
			}
			return a.checkFeatures(c.Context(), now)
		},
	}
	c.Flags().StringVar(&asOf, "as-of", "", "`time` that counts as now, 2006-01-02 or 2006-01-02T15:04:05Z")
	return c
}

func (a *app) checkFeatures(ctx context.Context, now int64) error {
	p, dir, err := a.features()
	if err != nil {
		return err
	}
	tick, wait := a.progress()
	report, err := check.Run(ctx, p, check.Options{Dir: dir, Now: now, Progress: bytesTick(tick)})
	wait()
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(report)
	} else {
		err = report.WriteText(a.stdout)
	}
	if err == nil && report.Errors > 0 {
		return fmt.Errorf("%w: the sources of %s have %d errors", errNo, a.config, report.Errors)
	}
	return err
}
