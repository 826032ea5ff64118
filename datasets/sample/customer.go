package sample

import (
	"math"
	"math/rand/v2"

	"propensity/datasets"
)

// customer is an account from when it buys until it leaves: its contract and its
// life.
type customer struct {
	terms      []term
	plan       int
	annual     bool
	firstMonth int     // the first month that begins after the start
	usual      float64 // level of use
	// lived are the stretch before firstMonth and the months from then on, while
	// active.
	lived []lived
}

// term is a stretch of a subscription with the same number of seats: active from
// start to before end, which is missing while it lasts.
type term struct {
	start, end int64
	seats      int
}

// lived is a month of a customer.
type lived struct {
	before   prospect // as the month began
	health   health   // in it
	fullness fullness
	arm      arm
	level    float64
	seats    int  // when it began
	affected bool // by an outage of it
}

// prospect is what a month leaves behind for those that follow.
type prospect struct {
	health   health
	fullness fullness
	rest     uint8 // months to come in which the seats cannot change
	affected bool  // by an outage
}

// quietMonths after a change of seats there is no other: within a horizon there is
// one at most.
const quietMonths = 3

var plans = [...]string{"starter", "pro", "business"}

const starter, pro, business = 0, 1, 2

// price of a seat and month.
func (c *customer) price() float64 {
	if c.annual {
		return [...]float64{16, 33, 67}[c.plan]
	}
	return [...]float64{19, 39, 79}[c.plan]
}

func (c *customer) mrr(seats int) float64 { return c.price() * float64(seats) }

func (c *customer) start() int64 { return c.terms[0].start }

// end is when it left, missing if it has not.
func (c *customer) end() int64 { return c.terms[len(c.terms)-1].end }

// until is the end, or that of the history.
func (c *customer) until() int64 {
	if end := c.end(); end != datasets.MissingTime {
		return end
	}
	return historyEnd
}

// renewal is the anniversary of the contract that lies in a month, if any does.
func (c *customer) renewal(m int) (at int64, due bool) {
	at = c.nextRenewal(monthStart(m))
	return at, at < monthStart(m+1)
}

// nextRenewal is the first anniversary of the contract after an instant.
func (c *customer) nextRenewal(after int64) int64 {
	return c.start() + ((after-c.start())/year+1)*year
}

// stretch is the part of the k-th entry of lived in which it was a customer.
func (c *customer) stretch(k int) (from, to int64) {
	m := c.firstMonth - 1 + k
	return max(c.start(), monthStart(m)), min(c.until(), monthStart(m+1))
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
	c.firstMonth = monthOf(start) + 1
	return c
}

// live draws the months of a customer until it leaves or the history ends.
func (c *customer) live(r *rand.Rand, w *world, p *profile) {
	s := prospect{
		health:   health(choose(r, 0.25, 0.6, 0, 0.15)),
		fullness: fullness(choose(r, 0.4, 0.4, 0.2)),
	}
	c.usual = math.Exp(0.35 * r.NormFloat64())
	level, arm := c.usual, none
	c.lived = []lived{{health: s.health, fullness: s.fullness, level: level, seats: c.terms[0].seats}}
	for m := c.firstMonth; m < months; m++ {
		last := &c.terms[len(c.terms)-1]
		now := lived{before: s, seats: last.seats}
		now.health = nextHealth(r, s.health, s.affected)
		now.fullness = nextFullness(r, now.health, s.fullness)
		if campaign(m) {
			arm = none
			if len(c.lived) >= 2 {
				arm = drawArm(r)
			}
		}
		switch now.health {
		case growing:
			level = min(1.15*level, 3*c.usual)
		case steady:
			level = c.usual * math.Pow(level/c.usual, 0.8)
		case fading:
			level = max(0.42*level, 0.04*c.usual)
		case troubled:
			level *= 0.93
		}
		now.arm, now.level = arm, level
		now.affected = w.outage(m) != nil && chance(r, outageShare)
		c.lived = append(c.lived, now)
		if chance(r, c.churnHazard(p, now.health, m, arm)) {
			last.end = offMidnight(instant(r, monthStart(m), monthStart(m+1)))
			if c.annual {
				last.end, _ = c.renewal(m)
			}
			return
		}
		quiet := s.rest > 0
		s = prospect{now.health, now.fullness, max(s.rest, 1) - 1, now.affected}
		if quiet {
			continue
		}
		more := 0
		if chance(r, c.upsellHazard(p, now.health, now.fullness, m)) {
			more = int(math.Ceil(float64(last.seats) * (0.15 + 0.45*r.Float64())))
		} else if chance(r, contractionHazard(now.health, last.seats)) {
			more = -int(math.Ceil(float64(last.seats) * (0.15 + 0.25*r.Float64())))
		}
		if more != 0 {
			last.end = offMidnight(instant(r, monthStart(m), monthStart(m+1)))
			c.terms = append(c.terms, term{last.end, datasets.MissingTime, last.seats + more})
			s.fullness, s.rest = loose, quietMonths
		}
	}
}

// use draws the events of the k-th entry of lived. Those who use the tool during a
// month are users of the seats there were when it began, fewer when the level of
// use is below the usual; each logs in at least about once a month.
func (c *customer) use(r *rand.Rand, w *world, k int, log *eventLog) {
	from, to := c.stretch(k)
	if to-from < second {
		return
	}
	s := &c.lived[k]
	users := c.users(s)
	for u := range users {
		if chance(r, float64(to-from)/float64(month)) {
			log.add(login, u, from+second*r.Int64N((to-from)/second))
		}
	}
	rate := c.loginRate(s)
	log.during(r, login, rate, users, from, to)
	log.during(r, report, reportsALogin*rate, users, from, to)
	log.during(r, export, exportsALogin*rate, users, from, to)
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
	if o := w.outage(c.firstMonth - 1 + k); o != nil && s.affected {
		down, up := max(from, o.start), min(to, o.end)
		if down < up {
			log.during(r, errorSeen, 3*float64(day)/float64(o.end-o.start), users, down, up)
			if chance(r, 0.35) {
				log.add(ticket, r.IntN(users), down+second*r.Int64N((up-down)/second))
			}
		}
	}
	log.during(r, pageView, w.pageViews*rate, users, from, to)
}

func (c *customer) users(s *lived) int {
	return max(1, int(math.Round(seatShare[s.fullness]*float64(s.seats)*min(1, s.level/c.usual))))
}

// loginRate is the mean of logins a day.
func (c *customer) loginRate(s *lived) float64 {
	return s.level * (0.35 + 0.04*seatShare[s.fullness]*float64(s.seats))
}

const reportsALogin, exportsALogin = 0.3, 0.1
