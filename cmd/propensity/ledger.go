package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/serve"
	"propensity/serve/database"
	"propensity/serve/ledger"
)

func (a *app) ledgerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger",
		Short: "What scores were given, and what then happened",
		Long: `A server keeps each score it gives in its ledger (serve --ledger), and each outcome that
is reported to it. These commands bring outcomes in, show the scores of an account, and
write scores, rows and outcomes as a table that train reads.`,
		Example: `  propensity ledger import --model churn --outcomes churned.csv
  propensity ledger settle --model churn
  propensity ledger export --model churn --out scored.parquet --settled-only
  propensity ledger show --account A-17`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.ledgerExportCommand(), a.ledgerImportCommand(), a.ledgerSettleCommand(), a.ledgerShowCommand())
	return c
}

// withLedger opens the ledger at an address for a command.
func (a *app) withLedger(ctx context.Context, address string, do func(l *ledger.Ledger) error) error {
	return a.withDatabase(ctx, address, func(_ *database.DB, l *ledger.Ledger) error { return do(l) })
}

// withDatabase is withLedger with the database that the ledger is in.
func (a *app) withDatabase(ctx context.Context, address string, do func(db *database.DB, l *ledger.Ledger) error) error {
	if address == "off" {
		return fmt.Errorf("%w: --ledger off: there is nothing", errUsage)
	}
	db, err := openDatabase(ctx, address)
	if err != nil {
		return err
	}
	defer db.Close()
	l := ledger.Open(db, ledger.Options{})
	defer l.Close() //nolint:errcheck // nothing was recorded
	return do(db, l)
}

func (a *app) ledgerExportCommand() *cobra.Command {
	var address, out, format, since, until string
	var o ledger.ExportOptions
	c := &cobra.Command{
		Use:   "export --model NAME --out FILE",
		Short: "Write scores, rows and outcomes as a table that train reads",
		Long: `Write the scores of a model that were asked for, or of a job, one a row: account, as_of,
the columns of the row, and outcome (true, false, or missing while it is not known).
Of several scores of an account and a moment, the last. An outcome counts once the horizon
of its score is over. --scores adds what was answered, and the value that came with the outcome, which no
model must learn from.`,
		Example: `  propensity ledger export --model churn --out scored.parquet --settled-only
  propensity train churn --data scored.parquet --id account --time as_of --label outcome`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.ledgerExport(c.Context(), address, out, format, since, until, o)
		},
	}
	f := c.Flags()
	ledgerFlag(f, &address)
	f.StringVar(&o.Model, "model", "", "`name` of the model")
	f.StringVar(&out, "out", "", "`file` to write: Parquet, CSV, Arrow or NDJSON; - is stdout")
	f.StringVar(&format, "out-format", "", "`format` of the output, if its name does not tell (stdout: csv)")
	f.StringVar(&since, "since", "", "scores of this `time` or later, 2006-01-02 or 2006-01-02T15:04:05Z")
	f.StringVar(&until, "until", "", "scores of before this `time`")
	f.BoolVar(&o.SettledOnly, "settled-only", false, "leave out the scores whose outcome is not known")
	f.BoolVar(&o.Scores, "scores", false, "add value, probability, band, version and the like")
	return c
}

