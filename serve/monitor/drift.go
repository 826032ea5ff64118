package monitor

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"propensity/datasets"
	"propensity/models/evaluate"
)

// What it takes for a move to be told.
const (
	// Level bounds the chance that a judgement names any column, or the probabilities, as
	// moved when nothing has.
	Level = 0.01
	// confidence of the intervals, of all those of a column together.
	confidence = 0.95
	// leastPipe and leastShift are by how much a share must have moved for sure, 0 to 1.
	leastPipe  = 0.05
	leastShift = 0.10
	// leastImportance is the share of a column in the model below which a burst pipe costs
	// nothing; leastMean the change of the mean probability, relative to what it was.
	leastImportance = 0.01
	leastMean       = 0.10
	// mostWorth bounds the rows that a share is tested by: of so many it is known to a
	// tenth of a point.
	mostWorth = 1_000_000
)

// Causes of a move.
const (
	CauseMissing  = "missing"   // more values are missing
	CauseUnseen   = "unseen"    // more categories were never seen in training
	CauseEmpty    = "empty"     // more texts are empty
	CauseUnit     = "unit"      // the numbers are a multiple of what they were
	CauseConstant = "constant"  // hardly any value differs from another
	CauseShifted  = "shifted"   // other values are common now
	CauseAnswers  = "answers"   // the probabilities themselves
	CauseQuality  = "quality"   // the outcomes are not those that were promised
	columnAnswers = "(answers)" // stands for a column in a finding about the answers
)

