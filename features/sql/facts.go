package sql

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features/spec"
)

// The limits of the engine: records dated before 1990 are left out, and what is known
// without a date has always been.
const (
	year1990 = 631_152_000_000_000
	always   = math.MinInt64 / 2
	never    = math.MaxInt64
)

// value is the name of a column in the steps of a source: apart from those of roles.
func (e *emitter) value(column string) (string, error) { return e.d.name("v_" + column) }

// factsOf writes the facts of a source, once: account, occurred, arrived, id, until
// (when a correction arrived), ended, seq (their place in the account's total order),
// and the values.
func (e *emitter) factsOf(source int) (string, error) {
	if e.facts[source] != "" {
		return e.facts[source], nil
	}
	s := &e.project.Sources[source]
	fault := func(err error) error { return fmt.Errorf("source %s: %w", s.Name, err) }
	read, err := e.records(source)
	if err != nil {
		return "", fault(err)
	}
	order, err := e.order(s)
	if err != nil {
		return "", fault(err)
	}
	from := read
	until := fmt.Sprintf("CAST(%d AS bigint)", int64(never))
	windows := "WINDOW facts AS (PARTITION BY account ORDER BY " + strings.Join(order, ", ") + ")"
	if s.ID != "" {
		if from, err = e.step(s.Name+"_versions", "What is said again, word for word, is left out.", e.versions(read, order)); err != nil {
			return "", fault(err)
		}
		order = slices.Clone(order)
		order[1] = "said"
		windows = "WINDOW facts AS (PARTITION BY account ORDER BY " + strings.Join(order, ", ") + ")"
		// A version ends when a later one has arrived and occurred.
		until = fmt.Sprintf("CASE WHEN id IS NULL THEN %d ELSE coalesce(min(greatest(arrived, occurred)) OVER versions, %d) END", int64(never), int64(never))
		windows += ",\n  versions AS (PARTITION BY account, id ORDER BY " + strings.Join(versionOrder(order), ", ") + " ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)"
	}
	body := "SELECT *,\n  " + until + " AS until,\n  row_number() OVER facts AS seq\nFROM " + from + "\n" + windows
	name, err := e.step(s.Name+"_facts", "Until when each version of a fact counts, and the total order of the account's facts.", body)
	if err != nil {
		return "", fault(err)
	}
	e.facts[source] = name
	return name, nil
}

// order is the total order of facts: missing first, texts byte by byte.
func (e *emitter) order(s *spec.Source) ([]string, error) {
	out := []string{"occurred", "arrived", "id NULLS FIRST"}
	for _, c := range s.Columns {
		name, err := e.value(c.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, name+" NULLS FIRST")
	}
	if s.Kind == spec.Intervals {
		out = append(out, "ended NULLS FIRST")
	}
	return out, nil
}

// versionOrder is the order of the versions of one fact.
func versionOrder(order []string) []string {
	out := []string{"arrived", "occurred"}
	return append(out, order[3:]...)
}

// versions leaves out a version that says what the one before it said, and adds when
// what each says was said first: that is its place in the total order.
func (e *emitter) versions(from string, order []string) string {
	same := []string{"lag(occurred) OVER versions = occurred"}
	for _, c := range order[3:] {
		c = strings.TrimSuffix(c, " NULLS FIRST")
		same = append(same, "(lag("+c+") OVER versions IS NOT DISTINCT FROM "+c+")")
	}
	said := "CASE WHEN id IS NULL THEN arrived ELSE min(arrived) OVER (PARTITION BY account, id, occurred"
	for _, c := range order[3:] {
		said += ", " + strings.TrimSuffix(c, " NULLS FIRST")
	}
	return "SELECT * FROM (\n  SELECT *, " + said + ") END AS said, CASE WHEN id IS NOT NULL AND " + strings.Join(same, "\n      AND ") + " THEN 1 ELSE 0 END AS again\n  FROM " + from +
		"\n  WINDOW versions AS (PARTITION BY account, id ORDER BY " + strings.Join(versionOrder(order), ", ") + ")\n) AS x\nWHERE again = 0"
}

