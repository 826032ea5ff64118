package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"propensity/datasets"
	"propensity/features"
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
// of none, and chance does not explain the difference, of Brier or of log loss, which
// sees more at either end: a paired 95 % interval, clustered by account, excludes zero.
// Beta, and then isotonic, tried from 1,000 rows and 200 of either label on, is kept if
// it likewise beats the one kept so far. What is kept is then fitted on all rows. With too
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
	candidates := []calibrator{fitPlatt, fitBeta}
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
		better, err := certainly(y, out, keptOut, group)
		if err != nil {
			return fail(err)
		}
		if better {
			kept, keptOut = whole, out
		}
	}
	choice.Kind = kept.Kind
	return kept, choice, nil
}

// certainly says whether a has the lower Brier, and that or the log loss is lower by
// more than chance.
func certainly(y, a, b []float64, group []int) (bool, error) {
	brier, err := evaluate.PairedBrier(y, a, b, group)
	if err != nil || brier.Mean <= 0 {
		return false, err
	}
	loss, err := evaluate.PairedLogLoss(y, a, b, group)
	return brier.Low > 0 || loss.Low > 0, err
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
	_ = features.Parallel(len(folds), func(k int) error {
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
// 1999) against targets drawn in from 0 and 1, which keep the optimum finite. It
// is not ok where raw does not vary and where the slope is not above 0.
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
	u := make([]float64, len(raw))
	for i, x := range raw {
		u[i] = (x - centre) / spread
	}
	w, ok := newtonLogistic([][]float64{u}, drawnIn(y, positives), []float64{centre, spread})
	if !ok {
		return models.Calibration{}, false
	}
	c := models.Calibration{
		Kind:      models.CalibrationPlatt,
		Slope:     w[1] / spread,
		Intercept: w[0] - w[1]/spread*centre,
	}
	return c, c.Check() == nil
}

// drawnIn are Platt's targets.
func drawnIn(y []float64, positives float64) []float64 {
	n := float64(len(y))
	target := make([]float64, len(y))
	for i := range y {
		target[i] = 1 / (n - positives + 2)
		if y[i] == 1 {
			target[i] = (positives + 1) / (positives + 2)
		}
	}
	return target
}

// fitBeta fits the logistic regression of the targets of Platt on ln s and -ln(1-s),
// s the uncalibrated probability (Kull, Silva Filho and Flach 2017, section 4). It
// is not ok where a weight is not above 0: the map would not rise.
func fitBeta(raw, y []float64) (models.Calibration, bool) {
	columns := [][]float64{make([]float64, len(raw)), make([]float64, len(raw))}
	positives := 0.0
	for i, x := range raw {
		near := math.Log1p(math.Exp(-math.Abs(x)))
		columns[0][i], columns[1][i] = -(max(-x, 0) + near), max(x, 0)+near
		positives += y[i]
	}
	w, ok := newtonLogistic(columns, drawnIn(y, positives), []float64{0, 1, 1})
	if !ok {
		return models.Calibration{}, false
	}
	c := models.Calibration{Kind: models.CalibrationBeta, Intercept: w[0], Below: w[1], Above: w[2]}
	return c, c.Check() == nil
}

// newtonLogistic minimises the mean log loss of w[0] + sum of w[k+1] columns[k]
// against targets strictly between 0 and 1, by Newton's method with step halving
// (Lin, Lin and Weng 2007, for one column).
func newtonLogistic(columns [][]float64, target, start []float64) (w []float64, ok bool) {
	k := len(columns) + 1
	w = make([]float64, k)
	w[0] = logOdds(mean(target))
	loss := logisticLoss(columns, target, w)
	if l := logisticLoss(columns, target, start); l < loss { // mostly near the optimum
		copy(w, start)
		loss = l
	}
	gradient, step, next := mat.NewVecDense(k, nil), mat.NewVecDense(k, nil), make([]float64, k)
	g, h, z := gradient.RawVector().Data, make([]float64, k*k), make([]float64, k)
	z[0] = 1
	n := float64(len(target))
	for range 100 {
		clear(g)
		clear(h)
		for i, t := range target {
			for c, column := range columns {
				z[c+1] = column[i]
			}
			p := 1 / (1 + math.Exp(-floats.Dot(w, z)))
			d, v := (p-t)/n, p*(1-p)/n
			for a, x := range z {
				g[a] += d * x
				for b := a; b < k; b++ {
					h[a*k+b] += v * x * z[b]
				}
			}
		}
		size := mat.Norm(gradient, 2)
		if size < 1e-12 {
			return w, true
		}
		for a := range k { // where all p saturate the Hessian vanishes; the little ridge keeps it regular
			h[a*k+a] += 1e-12
		}
		hessian := mat.NewSymDense(k, h)
		var c mat.Cholesky
		if !c.Factorize(hessian) || c.SolveVecTo(step, gradient) != nil {
			return w, false
		}
		for t := 1.0; ; {
			floats.AddScaledTo(next, w, -t, step.RawVector().Data)
			if l := logisticLoss(columns, target, next); l < loss-1e-4*t*mat.Dot(gradient, step) {
				w, next, loss = next, w, l
				break
			}
			// Close to the optimum the loss no longer resolves the gain of a step.
			if t /= 2; t < 1e-10 {
				return w, size < 1e-6
			}
		}
	}
	return w, false
}

func logisticLoss(columns [][]float64, target, w []float64) float64 {
	sum := 0.0
	for i, t := range target {
		z := w[0]
		for c, column := range columns {
			z += w[c+1] * column[i]
		}
		sum += max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - t*z
	}
	return sum / float64(len(target))
}

func logOdds(p float64) float64 { return math.Log(p / (1 - p)) }

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
