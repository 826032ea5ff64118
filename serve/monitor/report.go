package monitor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/models/evaluate"
)

// Verdicts.
const (
	Fine    = "fine"
	Wait    = "wait"         // there is too little to tell
	FixPipe = "fix_the_pipe" // a column is not what it was, and that looks like a fault
	Retrain = "retrain"      // the world has moved, or a promise was broken
)

// Verdicts are those that there are.
func Verdicts() []string { return []string{Fine, Wait, FixPipe, Retrain} }

// Report is a judgement of one version.
type Report struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	// From and To are RFC 3339, the time in which the scores were given; empty of a table.
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Scores int64  `json:"scores"`
	// Effective is how many independent rows the scores are worth: those of one account
	// may be alike.
	Effective float64 `json:"effective"`
	Verdict   string  `json:"verdict"` // fine, wait, fix_the_pipe or retrain
	Detail    string  `json:"detail"`  // the verdict in words
	// Findings are what the verdict rests on, the gravest first; Remarks what is to be
	// known besides.
	Findings []Finding `json:"findings"`
	Remarks  []string  `json:"remarks"`
	// Level is the chance that anything is named as moved when nothing has.
	Level float64 `json:"level"`
	// Columns are in the order of the encoder.
	Columns  []Column  `json:"columns"`
	Answers  *Answers  `json:"answers,omitempty"`
	Expected *Expected `json:"expected,omitempty"`
	// Settled is absent without a ledger.
	Settled *Settled `json:"settled,omitempty"`
}

// Finding is one thing that was found and that matters.
type Finding struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	Verdict string `json:"verdict"` // that it alone would give
	// Column is empty where it is about the answers or the outcomes.
	Column string `json:"column,omitempty"`
	Cause  string `json:"cause"`
	Detail string `json:"detail"`
}

// Answers is what was found of the probabilities.
type Answers struct {
	// MeanProbability is that now, Judged that of the rows that judged the version.
	MeanProbability float64 `json:"mean_probability"`
	Judged          float64 `json:"judged"`
	// Bands are their shares among the scores, then and now.
	Bands []BandShare `json:"bands"`
	// Moved, Share, P, PSI and Drifted are as in Column.
	Moved   evaluate.Interval `json:"moved"`
	Share   string            `json:"share"`
	P       float64           `json:"p"`
	PSI     float64           `json:"psi"`
	Drifted bool              `json:"drifted"`
	Matters bool              `json:"matters"`
}

// Sure is by how much the answers moved for sure, 0 to 1.
func (a *Answers) Sure() float64 { return distance(a.Moved) }

// BandShare is how common a band was and is.
type BandShare struct {
	Band   string  `json:"band"`
	Judged float64 `json:"judged"`
	Now    float64 `json:"now"`
}

// enough is the number of independent rows from which it can be told that nothing has
// moved: the interval of a share is then at most 0.1 to either side.
const enough = 100

// Span is a time, in µs since 1970 UTC.
type Span struct{ From, To int64 }

// Judge judges a version by what was counted. The span is zero of a table. Settled is nil
// if nothing is known of outcomes.
func (s *Shape) Judge(c *Counts, span Span, settled *Settled) *Report {
	s.explain()
	rows, worth := float64(c.Rows), c.Effective()
	r := &Report{
		Model: s.Model, Version: s.Version, Scores: c.Rows, Effective: math.Floor(worth), Level: Level,
		Findings: []Finding{}, Remarks: []string{}, Columns: []Column{}, Settled: settled, Expected: s.expect(c, worth),
	}
	if span.To > 0 {
		r.From, r.To = datasets.FormatTime(span.From), datasets.FormatTime(span.To)
	}
	looks, now, p := make([]*looked, len(s.columns)), make([][]float64, len(s.columns)), make([]float64, len(s.columns)+1)
	for j := range s.columns {
		col := &s.columns[j]
		now[j] = col.groups(c.cells)
		looks[j] = col.look(now[j], rows, worth)
		p[j] = looks[j].p
	}
	answers := s.lookAnswers(c, worth)
	p[len(s.columns)] = answers.p
	limit, adjusted := discoveries(p, Level)
	for j := range s.columns {
		r.Columns = append(r.Columns, s.column(j, c, now[j], looks[j], limit, adjusted[j], worth))
	}
	if c.Rows > 0 {
		r.Answers = s.answers(c, answers, limit, adjusted[len(s.columns)], worth)
	}
	s.find(r)
	r.decide()
	return r
}

