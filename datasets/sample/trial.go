package sample

import (
	"math"
	"math/rand/v2"

	"propensity/datasets"
)

// trial is the first two weeks of an account.
type trial struct {
	convertedAt      int64   // datasets.MissingTime if never
	conversionChance float64 // as of the moment, within the horizon
}

const (
	trialLength       = 14 * day
	conversionAfter   = 7 * day // the moment, after sign-up
	conversionHorizon = 14 * day
)

// facts of the first week that the decision to buy depends on.
type firstWeek struct {
	logins, late  int // in 7 days, in the last 2 of them
	invites       int
	integrations  int
	ticketsOpened int
	reports       int
}

// runTrial draws the usage of a trial, then, from the first week of it, whether
// and when the account buys.
func runTrial(r *rand.Rand, p *profile, signedUp int64, log *eventLog) trial {
	moment := signedUp + conversionAfter
	drive := r.NormFloat64()
	rate := 0.9 * math.Exp(0.7*drive)
	kept := 1.0
	if chance(r, 0.4) {
		kept = 0.15 // lost interest after some days
	}
	users := 1 + r.IntN(2+typicalSeats[p.size]/4)
	lost := signedUp + 5*day
	log.add(login, 0, signedUp)
	use := func(rate float64, from, to int64) {
		log.during(r, login, rate, users, from, to)
		log.during(r, report, 0.6*rate, users, from, to)
		log.during(r, invite, 0.10*rate, users, from, to)
		log.during(r, integration, 0.07*rate, users, from, to)
		log.during(r, ticket, 0.06, users, from, to)
	}
	use(rate, signedUp, lost)
	use(rate*kept, lost, moment)

	t := trial{
		convertedAt:      datasets.MissingTime,
		conversionChance: sigmoid(conversionLogit(p, weekBefore(log.events, moment))),
	}
	end := signedUp + trialLength
	if chance(r, t.conversionChance) {
		if chance(r, 0.5) { // as the trial ends
			t.convertedAt = instant(r, end-day, end+day)
		} else {
			t.convertedAt = instant(r, moment, moment+conversionHorizon)
		}
		if t.convertedAt%day == 0 { // not on the border of a month
			t.convertedAt -= second
		}
		end = min(end, t.convertedAt)
	}
	use(rate*kept, moment, end)
	return t
}

func weekBefore(events []event, moment int64) firstWeek {
	var w firstWeek
	for _, e := range events {
		switch e.kind {
		case login:
			w.logins++
			if e.occurred >= moment-2*day {
				w.late++
			}
		case invite:
			w.invites++
		case integration:
			w.integrations++
		case ticket:
			w.ticketsOpened++
		case report:
			w.reports++
		}
	}
	return w
}

// conversionLogit is the log-odds to buy within the horizon: linear parts, five
// industries out of 55, and interactions.
func conversionLogit(p *profile, w firstWeek) float64 {
	z := -4.1
	z += 0.5*math.Log1p(float64(w.logins)) + 0.4*math.Log1p(float64(w.late)) + 0.2*math.Log1p(float64(w.reports))
	z += 0.45 * float64(min(w.invites, 3))
	if w.integrations > 0 {
		z += 0.6
		if w.invites > 0 { // a team at work on its own data
			z += 0.8
		}
	}
	if w.ticketsOpened > 0 {
		if w.logins >= 5 { // they ask because they mean it
			z += 0.4
		} else {
			z -= 0.7
		}
	}
	z += [...]float64{-0.3, 0.2, 0.4, 0.1}[p.size]
	z += [...]float64{0, -0.45, 0.55, 0.5, 0.2, -0.2}[p.channel]
	z += [...]float64{0.4, 0.35, 0, 0, 0.1, -1.8}[p.answer.role]
	z += [...]float64{0.3, 0.1, 0, 0.2, -0.6}[p.answer.useCase]
	if p.answer.teamSize >= 8 && p.answer.useCase == reporting {
		z += 0.6
	}
	switch p.industry {
	case software, marketing:
		z += 0.5
	case education, government:
		z -= 0.7
	case retail:
		z += 0.25
	}
	return z
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
