package leaks

import (
	"cmp"
	"slices"
	"time"

	"propensity/datasets"
)

// judgedShare of the rows say what a column is worth that the others taught. A
// model's judges are fewer; here a column has little to learn, and what it is
// worth is to be known well.
const judgedShare = 0.4

// daysHours is how many times of day there are where moments are days: midnight
// somewhere, in summer and in winter.
const daysHours = 2

const day = int64(24 * time.Hour / time.Microsecond)

// sortMoments orders the rows by moment. Rows of one moment are in an order of
// their own, so that nothing of the file's order is in it.
func (c *court) sortMoments() {
	if c.Moments == nil {
		return
	}
	var hours []int64 // of the day
	c.byMoment = make([]int32, len(c.Moments))
	for i, m := range c.Moments {
		c.byMoment[i] = int32(i)
		if h := (m%day + day) % day; len(hours) <= daysHours && !slices.Contains(hours, h) {
			hours = append(hours, h)
		}
	}
	c.days = len(hours) <= daysHours
	slices.SortFunc(c.byMoment, func(i, j int32) int {
		return cmp.Or(cmp.Compare(c.Moments[i], c.Moments[j]), cmp.Compare(datasets.Mix(c.Seed^uint64(i)), datasets.Mix(c.Seed^uint64(j))))
	})
}

// split picks the rows that judge: the newest, the last of a file in the order of
// time, or those of some accounts. Horizons may overlap the cut: nothing that is
// kept learns from these rows.
func (c *court) split() {
	n := len(c.Label)
	cut := n - max(1, int(judgedShare*float64(n)))
	switch {
	case c.Moments != nil:
		from := c.Moments[c.byMoment[cut]] // all rows of a moment are on one side
		for k := cut; from == c.Moments[c.byMoment[0]] && k < n; k++ {
			from = c.Moments[c.byMoment[k]]
		}
		c.judge("later", func(i int) bool { return c.Moments[i] >= from })
	case c.InOrder:
		c.judge("later", func(i int) bool { return i >= cut })
	}
	if c.judges[0] > 0 && c.judges[1] > 0 && c.judges[0] < c.n[0] && c.judges[1] < c.n[1] {
		return
	}
	c.judge("held-out", func(i int) bool {
		if c.Group != nil {
			i = c.Group[i]
		}
		return float64(datasets.Mix(c.Seed^datasets.Mix(uint64(i)))>>11) < judgedShare*(1<<53)
	})
}

func (c *court) judge(name string, judges func(i int) bool) {
	c.later, c.judged, c.judges = name, make([]bool, len(c.Label)), [2]int{}
	for i, y := range c.Label {
		if judges(i) {
			c.judged[i] = true
			c.judges[int(y)]++
		}
	}
}
