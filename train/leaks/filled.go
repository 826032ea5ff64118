package leaks

import (
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/evaluate"
)

const (
	filledGap    = 0.2   // between the classes, in the share of filled rows
	onlyRate     = 0.99  // of the rows with a value, that have one outcome: the value is for that class
	onlySurely   = 0.9   // beyond doubt
	onlyCoverage = 0.1   // of that class, that have the value
	onlyAbove    = 0.1   // by how much onlySurely is above the class's share of all rows
	ageCut       = 0.2   // of the rows of a class, the newest
	ageFall      = 0.5   // of the older rows' share of filled ones: the newest have no more
	openRows     = 20    // with an outcome to come, below which they say nothing
	openFall     = 0.25  // of the share of filled rows among the known: the open have no more
	afterShare   = 0.005 // of the dates, after the moment, from which a column is no slip of a clock
)

// only gives the class that a column has values for, and for that alone; -1 if there
// is none. Rows are those that have a value, or those that have none.
func (c *court) only(rows [2]int) int {
	all := float64(rows[0] + rows[1])
	for y := range 2 {
		n, of := float64(rows[y]), float64(c.n[y])
		base := of / float64(len(c.Label))
		if all > 0 && n >= onlyRate*all && n >= onlyCoverage*of {
			if low := wilsonLow(n*c.each, all*c.each, c.z); low >= onlySurely && low >= base+onlyAbove {
				return y
			}
		}
	}
	return -1
}

// filledFor finds a column that is filled, or missing, by outcome.
func (c *court) filledFor(f *finding) {
	missing := [2]int{c.n[0] - f.filled[0], c.n[1] - f.filled[1]}
	if missing[0]+missing[1] == 0 {
		return
	}
	gap := c.gap(f.filled, c.n, normal)
	detail := fmt.Sprintf("it is filled in %s of the positive rows and %s of the others", percent(float64(f.filled[1])/float64(c.n[1])), percent(float64(f.filled[0])/float64(c.n[0])))
	weight := 0.0
	if y := c.only(f.filled); y >= 0 {
		weight = 3
		detail += fmt.Sprintf(": a value goes with a %s outcome", outcome(y))
	} else if y := c.only(missing); y >= 0 {
		weight = 3
		detail += fmt.Sprintf(": a missing value goes with a %s outcome", outcome(y))
	} else if apart(c.gap(f.filled, c.n, c.z)) {
		weight = 1
	} else {
		return
	}
	f.add(weight+math.Abs(gap.Value), models.Evidence{Kind: FilledForOneClass, Detail: detail, Figure: &gap})
}

// gap is the difference of two shares, the second's less the first's, with the
// interval of Newcombe (1998, method 10), z standard errors to each side.
func (c *court) gap(k, of [2]int, z float64) evaluate.Interval {
	var share, low, high [2]float64
	for y := range 2 {
		n := float64(of[y])
		share[y] = float64(k[y]) / n
		low[y] = wilsonLow(share[y]*n*c.each, n*c.each, z)
		high[y] = 1 - wilsonLow((1-share[y])*n*c.each, n*c.each, z)
	}
	d := share[1] - share[0]
	return evaluate.Interval{
		Value: d,
		Low:   d - math.Hypot(share[1]-low[1], high[0]-share[0]),
		High:  d + math.Hypot(high[1]-share[1], share[0]-low[0]),
	}
}

// apart says that a gap between the classes is wide, beyond doubt not a narrow one.
func apart(g evaluate.Interval) bool {
	return math.Abs(g.Value) >= filledGap && max(g.Low, -g.High) >= filledGap/2
}

// dated finds dates after the moment of their row. Where all moments are days, what
// came that day may have been known.
func (c *court) dated(f *finding, times []int64) {
	if c.Moments == nil {
		return
	}
	grace := int64(1)
	if c.days {
		grace = day
	}
	var filled, after int
	var later []int64
	for i, t := range times {
		if t == datasets.MissingTime {
			continue
		}
		filled++
		if t-c.Moments[i] >= grace {
			after++
			later = append(later, t-c.Moments[i])
		}
	}
	if after == 0 || wilsonLow(float64(after)*c.each, float64(filled)*c.each, c.z) < afterShare {
		return
	}
	slices.Sort(later)
	share := float64(after) / float64(filled)
	e := models.Evidence{
		Kind:   DatedAfter,
		Detail: fmt.Sprintf("%d of its %d dates (%s) are after the moment of their row, half of them by %s or more", after, filled, percent(share), span(later[len(later)/2])),
		Figure: estimate{share, proportionSE(float64(after), float64(filled)*c.each, float64(filled))}.interval(0, 1),
	}
	if planned(f.name) {
		e.Detail += "; by its name it is a plan: make sure that it was made before"
		f.add(0.5, e)
		return
	}
	f.prove(e)
}

func span(us int64) string {
	hours := float64(us) / float64(day/24)
	switch {
	case hours >= 48:
		return fmt.Sprintf("%.0f days", math.Floor(hours/24))
	case hours >= 2:
		return fmt.Sprintf("%.0f hours", math.Floor(hours))
	default:
		return fmt.Sprintf("%.0f minutes", math.Floor(hours*60))
	}
}

// filledLate finds a column that gets its value only once the outcome is known: rows
// whose outcome is open have none, or the newest of the class that it is filled for
// have fewer than the older.
func (c *court) filledLate(f *finding, b binned) error {
	y := c.only(f.filled)
	known := f.filled[0] + f.filled[1]
	share := float64(known) / float64(len(c.Label))
	if c.Open != nil && (y >= 0 || apart(c.gap(f.filled, c.n, c.z))) {
		column, err := c.Open(f.name)
		if err != nil {
			return fmt.Errorf("column %q: %w", f.name, err)
		}
		open, filled := column.Len(), 0
		for i := range open {
			if !column.At(i).Missing() {
				filled++
			}
		}
		// The share of open rows with a value, at most.
		most := 1 - wilsonLow(float64(open-filled)*c.each, float64(open)*c.each, c.z)
		if open >= openRows && most <= openFall*share {
			e := models.Evidence{Kind: FilledAfterOutcome, Detail: fmt.Sprintf("it is filled in %s of the rows whose outcome is known and in %d of the %d rows whose outcome is still open", percent(share), filled, open)}
			if y >= 0 {
				f.prove(e)
			} else {
				f.add(3, e)
			}
			return nil
		}
	}
	if y < 0 || c.byMoment == nil {
		return nil
	}
	// By age, in the class that has values: the older rows, then the newest.
	var rows, filled [2]int
	newest := c.n[y] - int(ageCut*float64(c.n[y]))
	at := 0
	for _, i := range c.byMoment {
		if int(c.Label[i]) != y {
			continue
		}
		part := 0
		if at >= newest {
			part = 1
		}
		at++
		rows[part]++
		if b.of[i] > 0 {
			filled[part]++
		}
	}
	if rows[0] == 0 || rows[1] == 0 {
		return nil
	}
	fall := c.gap(filled, rows, normal)
	older, newer := float64(filled[0])/float64(rows[0]), float64(filled[1])/float64(rows[1])
	if newer <= ageFall*older && c.gap(filled, rows, c.z).High < 0 {
		f.prove(models.Evidence{
			Kind:   FilledAfterOutcome,
			Detail: fmt.Sprintf("only %s rows have a value, %s of the older and %s of the newest fifth of them: it is filled in once the outcome is known", outcome(y), percent(older), percent(newer)),
			Figure: &fall,
		})
	}
	return nil
}
