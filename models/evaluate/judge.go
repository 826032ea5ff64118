package evaluate

import (
	"fmt"
	"math"
	"slices"
)

// Options of Judge.
type Options struct {
	// Replicates is the number of bootstrap resamples; 0 means 500, or 200 from
	// 200,000 rows on. At least 100 are drawn.
	Replicates int
	// Seed keys the resamples.
	Seed uint64
	// Level of the intervals, above 0 and below 1; 0 means 0.95.
	Level float64
}

// Report is the quality of a model on rows it never saw. Intervals are 95 %, or
// of the level asked for, clustered by account. Every number in it is finite.
type Report struct {
	Rows      int `json:"rows"`
	Positives int `json:"positives"`
	Accounts  int `json:"accounts"`

	// BaseRate is the share of positives, MeanProbability what was promised.
	BaseRate        Interval `json:"base_rate"`
	MeanProbability float64  `json:"mean_probability"`

	ROCAUC           Interval `json:"roc_auc"`
	PRAUC            Interval `json:"pr_auc"`
	LogLoss          Interval `json:"log_loss"`
	Brier            Interval `json:"brier"`
	CalibrationError Interval `json:"calibration_error"`
	PrecisionTop10   Interval `json:"precision_top_10"`

	// BaseLogLoss and BaseBrier are the losses of giving every row the base rate
	// of these very rows: the best constant, known only afterwards.
	BaseLogLoss float64 `json:"base_log_loss"`
	BaseBrier   float64 `json:"base_brier"`

	Deciles     []Decile `json:"deciles"`
	Calibration []Bin    `json:"calibration"`

	// Value is the money at stake in positive rows; absent if no values were given.
	// Rows without a value, or with one below 0, count 0 there.
	Value          *float64 `json:"value,omitempty"`
	MissingValues  int      `json:"missing_values,omitempty"`
	NegativeValues int      `json:"negative_values,omitempty"`

	// Replicates were drawn for the intervals of ranking and of calibration error;
	// of those, OneClassReplicates say nothing of ROC AUC and PR AUC.
	Replicates         int `json:"replicates"`
	OneClassReplicates int `json:"one_class_replicates,omitempty"`
}

// Decile is what working down the ranking to a depth gives: all its figures are
// of the rows from the top down to there. Rows of one raw score keep file order.
type Decile struct {
	Depth             float64  `json:"depth"` // share of the rows: 0.1, 0.2 ... 1
	Rows              int      `json:"rows"`  // ceil(depth x n)
	Positives         int      `json:"positives"`
	Precision         float64  `json:"precision"`          // positives / rows
	Lift              float64  `json:"lift"`               // precision / base rate
	CapturedPositives float64  `json:"captured_positives"` // share of all positives
	CapturedValue     *float64 `json:"captured_value,omitempty"`
	MeanProbability   float64  `json:"mean_probability"`
}

// Bin compares promise and outcome among rows of similar probability.
type Bin struct {
	Probability float64  `json:"probability"` // mean
	Observed    Interval `json:"observed"`
	Rows        int      `json:"rows"`
}

const (
	bins          = 10
	minReplicates = 100
)

