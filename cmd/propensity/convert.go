package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/convert"
	"propensity/models/registry"
	"propensity/models/tree"
)

// convertOptions are the flags of the convert command.
type convertOptions struct {
	to, out, levels string // of both; levels of LightGBM
	dialect, table  string // of SQL
}

// The formats of the convert command.
const (
	toLightGBM = "lightgbm"
	toSQL      = "sql"
)

func (a *app) convertCommand() *cobra.Command {
	var o convertOptions
	c := &cobra.Command{
		Use:   "convert MODEL[@VERSION|@ALIAS]",
		Short: "Write a model as SQL, or its trees for another library",
		Long: `--to sql: write a version of any kind as one SELECT for SQLite or PostgreSQL that
gives account, raw log-odds, probability and band of every row of a table whose columns
are those of the training table. Log-odds and bands are the scorer's to the bit,
probabilities to 1e-12 of each. Its first lines tell what it expects of each column.

--to lightgbm: write the trees of a version, which boosting learnt, as a LightGBM text
model (v4) that LightGBM 4 loads and scores to the same bits.

Column j is the encoder's column j, as a number: a number as it is, a boolean 0 or
1, a time its days before the moment, a category its code, which is its place, from
0, among its levels (--levels writes them), -1 if unseen; NaN is missing. LightGBM's
Python package maps pandas columns of type category by the texts in the file, and
takes unseen ones as missing. Scores are log-odds before calibration: predict(...,
raw_score=True). What a probability is after calibration only propensity knows.`,
		Example: `  propensity convert churn@champion --to sql --dialect postgres --table crm.accounts --out churn.sql
  propensity convert churn@champion --to lightgbm --out churn.txt --levels levels.json
  propensity convert churn@7 --to lightgbm --out - > churn.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.convert(args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.to, "to", "", "the `format`: sql or lightgbm")
	f.StringVar(&o.out, "out", "", "`file` to write; - is stdout")
	f.StringVar(&o.dialect, "dialect", convert.SQLite, "`database` that reads the SQL: "+strings.Join(convert.SQLDialects(), " or "))
	f.StringVar(&o.table, "table", "accounts", "`name` of the table that the SQL selects from, with its schema if it needs one")
	f.StringVar(&o.levels, "levels", "", "of lightgbm: `file` for what each column holds, as JSON: its name, kind, and levels by code")
	return c
}

func (a *app) convert(name string, o convertOptions) error {
	ref, err := registry.ParseRef(name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case o.to != toLightGBM && o.to != toSQL:
		return fmt.Errorf("%w: --to %q: the formats are sql and lightgbm", errUsage, o.to)
	case o.out == "":
		return fmt.Errorf("%w: name the file to write: --out churn.txt", errUsage)
	case o.to == toSQL && o.levels != "":
		return fmt.Errorf("%w: --levels is for --to lightgbm: SQL names its levels itself", errUsage)
	case o.to == toSQL && !slices.Contains(convert.SQLDialects(), o.dialect):
		return fmt.Errorf("%w: --dialect %q: known are %s", errUsage, o.dialect, strings.Join(convert.SQLDialects(), ", "))
	case o.to == toSQL && o.table == "":
		return fmt.Errorf("%w: --table is empty: name the table to select from", errUsage)
	}
	scorer, ref, err := a.open().Load(ref)
	if err != nil {
		return err
	}
	artifact := scorer.Artifact()
	if o.to == toSQL {
		return a.convertSQL(ref, artifact, o)
	}
	trees, ok := artifact.Model.(*tree.Ensemble)
	if !ok {
		return fmt.Errorf("%s is a model of learner %s: only models of trees can be converted to LightGBM; train one with --learner boosting, or convert to SQL", ref, artifact.Manifest.Learner)
	}
	m := &convert.Model{Ensemble: trees}
	for j := range artifact.Encoder.Columns {
		c := &artifact.Encoder.Columns[j]
		m.Features, m.Categories = append(m.Features, c.Name), append(m.Categories, c.Levels)
	}
	var model bytes.Buffer
	if err := convert.WriteLightGBM(&model, m); err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	again, err := convert.ReadLightGBM(bytes.NewReader(model.Bytes()))
	if err != nil {
		return fmt.Errorf("%s: what was written cannot be read: %w", ref, err)
	}
	if o.levels != "" {
		if err := a.saveLevels(o.levels, artifact.Encoder, again.Features); err != nil {
			return err
		}
	}
	if err := a.save(o.out, model.Bytes()); err != nil {
		return err
	}
	a.showConverted(ref, artifact.Encoder, again, o)
	if a.json && o.out != "-" {
		return a.printJSON(map[string]any{"model": ref.Name, "version": ref.Version, "to": o.to, "trees": trees.Trees(), "features": again.Features})
	}
	return nil
}

// convertSQL writes the whole artifact as a SELECT.
func (a *app) convertSQL(ref registry.Ref, artifact *models.Artifact, o convertOptions) error {
	var text bytes.Buffer
	if err := convert.WriteSQL(&text, artifact, convert.SQLOptions{Dialect: o.dialect, Table: o.table}); err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	if err := a.save(o.out, text.Bytes()); err != nil {
		return err
	}
	a.say("%s: one SELECT for %s, of table %s: raw log-odds, probability and band of every row", ref, o.dialect, o.table)
	a.say("  its columns are those of the training table, NULL is missing; its first lines name each")
	if a.json && o.out != "-" {
		return a.printJSON(map[string]any{"model": ref.Name, "version": ref.Version, "to": o.to, "dialect": o.dialect, "table": o.table, "bytes": text.Len()})
	}
	return nil
}

// convertedColumn is what --levels says of one.
type convertedColumn struct {
	Column int           `json:"column"`
	Name   string        `json:"name"`
	As     string        `json:"as"` // its name in the file
	Kind   datasets.Kind `json:"kind"`
	Levels []string      `json:"levels,omitempty"`
}

func (a *app) saveLevels(path string, e *features.Encoder, names []string) error {
	var columns []convertedColumn
	for j := range e.Columns {
		c := &e.Columns[j]
		columns = append(columns, convertedColumn{j, c.Name, names[j], c.Kind, c.Levels})
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(columns); err != nil {
		return err
	}
	return a.save(path, b.Bytes())
}

// save writes a file that appears under its name only when it is whole.
func (a *app) save(path string, content []byte) error {
	if path == "-" {
		_, err := a.stdout.Write(content)
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe, a device
		return os.WriteFile(path, content, 0o644)
	}
	dir := filepath.Dir(path)
	if !isDir(dir) {
		return fmt.Errorf("%s: there is no directory %s; make it first", path, dir)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(content))
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// showConverted tells people what the numbers of the file are.
func (a *app) showConverted(ref registry.Ref, e *features.Encoder, m *convert.Model, o convertOptions) {
	a.say("%s: %d trees over %d columns for LightGBM, in the encoder's order", ref, m.Ensemble.Trees(), len(m.Features))
	a.say("  its scores are log-odds before calibration: predict(..., raw_score=True)")
	a.say("  missing is NaN, a boolean 0 or 1, a time its days before the moment")
	categories, renamed := 0, 0
	for j := range e.Columns {
		c := &e.Columns[j]
		if c.Kind == datasets.Category {
			categories++
		}
		if m.Features[j] != c.Name {
			renamed++
		}
	}
	if renamed > 0 {
		a.say("  %d names have _ for what LightGBM takes in none: white space and \",:[]{}", renamed)
	}
	if categories > 0 {
		a.say("  %d columns are categories: the code of a level is its place, from 0; an unseen one is -1", categories)
	}
	if o.levels == "" {
		a.say("  --levels FILE writes what each column holds")
	}
}
