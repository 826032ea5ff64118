package train

import (
	"context"
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/report"
)

// Progress tells how far a stage is: done of total. The total of a stage that
// may end early is the most it can take.
type Progress func(stage string, done, total int)

// Result is what a run leaves: the artifact and why it may, or may not, become champion.
type Result struct {
	Artifact *models.Artifact
	Files    models.Files
	// Gate is the whole decision, the comparison with the champion included.
	Gate models.Gate
}

// Run learns from a table. Champion is the version in place, nil if there is
// none; progress may be nil. The same table and spec give the same artifact, bit
// for bit; of the champion only the bands go into it, by way of the spec. Errors are ErrSpec, ErrLabel, ErrTable, those of the
// learners, or ctx.Err().
func Run(ctx context.Context, t *datasets.Table, s Spec, champion *Champion, progress Progress) (*Result, error) {
	return RunColumns(ctx, inMemory{t}, s, champion, progress)
}

// RunColumns is Run of a table that gives its columns one at a time, such as one
// larger than memory: the same table and spec give the same artifact as Run. No
// more columns are held at once than there are processors, and learners that
// need the whole table at once are ErrSpec: that leaves boosting, without a
// surrogate.
func RunColumns(ctx context.Context, t Columns, s Spec, champion *Champion, progress Progress) (*Result, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s = s.withDefaults()
	if champion != nil && s.Bands == nil && !s.Rebands {
		for _, b := range champion.Scorer.Artifact().Manifest.Bands {
			s.Bands = append(s.Bands, b.From)
		}
	}
	if progress == nil {
		progress = func(string, int, int) {}
	}
	progress("prepare", 0, 1)
	p, err := prepare(t, s)
	if err != nil {
		return nil, err
	}
	if !p.held() {
		if err := s.columnwise(); err != nil {
			return nil, err
		}
	}
	cut, about, err := p.parts(s)
	if err != nil {
		return nil, err
	}
	progress("prepare", 1, 1)
	progress("leaks", 0, 1)
	found, err := p.court(ctx, s, cut.Train)
	if err != nil {
		return nil, err
	}
	p.sentence(found)
	e, err := p.encode(cut.Train)
	if err != nil {
		return nil, err
	}
	folds, err := p.folds(s, cut.Train, partsOf(len(cut.Train)))
	if err != nil {
		return nil, err
	}
	r := &run{Spec: s, prepared: p, encoded: e, by: folds, about: about, progress: progress}
	r.metrics.Leaks = found
	r.note(p.notes...)
	r.note(cut.Note, folds.note, suspects(found))
	progress("leaks", 1, 1)
	r.judging = p.encodeRows(e.encoder, cut.Test)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	winner, all, err := r.candidates(ctx, cut.Test)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.gate(winner, champion, cut); err != nil {
		return nil, err
	}
	if err := r.evidence(ctx, winner, all, cut); err != nil {
		return nil, err
	}
	if s.Refit {
		if err := r.refit(ctx, winner); err != nil {
			return nil, err
		}
	}
	if err := r.surrogate(ctx, winner); err != nil {
		return nil, err
	}
	fingerprint, err := t.Fingerprint()
	if err != nil {
		return nil, err
	}
	return r.result(winner, fingerprint)
}

// run carries one training run from step to step.
type run struct {
	Spec
	*prepared
	*encoded
	by       foldSet
	judging  features.Matrix // the rows that judge, encoded
	about    models.Split
	metrics  models.Metrics
	decision models.Gate
	notes    []string
	progress Progress
}

func (r *run) note(texts ...string) {
	for _, text := range texts {
		if text != "" {
			r.notes = append(r.notes, text)
		}
	}
}

