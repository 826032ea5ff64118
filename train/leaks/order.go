package leaks

import (
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/models"
)

const (
	// orderKappa is how far neighbours of the file agree beyond chance, and beyond
	// neighbours in time, where the order is no drift of the base rate: on a table
	// whose rate goes from 6 to 31 % in the order of time it is 0.24.
	orderKappa    = 0.5
	serialShare   = 0.95 // of the rows, with a whole number of their own
	serialRows    = 50
	serialDense   = 4    // times as many numbers between the least and the greatest
	serialSteady  = 0.98 // of neighbours of the file, or in time, in ascending or descending order
	serialArea    = 0.55 // beyond doubt
	orderSuspects = 3    // weight of what follows an order that tells
)

// neighbours is how far rows that follow each other, of different accounts, agree
// in their label beyond chance (Cohen's kappa); n is how many pairs there are.
func (c *court) neighbours(at func(k int) int) (kappa estimate, same, chance float64, n int) {
	agree := 0
	for k := 1; k < len(c.Label); k++ {
		i, j := at(k-1), at(k)
		if c.Group != nil && c.Group[i] == c.Group[j] {
			continue
		}
		n++
		if c.Label[i] == c.Label[j] {
			agree++
		}
	}
	p := float64(c.n[1]) / float64(len(c.Label))
	chance = p*p + (1-p)*(1-p)
	if n == 0 {
		return estimate{0, 1}, 0, chance, 0
	}
	same = float64(agree) / float64(n)
	// By chance, pairs are nearly independent.
	se := math.Sqrt(chance*(1-chance)/(float64(n)*c.each)) / (1 - chance)
	return estimate{(same - chance) / (1 - chance), se}, same, chance, n
}

// rowOrder finds a file whose order gives the label away: sorted by it, or dealt
// turn by turn. A base rate that drifts with time is no such order.
func (c *court) rowOrder() {
	kappa, same, chance, n := c.neighbours(func(k int) int { return k })
	of := "rows of the file have the outcome of the row"
	accounts, grouped := c.byAccount()
	if grouped {
		// Where one account ends and the next begins, the last row of a history is
		// beside the first of another: such pairs differ without any leak.
		if accounts.n[0] == 0 || accounts.n[1] == 0 {
			return
		}
		kappa, same, chance, n = accounts.neighbours(func(k int) int { return k })
		of = "accounts of the file, one after the other, have the outcome of the account"
	}
	beyond, size := 0.0, math.Abs(kappa.value)
	if c.byMoment != nil && !grouped {
		intime, _, _, _ := c.neighbours(func(k int) int { return int(c.byMoment[k]) })
		beyond = math.Abs(intime.value)
	}
	if n < serialRows || size-beyond < orderKappa || size-beyond-c.z*kappa.se <= orderKappa/2 {
		return
	}
	f := finding{scan: scan{name: RowOrder}}
	f.add(orderSuspects, models.Evidence{
		Kind:   Order,
		Detail: fmt.Sprintf("%s of the %s before; by chance %s would: the file is sorted or dealt by outcome", percent(same), of, percent(chance)),
		Figure: kappa.interval(-1, 1),
	})
	for j := range c.findings {
		if o := &c.findings[j]; o.follows {
			o.add(orderSuspects, models.Evidence{Kind: Order, Detail: "it goes up or down row by row in the file, whose order gives the outcome away"})
		}
	}
	c.findings = append(c.findings, f)
}

// byAccount makes one row of each account, positive if any of its rows is, of a file
// whose rows stand account by account.
func (c *court) byAccount() (*court, bool) {
	if c.Group == nil {
		return nil, false
	}
	seen, last := make([]bool, len(c.Label)), -1
	out := &court{each: 1}
	for k, g := range c.Group {
		if g != last {
			if seen[g] {
				return nil, false
			}
			seen[g], last = true, g
			out.Label = append(out.Label, 0)
		}
		if c.Label[k] == 1 {
			out.Label[len(out.Label)-1] = 1
		}
	}
	for _, y := range out.Label {
		out.n[int(y)]++
	}
	return out, len(out.Label) < len(c.Label)
}

// serial finds a number that nothing was measured by, such as an id, and that ranks
// the label all the same: it knows when or in what order the row was made.
func (c *court) serial(f *finding, column *datasets.Column) {
	if column.Kind != datasets.Number {
		return
	}
	f.follows = steady(column.Numbers, func(k int) int { return k })
	if len(c.Label) < serialRows || c.accounts < serialRows {
		return
	}
	numbers := make([]float64, 0, len(column.Numbers))
	for _, x := range column.Numbers {
		if x != math.Trunc(x) { // NaN too
			return
		}
		numbers = append(numbers, x)
	}
	inTime := c.byMoment != nil && steady(column.Numbers, func(k int) int { return int(c.byMoment[k]) })
	slices.Sort(numbers)
	distinct := len(slices.Compact(slices.Clone(numbers)))
	dense := numbers[len(numbers)-1]-numbers[0] <= serialDense*float64(len(numbers))
	if float64(distinct) < serialShare*float64(len(numbers)) || !(dense || inTime || f.follows) {
		return
	}
	if !f.area.known() || f.area.low(c.z) < serialArea {
		return
	}
	f.add(2, models.Evidence{
		Kind:   Order,
		Detail: fmt.Sprintf("it numbers the rows (%d different whole numbers) and yet ranks the outcome of %s rows with a ROC AUC of %.3f: it tells when or in what order they were made", distinct, c.later, f.area.value),
		Figure: f.area.interval(0, 1),
	})
}

// steady says that numbers go one way in an order of the rows, with few exceptions.
func steady(x []float64, at func(k int) int) bool {
	up, down := 0, 0
	for k := 1; k < len(x); k++ {
		switch a, b := x[at(k-1)], x[at(k)]; {
		case a < b:
			up++
		case a > b:
			down++
		}
	}
	return float64(max(up, down)) >= serialSteady*float64(len(x)-1) && len(x) >= serialRows
}
