// Package learnt says what a fitted model learnt, in forms that people can read:
// which questions drive it, which levels of categories matter, the shape of each
// effect, the pairs that interact, and whether a refit would give the same reasons.
package learnt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"propensity/features"
	"propensity/models"
	"propensity/models/tree"
)

// ErrInput is wrapped by errors of an input that does not fit together.
var ErrInput = errors.New("unusable input")

// Input is a fitted model with the rows to look at it by.
type Input struct {
	Model       models.Model       // *models.Linear or *tree.Ensemble
	Calibration models.Calibration // the zero value stands for none
	// Levels are the names of a category's codes, by feature; those of a number
	// are empty.
	Levels [][]string
	// Questions names the source question of each feature; where it is empty, or
	// the slice is nil, a feature is a question of its own.
	Questions []string
	// Rows are rows that the model did not learn from: drivers, shapes, pairs and
	// stability are measured on a sample of them. They count alike.
	Rows features.Matrix
	// Training are the rows that the model learnt from: the effects of levels are
	// found among them, and refits learn from them. Empty: neither.
	Training features.Matrix
	// Refit fits the settled learner to other rows, or to fewer features: five times
	// to as many rows as there are in Training, and, if the model is of trees, three
	// times to two thirds of at most 100,000. Nil: no stability, and effects are
	// adjusted for columns one by one.
	Refit    func(ctx context.Context, m features.Matrix) (models.Model, error)
	Seed     uint64
	Progress func(done, total int) // nil: none
}

// How much is looked at: enough for two digits, in seconds at 40 columns and 500 trees.
const (
	driverRows    = 10_000
	driverCells   = 8 << 20 // rows by columns: 64 MB of Shapley values
	shapeRows     = 2_000
	pairRows      = 200
	stabilityRows = 500
	effectRows    = 100_000
)

// The keys of the random streams of the parts.
const (
	streamRows uint64 = iota + 1
	streamPermutation
	streamPairs
	streamStability
	streamEffects
	streamResample
	streamFolds
	streamShapes
)

// Examine looks at the model. The result has the same bits at any GOMAXPROCS.
// Without Rows there are only the effects, without Training all but the effects
// and the stability. Errors: ErrInput, those of reading a column or of Refit, and
// ctx.Err().
func Examine(ctx context.Context, in Input) (*models.Learnt, error) {
	x, err := newExaminer(in)
	if err != nil {
		return nil, err
	}
	out := &models.Learnt{Rows: x.rows.Rows()}
	for _, step := range []func(context.Context, *models.Learnt) error{x.drivers, x.effects, x.shapes, x.pairs, x.stability} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(ctx, out); err != nil {
			return nil, err
		}
		x.step()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if x.done < units { // there was nothing to refit
		x.done = units - 1
		x.step()
	}
	return out, nil
}

// examiner is an Input with what several parts need of it.
type examiner struct {
	Input
	rows      features.Matrix // the rows looked at, dense
	questions []question
	// additive says that no features act together: what one adds, its Shapley value,
	// is the same in every row that has its value, and scores can be put together
	// from them.
	additive bool
	phi      []float64 // Shapley values of rows, row after row
	size     []float64 // mean |phi| of each feature
	done     int
}

// question is a source question with its features, in the encoder's order.
type question struct {
	name     string
	features []int
}

func newExaminer(in Input) (*examiner, error) {
	if in.Calibration.Kind == "" {
		in.Calibration.Kind = models.CalibrationNone
	}
	if err := in.Calibration.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	var width int
	switch m := in.Model.(type) {
	case *models.Linear:
		width = len(m.Terms)
	case *tree.Ensemble:
		width = m.Features()
	default:
		return nil, fmt.Errorf("%w: a model of type %T; want a linear model or an ensemble of trees", ErrInput, in.Model)
	}
	for _, m := range []struct {
		name string
		*features.Matrix
	}{{"rows", &in.Rows}, {"training rows", &in.Training}} {
		if err := check(m.Matrix, width); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInput, m.name, err)
		}
	}
	if n := len(in.Levels); n != 0 && n != width {
		return nil, fmt.Errorf("%w: names of the levels of %d features, the model has %d", ErrInput, n, width)
	}
	if n := len(in.Questions); n != 0 && n != width {
		return nil, fmt.Errorf("%w: questions of %d features, the model has %d", ErrInput, n, width)
	}
	x := &examiner{Input: in}
	if in.Rows.Rows() == 0 { // nothing to read
		in.Rows = features.Matrix{Features: in.Training.Features, Columns: make([][]float64, width)}
	}
	most := min(driverRows, max(stabilityRows, driverCells/max(width, 1)))
	sampled := in.Rows.Take(sample(in.Rows.Rows(), most, in.Seed, streamRows))
	var err error
	if x.rows, err = sampled.Dense(); err != nil {
		return nil, err
	}
	x.questions, x.additive = x.group(), !interacts(in.Model)
	return x, nil
}

// check says whether a matrix fits the model. A matrix without rows does.
func check(m *features.Matrix, width int) error {
	n := m.Rows()
	switch {
	case n == 0:
		return nil
	case len(m.Features) != width:
		return fmt.Errorf("%d features, the model has %d", len(m.Features), width)
	case m.Columns != nil && len(m.Columns) != width:
		return fmt.Errorf("%d columns for %d features", len(m.Columns), width)
	case m.Columns == nil && (m.Load == nil || len(m.Index) != n) && width > 0:
		return fmt.Errorf("no columns for %d rows", n)
	case m.Group != nil && len(m.Group) != n:
		return fmt.Errorf("%d accounts for %d rows", len(m.Group), n)
	case m.Weight != nil && len(m.Weight) != n:
		return fmt.Errorf("%d weights for %d rows", len(m.Weight), n)
	}
	for j, col := range m.Columns {
		if len(col) != n {
			return fmt.Errorf("feature %q: %d values for %d rows", m.Features[j].Name, len(col), n)
		}
	}
	for i, y := range m.Label {
		if y != 0 && y != 1 {
			return fmt.Errorf("row %d: label %v is neither 0 nor 1", i, y)
		}
	}
	for i, w := range m.Weight {
		if !(w > 0) || math.IsInf(w, 0) {
			return fmt.Errorf("row %d: weight %v; a finite number above 0 is expected", i, w)
		}
	}
	return nil
}

// group gathers the features of each question, in the order of their first ones.
func (x *examiner) group() []question {
	var out []question
	place := map[string]int{}
	for j, f := range x.rows.Features {
		name := f.Name
		if x.Questions != nil {
			name = cmp.Or(x.Questions[j], name)
		}
		at, known := place[name]
		if !known {
			at = len(out)
			place[name] = at
			out = append(out, question{name: name})
		}
		out[at].features = append(out[at].features, j)
	}
	return out
}

// level is the name of a code, which is the code itself where no name is known.
func (x *examiner) level(feature, code int) string {
	if x.Levels != nil && code < len(x.Levels[feature]) {
		return x.Levels[feature][code]
	}
	return fmt.Sprint(code)
}

// units is how many steps Progress counts: the parts, and each refit.
const units = 5 + refits + folds

func (x *examiner) step() {
	x.done++
	if x.Progress != nil {
		x.Progress(min(x.done, units), units)
	}
}

// sample draws at most so many of n rows, ascending.
func sample(n, most int, seed, stream uint64) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	if n <= most {
		return rows
	}
	random := rand.New(rand.NewPCG(seed, stream))
	for i := range most {
		k := i + random.IntN(n-i)
		rows[i], rows[k] = rows[k], rows[i]
	}
	rows = rows[:most]
	slices.Sort(rows)
	return rows
}