// candidates fits and judges every learner and chooses among them.
func (r *run) candidates(ctx context.Context, test []int) (winner *judged, all []*judged, err error) {
	for _, name := range LearnerNames() { // the simplest first, however they were named
		if !slices.Contains(r.Learners, name) {
			continue
		}
		f, err := fitLearner(ctx, name, r.encoded, r.by, r.Spec, func(done, total int) {
			if done < total { // the stage ends when the learner is judged
				r.progress(name, done, total)
			}
		})
		if err != nil {
			return nil, nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		j, err := r.judge(f, &r.judging, test, r.Seed)
		if err != nil {
			return nil, nil, wrapTable(err)
		}
		r.progress(name, 1, 1)
		all = append(all, j)
	}
	winner, err = choose(all, &r.judging)
	if err != nil {
		return nil, nil, wrapTable(err)
	}
	for _, j := range all {
		r.metrics.Candidates = append(r.metrics.Candidates, models.Candidate{Learner: j.name, Settings: j.settings, Report: *j.report, Gain: j.gain})
	}
	r.metrics.Chosen, r.metrics.Calibration = winner.name, winner.choice
	r.note(trust(winner.report, positives(r.label)))
	return winner, all, nil
}

// gate holds the winner against the base rate, the best rule and the champion.
func (r *run) gate(winner *judged, champion *Champion, cut datasets.Split) error {
	g := &gate{m: &r.judging, winner: winner, baseRate: mean(r.matrix.Label)}
	if err := g.beatsBaseRate(); err != nil {
		return wrapTable(err)
	}
	best, err := bestRule(r.encoder, &r.matrix)
	if err != nil {
		return err
	}
	if best != nil {
		if err := g.beatsRule(best); err != nil {
			return wrapTable(err)
		}
		r.metrics.Rule = &best.Rule
	}
	// What the artifact holds must follow from its data and spec alone: how it
	// stands against the version in place is told by the result and the log.
	r.metrics.Gate = g.Gate
	if champion != nil {
		if err := g.standsAgainst(champion, r.prepared, r.Spec, cut.Test); err != nil {
			return err
		}
	}
	r.decision = g.Gate
	return nil
}

// refit fits the winner again on every labelled row, settings and calibration
// fixed; the figures remain those of the model that was judged.
func (r *run) refit(ctx context.Context, winner *judged) error {
	r.progress("refit", 0, 1)
	rows := sequence(len(r.label))
	e, err := r.encode(rows)
	if err != nil {
		return err
	}
	if c, ok := winner.Learner.(Scorecard); ok { // a card by hand is of the encoder
		c.Options.Encoder = e.encoder
		winner.Learner = c
	}
	if winner.model, err = winner.Fit(ctx, e.matrix, features.Matrix{}); err != nil {
		return fmt.Errorf("refit: %w", err)
	}
	r.encoded, winner.encoder = e, e.encoder
	r.about.Refit = true
	r.learntFrom(&r.about, rows)
	r.note("the published model was fitted again on all rows after it was judged")
	r.progress("refit", 1, 1)
	return nil
}

// result puts the artifact together.
func (r *run) result(winner *judged, fingerprint string) (*Result, error) {
	from := r.Bands
	if from == nil {
		from = cutBands(winner.probability)
		r.Bands = from // recorded, so that a retrain from the artifact's spec keeps them
	}
	bands, err := observe(from, winner.probability, &r.judging)
	if err != nil {
		return nil, err
	}
	ranking, err := evaluate.NewRanking(winner.raw)
	if err != nil {
		return nil, err
	}
	a := &models.Artifact{
		Manifest: models.Manifest{
			Name: r.Name, Learner: winner.name, Account: r.ID, Moment: r.Time,
			Label: models.Label{Column: r.Label, Positive: r.positive}, Value: r.Value,
			Data: r.data(fingerprint), Split: r.about, Seed: r.Seed, BaseRate: mean(r.matrix.Label),
			Bands: bands, LeftOut: r.encoded.left, Notes: r.notes,
		},
		Encoder: winner.encoder, Model: winner.model, Calibration: winner.calibration, Ranking: ranking,
		Features: r.Features,
	}
	r.metrics.Importance = models.RankImportance(a)
	a.Metrics = r.metrics
	if a.Spec, err = r.YAML(); err != nil {
		return nil, err
	}
	a.Card = report.Card(&a.Manifest, &a.Metrics, a.Calibration)
	if a.Report, err = report.HTML(&a.Manifest, &a.Metrics, a.Calibration); err != nil {
		return nil, err
	}
	files, err := a.Files()
	if err != nil {
		return nil, err
	}
	return &Result{Artifact: a, Files: files, Gate: r.decision}, nil
}

// positives counts the labels that are 1.
func positives(label []float64) int {
	n := 0
	for _, y := range label {
		n += int(y)
	}
	return n
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}
