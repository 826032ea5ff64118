package sample

import "math"

// The truth of SignUps: what adds how much to the log-odds; of numbers, a standard
// deviation.
const (
	loginsEffect      = 0.60
	reportsEffect     = 0.25
	invitesEffect     = 0.35
	ticketsEffect     = -0.25
	teamEffect        = 0.25
	teamMissingEffect = -0.35
	integrationEffect = 0.60
	workEmailEffect   = 0.45
	roleMissingEffect = -0.30
)

var (
	sizeEffects     = [len(sizes)]float64{-0.30, 0, 0.30, 0.20}
	channelEffects  = [len(channels)]float64{0, -0.45, 0.55, 0.45, 0.20, -0.25}
	roleEffects     = [len(roles)]float64{0.40, 0.30, 0, 0, 0, -1.00}
	industryEffects = [len(industries)]float64{software: 0.95, marketing: 0.95, retail: 1.05, education: -1.15, government: -1.25}
)

// The intercepts make one in five convert. The weight of the interactions makes
// their part of the variance what it is said to be.
const (
	linearIntercept      = -2.20
	interactingIntercept = -2.29
	interactionWeight    = 0.388
	interactionShare     = 0.25
)

// logOdds that a sign-up converts, given what its row shows.
func (l *signUpLaws) logOdds(f *form, u *usage, interacting bool) float64 {
	if interacting {
		return interactingIntercept + l.additive(f, u) + interactionWeight*l.interactions(f, u)
	}
	return linearIntercept + l.additive(f, u)
}

// additive is a sum of terms of one column each.
func (l *signUpLaws) additive(f *form, u *usage) float64 {
	z := loginsEffect*l.logins.standard(u.logins) + reportsEffect*l.reports.standard(u.reports) +
		invitesEffect*l.invites.standard(u.invites) + ticketsEffect*l.tickets.standard(u.tickets)
	if math.IsNaN(f.team) {
		z += teamMissingEffect
	} else {
		z += teamEffect * (f.team - l.teamMean) / l.teamSpread
	}
	if u.integration {
		z += integrationEffect
	}
	if f.workEmail {
		z += workEmailEffect
	}
	if f.role < 0 {
		z += roleMissingEffect
	} else {
		z += roleEffects[f.role]
	}
	return z + sizeEffects[f.size] + channelEffects[f.channel] + industryEffects[f.industry]
}

// effects lists the terms of additive.
func (l *signUpLaws) effects() []SignUpEffect {
	out := []SignUpEffect{
		{Column: "logins_7d", LogOdds: loginsEffect / l.logins.spread},
		{Column: "reports_7d", LogOdds: reportsEffect / l.reports.spread},
		{Column: "invites_7d", LogOdds: invitesEffect / l.invites.spread},
		{Column: "tickets_7d", LogOdds: ticketsEffect / l.tickets.spread},
		{Column: "team_size", LogOdds: teamEffect / l.teamSpread},
		{Column: "team_size", Missing: true, LogOdds: teamMissingEffect},
		{Column: "integration_connected", LogOdds: integrationEffect},
		{Column: "work_email", LogOdds: workEmailEffect},
		{Column: "role", Missing: true, LogOdds: roleMissingEffect},
	}
	for _, c := range []struct {
		column  string
		levels  []string
		effects []float64
	}{
		{"company_size", sizes[:], sizeEffects[:]}, {"channel", channels[:], channelEffects[:]},
		{"role", roles[:], roleEffects[:]}, {"industry", industries[:], industryEffects[:]},
	} {
		for k, x := range c.effects {
			if x != 0 {
				out = append(out, SignUpEffect{Column: c.column, Level: c.levels[k], LogOdds: x})
			}
		}
	}
	return out
}

// interactions is a sum of products of variance 1, uncorrelated with each other
// and with every function of one column.
func (l *signUpLaws) interactions(f *form, u *usage) float64 {
	return indicator(u.logins >= 5, l.logins.atLeast(5))*indicator(f.workEmail, workEmailShare) +
		indicator(u.integration, integrationShare)*indicator(f.size >= size51, sizeShares[size51]+sizeShares[size201]) +
		indicator(u.reports >= 2, l.reports.atLeast(2))*indicator(f.role == manager || f.role == analyst, roleGiven*(roleShares[manager]+roleShares[analyst])) +
		indicator(u.invites >= 1, l.invites.atLeast(1))*indicator(f.channel == referral || f.channel == partner, channelShares[referral]+channelShares[partner])
}

// indicator of something of probability p, with mean 0 and variance 1.
func indicator(is bool, p float64) float64 {
	x := -p
	if is {
		x++
	}
	return x / math.Sqrt(p*(1-p))
}