// read writes the records of a source as facts.
func (e *emitter) read(source int) (string, error) {
	s := &e.project.Sources[source]
	columns, notes := []string{}, []string{}
	add := func(x, as string) { columns = append(columns, x+" AS "+as) }
	users := ""
	role := func(column string) (string, error) {
		name, err := e.d.name(column)
		return "t." + name, err
	}
	text := func(column string) (string, error) {
		name, err := role(column)
		if err != nil {
			return "", err
		}
		return e.listed(s, "nullif("+e.d.string(name)+", '')")
	}
	account, err := "", error(nil)
	if s.Account != "" {
		if account, err = text(s.Account); err != nil {
			return "", err
		}
	}
	if s.User != "" && s.Kind != spec.Users {
		if users, err = e.users(); err != nil {
			return "", err
		}
		notes = append(notes, "A fact of a user is of the user's account.")
		if account == "" {
			account = "u.account"
		} else {
			account = "coalesce(" + account + ", u.account)"
		}
	}
	if account == "" {
		return "", fmt.Errorf("%w: it has no column of the account", ErrUnavailable)
	}
	add(account, "account")
	if s.Kind == spec.Users {
		x, err := text(s.User)
		if err != nil {
			return "", err
		}
		add(x, "user_id")
	}
	start := s.Time
	if s.Kind == spec.Intervals {
		start = s.Start
	}
	occurred := e.d.bigint(strconv.FormatInt(always, 10))
	if start != "" {
		name, err := role(start)
		if err != nil {
			return "", err
		}
		occurred = e.d.micros(name)
	}
	add(occurred, "occurred")
	switch {
	case s.Arrived != "":
		name, err := role(s.Arrived)
		if err != nil {
			return "", err
		}
		add(e.d.micros(name), "told")
	case s.Lag.Months != 0:
		return "", fmt.Errorf("%w: lag %s: months are not exact", ErrUnavailable, s.Lag)
	default:
		add("CAST(NULL AS bigint)", "told")
	}
	if s.ID != "" {
		x, err := text(s.ID)
		if err != nil {
			return "", err
		}
		add(x, "id")
	} else {
		add("CAST(NULL AS "+e.textType()+")", "id")
	}
	if s.Kind == spec.Intervals {
		name, err := role(s.End)
		if err != nil {
			return "", err
		}
		add(e.d.micros(name), "ended")
	}
	var seen []string
	for _, c := range s.Columns {
		if key := strings.ToLower(c.Name); e.d != Postgres && slices.Contains(seen, key) {
			return "", fmt.Errorf("%w: column %q, which %s takes for another", ErrUnavailable, c.Name, e.d)
		} else {
			seen = append(seen, key)
		}
		x, err := e.cell(s, c)
		if err != nil {
			return "", err
		}
		as, err := e.value(c.Name)
		if err != nil {
			return "", err
		}
		add(x, as)
	}
	from := e.tables[source] + " AS t"
	if users != "" {
		x, err := text(s.User)
		if err != nil {
			return "", err
		}
		from += "\n  LEFT JOIN " + users + " AS u ON u.user_id = " + x
	}
	where := []string{"account IS NOT NULL"}
	if start != "" {
		where = append(where, fmt.Sprintf("occurred BETWEEN %d AND %s", year1990, e.limit()))
	}
	if arrived := e.arrived(s); arrived != "occurred" {
		where = append(where, arrived+" <= "+e.limit())
	}
	if s.Kind == spec.Intervals {
		where = append(where, "(ended IS NULL OR ended >= occurred)")
	}
	if s.Where != nil {
		x, err := e.d.expression(s.Where.Root, e.columns(s))
		if err != nil {
			return "", err
		}
		where = append(where, x)
	}
	if e.d == Spark {
		where = append(where, "if(current_timezone() IN ('UTC', 'Etc/UTC', 'Z'), true, raise_error('SET TIME ZONE ''UTC'' first'))")
	}
	body := "SELECT *,\n  " + e.arrived(s) + " AS arrived\nFROM (\n  SELECT " + strings.Join(columns, ",\n    ") + "\n  FROM " + from + "\n) AS r\nWHERE " + strings.Join(where, "\n  AND ")
	notes = append([]string{"The records of source " + s.Name + " that are facts: dated, and of an account."}, notes...)
	return e.step(s.Name+"_records", strings.Join(notes, "\n"), body)
}

