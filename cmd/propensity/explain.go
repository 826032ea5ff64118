package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
	"propensity/models/stream"
)

// explainOptions are the flags of the explain command.
type explainOptions struct {
	data, format, id, account, at string
	missing                       []string
	reasons                       int
	all, allowMissing             bool
}

func (a *app) explainCommand() *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use:   "explain MODEL[@VERSION|@ALIAS]",
		Short: "Show one account's probability with all its reasons",
		Long: `Show what a model says of one account of a table, and why: the probability, and how
many points of it each value adds or takes, from the reference, the probability at the
average of all log-odds, up to it.

Of several rows of the account the newest moment counts; --at goes back to an earlier
one, --all shows each. Where the table has no moments, --at is the moment (default: now).`,
		Example: `  propensity explain churn@champion --data accounts.parquet --account A-17
  propensity explain churn@7 --data history.csv --account A-17 --at 2026-03-01 --reasons 5 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.explain(c.Context(), args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "`file` with the account; - is stdin")
	f.StringVar(&o.format, "format", "", "`format` of the file, if its name does not tell: csv, parquet, arrow, arrows, ndjson")
	f.StringVar(&o.account, "account", "", "`id` of the account")
	f.StringVar(&o.id, "id", "", "`column` of the account (default: that of the training table)")
	f.StringVar(&o.at, "at", "", "the newest row up to this `moment`; where the table has none, the moment itself")
	f.BoolVar(&o.all, "all", false, "every row of the account")
	f.IntVar(&o.reasons, "reasons", -1, "`number` of reasons, the others in one line (default: all)")
	f.Lookup("reasons").DefValue = "0" // not shown
	f.BoolVar(&o.allowMissing, "allow-missing", false, "take columns that the table lacks as missing")
	f.StringSliceVar(&o.missing, "missing", nil, "`texts` that mean a missing value in every column")
	return c
}

// noTime is no moment at all.
const noTime = datasets.MissingTime

func (a *app) explain(ctx context.Context, name string, o explainOptions) error {
	ref, err := registry.ParseRef(name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case o.data == "":
		return fmt.Errorf("%w: name the table: --data accounts.csv", errUsage)
	case o.account == "":
		return fmt.Errorf("%w: name the account: --account A-17", errUsage)
	case o.reasons < -1:
		return fmt.Errorf("%w: --reasons %d is negative", errUsage, o.reasons)
	}
	at, err := timeFlag("--at", o.at, noTime)
	if err != nil {
		return err
	}
	format, err := parseFormat("--format", o.format)
	if err != nil {
		return err
	}
	scorer, ref, err := a.open().Load(ref)
	if err != nil {
		return err
	}
	if o.id == "" {
		if o.id = scorer.Artifact().Manifest.Account; o.id == "" {
			return fmt.Errorf("%w: %s was trained without a column of accounts: name it with --id", errUsage, ref)
		}
	}
	read := datasets.ReadOptions{Format: format, Kinds: stream.Kinds(scorer, stream.Options{Account: o.id}), Missing: o.missing}
	rows, err := a.accountRows(ctx, scorer, read, o)
	if err != nil {
		return inFile(o.data, err)
	}
	if rows, err = rows.pick(at, o); err != nil {
		return inFile(o.data, err)
	}
	var answers []*models.Answer
	for i := range rows.cells {
		answer := &models.Answer{Account: o.account, Model: ref.Name, Version: ref.Version, AsOf: datasets.FormatTime(rows.moments[i])}
		if err := scorer.Score(answer, rows.cells[i], rows.moments[i], a.reasonsWanted(o)); err != nil {
			return inFile(o.data, fmt.Errorf("row %d: %w", rows.number[i], err))
		}
		answers = append(answers, answer)
	}
	if a.json && o.all {
		return a.printJSON(answers)
	}
	if a.json {
		return a.printJSON(answers[0])
	}
	for i, answer := range answers {
		if i > 0 {
			a.print("")
		}
		a.showAnswer(answer, o.reasons)
	}
	return nil
}

// reasonsWanted are all where people are to see that they add up.
func (a *app) reasonsWanted(o explainOptions) int {
	if a.json {
		return o.reasons
	}
	return -1
}

// accountRows are rows of one account, in the order of the file.
type accountRows struct {
	cells   [][]datasets.Value // in the encoder's order
	moments []int64            // noTime where there is none
	number  []int              // in the file, from 1
	timed   bool               // the table has moments
}

// accountRows finds the rows of an account.
func (a *app) accountRows(ctx context.Context, scorer *models.Scorer, read datasets.ReadOptions, o explainOptions) (*accountRows, error) {
	all, needed, err := a.needed(o.data, read)
	if err != nil {
		return nil, err
	}
	read.Columns = needed
	in, err := a.source(ctx, o.data, read)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if all == nil {
		all = in.Columns()
	}
	if !slices.Contains(all, o.id) {
		return nil, fmt.Errorf("%w: no column %q of accounts", stream.ErrColumns, o.id)
	}
	if err := lacks(scorer, all, o.allowMissing); err != nil {
		return nil, err
	}
	rows, before := &accountRows{}, 0
	for {
		t, err := in.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		rows.add(scorer, t, before, o)
		before += t.Rows()
	}
}

// lacks says which columns the model needs and a table does not have.
func lacks(scorer *models.Scorer, columns []string, allowMissing bool) error {
	var absent []string
	for _, c := range scorer.Encoder().Columns {
		if !slices.Contains(columns, c.Name) {
			absent = append(absent, strconv.Quote(c.Name))
		}
	}
	if len(absent) == 0 || allowMissing {
		return nil
	}
	return fmt.Errorf("%w: the model needs %s; add them, or say that they may be missing (--allow-missing)", stream.ErrColumns, strings.Join(absent, ", "))
}

// add takes the account's rows of one batch.
func (r *accountRows) add(scorer *models.Scorer, t *datasets.Table, before int, o explainOptions) {
	ids, moment := t.Column(o.id), t.Column(scorer.Artifact().Manifest.Moment)
	r.timed = moment != nil
	for i := range t.Rows() {
		if ids.At(i).String() != o.account {
			continue
		}
		var cells []datasets.Value
		for _, c := range scorer.Encoder().Columns {
			cell := datasets.Value{}
			if column := t.Column(c.Name); column != nil {
				cell = column.At(i)
			}
			cells = append(cells, cell)
		}
		at := noTime
		if moment != nil {
			at = moment.Times[i]
		}
		r.cells, r.moments, r.number = append(r.cells, cells), append(r.moments, at), append(r.number, before+i+1)
	}
}

// pick chooses among the rows: all, the newest, or the newest up to a moment.
func (r *accountRows) pick(at int64, o explainOptions) (*accountRows, error) {
	if len(r.cells) == 0 {
		return nil, fmt.Errorf("there is no account %q in column %q", o.account, o.id)
	}
	if !r.timed {
		if at == noTime {
			at = time.Now().UnixMicro()
		}
		if len(r.cells) > 1 && !o.all {
			return nil, fmt.Errorf("account %q has %d rows, the first are %v, and no moment tells the newest: --all shows each", o.account, len(r.cells), r.number[:min(3, len(r.number))])
		}
		for i := range r.moments {
			r.moments[i] = at
		}
		return r, nil
	}
	out, first := &accountRows{}, int64(math.MaxInt64)
	for i, t := range r.moments {
		if t == noTime {
			return nil, fmt.Errorf("row %d of account %q has no moment", r.number[i], o.account)
		}
		if first = min(first, t); at != noTime && t > at {
			continue
		}
		if !o.all {
			if len(out.moments) > 0 && t < out.moments[0] {
				continue
			}
			*out = accountRows{} // of two at one moment the later in the file counts
		}
		out.cells, out.moments, out.number = append(out.cells, r.cells[i]), append(out.moments, t), append(out.number, r.number[i])
	}
	if len(out.cells) == 0 {
		return nil, fmt.Errorf("account %q has no row up to %s: its first is of %s", o.account, datasets.FormatTime(at), datasets.FormatTime(first))
	}
	return out, nil
}

// showAnswer prints an answer for people: the reasons, and that they add up.
func (a *app) showAnswer(answer *models.Answer, most int) {
	a.print("%s by %s@%d, as of %s", answer.Account, answer.Model, answer.Version, answer.AsOf)
	a.print("probability %.2f %%: score %d, band %s, percentile %.4g; the base rate is %.2f %%", 100*answer.Probability, answer.Score, answer.Band, answer.Percentile, 100*answer.BaseRate)
	if answer.Coverage < 1 {
		a.print("known of it: %.0f %% of what the model looks at", 100*answer.Coverage)
	}
	a.print("")
	rows := [][]string{{"points", "feature", "value", "typical", "reason"}, {fmt.Sprintf("%6.2f", 100*answer.Reference), "(reference)", "", "", "where reasons start: the average account"}}
	shown := len(answer.Reasons)
	if most >= 0 {
		shown = min(most, shown)
	}
	rest := 0.0
	for k, r := range answer.Reasons {
		if k >= shown {
			rest += r.Points
			continue
		}
		rows = append(rows, []string{fmt.Sprintf("%+6.2f", r.Points), r.Feature, cellText(r.Value), cellText(r.Typical), r.Text})
	}
	if n := len(answer.Reasons) - shown; n > 0 {
		rows = append(rows, []string{fmt.Sprintf("%+6.2f", rest), fmt.Sprintf("(%d others)", n), "", "", ""})
	}
	rows = append(rows, []string{fmt.Sprintf("%6.2f", 100*answer.Probability), "(probability)", "", "", "the sum, in per cent"})
	a.table(rows)
	for _, w := range answer.Warnings {
		a.print("warning: %s", w.Detail)
	}
}

// cellText is a cell for people.
func cellText(v datasets.Value) string {
	switch {
	case v.Missing():
		return "missing"
	case v.String() == "":
		return `""`
	case v.Kind == datasets.Number:
		return strconv.FormatFloat(v.Number, 'g', 6, 64)
	}
	return v.String()
}
