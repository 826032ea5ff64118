package sample

import (
	"cmp"
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
	ticket
)

var kinds = [...]string{"login", "report_viewed", "export_made", "user_invited", "integration_connected", "ticket_opened"}

// event is one thing that a user of an account did.
type event struct {
	id       int // within the account
	user     int // within the account
	kind     kind
	again    bool // a second delivery of the event of that id
	occurred int64
	received int64
}

// eventLog collects the events of one account, in any order.
type eventLog struct {
	events []event
}

// during adds a Poisson process: events of one kind at a mean rate per day, each
// by one of so many users. The interval is [from, to).
func (l *eventLog) during(r *rand.Rand, k kind, perDay float64, users int, from, to int64) {
	gap := float64(day) / perDay
	for at := float64(from) + r.ExpFloat64()*gap; at < float64(to); at += r.ExpFloat64() * gap {
		l.add(k, r.IntN(users), int64(at)/second*second)
	}
}

func (l *eventLog) add(k kind, user int, at int64) {
	l.events = append(l.events, event{kind: k, user: user, occurred: at})
}

// close numbers the events in order of occurrence, lets each arrive, delivers
// some twice, and drops what had not arrived by the end of the history.
func (l *eventLog) close(r *rand.Rand) []event {
	slices.SortStableFunc(l.events, func(a, b event) int { return cmp.Compare(a.occurred, b.occurred) })
	out := make([]event, 0, len(l.events)+2)
	for i, e := range l.events {
		e.id = i + 1
		e.received = e.occurred + 1 + int64(r.ExpFloat64()*20*float64(second))
		if chance(r, 0.02) { // a device that was offline
			e.received += int64(r.ExpFloat64() * float64(day))
		}
		out = append(out, e)
		if chance(r, 0.003) {
			e.again = true
			if chance(r, 0.5) { // sent anew, else twice in one batch
				e.received += instant(r, 0, 2*60*60*second)
			}
			out = append(out, e)
		}
	}
	return slices.DeleteFunc(out, func(e event) bool { return e.received >= historyEnd })
}
