package sample

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"propensity/datasets"
)

// columnsOf makes columns from a list of records, one row each.
type columnsOf[T any] struct {
	records []T
	columns []datasets.Column
}

func (c *columnsOf[T]) number(name string, value func(*T) float64) {
	xs := make([]float64, len(c.records))
	for i := range c.records {
		xs[i] = value(&c.records[i])
	}
	c.columns = append(c.columns, datasets.Column{Name: name, Kind: datasets.Number, Numbers: xs})
}

func (c *columnsOf[T]) boolean(name string, value func(*T) bool) {
	c.number(name, func(t *T) float64 {
		if value(t) {
			return 1
		}
		return 0
	})
	c.columns[len(c.columns)-1].Kind = datasets.Boolean
}

func (c *columnsOf[T]) time(name string, value func(*T) int64) {
	ts := make([]int64, len(c.records))
	for i := range c.records {
		ts[i] = value(&c.records[i])
	}
	c.columns = append(c.columns, datasets.Column{Name: name, Kind: datasets.Time, Times: ts})
}

// category is a column of texts of one vocabulary; a negative index is missing.
func (c *columnsOf[T]) category(name string, vocabulary []string, value func(*T) int) {
	col := datasets.Column{Name: name, Kind: datasets.Category, Codes: make([]int32, len(c.records))}
	codes := make([]int32, len(vocabulary))
	for i := range codes {
		codes[i] = -1
	}
	for i := range c.records {
		v := value(&c.records[i])
		if v < 0 {
			col.Codes[i] = -1
			continue
		}
		if codes[v] < 0 {
			codes[v] = int32(len(col.Values))
			col.Values = append(col.Values, vocabulary[v])
		}
		col.Codes[i] = codes[v]
	}
	c.columns = append(c.columns, col)
}

// text is a column of ids. The keys tell texts apart; each is spelled once.
func (c *columnsOf[T]) text(name string, keys int, key func(*T) int, spell func(*T) string) {
	col := datasets.Column{Name: name, Kind: datasets.Text, Codes: make([]int32, len(c.records))}
	codes := make([]int32, keys) // one more than the code; 0 is not seen yet
	for i := range c.records {
		k := key(&c.records[i])
		if codes[k] == 0 {
			col.Values = append(col.Values, spell(&c.records[i]))
			codes[k] = int32(len(col.Values))
		}
		col.Codes[i] = codes[k] - 1
	}
	c.columns = append(c.columns, col)
}

func (c *columnsOf[T]) table() *datasets.Table { return &datasets.Table{Columns: c.columns} }

// id of an account, in every table.
func (a *account) id() string { return fmt.Sprintf("SIM-%05d", a.number) }

func accountsTable(accounts []account) *datasets.Table {
	c := columnsOf[account]{records: accounts}
	c.text("account_id", len(accounts), func(a *account) int { return a.number - 1 }, (*account).id)
	c.time("created_at", func(a *account) int64 { return a.signedUp })
	addProfile(&c, func(a *account) *account { return a })
	return c.table()
}

// addProfile adds the columns that are known from the sign-up on.
func addProfile[T any](c *columnsOf[T], of func(*T) *account) {
	c.category("country", countries[:], func(t *T) int { return of(t).country })
	c.category("company_size", sizes[:], func(t *T) int { return of(t).size })
	c.category("industry", industries[:], func(t *T) int { return of(t).industry })
	c.category("channel", channels[:], func(t *T) int { return of(t).channel })
}

func answersTable(accounts []account) *datasets.Table {
	var answered []*account
	for i := range accounts {
		if accounts[i].answer.answeredAt != datasets.MissingTime {
			answered = append(answered, &accounts[i])
		}
	}
	slices.SortStableFunc(answered, func(a, b *account) int {
		return cmp.Compare(a.answer.answeredAt, b.answer.answeredAt)
	})
	c := columnsOf[*account]{records: answered}
	c.text("account_id", len(accounts), func(a **account) int { return (*a).number - 1 }, func(a **account) string { return (*a).id() })
	c.time("answered_at", func(a **account) int64 { return (*a).answer.answeredAt })
	addAnswer(&c, func(a **account) *answer { return &(*a).answer })
	return c.table()
}