// Judge compares labels y (0 or 1) with raw log-odds, which rank the rows, and
// with calibrated probabilities p, which carry the losses. value is the money at
// stake in a row, NaN if missing; nil if there is none. group is the account of
// a row, by any number; nil makes every row an account.
//
// The base rate and the observed rates have the interval of Rate; log loss and
// Brier a cluster-robust t interval. The others are percentiles of resamples of
// accounts: expanded for few accounts (Hesterberg 2015), for ROC AUC and PR AUC
// by the fewer of the accounts with a positive and those with a negative. The
// calibration error, which resampling inflates, reaches as far either way as the
// gaps of its bins together move in 95 % of resamples. A precision is never held
// more certain than Rate would. Where every positive outranks every negative (or
// the reverse) all resamples agree, and ROC AUC and PR AUC take Wilson's interval
// of that many accounts, by the bound of Birnbaum and Klose (1957) on the variance
// of the area; fewer than two such accounts leave 0 to 1. Other levels take the
// place of 95 % everywhere.
//
// In simulations with one to five rows an account, the intervals of ROC AUC, log
// loss, base rate and calibration error held the truth in 93 to 96 % of runs with
// 30 positive accounts or more, and in 87 to 98 % with fewer than ten.
//
// Errors are *InputError, ErrOneClass and ErrFewAccounts.
func Judge(y, raw, p, value []float64, group []int, o Options) (*Report, error) {
	c, err := checkJudge(y, raw, p, value, group)
	if err != nil {
		return nil, err
	}
	q := usual()
	if o.Level != 0 {
		if !(o.Level > 0 && o.Level < 1) {
			return nil, &InputError{Input: "level", Row: -1, Detail: fmt.Sprintf("is %v: above 0 and below 1 is expected", o.Level)}
		}
		q = confidenceOf(o.Level)
	}
	n := len(y)
	r := &Report{
		Rows: n, Positives: sumInt(y), Accounts: c.count,
		BaseRate: q.rate(y, c), MeanProbability: mean(p),
		LogLoss: atLeastZero(q.meanInterval(losses(logLoss, y, p), c)),
		Brier:   atLeastZero(q.meanInterval(losses(squaredError, y, p), c)),
	}
	if r.Positives == 0 || r.Positives == n {
		return nil, ErrOneClass
	}
	base := r.BaseRate.Value
	r.BaseLogLoss = -base*math.Log(base) - (1-base)*math.Log1p(-base)
	r.BaseBrier = base * (1 - base)

	order := descending(raw)
	r.gains(y, p, value, order)
	r.calibration(y, p, c, q)
	r.resampled(y, raw, p, order, c, o, q)
	return r, nil
}

func checkJudge(y, raw, p, value []float64, group []int) (clusters, error) {
	if err := checkLabels(y); err != nil {
		return clusters{}, err
	}
	if err := checkFinite("raw", raw, len(y)); err != nil {
		return clusters{}, err
	}
	if err := checkProbabilities("p", p, len(y)); err != nil {
		return clusters{}, err
	}
	if value != nil {
		if err := checkLength("value", len(value), len(y)); err != nil {
			return clusters{}, err
		}
		for i, v := range value {
			if math.IsInf(v, 0) || math.Abs(v) > maxValue {
				return clusters{}, &InputError{Input: "value", Row: i, Value: v, Detail: "an amount below 1e100 is expected, or NaN if missing"}
			}
		}
	}
	c, err := newClusters(group, len(y))
	if err == nil && c.count < 2 {
		err = ErrFewAccounts
	}
	return c, err
}

// maxValue keeps a sum of amounts finite.
const maxValue = 1e100

// gains fills the deciles and the value at stake.
func (r *Report) gains(y, p, value []float64, order []int) {
	amounts, total := make([]float64, len(y)), 0.0
	for i, v := range value {
		switch {
		case math.IsNaN(v):
			r.MissingValues++
		case v < 0:
			r.NegativeValues++
		default:
			amounts[i] = v * y[i]
		}
		total += amounts[i]
	}
	if value != nil {
		r.Value = &total
	}
	n, done := len(y), 0
	positives, promised, amount := 0, 0.0, 0.0
	for k := 1; k <= 10; k++ {
		depth := (n*k + 9) / 10
		for ; done < depth; done++ {
			i := order[done]
			positives, promised, amount = positives+int(y[i]), promised+p[i], amount+amounts[i]
		}
		d := Decile{
			Depth: float64(k) / 10, Rows: depth, Positives: positives,
			Precision:         float64(positives) / float64(depth),
			CapturedPositives: float64(positives) / float64(r.Positives),
			MeanProbability:   promised / float64(depth),
		}
		d.Lift = d.Precision / r.BaseRate.Value
		if total > 0 {
			share := min(amount/total, 1)
			d.CapturedValue = &share
		}
		r.Deciles = append(r.Deciles, d)
	}
}