// Column is what was found of one column.
type Column struct {
	Name       string  `json:"name"`
	Importance float64 `json:"importance"` // share in the model, 0 to 1
	// States are the shares of rows by the state of the value, in training and now.
	States []StateShare `json:"states"`
	// Moved is the largest difference of a share that was found, with what it is a share
	// of; the interval holds for all that were looked at together, at 95 %.
	Moved evaluate.Interval `json:"moved"`
	Share string            `json:"share"`
	// P is the chance of differences like these if nothing moved, corrected for the number
	// of shares and of columns.
	P float64 `json:"p"`
	// PSI is the population stability index over the bins, less what chance adds to it.
	PSI float64 `json:"psi"`
	// Consequence is about by how much the mean probability moved because of the column.
	Consequence float64 `json:"consequence"`
	// Drifted says that it moved beyond chance, and by enough to be told. Matters says that
	// it also weighs in the model.
	Drifted bool `json:"drifted"`
	Matters bool `json:"matters"`
	// Cause and Detail are absent unless it drifted.
	Cause  string `json:"cause,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Sure is by how much the column moved for sure, 0 to 1.
func (c *Column) Sure() float64 { return distance(c.Moved) }

// StateShare is how common a state of a value was and is.
type StateShare struct {
	State    string  `json:"state"`
	Training float64 `json:"training"`
	Now      float64 `json:"now"`
}

// question is a share that is looked at: k of n rows now, ofBase of base then.
type question struct {
	what               string
	state              int // the group, if it is about one; else -1
	k, n, ofBase, base float64
	now, then          float64 // the shares
	p                  float64
	moved              evaluate.Interval
	upper              float64 // of a share up to a cut
	cumulative         bool
}

// newQuestion scales shares of rows to the numbers that the rows are worth, rounded
// towards each other.
func newQuestion(what string, state int, k, n, worth, ofBase, base, baseWorth float64) (q question, ok bool) {
	q = question{what: what, state: state}
	if n <= 0 || base <= 0 {
		return q, false
	}
	q.now, q.then = k/n, ofBase/base
	q.n, q.base = math.Floor(min(worth, mostWorth)), math.Floor(min(baseWorth, mostWorth))
	q.k, q.ofBase = q.now*q.n, q.then*q.base
	if q.now > q.then {
		q.k, q.ofBase = math.Floor(q.k+1e-9), math.Ceil(q.ofBase-1e-9)
	} else {
		q.k, q.ofBase = math.Ceil(q.k-1e-9), math.Floor(q.ofBase+1e-9)
	}
	hits := q.k + q.ofBase
	return q, q.n > 0 && q.base > 0 && hits > 0 && hits < q.n+q.base
}

// looked is one column, or the answers, under the tests.
type looked struct {
	questions []question
	p         float64 // of all of them together
	best      int     // the question that moved most for sure
}

func (l *looked) ask(what string, state int, k, n, worth, ofBase, base, baseWorth float64) *question {
	q, ok := newQuestion(what, state, k, n, worth, ofBase, base, baseWorth)
	if !ok { // all rows agree: there is nothing to ask
		return &question{}
	}
	l.questions = append(l.questions, q)
	return &l.questions[len(l.questions)-1]
}

// test answers the questions.
func (l *looked) test() {
	l.p, l.best = 1, -1
	z := standardErrors(confidence, len(l.questions))
	for i := range l.questions {
		q := &l.questions[i]
		q.p = proportionTest(q.k, q.n, q.ofBase, q.base)
		q.moved = difference(q.k, q.n, q.ofBase, q.base, z)
		q.moved.Value = min(max(q.now-q.then, q.moved.Low), q.moved.High)
		l.p = min(l.p, q.p*float64(len(l.questions)))
		if l.best < 0 || further(q, &l.questions[l.best]) {
			l.best = i
		}
	}
}

// further orders questions by what is sure, then by what was seen.
func further(a, b *question) bool {
	da, db := distance(a.moved), distance(b.moved)
	if da != db {
		return da > db
	}
	return math.Abs(a.now-a.then) > math.Abs(b.now-b.then)
}

// groups are the counts of a column by group.
func (c *column) groups(counts []int64) []float64 {
	out := make([]float64, len(c.base))
	for cell, g := range c.group {
		out[g] += float64(counts[c.first+cell])
	}
	return out
}

// look asks what there is to ask of a column. The rows are worth so many independent ones.
func (c *column) look(now []float64, rows, worth float64) *looked {
	l := &looked{}
	l.ask("without a value", cellMissing, now[cellMissing], rows, worth, c.base[cellMissing], c.rows, c.worth)
	known, knownBase := rows-now[cellMissing], c.rows-c.base[cellMissing]
	if known <= 0 || knownBase <= 0 {
		l.test()
		return l
	}
	worth, baseWorth := worth*known/rows, c.worth*knownBase/c.rows
	if c.kind == datasets.Category {
		for g := range c.base {
			if g == cellMissing || g == groupBelow || g == groupAbove {
				continue
			}
			what := "that are " + c.names[g]
			switch {
			case g == cellUnseen:
				what = "that training never saw"
			case g >= groupFirst && c.names[g] != otherLevel:
				what = "that are " + strconv.Quote(clip(c.names[g]))
			}
			l.ask(what, g, now[g], known, worth, c.base[g], knownBase, baseWorth)
		}
		l.test()
		return l
	}
	l.ask(c.names[groupBelow], groupBelow, now[groupBelow], known, worth, 0, knownBase, baseWorth)
	l.ask(c.names[groupAbove], groupAbove, now[groupAbove], known, worth, 0, knownBase, baseWorth)
	upTo, base := now[groupBelow], 0.0
	for g := groupFirst; g < len(c.base)-1; g++ {
		upTo += now[g]
		base += c.base[g]
		q := l.ask("at most "+number(c.upper[g]), -1, upTo, known, worth, base, knownBase, baseWorth)
		q.cumulative, q.upper = true, c.upper[g]
	}
	l.test()
	return l
}

// states are the shares of rows by state.
func (c *column) states(now []float64, rows float64) []StateShare {
	share := func(name string, then, n float64) StateShare {
		return StateShare{name, ratio(then, c.rows), ratio(n, rows)}
	}
	out := []StateShare{share("missing", c.base[cellMissing], now[cellMissing])}
	odd, oddBase := now[cellMissing], c.base[cellMissing]
	if c.kind == datasets.Category {
		out = append(out, share("unseen", 0, now[cellUnseen]), share("empty", c.base[cellEmpty], now[cellEmpty]))
		odd += now[cellUnseen] + now[cellEmpty]
		oddBase += c.base[cellEmpty]
	} else {
		beyond := now[groupBelow] + now[groupAbove]
		out = append(out, share("out_of_range", 0, beyond))
		odd += beyond
	}
	return append([]StateShare{share("known", c.rows-oddBase, rows-odd)}, out...)
}

// consequence is about by how much the column moves the mean probability: what it adds
// in log-odds, at the mean slope of the rows that judged the version.
func (s *Shape) consequence(c *column, counts []int64, rows float64) float64 {
	if rows == 0 || c.rows == 0 || s.mean <= 0 || s.mean >= 1 {
		return 0
	}
	now, then := 0.0, 0.0
	for cell := range c.group {
		now += float64(counts[c.first+cell]) * c.phi[cell]
	}
	for g, n := range c.base {
		then += n * c.basePhi[g]
	}
	// Large moves level off as a probability does.
	steep := s.slope / (s.mean * (1 - s.mean))
	return 1/(1+math.Exp(-(math.Log(s.mean/(1-s.mean))+steep*(now/rows-then/c.rows)))) - s.mean
}

// psi is the population stability index, sum (q - p) ln(q / p), with half a row more in
// each bin, less its mean where nothing moved: (bins - 1) (1/n + 1/base) (Yurdakul and
// Naranjo 2020, "Statistical properties of the population stability index").
func psi(now, base []float64, rows, worth, baseRows, baseWorth float64) float64 {
	bins, sum := 0.0, 0.0
	for g := range base {
		if now[g] > 0 || base[g] > 0 {
			bins++
		}
	}
	if rows == 0 || baseRows == 0 || worth < 1 {
		return 0
	}
	for g := range base {
		if now[g] == 0 && base[g] == 0 {
			continue
		}
		q, p := (now[g]+0.5)/(rows+bins/2), (base[g]+0.5)/(baseRows+bins/2)
		sum += (q - p) * math.Log(q/p)
	}
	return max(0, sum-(bins-1)*(1/worth+1/baseWorth))
}

func ratio(k, n float64) float64 {
	if n == 0 {
		return 0
	}
	return k / n
}

// cause tells what happened to a column that drifted: first what a burst pipe looks like.
// It is "" if nothing moved by as much as that takes.
func (c *column) cause(l *looked, counts []int64, now []float64, limit float64) (cause, detail string) {
	sure := func(state int) *question {
		for i := range l.questions {
			q := &l.questions[i]
			if q.state == state && q.now > q.then && distance(q.moved) >= leastPipe && q.p*float64(len(l.questions)) <= limit {
				return q
			}
		}
		return nil
	}
	for _, s := range []struct {
		group       int
		cause, hint string
	}{
		{cellMissing, CauseMissing, "no longer sent, or sent under another name?"},
		{cellUnseen, CauseUnseen, "new or renamed categories?"},
		{cellEmpty, CauseEmpty, "sent as empty text?"},
	} {
		if q := sure(s.group); q != nil {
			return s.cause, fmt.Sprintf("%s: %s of values are %s, in training %s (%s)", c.name, percent(q.now), c.names[s.group], percent(q.then), s.hint)
		}
	}
	best := &l.questions[l.best]
	moved := distance(best.moved)
	if c.kind == datasets.Number && moved >= leastShift {
		if times, ok := c.unit(counts, now); ok {
			return CauseUnit, fmt.Sprintf("%s: values are about %s times what they were in training (another unit?)", c.name, number(times))
		}
	}
	if g, ok := c.constant(now); ok && moved >= leastPipe {
		return CauseConstant, fmt.Sprintf("%s: nearly all values are %s, in training %s of them (a default that is sent for all?)", c.name, c.spell(g), percent(ratio(c.base[g], c.rows-c.base[cellMissing])))
	}
	if moved < leastShift {
		return "", ""
	}
	return CauseShifted, fmt.Sprintf("%s: %s of values are %s, in training %s", c.name, percent(best.now), best.what, percent(best.then))
}

// constant gives the group that nearly all values are in, if training had others.
func (c *column) constant(now []float64) (group int, ok bool) {
	known, knownBase := 0.0, c.rows-c.base[cellMissing]
	for g := cellUnseen; g < len(now); g++ {
		known += now[g]
	}
	for g := groupFirst; g < len(now); g++ {
		if now[g] >= 0.995*known && known > 0 && c.base[g] <= 0.8*knownBase {
			return g, true
		}
	}
	return 0, false
}

// spell tells what is in a group.
func (c *column) spell(g int) string {
	if c.kind == datasets.Category {
		return strconv.Quote(clip(c.names[g]))
	}
	if g == groupFirst {
		return "at most " + number(c.upper[g])
	}
	return "between " + number(c.upper[g-1]) + " and " + number(c.upper[g])
}

// units are how many of one are in another: days in a week, months in a year, hours in a
// day, days in a month, seconds in a minute, cents in a euro, days in a year, thousands,
// seconds in an hour.
func units() []float64 { return []float64{7, 12, 24, 30, 60, 100, 365, 1000, 3600} }

// unit finds the one factor by which all values seem to be multiplied: the quantiles of
// now, read off bins that double, are that multiple of those of training.
func (c *column) unit(counts []int64, now []float64) (times float64, ok bool) {
	knownBase := c.rows - c.base[cellMissing]
	var ratios []float64
	upTo := 0.0
	for g := groupFirst; g < len(c.base)-1; g++ {
		upTo += c.base[g]
		share := upTo / knownBase
		if c.upper[g] <= 0 || share < 0.05 || share > 0.95 {
			continue
		}
		if x := c.quantile(counts, share); x > 0 {
			ratios = append(ratios, x/c.upper[g])
		}
	}
	if len(ratios) < 3 {
		return 0, false
	}
	slices.Sort(ratios)
	middle := ratios[len(ratios)/2]
	if ratios[0] < middle/2 || ratios[len(ratios)-1] > middle*2 {
		return 0, false
	}
	for _, u := range units() {
		for _, f := range []float64{u, 1 / u} {
			if r := middle / f; r > 1/1.25 && r < 1.25 {
				return f, true
			}
		}
	}
	return 0, false
}

// quantile reads a quantile off the cells of the bins; 0 if it is not above 0.
func (c *column) quantile(counts []int64, share float64) float64 {
	known := int64(0)
	cells := counts[c.first+cellFirst : c.first+len(c.group)]
	for _, n := range cells {
		known += n
	}
	want, upTo := share*float64(known), 0.0
	for k, n := range cells {
		if upTo += float64(n); upTo < want || n == 0 {
			continue
		}
		if k == 0 || k == len(c.cuts) || c.cuts[k-1] <= 0 {
			return 0
		}
		within := 1 - (upTo-want)/float64(n)
		return c.cuts[k-1] * math.Pow(c.cuts[k]/c.cuts[k-1], within)
	}
	return 0
}

// clip keeps a long level from flooding a message.
func clip(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}

// number spells a number in at most four digits.
func number(x float64) string {
	if rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64); err == nil {
		x = rounded
	}
	return datasets.FormatNumber(x)
}

// percent spells a share.
func percent(share float64) string {
	return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
}