func (a *app) ledgerExport(ctx context.Context, address, out, formatName, since, until string, o ledger.ExportOptions) error {
	if o.Model == "" || out == "" {
		return fmt.Errorf("%w: name the model and the file: --model churn --out scored.parquet", errUsage)
	}
	var err error
	if o.Since, err = timeFlag("--since", since, 0); err != nil {
		return err
	}
	if o.Until, err = timeFlag("--until", until, 0); err != nil {
		return err
	}
	format, err := parseFormat("--out-format", formatName)
	if err != nil {
		return err
	}
	return a.withLedger(ctx, address, func(l *ledger.Ledger) error {
		w, err := a.sink(out, format)
		if err != nil {
			return err
		}
		defer w.Abort()
		sum, err := l.Export(ctx, o, w.Write)
		if err != nil {
			return err
		}
		if err := w.Commit(); err != nil {
			return err
		}
		for _, note := range w.Notes() {
			a.say("note: %s", note)
		}
		if sum.Bare > 0 {
			a.say("note: %d scores are left out, whose rows were not kept (--ledger-rows off)", sum.Bare)
		}
		if sum.Nameless > 0 {
			a.say("note: %d scores are left out, which named no account", sum.Nameless)
		}
		if a.json && out != "-" {
			return a.printJSON(sum)
		}
		open := "are among them"
		if o.SettledOnly {
			open = "are left out"
		}
		a.say("%d scores written, %d positive, %d negative; %d whose outcome is not known %s", sum.Rows, sum.Positive, sum.Negative, sum.Open, open)
		drop := ""
		if len(sum.Scores) > 0 {
			drop = " --drop " + strings.Join(sum.Scores, ",")
		}
		a.say("next: propensity train %s --data %s --id %s --time %s --label %s%s", o.Model, out, sum.Account, sum.Moment, sum.Outcome, drop)
		return nil
	})
}

func (a *app) ledgerImportCommand() *cobra.Command {
	var address, path, model, complete string
	c := &cobra.Command{
		Use:   "import --outcomes FILE",
		Short: "Bring outcomes in from a table",
		Long: `Bring outcomes in from a table with the columns account, positive, and occurred_at or
as_of, the moment whose score it settles; id, model and value if there are any. An outcome
that is there changes nothing, one of a known id corrects it: import again at any time.

--complete says that all that happened before a time has been reported: from then on
silence about an account means that it did not happen.`,
		Example: `  propensity ledger import --model churn --outcomes churned.csv --complete 2026-06-01`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.ledgerImport(c.Context(), address, path, model, complete)
		},
	}
	f := c.Flags()
	ledgerFlag(f, &address)
	f.StringVar(&path, "outcomes", "", "`file` with the outcomes: CSV, Parquet, Arrow or NDJSON; - is stdin")
	f.StringVar(&model, "model", "", "`name` of the model, where the table has no column of it")
	f.StringVar(&complete, "complete", "", "`time` before which all outcomes of --model are known")
	return c
}

// imported is what an import did.
type imported struct {
	Outcomes int `json:"outcomes"`
	Added    int `json:"added"`
}

func (a *app) ledgerImport(ctx context.Context, address, path, model, complete string) error {
	until, err := timeFlag("--complete", complete, 0)
	switch {
	case err != nil:
		return err
	case path == "" && complete == "":
		return fmt.Errorf("%w: name the table: --outcomes churned.csv", errUsage)
	case complete != "" && model == "":
		return fmt.Errorf("%w: --complete is of one model: name it (--model)", errUsage)
	}
	var sum imported
	return a.withLedger(ctx, address, func(l *ledger.Ledger) error {
		if path != "" {
			if err := a.importOutcomes(ctx, l, path, model, &sum); err != nil {
				return err
			}
		}
		if complete != "" {
			if err := l.Complete(ctx, model, until); err != nil {
				return err
			}
			a.say("the outcomes of %s are complete until %s", model, datasets.FormatTime(until))
		}
		if a.json {
			return a.printJSON(sum)
		}
		a.print("%d outcomes read, %d of them new", sum.Outcomes, sum.Added)
		return nil
	})
}

