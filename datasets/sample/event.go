package sample

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// kind of an event.
type kind uint8

const (
	login kind = iota
	report
	export
	invite
	integration
	onboarding // quantity is the step, 1 to 5
	errorSeen
	pageView
	ticket       // of the help desk: a table of its own
	reportOpened // report, as it is called from the month trackingDrift on
)

var kinds = [...]string{"login", "report_viewed", "export_made", "user_invited", "integration_connected",
	"onboarding_step", "error_seen", "page_viewed", "ticket_opened", "report_opened"}

// event is one delivery of one thing that a user of an account did.
type event struct {
	occurred, received int64
	account            int32 // index
	user               int32 // within the account
	number             int32 // within account and month
	quantity           int32 // rows exported, seconds viewed, onboarding step; else 0
	month              uint8
	kind               kind
	again              bool // delivered before: a repetition, or a correction of its quantity
}

// eventLog collects events of one account, in any order.
type eventLog struct {
	events []event
}

// during adds a Poisson process: events of one kind at a mean rate per day, each
// by one of so many users. The interval is [from, to). It says how many came.
func (l *eventLog) during(r *rand.Rand, k kind, perDay float64, users int, from, to int64) (n int) {
	if perDay <= 0 {
		return 0
	}
	gap := float64(day) / perDay
	for at := float64(from) + r.ExpFloat64()*gap; at < float64(to); at += r.ExpFloat64() * gap {
		l.add(k, r.IntN(users), int64(at)/second*second)
		n++
	}
	return n
}

func (l *eventLog) add(k kind, user int, at int64) {
	l.events = append(l.events, event{kind: k, user: int32(user), occurred: at})
}

// Shares of events.
const (
	lateShare       = 0.02  // from a device that was offline, about a day
	repeatedShare   = 0.003 // delivered twice
	correctedShare  = 0.01  // of exports: delivered again, with the same id and another quantity
	typicalDelay    = 20 * second
	correctionDelay = 3 * day // at most
)

// deliver numbers the events of an account's month in order of occurrence and lets
// each arrive, some of them again.
func (l *eventLog) deliver(r *rand.Rand, account, m int) []event {
	slices.SortStableFunc(l.events, func(a, b event) int { return cmp.Compare(a.occurred, b.occurred) })
	first := len(l.events)
	for i := range first {
		e := &l.events[i]
		e.account, e.month, e.number = int32(account), uint8(m), int32(i+1)
		if e.kind == ticket { // seen as it is opened
			e.received = e.occurred
			continue
		}
		if e.kind == report && m >= trackingDrift {
			e.kind = reportOpened
		}
		if e.kind == export || e.kind == report || e.kind == reportOpened {
			e.quantity = 1 + int32(60*math.Exp(r.NormFloat64()))
		}
		e.received = e.occurred + 1 + int64(r.ExpFloat64()*float64(typicalDelay))
		if chance(r, lateShare) {
			e.received += int64(r.ExpFloat64() * float64(day))
		}
		again := *e
		again.again = true
		switch {
		case chance(r, repeatedShare):
			if chance(r, 0.5) { // sent anew, else twice in one batch
				again.received += instant(r, 0, 2*60*60*second)
			}
		case e.kind == export && chance(r, correctedShare):
			again.received += instant(r, 60*60*second, correctionDelay)
			again.quantity = 1 + again.quantity/2
		default:
			continue
		}
		l.events = append(l.events, again)
	}
	return l.events
}
