package leaks

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"propensity/datasets"
	"propensity/models"
)

// scan is what one pass over a column tells.
type scan struct {
	name    string
	kind    datasets.Kind
	score   []float64 // of each bin, in log-odds against the base rate
	area    estimate  // of the scores, on the judging rows
	filled  [2]int    // rows with a value, by label
	leader  bool      // tells too much to be a rival of others
	follows bool      // goes up or down row by row
}

const (
	priorRows = 10      // rows at the base rate that each bin has besides its own
	fewRows   = 5       // rows to learn from below which a bin is one of many rare ones
	unit      = 1 << 20 // of the whole numbers that scores are summed in, so that their order is nothing
)

// scanAll looks at every column, several at a time.
func (c *court) scanAll(ctx context.Context) error {
	n, rows := len(c.Names), c.judges[0]+c.judges[1]
	faults := make([]error, n)
	c.total = make([]int64, rows)
	var next atomic.Int64
	var sum sync.Mutex
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			mine := make([]int64, rows)
			for j := int(next.Add(1)) - 1; j < n; j = int(next.Add(1)) - 1 {
				if faults[j] = ctx.Err(); faults[j] == nil {
					faults[j] = c.scanColumn(j, mine)
				}
			}
			sum.Lock()
			defer sum.Unlock()
			for i, v := range mine {
				c.total[i] += v
			}
		})
	}
	workers.Wait()
	return firstOf(faults)
}

func firstOf(faults []error) error {
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *court) column(name string) (datasets.Column, error) {
	column, err := c.Column(name)
	if err != nil {
		return column, fmt.Errorf("column %q: %w", name, err)
	}
	if column.Len() != len(c.Label) {
		return column, fmt.Errorf("%w: column %q has %d rows, the label %d", ErrInput, name, column.Len(), len(c.Label))
	}
	return column, nil
}

// scanColumn looks at column j, and adds its scores of the judging rows to sums.
func (c *court) scanColumn(j int, sums []int64) error {
	f := &c.findings[j]
	f.name = c.Names[j]
	column, err := c.column(f.name)
	if err != nil {
		return err
	}
	f.kind = column.Kind
	b := c.bin(&column)
	learnt, judges := c.count(b)
	for k := range learnt {
		if k > 0 {
			f.filled[0] += int(learnt[k][0] + judges[k][0])
			f.filled[1] += int(learnt[k][1] + judges[k][1])
		}
	}
	if f.filled[0]+f.filled[1] == 0 {
		f.area.value = math.NaN()
		return nil
	}
	f.score = c.scores(learnt)
	f.area = c.area(b, f.score, judges)
	c.addScores(sums, b, f.score, 1)

	c.copies(f, learnt, judges)
	c.separated(f, column.Numbers)
	if !f.proven { // of a copy there is nothing to add
		c.oneSided(f, learnt, judges)
	}
	c.filledFor(f)
	c.serial(f, &column)
	if f.kind == datasets.Time {
		c.dated(f, column.Times)
	}
	return c.filledLate(f, b)
}

// count tallies the bins by label, of the rows to learn from and of the judges.
func (c *court) count(b binned) (learnt, judges [][2]int32) {
	learnt, judges = make([][2]int32, b.bins), make([][2]int32, b.bins)
	for i, k := range b.of {
		if y := int(c.Label[i]); c.judged[i] {
			judges[k][y]++
		} else {
			learnt[k][y]++
		}
	}
	return learnt, judges
}

