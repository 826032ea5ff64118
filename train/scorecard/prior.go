package scorecard

import (
	"context"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features"
)

// ErrPrior is wrapped by an error about a prior card that cannot be made.
var ErrPrior = errors.New("prior scorecard")

// priors are the cards for companies that have too few outcomes to learn from, one
// line for what a column may tell: kind of model; the question; which columns tell
// it, a regular expression of their names in lower case with _ between words; how
// they are read; and what each answer adds to the log-odds.
//
// These are judgements, set by hand in steps of a quarter: the directions that
// practice knows, of modest size. No data stands behind them, of anybody.
//
// How a column is read: number, up to each number (of a category, the first number
// in the level's text, "11-50" is 11); days, likewise, of a time or of a number whose
// name tells its unit; times, in times the column's median; share, 0 to 1 or in per
// cent; change, around 0, or around 1 where no value is negative; levels, the first
// regular expression that the level's text matches; yes, of what is true or yes.
// The star stands for the rest.
//
//go:embed priors.csv
var priors string

// Kinds are the kinds of models that have a prior card.
func Kinds() []string { return []string{"churn", "conversion", "upsell"} }

// question is a line of the priors.
type question struct {
	name    string
	columns *regexp.Regexp
	reads   string
	steps   []step
}

type step struct {
	upto  string // a number, a regular expression, or a star
	value float64
}

func questions(kind string) ([]question, error) {
	lines, err := csv.NewReader(strings.NewReader(priors)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: priors.csv: %w", ErrPrior, err)
	}
	var out []question
	for i, line := range lines[1:] {
		if line[0] != kind {
			continue
		}
		q := question{name: line[1], reads: line[3]}
		if q.columns, err = regexp.Compile(line[2]); err != nil {
			return nil, fmt.Errorf("%w: priors.csv, line %d: %w", ErrPrior, i+2, err)
		}
		for _, text := range strings.Split(line[4], ";") {
			upto, value, _ := strings.Cut(text, "=")
			s := step{upto: strings.TrimSpace(upto)}
			if s.value, err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil {
				return nil, fmt.Errorf("%w: priors.csv, line %d: %w", ErrPrior, i+2, err)
			}
			q.steps = append(q.steps, s)
		}
		out = append(out, q)
	}
	return out, nil
}

// Prior is the scorecard of a kind of model (see Kinds) that is not learnt: for
// companies with too few outcomes to learn from, to be used until a learnt model
// does better. Its points are set by hand (priors.csv) for questions that many
// companies can answer, and go to the columns of the encoder that answer them by
// their name; several columns of one question share its points. Answers overlap:
// of m questions each counts 1 + 0.1 (m - 1) times less than it would alone, as the
// weights of a linear discriminant do where any two of m alike answers have the
// correlation 0.1 (which is another judgement). An account whose
// values are all typical has the base rate, above 0 and below 1, the only thing
// learnt; Fit with the Kind sets the mean over all its rows to their base rate
// instead. A missing value, or an unseen category, adds nothing. Notes say that it
// is a prior and which columns answer what; points are those of the default Scale.
// ErrPrior: an unknown kind, a base rate out of range, or no column that answers.
func Prior(kind string, e *features.Encoder, baseRate float64) (*Result, error) {
	return prior(kind, e, baseRate, Scale{})
}

func prior(kind string, e *features.Encoder, baseRate float64, scale Scale) (*Result, error) {
	if !slices.Contains(Kinds(), kind) {
		return nil, fmt.Errorf("%w: unknown kind %q, want one of %s", ErrPrior, kind, strings.Join(Kinds(), ", "))
	}
	if !(baseRate > 0 && baseRate < 1) {
		return nil, fmt.Errorf("%w: a base rate of %v, want one above 0 and below 1", ErrPrior, baseRate)
	}
	all, err := questions(kind)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if r.Scale, err = scale.settle(); err != nil {
		return nil, err
	}
	r.Start = r.Scale.points(math.Log(baseRate / (1 - baseRate)))
	r.Notes = []string{"This card is a prior and not learnt: its points were set by hand, and only the base rate is this company's own."}
	answers := make(map[string][]int) // places in r.Variables by question; only looked up, never walked
	for j := range e.Columns {
		c := &e.Columns[j]
		r.levels = append(r.levels, len(c.Levels))
		name := words(c.Name)
		for _, q := range all {
			if !q.columns.MatchString(name) {
				continue
			}
			if v, ok := q.variable(j, c, name); ok {
				answers[q.name] = append(answers[q.name], len(r.Variables))
				r.Variables = append(r.Variables, v)
				break
			}
		}
	}
	overlap := 1 + 0.1*float64(len(answers)-1)
	for _, q := range all {
		places := answers[q.name]
		if len(places) == 0 {
			continue
		}
		delete(answers, q.name) // a question may have several lines
		var names []string
		for _, k := range places {
			v := &r.Variables[k]
			names = append(names, e.Columns[v.Feature].Name)
			for b := range v.Bins {
				v.Bins[b].Points *= r.Scale.unit() / overlap / float64(len(places))
			}
		}
		r.Notes = append(r.Notes, fmt.Sprintf("%s: told by %s.", q.name, strings.Join(names, ", ")))
	}
	if len(r.Variables) == 0 {
		return nil, fmt.Errorf("%w: no column answers a question that there are priors of for %s, such as %s: name columns like days_since_login, seat_utilisation or plan", ErrPrior, kind, all[0].name)
	}
	r.assemble()
	r.guess()
	return r, nil
}

