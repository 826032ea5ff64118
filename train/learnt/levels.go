package learnt

import (
	"cmp"
	"context"
	"math"
	"slices"

	"propensity/features"
)

// level is one level that has a coefficient of its own.
type level struct {
	feature, code int
	at            int // its coefficient
	rows          int
	accounts      int
	squares       float64 // rows by account, squared and summed

	estimate    float64
	information float64 // sum of p (1 - p) over its rows
	ratio       float64 // twice the log likelihood that it takes to be at the centre
	centre      map[int]float64
	logOdds     float64 // against the centre
	z, p        float64
}

// test is the regression with the levels that are looked at.
type test struct {
	regression
	clusters
	levels    []level
	byAccount []int   // the rows of each account together
	within    float64 // correlation of the residuals of two rows of an account, 0 or more
	slotOf    map[int]int
	expected  float64 // of the rarer outcome per row
}

// newTest is nil where there is nothing to test.
func (x *examiner) newTest(ctx context.Context, rows *features.Matrix, columns []int) (*test, error) {
	n := rows.Rows()
	t := &test{clusters: number(rows.Group, n), slotOf: map[int]int{}}
	t.label, t.weight, t.width = rows.Label, evened(rows.Weight), 1
	t.byAccount = make([]int, n)
	for i := range t.byAccount {
		t.byAccount[i] = i
	}
	slices.SortStableFunc(t.byAccount, func(a, b int) int { return cmp.Compare(t.of[a], t.of[b]) })
	positives := 0.0
	for _, y := range rows.Label {
		positives += y
	}
	rarer := min(positives, float64(n)-positives)
	t.expected = rarer / float64(n)
	if rarer < leastExpected || t.count < leastAccounts {
		return nil, nil
	}
	for _, j := range columns {
		xs, err := rows.Column(nil, j)
		if err != nil {
			return nil, err
		}
		t.list(j, rows.Features[j].Levels, xs)
	}
	if len(t.levels) > testedLevels {
		slices.SortStableFunc(t.levels, func(a, b level) int { return cmp.Compare(b.rows, a.rows) })
		t.levels = t.levels[:testedLevels]
		slices.SortStableFunc(t.levels, func(a, b level) int { return cmp.Compare(a.feature, b.feature) })
	}
	if len(t.levels) == 0 {
		return nil, nil
	}
	// The slots come in ascending order of their coefficients.
	var others []int
	for _, j := range x.byImportance() {
		if !slices.Contains(columns, j) && len(others) < adjustedColumns {
			others = append(others, j)
		}
	}
	slices.Sort(others)
	bends := 2
	if len(others) > 0 { // a coefficient for 20 of the rarer outcome, if that allows it
		bends = min(max(int(rarer/20)/len(others), 2), 6)
	}
	for _, j := range others {
		xs, err := rows.Column(nil, j)
		if err != nil {
			return nil, err
		}
		if k := rows.Features[j].Levels; k > 0 {
			t.categorySlot(j, k, xs)
		} else {
			t.numberSlot(xs, bends)
		}
	}
	score, err := x.without(ctx, rows, columns)
	if err != nil {
		return nil, err
	}
	if score != nil {
		t.numberSlot(score, 6)
	}
	for _, j := range columns {
		xs, err := rows.Column(nil, j)
		if err != nil {
			return nil, err
		}
		t.categorySlot(j, rows.Features[j].Levels, xs)
	}
	return t, ctx.Err()
}

// evened are weights with a mean of 1: what they are counted in does not matter.
func evened(weight []float64) []float64 {
	if weight == nil {
		return nil
	}
	out, largest := make([]float64, len(weight)), slices.Max(weight)
	for i, w := range weight {
		out[i] = w / largest // no sum of these overflows
	}
	middle := mean(out)
	for i := range out {
		out[i] /= middle
	}
	return out
}

// list lists the levels of a feature with enough rows, if three or more occur.
func (t *test) list(feature, levels int, xs []float64) {
	found := make([]level, levels)
	here := make([]int, levels) // rows of the account at hand
	occur := 0
	for first := 0; first < len(t.byAccount); {
		g, end := t.of[t.byAccount[first]], first
		for ; end < len(t.byAccount) && t.of[t.byAccount[end]] == g; end++ {
			if k, ok := code(xs[t.byAccount[end]], levels); ok {
				here[k]++
			}
		}
		for _, i := range t.byAccount[first:end] {
			if k, ok := code(xs[i], levels); ok && here[k] > 0 {
				l := &found[k]
				if l.rows == 0 {
					occur++
				}
				l.rows += here[k]
				l.accounts++
				l.squares += float64(here[k]) * float64(here[k])
				here[k] = 0
			}
		}
		first = end
	}
	for k, l := range found {
		if occur >= 3 && l.accounts >= leastAccounts && float64(l.rows)*t.expected >= leastExpected {
			l.feature, l.code = feature, k
			t.levels = append(t.levels, l)
		}
	}
}

// code is a value as a category's code; not ok: missing or unseen.
func code(v float64, levels int) (k int, ok bool) {
	if v >= 0 && v < float64(levels) {
		return int(v), true
	}
	return 0, false
}

// categorySlot gives each level listed a coefficient, the rest of the levels one
// together, and one to the missing values. A category of two levels or fewer is
// not listed: each of its levels has its own.
func (t *test) categorySlot(feature, levels int, xs []float64) {
	own := make([]int32, levels)
	rest, missing := int32(t.width), int32(t.width)+1
	t.width += 2
	for k := range own {
		own[k] = rest
		if levels < 3 {
			own[k] = int32(t.width)
			t.width++
		}
	}
	for k := range t.levels {
		if l := &t.levels[k]; l.feature == feature {
			l.at = t.width
			own[l.code] = int32(t.width)
			t.width++
		}
	}
	s := slot{first: make([]int32, len(xs))}
	for i, v := range xs {
		k, ok := code(v, levels)
		switch {
		case ok:
			s.first[i] = own[k]
		case math.IsNaN(v):
			s.first[i] = missing
		default:
			s.first[i] = rest
		}
	}
	t.slotOf[feature] = len(t.slots)
	t.slots = append(t.slots, s)
}
