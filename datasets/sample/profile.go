package sample

import (
	"math/rand/v2"

	"propensity/datasets"
)

// profile is what is settled about an account when it signs up. The categories
// are indices into the lists below.
type profile struct {
	country, size, industry, channel int
	answer                           answer
}

// answer is the form at sign-up. An account that gave none has answeredAt
// missing; what it would have said is true all the same.
type answer struct {
	answeredAt    int64
	role, useCase int
	teamSize      int
	heardFrom     int  // noise
	newsletter    bool // noise
}

var (
	countries  = [...]string{"US", "GB", "DE", "FR", "NL", "CA", "AU", "BR", "IN", "SE"}
	sizes      = [...]string{"1-10", "11-50", "51-200", "201-1000"}
	industries = [...]string{
		"software", "retail", "manufacturing", "logistics", "healthcare", "education", "construction",
		"hospitality", "legal", "accounting", "marketing", "media", "real_estate", "insurance", "banking",
		"energy", "agriculture", "nonprofit", "government", "telecom", "consulting", "recruiting",
		"architecture", "engineering", "automotive", "aerospace", "chemicals", "pharmaceuticals",
		"biotechnology", "medical_devices", "food", "beverages", "textiles", "fashion", "furniture",
		"electronics", "semiconductors", "machinery", "mining", "metals", "paper", "plastics", "printing",
		"publishing", "gaming", "film", "music", "sports", "travel", "airlines", "shipping", "warehousing",
		"utilities", "security", "veterinary",
	}
	// industryWeights are in proportion to how many accounts each industry has.
	industryWeights = [len(industries)]float64{
		16, 10, 7, 5, 6, 8, 4, 4, 3, 5, 10, 4, 3, 3, 3, 2, 2, 4, 5, 2, 2.5, 1.5,
		1, 1.5, 1, 0.3, 0.5, 0.6, 0.5, 0.7, 1.2, 0.4, 0.5, 0.8, 0.4,
		0.9, 0.3, 0.7, 0.3, 0.4, 0.3, 0.4, 0.4,
		0.5, 0.6, 0.3, 0.3, 0.5, 1.1, 0.3, 0.4, 0.4,
		0.4, 0.6, 0.3,
	}
	channels   = [...]string{"organic", "paid_search", "referral", "partner", "event", "outbound"}
	roles      = [...]string{"founder", "manager", "analyst", "engineer", "consultant", "student"}
	useCases   = [...]string{"reporting", "dashboards", "exports", "embedding", "evaluation"}
	heardFroms = [...]string{"colleague", "search", "podcast", "newsletter", "social", "conference", "other"}
)

// Indices that the simulation treats apart from the rest of their list.
const (
	software, retail, education, marketing, government = 0, 1, 5, 10, 18 // industries: the five that matter

	referral, partner = 2, 3 // channels
	reporting         = 0    // use cases
	manager, analyst  = 1, 2 // roles

	size1, size11, size51, size201 = 0, 1, 2, 3 // company sizes
)

func drawProfile(r *rand.Rand, signedUp int64) profile {
	p := profile{
		country:  choose(r, 30, 12, 14, 9, 5, 8, 5, 6, 7, 4),
		size:     choose(r, 45, 30, 17, 8),
		industry: choose(r, industryWeights[:]...),
		channel:  choose(r, sources(signedUp)...),
	}
	p.answer = answer{
		answeredAt: datasets.MissingTime,
		role:       choose(r, 14, 26, 24, 16, 10, 10),
		useCase:    choose(r, 30, 26, 16, 10, 18),
		teamSize:   typicalSeats[p.size]/2 + r.IntN(typicalSeats[p.size]+2),
		heardFrom:  r.IntN(len(heardFroms)),
		newsletter: chance(r, 0.4),
	}
	switch choose(r, 82, 8, 10) {
	case 0: // in the flow of signing up
		p.answer.answeredAt = instant(r, signedUp, signedUp+10*60*second)
	case 1: // when reminded
		p.answer.answeredAt = instant(r, signedUp, signedUp+12*day)
	}
	if p.answer.answeredAt >= historyEnd {
		p.answer.answeredAt = datasets.MissingTime
	}
	return p
}

// sources are in proportion to how many sign up through each channel.
func sources(signedUp int64) []float64 {
	if monthOf(signedUp) >= channelDrift {
		return []float64{32, 56, 12, 8, 8, 12}
	}
	return []float64{32, 28, 12, 8, 8, 12}
}

// typicalSeats of a company of each size.
var typicalSeats = [...]int{4, 9, 16, 29}