// capital is where a word starts within a name such as daysSinceLogin; firstOf is
// the first number of a text, saidYes what stands for true.
var (
	capital   = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	between   = regexp.MustCompile(`[^a-z0-9]+`)
	firstOf   = regexp.MustCompile(`\d+(,\d{3})*`)
	saidYes   = regexp.MustCompile(`^(?i:yes|y|true|1)$`)
	nameUnits = [...]nameUnit{{"day", 1}, {"hour", 1.0 / 24}, {"week", 7}, {"month", 365.25 / 12}, {"year", 365.25}}
)

type nameUnit struct {
	name string
	days float64
}

// words is a column's name in lower case with _ between words.
func words(name string) string {
	return strings.Trim(between.ReplaceAllString(strings.ToLower(capital.ReplaceAllString(name, "${1}_${2}")), "_"), "_")
}

// variable are the answers of a column, in log-odds less those of its typical
// value; not ok if it cannot be read so.
func (q *question) variable(j int, c *features.Column, name string) (v Variable, ok bool) {
	v = Variable{Feature: j, Category: c.Kind == datasets.Category}
	switch {
	case v.Category:
		v.Bins, ok = q.levels(c)
	case c.Kind == datasets.Boolean:
		if q.reads == "yes" {
			v.Bins, ok = numberRanges([]float64{0}), true
			v.Bins[1].Points = q.steps[0].value
		}
	default:
		v.Bins, ok = q.ranges(c, name)
	}
	if !ok {
		return v, false
	}
	x := c.Median
	if v.Category {
		x = float64(slices.Index(c.Levels, c.Typical().Text))
	}
	t := v.term(len(c.Levels), func(bin int) float64 { return v.Bins[bin].Points }, 0)
	typical := t.At(x)
	for k := range v.Bins {
		v.Bins[k].Points -= typical
	}
	return v, true
}

// ranges are the answers of a number or a time.
func (q *question) ranges(c *features.Column, name string) ([]Bin, bool) {
	factor, shift := 1.0, 0.0
	switch q.reads {
	case "number":
		if c.Kind == datasets.Time {
			return nil, false
		}
	case "days":
		unit := slices.IndexFunc(nameUnits[:], func(u nameUnit) bool { return strings.Contains(name, u.name) })
		switch {
		case c.Kind == datasets.Time:
		case unit < 0:
			return nil, false // nobody knows of what
		default:
			factor = 1 / nameUnits[unit].days
		}
	case "times":
		if factor = c.Median; !(c.Median > 0) || c.Kind == datasets.Time {
			return nil, false
		}
	case "share":
		if c.Max > 2 { // in per cent; a little above 1 is more users than seats
			factor = 100
		}
	case "change":
		if c.Min >= 0 {
			shift = 1
		}
	default:
		return nil, false
	}
	var cuts []float64
	for _, s := range q.steps[:len(q.steps)-1] {
		x, err := strconv.ParseFloat(s.upto, 64)
		if err != nil {
			return nil, false
		}
		cut, _ := strconv.ParseFloat(strconv.FormatFloat(x*factor+shift, 'g', 2, 64), 64) // what was written is read
		cuts = append(cuts, cut+0)
	}
	bins := numberRanges(cuts)
	for k := range bins {
		bins[k].Points = q.steps[k].value
	}
	return bins, true
}

// levels are the answers of a category, those that add the same in one bin.
func (q *question) levels(c *features.Column) ([]Bin, bool) {
	bins := make([]Bin, len(q.steps))
	for k, s := range q.steps {
		bins[k].Points = s.value
	}
	if q.reads == "yes" {
		bins = append([]Bin{{}}, bins...)
	}
	for code, text := range c.Levels {
		k := len(bins) - 1
		switch q.reads {
		case "levels":
			for i, s := range q.steps[:k] {
				if ok, err := regexp.MatchString("(?i)"+s.upto, text); err == nil && ok {
					k = i
					break
				}
			}
		case "number":
			x, err := strconv.ParseFloat(strings.ReplaceAll(firstOf.FindString(text), ",", ""), 64)
			if err != nil {
				return nil, false // a level without a number
			}
			for i, s := range q.steps[:k] {
				if most, err := strconv.ParseFloat(s.upto, 64); err == nil && x <= most {
					k = i
					break
				}
			}
		case "yes":
			if !saidYes.MatchString(text) {
				k = 0
			}
		default:
			return nil, false
		}
		bins[k].Codes = append(bins[k].Codes, code)
	}
	bins = slices.DeleteFunc(bins, func(b Bin) bool { return len(b.Codes) == 0 })
	return bins, len(bins) > 1
}

// level sets Start so that the mean probability of the rows is their base rate.
func (r *Result) level(ctx context.Context, m *features.Matrix, all totals) error {
	raw := make([]float64, m.Rows())
	for j := range r.Variables {
		k := r.Variables[j].Feature
		xs, err := column(ctx, m, k)
		if err != nil {
			return err
		}
		for i, x := range xs {
			raw[i] += r.Model.Terms[k].At(x)
		}
	}
	low, high := -700.0, 700.0
	for range 100 { // to the last bit: the mean rises with the intercept
		middle, sum := (low+high)/2, 0.0
		for i, x := range raw {
			sum += weightOf(m, i) / (1 + math.Exp(-x-middle))
		}
		if sum < all.positive {
			low = middle
		} else {
			high = middle
		}
	}
	r.Start = r.Scale.points((low + high) / 2)
	return ctx.Err()
}
