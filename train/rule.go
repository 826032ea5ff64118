package train

import (
	"fmt"
	"math"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// rule is a one-line rule: rows whose feature passes the test have one
// probability, all others another. A model must beat the best of them: it is
// what a person would do without a model.
type rule struct {
	models.Rule
	feature int
	code    float64 // the category, or
	most    float64 // the largest number that matches
	isCode  bool
}

func (r *rule) matches(x float64) bool {
	if r.isCode {
		return x == r.code
	}
	return x <= r.most // NaN never
}

// bestRule finds the rule with the lowest log loss on the training rows: every
// category, and each number's deciles. Ties go to the first column.
func bestRule(e *features.Encoder, m *features.Matrix) (*rule, error) {
	all := tally{float64(m.Rows()), float64(positives(m.Label))}
	best, lowest := make([]*rule, len(e.Columns)), make([]float64, len(e.Columns))
	err := features.Parallel(len(e.Columns), func(j int) error {
		column, err := m.Column(nil, j)
		if err != nil {
			return err
		}
		lowest[j] = math.Inf(1)
		try := func(r rule, matched tally) {
			others := tally{all.rows - matched.rows, all.positives - matched.positives}
			if others.rows == 0 || matched.rows == 0 {
				return
			}
			r.Others, r.Matched = others.rate(), matched.rate()
			if loss := others.loss(r.Others) + matched.loss(r.Matched); loss < lowest[j] {
				lowest[j], best[j] = loss, &r
			}
		}
		if c := &e.Columns[j]; c.Kind == datasets.Category {
			for code, t := range byCode(column, m.Label, len(c.Levels)) {
				try(rule{feature: j, code: float64(code), isCode: true}, t)
			}
			return nil
		}
		cuts := e.Columns[j].Deciles()
		for k, t := range upTo(cuts, column, m.Label) {
			try(rule{feature: j, most: cuts[k]}, t)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var first *rule
	least := math.Inf(1)
	for j, r := range best {
		if r != nil && lowest[j] < least {
			least, first = lowest[j], r
		}
	}
	if first != nil {
		first.Text = first.words(&e.Columns[first.feature])
	}
	return first, nil
}

// upTo tallies the rows at or below each cut, in one pass.
func upTo(cuts, column, label []float64) []tally {
	out := make([]tally, len(cuts)+1)
	for i, x := range column {
		if x == x { // a missing value matches no cut
			k := 0
			for k < len(cuts) && x > cuts[k] {
				k++
			}
			out[k].add(label[i])
		}
	}
	for k := 1; k < len(cuts); k++ {
		out[k].rows += out[k-1].rows
		out[k].positives += out[k-1].positives
	}
	return out[:len(cuts)]
}

// tally counts rows and the positives among them.
type tally struct{ rows, positives float64 }

func (t *tally) add(y float64) { t.rows, t.positives = t.rows+1, t.positives+y }

// rate is the share of positives; half a case of each kind keeps a pure side from
// the certainty of 0 or 1.
func (t tally) rate() float64 { return (t.positives + 0.5) / (t.rows + 1) }

// loss is the sum of the rows' log losses at one probability.
func (t tally) loss(p float64) float64 {
	return -(t.positives*math.Log(p) + (t.rows-t.positives)*math.Log(1-p))
}

// byCode tallies every category in one pass, however many there are.
func byCode(column, label []float64, levels int) []tally {
	out := make([]tally, levels)
	for i, x := range column {
		if x >= 0 { // NaN is not
			out[int(x)].add(label[i])
		}
	}
	return out
}

func (r *rule) words(c *features.Column) string {
	if r.isCode {
		return fmt.Sprintf("%s is %q", c.Name, c.Levels[int(r.code)])
	}
	if c.Kind == datasets.Time {
		return fmt.Sprintf("%s was at most %s days before", c.Name, datasets.FormatNumber(r.most))
	}
	switch {
	case c.Kind == datasets.Boolean && r.most == 0:
		return c.Name + " is false"
	case c.Kind == datasets.Boolean:
		return c.Name + " is known"
	}
	return fmt.Sprintf("%s is at most %s", c.Name, datasets.FormatNumber(r.most))
}

// score gives the rule's probabilities.
func (r *rule) score(m *features.Matrix) ([]float64, error) {
	column, err := m.Column(nil, r.feature)
	if err != nil {
		return nil, err
	}
	p := make([]float64, len(column))
	for i, x := range column {
		p[i] = r.Others
		if r.matches(x) {
			p[i] = r.Matched
		}
	}
	return p, nil
}
