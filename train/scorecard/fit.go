// Package scorecard learns a scorecard: every feature in a few bins, each of which
// adds so many points, so that people can read, check and edit a model as a table.
//
// A scorecard is a *models.Linear whose terms are all in bins, so its reasons are
// the exact Shapley values of that model: the points of the account's bin less the
// mean points of the feature, in log-odds. Nothing else is needed for reason codes.
package scorecard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"propensity/features"
	"propensity/models"
	"propensity/train/logistic"
)

// ErrOptions is wrapped by an error about an option out of its range.
var ErrOptions = errors.New("scorecard")

// Options settle how a scorecard is learnt. The zero value is the default.
type Options struct {
	Prebins int     // bins of a number before merging, 2 to 100; 0: 40
	Bins    int     // most bins of a feature, missing values apart, 1 to 100; 0: 8
	Share   float64 // least share of the weight of all rows in a bin, below 1; 0: 0.05
	Each    int     // least positive and least negative rows in a bin, where two such can be; 0: 5
	Rare    float64 // levels with less than this share of the rows are pooled; 0: 0.01
	IV      float64 // a feature with less information value, or no more than chance gives, is left out; 0: 0.01
	// Trends are those of features by name; Monotone where there is none.
	Trends map[string]Trend
	// L2 is the penalty of the regression over the bins, as of logistic.Learner.
	L2 float64

	Scale Scale
	// Round makes all points whole numbers. They are the model then: it scores by
	// the rounded points.
	Round bool

	// Table is a card edited by hand: nothing is learnt but how the rows fall into
	// its bins, since the table is the model. Kind, of Kinds, asks for the prior card
	// of such models instead: nothing is learnt but the base rate (see Prior). Either
	// takes the Encoder of the matrix.
	Table   Table
	Kind    string
	Encoder *features.Encoder
}

// Result is a scorecard.
type Result struct {
	Model *models.Linear
	Scale Scale
	// Start are the points before any bin; an unseen category adds none to them.
	Start     float64
	Variables []Variable // in the order of the features; others contribute nothing
	LeftOut   []features.LeftOut
	Notes     []string // what people should know

	levels []int // of every feature
}

