package gbdt

import (
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features"
)

// Weights outside of these are no weights: sums, squares and ratios of all
// others, of any number of rows, stay finite.
const (
	lightest = 1e-90
	heaviest = 1e90
)

// weightsOf are the weights of the rows of all matrices, one matrix after another.
// They are nil where every row counts 1.
func weightsOf(matrices []*features.Matrix) ([]float64, error) {
	rows, weighted := 0, false
	for _, m := range matrices {
		rows += m.Rows()
		if m.Weight == nil {
			continue
		}
		if len(m.Weight) != m.Rows() {
			return nil, fmt.Errorf("%w: %d weights for %d rows", ErrMatrix, len(m.Weight), m.Rows())
		}
		for i, w := range m.Weight {
			if !(w >= lightest && w <= heaviest) {
				return nil, &ValueError{"weight", i, w, fmt.Sprintf("a number above 0, from %v to %v", lightest, heaviest)}
			}
			weighted = weighted || w != 1
		}
	}
	if !weighted {
		return nil, nil
	}
	out := make([]float64, 0, rows)
	for _, m := range matrices {
		if m.Weight != nil {
			out = append(out, m.Weight...)
			continue
		}
		for range m.Rows() {
			out = append(out, 1)
		}
	}
	return out, nil
}

// totalWeight is the weight of the given rows, their number where they have none.
func totalWeight(rows []int32, weight []float64) float64 {
	if weight == nil {
		return float64(len(rows))
	}
	total := 0.0
	for _, r := range rows {
		total += weight[r]
	}
	return total
}

// uneven says whether the rows to learn from have weights other than 1.
func (b *booster) uneven() bool {
	return b.weight != nil && slices.ContainsFunc(b.train, func(r int32) bool { return b.weight[r] != 1 })
}

// weigh readies a booster for rows of weights. The numbers in a word are in
// units of the heaviest row: what a split gains is then told as if all weights
// were multiplied by wider and divided by the heaviest, and what is compared with
// it or added to a hessian is made to match. The values of the leaves are the same.
//
// Rounding by chance keeps sums right in the mean. Where p is from 1 to 99 %, it adds
// less than a hundredth to the variance that they have anyway while the heaviest
// row weighs no more than 1,000 times the root of the mean square of the weights.
func (b *booster) weigh() {
	most := 0.0
	for _, r := range b.train {
		most = max(most, b.weight[r])
	}
	b.unit = wider / most
	o := b.Options
	for _, x := range []*float64{&o.L2, &o.MinGain, &o.MinHessian, &o.CategorySmooth, &o.CategoryL2} {
		*x *= b.unit
	}
	b.grower.Options, b.grower.wide, b.grower.weight = &o, true, b.weight
}

// fillWide is fillWords for rows of weights.
func (b *booster) fillWide(key uint64) {
	g := &b.grower
	chunks(g.crew, len(g.sample), func(_, from, to int) {
		words := g.words[from:to]
		for k, r := range g.sample[from:to] {
			p := b.sigmoid.at(b.raw[r])
			draw := datasets.Mix(key + uint64(r))
			units := float64(b.weight[r]*b.unit) * gradientUnits
			// wider x gradientUnits more than the gradient is not negative, so that
			// cutting off rounds down.
			g := float64((p-b.label[r])*units) + wider*gradientUnits + float64(float64(draw>>32)*0x1p-32)
			h := float64(float64(p*(1-p))*4*units) + float64(float64(draw&math.MaxUint32)*0x1p-32)
			words[k] = wideWord(int64(g)-wider*gradientUnits, int64(h))
		}
	})
}

// weightOf is the weight of the rows of a leaf.
func (g *grower) weightOf(rows span) float64 {
	if g.weight == nil {
		return float64(rows.len())
	}
	total := 0.0
	for _, k := range g.rows[rows.start:rows.end] {
		total += g.weight[g.sample[k]]
	}
	return total
}
