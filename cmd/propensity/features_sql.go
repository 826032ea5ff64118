package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"propensity/features/facts"
	"propensity/features/spec"
	"propensity/features/sql"
)

// featuresSQLOptions are the flags of the features sql command.
type featuresSQLOptions struct {
	dialect, model, out, asOf string
	labels                    bool
	tables                    []string
}

func (a *app) featuresSQLCommand() *cobra.Command {
	var o featuresSQLOptions
	c := &cobra.Command{
		Use:   "sql",
		Short: "Write the feature table of a model as one SQL query of a warehouse",
		Long: `Write one query for DuckDB, PostgreSQL or Spark that makes, inside the warehouse, the very
rows that features build makes of files: one an account and moment, of what had occurred
and arrived strictly before it. With --labels it makes the labels. Join the two by
account and moment to train.

A source is a table of its own name in the warehouse, unless --table says otherwise; its
columns have the names of the project file. Times are timestamps or dates, numbers
numeric, categories text. Declare the types of columns in the project file (types:); what
is not declared is looked up in the files of the sources, if they are there.

What cannot be written so that the result is the same is an error that names it.`,
		Example: `  propensity features sql --dialect duckdb --model churn -o churn.sql
  propensity features sql --dialect postgres --model churn --table events=raw.events --table accounts=crm.accounts
  propensity features sql --dialect spark --model churn --labels -o churn_labels.sql`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.featuresSQL(c.Context(), o) },
	}
	var names []string
	for _, d := range sql.Dialects() {
		names = append(names, string(d))
	}
	f := c.Flags()
	f.StringVar(&o.dialect, "dialect", "", "`warehouse` that runs it: "+strings.Join(names, ", "))
	f.StringVar(&o.model, "model", "", "`name` of the model, if the project has several")
	f.BoolVar(&o.labels, "labels", false, "write the labels instead of the rows")
	f.StringArrayVar(&o.tables, "table", nil, "`source=table` in the warehouse, such as events=raw.events; may be given several times")
	f.StringVar(&o.asOf, "as-of", "", "`time` as of which it is, 2006-01-02 or 2006-01-02T15:04:05Z (default: the newest arrival in the tables)")
	f.StringVarP(&o.out, "out", "o", "-", "`file` to write; - is stdout")
	return c
}

func (a *app) featuresSQL(ctx context.Context, o featuresSQLOptions) error {
	d, err := sql.ParseDialect(o.dialect)
	if err != nil {
		return fmt.Errorf("%w: --dialect: %w", errUsage, err)
	}
	options := sql.Options{Dialect: d, Model: o.model, Labels: o.labels, Tables: map[string]string{}}
	for _, t := range o.tables {
		source, table, ok := strings.Cut(t, "=")
		if !ok || source == "" || table == "" {
			return fmt.Errorf("%w: --table %q: write source=table", errUsage, t)
		}
		if _, ok := options.Tables[source]; ok {
			return fmt.Errorf("%w: --table %s is given twice", errUsage, source)
		}
		options.Tables[source] = table
	}
	if options.AsOf, err = timeFlag("--as-of", o.asOf, 0); err != nil {
		return err
	}
	p, dir, err := a.features()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.Sources, untyped) {
		// Without the files, the column whose type is not known is named below.
		if err := facts.Resolve(ctx, p, dir); err == nil {
			if err := p.Check(); err != nil {
				return fmt.Errorf("%s: %w", a.config, err)
			}
		} else if !errors.Is(err, facts.ErrSource) {
			return err
		}
	}
	text, err := sql.Emit(p, options)
	if err != nil {
		return fmt.Errorf("%s: %w", a.config, err)
	}
	return a.save(o.out, []byte(text))
}

// untyped says that the type of a column is not known.
func untyped(s spec.Source) bool {
	return slices.ContainsFunc(s.Columns, func(c spec.Column) bool { return c.Kind == 0 })
}
