package learnt

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"propensity/models"
	"propensity/models/evaluate"
)

const (
	// alpha is the chance, at most, that any level is named that is like the others.
	alpha = 0.01
	// A level is tested if so many of the rarer outcome are expected of its rows at
	// the overall rate, rows of one account told as what they are worth, and if it
	// has so many accounts. What came of the rows has no say in it: that would favour
	// some results. Others of its column are taken together.
	leastExpected = 5
	leastAccounts = 10
	// testedLevels bounds the levels, the most frequent first; testedColumns and
	// adjustedColumns the columns, by their importance to the model.
	testedLevels    = 600
	testedColumns   = 40
	adjustedColumns = 60
)

// effects names the levels of categories whose rows do better or worse than
// those of the others, all other columns being equal.
//
// One logistic regression of the training rows takes every column at once: numbers
// as broken lines, levels by a coefficient each, and, if the learner can be fitted
// again, the out-of-fold log-odds of a model without the tested columns, which
// knows what the other columns do together. A level is compared with the middle of
// its column, where most of its levels lie.
//
// Its z is the signed root of the likelihood ratio (Severini 2000, Likelihood Methods
// in Statistics), right also for a level without any positive, over the root of by
// how much its variance exceeds that of its rows alone: for the other columns, the
// centre and the accounts. Of three variances the largest counts: the plain one,
// that by the correlation within accounts (the design effect of Kish 1965, Survey
// Sampling), and the sandwich by account (Liang and Zeger 1986). Holm (1979) over all
// levels of all columns keeps the chance of any false name at alpha.
func (x *examiner) effects(ctx context.Context, out *models.Learnt) error {
	columns := x.testedFeatures()
	if len(columns) == 0 {
		return nil
	}
	chosen := sample(x.Training.Rows(), effectRows, x.Seed, streamEffects)
	rows := x.Training.Take(chosen)
	t, err := x.newTest(ctx, &rows, columns)
	if err != nil || t == nil {
		return err
	}
	if err := t.fit(ctx); err != nil {
		return err
	}
	t.measure()
	out.Alpha = alpha
	for f := range columns {
		t.centre(columns[f])
	}
	var tested []*level
	for k := range t.levels {
		if l := &t.levels[k]; t.judge(l) {
			tested = append(tested, l)
		}
	}
	out.Tested = len(tested)
	holm(tested)
	slices.SortStableFunc(tested, func(a, b *level) int { return cmp.Compare(math.Abs(b.z), math.Abs(a.z)) })
	for _, l := range tested {
		if l.p <= alpha {
			half := math.Abs(l.reference().Quantile(0.975) * l.logOdds / l.z)
			out.Effects = append(out.Effects, models.LevelEffect{
				Feature: rows.Features[l.feature].Name, Level: x.level(l.feature, l.code), Rows: l.rows,
				LogOdds: evaluate.Interval{Value: l.logOdds, Low: l.logOdds - half, High: l.logOdds + half}, P: l.p,
			})
		}
	}
	return nil
}

// testedFeatures are the categories of three levels or more, in the encoder's
// order; two levels are one contrast, which Drivers and Shapes tell.
func (x *examiner) testedFeatures() []int {
	var out []int
	for _, j := range x.byImportance() {
		if x.Training.Rows() > 0 && x.Training.Features[j].Levels >= 3 && len(out) < testedColumns {
			out = append(out, j)
		}
	}
	slices.Sort(out)
	return out
}

// byImportance are the features, those that matter most to the model first.
func (x *examiner) byImportance() []int {
	order := make([]int, len(x.size))
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(x.size[b], x.size[a]) })
	return order
}

// measure takes from the fitted regression what the levels need.
func (t *test) measure() {
	sum, own, pairs := make([]float64, t.count), 0.0, 0.0
	size := make([]float64, t.count)
	for i, raw := range t.raw {
		p := logistic(raw)
		e := (t.label[i] - p) / math.Sqrt(max(p*(1-p), 1e-9))
		sum[t.of[i]] += e
		size[t.of[i]]++
		own += e * e
	}
	both := -own
	for g, s := range sum {
		both += s * s
		pairs += size[g] * (size[g] - 1)
	}
	if pairs > 0 {
		t.within = min(max(both/pairs, 0), 1)
	}
	byPlace := make(map[int32]*level, len(t.levels))
	for k := range t.levels {
		l := &t.levels[k]
		l.estimate = t.at[l.at]
		byPlace[int32(l.at)] = l
	}
	for _, s := range t.levelSlots() {
		for i, at := range t.slots[s].first {
			if l := byPlace[at]; l != nil {
				p := logistic(t.raw[i])
				l.information += t.weightOf(i) * p * (1 - p)
			}
		}
	}
}

