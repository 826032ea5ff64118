package logistic

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"propensity/features"
	"propensity/models"
)

// Result is a fitted regression.
type Result struct {
	Model *models.Linear
	// LogLikelihood is the sum of the rows' logarithms of the probability of their
	// label, each times its weight.
	LogLikelihood float64
	Rows          int
	Weight        float64 // of all rows
	Steps         int

	design    *design
	weights   []float64
	errors    []float64 // standard errors, nil with a penalty
	low, high []float64 // by resampled accounts, nil without
	unit      *units
}

// Part is what a weight belongs to: a number, a level of a category, or the missing
// values of either.
type Part struct {
	Feature int    // -1: the intercept
	Name    string // of the feature
	Level   int    // its code, -1: none
	Text    string // the level's name, where it is known
	Missing bool
}

func (p Part) String() string {
	switch {
	case p.Feature < 0:
		return "the intercept"
	case p.Missing:
		return fmt.Sprintf("%q missing", p.Name)
	case p.Level < 0:
		return fmt.Sprintf("%q", p.Name)
	case p.Text != "":
		return fmt.Sprintf("%q = %q", p.Name, p.Text)
	}
	return fmt.Sprintf("%q level %d", p.Name, p.Level)
}

// named gives the part the names of its feature and level.
func (p Part) named(names []string, levels [][]string) Part {
	if p.Feature >= 0 && p.Feature < len(names) {
		p.Name = names[p.Feature]
	}
	if p.Feature >= 0 && p.Feature < len(levels) && p.Level >= 0 && p.Level < len(levels[p.Feature]) {
		p.Text = levels[p.Feature][p.Level]
	}
	return p
}

// weighted are what the weights of the design belong to.
func (d *design) weighted() []Part {
	out := make([]Part, d.width())
	out[0] = Part{Feature: -1, Level: -1}
	for j := range d.columns {
		c, name := &d.columns[j], d.rows.Features[j].Name
		if c.number > 0 {
			out[c.number] = Part{Feature: j, Name: name, Level: -1}
		}
		for k, place := range c.levels {
			if place >= 0 {
				out[d.numbers+int(place)] = Part{Feature: j, Name: name, Level: k}
			}
		}
		if c.missing >= 0 {
			out[d.numbers+int(c.missing)] = Part{Feature: j, Name: name, Level: -1, Missing: true}
		}
	}
	return out
}

// References are the codes of the levels that have no weight because the others are
// compared with them, one per feature; -1: none.
func (r *Result) References() []int {
	out := make([]int, len(r.design.columns))
	for j := range out {
		c := &r.design.columns[j]
		if out[j] = c.reference; c.reference >= 0 && c.levels[c.reference] >= 0 {
			out[j] = -1
		}
	}
	return out
}

// Coefficients are the weights with their bounds, 95 %: the intercept, then numbers and
// indicators in the order of the features. A number's is per standard deviation (Scale
// of the model's term). Given are the names of the features and of each one's
// levels by code. nil if there are no bounds: with a penalty and no Replicates.
func (r *Result) Coefficients(names []string, levels [][]string) []models.Coefficient {
	return r.coefficients(r.weights, r.errors, names, levels)
}

// PerUnit is Coefficients with numbers per unit of the column, and the intercept
// of a row whose numbers are all 0, as most software tells them. Only without a penalty.
func (r *Result) PerUnit(names []string, levels [][]string) []models.Coefficient {
	if r.unit == nil {
		return nil
	}
	return r.coefficients(r.unit.weights, r.unit.errors, names, levels)
}

func (r *Result) coefficients(weights, errors []float64, names []string, levels [][]string) []models.Coefficient {
	if errors == nil && r.low == nil {
		return nil
	}
	const z = 1.959963984540054 // the normal distribution's quantile of 0.975
	var out []models.Coefficient
	for k, p := range r.design.weighted() {
		p = p.named(names, levels)
		c := models.Coefficient{Feature: p.Name, Level: p.Text, Missing: p.Missing, Estimate: weights[k]}
		if errors != nil {
			se := errors[k]
			c.SE, c.Low, c.High = &se, c.Estimate-z*se, c.Estimate+z*se
		} else {
			c.Low, c.High = r.low[k], r.high[k]
		}
		out = append(out, c)
	}
	return out
}

