package learnt

import (
	"cmp"
	"context"
	"math"
	"slices"

	"propensity/models"
	"propensity/models/tree"
)

const (
	pairFeatures = 8    // the most important ones are paired with each other
	leastSize    = 0.05 // of a pair that is told: 5 % of the odds
)

// pairs finds the features that act together beyond the sum of what each does, by
// the H-statistic (Friedman and Popescu 2008, "Predictive learning via rule
// ensembles", section 8.1): with partial dependences F centred over the rows,
//
//	H^2 = sum (F_jk - F_j - F_k)^2 / sum F_jk^2
//
// is the strength, and the root of the numerator's mean the size. A pair that no
// path of a tree asks for has neither, and costs nothing.
func (x *examiner) pairs(ctx context.Context, out *models.Learnt) error {
	e, trees := x.Model.(*tree.Ensemble)
	if !trees || x.rows.Rows() < 2 {
		return nil
	}
	top := x.byImportance()
	top = top[:min(len(top), pairFeatures)]
	meet := together(e)
	d := &dependence{model: x.Model}
	rows := x.rows.Take(sample(x.rows.Rows(), pairRows, x.Seed, streamPairs))
	d.columns, d.n = rows.Columns, rows.Rows()
	alone := make([][]float64, len(top))
	for a := range top {
		for b := a + 1; b < len(top); b++ {
			j, k := min(top[a], top[b]), max(top[a], top[b])
			if !meet[[2]int{j, k}] {
				continue
			}
			for _, f := range []int{a, b} {
				if alone[f] == nil {
					if err := ctx.Err(); err != nil {
						return err
					}
					alone[f] = d.of(top[f])
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			both := d.of(j, k)
			joint, all := 0.0, 0.0
			for i, f := range both {
				rest := f - alone[a][i] - alone[b][i]
				joint += rest * rest
				all += f * f
			}
			if size := math.Sqrt(joint / float64(d.n)); size >= leastSize {
				out.Pairs = append(out.Pairs, models.Pair{
					Features: [2]string{rows.Features[j].Name, rows.Features[k].Name},
					Strength: min(joint/all, 1), Size: size,
				})
			}
		}
	}
	slices.SortStableFunc(out.Pairs, func(a, b models.Pair) int { return cmp.Compare(b.Size, a.Size) })
	return nil
}

// dependence is the partial dependence of a model over rows, at the same rows.
type dependence struct {
	model   models.Model
	columns [][]float64
	n       int

	wide [][]float64 // the rows several times over, to score many at once
	raw  []float64
}

// pointsAtOnce is how many points are scored together, each with all rows.
const pointsAtOnce = 16

// of is the partial dependence on some features at every row, centred.
func (d *dependence) of(features ...int) []float64 {
	n := d.n
	if d.wide == nil {
		d.raw = make([]float64, n*pointsAtOnce)
		for _, col := range d.columns {
			d.wide = append(d.wide, slices.Repeat(col, pointsAtOnce))
		}
	}
	columns := slices.Clone(d.wide)
	for _, j := range features {
		columns[j] = make([]float64, len(d.raw))
	}
	out := make([]float64, n)
	for first := 0; first < n; first += pointsAtOnce {
		points := min(pointsAtOnce, n-first)
		for _, j := range features {
			for i := range points * n {
				columns[j][i] = d.columns[j][first+i/n]
			}
		}
		rawAll(d.model, d.raw[:points*n], columns)
		for i := range points {
			out[first+i] = mean(d.raw[i*n : (i+1)*n])
		}
	}
	middle := mean(out)
	for i := range out {
		out[i] -= middle
	}
	return out
}
