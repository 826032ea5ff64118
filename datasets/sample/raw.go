package sample

import (
	"cmp"
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

// label is a column of ids, each of one row.
func (c *columnsOf[T]) label(name string, spell func(*T) string) {
	col := datasets.Column{Name: name, Kind: datasets.Text, Codes: make([]int32, len(c.records)), Values: make([]string, len(c.records))}
	for i := range c.records {
		col.Codes[i], col.Values[i] = int32(i), spell(&c.records[i])
	}
	c.columns = append(c.columns, col)
}

// orMissing is a count that is missing where it is 0.
func orMissing(n int32) float64 {
	if n == 0 {
		return math.NaN()
	}
	return float64(n)
}

func (c *columnsOf[T]) table() *datasets.Table { return &datasets.Table{Columns: c.columns} }

// id of an account, in every table.
func (a *account) id() string { return "SIM-" + digits(a.number) }

// digits are those of the number of an account, five or more.
func digits(number int) string {
	s := strconv.Itoa(number)
	return "00000"[min(5, len(s)):] + s
}

// accountsTable has two columns that nobody knew at the sign-up, by whose date the
// record goes: lifecycle and total_paid are as of the end of the history.
func accountsTable(accounts []account) *datasets.Table {
	c := columnsOf[account]{records: accounts}
	c.text("account_id", len(accounts), func(a *account) int { return a.number - 1 }, (*account).id)
	c.time("created_at", func(a *account) int64 { return a.signedUp })
	addProfile(&c, func(a *account) *account { return a })
	c.category("lifecycle", lifecycles[:], (*account).lifecycle)
	c.number("total_paid", (*account).paid)
	return c.table()
}

var lifecycles = [...]string{"never bought", "customer", "former customer"}

func (a *account) lifecycle() int {
	switch {
	case len(a.lives) == 0:
		return 0
	case a.lives[len(a.lives)-1].end() == datasets.MissingTime:
		return 1
	}
	return 2
}

// paid is what the account has paid over the history, in whole dollars.
func (a *account) paid() (sum float64) {
	for i := range a.lives {
		c := &a.lives[i]
		for _, t := range c.terms {
			until := t.end
			if until == datasets.MissingTime {
				until = historyEnd
			}
			sum += c.mrr(t.seats) * float64(until-t.start) / float64(month)
		}
	}
	return math.Round(sum)
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
