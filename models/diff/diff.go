// Package diff tells what differs between two versions of a model: in what they
// learnt from, how they were asked to, how well they do, what they look at, where
// their bands lie, and whose score has moved.
package diff

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

// Diff is what differs between two artifacts, Before and After. Lists hold what
// differs and nothing else, but for Quality and Bands, which stand side by side.
type Diff struct {
	// Identical says that they are the same to the bit; all else is empty then.
	Identical bool `json:"identical"`
	// SameData says that both learnt from the same table.
	SameData bool `json:"same_data"`
	// SameRows says that both were judged on as many rows of the same table: only
	// then are the figures of Quality of one thing.
	SameRows bool     `json:"same_rows"`
	Data     []Field  `json:"data"`
	Columns  []Column `json:"columns"`
	Spec     []Field  `json:"spec"`
	Quality  []Figure `json:"quality"`
	Gate     Gates    `json:"gate"`
	Drivers  []Driver `json:"drivers"`
	Bands    []Band   `json:"bands"`
	// Scores are those of a table, if one was given.
	Scores *Scores `json:"scores,omitempty"`
}

// Field is one thing that differs; empty is not there.
type Field struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// The ways in which a column differs.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Column is a column of the encoder that differs.
type Column struct {
	Name   string `json:"name"`
	Change string `json:"change"` // added, removed or changed
	// Reason is why the version without it left it out, if it says.
	Reason string  `json:"reason,omitempty"`
	Fields []Field `json:"fields,omitempty"` // kind, min, median, max, missing
	// Levels of a category that came and went.
	LevelsAdded   []string `json:"levels_added,omitempty"`
	LevelsRemoved []string `json:"levels_removed,omitempty"`
}

// Figure is one figure of quality of the two.
type Figure struct {
	Name   string            `json:"name"`
	Before evaluate.Interval `json:"before"`
	After  evaluate.Interval `json:"after"`
	// Apart says that the two intervals have nothing in common.
	Apart bool `json:"apart"`
}

// Gates are the decisions on the two.
type Gates struct {
	Before models.Gate `json:"before"`
	After  models.Gate `json:"after"`
}

// Driver is a feature whose share of what the model looks at differs.
type Driver struct {
	Feature string  `json:"feature"`
	Before  float64 `json:"before"` // share, 0 to 1
	After   float64 `json:"after"`
}

// Band is a band of the two; one that a version does not have is null.
type Band struct {
	Name   string       `json:"name"`
	Before *models.Band `json:"before"`
	After  *models.Band `json:"after"`
}

// Compare tells what differs between two artifacts of one model or of two.
func Compare(before, after *models.Artifact) *Diff {
	d := &Diff{
		Identical: before.Hash() == after.Hash() && before.Hash() != "",
		SameData:  before.Manifest.Data.Fingerprint == after.Manifest.Data.Fingerprint,
		Data:      []Field{}, Columns: []Column{}, Spec: []Field{}, Quality: []Figure{}, Drivers: []Driver{}, Bands: []Band{},
		Gate: Gates{before.Metrics.Gate, after.Metrics.Gate},
	}
	was, is := chosen(before), chosen(after)
	d.SameRows = d.SameData && was.Rows == is.Rows && was.Positives == is.Positives
	if d.Identical {
		return d
	}
	d.Data = different(facts(before), facts(after))
	d.Columns = columns(before, after)
	d.Spec = different(settings(before.Spec), settings(after.Spec))
	d.Quality = quality(&was, &is)
	d.Drivers = drivers(before, after)
	d.Bands = bands(&before.Manifest, &after.Manifest)
	return d
}

func chosen(a *models.Artifact) evaluate.Report {
	return a.Metrics.Candidate(a.Metrics.Chosen).Report
}

// setting is one thing by its name.
type setting struct{ name, value string }

// facts are what a version is and what it learnt from.
func facts(a *models.Artifact) []setting {
	m := &a.Manifest
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	return []setting{
		{"model", m.Name}, {"learner", m.Learner}, {"calibration", a.Calibration.Kind},
		{"account", m.Account}, {"moment", m.Moment}, {"label", m.Label.Column}, {"positive", m.Label.Positive}, {"value", m.Value},
		{"fingerprint", m.Data.Fingerprint}, {"rows", number(m.Data.Rows)}, {"positives", number(m.Data.Positives)},
		{"unlabelled", number(m.Data.Unlabelled)}, {"accounts", number(m.Data.Accounts)},
		{"base rate", strconv.FormatFloat(m.BaseRate, 'g', 4, 64)},
		{"split", m.Split.Kind}, {"trained rows", number(m.Split.Trained)}, {"judged rows", number(m.Split.Judged)},
		{"purged rows", number(m.Split.Purged)}, {"trained until", m.Split.TrainedUntil}, {"refit", strconv.FormatBool(m.Split.Refit)},
		{"seed", strconv.FormatUint(m.Seed, 10)},
	}
}

// different are the settings of either whose values are not the same, those of
// before in their order and then those that only after has.
func different(before, after []setting) []Field {
	out := []Field{}
	value := func(of []setting, name string) (string, bool) {
		i := slices.IndexFunc(of, func(s setting) bool { return s.name == name })
		if i < 0 {
			return "", false
		}
		return of[i].value, true
	}
	for _, s := range before {
		if now, _ := value(after, s.name); now != s.value {
			out = append(out, Field{s.name, s.value, now})
		}
	}
	for _, s := range after {
		if _, known := value(before, s.name); !known && s.value != "" {
			out = append(out, Field{s.name, "", s.value})
		}
	}
	return out
}

