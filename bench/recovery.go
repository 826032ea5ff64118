package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/train"
)

const (
	recoveryRows  = 100_000
	recoveryFresh = 100_000
	recoveryError = 0.01
)

// recoveryProof compares probabilities with true ones.
func recoveryProof() proof {
	return proof{
		name: "recovery",
		what: fmt.Sprintf("Learnt from %d sign-ups, the probabilities of %d fresh ones have a calibration error against the true probabilities "+
			"under %v (ten bins of equal count), whether the truth is linear or interacts.", recoveryRows, recoveryFresh, recoveryError),
		n:   10,
		run: proveRecovery,
	}
}

func proveRecovery(ctx context.Context, r *run) error {
	return r.each(ctx, func(ctx context.Context, i int, rng *rand.Rand) error {
		o := sample.SignUpOptions{Rows: recoveryRows, Seed: rng.Uint64(), Interacting: i%2 == 1}
		result, err := train.Run(ctx, sample.SignUps(o).Table, signUps(r.seed), nil, nil)
		if err != nil {
			return err
		}
		o.Rows, o.Seed = recoveryFresh, rng.Uint64()
		fresh := sample.SignUps(o)
		p, err := probabilities(result.Files, fresh.Table)
		if err != nil {
			return err
		}
		off := meanGap(p, fresh.Probability)
		chosen := result.Artifact.Metrics.Chosen
		fmt.Fprintf(r.log, "%s: case %d, interacting %v: %s, calibration error %.4f against the truth and %.4f against the labels; mean distance of a probability from the truth %.4f\n",
			r.proof, i, o.Interacting, chosen, off, evaluate.CalibrationError(fresh.Table.Column("converted").Numbers, p, 10), distance(p, fresh.Probability))
		if !(off < recoveryError) {
			return fmt.Errorf("%s: calibration error %.4f, interacting %v", chosen, off, o.Interacting)
		}
		for _, limit := range []float64{0.0025, 0.005, 0.0075, recoveryError} {
			if off < limit {
				r.tally(fmt.Sprintf("%s under %v", chosen, limit))
				break
			}
		}
		return nil
	})
}

// probabilities are those of an artifact for the rows of a table.
func probabilities(files models.Files, t *datasets.Table) ([]float64, error) {
	s, err := models.NewScorer(files)
	if err != nil {
		return nil, err
	}
	columns, err := s.Encoder().EncodeTable(t, t.Column("moment").Times)
	if err != nil {
		return nil, err
	}
	_, p := s.ScoreColumns(columns, t.Rows())
	return p, nil
}

// meanGap is the calibration error of probabilities against true ones: rows in
// order of p are cut into ten bins of equal count, and the mean of |mean p - mean
// truth| is taken.
func meanGap(p, truth []float64) float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	off := 0.0
	for b := range 10 {
		gap := 0.0
		for _, i := range order[b*len(p)/10 : (b+1)*len(p)/10] {
			gap += p[i] - truth[i]
		}
		off += math.Abs(gap) / float64(len(p))
	}
	return off
}

// distance is the mean of |p - truth| over the rows.
func distance(p, truth []float64) float64 {
	sum := 0.0
	for i := range p {
		sum += math.Abs(p[i] - truth[i])
	}
	return sum / float64(len(p))
}
