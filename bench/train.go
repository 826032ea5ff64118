package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"time"

	"propensity/datasets"
	"propensity/features"
	"propensity/models/evaluate"
	"propensity/train/gbdt"
)

// options are the settings of every model of the benchmark. With whole, each
// tree sees all rows and columns, otherwise the shares that are our default.
func options(whole bool) gbdt.Options {
	o := gbdt.Defaults()
	o.Trees, o.Leaves, o.Rate = 200, 31, 0.1
	if whole {
		o.RowShare, o.RowsMax, o.ColumnShare = 1, math.MaxInt, 1
	}
	return o
}

// slowRows are the rows above which what takes minutes is left out.
const slowRows = 200_000

// trainTables compares fits from a matrix in memory.
func (b *benchmark) trainTables(ctx context.Context) ([]table, error) {
	var out []table
	for _, rows := range b.rows {
		data, err := b.table(ctx, rows, "parquet")
		if err != nil {
			return nil, err
		}
		all := []contender{
			b.ours("propensity", "train", data, "default"),
			b.ours("propensity, all rows and columns for each tree", "train", data, "whole"),
		}
		if rows <= slowRows {
			all = append(all, b.ours("propensity, all settings at their defaults, trees by a tenth held out", "train", data, "stopping"))
		}
		o := options(false)
		for _, p := range [][2]string{
			{"LightGBM, native categories", "lightgbm"},
			{"LightGBM, quantised gradients", "lightgbm_quantised"},
			{"LightGBM, categories as codes", "lightgbm_codes"},
			{"LightGBM, our shares of rows and columns", fmt.Sprintf("lightgbm_sampled:%v:%v", o.ColumnShare, o.RowShare)},
			{"XGBoost hist, native categories", "xgboost"},
			{"XGBoost hist, categories as codes", "xgboost_codes"},
			{"HistGradientBoosting, native categories", "hist_gb"},
			{"CatBoost, categories as codes", "catboost_codes"},
			{"CatBoost, native categories", "catboost"},
		} {
			if p[1] == "catboost" && rows > slowRows {
				continue
			}
			all = append(all, b.peer(p[0], "train.py", p[1], data)...)
		}
		title := fmt.Sprintf("Training on %d rows x 40, seconds", rows*4/5)
		outcomes, err := alternate(ctx, b.log, title, b.runs, all)
		if err != nil {
			return nil, err
		}
		out = append(out, compare(title,
			"One fit of 200 trees of 31 leaves (CatBoost: symmetric trees of depth 6), rate 0.1, 255 bins, from a matrix in memory, with binning, two threads; the last 20 % of the rows judge. Trees by a tenth held out: as many as lower the loss of a tenth of the training rows, then fitted anew on all of them; both fits are timed.",
			"seconds", outcomes, column{"roc_auc", "held-out ROC AUC", fixed}, column{"log_loss", "held-out log loss", fixed}, column{"peak", "peak MB of the process", figure}))
	}
	return out, nil
}

// measureTrain is one fit, of what a Parquet file holds; way is default, whole or stopping.
func measureTrain(ctx context.Context, path, way string) (measures, error) {
	train, test, err := readMatrix(path)
	if err != nil {
		return nil, err
	}
	o := options(way == "whole")
	warm := head(train, min(train.Rows(), 2000))
	small := o
	small.Trees = 2
	if _, err := gbdt.Fit(ctx, &warm, nil, small, nil); err != nil {
		return nil, err
	}
	runtime.GC() // what reading left behind is not the fit's
	start := time.Now()
	if way == "stopping" {
		o = gbdt.Defaults()
		kept, held := head(train, train.Rows()*9/10), tail(train, train.Rows()*9/10)
		stopped, err := gbdt.Fit(ctx, &kept, &held, o, nil)
		if err != nil {
			return nil, err
		}
		o.Trees = stopped.Best * 10 / 9
	}
	r, err := gbdt.Fit(ctx, &train, nil, o, nil)
	if err != nil {
		return nil, err
	}
	seconds := time.Since(start).Seconds()
	p := make([]float64, test.Rows())
	r.Model.RawAll(p, test.Columns)
	for i, raw := range p {
		p[i] = sigmoid(raw)
	}
	return measures{"seconds": seconds, "roc_auc": evaluate.ROCAUC(test.Label, p), "log_loss": evaluate.LogLoss(test.Label, p)}, nil
}

// readMatrix reads the table as the trainer does: an encoder fitted on the first
// 80 % of the rows, which are for training; the rest judges.
func readMatrix(path string) (train, test features.Matrix, err error) {
	t, err := datasets.Read(path, datasets.ReadOptions{})
	if err != nil {
		return train, test, err
	}
	y := t.Column("y")
	if y == nil {
		return train, test, fmt.Errorf("%s has no column y", path)
	}
	cut := t.Rows() * 4 / 5
	inputs, first := &datasets.Table{}, &datasets.Table{}
	for _, c := range t.Columns {
		if c.Name == "y" {
			continue
		}
		inputs.Columns = append(inputs.Columns, c)
		if c.Codes != nil {
			c.Codes = c.Codes[:cut]
		} else {
			c.Numbers = c.Numbers[:cut]
		}
		first.Columns = append(first.Columns, c)
	}
	e, _, err := features.FitEncoder(first, nil)
	if err != nil {
		return train, test, err
	}
	m := features.Matrix{Features: e.Features(), Label: y.Numbers}
	if m.Columns, err = e.EncodeTable(inputs, nil); err != nil {
		return train, test, err
	}
	return head(m, cut), tail(m, cut), nil
}

// tail is the rows from the nth on.
func tail(m features.Matrix, n int) features.Matrix {
	out := features.Matrix{Features: m.Features, Label: m.Label[n:]}
	for _, column := range m.Columns {
		out.Columns = append(out.Columns, column[n:])
	}
	return out
}

// head is the first n rows.
func head(m features.Matrix, n int) features.Matrix {
	out := features.Matrix{Features: m.Features, Label: m.Label[:n]}
	for _, column := range m.Columns {
		out.Columns = append(out.Columns, column[:n])
	}
	return out
}

// makeModel learns a model of our own for scoring, categories as codes, and
// writes it to model.arrow with rows to score in rows.f64.
func makeModel(ctx context.Context, path, dir string) error {
	columns, label, err := readCoded(path)
	if err != nil {
		return err
	}
	m := features.Matrix{Columns: columns, Label: label, Features: make([]features.Feature, len(columns))}
	cut := len(label) * 4 / 5
	train := head(m, cut)
	r, err := gbdt.Fit(ctx, &train, nil, options(false), nil)
	if err != nil {
		return err
	}
	var rows []float64
	x := make([]float64, len(columns))
	for i := cut; i < min(len(label), cut+10_000); i++ {
		m.Row(x, i)
		rows = append(rows, x...)
	}
	if err := writeFloats(filepath.Join(dir, "rows.f64"), rows); err != nil {
		return err
	}
	return datasets.Write(filepath.Join(dir, "model.arrow"), r.Model.Table(), datasets.WriteOptions{})
}