// settings are the fields of a spec by their paths, such as boosting.trees, in the
// order of the paths. What is no YAML is one field.
func settings(spec []byte) []setting {
	var v any
	if err := yaml.Unmarshal(spec, &v); err != nil {
		return []setting{{"spec", string(bytes.TrimSpace(spec))}}
	}
	var out []setting
	flatten(&out, "", v)
	slices.SortFunc(out, func(a, b setting) int { return cmp.Compare(a.name, b.name) })
	return out
}

func flatten(out *[]setting, path string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for key, inner := range v { // the caller sorts
			if path != "" {
				key = path + "." + key
			}
			flatten(out, key, inner)
		}
	case []any:
		plain := !slices.ContainsFunc(v, func(x any) bool {
			switch x.(type) {
			case map[string]any, []any:
				return true
			}
			return false
		})
		if !plain {
			for i, inner := range v {
				flatten(out, fmt.Sprintf("%s[%d]", path, i), inner)
			}
			return
		}
		texts := make([]string, len(v))
		for i, x := range v {
			texts[i] = fmt.Sprint(x)
		}
		*out = append(*out, setting{path, strings.Join(texts, ", ")})
	default:
		if path == "" {
			path = "spec"
		}
		*out = append(*out, setting{path, fmt.Sprint(v)})
	}
}

// columns compares the encoders, in the order of after and then what is gone.
func columns(before, after *models.Artifact) []Column {
	out := []Column{}
	for i := range after.Encoder.Columns {
		c := &after.Encoder.Columns[i]
		j := before.Encoder.Find(c.Name)
		if j < 0 {
			out = append(out, Column{Name: c.Name, Change: Added, Reason: whyLeftOut(&before.Manifest, c.Name)})
			continue
		}
		if column, ok := changed(&before.Encoder.Columns[j], c); ok {
			out = append(out, column)
		}
	}
	for i := range before.Encoder.Columns {
		if name := before.Encoder.Columns[i].Name; after.Encoder.Find(name) < 0 {
			out = append(out, Column{Name: name, Change: Removed, Reason: whyLeftOut(&after.Manifest, name)})
		}
	}
	return out
}

func whyLeftOut(m *models.Manifest, name string) string {
	for _, l := range m.LeftOut {
		if l.Column == name {
			return l.Reason
		}
	}
	return ""
}

func changed(before, after *features.Column) (Column, bool) {
	c := Column{Name: after.Name, Change: Changed, Fields: different(shape(before), shape(after))}
	if before.Kind == datasets.Category && after.Kind == datasets.Category {
		c.LevelsAdded, c.LevelsRemoved = without(after.Levels, before.Levels), without(before.Levels, after.Levels)
	}
	return c, len(c.Fields)+len(c.LevelsAdded)+len(c.LevelsRemoved) > 0
}

// shape is what a column's encoder knows of it.
func shape(c *features.Column) []setting {
	out := []setting{{"kind", c.Kind.String()}, {"missing", strconv.FormatFloat(100*c.MissingShare(), 'f', 1, 64) + " %"}}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	if c.Kind == datasets.Category {
		return append(out, setting{"most frequent", c.Typical().Text})
	}
	return append(out, setting{"min", number(c.Min)}, setting{"median", number(c.Median)}, setting{"max", number(c.Max)})
}

// without are the texts that others does not have; both are sorted.
func without(texts, others []string) (out []string) {
	for _, t := range texts {
		if _, found := slices.BinarySearch(others, t); !found {
			out = append(out, t)
		}
	}
	return out
}

func quality(before, after *evaluate.Report) []Figure {
	out := []Figure{}
	for _, f := range []Figure{
		{Name: "ROC AUC", Before: before.ROCAUC, After: after.ROCAUC},
		{Name: "PR AUC", Before: before.PRAUC, After: after.PRAUC},
		{Name: "log loss", Before: before.LogLoss, After: after.LogLoss},
		{Name: "Brier", Before: before.Brier, After: after.Brier},
		{Name: "calibration error", Before: before.CalibrationError, After: after.CalibrationError},
		{Name: "precision top 10 %", Before: before.PrecisionTop10, After: after.PrecisionTop10},
		{Name: "base rate", Before: before.BaseRate, After: after.BaseRate},
	} {
		f.Apart = f.Before.High < f.After.Low || f.After.High < f.Before.Low
		out = append(out, f)
	}
	return out
}

// leastShare is from where on a share differs: a tenth of a per cent.
const leastShare = 0.001

// drivers compares what the models look at, what moved most first.
func drivers(before, after *models.Artifact) []Driver {
	out := []Driver{}
	place := map[string]int{}
	for _, i := range models.RankImportance(before) {
		place[i.Feature] = len(out)
		out = append(out, Driver{Feature: i.Feature, Before: i.Share})
	}
	for _, i := range models.RankImportance(after) {
		k, known := place[i.Feature]
		if !known {
			k = len(out)
			out = append(out, Driver{Feature: i.Feature})
		}
		out[k].After = i.Share
	}
	out = slices.DeleteFunc(out, func(d Driver) bool { return math.Abs(d.After-d.Before) < leastShare })
	slices.SortStableFunc(out, func(a, b Driver) int {
		return cmp.Compare(math.Abs(b.After-b.Before), math.Abs(a.After-a.Before))
	})
	return out
}

// bands stand side by side by their names, A first.
func bands(before, after *models.Manifest) []Band {
	out := []Band{}
	find := func(m *models.Manifest, name string) *models.Band {
		for k := range m.Bands {
			if m.Bands[k].Name == name {
				return &m.Bands[k]
			}
		}
		return nil
	}
	for k := range before.Bands {
		b := &before.Bands[k]
		out = append(out, Band{b.Name, b, find(after, b.Name)})
	}
	for k := range after.Bands {
		if b := &after.Bands[k]; find(before, b.Name) == nil {
			out = append(out, Band{b.Name, nil, b})
		}
	}
	return out
}