// scores are the smoothed log-odds of each bin, less those of all rows. Rare bins,
// and those that only the judges have, have one score together: that a text is one
// of a kind may tell by itself.
func (c *court) scores(learnt [][2]int32) []float64 {
	out := make([]float64, len(learnt))
	base := float64(c.n[1]-c.judges[1]) / float64(len(c.Label)-c.judges[0]-c.judges[1])
	if !(base > 0 && base < 1) {
		return out // nothing to learn from
	}
	score := func(n [2]float64) float64 {
		return math.Log((n[1]+priorRows*base)/(n[0]+priorRows*(1-base))) - math.Log(base/(1-base))
	}
	var rare [2]float64
	isRare := func(k int) bool { return k > 0 && learnt[k][0]+learnt[k][1] < fewRows }
	for k, n := range learnt {
		if isRare(k) {
			rare[0] += float64(n[0])
			rare[1] += float64(n[1])
		}
	}
	for k, n := range learnt {
		if isRare(k) {
			out[k] = score(rare)
		} else {
			out[k] = score([2]float64{float64(n[0]), float64(n[1])})
		}
	}
	return out
}

func (c *court) addScores(sums []int64, b binned, score []float64, times int64) {
	whole := make([]int64, len(score))
	for k, s := range score {
		whole[k] = times * int64(math.Round(s*unit))
	}
	at := 0
	for i, k := range b.of {
		if c.judged[i] {
			sums[at] += whole[k]
			at++
		}
	}
}

const (
	copyValues = 10   // the most values (missing is one) of a column whose copy is told from all rows
	copyKappa  = 0.97 // agreement with the label beyond chance, from which a column is a copy
	copySurely = 0.92 // and no less than that beyond doubt
)

// copies finds a column that tells the label: all its few values go with one outcome
// each, or the likelier outcome of a value, as the rows to learn from have it, is
// that of the judges (Cohen's kappa, 1960).
func (c *court) copies(f *finding, learnt, judges [][2]int32) {
	values, pure := 0, true
	for k := range learnt {
		n := [2]int32{learnt[k][0] + judges[k][0], learnt[k][1] + judges[k][1]}
		if n[0]+n[1] > 0 {
			values++
			pure = pure && (n[0] == 0 || n[1] == 0)
		}
	}
	if pure && values > 1 && values <= copyValues && c.unlikely(values) {
		f.prove(models.Evidence{Kind: Copy, Detail: fmt.Sprintf("each of its %d values goes with one outcome only, in all %d rows", values, len(c.Label))})
		return
	}
	wrong, said := 0, 0 // of the judges; told to be positive
	for k, n := range judges {
		if f.score[k] > 0 { // above the base rate: in a copy, that is above a half too
			wrong, said = wrong+int(n[0]), said+int(n[0]+n[1])
		} else {
			wrong += int(n[1])
		}
	}
	detail := "the likelier outcome of each of its values is the outcome"
	kappa := agreement(float64(wrong), c.judges, float64(said), c.z, c.each)
	rows := c.judges[0] + c.judges[1]
	// Whether there is a value at all needs no learning: all rows judge.
	missed := c.n[1] - f.filled[1] + f.filled[0]
	said = f.filled[0] + f.filled[1]
	if missed > len(c.Label)/2 { // a missing value is for the positive
		missed, said = len(c.Label)-missed, len(c.Label)-said
	}
	if k := agreement(float64(missed), c.n, float64(said), c.z, c.each); k.value > kappa.value {
		kappa, wrong, rows, detail = k, missed, len(c.Label), "whether it has a value is the outcome"
	}
	if kappa.value < copyKappa || kappa.low(1) < copySurely {
		return
	}
	which := "rows"
	if rows != len(c.Label) {
		which = c.later + " rows"
	}
	f.prove(models.Evidence{Kind: Copy, Detail: fmt.Sprintf("%s in all but %d of %d %s: an agreement beyond chance of %.3f", detail, wrong, rows, which, kappa.value)})
}

// separated finds a number without missing values that is above some bound for one
// outcome and below it for the other, always.
func (c *court) separated(f *finding, x []float64) {
	if f.proven || x == nil || f.filled != c.n || !c.unlikely(2) {
		return
	}
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for i, y := range c.Label {
		low[int(y)], high[int(y)] = min(low[int(y)], x[i]), max(high[int(y)], x[i])
	}
	for y := range 2 {
		if high[1-y] < low[y] {
			f.prove(models.Evidence{Kind: Copy, Detail: fmt.Sprintf("it is %s or more in every %s row and %s or less in every other, of %d rows", datasets.FormatNumber(low[y]), outcome(y), datasets.FormatNumber(high[1-y]), len(c.Label))})
		}
	}
}

