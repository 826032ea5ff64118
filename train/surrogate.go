package train

import (
	"context"
	"fmt"

	"propensity/train/golearn"
)

// picture is the winner imitated by one small tree, in words for the card. It
// explains the model to people and never scores.
func (r *run) picture(ctx context.Context, winner *judged) (string, error) {
	if !r.Surrogate {
		return "", nil
	}
	r.progress("surrogate", 0, 1)
	dense, err := r.matrix.Dense()
	if err != nil {
		return "", err
	}
	raw, err := rawOf(winner.model, &dense)
	if err != nil {
		return "", err
	}
	tree, fidelity, err := golearn.Surrogate(ctx, &dense, raw, golearn.Defaults(r.Seed))
	if err != nil {
		return "", fmt.Errorf("surrogate: %w", err)
	}
	var names []string
	var levels [][]string
	for _, c := range r.encoder.Columns {
		names, levels = append(names, c.Name), append(levels, c.Levels)
	}
	r.progress("surrogate", 1, 1)
	return fmt.Sprintf("One small tree that imitates the model, to read and not to score by. It explains %.0f %% of\n"+
		"the variance of the model's log-odds on rows it was not grown on.\n\n```\n%s```\n", 100*fidelity, golearn.Describe(tree, names, levels)), nil
}
