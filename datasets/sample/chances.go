package sample

// chances gives the exact probabilities of the labels of a customer as of the start
// of the k-th entry of lived, which it lived to see: that it leaves before the
// instant until, at most four months on, and that it then pays more than it does now.
// What is settled by then are the states of the month before and the arm of the
// outreach in the month that begins.
func (c *customer) chances(w *world, p *profile, k int, until int64) (churn, upsell float64) {
	return c.chancesIn(w, p, k, until, c.lived[k].arm)
}

// chancesIn are the chances if the arm of the month that begins were another.
//
// They are worked out backwards, from the last month, over all states. In a month
// health and fullness move; then the customer leaves or stays; then, if its seats
// have not changed in the quiet months before, it adds some, or else gives some
// back, or neither. Of the last month only the share before until counts: when in a
// month something happens does not depend on anything but an anniversary.
func (c *customer) chancesIn(w *world, p *profile, k int, until int64, a arm) (churn, upsell float64) {
	const rests, treatments = quietMonths + 1, 2
	before := c.lived[k].before
	m := c.firstMonth - 1 + k
	last := m
	for monthStart(last+1) < until {
		last++
	}
	seats := c.lived[k].seats
	// By health, fullness, rest and treatment: of leaving from a month on, and of
	// paying more at the end for one that does not yet.
	var leave [healths][treatments]float64
	var grow [healths][fullnesses][rests][treatments]float64
	for at := last; at >= m; at-- {
		share := 1.0
		if until < monthStart(at+1) {
			share = secondsBefore(at, until)
		}
		leaving := share
		if anniversary, due := c.renewal(at); c.annual && due {
			leaving = 0
			if anniversary < until {
				leaving = 1
			}
		}
		var leaveIn [healths][treatments]float64
		var growIn [healths][fullnesses][rests][treatments]float64
		for h := range healths {
			for t := range treatments {
				hazard := c.churnHazard(p, h, at, armOf(t))
				leaveIn[h][t] = hazard*leaving + (1-hazard*leaving)*leave[h][t]
				for f := range fullnesses {
					more := c.upsellHazard(p, h, f, at)
					less := (1 - more) * contractionHazard(h, seats)
					growIn[h][f][0][t] = (1 - hazard) * (more*share*(1-leave[h][t]) + (1-more-less)*grow[h][f][0][t])
					for rest := 1; rest < rests; rest++ {
						growIn[h][f][rest][t] = (1 - hazard) * grow[h][f][rest-1][t]
					}
				}
			}
		}
		if at == m {
			shock := 0.0
			if before.affected {
				shock = outageShock
			}
			t := treatment(a)
			for h := range healths {
				ph := moves(before.health, h, shock)
				churn += ph * leaveIn[h][t]
				for f, pf := range fullnessMoves[h][before.fullness] {
					upsell += ph * pf * growIn[h][f][before.rest][t]
				}
			}
			return churn, upsell
		}
		shock := 0.0
		if w.outage(at-1) != nil {
			shock = outageShare * outageShock
		}
		leave, grow = [healths][treatments]float64{}, [healths][fullnesses][rests][treatments]float64{}
		for t := range treatments {
			into := [treatments]float64{}
			into[t] = 1
			if campaign(at) {
				into = [treatments]float64{1 - outreachShare/2, outreachShare / 2}
			}
			for t2, pt := range into {
				if pt == 0 {
					continue
				}
				for h := range healths {
					for h2 := range healths {
						ph := pt * moves(h, h2, shock)
						leave[h][t] += ph * leaveIn[h2][t2]
						for f := range fullnesses {
							for f2, pf := range fullnessMoves[h2][f] {
								if pf == 0 {
									continue
								}
								for rest := range rests {
									grow[h][f][rest][t] += ph * pf * growIn[h2][f2][rest][t2]
								}
							}
						}
					}
				}
			}
		}
	}
	return churn, upsell
}

// moves is the probability of the next month's health where an outage troubles so
// many.
func moves(from, to health, shock float64) float64 {
	p := (1 - shock) * healthMoves[from][to]
	if to == troubled {
		p += shock
	}
	return p
}

// secondsBefore is the probability that an instant drawn off midnight in a month lies
// before another, which is a midnight.
func secondsBefore(m int, until int64) float64 {
	start := monthStart(m)
	return float64((until-start)/second) / float64((monthStart(m+1)-start)/second-1)
}

func treatment(a arm) int {
	if a == treated {
		return 1
	}
	return 0
}

func armOf(treatment int) arm {
	if treatment == 1 {
		return treated
	}
	return none
}
