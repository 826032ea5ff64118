package train

import (
	"errors"
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

// sameKindLimit is how much worse, in share of log loss, a retrain of the same
// learner may look and still replace the champion: newer data is worth that.
const sameKindLimit = 0.01

// leastRows and leastPositives are what a comparison with the champion needs.
const (
	leastRows      = 50
	leastPositives = 5
)

// gate decides whether a version may become champion.
type gate struct {
	models.Gate
	m        *features.Matrix // the rows that judge
	winner   *judged
	baseRate float64
}

func (g *gate) add(c models.Check) {
	g.Checks = append(g.Checks, c)
	g.Passed = !slices.ContainsFunc(g.Checks, func(c models.Check) bool { return !c.Passed })
}

// beats adds a check that the winner's log loss is lower than that of the given
// probabilities, by a 95 % interval above zero.
func (g *gate) beats(name, rival string, probability []float64) error {
	gain, err := evaluate.PairedLogLoss(g.m.Label, g.winner.probability, probability, g.m.Group)
	if err != nil {
		return err
	}
	c := models.Check{Name: name, Passed: gain.Low > 0, Gain: &gain}
	verb := "beats"
	if !c.Passed {
		verb = "does not beat"
	}
	c.Detail = fmt.Sprintf("%s %s %s: %s", g.winner.name, verb, rival, gainText(gain))
	g.add(c)
	return nil
}

// beatsBaseRate compares with the training base rate for everyone.
func (g *gate) beatsBaseRate() error {
	p := make([]float64, g.m.Rows())
	for i := range p {
		p[i] = g.baseRate
	}
	return g.beats("base rate", fmt.Sprintf("the base rate of %.2f %% for everyone", 100*g.baseRate), p)
}

func (g *gate) beatsRule(r *rule) error {
	p, err := r.score(g.m)
	if err != nil {
		return err
	}
	r.LogLoss = evaluate.LogLoss(g.m.Label, p)
	return g.beats("best rule", fmt.Sprintf("the best one-line rule (%s: %.1f %%, others %.1f %%)", r.Text, 100*r.Matched, 100*r.Others), p)
}

// Champion is the version in place, to be compared with.
type Champion struct {
	Version int
	Scorer  *models.Scorer
}

// standsAgainst compares with the champion in place on rows that it never
// learnt from. A retrain of its kind replaces it unless clearly worse; a more
// complex kind must win, a simpler one must not lose, by the interval.
func (g *gate) standsAgainst(champion *Champion, p *prepared, s Spec, rows []int) error {
	about := champion.Scorer.Artifact().Manifest
	say := func(passed bool, gain *evaluate.Difference, format string, args ...any) {
		g.add(models.Check{Name: "champion", Passed: passed, Gain: gain, Detail: fmt.Sprintf(format, args...)})
	}
	cannot := func(why any) error {
		say(false, nil, "version %d cannot be compared: %v; promote by hand if you know better", champion.Version, why)
		return nil
	}
	if about.Label.Column != s.Label || about.Label.Positive != p.positive {
		return cannot(fmt.Sprintf("it predicts %s=%s", about.Label.Column, about.Label.Positive))
	}
	if about.Split.Kind == SplitTime && s.Split == SplitTime && about.Moment != s.Time {
		return cannot(fmt.Sprintf("its moments were those of column %q, not %q", about.Moment, s.Time))
	}
	unseen, err := p.unseenBy(about.Split, s, rows)
	if err != nil {
		return cannot(err)
	}
	places := placesOf(rows, unseen)
	label, group := datasets.Take(g.m.Label, places), datasets.Take(g.m.Group, places)
	positive := positives(label)
	if len(label) < leastRows || positive < leastPositives || len(label)-positive < leastPositives {
		return cannot(fmt.Sprintf("of the rows that judge it never learnt from only %d (%d positive); %d with %d of each are needed", len(label), positive, leastRows, leastPositives))
	}
	theirs, err := p.scoreBy(champion.Scorer, unseen)
	if err != nil {
		return cannot(err)
	}
	ours := datasets.Take(g.winner.probability, places)
	gain, err := evaluate.PairedLogLoss(label, ours, theirs, group)
	if err != nil {
		return cannot(err)
	}
	measured := fmt.Sprintf("%s on %d rows that neither learnt from", gainText(gain), len(label))
	rank := slices.Index(LearnerNames(), g.winner.name)
	switch before := slices.Index(LearnerNames(), about.Learner); {
	case rank == before:
		loss := evaluate.LogLoss(label, ours)
		limit := (loss + gain.Mean) * (1 + sameKindLimit)
		say(loss <= limit, &gain, "a retrain of version %d (%s), which it replaces unless over %.0f %% worse: %s", champion.Version, about.Learner, 100*sameKindLimit, measured)
	case rank > before:
		say(gain.Low > 0, &gain, "%s is more complex than version %d (%s) and must beat it: %s", g.winner.name, champion.Version, about.Learner, measured)
	default:
		say(gain.High >= 0, &gain, "%s is simpler than version %d (%s) and must not lose to it: %s", g.winner.name, champion.Version, about.Learner, measured)
	}
	return nil
}

// scoreBy gives a scorer's probabilities of the given rows.
func (p *prepared) scoreBy(s *models.Scorer, rows []int) ([]float64, error) {
	var faults []error
	names := p.source.Names()
	for _, c := range s.Encoder().Columns {
		if !slices.Contains(names, c.Name) {
			faults = append(faults, fmt.Errorf("%w: %q", features.ErrColumn, c.Name))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	m := p.encodeRows(s.Encoder(), rows)
	raw, err := rawOf(s.Artifact().Model, &m)
	if err != nil {
		return nil, err
	}
	for i, r := range raw {
		raw[i] = s.Artifact().Calibration.Probability(r)
	}
	return raw, nil
}

// gainText tells by how much the log loss is lower than a rival's.
func gainText(d evaluate.Difference) string {
	return fmt.Sprintf("gain in log loss %.4f (%.4f to %.4f)", d.Mean, d.Low, d.High)
}

// placesOf finds the places of some within rows; both ascend.
func placesOf(rows, some []int) []int {
	out := make([]int, 0, len(some))
	k := 0
	for place, i := range rows {
		if k < len(some) && some[k] == i {
			out, k = append(out, place), k+1
		}
	}
	return out
}

// trust says how far figures from few positives are to be trusted.
func trust(r *evaluate.Report, positives int) string {
	if positives >= 50 {
		return ""
	}
	return fmt.Sprintf("only %d positives in the table: the ROC AUC of %.2f may as well be %.2f to %.2f; treat the scores as a hint until there are 50 and more",
		positives, r.ROCAUC.Value, r.ROCAUC.Low, r.ROCAUC.High)
}