// addAnswer adds the columns of the sign-up form; a nil answer is missing.
func addAnswer[T any](c *columnsOf[T], of func(*T) *answer) {
	index := func(value func(*answer) int) func(*T) int {
		return func(t *T) int {
			if a := of(t); a != nil {
				return value(a)
			}
			return -1
		}
	}
	c.category("role", roles[:], index(func(a *answer) int { return a.role }))
	c.number("team_size", func(t *T) float64 {
		if a := of(t); a != nil {
			return float64(a.teamSize)
		}
		return math.NaN()
	})
	c.category("use_case", useCases[:], index(func(a *answer) int { return a.useCase }))
	c.category("heard_from", heardFroms[:], index(func(a *answer) int { return a.heardFrom }))
	c.number("newsletter", func(t *T) float64 {
		a := of(t)
		switch {
		case a == nil:
			return math.NaN()
		case a.newsletter:
			return 1
		}
		return 0
	})
	c.columns[len(c.columns)-1].Kind = datasets.Boolean
}

// delivery is one row of the events table: an event of an account, by index.
type delivery struct {
	received       int64
	account, event int32
}

func eventsTable(accounts []account) *datasets.Table {
	var rows []delivery
	// The events and users of an account are numbered, over the whole company,
	// from these on.
	firstEvent, firstUser := make([]int, len(accounts)+1), make([]int, len(accounts)+1)
	for i := range accounts {
		var ids, people int
		for k, e := range accounts[i].events {
			ids, people = max(ids, e.id), max(people, e.user+1)
			rows = append(rows, delivery{e.received, int32(i), int32(k)})
		}
		firstEvent[i+1], firstUser[i+1] = firstEvent[i]+ids, firstUser[i]+people
	}
	slices.SortFunc(rows, func(a, b delivery) int {
		return cmp.Or(cmp.Compare(a.received, b.received), cmp.Compare(a.account, b.account), cmp.Compare(a.event, b.event))
	})
	n := len(accounts)
	event := func(d *delivery) *event { return &accounts[d.account].events[d.event] }
	spell := func(prefix string, d *delivery, number int) string {
		return prefix + accounts[d.account].id()[len("SIM-"):] + "-" + strconv.Itoa(number)
	}
	c := columnsOf[delivery]{records: rows}
	c.text("event_id", firstEvent[n],
		func(d *delivery) int { return firstEvent[d.account] + event(d).id - 1 },
		func(d *delivery) string { return spell("e-", d, event(d).id) })
	c.text("account_id", n,
		func(d *delivery) int { return int(d.account) },
		func(d *delivery) string { return accounts[d.account].id() })
	c.text("user", firstUser[n],
		func(d *delivery) int { return firstUser[d.account] + event(d).user },
		func(d *delivery) string { return spell("u-", d, event(d).user+1) })
	c.category("event", kinds[:], func(d *delivery) int { return int(event(d).kind) })
	c.time("occurred_at", func(d *delivery) int64 { return event(d).occurred })
	c.time("received_at", func(d *delivery) int64 { return d.received })
	return c.table()
}

// subscription is one row of the subscriptions table.
type subscription struct {
	*account
	term
}

func subscriptionsTable(accounts []account) *datasets.Table {
	var rows []subscription
	for i := range accounts {
		for _, t := range accounts[i].terms {
			rows = append(rows, subscription{&accounts[i], t})
		}
	}
	slices.SortStableFunc(rows, func(a, b subscription) int { return cmp.Compare(a.start, b.start) })
	c := columnsOf[subscription]{records: rows}
	c.text("account_id", len(accounts), func(s *subscription) int { return s.number - 1 }, func(s *subscription) string { return s.id() })
	c.category("plan", plans[:], func(s *subscription) int { return s.plan })
	c.number("seats", func(s *subscription) float64 { return float64(s.seats) })
	c.number("mrr", func(s *subscription) float64 { return s.mrr(s.seats) })
	c.category("billing", billings[:], func(s *subscription) int { return s.billing() })
	c.time("started_at", func(s *subscription) int64 { return s.start })
	c.time("ended_at", func(s *subscription) int64 { return s.end })
	return c.table()
}

var billings = [...]string{"monthly", "annual"}

func (c *customer) billing() int {
	if c.annual {
		return 1
	}
	return 0
}
