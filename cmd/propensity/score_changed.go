package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/stream"
)

// changedOptions say how the scores of a run are held against the last one, and laid out
// for a CRM.
type changedOptions struct {
	last, whole   string
	only, dryRun  bool
	by            float64
	limits        stream.Limits
	force         bool
	crm           stream.CRM
	crmFields     []string
	lastFormat    string
	lastFormatted datasets.Format
}

func (o *changedOptions) describe(f *pflag.FlagSet) {
	f.StringVar(&o.last, "last", "", "`file` of the scores of the last run: says what has changed since")
	f.StringVar(&o.lastFormat, "last-format", "", "`format` of --last, if its name does not tell")
	f.BoolVar(&o.only, "changed-only", false, "write only the rows of accounts that are new, or in another band than in --last")
	f.Float64Var(&o.by, "changed-by", 0, "also write rows whose probability has moved by this much, 0 to 1 (default: the band alone counts)")
	f.StringVar(&o.whole, "whole", "", "`file` for all rows too, the next run's --last")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and write nothing")
	f.Float64Var(&o.limits.Changed, "max-changed", stream.DefaultLimits().Changed, "share of the accounts that may change their band; beyond it nothing is written")
	f.Float64Var(&o.limits.Shift, "max-shift", stream.DefaultLimits().Shift, "how far the mean probability may move; beyond it nothing is written")
	f.BoolVar(&o.force, "force", false, "write even so")
	f.StringVar(&o.crm.Kind, "crm", "", "lay the scores out for `salesforce` (Bulk API 2.0) or hubspot (batch upsert); --out is a new directory")
	f.StringVar(&o.crm.ID, "crm-id", "", "`field` of the CRM that the account's id is in: an external id, a unique property")
	f.StringSliceVar(&o.crmFields, "crm-field", nil, "fields of the CRM: `what=field`, such as probability=Churn_Probability__c")
}

// check reads what is still text, and finds flags that need others.
func (o *changedOptions) check(out string) (err error) {
	if o.lastFormatted, err = parseFormat("--last-format", o.lastFormat); err != nil {
		return err
	}
	switch {
	case o.last == "" && (o.only || o.dryRun || o.by != 0):
		return fmt.Errorf("%w: --changed-only, --changed-by and --dry-run compare with the scores of an earlier run: name them with --last", errUsage)
	case !(o.by >= 0 && o.by <= 1) || !(o.limits.Changed >= 0 && o.limits.Changed <= 1) || !(o.limits.Shift >= 0 && o.limits.Shift <= 1):
		return fmt.Errorf("%w: --changed-by, --max-changed and --max-shift are 0 to 1", errUsage)
	case o.crm.Kind == "" && (o.crm.ID != "" || len(o.crmFields) > 0):
		return fmt.Errorf("%w: --crm-id and --crm-field are for --crm", errUsage)
	case o.crm.Kind == "":
		return nil
	case out == "-":
		return fmt.Errorf("%w: --crm writes files: name a new directory with --out", errUsage)
	}
	for _, text := range o.crmFields {
		from, to, _ := strings.Cut(text, "=")
		o.crm.Fields = append(o.crm.Fields, stream.CRMField{From: from, To: to})
	}
	if err := o.crm.Check(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

// outputs are what a run writes: the sink of its rows, and the files behind it.
type outputs struct {
	stream.Sink
	files   []stream.Output
	changes *stream.Changes
}

// outputs opens the files of a run.
func (a *app) outputs(s *models.Scorer, o *scoreOptions, f datasets.Format) (*outputs, error) {
	c := &o.changedOptions
	out := &outputs{}
	var last *stream.Last
	if c.last != "" {
		var err error
		if last, err = stream.ReadLast(c.last, datasets.ReadOptions{Format: c.lastFormatted}); err != nil {
			return nil, err
		}
	}
	var rows stream.Both
	open := func(one stream.Output, err error) (stream.Output, error) {
		if err != nil {
			out.Abort()
			return nil, err
		}
		out.files = append(out.files, one)
		return one, nil
	}
	var chosen stream.Sink
	if !c.dryRun {
		one, err := open(a.scoresOut(o, f))
		if err != nil {
			return nil, err
		}
		if chosen = one; last == nil || !c.only {
			rows, chosen = append(rows, one), nil
		}
		if c.whole != "" {
			if one, err = open(a.sink(c.whole, 0)); err != nil {
				return nil, err
			}
			rows = append(rows, one)
		}
	}
	if last != nil {
		out.changes = stream.NewChanges(last, s.Artifact().Manifest.BandNames(), c.by, chosen)
		rows = append(rows, out.changes)
	}
	out.Sink = rows
	return out, nil
}

func (a *app) scoresOut(o *scoreOptions, f datasets.Format) (stream.Output, error) {
	if o.crm.Kind != "" {
		return stream.NewCRMFiles(o.out, &o.crm)
	}
	return a.sink(o.out, f)
}

// Commit puts the files under their names, unless the scores have jumped.
func (out *outputs) Commit(o *changedOptions) (*stream.Comparison, error) {
	var c *stream.Comparison
	if out.changes != nil {
		c = out.changes.Comparison()
		if err := c.Check(o.limits); err != nil && !o.force {
			out.Abort()
			return c, fmt.Errorf("%w: %w since %s: nothing was written; look at the table and the pipe that made it, and --force it if that is how things are", errNo, err, o.last)
		}
	}
	for i, one := range out.files {
		if err := one.Commit(); err != nil {
			for _, left := range out.files[i+1:] {
				left.Abort()
			}
			return c, err
		}
	}
	return c, nil
}

// Abort leaves nothing behind.
func (out *outputs) Abort() {
	for _, one := range out.files {
		one.Abort()
	}
}

// showComparison tells people what has changed.
func (a *app) showComparison(o *changedOptions, c *stream.Comparison) {
	a.say("since %s: %d accounts move up, %d move down, %d stay in their band, %d are new, %d are gone", o.last, c.Up, c.Down, c.Same, c.New, c.Gone)
	left, entered := 0, 0
	for _, m := range c.Moves {
		if m.From == "A" {
			left += m.Accounts
		}
		if m.To == "A" {
			entered += m.Accounts
		}
		a.say("  %s to %s: %d", m.From, m.To, m.Accounts)
	}
	a.say("  %d leave band A, %d come into it; mean probability %.4f, then %.4f", left, entered, c.Before, c.After)
	switch {
	case o.dryRun:
		a.say("  nothing was written: %d rows would be as changed", c.Chosen)
	case o.only:
		a.say("  %d rows were written", c.Chosen)
	}
}

// jumped says whether scores were held back, and not for a failure.
func jumped(err error) bool { return errors.Is(err, stream.ErrJump) }