// calibration fills the bins, those of CalibrationError.
func (r *Report) calibration(y, p []float64, c clusters, q confidence) {
	order := ascending(p)
	for b := range bins {
		lo, hi := binBounds(len(y), bins, b)
		if lo == hi {
			break
		}
		rows := order[lo:hi]
		r.Calibration = append(r.Calibration, Bin{
			Probability: mean(pick(p, rows)), Observed: q.rate(pick(y, rows), c.take(rows)), Rows: len(rows),
		})
	}
}

// resampled fills what has no closed form.
func (r *Report) resampled(y, raw, p []float64, order []int, c clusters, o Options, q confidence) {
	r.Replicates = o.Replicates
	if r.Replicates == 0 {
		r.Replicates = 500
		if r.Rows >= 200_000 {
			r.Replicates = 200
		}
	}
	r.Replicates = max(r.Replicates, minReplicates)
	replicates := newResampler(y, raw, p, c, bins, o.Seed).run(r.Replicates)
	ends := func(of func(replicate) float64, accounts int) (low, high float64) {
		x := make([]float64, len(replicates))
		for i, s := range replicates {
			x[i] = of(s)
		}
		return q.percentiles(x, accounts)
	}
	for _, s := range replicates {
		if math.IsNaN(s.area) {
			r.OneClassReplicates++
		}
	}

	r.ROCAUC, r.PRAUC = Interval{ROCAUC(y, raw), 0, 1}, Interval{PRAUC(y, raw), 0, 1}
	switch n := scarcer(y, c); {
	case n < 2 || r.OneClassReplicates == r.Replicates: // one account decides everything
	case r.ROCAUC.Value == 0 || r.ROCAUC.Value == 1:
		w := q.wilson(r.ROCAUC.Value, float64(n))
		r.ROCAUC = w
		r.PRAUC = around(r.PRAUC.Value, w.Low, w.High)
	default:
		low, high := ends(func(s replicate) float64 { return s.area }, n)
		r.ROCAUC = around(r.ROCAUC.Value, low, high)
		low, high = ends(func(s replicate) float64 { return s.precision }, n)
		r.PRAUC = around(r.PRAUC.Value, low, high)
	}

	top := order[:topTenth(r.Rows)]
	atLeast := q.rate(pick(y, top), c.take(top))
	low, high := ends(func(s replicate) float64 { return s.top }, c.count)
	r.PrecisionTop10 = around(atLeast.Value, min(low, atLeast.Low), max(high, atLeast.High))

	shifts := make([]float64, len(replicates))
	for i, s := range replicates {
		shifts[i] = s.shift
	}
	slices.Sort(shifts)
	e, reach := CalibrationError(y, p, bins), quantile(shifts, q.level)*q.expansion(c.count)
	r.CalibrationError = around(e, max(e-reach, 0), min(e+reach, 1))
}

// around is the interval, stretched to hold its value.
func around(value, low, high float64) Interval {
	return Interval{value, min(low, value), max(high, value)}
}

func atLeastZero(i Interval) Interval {
	i.Low = max(i.Low, 0)
	return i
}

// scarcer is the number of accounts with a positive, or with a negative if those
// are fewer.
func scarcer(y []float64, c clusters) int {
	var has [2][]bool
	var count [2]int
	has[0], has[1] = make([]bool, c.count), make([]bool, c.count)
	for i, v := range y {
		if class, g := int(v), c.of[i]; !has[class][g] {
			has[class][g] = true
			count[class]++
		}
	}
	return min(count[0], count[1])
}

func pick(x []float64, rows []int) []float64 {
	out := make([]float64, len(rows))
	for k, i := range rows {
		out[k] = x[i]
	}
	return out
}

func sumInt(y []float64) int {
	sum := 0
	for _, v := range y {
		sum += int(v)
	}
	return sum
}