func (a *app) importOutcomes(ctx context.Context, l *ledger.Ledger, path, model string, sum *imported) error {
	o := datasets.ReadOptions{Batch: 1000, Kinds: map[string]datasets.Kind{
		"id": datasets.Text, "model": datasets.Text, "account": datasets.Text, "as_of": datasets.Time,
		"occurred_at": datasets.Time, "positive": datasets.Boolean, "value": datasets.Number,
	}}
	r, err := a.source(ctx, path, o)
	if err != nil {
		return err
	}
	defer r.Close()
	have := r.Columns()
	for _, name := range have {
		if _, ok := o.Kinds[name]; !ok {
			a.say("note: column %q is of no outcome and is ignored", name)
		}
	}
	for _, name := range []string{"account", "positive", "model"} {
		if !slices.Contains(have, name) && (name != "model" || model == "") {
			return fmt.Errorf("%s has no column %q: outcomes have account, positive, occurred_at or as_of, and may have id, model and value", path, name)
		}
	}
	for {
		t, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		list, err := outcomesOf(t, model)
		if err != nil {
			return fmt.Errorf("%s: row %d: %w", path, sum.Outcomes+len(list)+1, err)
		}
		added, err := l.AddOutcomes(ctx, list)
		if err != nil {
			return err
		}
		sum.Outcomes += len(list)
		sum.Added += added
	}
}

// outcomesOf reads the outcomes of a table; with an error, those before the faulty one.
func outcomesOf(t *datasets.Table, model string) ([]ledger.Outcome, error) {
	list := make([]ledger.Outcome, 0, t.Rows())
	cell := func(name string, i int) datasets.Value {
		if c := t.Column(name); c != nil {
			return c.At(i)
		}
		return datasets.Value{}
	}
	for i := range t.Rows() {
		o := ledger.Outcome{ID: cell("id", i).Text, Model: cell("model", i).Text, Account: cell("account", i).Text,
			AsOf: datasets.MissingTime, Occurred: datasets.MissingTime, Value: math.NaN()}
		if o.Model == "" {
			o.Model = model
		}
		if v := cell("as_of", i); !v.Missing() {
			o.AsOf = v.Time
		}
		if v := cell("occurred_at", i); !v.Missing() {
			o.Occurred = v.Time
		}
		if v := cell("value", i); !v.Missing() {
			o.Value = v.Number
		}
		positive := cell("positive", i)
		if positive.Missing() {
			return list, fmt.Errorf("%w: it does not say whether it is positive", ledger.ErrOutcome)
		}
		o.Positive = positive.Number != 0
		if err := o.Check(); err != nil {
			return list, err
		}
		list = append(list, o)
	}
	return list, nil
}

func (a *app) ledgerSettleCommand() *cobra.Command {
	var address, model, asOf string
	c := &cobra.Command{
		Use:   "settle --model NAME",
		Short: "Take the outcomes of past scores from the sources of the project file",
		Long: `Answer the question of a model of the project file for each account and moment that was
scored, from its sources, and keep the answers as outcomes of those moments. What is not
settled yet is left for later; what the sources say differently by now corrects the former
answer: settle again at any time.`,
		Example: `  propensity ledger settle --model churn`,
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.ledgerSettle(c.Context(), address, model, asOf) },
	}
	f := c.Flags()
	ledgerFlag(f, &address)
	f.StringVar(&model, "model", "", "`name` of the model in the project file")
	f.StringVar(&asOf, "as-of", "", "`time` up to which the sources are read (default: the newest arrival)")
	return c
}

// settledSum is what settling did.
type settledSum struct {
	Scores  int `json:"scores"`  // moments of accounts that were scored
	Settled int `json:"settled"` // of them, those whose answer is known
	Added   int `json:"added"`   // of them, those that are new
}

func (a *app) ledgerSettle(ctx context.Context, address, model, asOf string) error {
	if model == "" {
		return fmt.Errorf("%w: name the model: --model churn", errUsage)
	}
	until, err := timeFlag("--as-of", asOf, 0)
	if err != nil {
		return err
	}
	p, dir, err := a.features()
	if err != nil {
		return err
	}
	c, err := facts.Read(ctx, p, facts.ReadOptions{Dir: dir, AsOf: until, Now: time.Now().UnixMicro(), Progress: func(int64, int64) {}})
	if err != nil {
		return err
	}
	defer c.Close()
	for _, e := range c.Excluded() {
		a.say("note: %s", e)
	}
	if until == 0 {
		until = c.Newest()
	}
	if err := p.Check(); err != nil { // by now the kinds of all columns are known
		return err
	}
	plan, err := build.Compile(p)
	if err != nil {
		return err
	}
	return a.withLedger(ctx, address, func(l *ledger.Ledger) error {
		var sum settledSum
		for i := range c.Parts() {
			part, err := c.Part(i)
			if err != nil {
				return err
			}
			if err := settlePart(ctx, l, plan, model, part, until, &sum); err != nil {
				return err
			}
		}
		if a.json {
			return a.printJSON(sum)
		}
		a.print("%d moments were scored; of %d the outcome is known, %d of them new", sum.Scores, sum.Settled, sum.Added)
		return nil
	})
}

