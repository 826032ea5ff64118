package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/train/gbdt"
	"propensity/train/learnt"
	regression "propensity/train/logistic"
)

// evidence fills in what people want to know of a version besides its figures:
// how it would have done before, where it is weak, what it learnt.
func (r *run) evidence(ctx context.Context, winner *judged, all []*judged, cut datasets.Split) error {
	if err := r.backtest(ctx, all, cut); err != nil {
		return err
	}
	shift, err := compareRates(r.matrix.Label, r.judging.Label, r.matrix.Group, r.judging.Group)
	if err != nil {
		return wrapTable(err)
	}
	r.metrics.Shift = shift
	if r.Prior > 0 {
		shift.Prior = &r.Prior
	}
	if shift.Moved {
		r.note(shift.Detail)
	}
	if r.metrics.Capacity, err = r.capacity(winner); err != nil {
		return wrapTable(err)
	}
	if r.metrics.Segments, err = r.segments(winner, cut.Test); err != nil {
		return wrapTable(err)
	}
	if err := r.points(ctx, winner); err != nil {
		return err
	}
	if _, trees := winner.Learner.(Boosting); !trees && len(r.Monotone)+len(r.Together) > 0 {
		r.note(fmt.Sprintf("monotone and together bind the learners boosting and additive; %s, which was chosen, keeps to no order that it did not learn", winner.name))
	}
	if r.Quick {
		return nil
	}
	if err := r.coefficients(ctx, winner); err != nil {
		return err
	}
	return r.learn(ctx, winner)
}

// replicates bound the weights of a penalised regression, of at most so many
// rows: of more they are known well enough for nobody to ask.
const (
	replicates     = 100
	replicatesRows = 100_000
)

// coefficients are the weights of a logistic regression, with bounds.
func (r *run) coefficients(ctx context.Context, winner *judged) error {
	l, ok := winner.Learner.(regression.Learner)
	if !ok || l.Lambda > 0 || r.matrix.Rows() > replicatesRows {
		return nil
	}
	r.progress("bounds of the weights", 0, 1)
	o := regression.Options(l)
	if o.Seed = r.Seed; o.L2 > 0 { // without a penalty there are standard errors
		o.Replicates = replicates
	}
	fit, err := regression.Fit(ctx, &r.matrix, o)
	if err != nil {
		return err
	}
	r.metrics.Coefficients = fit.Coefficients(namesOf(r.encoder), levelsOf(r.encoder))
	r.progress("bounds of the weights", 1, 1)
	return nil
}

// namesOf are the columns of an encoder, levelsOf the levels of each.
func namesOf(e *features.Encoder) (names []string) {
	for _, c := range e.Columns {
		names = append(names, c.Name)
	}
	return names
}

func levelsOf(e *features.Encoder) (levels [][]string) {
	for _, c := range e.Columns {
		levels = append(levels, c.Levels)
	}
	return levels
}

// capacity is what the accounts that can be worked bring: the newest moment tells
// how many are scored at a time, or else all accounts are.
func (r *run) capacity(winner *judged) ([]models.Capacity, error) {
	if r.Capacity == 0 {
		return nil, nil
	}
	of := r.accounts
	if r.byTime {
		newest := slices.Max(r.moments)
		of = 0
		for _, m := range r.moments {
			if m == newest {
				of++
			}
		}
	}
	n := len(winner.raw)
	rows := min(n, max(1, int(math.Round(float64(n)*float64(r.Capacity)/float64(of)))))
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(winner.raw[b], winner.raw[a]) })
	top := order[:rows]
	c := models.Capacity{Accounts: r.Capacity, Of: of, From: winner.probability[top[rows-1]]}
	var err error
	label := datasets.Take(r.judging.Label, top)
	if c.Precision, err = evaluate.Rate(label, datasets.Take(r.judging.Group, top)); err != nil {
		return nil, err
	}
	c.CapturedPositives = float64(positives(label)) / float64(positives(r.judging.Label))
	return []models.Capacity{c}, nil
}

