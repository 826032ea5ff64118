package learnt

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"propensity/models"
	"propensity/models/evaluate"
)

const (
	// permutations is how often the values of a question are dealt anew.
	permutations = 3
	// permuted is how many questions are dealt anew, the largest by their Shapley
	// values first: in a wide table those beyond hardly move a score. They have a
	// Permutation of 0, and are not Worth.
	permuted = 50
)

// drivers measures how much each question matters: the mean size of the sum of
// its features' Shapley values (Lundberg et al. 2020, "From local explanations to
// global understanding with explainable AI for trees"), and how much the log loss
// rises when its columns are dealt anew among the rows, all by the same deal
// (Breiman 2001, "Random forests", section 10).
func (x *examiner) drivers(ctx context.Context, out *models.Learnt) error {
	n, width := x.rows.Rows(), len(x.rows.Features)
	x.size = make([]float64, width)
	if n == 0 || width == 0 {
		return nil
	}
	x.phi = make([]float64, n*width)
	const batch = 1024
	columns := make([][]float64, width)
	for first := 0; first < n; first += batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(first+batch, n)
		for j, col := range x.rows.Columns {
			columns[j] = col[first:end]
		}
		explainAll(x.Model, x.phi[first*width:end*width], end-first, columns)
	}
	for i, v := range x.phi {
		x.size[i%width] += math.Abs(v)
	}
	for j := range x.size {
		x.size[j] /= float64(n)
	}

	c := number(x.rows.Group, n)
	order := make([]int, len(x.questions))
	drivers := make([]models.Driver, len(x.questions))
	size := make([]float64, n)
	total := 0.0
	for q, of := range x.questions {
		order[q] = q
		for i := range size {
			size[i] = math.Abs(of.sum(x.phi[i*width:]))
		}
		d := &drivers[q]
		d.Question, d.SHAP = of.name, c.mean(size)
		d.SHAP.Low = max(d.SHAP.Low, 0)
		for _, j := range of.features {
			d.Features = append(d.Features, x.rows.Features[j].Name)
		}
		total += d.SHAP.Value
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(drivers[b].SHAP.Value, drivers[a].SHAP.Value) })
	p := x.newPermuter(c)
	for place, q := range order {
		d := &drivers[q]
		if total > 0 {
			d.Share = d.SHAP.Value / total
		}
		if place < permuted && d.SHAP.Value > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			d.Permutation = p.rise(x.questions[q], uint64(q))
			d.Worth = c.count > 1 && d.Permutation.Low > 0
		}
		out.Drivers = append(out.Drivers, *d)
	}
	return nil
}

// sum adds up what the features of a question give a row.
func (q question) sum(phi []float64) (sum float64) {
	for _, j := range q.features {
		sum += phi[j]
	}
	return sum
}

// permuter measures the rise of the log loss.
type permuter struct {
	*examiner
	clusters
	raw, loss []float64 // of the rows as they are
	dealt     []float64 // log-odds after a deal
	added     []float64 // what the question adds, if the model is additive
	rises     []float64
	columns   [][]float64
}

func (x *examiner) newPermuter(c clusters) *permuter {
	n := x.rows.Rows()
	p := &permuter{examiner: x, clusters: c,
		raw: make([]float64, n), loss: make([]float64, n), dealt: make([]float64, n), added: make([]float64, n), rises: make([]float64, n)}
	p.columns = slices.Clone(x.rows.Columns)
	rawAll(x.Model, p.raw, p.columns)
	for i, r := range p.raw {
		p.loss[i] = x.logLoss(x.rows.Label[i], r)
	}
	return p
}

// rise deals the columns of a question anew.
func (p *permuter) rise(q question, key uint64) evaluate.Interval {
	clear(p.rises)
	n := len(p.loss)
	for i := range p.added {
		p.added[i] = q.sum(p.phi[i*len(p.columns):])
	}
	for k := range permutations {
		deal := rand.New(rand.NewPCG(p.Seed, streamPermutation<<32+key*permutations+uint64(k))).Perm(n)
		if p.additive {
			for i, from := range deal {
				p.dealt[i] = p.raw[i] - p.added[i] + p.added[from]
			}
		} else {
			for _, j := range q.features {
				column := make([]float64, n)
				for i, from := range deal {
					column[i] = p.rows.Columns[j][from]
				}
				p.columns[j] = column
			}
			rawAll(p.Model, p.dealt, p.columns)
		}
		for i, r := range p.dealt {
			p.rises[i] += (p.logLoss(p.rows.Label[i], r) - p.loss[i]) / permutations
		}
	}
	for _, j := range q.features {
		p.columns[j] = p.rows.Columns[j]
	}
	return p.mean(p.rises)
}

// logLoss is that of the calibrated probability, clipped as evaluate does, so that
// one certain and wrong row does not make all the others immaterial.
func (x *examiner) logLoss(y, raw float64) float64 {
	const clip = 1e-6
	p := min(max(x.Calibration.Probability(raw), clip), 1-clip)
	if y == 1 {
		return -math.Log(p)
	}
	return -math.Log1p(-p)
}