// settle fills in the defaults and checks the rest.
func (o *Options) settle(m *features.Matrix) error {
	o.Prebins, o.Bins, o.Each = or(o.Prebins, 40), or(o.Bins, 8), or(o.Each, 5)
	o.Share, o.Rare, o.IV = or(o.Share, 0.05), or(o.Rare, 0.01), or(o.IV, 0.01)
	var faults []error
	check := func(ok bool, name string, value any, want string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: %s is %v, want %s", ErrOptions, name, value, want))
		}
	}
	check(o.Prebins >= 2 && o.Prebins <= 100, "Prebins", o.Prebins, "2 to 100")
	check(o.Bins >= 1 && o.Bins <= 100, "Bins", o.Bins, "1 to 100")
	check(o.Each >= 1, "Each", o.Each, "1 or more")
	check(o.Share >= 0 && o.Share < 1, "Share", o.Share, "0 up to 1")
	check(o.Rare >= 0 && o.Rare < 1, "Rare", o.Rare, "0 up to 1")
	check(o.IV >= 0 && !math.IsInf(o.IV, 1), "IV", o.IV, "0 or more")
	for name, t := range o.Trends {
		check(slices.ContainsFunc(m.Features, func(f features.Feature) bool { return f.Name == name }), "a trend", "of "+name, "one of a feature")
		check(slices.Contains([]Trend{Monotone, Rising, Falling, Peak, Valley, Any}, t), "a trend", fmt.Sprintf("%q", t), "rising, falling, peak, valley or any")
	}
	slices.SortFunc(faults, func(a, b error) int { // trends come in no order
		return slices.Compare([]byte(a.Error()), []byte(b.Error()))
	})
	var err error
	if o.Scale, err = o.Scale.settle(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func or[T int | float64](x, otherwise T) T {
	if x == 0 {
		return otherwise
	}
	return x
}

// Fit learns a scorecard. Each feature is cut into bins that differ most in what
// they say of the label (see merge), and a bin is worth its weight of evidence,
//
//	WOE = ln(share of all positives / share of all negatives),
//
// the larger the more probable the positive label; its information value is the
// difference of the two shares times the WOE (Siddiqi 2006, Credit Risk Scorecards,
// chapter 6; its sign of the WOE is the opposite where the positive label is the
// bad one). Shares are of the weights of all rows, missing values included. A
// missing value has a bin of its own if at least 20 rows have none, and contributes
// nothing otherwise; so does an unseen category, of which the encoder warns.
//
// One logistic regression then weighs the WOE of all features. A feature whose
// weight is not above 0 would count against what its own bins say: the lowest is
// left out and the rest is fitted again until there is none. LeftOut tells which.
//
// The result has the same bits at any GOMAXPROCS. Errors: ErrOptions;
// logistic.ErrOneClass and others of that package; *TableError of a Table; a label
// other than 0 and 1 or a weight not above 0, naming the row (from 0); ctx.Err().
func Fit(ctx context.Context, m *features.Matrix, o Options) (*Result, error) {
	all, err := sums(m)
	if err != nil {
		return nil, err
	}
	if err := o.settle(m); err != nil {
		return nil, err
	}
	if o.Table != nil || o.Kind != "" {
		return given(ctx, m, all, &o)
	}
	r := &Result{Scale: o.Scale, levels: levelsOf(m)}
	if err := r.bin(ctx, m, all, &o); err != nil {
		return nil, err
	}
	intercept, err := r.regress(ctx, m, all, o.L2)
	if err != nil {
		return nil, err
	}
	r.Start = r.Scale.points(intercept)
	for j := range r.Variables {
		v := &r.Variables[j]
		for k := range v.Bins {
			v.Bins[k].Points = v.Weight * v.Bins[k].WOE * r.Scale.unit()
		}
	}
	if o.Round {
		r.round()
	}
	for _, v := range r.Variables {
		if slices.ContainsFunc(v.Bins, func(b Bin) bool { return !b.Missing && b.WOE != 0 && (b.positive == 0 || b.negative == 0) }) {
			r.Notes = append(r.Notes, fmt.Sprintf("%s separates the outcomes: a bin of it holds one of them alone, and counts as if half a row of either were added. See whether it is known before the outcome is.", m.Features[v.Feature].Name))
		}
	}
	if len(r.Variables) == 0 {
		r.Notes = append(r.Notes, "No feature tells the outcomes apart: every account has the same score.")
	}
	r.assemble()
	return r, r.fill(ctx, m, all)
}

// given is the card of a table or the prior one, with the rows of a matrix.
func given(ctx context.Context, m *features.Matrix, all totals, o *Options) (*Result, error) {
	if o.Encoder == nil || !slices.Equal(o.Encoder.Features(), m.Features) {
		return nil, fmt.Errorf("%w: a Table or Kind takes the Encoder of the matrix", ErrOptions)
	}
	if o.Table != nil {
		r, err := FromTable(o.Table, o.Encoder)
		if err != nil {
			return nil, err
		}
		return r, r.fill(ctx, m, all)
	}
	r, err := prior(o.Kind, o.Encoder, all.positive/(all.positive+all.negative), o.Scale)
	if err != nil {
		return nil, err
	}
	if err := r.level(ctx, m, all); err != nil {
		return nil, err
	}
	if o.Round {
		r.round()
	}
	r.assemble()
	return r, r.fill(ctx, m, all)
}

func levelsOf(m *features.Matrix) []int {
	out := make([]int, len(m.Features))
	for j := range out {
		out[j] = m.Features[j].Levels
	}
	return out
}

// sums checks labels and weights and adds them up.
func sums(m *features.Matrix) (totals, error) {
	t := totals{rows: float64(m.Rows())}
	squares := 0.0
	if m.Weight != nil && len(m.Weight) != m.Rows() {
		return t, fmt.Errorf("%d weights for %d rows", len(m.Weight), m.Rows())
	}
	for i, y := range m.Label {
		w := weightOf(m, i)
		if !(w > 0) || math.IsInf(w, 1) {
			return t, fmt.Errorf("row %d: weight %v, want above 0 and finite", i, w)
		}
		squares += w * w
		switch y {
		case 1:
			t.positive += w
			t.positives++
		case 0:
			t.negative += w
			t.negatives++
		default:
			return t, fmt.Errorf("row %d: label %v is neither 0 nor 1", i, y)
		}
	}
	if t.positives == 0 || t.negatives == 0 {
		return t, fmt.Errorf("%w: %d of %d rows are positive", logistic.ErrOneClass, t.positives, m.Rows())
	}
	t.mean = (t.positive + t.negative) / t.rows
	t.effective = (t.positive + t.negative) * (t.positive + t.negative) / squares
	return t, nil
}

// bin makes the variables, and leaves out those that tell nothing.
func (r *Result) bin(ctx context.Context, m *features.Matrix, all totals, o *Options) error {
	made, why := make([]Variable, len(m.Features)), make([]string, len(m.Features))
	err := features.Parallel(len(made), func(j int) error {
		xs, err := column(ctx, m, j)
		if err == nil {
			made[j], why[j] = variable(m, j, xs, all, o)
		}
		return err
	})
	if err != nil {
		return err
	}
	for j := range made {
		if why[j] != "" {
			r.LeftOut = append(r.LeftOut, features.LeftOut{Column: m.Features[j].Name, Reason: why[j]})
		} else {
			r.Variables = append(r.Variables, made[j])
		}
	}
	return nil
}

// column reads a feature and checks that it can be told apart.
func column(ctx context.Context, m *features.Matrix, j int) ([]float64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.Load == nil && (j >= len(m.Columns) || len(m.Columns[j]) != m.Rows()) {
		return nil, fmt.Errorf("feature %q has not one value a row", m.Features[j].Name)
	}
	xs, err := m.Column(nil, j)
	if err != nil {
		return nil, err
	}
	for i, x := range xs {
		if n := m.Features[j].Levels; math.IsInf(x, 0) || n > 0 && (x < -1 || x >= float64(n) || x != math.Trunc(x) && !math.IsNaN(x)) {
			return nil, fmt.Errorf("feature %q, row %d: %v is neither finite nor a code of %d levels", m.Features[j].Name, i, x, n)
		}
	}
	return xs, nil
}

// variable makes the bins of one feature, or says why it is left out.
func variable(m *features.Matrix, j int, xs []float64, all totals, o *Options) (Variable, string) {
	v := prebins(m, j, xs, o)
	trend := o.Trends[m.Features[j].Name]
	if v.Category {
		trend = Rising
	}
	var pre, apart []Bin
	for _, b := range v.Bins {
		if b.Missing || b.Rows == 0 {
			apart = append(apart, b)
		} else {
			pre = append(pre, b)
		}
	}
	if len(pre) == 0 {
		return v, "it has no value in any training row"
	}
	least := limits{o.Bins, o.Share * (all.positive + all.negative), o.Each, o.Each}
	bins := merge(pre, trend, all, least)
	if len(bins) < 2 && all.positives >= 2*o.Each && all.negatives >= 2*o.Each {
		// Bins of one class alone, where nothing else is left: the column separates them.
		bins = merge(pre, trend, all, limits{bins: o.Bins, weight: least.weight})
	}
	if bins == nil {
		bins = merge(pre, trend, all, limits{bins: 1})
	}
	v.Bins = append(bins, apart...)
	v.weigh(all)
	switch told := slices.ContainsFunc(v.Bins, func(b Bin) bool { return b.WOE != v.Bins[0].WOE && b.Rows > 0 }); {
	case !told:
		return v, fmt.Sprintf("it has no two bins of %.0f %% of the rows, %d positive and %d negative, that differ", 100*o.Share, o.Each, o.Each)
	case v.IV < o.IV:
		return v, fmt.Sprintf("its bins hardly tell the outcomes apart: information value %.3f, less than %v", v.IV, o.IV)
	case v.IV < v.chance(all):
		return v, fmt.Sprintf("its bins tell the outcomes apart no better than chance may: information value %.3f, %.3f takes more than chance", v.IV, v.chance(all))
	}
	return v, ""
}

// chance is the information value that a column without any has once in a
// thousand. With a share p of positives among n rows (of unequal weights, as many as
// tell as much: Kish 1965, Survey Sampling, 11.7), n p (1-p) times the value of
// given bins is about the chi-squared of their table, of one degree of freedom
// less than bins (Kullback 1959, Information Theory and Statistics, chapter 6); the
// thousand makes up for bins that were chosen.
func (v *Variable) chance(all totals) float64 {
	bins := 0
	for _, b := range v.Bins {
		if b.WOE != 0 {
			bins++
		}
	}
	p := all.positive / (all.positive + all.negative)
	return distuv.ChiSquared{K: float64(max(1, bins-1))}.Quantile(0.999) / (all.effective * p * (1 - p))
}

// assemble makes the model out of the points: sum of points and log-odds are one
// the other's image, whatever the points are.
func (r *Result) assemble() {
	r.Model = &models.Linear{Intercept: r.Scale.logOdds(r.Start), Terms: make([]models.Term, len(r.levels))}
	for j, n := range r.levels {
		if r.Model.Terms[j].Scale = 1; n > 0 {
			r.Model.Terms[j] = models.Term{Levels: make([]float64, n)}
		}
	}
	for k := range r.Variables {
		v := &r.Variables[k]
		r.Model.Terms[v.Feature] = v.term(r.levels[v.Feature], func(bin int) float64 { return v.Bins[bin].Points / r.Scale.unit() }, 0)
	}
}

// guess stands for fill where there are no rows: as if all bins were as frequent.
func (r *Result) guess() {
	for k := range r.Variables {
		v := &r.Variables[k]
		n, mean, squares := float64(len(v.Bins)), 0.0, 0.0
		for _, b := range v.Bins {
			mean += b.Points / r.Scale.unit() / n
		}
		for _, b := range v.Bins {
			squares += math.Pow(b.Points/r.Scale.unit()-mean, 2) / n
		}
		r.Model.Terms[v.Feature].Spread = math.Sqrt(squares)
	}
}

// fill counts the rows in the bins, and what each term contributes over them.
func (r *Result) fill(ctx context.Context, m *features.Matrix, all totals) error {
	return features.Parallel(len(r.Variables), func(k int) error {
		v := &r.Variables[k]
		xs, err := column(ctx, m, v.Feature)
		if err != nil {
			return err
		}
		v.count(m, xs)
		v.weigh(all)
		t := &r.Model.Terms[v.Feature]
		t.Mean, t.Spread = 0, 0
		total := all.positive + all.negative
		for i, x := range xs {
			t.Mean += weightOf(m, i) * t.At(x) / total
		}
		for i, x := range xs {
			u := t.At(x) - t.Mean
			t.Spread += weightOf(m, i) * u * u / total
		}
		t.Spread = math.Sqrt(t.Spread)
		return nil
	})
}
