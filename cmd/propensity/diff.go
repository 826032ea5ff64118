package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/diff"
	"propensity/models/registry"
	"propensity/models/stream"
)

// diffOptions are the flags of models diff.
type diffOptions struct {
	data, format, asOf string
	missing            []string
	most               int
	allowMissing       bool
}

// compared is what models diff tells.
type compared struct {
	Before string `json:"before"` // churn@7
	After  string `json:"after"`
	*diff.Diff
}

func (a *app) diffCommand() *cobra.Command {
	var o diffOptions
	c := &cobra.Command{
		Use:   "diff MODEL@VERSION MODEL@VERSION",
		Short: "Show what differs between two versions, and whose score moved",
		Long: `Show what differs between two versions: the data learnt from, the columns, the spec,
the quality, the gate, what the model looks at and the bands; and, on a table given with
--data, which accounts' probability moved most and why, and who changes band.`,
		Example: `  propensity models diff churn@7 churn@8
  propensity models diff churn@champion churn@8 --data accounts.parquet --most 20`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return a.diff(c.Context(), args[0], args[1], o) },
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "`file` with rows to score by both; - is stdin")
	f.StringVar(&o.format, "format", "", "`format` of the file, if its name does not tell: csv, parquet, arrow, arrows, ndjson")
	f.StringVar(&o.asOf, "as-of", "", "the `moment` of all rows where the table has none (default: now)")
	f.IntVar(&o.most, "most", 10, "`number` of rows to show of those that moved most")
	f.BoolVar(&o.allowMissing, "allow-missing", false, "take columns that the table lacks as missing")
	f.StringSliceVar(&o.missing, "missing", nil, "`texts` that mean a missing value in every column")
	return c
}

func (a *app) diff(ctx context.Context, before, after string, o diffOptions) error {
	var refs [2]registry.Ref
	for k, name := range []string{before, after} {
		ref, err := registry.ParseRef(name)
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		refs[k] = ref
	}
	if o.most < 0 {
		return fmt.Errorf("%w: --most %d is negative", errUsage, o.most)
	}
	asOf, err := timeFlag("--as-of", o.asOf, time.Now().UnixMicro())
	if err != nil {
		return err
	}
	format, err := parseFormat("--format", o.format)
	if err != nil {
		return err
	}
	var sides [2]diff.Side
	for k := range refs {
		if sides[k].Scorer, refs[k], err = a.open().Load(refs[k]); err != nil {
			return err
		}
	}
	c := compared{refs[0].String(), refs[1].String(), diff.Compare(sides[0].Scorer.Artifact(), sides[1].Scorer.Artifact())}
	if o.data != "" {
		if c.Scores, err = a.diffScores(ctx, sides, format, asOf, o); err != nil {
			return inFile(o.data, err)
		}
	}
	if a.json {
		return a.printJSON(c)
	}
	a.showDiff(&c)
	return nil
}

// diffScores scores a table by both, each reading it in its own way.
func (a *app) diffScores(ctx context.Context, sides [2]diff.Side, format datasets.Format, asOf int64, o diffOptions) (*diff.Scores, error) {
	if o.data == "-" {
		return nil, fmt.Errorf("%w: --data is read twice, as each version wants it, and stdin cannot be: name a file", errUsage)
	}
	var accounts []string
	for k := range sides {
		s := &sides[k]
		m := &s.Scorer.Artifact().Manifest
		var err error
		if s.Table, err = a.readTable(ctx, o.data, datasets.ReadOptions{Format: format, Kinds: stream.Kinds(s.Scorer, stream.Options{}), Missing: o.missing}); err != nil {
			return nil, err
		}
		if err := lacks(s.Scorer, s.Table.Names(), o.allowMissing); err != nil {
			return nil, err
		}
		s.Moments = make([]int64, s.Table.Rows())
		column := s.Table.Column(m.Moment)
		for i := range s.Moments {
			s.Moments[i] = asOf
			if column != nil {
				if s.Moments[i] = column.Times[i]; s.Moments[i] == datasets.MissingTime {
					return nil, fmt.Errorf("row %d has no moment in %q", i+1, m.Moment)
				}
			}
		}
		if id := s.Table.Column(m.Account); id != nil {
			accounts = make([]string, id.Len())
			for i := range accounts {
				accounts[i] = id.At(i).String()
			}
		}
	}
	return diff.CompareScores(sides[0], sides[1], accounts, o.most)
}

