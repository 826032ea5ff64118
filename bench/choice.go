package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"propensity/datasets/sample"
	"propensity/train"
)

// choiceRows are the rows of a table that learners are chosen on: 3,000 of them judge.
const choiceRows = 15_000

// choiceProof asks for the simplest model that wins.
func choiceProof() proof {
	return proof{
		name: "choice",
		what: fmt.Sprintf("Of %d sign-ups whose true log-odds are linear, the logistic model is kept; where a quarter of their variance is due to "+
			"interactions, boosting is chosen: each in at least 95 of 100 seeds.", choiceRows),
		n:   200,
		run: proveChoice,
	}
}

// signUps is what to learn from a table of sign-ups. A backtest takes long and
// decides nothing.
func signUps(seed uint64) train.Spec {
	return train.Spec{Name: "signup", ID: "account_id", Time: "moment", Label: "converted", Quick: true, Seed: seed}
}

func proveChoice(ctx context.Context, r *run) error {
	return r.each(ctx, func(ctx context.Context, i int, rng *rand.Rand) error {
		truth, want := "linear", "logistic"
		if i%2 == 1 {
			truth, want = "interacting", "boosting"
		}
		s := sample.SignUps(sample.SignUpOptions{Rows: choiceRows, Seed: rng.Uint64(), Interacting: i%2 == 1})
		result, err := train.Run(ctx, s.Table, signUps(r.seed), nil, nil)
		if err != nil {
			return err
		}
		m := &result.Artifact.Metrics
		if m.Chosen == want {
			r.tally(fmt.Sprintf("%s chosen where the truth is %s", want, truth))
			return nil
		}
		return r.allow(fmt.Sprintf("another learner chosen where the truth is %s", truth), r.n/2/20,
			fmt.Sprintf("%s, log loss saved by boosting %v", m.Chosen, m.Candidate("boosting").Gain))
	})
}