// units are weights and standard errors per unit of each column.
type units struct{ weights, errors []float64 }

// standardErrors are the roots of the diagonal of the inverse Hessian at the optimum
// (McCullagh and Nelder, Generalized Linear Models, 2nd ed., 4.4).
func (s *newton) standardErrors(ctx context.Context, r *Result) error {
	n := s.width()
	h, err := s.hessian(ctx, s.curvature, 1)
	if err != nil {
		return err
	}
	if err := s.dependent(h); err != nil {
		return err
	}
	s.factor = &mat.Cholesky{}
	if !s.factor.Factorize(mat.NewSymDense(n, h)) {
		return s.singular()
	}
	var inverse mat.SymDense
	if err := s.factor.InverseTo(&inverse); err != nil {
		return s.singular()
	}
	r.errors = make([]float64, n)
	for k := range n {
		r.errors[k] = math.Sqrt(inverse.At(k, k))
	}
	// Per unit, the intercept gives up what the centers contribute.
	u := &units{append([]float64(nil), r.weights...), append([]float64(nil), r.errors...)}
	shift := make([]float64, n)
	shift[0] = 1
	for j := range s.columns {
		if c := &s.columns[j]; c.number > 0 {
			k := c.number
			u.weights[k] /= c.scale
			u.errors[k] /= c.scale
			shift[k] = -c.center / c.scale
			u.weights[0] += r.weights[k] * shift[k]
		}
	}
	v := mat.NewVecDense(n, shift)
	u.errors[0] = math.Sqrt(mat.Inner(v, &inverse, v))
	r.unit = u
	return nil
}

// model is the design's weights as a model, with what each term contributes over
// the training rows.
func (d *design) model(ctx context.Context, weights []float64) (*models.Linear, error) {
	m := &models.Linear{Intercept: weights[0], Terms: make([]models.Term, len(d.columns))}
	indicators := weights[d.numbers:]
	err := features.Parallel(len(d.columns), func(j int) error {
		c, t := &d.columns[j], &m.Terms[j]
		hole := 0.0
		if c.missing >= 0 {
			hole = indicators[c.missing]
		}
		share := c.mass / d.total
		if c.levels != nil {
			t.Levels, t.Missing = make([]float64, len(c.levels)), hole
			for code, k := range c.levels {
				if k >= 0 {
					t.Levels[code] = indicators[k]
				}
				t.Mean += c.masses[code] / d.total * t.Levels[code]
			}
			t.Mean += share * hole
			known := share
			for code, x := range t.Levels {
				known += c.masses[code] / d.total
				t.Spread += c.masses[code] / d.total * (x - t.Mean) * (x - t.Mean)
			}
			t.Spread += share*(hole-t.Mean)*(hole-t.Mean) + max(0, 1-known)*t.Mean*t.Mean // unseen ones contribute 0
			t.Spread = math.Sqrt(t.Spread)
			return ctx.Err()
		}
		t.Center, t.Scale = c.center, c.scale
		if c.number > 0 {
			t.Weight = weights[c.number]
		}
		filled := t.At(c.fill)
		t.Missing = filled + hole
		if most := 5e3; math.Abs(t.Weight)*max(-c.low, c.high) > most { // At may cut values off
			return d.measure(ctx, j, t)
		}
		// The filled column, standardised, has mean 0 and variance 1.
		t.Mean = share * hole
		t.Spread = math.Sqrt(max(0, t.Weight*t.Weight+2*filled*hole*share+hole*hole*share*(1-share)))
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// measure is what a term contributes row by row.
func (d *design) measure(ctx context.Context, j int, t *models.Term) error {
	xs, err := d.rows.Column(nil, j)
	if err != nil {
		return err
	}
	for i, x := range xs {
		t.Mean += weigh(d.rows.Weight, i) * t.At(x)
	}
	t.Mean /= d.total
	for i, x := range xs {
		u := t.At(x) - t.Mean
		t.Spread += weigh(d.rows.Weight, i) * u * u
	}
	t.Spread = math.Sqrt(t.Spread / d.total)
	return ctx.Err()
}
