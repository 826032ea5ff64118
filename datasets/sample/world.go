package sample

import "math/rand/v2"

// world is what holds for the whole company and is settled before its history
// begins: it has no part in the chances of one account against another.
type world struct {
	seed    uint64
	outages []outage
	// pageViews is how many page views there are for a login; they tell nothing that
	// logins do not.
	pageViews float64
}

// outage is a time at which the service did not work.
type outage struct{ start, end int64 }

const (
	outages = 8 // one in each four months, from the fourth month on
	// outageShare of the customers are affected: they see errors, may open a ticket,
	// and in the next month outageShock of them are troubled who would not have been.
	outageShare, outageShock = 0.6, 0.3
)

func newWorld(seed uint64) world {
	w := world{seed: seed}
	r := streamFor(seed, 0, forMonth)
	for k := range outages {
		m := 3 + 4*k + r.IntN(4)
		noon := monthStart(m) + int64(1+r.IntN(26))*day + 12*60*60*second
		start := noon + second*(r.Int64N(8*60*60)-4*60*60)
		w.outages = append(w.outages, outage{start, start + second*(90*60+r.Int64N(6*60*60))})
	}
	return w
}

// outage of a month, nil if it has none.
func (w *world) outage(m int) *outage {
	if k := (m - 3) / 4; m >= 3 && k < len(w.outages) && monthOf(w.outages[k].start) == m {
		return &w.outages[k]
	}
	return nil
}

// What changes from a month on. Channels: paid search brings more sign-ups. Tracking:
// the event report_viewed is called report_opened. Base rates: fewer buy, more leave.
const (
	channelDrift  = 24 // 2025-04-01
	trackingDrift = 27 // 2025-07-01
	baseDrift     = 30 // 2025-10-01

	conversionDrift, churnDrift = -0.2, 0.2 // log-odds
)

// arm of the outreach to a customer over three months.
type arm uint8

const (
	none arm = iota
	control
	treated
)

var arms = [...]string{"", "control", "treated"}

// campaign says whether outreach begins with a month: from the thirteenth on, every
// third. Its customers are drawn on the day before, among those of a month and more,
// and a fair coin says whom to call; what a call does lasts until the next campaign.
func campaign(m int) bool { return m >= 12 && m%3 == 0 }

// outreachShare of the customers are drawn.
const outreachShare = 0.5

func drawArm(r *rand.Rand) arm {
	if !chance(r, outreachShare) {
		return none
	}
	if chance(r, 0.5) {
		return treated
	}
	return control
}

// outreachEffect is what a call adds to the log-odds to leave in a month. It helps
// those in trouble; those who are content it reminds of the bill.
var outreachEffect = [healths]float64{growing: 0.4, steady: -0.1, fading: -1.0, troubled: -1.4}
