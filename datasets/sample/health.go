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

// nextHealth draws the next month's health; an outage that affected the customer
// troubles some.
func nextHealth(r *rand.Rand, h health, affected bool) health {
	if affected && chance(r, outageShock) {
		return troubled
	}
	return health(choose(r, healthMoves[h][:]...))
}

func nextFullness(r *rand.Rand, h health, f fullness) fullness {
	return fullness(choose(r, fullnessMoves[h][f][:]...))
}

// keyPeriod is what the second to the fourth month of a contract add to the log-odds
// to leave in it, unguided what they add besides for those who came by themselves.
const keyPeriod, unguided = 0.7, 0.9

// churnHazard is the probability that the customer leaves in a month, given that
// it is one at the start, and its health in that month. An annual contract can
// be left only on its anniversary.
func (c *customer) churnHazard(p *profile, h health, m int, a arm) float64 {
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
		z += keyPeriod
		if p.channel != partner && p.channel != referral { // nobody to show them round
			z += unguided
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
	if m >= baseDrift {
		z += churnDrift
	}
	if a == treated {
		z += outreachEffect[h]
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

// contractionHazard is the probability that a customer that neither leaves nor adds
// seats gives some back in a month.
func contractionHazard(h health, seats int) float64 {
	if seats < 3 {
		return 0
	}
	return [healths]float64{growing: 0.001, steady: 0.004, fading: 0.06, troubled: 0.03}[h]
}
