package learnt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"propensity/features"
	"propensity/models/tree"
)

// folds of the accounts for the log-odds without the tested columns.
const folds = 3

// without is the out-of-fold log-odds of a refit that does not see the given
// features: what the other columns say together, curves and interactions included.
// It is nil where the regression says all of that by itself, because the model is
// linear, and where nothing can be fitted.
func (x *examiner) without(ctx context.Context, rows *features.Matrix, columns []int) ([]float64, error) {
	var kept []int
	for j := range rows.Features {
		if !slices.Contains(columns, j) {
			kept = append(kept, j)
		}
	}
	if _, trees := x.Model.(*tree.Ensemble); !trees || x.Refit == nil || len(kept) == 0 {
		return nil, nil
	}
	c := number(rows.Group, rows.Rows())
	var in, out [folds][]int
	place := rand.New(rand.NewPCG(x.Seed, streamFolds)).Perm(c.count)
	for i, g := range c.of {
		for k := range folds {
			if place[g]%folds == k {
				out[k] = append(out[k], i)
			} else {
				in[k] = append(in[k], i)
			}
		}
	}
	few := rows.Select(kept)
	raw := make([]float64, rows.Rows())
	for k := range folds {
		learn, rest := few.Take(in[k]), few.Take(out[k])
		if !mixed(learn.Label) || len(out[k]) == 0 {
			return nil, nil
		}
		m, err := x.Refit(ctx, learn)
		if err != nil {
			return nil, fmt.Errorf("fitted without the categories: %w", err)
		}
		if rest, err = rest.Dense(); err != nil {
			return nil, err
		}
		scores := make([]float64, len(out[k]))
		rawAll(m, scores, rest.Columns)
		for i, s := range scores {
			raw[out[k][i]] = s
		}
		x.step()
	}
	return raw, nil
}

// mixed says that both labels occur.
func mixed(label []float64) bool { return slices.Contains(label, 0) && slices.Contains(label, 1) }
