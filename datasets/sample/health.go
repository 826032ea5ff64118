package sample

import "math/rand/v2"

// health is the hidden state of a customer over one month. It moves from month
// to month as a Markov chain; usage follows it, and so do the hazards of leaving
// and of buying more.
type health uint8

const (
	growing health = iota
	steady
	fading   // usage shrinks from month to month
	troubled // tickets
	healths
)

// fullness says how many of the seats are in use; the second part of the state.
type fullness uint8

const (
	loose fullness = iota
	snug
	full
	fullnesses
)

// share of the seats whose users log in.
var seatShare = [fullnesses]float64{loose: 0.5, snug: 0.75, full: 1}

// healthMoves are the probabilities of the next month's health.
var healthMoves = [healths][healths]float64{
	growing:  {growing: 0.80, steady: 0.15, fading: 0.02, troubled: 0.03},
	steady:   {growing: 0.05, steady: 0.875, fading: 0.045, troubled: 0.03},
	fading:   {growing: 0.02, steady: 0.20, fading: 0.75, troubled: 0.03},
	troubled: {growing: 0.02, steady: 0.28, fading: 0.10, troubled: 0.60},
}

// fullnessMoves are the probabilities of the next month's fullness, given the
// next month's health.
var fullnessMoves = [healths][fullnesses][fullnesses]float64{
	growing:  {{0.55, 0.45, 0}, {0, 0.55, 0.45}, {0, 0, 1}},
	steady:   {{0.93, 0.07, 0}, {0.05, 0.88, 0.07}, {0, 0.10, 0.90}},
	fading:   {{1, 0, 0}, {0.40, 0.60, 0}, {0, 0.50, 0.50}},
	troubled: {{0.97, 0.03, 0}, {0.10, 0.87, 0.03}, {0, 0.15, 0.85}},
}

func nextHealth(r *rand.Rand, h health) health {
	return health(choose(r, healthMoves[h][:]...))
}

func nextFullness(r *rand.Rand, h health, f fullness) fullness {
	return fullness(choose(r, fullnessMoves[h][f][:]...))
}

// churnHazard is the probability that the customer leaves in a month, given that
// it is one at the start, and its health in that month. An annual contract can
// be left only on its anniversary.
func (c *customer) churnHazard(p *profile, h health, m int) float64 {
	z := -5.4
	switch h {
	case growing:
		z -= 1.2
	case fading:
		z += 3.3
	case troubled:
		z += 2.2
		if c.plan == starter { // the plan without support
			z += 0.8
		}
	}
	z += [...]float64{starter: 0.6, pro: 0, business: -0.9}[c.plan]
	z += [...]float64{0.3, 0, -0.2, -0.4}[p.size]
	if tenure := m - c.firstMonth; tenure >= 1 && tenure <= 3 { // months 2 to 4
		z += 0.7
		if p.channel != partner && p.channel != referral { // nobody to show them round
			z += 0.9
		}
	}
	switch p.industry {
	case software, marketing:
		z -= 0.4
	case retail:
		z += 0.8
	case education:
		z += 0.6
	case government:
		z -= 0.8
	}
	if c.annual {
		if _, due := c.renewal(m); !due {
			return 0
		}
		z += 2.4
	}
	return sigmoid(z)
}

// upsellHazard is the probability that a customer that stays adds seats in a
// month, given its state in that month.
func (c *customer) upsellHazard(p *profile, h health, f fullness, m int) float64 {
	z := -6.5
	switch h {
	case growing:
		z += 1.5
	case fading, troubled:
		z -= 1.3
	}
	switch f {
	case snug:
		z += 1.1
	case full:
		z += 2.9
		if h == growing {
			z += 0.9
		}
	}
	z += [...]float64{starter: -0.5, pro: 0.4, business: 0}[c.plan]
	z += [...]float64{-0.4, 0.1, 0.4, 0.6}[p.size]
	switch p.industry {
	case software:
		z += 0.6
	case government:
		z -= 0.8
	}
	if p.channel == partner {
		z += 0.5
	}
	if m-c.firstMonth < 3 {
		z -= 1.0
	}
	return sigmoid(z)
}

// state of a customer over a month.
type state struct {
	health   health
	fullness fullness
}

// chances gives the exact probabilities that a customer, in state s in the month
// before month m, leaves, and that it adds seats, within the n months from m on.
// They are worked out backwards, from the last month, over all states: in a month
// the state moves, then the customer leaves or stays, then adds seats or not.
func (c *customer) chances(p *profile, s state, m, n int) (churn, upsell float64) {
	type grid [healths][fullnesses]float64
	var leave, grow grid // from the end of the month looked at
	for at := m + n - 1; at >= m; at-- {
		for h := range healths {
			hazard := c.churnHazard(p, h, at)
			for f := range fullnesses {
				more := c.upsellHazard(p, h, f, at)
				leave[h][f] = hazard + (1-hazard)*leave[h][f]
				grow[h][f] = (1 - hazard) * (more + (1-more)*grow[h][f])
			}
		}
		var leaveBefore, growBefore grid
		for h := range healths {
			for f := range fullnesses {
				for h2, ph := range healthMoves[h] {
					for f2, pf := range fullnessMoves[h2][f] {
						leaveBefore[h][f] += ph * pf * leave[h2][f2]
						growBefore[h][f] += ph * pf * grow[h2][f2]
					}
				}
			}
		}
		leave, grow = leaveBefore, growBefore
	}
	return leave[s.health][s.fullness], grow[s.health][s.fullness]
}
