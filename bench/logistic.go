package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/features"
	"propensity/models/evaluate"
	"propensity/train/logistic"
)

// logisticCase is one comparison of logistic regressions: what is fitted, on which
// columns, beside whom.
type logisticCase struct {
	way, columns string // of ours
	title, note  string
	rows         int
	peers        [][2]string
}

// logisticTables compares fits from a matrix in memory.
func (b *benchmark) logisticTables(ctx context.Context) ([]table, error) {
	least, most := b.rows[0], b.most()
	dense := "40 columns: the numbers, and the categories as standardised codes."
	sparse := "28 numbers, 4 booleans and 8 categories, 435 columns one-hot: ours never expands them, and adds an indicator for each number that may be missing; scikit-learn has a sparse matrix."
	var out []table
	for _, c := range []logisticCase{
		{"l2", "all", "with an L2 penalty of 1", sparse, most, [][2]string{{"scikit-learn lbfgs, sparse", "lbfgs_sparse:435"}}},
		{"free", "all", "without a penalty, with standard errors", sparse + " One level of each category is dropped. scikit-learn fits with its penalty and gives no standard errors.", most, [][2]string{{"scikit-learn lbfgs, sparse, penalised", "lbfgs_sparse:435"}}},
		{"l2", "codes", "with an L2 penalty of 1, dense", dense, most, [][2]string{{"scikit-learn lbfgs", "lbfgs:40"}, {"scikit-learn newton-cholesky", "newton_cholesky:40"}}},
		{"free", "codes", "without a penalty, with standard errors, dense", dense, least, [][2]string{{"statsmodels Logit, newton", "statsmodels:40"}}},
		{"path", "seven", "lasso path", "100 penalties down to a ten-thousandth of the first, fewer where the deviance rests; seven categories, 235 columns one-hot. glmnet has a dense matrix; thresholds are each one's own (ours is the tighter).", least, [][2]string{{"glmnet", "glmnet_path:235"}}},
		{"path", "codes", "lasso path, dense", "The same of the 40 columns.", least, [][2]string{{"glmnet", "glmnet_path:40"}}},
	} {
		data, err := b.table(ctx, c.rows, "parquet")
		if err != nil {
			return nil, err
		}
		all := []contender{b.ours("propensity", "logistic", data, c.way, c.columns)}
		for _, p := range c.peers {
			all = append(all, b.peer(p[0], "logistic.py", p[1], data)...)
		}
		title := fmt.Sprintf("Logistic regression of %d rows, %s, seconds", c.rows*4/5, c.title)
		outcomes, err := alternate(ctx, b.log, title, b.runs, all)
		if err != nil {
			return nil, err
		}
		out = append(out, compare(title, c.note+" One fit from a matrix in memory, two threads; the last 20 % of the rows judge.", "seconds", outcomes,
			column{"points", "penalties", figure}, column{"roc_auc", "held-out ROC AUC", fixed}, column{"log_loss", "held-out log loss", fixed}, column{"peak", "peak MB of the process", figure}))
	}
	return out, nil
}

// measureLogistic is one fit, of what a Parquet file holds, read a column at a
// time; way is l2, free or path, columns all, seven (without c7) or codes.
func measureLogistic(ctx context.Context, path, way, columns string) (measures, error) {
	train, test, err := readLogistic(path, columns)
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // what reading left behind is not the fit's
	debug.SetGCPercent(20)
	start := time.Now()
	out := measures{}
	var scorer interface{ Raw(x []float64) float64 }
	switch way {
	case "path":
		points, err := logistic.Path(ctx, &train, logistic.PathOptions{Alpha: 1})
		if err != nil {
			return nil, err
		}
		scorer = points[len(points)-1].Model
		out["points"] = float64(len(points))
	default:
		o := logistic.Options{L2: 1}
		if way == "free" {
			o.L2 = -1
		}
		r, err := logistic.Fit(ctx, &train, o)
		if err != nil {
			return nil, err
		}
		scorer = r.Model
		out["steps"] = float64(r.Steps)
	}
	out["seconds"] = time.Since(start).Seconds()
	x, p := make([]float64, len(test.Columns)), make([]float64, test.Rows())
	for i := range p {
		test.Row(x, i)
		p[i] = sigmoid(scorer.Raw(x))
	}
	out["roc_auc"], out["log_loss"] = evaluate.ROCAUC(test.Label, p), evaluate.LogLoss(test.Label, p)
	return out, nil
}

// readLogistic reads the table without holding it twice.
func readLogistic(path, columns string) (train, test features.Matrix, err error) {
	source, err := datasets.OpenColumns(path, datasets.ReadOptions{})
	if err != nil {
		return train, test, err
	}
	defer source.Close()
	m := features.Matrix{}
	for _, name := range source.Names() {
		if columns == "seven" && name == "c7" {
			continue
		}
		c, err := source.Column(name)
		if err != nil {
			return train, test, err
		}
		xs := c.Numbers
		f := features.Feature{Name: name}
		if c.Kind == datasets.Category {
			if f.Levels = len(c.Values); columns == "codes" {
				f.Levels = 0
			}
			xs = make([]float64, len(c.Codes))
			for i, k := range c.Codes {
				if xs[i] = float64(k); k < 0 {
					xs[i] = math.NaN()
				}
			}
		}
		if name == "y" {
			m.Label = xs
			continue
		}
		if strings.HasPrefix(name, "c") && c.Kind != datasets.Category {
			return train, test, fmt.Errorf("column %q is no category", name)
		}
		m.Features, m.Columns = append(m.Features, f), append(m.Columns, xs)
		runtime.GC()
	}
	cut := len(m.Label) * 4 / 5
	return head(m, cut), tail(m, cut), nil
}
