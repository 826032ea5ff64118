package learnt

import (
	"context"
	"math"
	"slices"

	"propensity/features"
	"propensity/models"
	"propensity/models/tree"
)

const (
	shapesShown = 12 // features, the most important first
	numberKnots = 25 // values of a number, at quantiles from its least to its greatest
	levelsShown = 20 // levels of a category, the most frequent ones
)

// shapes draws the partial dependence of the features that matter most: every row
// takes the same value of the feature in turn, and the predictions are averaged.
// Where no two features of the model act together it is the same curve for every
// row, and the Shapley value of the feature gives it exactly, centred by the
// training rows.
func (x *examiner) shapes(ctx context.Context, out *models.Learnt) error {
	if x.rows.Rows() == 0 {
		return nil
	}
	rows := sample(x.rows.Rows(), shapeRows, x.Seed, streamShapes)
	of := x.rows.Take(rows)
	d := &depender{examiner: x, rows: rows, columns: of.Columns, raw: make([]float64, len(rows))}
	rawAll(x.Model, d.raw, d.columns)
	for place, j := range x.byImportance() {
		if place == shapesShown || x.size[j] == 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s := models.Shape{Feature: of.Features[j].Name, Exact: x.additive, Points: x.points(j)}
		d.fill(s.Points, j)
		out.Shapes = append(out.Shapes, s)
	}
	return nil
}

// points are the values that a feature is looked at, with the rows that have each;
// of a number, those nearest to it.
func (x *examiner) points(j int) []models.ShapePoint {
	xs := x.rows.Columns[j]
	var out []models.ShapePoint
	missing := 0
	if f := x.rows.Features[j]; f.Levels > 0 {
		out, missing = x.levelPoints(j, f, xs)
	} else {
		out, missing = numberPoints(xs)
	}
	if missing > 0 {
		out = append(out, models.ShapePoint{Missing: true, Rows: missing})
	}
	return out
}

// levelPoints are in the order of the codes.
func (x *examiner) levelPoints(j int, f features.Feature, xs []float64) (out []models.ShapePoint, missing int) {
	counts := make([]int, f.Levels)
	for _, v := range xs {
		if k, ok := code(v, f.Levels); ok {
			counts[k]++
		} else if math.IsNaN(v) {
			missing++
		}
	}
	order := make([]int, 0, f.Levels)
	for k, n := range counts {
		if n > 0 {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return counts[b] - counts[a] })
	order = order[:min(len(order), levelsShown)]
	slices.Sort(order)
	for _, k := range order {
		out = append(out, models.ShapePoint{X: float64(k), Level: x.level(j, k), Rows: counts[k]})
	}
	return out, missing
}

func numberPoints(xs []float64) (out []models.ShapePoint, missing int) {
	known := slices.DeleteFunc(slices.Clone(xs), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	for _, v := range xs {
		if math.IsNaN(v) {
			missing++
		}
	}
	if len(known) == 0 {
		return nil, missing
	}
	slices.Sort(known)
	distinct := slices.Compact(slices.Clone(known))
	if len(distinct) > numberKnots {
		distinct = distinct[:0]
		for k := range numberKnots {
			distinct = append(distinct, known[int(math.Round(float64(k)/(numberKnots-1)*float64(len(known)-1)))])
		}
		distinct = slices.Compact(distinct)
	}
	for _, v := range distinct {
		out = append(out, models.ShapePoint{X: v})
	}
	at := 0
	for _, v := range known {
		for at+1 < len(out) && out[at+1].X-v < v-out[at].X {
			at++
		}
		out[at].Rows++
	}
	return out, missing
}

// depender says what the model makes of one value in many rows.
type depender struct {
	*examiner
	rows    []int // of the rows looked at
	columns [][]float64
	raw     []float64
}

// fill says it at the points of feature j.
func (d *depender) fill(points []models.ShapePoint, j int) {
	width := len(d.columns)
	overall := mean(d.raw)
	columns, then, same := slices.Clone(d.columns), make([]float64, len(d.raw)), make([]float64, len(d.raw))
	columns[j] = same
	row, phi := make([]float64, width), make([]float64, width)
	for k := range points {
		p := &points[k]
		v := p.X
		if p.Missing {
			v = math.NaN()
		}
		if d.additive {
			row[j] = v
			d.Model.Explain(phi, row)
			p.LogOdds = phi[j]
			for i, r := range d.rows {
				then[i] = d.raw[i] - d.phi[r*width+j] + phi[j]
			}
		} else {
			for i := range same {
				same[i] = v
			}
			rawAll(d.Model, then, columns)
			p.LogOdds = mean(then) - overall
		}
		for i, r := range then {
			then[i] = d.Calibration.Probability(r)
		}
		p.Probability = mean(then)
	}
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// interacts says that some tree of the model asks for two features on one path:
// without one the model is a sum of functions of one feature each.
func interacts(m models.Model) bool {
	e, ok := m.(*tree.Ensemble)
	return ok && len(together(e)) > 0
}

// together are the pairs of features that some path of a tree asks for, the lower
// one first.
func together(e *tree.Ensemble) map[[2]int]bool {
	out := map[[2]int]bool{}
	for i := range e.Trees() {
		nodes := e.Tree(i)
		above := make([][]int, len(nodes)) // features asked on the way to a node
		for k, n := range nodes {
			if n.Feature < 0 {
				continue
			}
			way := above[k]
			for _, a := range way {
				if a != n.Feature {
					out[[2]int{min(a, n.Feature), max(a, n.Feature)}] = true
				}
			}
			if !slices.Contains(way, n.Feature) {
				way = append(slices.Clone(way), n.Feature)
			}
			above[n.Yes], above[n.No] = way, way
		}
	}
	return out
}
