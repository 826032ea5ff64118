package train

import (
	"context"
	"fmt"

	"propensity/train/golearn"
)

// surrogate imitates the winner by one small tree. It explains the model to people
// and never scores.
func (r *run) surrogate(ctx context.Context, winner *judged) error {
	if !r.Surrogate {
		return nil
	}
	r.progress("surrogate", 0, 1)
	dense, err := r.matrix.Dense()
	if err != nil {
		return err
	}
	raw, err := rawOf(winner.model, &dense)
	if err != nil {
		return err
	}
	tree, fidelity, err := golearn.Surrogate(ctx, &dense, raw, golearn.Defaults(r.Seed))
	if err != nil {
		return fmt.Errorf("surrogate: %w", err)
	}
	picture := golearn.Picture(tree, fidelity, namesOf(r.encoder), levelsOf(r.encoder), winner.calibration.Probability)
	r.metrics.Surrogate = &picture
	r.progress("surrogate", 1, 1)
	return nil
}