// Columns of at most so many values are segments by themselves, the most
// important ones first: so many, and of so many rows to judge by fewer, since each
// column judges all of them again.
const (
	segmentValues  = 12
	segmentColumns = 8
	segmentRows    = 100_000
	segmentFew     = 3
)

// segments judges the winner by the values of category columns.
func (r *run) segments(winner *judged, test []int) ([]models.Segment, error) {
	names := r.Segments
	if names == nil {
		most := segmentColumns
		if len(test) > segmentRows {
			most = segmentFew
		}
		for _, f := range models.RankImportance(&models.Artifact{Model: winner.model, Encoder: r.encoder}) {
			if n := len(r.encoder.Columns[r.encoder.Find(f.Feature)].Levels); n > 1 && n <= segmentValues && len(names) < most {
				names = append(names, f.Feature)
			}
		}
	}
	var columns []models.SegmentColumn
	for _, name := range names {
		c, err := r.column(name)
		if err != nil {
			return nil, err
		}
		judging := pick(&c, test)
		columns = append(columns, models.SegmentColumn{Name: name, Values: models.SegmentValues(&judging)})
	}
	return models.Segments(columns, models.SegmentRows{
		Y: r.judging.Label, Raw: winner.raw, P: winner.probability, Group: r.judging.Group, ROCAUC: winner.report.ROCAUC, Seed: r.Seed,
	})
}

// learn looks at what the winner learnt.
func (r *run) learn(ctx context.Context, winner *judged) (err error) {
	in := learnt.Input{
		Model: winner.model, Calibration: winner.calibration, Rows: r.judging, Seed: r.Seed,
		Progress: func(done, total int) { r.progress("what it learnt", done, total) },
	}
	if in.Training, err = thin(&r.matrix, min(effectRows, denseCells/len(r.matrix.Features))).Dense(); err != nil {
		return err
	}
	in.Refit = func(ctx context.Context, m features.Matrix) (models.Model, error) {
		learner := winner.Learner
		if b, ok := learner.(Boosting); ok { // the matrix may have fewer features
			b.Options = quicker(r.constrained(b.Options, &m))
			learner = b
		}
		return learner.Fit(ctx, *thin(&m, refitRows), features.Matrix{})
	}
	question := map[string]string{}
	for q, columns := range r.Questions {
		for _, c := range columns {
			question[c] = q
		}
	}
	in.Levels = levelsOf(r.encoder)
	for _, c := range r.encoder.Columns {
		in.Questions = append(in.Questions, question[c.Name])
	}
	r.metrics.Learnt, err = learnt.Examine(ctx, in)
	return err
}

// effectRows is how many training rows, at most, the effects of levels come from,
// and refitRows what a refit learns from: eight of them tell how steady the
// reasons are, and what the other columns say.
const (
	effectRows = 100_000
	refitRows  = 20_000
)

// refitTrees is how many trees a refit has at most.
const refitTrees = 500

// quicker takes fewer trees of a higher rate: what a refit tells of the reasons
// hardly depends on it.
func quicker(o gbdt.Options) gbdt.Options {
	if o.Trees > refitTrees {
		o.Rate = min(0.3, o.Rate*float64(o.Trees)/refitTrees)
		o.Trees = refitTrees
	}
	return o
}

// thin keeps at most so many rows, evenly spaced.
func thin(m *features.Matrix, most int) *features.Matrix {
	if m.Rows() <= most {
		return m
	}
	out := m.Take(spaced(sequence(m.Rows()), most))
	return &out
}

// spaced are at most so many of the rows, evenly spaced.
func spaced(rows []int, most int) []int {
	if len(rows) <= most {
		return rows
	}
	out := make([]int, most)
	for k := range out {
		out[k] = rows[k*len(rows)/most]
	}
	return out
}
