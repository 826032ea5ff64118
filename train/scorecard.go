package train

import (
	"context"
	"strings"

	"propensity/features"
	"propensity/models"
	cards "propensity/train/scorecard"
)

// ScorecardSettings are how a scorecard counts, and from where it comes if it is
// not to be learnt. What is 0 is left to the learner.
type ScorecardSettings struct {
	// Base points stand for odds of Odds to 1 against the positive label, and Double
	// more points wherever the odds of the positive label double.
	Base   float64 `yaml:"base,omitempty"`
	Odds   float64 `yaml:"odds,omitempty"`
	Double float64 `yaml:"double,omitempty"`
	// Bins are the most of one column; Round makes all points whole numbers.
	Bins  int  `yaml:"bins,omitempty"`
	Round bool `yaml:"round,omitempty"`
	// Table is a card that was edited by hand: it is the model. Prior asks for the
	// card of that kind of model which is not learnt, for too few outcomes.
	Table cards.Table `yaml:"table,omitempty"`
	Prior string      `yaml:"prior,omitempty"`
}

func (c *ScorecardSettings) options(e *features.Encoder) cards.Options {
	return cards.Options{
		Scale: cards.Scale{Base: c.Base, Odds: c.Odds, Double: c.Double}, Bins: c.Bins, Round: c.Round,
		Table: c.Table, Kind: c.Prior, Encoder: e,
	}
}

// Scorecard is points by bins (package scorecard).
type Scorecard struct{ Options cards.Options }

// Fit learns the bins and their points.
func (c Scorecard) Fit(ctx context.Context, train, _ features.Matrix) (models.Model, error) {
	r, err := cards.Fit(ctx, &train, c.Options)
	if err != nil {
		return nil, err
	}
	return r.Model, nil
}

// points is the card of a winner that is one, for people to read.
func (r *run) points(ctx context.Context, winner *judged) error {
	c, ok := winner.Learner.(Scorecard)
	if !ok {
		return nil
	}
	fit, err := cards.Fit(ctx, &r.matrix, c.Options)
	if err != nil {
		return err
	}
	card := fit.Card(r.encoder)
	var table strings.Builder
	if err := cards.Write(&table, fit.Table(r.encoder)); err != nil {
		return err
	}
	card.Table = table.String()
	r.metrics.Scorecard = &card
	r.note(fit.Notes...)
	if len(c.Options.Table) > 0 {
		r.note("the scorecard was given as a table and not learnt: if it was made from these very rows, only the rows that judge tell how good it is, not the folds or the backtest")
	}
	return nil
}
