package sample

import (
	"math"
	"math/rand/v2"
	"sort"
)

// form is what an account said of itself at its sign-up.
type form struct {
	industry, size, channel, country, useCase, heardFrom, device int

	role                  int     // -1 where it was not given
	team                  float64 // NaN where it was not given
	newsletter, workEmail bool
}

// usage is the first week of an account.
type usage struct {
	logins, reports, invites, tickets float64

	minutes     float64 // NaN where it was not measured
	integration bool
}

var devices = [...]string{"desktop", "laptop", "phone", "tablet"}

const phone = 2

// What the truth must know of how the form is filled.
var (
	sizeShares    = [len(sizes)]float64{0.45, 0.30, 0.17, 0.08}
	channelShares = [len(channels)]float64{0.32, 0.28, 0.12, 0.08, 0.08, 0.12}
	roleShares    = [len(roles)]float64{0.14, 0.26, 0.24, 0.16, 0.10, 0.10} // of those given
)

const (
	roleGiven        = 0.9
	teamGiven        = 0.75
	workEmailShare   = 0.65
	integrationShare = 0.28
)

// signUpLaws are the distributions of the numbers of a sign-up.
type signUpLaws struct {
	logins, reports, invites, tickets counts
	team                              [len(sizes)]counts // by company size
	teamMean, teamSpread              float64            // over all sizes
}

func newSignUpLaws() *signUpLaws {
	l := &signUpLaws{
		logins:  newCounts(0.12, 0.4, 6, 60),
		reports: newCounts(0.35, 0.8, 8, 60),
		invites: newCounts(0.55, 1.6, 12, 60),
		tickets: newCounts(0.75, 1.8, 12, 60),
	}
	square := 0.0
	for k, scale := range [...]float64{4, 12, 30, 80} {
		c := newCounts(0, 0.3, scale, 400)
		l.team[k] = c
		l.teamMean += sizeShares[k] * c.mean
		square += sizeShares[k] * (c.spread*c.spread + c.mean*c.mean)
	}
	l.teamSpread = math.Sqrt(square - l.teamMean*l.teamMean)
	return l
}

func (l *signUpLaws) drawForm(r *rand.Rand) form {
	f := form{
		industry: choose(r, industryWeights[:]...),
		size:     choose(r, sizeShares[:]...),
		channel:  choose(r, channelShares[:]...),
		country:  choose(r, 30, 12, 14, 9, 5, 8, 5, 6, 7, 4),
		useCase:  choose(r, 30, 26, 16, 10, 18),
		device:   choose(r, 35, 40, 20, 5),
		role:     choose(r, roleShares[:]...),

		heardFrom:  r.IntN(len(heardFroms)),
		newsletter: chance(r, 0.4),
		workEmail:  chance(r, workEmailShare),
	}
	f.team = l.team[f.size].quantile(r.Float64())
	if !chance(r, roleGiven) {
		f.role = -1
	}
	if !chance(r, teamGiven) {
		f.team = math.NaN()
	}
	return f
}

// drawUsage draws the first week: a Gaussian copula of one factor, the drive.
func (l *signUpLaws) drawUsage(r *rand.Rand, device int) usage {
	drive := r.NormFloat64()
	normal := func(share float64) float64 { // share of the variance is the drive's
		return math.Sqrt(share)*drive + math.Sqrt(1-share)*r.NormFloat64()
	}
	u := usage{
		logins:      l.logins.quantile(below(normal(0.5))),
		reports:     l.reports.quantile(below(normal(0.4))),
		invites:     l.invites.quantile(below(normal(0.2))),
		tickets:     l.tickets.quantile(below(normal(0.1))),
		minutes:     math.Round(10*math.Exp(3.4+normal(0.6))) / 10,
		integration: below(normal(0.2)) > 1-integrationShare,
	}
	missing := 0.05
	if device == phone {
		missing = 0.35
	}
	if chance(r, missing) {
		u.minutes = math.NaN()
	}
	return u
}

// below is the probability that a standard normal is below z.
func below(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// counts is the distribution of a count.
type counts struct {
	cumulative   []float64 // probability of at most 0, 1, 2 ...
	mean, spread float64   // spread is the standard deviation
}

// newCounts gives 0 the probability zero and the counts k from 1 to most the rest, in
// proportion to k^-power exp(-k/scale).
func newCounts(zero, power, scale float64, most int) counts {
	weights, sum := make([]float64, most+1), 0.0
	for k := 1; k <= most; k++ {
		weights[k] = math.Pow(float64(k), -power) * math.Exp(-float64(k)/scale)
		sum += weights[k]
	}
	c := counts{cumulative: make([]float64, most+1)}
	so, square := zero, 0.0
	c.cumulative[0] = zero
	for k := 1; k <= most; k++ {
		p := (1 - zero) * weights[k] / sum
		so += p
		c.cumulative[k] = so
		c.mean += p * float64(k)
		square += p * float64(k*k)
	}
	c.spread = math.Sqrt(square - c.mean*c.mean)
	return c
}

// quantile is the least count whose cumulative probability is u or more.
func (c *counts) quantile(u float64) float64 {
	return float64(min(sort.SearchFloat64s(c.cumulative, u), len(c.cumulative)-1))
}

// atLeast is the probability of k and more.
func (c *counts) atLeast(k int) float64 { return 1 - c.cumulative[k-1] }

// standard is x in standard deviations from the mean.
func (c *counts) standard(x float64) float64 { return (x - c.mean) / c.spread }
