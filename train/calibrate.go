package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/evaluate"
)

// An isotonic fit has as many parameters as the data allow: below so many rows,
// and rows of either label, it follows noise.
const (
	minIsotonicRows  = 1000
	minIsotonicLabel = 200
)

// fitCalibration chooses and fits the calibrator. raw are log-odds of rows that
// were not fitted on, y their labels (0 or 1), group their accounts.
//
// Each candidate is fitted on four fifths of the accounts and judged by Brier on
// the fifth that is left, in turn. Platt is kept if its Brier is lower than that
// of none by a paired 95 % interval, clustered by account, that excludes zero;
// isotonic, tried from 1,000 rows and 200 of either label on, if it likewise
// beats the one kept so far. What is kept is then fitted on all rows. With too
// few accounts to judge, none is kept. A candidate that cannot be fitted, such
// as Platt's where the slope is not above 0, is not in the choice's Brier.
//
// Bad input gives an *evaluate.InputError.
func fitCalibration(raw, y []float64, group []int, seed uint64) (models.Calibration, models.CalibrationChoice, error) {
	kept := models.Calibration{Kind: models.CalibrationNone}
	choice := models.CalibrationChoice{Kind: kept.Kind, Brier: map[string]float64{}}
	fail := func(err error) (models.Calibration, models.CalibrationChoice, error) {
		return models.Calibration{}, models.CalibrationChoice{}, fmt.Errorf("calibration: %w", err)
	}
	positives, err := checkCalibration(raw, y, group)
	if err != nil {
		return fail(err)
	}
	keptOut := probabilities(&kept, raw)
	choice.Brier[kept.Kind] = evaluate.Brier(y, keptOut)

	folds, err := accountFolds(y, group, seed)
	if errors.Is(err, datasets.ErrSplit) {
		return kept, choice, nil
	} else if err != nil {
		return fail(err)
	}
	candidates := []calibrator{fitPlatt}
	if len(y) >= minIsotonicRows && min(positives, len(y)-positives) >= minIsotonicLabel {
		candidates = append(candidates, fitIsotonic)
	}
	for _, fit := range candidates {
		whole, ok := fit(raw, y)
		if !ok {
			continue
		}
		out, ok := crossFit(fit, raw, y, folds)
		if !ok {
			continue
		}
		choice.Brier[whole.Kind] = evaluate.Brier(y, out)
		gain, err := evaluate.PairedBrier(y, out, keptOut, group)
		if err != nil {
			return fail(err)
		}
		if gain.Low > 0 {
			kept, keptOut = whole, out
		}
	}
	choice.Kind = kept.Kind
	return kept, choice, nil
}

func checkCalibration(raw, y []float64, group []int) (positives int, err error) {
	rows := len(y)
	if rows == 0 {
		return 0, &evaluate.InputError{Input: "y", Row: -1, Detail: "has no rows"}
	}
	if len(raw) != rows || len(group) != rows {
		return 0, &evaluate.InputError{Input: "raw", Row: -1, Detail: fmt.Sprintf("has %d values, and group %d, for %d rows", len(raw), len(group), rows)}
	}
	for i := range y {
		if y[i] != 0 && y[i] != 1 {
			return 0, &evaluate.InputError{Input: "y", Row: i, Value: y[i], Detail: "a label is 0 or 1"}
		}
		if math.IsNaN(raw[i]) || math.IsInf(raw[i], 0) {
			return 0, &evaluate.InputError{Input: "raw", Row: i, Value: raw[i], Detail: "a finite number is expected"}
		}
		positives += int(y[i])
	}
	return positives, nil
}

// accountFolds deals the accounts, in an order keyed by seed.
func accountFolds(y []float64, group []int, seed uint64) ([]datasets.Fold, error) {
	accounts := make([]string, len(group))
	for i, g := range group {
		accounts[i] = strconv.Itoa(g)
	}
	return datasets.FoldsGroup(datasets.RowKeys(seed, accounts), y, foldCount)
}

// calibrator fits one kind of calibration; not ok says that the rows allow none.
type calibrator func(raw, y []float64) (c models.Calibration, ok bool)

// crossFit gives every row its probability by the calibration of the other folds.
func crossFit(fit calibrator, raw, y []float64, folds []datasets.Fold) (p []float64, ok bool) {
	p = make([]float64, len(y))
	fits := make([]bool, len(folds))
	_ = parallel(len(folds), func(k int) error {
		var c models.Calibration
		if c, fits[k] = fit(datasets.Take(raw, folds[k].Train), datasets.Take(y, folds[k].Train)); fits[k] {
			for _, i := range folds[k].Test {
				p[i] = c.Probability(raw[i])
			}
		}
		return nil
	})
	return p, !slices.Contains(fits, false)
}

func probabilities(c *models.Calibration, raw []float64) []float64 {
	p := make([]float64, len(raw))
	for i, x := range raw {
		p[i] = c.Probability(x)
	}
	return p
}