// unlikely says that chance does not make pure values of a label: there are
// choose(n, positives) orders of the labels, 2 to the number of values are pure at most.
func (c *court) unlikely(values int) bool {
	lnFactorial := func(n float64) float64 { v, _ := math.Lgamma(n + 1); return v }
	negatives, positives := float64(c.n[0])*c.each, float64(c.n[1])*c.each
	orders := lnFactorial(negatives+positives) - lnFactorial(negatives) - lnFactorial(positives)
	return orders-float64(values)*math.Ln2 > math.Log(float64(len(c.Names))/familyAlpha)
}

// agreement is Cohen's kappa of a guess that is wrong so often and says positive so
// often; se is how much lower it may be.
func agreement(wrong float64, n [2]int, said, z, each float64) estimate {
	all := float64(n[0] + n[1])
	if n[0] == 0 || n[1] == 0 {
		return estimate{0, 1}
	}
	p, q := float64(n[1])/all, said/all
	chance := p*(1-q) + q*(1-p)
	right := wilsonLow((all-wrong)*each, all*each, z)
	return estimate{1 - wrong/all/chance, (1 - right - wrong/all) / chance}
}

const (
	sidedRate  = 0.95 // of the rarer outcome, in a value that is one-sided
	sidedRows  = 20
	sidedShare = 0.3 // of the rarer outcome, in one-sided values
)

// oneSided finds a column much of whose rarer outcome is in values that hardly have
// another. A value is found one-sided by the rows to learn from; what it is worth,
// the judges say.
func (c *court) oneSided(f *finding, learnt, judges [][2]int32) {
	rarer := 1
	if c.n[0] < c.n[1] {
		rarer = 0
	}
	var with, without, values int
	for k, n := range learnt {
		if all := n[0] + n[1]; all >= sidedRows && float64(n[rarer]) >= sidedRate*float64(all) {
			values++
			with += int(judges[k][rarer])
			without += int(judges[k][1-rarer])
		}
	}
	of := c.judges[rarer]
	if of == 0 || with == 0 {
		return
	}
	surely := wilsonLow(float64(with)*c.each, float64(of)*c.each, c.z)
	rate := float64(with) / float64(with+without)
	if surely < sidedShare || rate < sidedRate-0.05 {
		return
	}
	f.leader = true
	what := "of its values have"
	if values == 1 {
		what = "of its values has"
	}
	f.add(2+float64(with)/float64(of), models.Evidence{
		Kind:   OneSided,
		Detail: fmt.Sprintf("%d %s %s of the %s outcomes among %s rows, and hardly another outcome (%s of their rows are so)", values, what, percent(float64(with)/float64(of)), outcome(rarer), c.later, percent(rate)),
		Figure: estimate{float64(with) / float64(of), proportionSE(float64(with), float64(of)*c.each, float64(of))}.interval(0, 1),
	})
}

func outcome(y int) string {
	if y == 1 {
		return "positive"
	}
	return "negative"
}

// proportionSE is the standard error of k of n that are worth so many, half a case
// of each kind added.
func proportionSE(k, worth, n float64) float64 {
	p := (k + 0.5) / (n + 1)
	return math.Sqrt(p * (1 - p) / max(worth, 1))
}

// percent spells a share; it is 100 % only if it is all.
func percent(share float64) string {
	switch p := 100 * share; {
	case p > 99.9 && p < 100:
		return "over 99.9 %"
	case p > 0 && p < 0.1:
		return "under 0.1 %"
	case p >= 99.5 && p < 100, p > 0 && p < 1:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}
