package train

import (
	"fmt"
	"math"
	"slices"

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
func bestRule(e *features.Encoder, m *features.Matrix) *rule {
	var best *rule
	lowest := math.Inf(1)
	try := func(r rule) {
		var rows, positives [2]float64 // others, matched
		for i, x := range m.Columns[r.feature] {
			k := 0
			if r.matches(x) {
				k = 1
			}
			rows[k]++
			positives[k] += m.Label[i]
		}
		if rows[0] == 0 || rows[1] == 0 {
			return
		}
		// Half a case of each kind keeps a pure side from the certainty of 0 or 1.
		r.Others, r.Matched = (positives[0]+0.5)/(rows[0]+1), (positives[1]+0.5)/(rows[1]+1)
		loss := 0.0
		for k, p := range []float64{r.Others, r.Matched} {
			loss -= positives[k]*math.Log(p) + (rows[k]-positives[k])*math.Log(1-p)
		}
		if loss < lowest {
			lowest, best = loss, &r
		}
	}
	for j := range e.Columns {
		c := &e.Columns[j]
		if c.Kind == datasets.Category {
			for code := range c.Levels {
				try(rule{feature: j, code: float64(code), isCode: true})
			}
			continue
		}
		for _, q := range deciles(m.Columns[j]) {
			try(rule{feature: j, most: q})
		}
	}
	if best != nil {
		best.Text = best.words(&e.Columns[best.feature])
	}
	return best
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

// deciles are the distinct values at the nine tenths, smallest first.
func deciles(xs []float64) []float64 {
	xs = slices.DeleteFunc(slices.Clone(xs), math.IsNaN)
	slices.Sort(xs)
	var out []float64
	for k := 1; k <= 9 && len(xs) > 0; k++ {
		q := xs[(len(xs)-1)*k/10]
		if len(out) == 0 || out[len(out)-1] != q {
			out = append(out, q)
		}
	}
	return out
}

// score gives the rule's probabilities.
func (r *rule) score(m *features.Matrix) []float64 {
	p := make([]float64, m.Rows())
	for i, x := range m.Columns[r.feature] {
		p[i] = r.Others
		if r.matches(x) {
			p[i] = r.Matched
		}
	}
	return p
}
