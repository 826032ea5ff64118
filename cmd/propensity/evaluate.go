package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"propensity/train"
)

// crossValidated is one table's figures.
type crossValidated struct {
	Data     string                  `json:"data"`
	Variant  string                  `json:"variant,omitempty"`
	Learners []train.CrossValidation `json:"learners"`
}

func (a *app) evaluateCommand() *cobra.Command {
	var cv bool
	var on evaluateOptions
	var folds, schema, variant string
	var data, learners []string
	var tune int
	c := &cobra.Command{
		Use:   "evaluate MODEL[@VERSION|@ALIAS] | --cv [FOLDER...]",
		Short: "Judge a model on new data, or the learners by cross-validation",
		Long: `Judge a model on rows whose outcome has come since: ranking, losses, calibration and
bands, each with its interval and beside what was promised at training, and of each
segment with --by.

With --cv: judge the learners, at their default settings or tuned, on one table, or on
several folders that each hold table.csv and schema.json. Settings and calibration of a
fold come from its own training rows; the figures are the mean over the folds.`,
		Example: `  propensity evaluate churn@champion --data new.parquet --by segment,plan
  propensity evaluate --cv --folds rule --schema schema.json --data table.csv
  propensity evaluate --cv --folds rule data/telco_churn data/adult --json`,
		RunE: func(c *cobra.Command, folders []string) error {
			if !cv {
				switch {
				case len(folders) != 1:
					return fmt.Errorf("%w: name one model, such as churn@champion, or say --cv", errUsage)
				case len(data) != 1:
					return fmt.Errorf("%w: name one table of new rows: --data new.parquet", errUsage)
				}
				on.data = data[0]
				return a.evaluate(c.Context(), folders[0], on)
			}
			type job struct{ data, schema string }
			var jobs []job
			for _, d := range data {
				if schema == "" {
					return fmt.Errorf("%w: --data needs --schema", errUsage)
				}
				jobs = append(jobs, job{d, schema})
			}
			for _, f := range folders {
				jobs = append(jobs, job{filepath.Join(f, "table.csv"), filepath.Join(f, "schema.json")})
			}
			if len(jobs) == 0 {
				return fmt.Errorf("%w: name a table (--data with --schema) or folders", errUsage)
			}
			var all []crossValidated
			for _, j := range jobs {
				r, err := a.crossValidate(c, j.data, j.schema, variant, folds, learners, tune)
				if err != nil {
					return fmt.Errorf("%s: %w", j.data, err)
				}
				all = append(all, *r)
				if !a.json {
					a.showCrossValidated(r)
				}
			}
			if a.json {
				return a.printJSON(all)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringSliceVar(&on.by, "by", nil, "`columns` whose values are segments, each judged by itself")
	f.StringVar(&on.format, "format", "", "`format` of the table, if its name does not tell: csv, parquet, arrow, arrows, ndjson")
	f.BoolVar(&on.allowMissing, "allow-missing", false, "take columns that the table lacks as missing")
	f.StringSliceVar(&on.missing, "missing", nil, "`texts` that mean a missing value in every column")
	f.BoolVar(&cv, "cv", false, "cross-validate the learners")
	f.StringVar(&folds, "folds", "group", "`kind` of folds: rule (by file order and label) or group (by account)")
	f.StringSliceVar(&data, "data", nil, "`files` with tables")
	f.StringVar(&schema, "schema", "", "`file` that describes the tables: label, positive, numeric, categorical, drop")
	f.StringVar(&variant, "variant", "", "`name` of the schema's variant")
	f.StringSliceVar(&learners, "learner", nil, "`learners` to judge: "+strings.Join(train.LearnerNames(), ", ")+" (default: logistic, boosting)")
	f.IntVar(&tune, "tune", 0, "try so many settings of boosting in each fold (--tune alone: 8)")
	f.Lookup("tune").NoOptDefVal = strconv.Itoa(train.Trials)
	return c
}

func (a *app) crossValidate(c *cobra.Command, data, schema, variant, folds string, learners []string, tune int) (*crossValidated, error) {
	b, err := os.ReadFile(schema)
	if err != nil {
		return nil, err
	}
	s, err := train.ParseSchema(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", schema, err)
	}
	tick, wait := a.progress()
	defer wait()
	table, spec, err := s.Read(data, variant, bytesTick(tick))
	if err != nil {
		return nil, err
	}
	spec.Learners, spec.Seed, spec.Tune = learners, a.seed, tune
	cut, err := train.FoldsFor(folds, table, spec)
	if err != nil {
		return nil, err
	}
	r, err := train.CrossValidate(c.Context(), table, spec, cut, tick)
	if err != nil {
		return nil, err
	}
	return &crossValidated{Data: data, Variant: variant, Learners: r}, nil
}

func (a *app) showCrossValidated(r *crossValidated) {
	name := r.Data
	if r.Variant != "" {
		name += " (" + r.Variant + ")"
	}
	first := r.Learners[0]
	a.print("%s: %d rows, %.1f %% positive, %d folds", name, first.Rows, 100*float64(first.Positives)/float64(first.Rows), first.Folds)
	rows := [][]string{{"learner", "ROC AUC", "PR AUC", "log loss", "Brier", "precision top 10 %", "calibration error", "seconds"}}
	for _, l := range r.Learners {
		row := []string{l.Learner}
		for _, x := range []float64{l.ROCAUC, l.PRAUC, l.LogLoss, l.Brier, l.PrecisionTop10, l.CalibrationError} {
			row = append(row, fmt.Sprintf("%.4f", x))
		}
		rows = append(rows, append(row, fmt.Sprintf("%.1f", l.Seconds)))
	}
	a.table(rows)
}