// column tells what was found of column j.
func (s *Shape) column(j int, c *Counts, now []float64, l *looked, limit, p, worth float64) Column {
	col, rows := &s.columns[j], float64(c.Rows)
	out := Column{
		Name: col.name, Importance: col.importance, States: col.states(now, rows), P: p,
		PSI: psi(now, col.base, rows, worth, col.rows, col.worth), Consequence: s.consequence(col, c.cells, rows),
	}
	if l.best < 0 {
		return out
	}
	best := &l.questions[l.best]
	out.Moved, out.Share = best.moved, best.what
	if !(l.p <= limit) {
		return out
	}
	out.Cause, out.Detail = col.cause(l, c.cells, now, limit)
	out.Drifted = out.Cause != ""
	weighs := math.Abs(out.Consequence) >= leastMean*s.mean
	switch out.Cause {
	case "":
	case CauseShifted:
		out.Matters = weighs && out.Importance > 0
	default:
		out.Matters = weighs || out.Importance >= leastImportance
	}
	return out
}

// lookAnswers asks what there is to ask of the probabilities.
func (s *Shape) lookAnswers(c *Counts, worth float64) *looked {
	l := &looked{}
	rows := float64(c.Rows)
	now, then := 0.0, 0.0
	for k := 0; k < len(s.bands)-1; k++ {
		now += float64(c.cells[s.first+oddsBins+k])
		then += s.inBand[k]
		what := "in band " + s.bands[k].Name
		if k > 0 {
			what += " or a higher one"
		}
		l.ask(what, -1, now, rows, worth, then, s.judged, s.worth)
	}
	now, then = 0, 0
	for k, next := 0, 1; k < oddsBins-1; k++ {
		now += float64(c.cells[s.first+k])
		then += s.histogram[k]
		if then < s.judged*float64(next)/10 {
			continue
		}
		next = int(then/s.judged*10) + 1
		upper := 1 / (1 + math.Exp(oddsEnd-float64(k)*oddsStep))
		l.ask("of a probability below "+number(upper), -1, now, rows, worth, then, s.judged, s.worth)
	}
	l.test()
	return l
}

// answers tells what was found of the probabilities.
func (s *Shape) answers(c *Counts, l *looked, limit, p, worth float64) *Answers {
	rows := float64(c.Rows)
	out := &Answers{MeanProbability: float64(c.probability) / nano / rows, Judged: s.mean, P: p, Bands: []BandShare{}}
	inBand := make([]float64, len(s.bands))
	for k, b := range s.bands {
		inBand[k] = float64(c.cells[s.first+oddsBins+k])
		out.Bands = append(out.Bands, BandShare{b.Name, ratio(s.inBand[k], s.judged), ratio(inBand[k], rows)})
	}
	out.PSI = psi(inBand, s.inBand, rows, worth, s.judged, s.worth)
	if l.best < 0 {
		return out
	}
	best := &l.questions[l.best]
	out.Moved, out.Share = best.moved, best.what
	out.Drifted = l.p <= limit && distance(best.moved) >= leastShift
	out.Matters = out.Drifted && math.Abs(out.MeanProbability-s.mean) >= leastMean*s.mean
	return out
}