// settlePart answers for the accounts of a part.
func settlePart(ctx context.Context, l *ledger.Ledger, plan *build.Plan, model string, part *facts.Part, until int64, sum *settledSum) error {
	var at []build.Moment
	for account, id := range part.Accounts {
		scored, err := l.Moments(ctx, id, model)
		if err != nil {
			return err
		}
		for _, moment := range scored {
			at = append(at, build.Moment{Account: account, At: moment})
		}
	}
	if len(at) == 0 {
		return nil
	}
	label, open, err := plan.Labels(model, part, at, until)
	if err != nil {
		return err
	}
	var list []ledger.Outcome
	for i, m := range at {
		sum.Scores++
		if open[i] || label[i] != label[i] {
			continue
		}
		id := part.Accounts[m.Account]
		list = append(list, ledger.Outcome{ID: "sources|" + id + "|" + datasets.FormatTime(m.At), Model: model, Account: id,
			AsOf: m.At, Occurred: datasets.MissingTime, Positive: label[i] == 1, Value: math.NaN()})
	}
	sum.Settled += len(list)
	for some := range slices.Chunk(list, 1000) {
		added, err := l.AddOutcomes(ctx, some)
		if err != nil {
			return err
		}
		sum.Added += added
	}
	return nil
}

func (a *app) ledgerShowCommand() *cobra.Command {
	var address, account string
	var q ledger.Query
	c := &cobra.Command{
		Use:     "show --account ID",
		Short:   "Show the scores of one account, the newest first, and what became of each",
		Example: `  propensity ledger show --account A-17`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if account == "" {
				return fmt.Errorf("%w: name the account: --account A-17", errUsage)
			}
			return a.withLedger(c.Context(), address, func(l *ledger.Ledger) error { return a.ledgerShow(c.Context(), l, account, q) })
		},
	}
	f := c.Flags()
	ledgerFlag(f, &address)
	f.StringVar(&account, "account", "", "`id` of the account")
	f.StringVar(&q.Model, "model", "", "`name` of a model (default: all)")
	f.IntVar(&q.Limit, "limit", 20, "the most scores to show")
	return c
}

func (a *app) ledgerShow(ctx context.Context, l *ledger.Ledger, account string, q ledger.Query) error {
	list, err := l.Scores(ctx, account, q)
	if err != nil {
		return err
	}
	shown := make([]serve.KeptScore, 0, len(list))
	for i := range list {
		shown = append(shown, serve.ShowScore(&list[i]))
	}
	if a.json {
		return a.printJSON(shown)
	}
	if len(list) == 0 {
		return fmt.Errorf("of %q no score is kept", account)
	}
	rows := [][]string{{"at", "model", "as of", "probability", "band", "outcome", "reasons"}}
	for _, s := range shown {
		outcome := "open"
		if s.Settled.Positive != nil {
			outcome = map[bool]string{true: "yes", false: "no"}[*s.Settled.Positive]
		}
		var reasons []string
		for _, r := range s.Reasons {
			reasons = append(reasons, fmt.Sprintf("%s %+.1f", r.Feature, r.Points))
		}
		model := fmt.Sprintf("%s@%d", s.Model, s.Version)
		if s.Origin != ledger.OriginRequest {
			model += " (" + s.Origin + ")"
		}
		rows = append(rows, []string{s.At, model, s.AsOf, fmt.Sprintf("%.4f", s.Probability), s.Band, outcome, strings.Join(reasons, ", ")})
	}
	a.table(rows)
	return nil
}
