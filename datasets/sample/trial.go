package sample

import (
	"math"
	"math/rand/v2"

	"propensity/datasets"
)

// trial is the first two weeks of an account.
type trial struct {
	convertedAt      int64 // datasets.MissingTime if never
	trialEnd         int64
	conversionChance float64 // as of the moment, within the horizon
	aha              bool
	events, logins   int // page views apart
}

const (
	trialLength       = 14 * day
	conversionAfter   = 7 * day // the moment, after sign-up
	conversionHorizon = 14 * day
	onboardingSteps   = 5
)

// facts of the first week that the decision to buy depends on.
type firstWeek struct {
	logins, late  int // in 7 days, in the last 2 of them
	invites       int
	integrations  int
	ticketsOpened int
	reports       int
	steps         int // of the onboarding
}

// The aha: in the first week so many colleagues are invited and a source of data is
// connected.
const ahaInvites = 3

func (w *firstWeek) aha() bool { return w.invites >= ahaInvites && w.integrations > 0 }

// runTrial draws the usage of a trial, then, from the first week of it, whether
// and when the account buys. The invited who come use the tool as well, and invite
// others.
func runTrial(r *rand.Rand, w *world, p *profile, signedUp int64, log *eventLog) trial {
	moment := signedUp + conversionAfter
	rate := 0.8 * math.Exp(0.7*r.NormFloat64())
	fades, kept := int64(trialLength/day), 1.0
	switch choose(r, 0.5, 0.3, 0.2) {
	case 1: // lost interest
		fades, kept = 5, 0.15
	case 2: // stalled in the onboarding
		fades, kept = 1+int64(r.IntN(2)), 0.2
	}
	users, steps, stepped := 1, 0, signedUp
	log.add(login, 0, signedUp)
	for d := range int64(trialLength / day) {
		from := signedUp + d*day
		if from == moment {
			break
		}
		now := rate * (0.8 + 0.2*float64(users))
		if d >= fades {
			now *= kept
		}
		log.during(r, login, now, users, from, from+day)
		log.during(r, report, 0.6*now, users, from, from+day)
		log.during(r, integration, 0.09*now, users, from, from+day)
		log.during(r, ticket, 0.06, users, from, from+day)
		for range log.during(r, invite, 0.3*now, users, from, from+day) {
			if users < typicalSeats[p.size] && chance(r, 0.6) {
				users++
			}
		}
		for steps < onboardingSteps && chance(r, min(0.9, 0.7*now)) {
			steps++
			stepped = max(from, stepped)
			stepped += second * r.Int64N((from+day-stepped)/second)
			log.add(onboarding, 0, stepped)
			log.events[len(log.events)-1].quantity = int32(steps)
		}
	}
	week := weekBefore(log.events, moment)
	z := conversionLogit(p, week)
	if monthOf(signedUp) >= baseDrift {
		z += conversionDrift
	}
	t := trial{
		convertedAt:      datasets.MissingTime,
		conversionChance: sigmoid(z),
		aha:              week.aha(),
	}
	t.trialEnd = signedUp + trialLength
	if chance(r, t.conversionChance) {
		if chance(r, 0.5) { // as the trial ends
			t.convertedAt = instant(r, t.trialEnd-day, t.trialEnd+day)
		} else {
			t.convertedAt = instant(r, moment, moment+conversionHorizon)
		}
		t.convertedAt = offMidnight(t.convertedAt)
		t.trialEnd = min(t.trialEnd, t.convertedAt)
	}
	if fades < conversionAfter/day {
		rate *= kept
	}
	log.during(r, login, rate, users, moment, t.trialEnd)
	log.during(r, report, 0.6*rate, users, moment, t.trialEnd)
	log.during(r, integration, 0.09*rate, users, moment, t.trialEnd)
	log.during(r, ticket, 0.06, users, moment, t.trialEnd)
	log.during(r, invite, 0.3*rate, users, moment, t.trialEnd)
	t.events = len(log.events)
	for _, e := range log.events {
		if e.kind == login {
			t.logins++
		}
	}
	log.during(r, pageView, w.pageViews*float64(t.logins*int(day))/float64(t.trialEnd-signedUp), users, signedUp, t.trialEnd)
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
		case onboarding:
			w.steps++
		}
	}
	return w
}

// ahaEffect is what the aha adds to the log-odds to buy.
const ahaEffect = 1.3

// conversionLogit is the log-odds to buy within the horizon: linear parts, five
// industries out of 55, and interactions.
func conversionLogit(p *profile, w firstWeek) float64 {
	z := -3.95
	z += 0.4*math.Log1p(float64(w.logins)) + 0.4*math.Log1p(float64(w.late)) + 0.2*math.Log1p(float64(w.reports))
	z += 0.2*float64(min(w.invites, 3)) + 0.1*float64(w.steps)
	if w.integrations > 0 {
		z += 0.3
	}
	if w.aha() { // a team at work on its own data
		z += ahaEffect
	}
	if w.ticketsOpened > 0 {
		if w.logins >= 5 { // they ask because they mean it
			z += 0.4
		} else {
			z -= 0.7
		}
	}
	z += [...]float64{-0.3, 0.2, 0.4, 0.1}[p.size]
	z += channelPull[p.channel]
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

// channelPull are what channels add to the log-odds to buy.
var channelPull = [...]float64{0, -0.45, 0.55, 0.5, 0.2, -0.2}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
