package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/models"
	"propensity/models/registry"
	"propensity/train"
	"propensity/train/scorecard"
)

// source is where a training table comes from.
type source struct {
	data    string
	missing []string
	spec    train.Spec
	memory  int64  // bytes; a larger table is learnt from column by column; 0: none is
	promote string // gate, always or never
	points  string // file of a scorecard edited by hand
}

func (a *app) trainCommand() *cobra.Command {
	var in source
	var memory, promote, asOf string
	var tables build.Options
	var table *tableText
	var more moreText
	c := &cobra.Command{
		Use:   "train [NAME...]",
		Short: "Train models from a table and publish them",
		Long: `Train a model from a table with a known outcome, judge it on rows that nothing
learnt from, publish it as a new version, and make it champion if it deserves it.

With --data the table and its columns are given by flags, for one NAME. Without,
the models of the project file are trained: the named ones, or all. Those that have
moments are learnt from facts: their tables are made first, or added to, as features
build does.

With --memory, a Parquet table that is larger in memory than that (8 bytes a cell)
is learnt from column by column, by boosting or additive alone; the model is the same
to the bit. Besides the columns at hand, that takes about one byte a cell and 150 bytes a row.

Every version that gives the scores recorded in it is published. Whether it becomes
champion is decided by the gate, or with --promote by you: always or never. The
decision stands in the log with its figures (models log --json, models show).

Columns that are proven to know the outcome are left out, suspects are kept and told:
see doctor, which shows the evidence; --leaks overrules, --drop leaves out.

Exit code 3: the version was published, but the gate refused it the champion alias.
docs/TRAINING.md is the guide.`,
		Example: `  propensity train churn --data telco.csv --id customerID --label Churn=Yes
  propensity train churn --data churn.parquet --id account_id --time moment --horizon 90 --label churned --value mrr
  propensity train                      # every model of propensity.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, names []string) error {
			var err error
			if in.memory, err = parseBytes(memory); err != nil {
				return err
			}
			if tables.AsOf, err = timeFlag("--as-of", asOf, 0); err != nil {
				return err
			}
			if !slices.Contains(promoteModes(), promote) {
				return fmt.Errorf("%w: --promote %q: use %s", errUsage, promote, strings.Join(promoteModes(), ", "))
			}
			in.promote = promote
			if in.data == "" {
				sources, err := a.withoutData(c, names)
				if err == nil {
					err = a.made(c.Context(), sources, tables)
				}
				if err != nil {
					return err
				}
				for i := range sources {
					sources[i].memory, sources[i].promote = in.memory, promote
				}
				return a.trainAll(c.Context(), sources)
			}
			if len(names) != 1 {
				return fmt.Errorf("%w: with --data name the one model to train", errUsage)
			}
			if err := settingFlags(c, in.spec.Boosting, in.spec.Tune); err != nil {
				return err
			}
			in.spec.Name, in.spec.Seed = names[0], a.seed
			if err := in.parse(table); err != nil {
				return err
			}
			if err := more.parse(&in.spec); err != nil {
				return err
			}
			if err := in.readPoints(); err != nil {
				return err
			}
			return a.trainAll(c.Context(), []source{in})
		},
	}
	f := c.Flags()
	table = in.describe(f)
	f.IntVar(&in.spec.Horizon, "horizon", 0, "`days` after the moment that the label looks at")
	f.StringVar(&in.spec.Split, "split", "", "`kind` of split: time, order or group (default: time with --time, else group)")
	f.StringSliceVar(&in.spec.Learners, "learner", nil, "`learners` to try: "+strings.Join(train.LearnerNames(), ", ")+" (default: logistic, boosting)")
	f.StringVar(&in.spec.Penalty, "penalty", "", "`weight` of the L2 penalty of logistic, or none: then its coefficients have standard errors (default: 1)")
	f.IntVar(&in.spec.Boosting.Trees, "trees", 0, "fixed `number` of trees of boosting (default: as many as held-out rows support)")
	f.IntVar(&in.spec.Boosting.Leaves, "leaves", 0, "most `leaves` of a tree of boosting (default: its own)")
	f.Float64Var(&in.spec.Boosting.Rate, "rate", 0, "`share` of each tree's step that boosting takes, above 0, to 1 (default: its own)")
	f.IntVar(&in.spec.Tune, "tune", 0, "try so many settings of boosting, chosen by training rows that are held out (--tune alone: 8)")
	f.Lookup("tune").NoOptDefVal = strconv.Itoa(train.Trials)
	f.IntVar(&in.spec.Backtest, "backtest", 0, "`windows` before the newest to judge the learners in, as they would have done then; -1: none (default: 6 where rows are split by time or order)")
	f.BoolVar(&in.spec.Quick, "quick", false, "leave out the evidence that takes models of its own: backtest, bounds of weights, what the model learnt")
	f.Float64Var(&in.spec.Prior, "prior", 0, "`share` of positives to expect from now on, if not that of the table (0.1 is 10 %)")
	f.IntVar(&in.spec.Capacity, "capacity", 0, "how many `accounts` can be worked each time that all are scored")
	f.StringSliceVar(&in.spec.Segments, "segments", nil, "category `columns` by whose values the model is judged besides (default: those of few values)")
	f.StringVar(&in.points, "scorecard", "", "`file` with a scorecard edited by hand, which --learner scorecard then is (see models points)")
	f.StringVar(&in.spec.Scorecard.Prior, "scorecard-prior", "", "`kind` of prior card that --learner scorecard then is, not learnt, for too few outcomes: churn, conversion or upsell")
	f.StringVar(&promote, "promote", promoteGate, "`when` the new version becomes champion: gate (if it passes it), always or never")
	more.describe(f)
	f.StringVar(&tables.Out, "features", defaultFeatures, "`directory` of the tables that are made from facts (see features build)")
	f.StringVar(&asOf, "as-of", "", "`time` as of which they are made, 2006-01-02 or 2006-01-02T15:04:05Z (default: the newest arrival)")
	f.StringVar(&memory, "memory", "", "`limit`, such as 512MB or 4GB, above which a Parquet table is learnt from column by column")
	f.BoolVar(&in.spec.Refit, "refit", false, "publish the winner fitted again on all rows")
	f.BoolVar(&in.spec.Surrogate, "surrogate", false, "add one small tree that imitates the winner to its card")
	f.BoolVar(&in.spec.Rebands, "rebands", false, "cut the bands anew instead of keeping the champion's")
	f.Float64SliceVar(&in.spec.Bands, "bands", nil, "`probabilities` from which the bands A, B, C ... start, falling, the last 0 (default: the champion's, else percentiles 90, 70, 40, 15)")
	f.Lookup("bands").DefValue = "" // not shown
	return c
}

// tableText is what flags say of a table in a form that is still to be parsed.
type tableText struct {
	label string
	types []string
	leaks []string
}

// describe adds the flags that say what a table holds.
func (in *source) describe(f *pflag.FlagSet) *tableText {
	t := new(tableText)
	f.StringVar(&in.data, "data", "", "`file` with the table: CSV, Parquet, Arrow or NDJSON; - is stdin")
	f.StringVar(&in.spec.ID, "id", "", "`column` of the account")
	f.StringVar(&t.label, "label", "", "`column=value` of the positive outcome; the value may be left out for true/false and 1/0")
	f.StringVar(&in.spec.Time, "time", "", "`column` of the moment: the newest window judges")
	f.StringVar(&in.spec.Value, "value", "", "number `column` with the money at stake")
	f.StringVar(&in.spec.Weight, "weight", "", "number `column`, above 0: how much a row teaches; figures and calibration count each row once")
	f.StringSliceVar(&in.spec.Drop, "drop", nil, "`columns` not to learn from")
	f.StringSliceVar(&t.types, "types", nil, "types set by hand: `column=type` (number, boolean, category, time, text)")
	f.StringArrayVar(&t.leaks, "leaks", nil, "what is no leak, and why: `column=reason`; it is learnt from whatever the court of leaks says")
	f.StringSliceVar(&in.missing, "missing", nil, "`texts` that mean a missing value in every column")
	f.Float64Var(&in.spec.Holdout, "holdout", 0.2, "`share` of the rows that only judge")
	return t
}

// parse takes over what flags say of the table.
func (in *source) parse(t *tableText) (err error) {
	if in.spec.Holdout == 0 { // in a spec, 0 is the default
		return fmt.Errorf("%w: --holdout 0 leaves no row to judge by", errUsage)
	}
	in.spec.Label, in.spec.Positive = parseLabel(t.label)
	if in.spec.Types, err = parseTypes(t.types); err != nil {
		return err
	}
	in.spec.Leaks, err = pairs("leaks", t.leaks)
	return err
}

// settingFlags refuses a 0 that was given: in a spec it is the default.
func settingFlags(c *cobra.Command, b train.BoostingSettings, tune int) error {
	var zero []string
	for _, f := range []struct {
		name string
		zero bool
	}{{"trees", b.Trees == 0}, {"leaves", b.Leaves == 0}, {"rate", b.Rate == 0}, {"tune", tune == 0}} {
		if f.zero && c.Flags().Changed(f.name) {
			zero = append(zero, "--"+f.name)
		}
	}
	if len(zero) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s must be above 0", errUsage, strings.Join(zero, ", "))
}

// tableFlags refuses flags that only count with --data: they would be ignored.
func tableFlags(c *cobra.Command) error {
	var given []string
	for _, name := range []string{"id", "label", "time", "horizon", "value", "drop", "types", "missing", "split", "holdout", "learner", "penalty", "trees", "leaves", "rate", "tune", "refit", "surrogate", "rebands", "bands",
		"weight", "leaks", "backtest", "quick", "prior", "capacity", "segments", "scorecard", "scorecard-prior", "monotone", "together", "questions"} {
		if c.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s only with --data; for the models of the project file write it there", errUsage, strings.Join(given, ", "))
}

// withoutData are models of the project file, where flags say nothing of a table.
func (a *app) withoutData(c *cobra.Command, names []string) ([]source, error) {
	if err := tableFlags(c); err != nil {
		return nil, err
	}
	return a.fromProject(names)
}

// fromProject are models of the project file: the named ones, or all.
func (a *app) fromProject(names []string) ([]source, error) {
	b, err := os.ReadFile(a.config)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: no --data, and no project file %s; name a table with --data, or a file with --config", errUsage, a.config)
	}
	if err != nil {
		return nil, err
	}
	p, err := train.ParseProject(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.config, err)
	}
	all, err := p.Choose(names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.config, err)
	}
	var sources []source
	for _, m := range all {
		m.Spec.Seed = a.seed
		in := source{missing: m.Missing, spec: m.Spec}
		if m.Data != "" {
			in.data = a.besideProject(m.Data)
		}
		if m.Points != "" {
			in.points = a.besideProject(m.Points)
		}
		if err := in.readPoints(); err != nil {
			return nil, err
		}
		sources = append(sources, in)
	}
	return sources, nil
}

// besideProject is a path of the project file, which is relative to it.
func (a *app) besideProject(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(a.config), path)
}

// trainAll trains one model after the other; a gate that says no to one does not
// keep the others from being trained.
func (a *app) trainAll(ctx context.Context, sources []source) error {
	var refused []string
	var results []trained
	var failed error
	for _, in := range sources {
		t, err := a.train(ctx, in)
		if err != nil {
			failed = fmt.Errorf("%s: %w", in.spec.Name, err)
			break
		}
		results = append(results, *t)
		if !t.Promoted && !t.Kept {
			refused = append(refused, fmt.Sprintf("%s@%d", t.Name, t.Version))
		}
		if !a.json {
			a.showTrained(t)
		}
	}
	if a.json && len(results) > 0 {
		var v any = results
		if len(sources) == 1 {
			v = results[0]
		}
		if err := a.printJSON(v); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	if len(refused) > 0 {
		return fmt.Errorf("%w: %s published without becoming champion", errNo, strings.Join(refused, ", "))
	}
	return nil
}

// train trains, publishes and, if the gate lets it, promotes one model.
func (a *app) train(ctx context.Context, in source) (*trained, error) {
	if err := in.spec.Validate(); err != nil {
		return nil, err
	}
	start := time.Now()
	tick, wait := a.progress()
	r, err := a.learn(ctx, in, tick)
	wait()
	if err != nil {
		return nil, err
	}
	t := &trained{
		Name: in.spec.Name, Hash: r.Artifact.Hash(), Seconds: time.Since(start).Seconds(),
		Manifest: &r.Artifact.Manifest, Metrics: &r.Artifact.Metrics, Gate: r.Gate,
	}
	return t, a.publish(ctx, t, r.Files, in)
}

// publish publishes what was trained, unless a version is the same to the bit,
// and makes it champion if the gate, or the caller, lets it.
func (a *app) publish(ctx context.Context, t *trained, files models.Files, in source) error {
	reg := a.open()
	version, err := sameVersion(reg, t.Name, t.Hash)
	if err != nil {
		return err
	}
	t.Version, t.Identical = version, version > 0
	if !t.Identical {
		t.Version, err = reg.Publish(ctx, t.Name, files, registry.Event{Actor: actor(), Note: "trained", Facts: map[string]any{
			"data": filepath.Base(in.data), "seconds": t.Seconds, "go": runtime.Version(), "cpus": runtime.NumCPU(), "gate": t.Gate, "promote": in.promote,
		}})
		if err != nil {
			return err
		}
	}
	t.Kept = in.promote == promoteNever
	if t.Promoted = !t.Kept && (t.Gate.Passed || in.promote == promoteAlways); !t.Promoted {
		return nil
	}
	aliases, err := reg.Aliases(t.Name)
	if err != nil || aliases[registry.Champion] == t.Version {
		return err
	}
	note := "passed the gate of its training"
	if !t.Gate.Passed {
		note = "the gate of its training said no; promoted by --promote always"
	}
	return reg.Promote(ctx, t.Name, t.Version, registry.Champion, registry.Event{Actor: actor(), Note: note})
}

// sameVersion is the version with that hash, 0 if there is none.
func sameVersion(r *registry.Registry, name, hash string) (int, error) {
	versions, err := r.Versions(name)
	if errors.Is(err, registry.ErrNotFound) {
		return 0, nil
	}
	for _, v := range versions {
		if v.Hash == hash {
			return v.Number, nil
		}
	}
	return 0, err
}

// learn reads the table and trains, against the champion in place.
func (a *app) learn(ctx context.Context, in source, tick train.Progress) (*train.Result, error) {
	champion, err := a.champion(in.spec.Name)
	if err != nil {
		return nil, err
	}
	o := datasets.ReadOptions{Kinds: in.spec.ReadKinds(), Missing: in.missing}
	columns, err := apart(in, o)
	if err != nil {
		return nil, err
	}
	var r *train.Result
	if columns != nil {
		a.say("note: %s is larger in memory than --memory: it is learnt from column by column", in.data)
		defer frugal(int64(columns.Rows())*int64(len(columns.Names()))*cellBytes, columns.Rows(), len(columns.Names()))()
		r, err = train.RunColumns(ctx, columns, in.spec, champion, tick)
		err = errors.Join(err, columns.Close())
	} else {
		o.Progress = bytesTick(tick)
		var table *datasets.Table
		if table, err = a.read(ctx, in.data, o); err != nil {
			return nil, err
		}
		if in.data != "-" {
			tick("read", 1, 1)
		}
		for _, note := range table.Notes {
			a.say("note: %s", note)
		}
		defer frugal(bytesOf(table), table.Rows(), len(table.Columns))()
		r, err = train.Run(ctx, table, in.spec, champion, tick)
	}
	if fault := (*scorecard.TableError)(nil); errors.As(err, &fault) {
		return nil, fmt.Errorf("%s: %w", in.points, fault)
	}
	if err != nil {
		return nil, inFile(in.data, err)
	}
	return r, nil
}

// champion is the version in place, nil if there is none.
func (a *app) champion(name string) (*train.Champion, error) {
	s, ref, err := a.open().Load(registry.Ref{Name: name, Alias: registry.Champion})
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if errors.Is(err, models.ErrFormat) { // nothing here can score by it
		a.say("note: the champion of %s in place is of another format and not compared with: %v", name, err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the champion in place: %w; roll back or promote another version first", err)
	}
	return &train.Champion{Version: ref.Version, Scorer: s}, nil
}

// read reads a table; - is stdin, a directory the tables that features build made of
// a model. A large file does not keep Ctrl-C waiting.
func (a *app) read(ctx context.Context, path string, o datasets.ReadOptions) (*datasets.Table, error) {
	var t *datasets.Table
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		switch {
		case path == "-":
			t, err = datasets.ReadFrom(a.input(ctx), "stdin", o)
		case build.IsMade(path):
			t, err = madeTable(path)
		default:
			t, err = datasets.Read(path, o)
		}
	}()
	select {
	case <-done:
		return t, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bytesTick turns bytes read into a stage of the progress display.
func bytesTick(tick train.Progress) func(read, total int64) {
	return func(read, total int64) {
		if total > 0 {
			tick("read", int(read), int(total))
		}
	}
}

// actor is who the log says did it.
func actor() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
