package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/features"
	"propensity/models"
	"propensity/train/learnt"
	"propensity/train/logistic"
)

// industriesRows are the rows learnt from.
const industriesRows = 20_000

// industriesProof asks which industries matter.
func industriesProof() proof {
	return proof{
		name: "industries",
		what: fmt.Sprintf("Of %d sign-ups in 55 industries, the five that matter are named (effect by level, Holm at 1 %%) and no other, "+
			"in at least 95 of 100 seeds.", industriesRows),
		n:   100,
		run: proveIndustries,
	}
}

func proveIndustries(ctx context.Context, r *run) error {
	return r.each(ctx, func(ctx context.Context, _ int, rng *rand.Rand) error {
		s := sample.SignUps(sample.SignUpOptions{Rows: industriesRows, Seed: rng.Uint64()})
		e, m, err := encodeSignUps(s.Table)
		if err != nil {
			return err
		}
		refit := func(ctx context.Context, m features.Matrix) (models.Model, error) {
			return logistic.Learner{}.Fit(ctx, m, features.Matrix{})
		}
		model, err := refit(ctx, m)
		if err != nil {
			return err
		}
		in := learnt.Input{Model: model, Training: m, Refit: refit, Seed: r.seed}
		for _, c := range e.Columns {
			in.Levels = append(in.Levels, c.Levels)
		}
		found, err := learnt.Examine(ctx, in)
		if err != nil {
			return err
		}
		var named []string
		for _, effect := range found.Effects {
			if effect.Feature == "industry" {
				named = append(named, effect.Level)
			}
		}
		slices.Sort(named)
		if slices.Equal(named, s.Industries) {
			return nil
		}
		return r.allow("tables with other industries named", r.n/20, fmt.Sprintf("named %v, %v matter", named, s.Industries))
	})
}

// encodeSignUps encodes what is learnt from in a table of sign-ups.
func encodeSignUps(t *datasets.Table) (*features.Encoder, features.Matrix, error) {
	var m features.Matrix
	only := &datasets.Table{}
	for _, c := range t.Columns {
		if c.Name != "account_id" && c.Name != "moment" && c.Name != "converted" {
			only.Columns = append(only.Columns, c)
		}
	}
	moments := t.Column("moment").Times
	e, _, err := features.FitEncoder(only, moments)
	if err != nil {
		return nil, m, err
	}
	m.Features, m.Label = e.Features(), t.Column("converted").Numbers
	if m.Columns, err = e.EncodeTable(only, moments); err != nil {
		return nil, m, err
	}
	m.Group = make([]int, len(m.Label))
	for i := range m.Group {
		m.Group[i] = i
	}
	return e, m, nil
}
