package train

import (
	"context"
	"fmt"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// fitted is a learner's model, calibrated, with what it was settled on.
type fitted struct {
	name string
	settled
	encoder     *features.Encoder
	model       models.Model
	calibration models.Calibration
	choice      models.CalibrationChoice
}

// encoded is the training part as learners see it. The encoder has seen no
// other row.
type encoded struct {
	encoder *features.Encoder
	left    []features.LeftOut
	matrix  features.Matrix
}

// encode fits the encoder on the given rows and encodes them.
func (p *prepared) encode(rows []int) (*encoded, error) {
	table, moments, label := p.candidates.Take(rows), datasets.Take(p.moments, rows), datasets.Take(p.label, rows)
	table, left := leaveOutCopies(table, label)
	encoder, more, err := features.FitEncoder(table, moments)
	if err != nil {
		return nil, wrapTable(err)
	}
	left = append(left, more...)
	if len(encoder.Columns) == 0 {
		return nil, fmt.Errorf("%w: no column is left to learn from: %s", ErrTable, leftOutText(left))
	}
	e := &encoded{encoder: encoder, left: left}
	e.matrix, err = p.encodeRows(encoder, rows)
	return e, err
}

// encodeRows encodes the given rows by a fitted encoder.
func (p *prepared) encodeRows(encoder *features.Encoder, rows []int) (features.Matrix, error) {
	columns, err := encoder.EncodeTable(p.candidates.Take(rows), datasets.Take(p.moments, rows))
	if err != nil {
		return features.Matrix{}, wrapTable(err)
	}
	return features.Matrix{Features: encoder.Features(), Columns: columns, Label: datasets.Take(p.label, rows), Group: datasets.Take(p.group, rows)}, nil
}

// fitLearner settles a learner by the folds, fits it on all the rows of the
// matrix and chooses its calibrator from the out-of-fold scores.
func fitLearner(ctx context.Context, name string, e *encoded, folds []datasets.Fold, spec Spec, tick func(done, total int)) (*fitted, error) {
	fail := func(err error) (*fitted, error) { return nil, fmt.Errorf("%s: %w", name, err) }
	s, err := settle(ctx, name, &e.matrix, folds, spec, tick)
	if err != nil {
		return fail(err)
	}
	f := &fitted{name: name, settled: s, encoder: e.encoder}
	if f.model, err = f.Fit(ctx, e.matrix, features.Matrix{}); err != nil {
		return fail(err)
	}
	scored := finite(s.raw)
	f.calibration, f.choice, err = fitCalibration(datasets.Take(s.raw, scored), datasets.Take(e.matrix.Label, scored), datasets.Take(e.matrix.Group, scored), spec.Seed)
	if err != nil {
		return fail(err)
	}
	return f, nil
}

// score gives the log-odds and probabilities of encoded rows.
func (f *fitted) score(m *features.Matrix) (raw, probability []float64) {
	raw = models.RawAll(f.model, m.Columns, m.Rows())
	probability = make([]float64, len(raw))
	for i, r := range raw {
		probability[i] = f.calibration.Probability(r)
	}
	return raw, probability
}

func leftOutText(left []features.LeftOut) string {
	if len(left) == 0 {
		return "each has a role or was dropped"
	}
	s := ""
	for i, l := range left {
		if i > 0 {
			s += "; "
		}
		s += fmt.Sprintf("%q: %s", l.Column, l.Reason)
	}
	return s
}
