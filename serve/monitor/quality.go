package monitor

import (
	"math"
	"slices"

	"propensity/models/evaluate"
)

// Expected is the quality to be expected of the scores that were given, if their
// probabilities are as well calibrated as they were when the version was judged: that is
// assumed, not known. A row with probability p then has a Brier score of p (1 - p) in the
// mean, and so on (Guillory and others 2021; the "confidence-based performance estimate").
type Expected struct {
	MeanProbability evaluate.Interval `json:"mean_probability"`
	Brier           float64           `json:"brier"`
	LogLoss         float64           `json:"log_loss"`
	// ROCAUC is absent where the probabilities are all alike.
	ROCAUC *float64 `json:"roc_auc,omitempty"`
	// Assumes says what it rests on.
	Assumes string `json:"assumes"`
	// Judged are the same of the rows that judged the version: what was measured there.
	// They are absent if the artifact does not tell.
	Judged *Promise `json:"judged,omitempty"`
}

// Promise is the quality on the rows that judged the version.
type Promise struct {
	BaseRate        evaluate.Interval `json:"base_rate"`
	MeanProbability float64           `json:"mean_probability"`
	Brier           evaluate.Interval `json:"brier"`
	LogLoss         evaluate.Interval `json:"log_loss"`
	ROCAUC          evaluate.Interval `json:"roc_auc"`
}

const assumption = "that the probabilities are still as well calibrated as they were when the version was judged"

func (s *Shape) expect(c *Counts, worth float64) *Expected {
	if c.Rows == 0 {
		return nil
	}
	n := float64(c.Rows)
	mean, spread := float64(c.probability)/nano/n, float64(c.variance)/nano/n
	e := &Expected{Brier: spread, LogLoss: float64(c.entropy) / nano / n, Assumes: assumption}
	// var(p) = mean of p^2 less the square of the mean, and p^2 = p - p (1 - p).
	deviation := math.Sqrt(max(0, mean-spread-mean*mean))
	half := standardErrors(confidence, 1) * deviation / math.Sqrt(max(1, worth))
	e.MeanProbability = evaluate.Interval{Value: mean, Low: max(0, mean-half), High: min(1, mean+half)}
	if auc, ok := s.expectAUC(c); ok {
		e.ROCAUC = &auc
	}
	if r := s.promised.Report; r.Rows > 0 {
		e.Judged = &Promise{r.BaseRate, r.MeanProbability, r.Brier, r.LogLoss, r.ROCAUC}
	}
	return e
}

// expectAUC is the share of pairs, one positive and one not, that the probabilities put
// in order, ties half: a row of probability p is p positives and 1 - p others.
func (s *Shape) expectAUC(c *Counts) (auc float64, ok bool) {
	below, area, positives, used := 0.0, 0.0, 0.0, 0
	for k := range oddsBins {
		n := float64(c.cells[s.first+k])
		if n == 0 {
			continue
		}
		used++
		p := oddsValue(k)
		area += n * p * (below + n*(1-p)/2)
		below += n * (1 - p)
		positives += n * p
	}
	return area / (positives * below), used > 1
}

// Outcome is a score whose outcome is known.
type Outcome struct {
	Account     string // "" is an account of its own
	Probability float64
	Raw         float64 // log-odds, which rank
	Band        string
	Positive    bool
}

// Settled is what came, beside what had been promised.
type Settled struct {
	Scores    int `json:"scores"` // whose outcome is known
	Positives int `json:"positives"`
	Accounts  int `json:"accounts"`
	// Open are scores whose outcome is not known yet.
	Open int `json:"open"`
	// Observed is the share of positives, clustered by account, Promised the mean
	// probability of the same scores, and P the chance of shares so far apart if the
	// probabilities were right.
	Observed evaluate.Interval `json:"observed"`
	Promised float64           `json:"promised"`
	P        float64           `json:"p"`
	Bands    []SettledBand     `json:"bands"`
	// The quality of the scores, with that on the rows that judged the version; absent
	// while there are too few outcomes or all are alike.
	ROCAUC           *Kept `json:"roc_auc,omitempty"`
	Brier            *Kept `json:"brier,omitempty"`
	LogLoss          *Kept `json:"log_loss,omitempty"`
	CalibrationError *Kept `json:"calibration_error,omitempty"`
	// Broken says in words what promise was not kept; absent if all were.
	Broken []string `json:"broken,omitempty"`
}

// SettledBand is one band.
type SettledBand struct {
	Band     string            `json:"band"`
	Scores   int               `json:"scores"`
	Promised float64           `json:"promised"` // mean probability
	Observed evaluate.Interval `json:"observed"`
	P        float64           `json:"p"` // Holm over the bands
}

// Kept is a measure on the outcomes that came and on the rows that judged the version.
type Kept struct {
	Now    evaluate.Interval `json:"now"`
	Judged evaluate.Interval `json:"judged"`
}

