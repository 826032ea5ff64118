package logistic

import (
	"context"
	"math/rand/v2"
	"slices"

	"propensity/features"
)

// resample bounds the weights by those of fits of resampled accounts, 95 %
// (Efron and Tibshirani, An Introduction to the Bootstrap, 13.3): accounts are drawn
// with replacement, all rows of one together, and the design with its scales stays.
// Each fit starts from the optimum with its Hessian, and ends where it is off by a
// small part of a standard error.
func (s *newton) resample(ctx context.Context, r *Result, o Options) error {
	if s.factor != nil {
		if err := s.factorise(ctx, 1); err != nil {
			return err
		}
	}
	accounts, n := accountsOf(s.rows)
	found := make([][]float64, s.width())
	for b := range o.Replicates {
		weight, both := draw(s.rows, accounts, n, rand.New(rand.NewPCG(o.Seed, uint64(b))))
		if !both {
			continue // no fit without positives or without negatives
		}
		t := &newton{design: s.design, weight: weight, penalty: s.penalty, tolerance: s.tolerance, maxSteps: s.maxSteps, dense: s.dense, factor: s.factor, enough: 0.02}
		weights, err := t.minimise(ctx, slices.Clone(r.weights))
		if err != nil {
			return err
		}
		for k, x := range weights {
			found[k] = append(found[k], x)
		}
	}
	if len(found[0]) == 0 {
		return nil
	}
	r.low, r.high = make([]float64, len(found)), make([]float64, len(found))
	for k, xs := range found {
		slices.Sort(xs)
		r.low[k], r.high[k] = quantile(xs, 0.025), quantile(xs, 0.975)
	}
	return nil
}

// accountsOf numbers the account of each row from 0 to n-1; rows without accounts
// are each their own.
func accountsOf(m *features.Matrix) (accounts []int, n int) {
	accounts = make([]int, m.Rows())
	numbers := make(map[int]int)
	for i := range accounts {
		a := i
		if m.Group != nil {
			a = m.Group[i]
		}
		k, ok := numbers[a]
		if !ok {
			k = len(numbers)
			numbers[a] = k
		}
		accounts[i] = k
	}
	return accounts, len(numbers)
}

// draw is the weight of each row where n of n accounts were drawn with
// replacement; a row whose account was not drawn weighs 0.
func draw(m *features.Matrix, accounts []int, n int, rng *rand.Rand) (weight []float64, both bool) {
	times := make([]float64, n)
	for range n {
		times[rng.IntN(n)]++
	}
	weight = make([]float64, m.Rows())
	var labels [2]bool
	for i, a := range accounts {
		if weight[i] = times[a] * weigh(m.Weight, i); weight[i] > 0 {
			labels[int(m.Label[i])] = true
		}
	}
	return weight, labels[0] && labels[1]
}

// quantile is the value at share of sorted xs, between two by their distances.
func quantile(xs []float64, share float64) float64 {
	at := share * float64(len(xs)-1)
	k := int(at)
	if k+1 >= len(xs) {
		return xs[k]
	}
	return xs[k] + (at-float64(k))*(xs[k+1]-xs[k])
}
