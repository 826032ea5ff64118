package sample

import (
	"math"
	"slices"
	"strconv"

	"propensity/datasets"
)

// eventsTable is the table of deliveries in the order given, without tickets.
func (h *history) eventsTable(deliveries []event) *datasets.Table {
	rows := slices.DeleteFunc(slices.Clone(deliveries), func(e event) bool { return e.kind == ticket })
	n := len(h.accounts)
	firstUser := make([]int, n+1) // of an account, over the whole company
	for i := range h.accounts {
		firstUser[i+1] = firstUser[i] + len(h.joined[i])
	}
	id := datasets.Column{Name: "event_id", Kind: datasets.Text, Codes: make([]int32, len(rows))}
	id.Values = make([]string, 0, len(rows))
	twice := map[eventKey]int32{} // what is there again: its code, -1 while it has none
	for i := range rows {
		if rows[i].again {
			twice[rows[i].key()] = -1
		}
	}
	var buf []byte
	for i := range rows {
		e := &rows[i]
		code, again := twice[e.key()]
		if !again || code < 0 {
			code = int32(len(id.Values))
			buf = append(append(buf[:0], "e-"...), digits(h.accounts[e.account].number)...)
			buf = strconv.AppendInt(append(buf, '-'), int64(e.month)+1, 10)
			buf = strconv.AppendInt(append(buf, '-'), int64(e.number), 10)
			id.Values = append(id.Values, string(buf))
			if again {
				twice[e.key()] = code
			}
		}
		id.Codes[i] = code
	}
	c := columnsOf[event]{records: rows, columns: []datasets.Column{id}}
	c.text("account_id", n, func(e *event) int { return int(e.account) }, func(e *event) string { return h.accounts[e.account].id() })
	c.text("user_id", firstUser[n], func(e *event) int { return firstUser[e.account] + int(e.user) },
		func(e *event) string { return userID(h.accounts[e.account].number, int(e.user)) })
	c.category("event", kinds[:], func(e *event) int { return int(e.kind) })
	c.number("quantity", func(e *event) float64 { return orMissing(e.quantity) })
	c.time("occurred_at", func(e *event) int64 { return e.occurred })
	c.time("received_at", func(e *event) int64 { return e.received })
	return c.table()
}

type eventKey struct {
	account, number int32
	month           uint8
}

func (e *event) key() eventKey { return eventKey{e.account, e.number, e.month} }

func userID(account, user int) string { return "u-" + digits(account) + "-" + strconv.Itoa(user+1) }

// user is one row of the users table.
type user struct {
	account, number int
	joined          int64
}

// usersTable has the users who did anything, once all months are drawn.
func (h *history) usersTable() *datasets.Table {
	var rows []user
	for i, joined := range h.joined {
		for k, at := range joined {
			if at != datasets.MissingTime {
				rows = append(rows, user{i, k, at})
			}
		}
	}
	sortByTime(rows, func(u *user) int64 { return u.joined })
	c := columnsOf[user]{records: rows}
	c.label("user_id", func(u *user) string { return userID(h.accounts[u.account].number, u.number) })
	c.text("account_id", len(h.accounts), func(u *user) int { return u.account }, func(u *user) string { return h.accounts[u.account].id() })
	c.time("joined_at", func(u *user) int64 { return u.joined })
	return c.table()
}

// ticketOf is one row of the tickets table.
type ticketOf struct {
	event
	severity     int
	closed       int64   // missing while it is open
	satisfaction float64 // 1 to 5, given by some when it is closed
}

var severities = [...]string{"low", "normal", "high"}

// ticketsTable has the tickets among the deliveries.
func (h *history) ticketsTable(deliveries []event) *datasets.Table {
	var rows []ticketOf
	for _, e := range deliveries {
		if e.kind != ticket {
			continue
		}
		r := streamFor(h.seed, uint64(e.account)+1, forTicket+uint64(e.month)<<32+uint64(e.number))
		t := ticketOf{event: e, severity: choose(r, 4, 5, 1), satisfaction: math.NaN()}
		t.closed = e.occurred + second*(600+int64(r.ExpFloat64()*float64(20*60*60)))
		if t.closed >= historyEnd {
			t.closed = datasets.MissingTime
		} else if chance(r, 0.4) {
			t.satisfaction = float64(1 + choose(r, 1, 1, 2, 4, 4))
		}
		rows = append(rows, t)
	}
	sortByTime(rows, func(t *ticketOf) int64 { return t.occurred })
	c := columnsOf[ticketOf]{records: rows}
	c.label("ticket_id", func(t *ticketOf) string {
		return "t-" + digits(h.accounts[t.account].number) + "-" + strconv.Itoa(int(t.month)+1) + "-" + strconv.Itoa(int(t.number))
	})
	c.text("account_id", len(h.accounts), func(t *ticketOf) int { return int(t.account) }, func(t *ticketOf) string { return h.accounts[t.account].id() })
	c.time("opened_at", func(t *ticketOf) int64 { return t.occurred })
	c.time("closed_at", func(t *ticketOf) int64 { return t.closed })
	c.category("severity", severities[:], func(t *ticketOf) int { return t.severity })
	c.number("satisfaction", func(t *ticketOf) float64 { return t.satisfaction })
	return c.table()
}