// fitPlatt fits log-odds slope x raw + intercept by maximum likelihood (Platt
// 1999) against targets drawn in from 0 and 1, which keep the optimum finite, by
// Newton's method with step halving (Lin, Lin and Weng 2007). It is not ok where
// raw does not vary and where the slope is not above 0.
func fitPlatt(raw, y []float64) (models.Calibration, bool) {
	n := float64(len(y))
	centre, spread, positives := 0.0, 0.0, 0.0
	for i, x := range raw {
		centre += x / n
		positives += y[i]
	}
	for _, x := range raw {
		spread += (x - centre) * (x - centre) / n
	}
	spread = math.Sqrt(spread)
	if !(spread > 0) || math.IsInf(spread, 0) {
		return models.Calibration{}, false
	}
	u, target := make([]float64, len(raw)), make([]float64, len(raw))
	for i, x := range raw {
		u[i] = (x - centre) / spread
		target[i] = 1 / (n - positives + 2)
		if y[i] == 1 {
			target[i] = (positives + 1) / (positives + 2)
		}
	}
	slope, intercept, ok := newtonPlatt(u, target)
	c := models.Calibration{
		Kind:      models.CalibrationPlatt,
		Slope:     slope / spread,
		Intercept: intercept - slope/spread*centre,
	}
	return c, ok && c.Check() == nil
}

// newtonPlatt minimises the log loss of slope u + intercept against targets
// strictly between 0 and 1, for u of mean 0 and variance 1.
func newtonPlatt(u, target []float64) (slope, intercept float64, ok bool) {
	sum := 0.0
	for _, t := range target {
		sum += t
	}
	n := float64(len(u))
	slope, intercept = 0, math.Log(sum/(n-sum))
	loss := plattLoss(u, target, slope, intercept)
	for range 100 {
		var gs, gi, hss, hsi, hii float64 // gradient and Hessian, divided by n
		for i, x := range u {
			p := 1 / (1 + math.Exp(-(slope*x + intercept)))
			d, w := (p-target[i])/n, p*(1-p)/n
			gs, gi = gs+d*x, gi+d
			hss, hsi, hii = hss+w*x*x, hsi+w*x, hii+w
		}
		if math.Hypot(gs, gi) < 1e-12 {
			return slope, intercept, true
		}
		// Where all p saturate the Hessian vanishes; the little ridge keeps it regular.
		hss, hii = hss+1e-12, hii+1e-12
		det := hss*hii - hsi*hsi
		ds, di := -(hii*gs-hsi*gi)/det, -(hss*gi-hsi*gs)/det
		step := 1.0
		for {
			s, b := slope+step*ds, intercept+step*di
			if l := plattLoss(u, target, s, b); l < loss+1e-4*step*(gs*ds+gi*di) {
				slope, intercept, loss = s, b, l
				break
			}
			// Close to the optimum the loss no longer resolves the gain of a step.
			if step /= 2; step < 1e-10 {
				return slope, intercept, math.Hypot(gs, gi) < 1e-6
			}
		}
	}
	return slope, intercept, false
}

func plattLoss(u, target []float64, slope, intercept float64) float64 {
	sum := 0.0
	for i, x := range u {
		z := slope*x + intercept
		sum += max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - target[i]*z
	}
	return sum / float64(len(u))
}

// pooled is a run of rows, in the order of raw, that share one rate.
type pooled struct {
	low, high, sum  float64 // of raw
	rows, positives int
}

func (b pooled) centre() float64 { return min(max(b.sum/float64(b.rows), b.low), b.high) }

// logOdds of the rate (positives + 1/2) / (rows + 1), never 0 or 1.
func (b pooled) logOdds() float64 {
	return math.Log((float64(b.positives) + 0.5) / (float64(b.rows-b.positives) + 0.5))
}

func (b pooled) join(c pooled) pooled {
	return pooled{b.low, c.high, b.sum + c.sum, b.rows + c.rows, b.positives + c.positives}
}

// fitIsotonic fits increasing rates by pooling adjacent violators (Ayer and
// others 1955; Zadrozny and Elkan 2002) and makes a knot of the centre of each
// block. Half a row of either label is added to a block, so that no rate is 0 or
// 1; blocks that this brings out of order are pooled too.
func fitIsotonic(raw, y []float64) (models.Calibration, bool) {
	blocks := pool(poolViolators(raw, y), func(a, b pooled) bool { return a.logOdds() >= b.logOdds() })
	c := models.Calibration{Kind: models.CalibrationIsotonic}
	for _, b := range blocks {
		c.Raw, c.LogOdds = append(c.Raw, b.centre()), append(c.LogOdds, b.logOdds())
	}
	return c, c.Check() == nil
}

// poolViolators gives the blocks of the isotonic regression of y on raw; rows of
// one raw are in one block.
func poolViolators(raw, y []float64) []pooled {
	order := make([]int, len(raw))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(raw[a], raw[b]), a-b) })
	var ties []pooled
	for _, i := range order {
		b := pooled{raw[i], raw[i], raw[i], 1, int(y[i])}
		if k := len(ties) - 1; k >= 0 && ties[k].high == raw[i] {
			ties[k] = ties[k].join(b)
		} else {
			ties = append(ties, b)
		}
	}
	return pool(ties, func(a, b pooled) bool { return a.positives*b.rows >= b.positives*a.rows })
}

// pool joins neighbours until none violate.
func pool(blocks []pooled, violate func(a, b pooled) bool) []pooled {
	var out []pooled
	for _, b := range blocks {
		for len(out) > 0 && violate(out[len(out)-1], b) {
			b = out[len(out)-1].join(b)
			out = out[:len(out)-1]
		}
		out = append(out, b)
	}
	return out
}