// limit is the last instant of which records are taken: the given one, or now.
func (e *emitter) limit() string {
	if e.options.AsOf != 0 {
		return strconv.FormatInt(e.options.AsOf, 10)
	}
	return e.d.now()
}

// arrived is when a fact did: as a column says, or so long after it occurred.
func (e *emitter) arrived(s *spec.Source) string {
	arrived := "occurred"
	if s.Lag.Micros != 0 && s.Time+s.Start != "" {
		arrived = fmt.Sprintf("occurred + %d", s.Lag.Micros)
	}
	if s.Arrived != "" {
		arrived = "coalesce(told, " + arrived + ")"
	}
	return arrived
}

func (e *emitter) textType() string {
	switch e.d {
	case Postgres:
		return "text"
	case Spark:
		return "STRING"
	}
	return "VARCHAR"
}

// listed makes the texts that a source lists as missing NULL.
func (e *emitter) listed(s *spec.Source, x string) (string, error) {
	if len(s.Missing) == 0 {
		return x, nil
	}
	var list []string
	for _, m := range s.Missing {
		t, err := e.d.text(m)
		if err != nil {
			return "", err
		}
		list = append(list, t)
	}
	return "CASE WHEN " + x + " NOT IN (" + strings.Join(list, ", ") + ") THEN " + x + " END", nil
}

// cell reads a column in its kind; what a warehouse calls NaN is missing.
func (e *emitter) cell(s *spec.Source, c spec.Column) (string, error) {
	name, err := e.d.name(c.Name)
	if err != nil {
		return "", err
	}
	x := "t." + name
	switch c.Kind {
	case datasets.Number:
		x = e.d.double(x)
		var list []string
		for _, m := range s.Missing {
			if v, ok := datasets.ParseNumber(m); ok {
				list = append(list, e.d.number(v))
			}
		}
		nan := map[Dialect]string{Postgres: "float8 'NaN'", Spark: "double('NaN')", DuckDB: "CAST('NaN' AS DOUBLE)"}[e.d]
		list = append([]string{nan}, list...)
		return "CASE WHEN " + x + " NOT IN (" + strings.Join(list, ", ") + ") THEN " + x + " END", nil
	case datasets.Boolean:
		return "CAST(" + x + " AS boolean)", nil
	case datasets.Time:
		return e.d.micros(x), nil
	case datasets.Category, datasets.Text:
		return e.listed(s, e.d.string(x))
	}
	return "", fmt.Errorf("%w: the type of column %q is not known: declare it in the project file (types: {%s: category})", ErrUnavailable, c.Name, c.Name)
}

// columns is the scope of the columns of a source.
func (e *emitter) columns(s *spec.Source) scope {
	return func(column string) (string, error) {
		if !slices.ContainsFunc(s.Columns, func(c spec.Column) bool { return c.Name == column }) {
			return "", fmt.Errorf("%w: source %s has no column %q", ErrUnavailable, s.Name, column)
		}
		return e.value(column)
	}
}

// users writes the account of each user: that of the newest record.
func (e *emitter) users() (string, error) {
	i := slices.IndexFunc(e.project.Sources, func(s spec.Source) bool { return s.Kind == spec.Users })
	if i < 0 {
		return "", fmt.Errorf("%w: there is no source of users to find the account in", ErrUnavailable)
	}
	if e.members != "" {
		return e.members, nil
	}
	s := &e.project.Sources[i]
	read, err := e.records(i)
	if err != nil {
		return "", fmt.Errorf("source %s: %w", s.Name, err)
	}
	body := "SELECT user_id, account FROM (\n  SELECT user_id, account,\n    row_number() OVER (PARTITION BY user_id ORDER BY occurred DESC, arrived DESC, account DESC) AS age\n  FROM " +
		read + "\n  WHERE user_id IS NOT NULL\n) AS x\nWHERE age = 1"
	e.members, err = e.step(s.Name+"_newest", "The account of each user, as the newest record has it.", body)
	return e.members, err
}

// records writes the records of a source, once.
func (e *emitter) records(source int) (string, error) {
	if e.readers[source] != "" {
		return e.readers[source], nil
	}
	name, err := e.read(source)
	e.readers[source] = name
	return name, err
}
