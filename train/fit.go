package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/train/gbdt"
	regression "propensity/train/logistic"
	cards "propensity/train/scorecard"
)

// fitted is a learner's model, calibrated, with what it was settled on.
type fitted struct {
	name string
	settled
	encoder     *features.Encoder
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

// encode fits the encoder on the given rows, a column at a time, and gives their
// matrix.
func (p *prepared) encode(rows []int) (*encoded, error) {
	label := datasets.Take(p.label, rows)
	var moments []int64
	if p.moments != nil {
		moments = datasets.Take(p.moments, rows)
	}
	fitted, why := make([]features.Column, len(p.candidates)), make([]string, len(p.candidates))
	err := features.Parallel(len(p.candidates), func(j int) error {
		c, err := p.column(p.candidates[j])
		if err != nil {
			return err
		}
		part := pick(&c, rows)
		if _, cleared := p.cleared[c.Name]; !cleared && copies(&part, label) {
			why[j] = "each of its values goes with one outcome only: it is a copy of the label"
			return nil
		}
		if fitted[j], why[j], err = features.FitColumn(&part, moments); why[j] == "" {
			err = cmp.Or(p.checkFinite(&c), err)
		}
		return wrapTable(err)
	})
	if err != nil {
		return nil, err
	}
	var columns []features.Column
	left := slices.Clone(p.left)
	for j, name := range p.candidates {
		if why[j] == "" {
			columns = append(columns, fitted[j])
		} else {
			left = append(left, features.LeftOut{Column: name, Reason: why[j]})
		}
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("%w: no column is left to learn from: %s", ErrTable, leftOutText(left))
	}
	e := &encoded{encoder: features.NewEncoder(columns), left: left}
	e.matrix = p.encodeRows(e.encoder, rows)
	if p.held() && len(rows)*len(columns) <= denseCells {
		e.matrix, err = e.matrix.Dense()
	}
	return e, err
}

// denseCells is how many encoded cells of a table in memory are held, 32 MB: what
// passes over the rows many times is the faster for it. More are made when asked for.
const denseCells = 1 << 22

// checkFinite refuses infinite numbers, in rows to judge by too.
func (p *prepared) checkFinite(c *datasets.Column) error {
	for i, x := range c.Numbers {
		if math.IsInf(x, 0) {
			return fmt.Errorf("column %q, row %d: %v is not finite: make it missing, or leave the row or the column out", c.Name, p.place(i)+1, x)
		}
	}
	return nil
}

// fitLearner settles a learner by the folds, fits it on all the rows of the
// matrix and chooses its calibrator from the out-of-fold scores. With a single
// fold the model of that fold is the one: it is not fitted again.
func fitLearner(ctx context.Context, name string, e *encoded, by foldSet, spec Spec, tick func(done, total int)) (*fitted, error) {
	fail := func(err error) (*fitted, error) {
		if errors.Is(err, gbdt.ErrOptions) || errors.Is(err, cards.ErrOptions) || errors.Is(err, cards.ErrPrior) {
			err = fmt.Errorf("%w: %w", ErrSpec, err)
		}
		if none := (*regression.NoOptimumError)(nil); errors.As(err, &none) {
			err = none.Named(levelsOf(e.encoder))
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := settle(ctx, name, e, by.rounds, spec, tick)
	if err != nil {
		return fail(err)
	}
	f := &fitted{name: name, settled: s, encoder: e.encoder}
	if f.model == nil {
		if f.model, err = f.Fit(ctx, e.matrix, features.Matrix{}); err != nil {
			return fail(err)
		}
	}
	if err := f.calibrate(e, by, spec); err != nil {
		return fail(err)
	}
	return f, nil
}

// calibrate chooses the calibrator by the out-of-fold scores, and moves it to
// where the newest of them are, or to the prior of the spec.
func (f *fitted) calibrate(e *encoded, by foldSet, spec Spec) (err error) {
	scored := finite(f.settled.raw)
	raw, label, group := datasets.Take(f.settled.raw, scored), datasets.Take(e.matrix.Label, scored), datasets.Take(e.matrix.Group, scored)
	if f.calibration, f.choice, err = fitCalibration(raw, label, group, spec.Seed); err != nil {
		return err
	}
	if spec.Prior > 0 {
		f.calibration.Shift = logOdds(spec.Prior) - logOdds(mean(e.matrix.Label))
	} else if windows := by.windows(e.matrix.Rows()); windows != nil {
		f.calibration.Shift, f.choice.Newest, err = newest(f.calibration, raw, label, group, datasets.Take(windows, scored))
	}
	f.choice.Shift = f.calibration.Shift
	return err
}

// score gives the log-odds and probabilities of encoded rows.
func (f *fitted) score(m *features.Matrix) (raw, probability []float64, err error) {
	if raw, err = rawOf(f.model, m); err != nil {
		return nil, nil, err
	}
	probability = make([]float64, len(raw))
	for i, r := range raw {
		probability[i] = f.calibration.Probability(r)
	}
	return raw, probability, nil
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