// showDiff prints what differs for people.
func (a *app) showDiff(c *compared) {
	a.print("%s and %s", c.Before, c.After)
	if c.Identical {
		a.print("the same to the bit")
		a.showMoves(c)
		return
	}
	if c.SameData {
		a.print("learnt from the same table")
	}
	a.showFields("data", c, c.Data)
	a.showFields("spec", c, c.Spec)
	a.showColumns(c)
	a.print("")
	rows := [][]string{{"quality", c.Before, c.After, ""}}
	for _, f := range c.Quality {
		apart := ""
		if f.Apart {
			apart = "APART"
		}
		rows = append(rows, []string{f.Name, interval(f.Before), interval(f.After), apart})
	}
	a.table(rows)
	if !c.SameRows {
		a.print("each was judged on rows of its own; where a gate has a check of the champion, that compares on the same ones")
	}
	for k, g := range []struct {
		name string
		gate bool
	}{{c.Before, c.Gate.Before.Passed}, {c.After, c.Gate.After.Passed}} {
		checks := c.Gate.Before.Checks
		if k == 1 {
			checks = c.Gate.After.Checks
		}
		a.print("")
		a.print("gate of %s: %s", g.name, map[bool]string{true: "passed", false: "NOT passed"}[g.gate])
		for _, check := range checks {
			a.print("  %s %s: %s", map[bool]string{true: "pass", false: "FAIL"}[check.Passed], check.Name, check.Detail)
		}
	}
	if len(c.Drivers) > 0 {
		a.print("")
		rows = [][]string{{"looks at", c.Before, c.After, "moved by"}}
		for _, d := range c.Drivers {
			rows = append(rows, []string{d.Feature, fmt.Sprintf("%.1f %%", 100*d.Before), fmt.Sprintf("%.1f %%", 100*d.After), fmt.Sprintf("%+.1f", 100*(d.After-d.Before))})
		}
		a.table(rows)
	}
	a.print("")
	rows = [][]string{{"band", "from", "", "observed", ""}, {"", c.Before, c.After, c.Before, c.After}}
	for _, b := range c.Bands {
		row := []string{b.Name, "", "", "", ""}
		if b.Before != nil {
			row[1], row[3] = fmt.Sprintf("%.1f %%", 100*b.Before.From), observed(b.Before)
		}
		if b.After != nil {
			row[2], row[4] = fmt.Sprintf("%.1f %%", 100*b.After.From), observed(b.After)
		}
		rows = append(rows, row)
	}
	a.table(rows)
	a.showMoves(c)
}

// observed is what came true in a band, if there was anything in it.
func observed(b *models.Band) string {
	if b.Rows == 0 {
		return "no rows"
	}
	return percents(b.Rate)
}

func (a *app) showFields(title string, c *compared, fields []diff.Field) {
	if len(fields) == 0 {
		return
	}
	a.print("")
	rows := [][]string{{title, c.Before, c.After}}
	for _, f := range fields {
		before, after := f.Before, f.After
		if f.Name == "fingerprint" {
			before, after = abbreviated(before), abbreviated(after)
		}
		rows = append(rows, []string{f.Name, orDash(before), orDash(after)})
	}
	a.table(rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return strings.ReplaceAll(s, "\n", " ")
}

// showColumns prints a line per column.
func (a *app) showColumns(c *compared) {
	if len(c.Columns) == 0 {
		return
	}
	a.print("")
	rows := [][]string{{"column", "", ""}}
	for _, column := range c.Columns {
		var parts []string
		if column.Reason != "" {
			parts = append(parts, "the other left it out: "+column.Reason)
		}
		for _, f := range column.Fields {
			parts = append(parts, fmt.Sprintf("%s %s to %s", f.Name, orDash(f.Before), orDash(f.After)))
		}
		if n := len(column.LevelsAdded); n > 0 {
			parts = append(parts, "new: "+someOf(column.LevelsAdded))
		}
		if n := len(column.LevelsRemoved); n > 0 {
			parts = append(parts, "gone: "+someOf(column.LevelsRemoved))
		}
		rows = append(rows, []string{column.Name, column.Change, strings.Join(parts, "; ")})
	}
	a.table(rows)
}

// someOf lists the first few texts.
func someOf(texts []string) string {
	const few = 5
	out := make([]string, 0, few)
	for _, t := range texts[:min(len(texts), few)] {
		out = append(out, strconv.Quote(t))
	}
	if n := len(texts) - few; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(out, ", "), n)
	}
	return strings.Join(out, ", ")
}

// showMoves prints whose score moved.
func (a *app) showMoves(c *compared) {
	s := c.Scores
	if s == nil {
		return
	}
	a.print("")
	a.print("%d rows: mean probability %.2f %% before, %.2f %% after; a row moves by %.2f points on average, %d rows not at all",
		s.Rows, 100*s.MeanBefore, 100*s.MeanAfter, 100*s.MeanMove, s.Same)
	a.print("")
	rows := [][]string{append([]string{"rows by band: " + c.Before + " down, " + c.After + " across"}, s.BandsAfter...)}
	for k, name := range s.BandsBefore {
		row := []string{name}
		for _, n := range s.Bands[k] {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	a.table(rows)
	if len(s.Moved) == 0 {
		return
	}
	a.print("")
	rows = [][]string{{"moved most", "before", "after", "points", "band", "because of (points before, after)"}}
	for _, m := range s.Moved {
		name := m.Account
		if name == "" {
			name = "row " + strconv.Itoa(m.Row)
		}
		var why []string
		for _, w := range m.Why {
			why = append(why, fmt.Sprintf("%s (%+.1f, %+.1f)", w.Feature, w.Before, w.After))
		}
		band := m.BandBefore
		if m.BandAfter != band {
			band += " to " + m.BandAfter
		}
		rows = append(rows, []string{name, fmt.Sprintf("%.1f %%", 100*m.Before), fmt.Sprintf("%.1f %%", 100*m.After),
			fmt.Sprintf("%+.1f", 100*(m.After-m.Before)), band, strings.Join(why, ", ")})
	}
	a.table(rows)
}