// find gathers what matters, the gravest first: pipes by importance, then what shifted by
// consequence, then the answers and the outcomes.
func (s *Shape) find(r *Report) {
	add := func(verdict, column, cause, detail string) {
		r.Findings = append(r.Findings, Finding{r.Model, r.Version, verdict, column, cause, detail})
	}
	var harmless []string
	for _, pipe := range []bool{true, false} {
		for _, j := range s.ranked(r) {
			c := &r.Columns[j]
			if pipe != (c.Cause != CauseShifted) || !c.Drifted {
				continue
			}
			if !c.Matters {
				harmless = append(harmless, c.Name)
				continue
			}
			verdict := Retrain
			if pipe {
				verdict = FixPipe
			}
			add(verdict, c.Name, c.Cause, fmt.Sprintf("%s; importance %s, mean probability moved by about %s points", c.Detail, percent(c.Importance), points(c.Consequence)))
		}
	}
	if a := r.Answers; a != nil && a.Matters {
		add(Retrain, "", CauseAnswers, fmt.Sprintf("the mean probability is %s, and was %s when the version was judged; the share of scores %s moved by %s points",
			percent(a.MeanProbability), percent(a.Judged), a.Share, points(a.Moved.Value)))
	}
	if r.Settled != nil {
		for _, broken := range r.Settled.Broken {
			add(Retrain, "", CauseQuality, broken)
		}
	}
	if len(harmless) > 0 {
		r.Remarks = append(r.Remarks, "moved without weighing in the model: "+strings.Join(harmless, ", "))
	}
}

// ranked are the columns by importance.
func (s *Shape) ranked(r *Report) []int {
	order := make([]int, len(r.Columns))
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.Columns[b].Importance, r.Columns[a].Importance) })
	return order
}

// decide gives the verdict.
func (r *Report) decide() {
	if s := r.Settled; s != nil && (s.Positives < leastOutcomes || s.Scores-s.Positives < leastOutcomes) {
		r.Remarks = append(r.Remarks, fmt.Sprintf("outcomes are known of %d scores, %d of them positive, and are open of %d: too few to say how good the scores were", s.Scores, s.Positives, s.Open))
	}
	switch {
	case len(r.Findings) > 0:
		r.Verdict = r.Findings[0].Verdict
		var said []string
		for _, f := range r.Findings {
			if f.Verdict == r.Verdict {
				said = append(said, f.Detail)
			}
		}
		r.Detail = strings.Join(said, ". ")
		if r.Verdict == FixPipe {
			r.Remarks = append(r.Remarks, "what else moved may follow from it: judge again when the pipe is mended")
		}
	case r.Scores == 0:
		r.Verdict, r.Detail = Wait, "there are no scores to judge"
	case r.Effective < enough:
		r.Verdict = Wait
		r.Detail = fmt.Sprintf("%d scores are worth %s independent rows, too few to tell: from %d on it can be said that nothing has moved", r.Scores, datasets.FormatNumber(r.Effective), enough)
	case r.immature():
		r.Verdict = Wait
		r.Detail = fmt.Sprintf("nothing has moved, but outcomes are too few to say how good the scores were: known of %d, open of %d", r.Settled.Scores, r.Settled.Open)
	default:
		r.Verdict = Fine
		r.Detail = fmt.Sprintf("no column and no probability has moved enough to matter, by %d scores", r.Scores)
		if s := r.Settled; s != nil && s.Scores > 0 {
			r.Detail += fmt.Sprintf("; of %d scores with an outcome %s were positive, %s were promised", s.Scores, percent(s.Observed.Value), percent(s.Promised))
		}
	}
}

// immature says that outcomes have begun to come, and are too few.
func (r *Report) immature() bool {
	s := r.Settled
	return s != nil && s.Scores > 0 && s.Open > 0 && (s.Positives < leastOutcomes || s.Scores-s.Positives < leastOutcomes)
}

// points spells a change of a share or probability in percentage points.
func points(change float64) string { return fmt.Sprintf("%+.1f", 100*change) }
