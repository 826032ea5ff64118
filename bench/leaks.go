package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/models"
	"propensity/train/leaks"
)

const leaksRows = 20_000

// leaksProof plants leaks of every kind.
func leaksProof() proof {
	return proof{
		name: "leaks",
		what: fmt.Sprintf("In %d sign-ups with a leak of every kind, each is proven or suspect as it should be, with evidence of its kind, "+
			"and no honest column is proven; in every second table the rows are sorted by outcome too.", leaksRows),
		n:   100,
		run: proveLeaks,
	}
}

func proveLeaks(ctx context.Context, r *run) error {
	return r.each(ctx, func(ctx context.Context, i int, rng *rand.Rand) error {
		s := sample.SignUps(sample.SignUpOptions{
			Rows: leaksRows, Seed: rng.Uint64(), Leaks: true, Sorted: i%2 == 1, Interacting: rng.IntN(2) == 0,
		})
		found, err := findLeaks(ctx, s.Table, r.seed)
		if err != nil {
			return err
		}
		planted := map[string]bool{}
		for _, leak := range s.Leaks {
			planted[leak.Column] = true
			k := slices.IndexFunc(found, func(f models.Leak) bool { return f.Column == leak.Column })
			switch {
			case k < 0:
				return fmt.Errorf("%s (%s, %s) was not found", leak.Column, leak.Kind, leak.Verdict)
			case found[k].Verdict != leak.Verdict:
				return fmt.Errorf("it should be %s: %s", leak.Verdict, leaks.Describe(found[k]))
			case !slices.ContainsFunc(found[k].Evidence, func(e models.Evidence) bool { return e.Kind == leak.Kind }):
				return fmt.Errorf("evidence of kind %s is missing: %s", leak.Kind, leaks.Describe(found[k]))
			}
			r.tally("leaks " + leak.Verdict)
		}
		for _, f := range found {
			if planted[f.Column] {
				continue
			}
			if f.Verdict == models.LeakProven {
				return fmt.Errorf("an honest column: %s", leaks.Describe(f))
			}
			r.tally("honest columns suspect")
		}
		return nil
	})
}

// findLeaks examines what is learnt from in a table of sign-ups.
func findLeaks(ctx context.Context, t *datasets.Table, seed uint64) ([]models.Leak, error) {
	names := slices.DeleteFunc(t.Names(), func(name string) bool {
		return slices.Contains([]string{"account_id", "moment", "converted"}, name)
	})
	return leaks.Examine(ctx, leaks.Input{
		Names:     names,
		Column:    func(name string) (datasets.Column, error) { return *t.Column(name), nil },
		LabelName: "converted",
		Label:     t.Column("converted").Numbers,
		Moments:   t.Column("moment").Times,
		Seed:      seed,
	})
}
