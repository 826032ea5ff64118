package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"propensity/datasets"
	"propensity/models/evaluate"
)

// CrossValidation is the quality of one learner over folds: the mean of each
// figure over the folds, each measured on rows its model did not learn from.
type CrossValidation struct {
	Learner          string    `json:"learner"`
	Rows             int       `json:"rows"`
	Positives        int       `json:"positives"`
	Folds            int       `json:"folds"`
	ROCAUC           float64   `json:"roc_auc"`
	PRAUC            float64   `json:"pr_auc"`
	LogLoss          float64   `json:"log_loss"`
	Brier            float64   `json:"brier"`
	PrecisionTop10   float64   `json:"precision_top_10"`
	CalibrationError float64   `json:"calibration_error"`
	ROCAUCByFold     []float64 `json:"roc_auc_by_fold"`
	Calibrations     []string  `json:"calibrations"` // kept in each fold
	Seconds          float64   `json:"seconds"`      // to fit, all folds

	// Probabilities are those of each fold's test rows, in its order.
	Probabilities [][]float64 `json:"-"`
}

// FoldsFor cuts the rows of a table for cross-validation: "rule" is the fold rule
// by file order and label, "group" keeps accounts together.
func FoldsFor(kind string, t *datasets.Table, s Spec) ([]datasets.Fold, error) {
	p, err := prepare(inMemory{t}, s)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "rule":
		return datasets.FoldsOf(datasets.FoldsRule(p.label, foldCount), foldCount), nil
	case "group":
		folds, err := datasets.FoldsGroup(p.keys, p.label, foldCount)
		return folds, wrapTable(err)
	}
	return nil, fmt.Errorf("%w: unknown folds %q: use rule or group", ErrSpec, kind)
}

// CrossValidate judges each learner of the spec on every fold: settings and
// calibration are chosen within the fold's training rows, then the learner is
// fitted on all of them. Every figure is the mean over the folds. Progress may be nil.
func CrossValidate(ctx context.Context, t *datasets.Table, s Spec, folds []datasets.Fold, progress Progress) ([]CrossValidation, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s = s.withDefaults()
	if progress == nil {
		progress = func(string, int, int) {}
	}
	p, err := prepare(inMemory{t}, s)
	if err != nil {
		return nil, err
	}
	var out []CrossValidation
	for _, name := range LearnerNames() {
		if !slices.Contains(s.Learners, name) {
			continue
		}
		c := CrossValidation{Learner: name, Rows: len(p.label), Positives: positives(p.label), Folds: len(folds)}
		for k, f := range folds {
			stage := fmt.Sprintf("%s, fold %d of %d", name, k+1, len(folds))
			if err := p.crossFold(ctx, &c, s, f, func(done, total int) { progress(stage, done, total) }); err != nil {
				return nil, fmt.Errorf("fold %d: %w", k+1, err)
			}
			progress(stage, 1, 1)
		}
		n := float64(len(folds))
		for _, x := range []*float64{&c.ROCAUC, &c.PRAUC, &c.LogLoss, &c.Brier, &c.PrecisionTop10, &c.CalibrationError} {
			*x /= n
		}
		out = append(out, c)
	}
	return out, nil
}

// crossFold adds one fold's figures to the sums.
func (p *prepared) crossFold(ctx context.Context, c *CrossValidation, s Spec, f datasets.Fold, tick func(done, total int)) error {
	e, err := p.encode(f.Train)
	if err != nil {
		return err
	}
	// Whatever the split of the spec, inner folds keep accounts together.
	byAccount := s
	byAccount.Split = SplitGroup
	inner, err := p.folds(byAccount, f.Train, partsOf(len(f.Train)))
	if err != nil {
		return err
	}
	start := time.Now()
	fit, err := fitLearner(ctx, c.Learner, e, inner, s, tick)
	if err != nil {
		return err
	}
	c.Seconds += time.Since(start).Seconds()
	m := p.encodeRows(e.encoder, f.Test)
	raw, probability, err := fit.score(&m)
	if err != nil {
		return err
	}
	auc := evaluate.ROCAUC(m.Label, raw)
	if math.IsNaN(auc) {
		return fmt.Errorf("%w: a fold has one label only", ErrTable)
	}
	c.ROCAUC += auc
	c.ROCAUCByFold = append(c.ROCAUCByFold, auc)
	c.PRAUC += evaluate.PRAUC(m.Label, raw)
	c.LogLoss += evaluate.LogLoss(m.Label, probability)
	c.Brier += evaluate.Brier(m.Label, probability)
	c.PrecisionTop10 += evaluate.PrecisionAt(m.Label, raw, 0.1)
	c.CalibrationError += evaluate.CalibrationError(m.Label, probability, 10)
	c.Calibrations = append(c.Calibrations, fit.calibration.Kind)
	c.Probabilities = append(c.Probabilities, probability)
	return nil
}
