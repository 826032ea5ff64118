package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

// showOptions are the flags of features show.
type showOptions struct {
	account, at, model string
	columns            []string
	facts              int
}

func (a *app) featuresShowCommand() *cobra.Command {
	var o showOptions
	c := &cobra.Command{
		Use:   "show",
		Short: "Show one account's row at a moment, each value with the facts behind it",
		Long: `Show the row of an account at a moment: each value with the facts that it is made of,
and those of its source that it is not made of, and why: at or after the moment, not yet
arrived, corrected, before the window, not what is asked for.

With --model only the columns that the model takes are shown, and whether the account is
looked at at that moment.`,
		Example: `  propensity features show --account A-17 --at 2025-03-01
  propensity features show --account A-17 --at 2025-03-01 --model churn --column logins_28d`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.showFeatures(c.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.account, "account", "", "`id` of the account")
	f.StringVar(&o.at, "at", "", "`moment` to look at, 2006-01-02 (midnight in the project's timezone) or 2006-01-02T15:04:05Z (default: now)")
	f.StringVar(&o.model, "model", "", "`name` of a model, to show only what it takes")
	f.StringSliceVar(&o.columns, "column", nil, "`names` of columns (default: all)")
	f.IntVar(&o.facts, "facts", 3, "`number` of facts shown from the first on, and up to the last")
	return c
}

// shownModel says what a model makes of the row.
type shownModel struct {
	Name   string `json:"name"`
	Moment bool   `json:"moment"` // the account is looked at then
	Kept   bool   `json:"kept"`   // the row is of the population
	// Label is 1 or 0; null where the horizon is not over (Open), or where there is no
	// answer.
	Label *float64 `json:"label"`
	Open  bool     `json:"open"`
}

func (a *app) showFeatures(ctx context.Context, o showOptions) error {
	switch {
	case o.account == "":
		return fmt.Errorf("%w: name the account: --account A-17", errUsage)
	case o.facts < 0:
		return fmt.Errorf("%w: --facts %d is negative", errUsage, o.facts)
	}
	p, dir, err := a.features()
	if err != nil {
		return err
	}
	now := time.Now().UnixMicro()
	at := now
	if o.at != "" {
		if at, err = momentOf(o.at, p.Location()); err != nil {
			return fmt.Errorf("%w: --at: %w", errUsage, err)
		}
	}
	wanted, err := shownColumns(p, o)
	if err != nil {
		return err
	}
	collection, err := facts.Read(ctx, p, facts.ReadOptions{Dir: dir, Now: now})
	if err != nil {
		return err
	}
	defer collection.Close()
	part, account, err := partOf(ctx, collection, o.account)
	if err != nil {
		return err
	}
	plan, err := build.Compile(p)
	if err != nil {
		return err
	}
	moment := build.Moment{Account: account, At: at}
	shown, err := plan.Show(part, moment, o.facts)
	if err != nil {
		return err
	}
	shown.Columns = slices.DeleteFunc(shown.Columns, func(c build.ShownColumn) bool { return wanted != nil && !slices.Contains(wanted, c.Name) })
	var model *shownModel
	if o.model != "" {
		if model, err = modelOf(plan, part, moment, o.model, now); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(struct {
			*build.Shown
			Model *shownModel `json:"model,omitempty"`
		}{shown, model})
	}
	a.printShown(shown, model)
	return nil
}

// momentOf reads a day of the project's timezone, or an instant.
func momentOf(text string, zone *time.Location) (int64, error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return t.UnixMicro(), nil
	}
	return datasets.ParseTime(text)
}

// shownColumns are the names to show; nil is all.
func shownColumns(p *spec.Project, o showOptions) ([]string, error) {
	var known, models []string
	for _, x := range p.Outputs() {
		known = append(known, x.Name)
	}
	for _, c := range o.columns {
		if !slices.Contains(known, c) {
			return nil, fmt.Errorf("%w: --column %s: the row has no such column: it has %s", errUsage, c, strings.Join(known, ", "))
		}
	}
	if o.model == "" || o.columns != nil {
		return o.columns, nil
	}
	for i := range p.Models {
		if models = append(models, p.Models[i].Name); p.Models[i].Name == o.model {
			return p.Models[i].Features, nil
		}
	}
	return nil, fmt.Errorf("%w: --model %s: there is no such model made from facts: there are %q", errUsage, o.model, models)
}

