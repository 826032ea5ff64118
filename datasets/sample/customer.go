package sample

import (
	"math"
	"math/rand/v2"

	"propensity/datasets"
)

// customer is an account that bought: its contract and its life.
type customer struct {
	terms      []term // empty: never a customer
	plan       int
	annual     bool
	firstMonth int     // the first month that begins after the start
	states     []state // in the month before each month from firstMonth on, while active
}

// term is a stretch of a subscription with the same number of seats: active from
// start to before end, which is missing while it lasts.
type term struct {
	start, end int64
	seats      int
}

var plans = [...]string{"starter", "pro", "business"}

const starter, pro, business = 0, 1, 2

const year = 365 * day

// price of a seat and month.
func (c *customer) price() float64 {
	if c.annual {
		return [...]float64{16, 33, 67}[c.plan]
	}
	return [...]float64{19, 39, 79}[c.plan]
}

func (c *customer) mrr(seats int) float64 { return c.price() * float64(seats) }

// renewal is the anniversary of the contract that lies in a month, if any does.
func (c *customer) renewal(m int) (at int64, due bool) {
	at = c.nextRenewal(monthStart(m))
	return at, at < monthStart(m+1)
}

// nextRenewal is the first anniversary of the contract after an instant.
func (c *customer) nextRenewal(after int64) int64 {
	start := c.terms[0].start
	return start + ((after-start)/year+1)*year
}

func becomeCustomer(r *rand.Rand, p *profile, start int64) customer {
	var c customer
	switch p.size {
	case size1:
		c.plan = choose(r, 60, 35, 5)
	case size11:
		c.plan = choose(r, 35, 50, 15)
	default:
		c.plan = choose(r, 15, 50, 35)
	}
	c.annual = chance(r, 0.25)
	typical := typicalSeats[p.size]
	c.terms = []term{{start, datasets.MissingTime, 1 + typical/2 + r.IntN(typical)}}
	c.firstMonth = int((start-historyStart)/month) + 1
	return c
}

// live draws the months of a customer until it leaves or the history ends.
func (a *account) live(r *rand.Rand, log *eventLog) {
	c := &a.customer
	s := state{
		health:   health(choose(r, 0.25, 0.6, 0, 0.15)),
		fullness: fullness(choose(r, 0.4, 0.4, 0.2)),
	}
	usual := math.Exp(0.35 * r.NormFloat64())
	level := usual
	c.use(r, log, s, level, usual, c.terms[0].start, min(monthStart(c.firstMonth), historyEnd))
	for m := c.firstMonth; m < months; m++ {
		c.states = append(c.states, s)
		s.health = nextHealth(r, s.health)
		s.fullness = nextFullness(r, s.health, s.fullness)
		switch s.health {
		case growing:
			level = min(1.15*level, 3*usual)
		case steady:
			level = usual * math.Pow(level/usual, 0.8)
		case fading:
			level = max(0.42*level, 0.04*usual)
		case troubled:
			level *= 0.93
		}
		now := &c.terms[len(c.terms)-1]
		if chance(r, c.churnHazard(&a.profile, s.health, m)) {
			now.end = instant(r, monthStart(m), monthStart(m+1))
			if c.annual {
				now.end, _ = c.renewal(m)
			}
			c.use(r, log, s, level, usual, monthStart(m), now.end)
			return
		}
		c.use(r, log, s, level, usual, monthStart(m), monthStart(m+1))
		if chance(r, c.upsellHazard(&a.profile, s.health, s.fullness, m)) {
			now.end = instant(r, monthStart(m), monthStart(m+1))
			more := int(math.Ceil(float64(now.seats) * (0.15 + 0.45*r.Float64())))
			c.terms = append(c.terms, term{now.end, datasets.MissingTime, now.seats + more})
			s.fullness = loose
		}
	}
}

// use draws the events of a stretch of time in one state. Those who use the tool
// during a month are users of the seats there were when it began, fewer when the
// level of use is below the usual; each logs in at least about once a month.
func (c *customer) use(r *rand.Rand, log *eventLog, s state, level, usual float64, from, to int64) {
	seats := float64(c.terms[len(c.terms)-1].seats)
	users := max(1, int(math.Round(seatShare[s.fullness]*seats*min(1, level/usual))))
	for u := range users {
		if chance(r, float64(to-from)/float64(month)) {
			log.add(login, u, from+second*r.Int64N((to-from)/second))
		}
	}
	rate := level * (0.35 + 0.04*seatShare[s.fullness]*seats)
	log.during(r, login, rate, users, from, to)
	log.during(r, report, 0.3*rate, users, from, to)
	log.during(r, export, 0.1*rate, users, from, to)
	invites, tickets := 0.02, 0.012
	switch s.health {
	case growing:
		invites = 0.14
	case troubled:
		tickets = 0.15
	}
	log.during(r, invite, invites, users, from, to)
	log.during(r, integration, 0.005, users, from, to)
	log.during(r, ticket, tickets, users, from, to)
}
