package logistic

import (
	"context"
	"fmt"
	"math"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// ChooseOptions of ChoosePath.
type ChooseOptions struct {
	Alphas []float64   // to choose from; nil: 1, 0.5 and 0.05
	Path   PathOptions // Alpha is not used
	// Progress is told after each path; nil: nobody is.
	Progress func(done, total int)
}

// ChoosePath chooses Lambda and Alpha by the mean log loss of the rows that the folds
// test, by weight; of equal ones the first Alpha and the larger Lambda. All folds fit the
// sequence of the whole matrix. With the chosen Options, which Fit takes, come the
// log-odds of each row by the model of the last fold that tests it, NaN where none does.
// Errors are those of Fit, with the number of the fold.
func ChoosePath(ctx context.Context, m *features.Matrix, folds []datasets.Fold, o ChooseOptions) (chosen Options, raw []float64, err error) {
	alphas := o.Alphas
	if alphas == nil {
		alphas = []float64{1, 0.5, 0.05}
	}
	if len(folds) == 0 || len(alphas) == 0 {
		return chosen, nil, fmt.Errorf("elastic net: %d folds, %d Alphas: want one or more of each", len(folds), len(alphas))
	}
	var fitted []*models.Linear
	best := math.Inf(1)
	for a, alpha := range alphas {
		options := o.Path
		options.Alpha = alpha
		p, err := newDescent(ctx, m, options)
		if err != nil {
			return chosen, nil, err
		}
		options.Lambdas = p.lambdas()
		losses, paths := make([]float64, len(options.Lambdas)), make([][]PathPoint, len(folds))
		for k, f := range folds {
			train, test := m.Take(f.Train), m.Take(f.Test)
			if paths[k], err = Path(ctx, &train, options); err != nil {
				return chosen, nil, fmt.Errorf("fold %d: %w", k, err)
			}
			for at := range losses {
				scores, err := score(ctx, paths[k][at].Model, &test)
				if err != nil {
					return chosen, nil, err
				}
				for i, x := range scores {
					part, rest, _, _ := logLoss(test.Label[i], x)
					losses[at] += weigh(test.Weight, i) * (rest - math.Log(part))
				}
			}
			if o.Progress != nil {
				o.Progress(a*len(folds)+k+1, len(alphas)*len(folds))
			}
		}
		for at, loss := range losses {
			if loss < best {
				best = loss
				chosen = Options{Lambda: options.Lambdas[at], Alpha: alpha}
				fitted = fitted[:0]
				for k := range folds {
					fitted = append(fitted, paths[k][at].Model)
				}
			}
		}
	}
	raw = make([]float64, m.Rows())
	for i := range raw {
		raw[i] = math.NaN()
	}
	for k, f := range folds {
		test := m.Take(f.Test)
		scores, err := score(ctx, fitted[k], &test)
		if err != nil {
			return chosen, nil, err
		}
		for i, row := range f.Test {
			raw[row] = scores[i]
		}
	}
	return chosen, raw, nil
}

// score is the model's log-odds of every row, with the very bits of its Raw.
func score(ctx context.Context, model *models.Linear, m *features.Matrix) ([]float64, error) {
	const rows = 4096
	out := make([]float64, m.Rows())
	err := features.Parallel((len(out)+rows-1)/rows, func(k int) error {
		first, end := k*rows, min(len(out), (k+1)*rows)
		for i := first; i < end; i++ {
			out[i] = model.Intercept
		}
		buf := make([]float64, end-first)
		for j := range model.Terms {
			xs, err := m.Block(buf, j, first, end)
			if err != nil {
				return err
			}
			for i, x := range xs {
				out[first+i] += model.Terms[j].At(x)
			}
		}
		return ctx.Err()
	})
	return out, err
}
