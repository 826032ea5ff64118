package gbdt

import (
	"context"
	"fmt"
	"math"
	"sync"

	"propensity/datasets"
	"propensity/features"
)

// CrossFit fits one model per fold, all of them a round at a time, and settles
// on the number of rounds at which the mean log loss of all test rows is lowest;
// it stops once Patience rounds have not lowered it. Settled is o with that
// number in Trees. Raw holds the log-odds of every row as its fold's model gives
// them after that many rounds; rows in no Test have NaN. A row may be in one
// Test at most, and never in Train and Test of the same fold. Errors are those of
// Fit, and name the fold, counted from 0. Rows count by their weights, where
// the matrix has them.
func CrossFit(ctx context.Context, m *features.Matrix, folds []datasets.Fold, o Options, progress func(done, total int)) (settled Options, raw []float64, err error) {
	if err := o.Validate(); err != nil {
		return o, nil, err
	}
	if err := checkFolds(m.Rows(), folds); err != nil {
		return o, nil, err
	}
	all, err := newBinned(ctx, &o, m)
	if err != nil {
		return o, nil, err
	}
	boosters := make([]*booster, len(folds))
	weight := 0.0
	for k, fold := range folds {
		if boosters[k], err = newBooster(all, rows32(fold.Train), rows32(fold.Test), o); err != nil {
			return o, nil, fmt.Errorf("fold %d: %w", k, err)
		}
		weight += totalWeight(boosters[k].others, all.weight)
	}
	settled, raw = o, make([]float64, m.Rows())
	for i := range raw {
		raw[i] = math.NaN()
	}
	lowest := math.Inf(1)
	for round := range o.Trees {
		if err := ctx.Err(); err != nil {
			return o, nil, err
		}
		loss := stepAll(boosters, round) / weight
		if loss < lowest {
			lowest, settled.Trees = loss, round+1
			for k, fold := range folds {
				for _, r := range fold.Test {
					raw[r] = boosters[k].raw[r]
				}
			}
		}
		if progress != nil {
			progress(round+1, o.Trees)
		}
		if round+1-settled.Trees >= o.Patience {
			break
		}
	}
	return settled, raw, nil
}

// stepAll runs one round of every fold and gives the total loss of the test rows.
func stepAll(boosters []*booster, round int) float64 {
	losses := make([]float64, len(boosters))
	var wait sync.WaitGroup
	for k, b := range boosters {
		wait.Go(func() {
			b.step(round)
			losses[k] = totalLoss(nil, b.others, b.raw, b.label, b.weight)
		})
	}
	wait.Wait()
	total := 0.0
	for _, loss := range losses {
		total += loss
	}
	return total
}

func rows32(rows []int) []int32 {
	out := make([]int32, len(rows))
	for i, r := range rows {
		out[i] = int32(r)
	}
	return out
}

func checkFolds(rows int, folds []datasets.Fold) error {
	if len(folds) == 0 {
		return fmt.Errorf("%w: no folds", ErrMatrix)
	}
	tested := make([]int, rows) // the fold whose Test the row is in, plus 1
	for k, fold := range folds {
		if len(fold.Train) == 0 || len(fold.Test) == 0 {
			return fmt.Errorf("%w: fold %d has %d rows to train on and %d to test on", ErrMatrix, k, len(fold.Train), len(fold.Test))
		}
		for _, r := range fold.Test {
			if r < 0 || r >= rows {
				return fmt.Errorf("%w: fold %d tests row %d of %d", ErrMatrix, k, r, rows)
			}
			if tested[r] > 0 {
				return fmt.Errorf("%w: row %d is tested in fold %d and in fold %d", ErrMatrix, r, tested[r]-1, k)
			}
			tested[r] = k + 1
		}
		for _, r := range fold.Train {
			if r < 0 || r >= rows {
				return fmt.Errorf("%w: fold %d trains on row %d of %d", ErrMatrix, k, r, rows)
			}
			if tested[r] == k+1 {
				return fmt.Errorf("%w: fold %d trains and tests on row %d", ErrMatrix, k, r)
			}
		}
	}
	return nil
}
