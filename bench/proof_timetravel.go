package main

import (
	"context"
	"math/rand/v2"

	"propensity/features/build/twin"
)

// timeTravelProof adds facts of later to what was known at a moment.
func timeTravelProof() proof {
	return proof{
		name: "timetravel",
		what: "Facts dated or arrived at a moment or after it, of any source and under known ids too, and ends that come then, " +
			"never change a bit of the rows up to that moment: random projects of every aggregate, windows, timezones, late arrivals and corrections.",
		n: 100_000,
		run: func(ctx context.Context, r *run) error {
			return r.each(ctx, func(_ context.Context, _ int, rng *rand.Rand) error {
				c, err := twin.Draw(rng)
				if err != nil {
					return err
				}
				return c.Travel(rng)
			})
		},
	}
}
