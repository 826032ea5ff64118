package leaks

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"propensity/models"
	"propensity/models/evaluate"
)

const (
	aloneArea   = 0.9 // beyond doubt: no honest column of the tables that we know reaches 0.8
	leastArea   = 0.7 // of a column that ranks better than all others together
	leastOthers = 4   // columns that it is compared with
	mostRivals  = 5   // columns that are compared
)

// compare finds columns that rank as no honest one does: in absolute terms, or
// better than all others together. Those are the sums of the others' scores, as
// naive Bayes has them; columns that are proven or tell too much are not among
// them, for a leak would hide behind another.
func (c *court) compare(ctx context.Context) error {
	rivals, fair := []int{}, 0
	for j := range c.findings {
		f := &c.findings[j]
		if !f.area.known() {
			continue
		}
		if f.area.low(c.z) >= aloneArea {
			f.leader = true
		}
		if f.leader || f.proven {
			if err := c.without(ctx, j, c.total); err != nil {
				return err
			}
			f.leader = true
			continue
		}
		fair++
		if f.area.low(c.z) >= leastArea {
			rivals = append(rivals, j)
		}
	}
	label := make([]float64, 0, len(c.total))
	for i, y := range c.Label {
		if c.judged[i] {
			label = append(label, y)
		}
	}
	area := func(sums []int64) float64 {
		score := make([]float64, len(sums))
		for i, v := range sums {
			score[i] = float64(v)
		}
		return evaluate.ROCAUC(label, score)
	}
	all := area(c.total)
	for j := range c.findings {
		if f := &c.findings[j]; f.leader && f.area.low(c.z) >= aloneArea {
			c.alone(f, 3, all, fair)
		}
	}
	slices.SortStableFunc(rivals, func(i, j int) int { return cmp.Compare(c.findings[j].area.value, c.findings[i].area.value) })
	for _, j := range rivals[:min(len(rivals), mostRivals)] {
		if fair-1 < leastOthers {
			break
		}
		sums := slices.Clone(c.total)
		if err := c.without(ctx, j, sums); err != nil {
			return err
		}
		if others := area(sums); c.findings[j].area.low(c.z) > others {
			c.alone(&c.findings[j], 2, others, fair-1)
		}
	}
	return nil
}

// alone tells how a column ranks by itself, and how so many others do together.
func (c *court) alone(f *finding, weight, others float64, columns int) {
	e := c.ownArea(f)
	if columns >= leastOthers && !math.IsNaN(others) {
		e.Detail += fmt.Sprintf("; the sum of the scores of %d other columns reaches %.3f", columns, others)
	}
	f.add(weight+f.area.value, e)
}

func (c *court) ownArea(f *finding) models.Evidence {
	detail := fmt.Sprintf("by itself it ranks the outcome of %d %s rows with a ROC AUC of %.3f", len(c.total), c.later, f.area.value)
	return models.Evidence{Kind: Alone, Detail: detail, Figure: f.area.interval(0, 1)}
}

// without takes the scores of column j out of sums.
func (c *court) without(ctx context.Context, j int, sums []int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	column, err := c.column(c.Names[j])
	if err != nil {
		return err
	}
	c.addScores(sums, c.bin(&column), c.findings[j].score, -1)
	return nil
}