// levelSlots are the slots of the features tested.
func (t *test) levelSlots() []int {
	var out []int
	for k := range t.levels {
		if s := t.slotOf[t.levels[k].feature]; !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// design is by how much the rows of an account being alike widens the variance of
// a level.
func (t *test) design(l *level) float64 {
	return 1 + t.within*(l.squares/float64(l.rows)-1)
}

// centre finds the middle of a feature's levels: the value that the fewest of them
// contradict, by the least sum of squared distances in standard errors of which
// none counts more than far. It is the mean of those that are nearer, by their
// information, and so stays with the many that are alike, however far the few are
// and however many rows they have. Among equals it is the one nearest to the
// median level.
func (t *test) centre(feature int) {
	const far = 3 * 3
	var of []*level
	for k := range t.levels {
		if l := &t.levels[k]; l.feature == feature {
			of = append(of, l)
		}
	}
	if len(of) == 0 {
		return
	}
	weight := func(l *level) float64 { return l.information / t.design(l) }
	distance := func(l *level, middle float64) float64 {
		return (l.estimate - middle) * (l.estimate - middle) * weight(l)
	}
	starts := slices.Clone(of)
	slices.SortStableFunc(starts, func(a, b *level) int { return cmp.Compare(a.estimate, b.estimate) })
	median := starts[(len(starts)-1)/2].estimate
	slices.SortStableFunc(starts, func(a, b *level) int {
		return cmp.Compare(math.Abs(a.estimate-median), math.Abs(b.estimate-median))
	})
	best, least := 0.0, math.Inf(1)
	weights := map[int]float64{} // by coefficient
	for _, start := range starts {
		middle := start.estimate
		var near map[int]float64
		for range 20 { // it hardly ever takes more than five
			sum, next := 0.0, 0.0
			near = map[int]float64{}
			for _, l := range of {
				if distance(l, middle) < far {
					near[l.at] = weight(l)
					sum += weight(l)
					next += weight(l) * l.estimate
				}
			}
			for _, l := range of {
				if w := near[l.at]; w > 0 {
					near[l.at] = w / sum
				}
			}
			if sum == 0 || math.Abs(next/sum-middle) < 1e-9 {
				break
			}
			middle = next / sum
		}
		loss := 0.0
		for _, l := range of {
			loss += min(distance(l, middle), far)
		}
		if loss < least-1e-6 {
			best, least, weights = middle, loss, near
		}
	}
	middle := best
	for _, l := range of {
		l.centre, l.logOdds = weights, l.estimate-middle
	}
	byPlace := make(map[int32]*level, len(of))
	for _, l := range of {
		byPlace[int32(l.at)] = l
	}
	for i, at := range t.slots[t.slotOf[feature]].first {
		if l := byPlace[at]; l != nil {
			l.ratio += 2 * t.weightOf(i) * (lossAt(t.label[i], t.raw[i]-l.logOdds) - lossAt(t.label[i], t.raw[i]))
		}
	}
}

// judge finds z and p of a level, unadjusted. It is false where the level cannot
// be tested.
func (t *test) judge(l *level) bool {
	if float64(l.rows)*t.expected/t.design(l) < leastExpected {
		return false
	}
	contrast := make([]float64, t.width)
	contrast[l.at] = 1
	for k := range t.levels { // in order
		at := t.levels[k].at
		contrast[at] -= l.centre[at]
	}
	a := make([]float64, t.width) // inverse times contrast
	variance := 0.0
	for k, c := range contrast {
		if c == 0 {
			continue
		}
		for m := range a {
			a[m] += c * t.inverse.At(m, k)
		}
	}
	for k, c := range contrast {
		variance += c * a[k]
	}
	if !(variance > 1e-12) || l.information == 0 {
		return false // it is the middle by itself
	}
	variance *= max(1, t.design(l))
	l.settle(variance)
	if l.p < alpha { // the sandwich costs a pass over the rows, and can only raise p
		l.settle(max(variance, t.sandwich(a)*float64(l.accounts)/float64(l.accounts-1)))
	}
	return true
}

func (l *level) settle(variance float64) {
	l.z = math.Copysign(math.Sqrt(max(l.ratio, 0)/(variance*l.information)), l.logOdds)
	l.p = 2 * l.reference().CDF(-math.Abs(l.z)) // the lower tail keeps its digits
}

// reference is what z is held against: Student's t by the accounts where rows share
// them, since how alike they are is then known from so many only (Cameron and Miller
// 2015, section VI).
func (l *level) reference() interface {
	CDF(z float64) float64
	Quantile(p float64) float64
} {
	if l.squares > float64(l.rows) {
		return distuv.StudentsT{Sigma: 1, Nu: float64(l.accounts - 1)}
	}
	return distuv.UnitNormal
}

// sandwich is the variance by account of the contrast whose product with the
// inverse is a.
func (t *test) sandwich(a []float64) float64 {
	by := make([]float64, t.count)
	var places []int32
	var values []float64
	for i, raw := range t.raw {
		places, values = t.row(places[:0], values[:0], i)
		influence := 0.0
		for k, at := range places {
			influence += values[k] * a[at]
		}
		by[t.of[i]] += influence * t.weightOf(i) * (t.label[i] - logistic(raw))
	}
	sum := 0.0
	for _, s := range by {
		sum += s * s
	}
	return sum
}

// holm makes each p the least family-wise level at which Holm's procedure rejects.
func holm(tested []*level) {
	order := slices.Clone(tested)
	slices.SortStableFunc(order, func(a, b *level) int { return cmp.Compare(a.p, b.p) })
	worst := 0.0
	for k, l := range order {
		worst = max(worst, min(1, float64(len(order)-k)*l.p))
		l.p = worst
	}
}