// partOf finds the facts of an account.
func partOf(ctx context.Context, c *facts.Collection, account string) (*facts.Part, int, error) {
	for i := range c.Parts() {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		part, err := c.Part(i)
		if err != nil {
			return nil, 0, err
		}
		if k := slices.Index(part.Accounts, account); k >= 0 {
			return part, k, nil
		}
	}
	return nil, 0, fmt.Errorf("there is no account %q in the sources", account)
}

func modelOf(plan *build.Plan, part *facts.Part, at build.Moment, name string, now int64) (*shownModel, error) {
	out := &shownModel{Name: name}
	moments, err := plan.Moments(name, part, now)
	if err != nil {
		return nil, err
	}
	out.Moment = slices.Contains(moments, at)
	row, err := plan.Rows(part, []build.Moment{at})
	if err != nil {
		return nil, err
	}
	keep, err := plan.Keep(name, row)
	if err != nil {
		return nil, err
	}
	out.Kept = keep[0]
	label, open, err := plan.Labels(name, part, []build.Moment{at}, now)
	if err != nil {
		return nil, err
	}
	if out.Open = open[0]; label[0] == label[0] {
		out.Label = &label[0]
	}
	return out, nil
}

// printShown prints a row for people.
func (a *app) printShown(s *build.Shown, m *shownModel) {
	a.print("%s at %s", s.Account, s.Moment)
	if m != nil {
		a.print("model %s: %s", m.Name, m)
	}
	for _, c := range s.Columns {
		a.print("")
		a.print("%s = %s   %s", c.Name, cellText(c.Value), c.Meaning)
		for _, in := range c.Inputs {
			a.print("  %s = %s", in.Name, cellText(in.Value))
		}
		if c.Inputs != nil || c.To == "" {
			continue
		}
		window := "up to " + c.To
		if c.From != "" {
			window = c.From + " to " + c.To
		}
		line := fmt.Sprintf("  %s: %s", window, counted(c.Facts, "fact"))
		if c.Among > 0 {
			line += fmt.Sprintf(" of %d", c.Among)
		}
		if c.Earlier > 0 {
			line += fmt.Sprintf(", and %d in the window before", c.Earlier)
		}
		a.print("%s", line)
		for _, f := range c.First {
			a.print("    %s", factText(f))
		}
		if n := c.Facts - len(c.First) - len(c.Last); n > 0 {
			a.print("    ... %d more", n)
		}
		for _, f := range c.Last {
			a.print("    %s", factText(f))
		}
		for _, x := range c.Excluded {
			a.print("  without %d: %s; the newest: %s", x.Facts, x.Reason, factText(x.Newest))
		}
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (m *shownModel) String() string {
	out := "not one of its moments"
	if m.Moment {
		out = "one of its moments"
	}
	if !m.Kept {
		out += ", outside its population"
	}
	switch {
	case m.Open:
		return out + "; its horizon is not over"
	case m.Label == nil:
		return out + "; there is no answer"
	case *m.Label == 1:
		return out + "; the answer was yes"
	}
	return out + "; the answer was no"
}

// factText spells a fact in one line.
func factText(f build.ShownFact) string {
	words := []string{f.Occurred}
	if f.Ended != "" {
		words[0] += ".." + f.Ended
	}
	names := make([]string, 0, len(f.Values))
	for name := range f.Values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		words = append(words, name+"="+cellText(f.Values[name]))
	}
	if f.Arrived != "" {
		words = append(words, "(arrived "+f.Arrived+")")
	}
	if f.Until != "" {
		words = append(words, "(corrected "+f.Until+")")
	}
	return strings.Join(words, " ")
}