const (
	// leastOutcomes of either kind let a measure be told.
	leastOutcomes = 10
	// mostJudged bounds the scores whose measures take resampling; the rest are left out
	// evenly.
	mostJudged = 20_000
	// settledLevel is that of the share of positives, of the bands together and of ROC AUC:
	// with Level for the three.
	settledLevel = Level / 3
	// leastAUC is the loss of ROC AUC that is told.
	leastAUC = 0.02
)

// Settle judges the scores whose outcome is known.
func (s *Shape) Settle(list []Outcome, open int) (*Settled, error) {
	out := &Settled{Scores: len(list), Open: open, P: 1, Observed: evaluate.Interval{High: 1}, Bands: []SettledBand{}}
	if len(list) == 0 {
		return out, nil
	}
	y, p, group := columnsOf(list)
	promise, err := evaluate.JudgePromise(y, p, group)
	if err != nil {
		return nil, err
	}
	out.Accounts, out.Observed, out.Promised, out.P = promise.Accounts, promise.Observed, promise.Promised, promise.P
	for _, v := range y {
		out.Positives += int(v)
	}
	if err := out.settleBands(s, list); err != nil {
		return nil, err
	}
	if out.Positives >= leastOutcomes && out.Scores-out.Positives >= leastOutcomes {
		if err := out.measure(s, list); err != nil {
			return nil, err
		}
	}
	out.judge()
	return out, nil
}

// columnsOf takes outcomes apart; accounts are numbered as they come.
func columnsOf(list []Outcome) (y, p []float64, group []int) {
	number := map[string]int{}
	for i, o := range list {
		v := 0.0
		if o.Positive {
			v = 1
		}
		g := -1 - i
		if o.Account != "" {
			known, ok := number[o.Account]
			if !ok {
				known = len(number)
				number[o.Account] = known
			}
			g = known
		}
		y, p, group = append(y, v), append(p, o.Probability), append(group, g)
	}
	return y, p, group
}

func (out *Settled) settleBands(s *Shape, list []Outcome) error {
	var order []int
	for _, b := range s.bands {
		var in []Outcome
		for _, o := range list {
			if o.Band == b.Name {
				in = append(in, o)
			}
		}
		if len(in) == 0 {
			continue
		}
		y, p, group := columnsOf(in)
		promise, err := evaluate.JudgePromise(y, p, group)
		if err != nil {
			return err
		}
		order = append(order, len(out.Bands))
		out.Bands = append(out.Bands, SettledBand{b.Name, len(in), promise.Promised, promise.Observed, promise.P})
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if out.Bands[a].P < out.Bands[b].P {
			return -1
		}
		return 1
	})
	most := 0.0
	for rank, k := range order { // Holm 1979
		most = max(most, min(1, out.Bands[k].P*float64(len(order)-rank)))
		out.Bands[k].P = most
	}
	return nil
}

// measure ranks and sums up.
func (out *Settled) measure(s *Shape, list []Outcome) error {
	step := (len(list) + mostJudged - 1) / mostJudged
	var some []Outcome
	for i := 0; i < len(list); i += step {
		some = append(some, list[i])
	}
	y, p, group := columnsOf(some)
	raw := make([]float64, len(some))
	for i := range some {
		raw[i] = some[i].Raw
	}
	r, err := evaluate.Judge(y, raw, p, nil, group, evaluate.Options{Replicates: 200})
	switch {
	case err == evaluate.ErrOneClass, err == evaluate.ErrFewAccounts: //nolint:errorlint // as Judge gives them
		return nil
	case err != nil:
		return err
	}
	was := s.promised.Report
	out.ROCAUC = &Kept{r.ROCAUC, was.ROCAUC}
	out.Brier = &Kept{r.Brier, was.Brier}
	out.LogLoss = &Kept{r.LogLoss, was.LogLoss}
	out.CalibrationError = &Kept{r.CalibrationError, was.CalibrationError}
	return nil
}

// judge says which promises were broken: beyond chance, and by enough to matter.
func (out *Settled) judge() {
	off := func(observed, promised float64) bool {
		return math.Abs(observed-promised) > leastMean*max(promised, 1e-9)
	}
	if out.P < settledLevel && off(out.Observed.Value, out.Promised) {
		out.Broken = append(out.Broken, percent(out.Observed.Value)+" were positive, and "+percent(out.Promised)+" were promised")
	}
	for _, b := range out.Bands {
		if b.P < settledLevel && off(b.Observed.Value, b.Promised) {
			out.Broken = append(out.Broken, "in band "+b.Band+" "+percent(b.Observed.Value)+" were positive, and "+percent(b.Promised)+" were promised")
		}
	}
	// Intervals of 95 % that have nothing in common differ by 2.77 standard errors if they
	// are alike, and more if not (Schenker and Gentleman 2001): one side of that is 0.003.
	if k := out.ROCAUC; k != nil && k.Judged.High > 0 && k.Now.High < k.Judged.Low && k.Judged.Value-k.Now.Value >= leastAUC {
		out.Broken = append(out.Broken, "ROC AUC is "+number(k.Now.Value)+", and was "+number(k.Judged.Value)+" when the version was judged")
	}
}
